//! Firehoses, and the kinds of sinks.

use super::{Facets, Metadata, SinkCounts};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Sends the records of a topic to a sink.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Firehose {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: FirehoseSpec,
    status: Option<FirehoseStatus>,
}

#[derive(ToSchema)]
pub(crate) struct FirehoseList {
    items: Vec<Firehose>,
    /// How many match, on all pages.
    total: Option<u64>,
    facets: Option<Facets>,
}

#[derive(ToSchema)]
pub(crate) struct AppliedFirehose {
    /// `created`, `updated` or `unchanged`.
    change: String,
    /// What the one who made the change should know.
    warnings: Option<Vec<String>>,
    resource: Firehose,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseSpec {
    topic: String,
    /// `earliest`, `latest` or a time. Only for the first start.
    start_from: Option<String>,
    /// A time. Records from then on are not sent.
    stop_at: Option<String>,
    /// `running` or `paused`. Left out, an existing firehose stays as it is.
    state: Option<String>,
    /// CEL: records for which it is false are filtered.
    filter: Option<String>,
    /// Records that do not match are filtered.
    json_schema: Option<Value>,
    time_window: Option<FirehoseTimeWindow>,
    /// Every field as it is called, if not given.
    columns: Option<Vec<FirehoseColumn>>,
    /// `kind`, and the settings of the kind: `GET /api/v1/sinks` lists them.
    sink: BTreeMap<String, Value>,
    delivery: Option<FirehoseDelivery>,
    /// The built-in store, if not given.
    dead_letters: Option<FirehoseDeadLetters>,
}

/// Records whose time is further away from now are filtered.
#[derive(ToSchema)]
pub(crate) struct FirehoseTimeWindow {
    field: String,
    /// A duration.
    past: Option<String>,
    future: Option<String>,
}

/// One of `field`, `constant`, `expression` and `hash`.
#[derive(ToSchema)]
pub(crate) struct FirehoseColumn {
    r#as: Option<String>,
    /// A path.
    field: Option<String>,
    constant: Option<Value>,
    /// CEL.
    expression: Option<String>,
    /// Of an expression, where it does not follow from it.
    r#type: Option<String>,
    /// A path.
    hash: Option<String>,
    /// Of a hash: the name of the secret that is its key.
    secret: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseDelivery {
    /// Records of one call.
    batch_records: Option<u64>,
    /// Such as `4MB`.
    batch_bytes: Option<String>,
    /// How long a record waits for others to share a call with.
    linger: Option<String>,
    /// Calls at a time.
    parallelism: Option<u64>,
    records_per_second: Option<u64>,
    calls_per_second: Option<u64>,
    retry: Option<FirehoseRetry>,
    on_error: Option<FirehoseOnError>,
    /// After so many failed calls in a row one call at a time is tried.
    break_after: Option<u64>,
}

/// Durations.
#[derive(ToSchema)]
pub(crate) struct FirehoseRetry {
    first: Option<String>,
    longest: Option<String>,
}

/// `deadLetter` (the first two only), `retry` or `fail`, by class of error.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseOnError {
    bad_record: Option<String>,
    refused: Option<String>,
    down: Option<String>,
    throttled: Option<String>,
    auth: Option<String>,
    ours: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct FirehoseDeadLetters {
    topic: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseStatus {
    /// `starting`, `running`, `paused`, `retrying`, `failed` or `stopped`.
    state: String,
    since: Option<String>,
    /// What keeps it from getting on, or why it has failed.
    message: Option<String>,
    last_error: Option<String>,
    failures: Option<u64>,
    /// Records that are not settled yet.
    lag: Option<i64>,
    /// Settled, over the last seconds.
    records_per_second: Option<f64>,
    read_per_second: Option<f64>,
    latency: Option<FirehoseLatency>,
    /// Calls at a time.
    parallelism: Option<u64>,
    /// The sink has failed so often that one call at a time is tried.
    is_broken_open: Option<bool>,
    /// Of what is read and not settled.
    held_bytes: Option<u64>,
    ledger: Option<FirehoseLedger>,
    partitions: Option<Vec<FirehosePartition>>,
    sink: Option<FirehoseSinkStatus>,
}

/// From a record's timestamp to the sink's acknowledgement, over about the last minute.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseLatency {
    p50_millis: f64,
    p99_millis: f64,
}

/// consumed = delivered + filtered + late + deadLettered + held, always.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseLedger {
    consumed: u64,
    delivered: u64,
    filtered: u64,
    late: u64,
    dead_lettered: u64,
    /// On their way.
    held: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehosePartition {
    partition: u32,
    /// The first offset that is not settled.
    position: i64,
    end: i64,
    lag: i64,
    ledger: FirehoseLedger,
    /// Records that were gone before they were read.
    lost_unread: i64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FirehoseSinkStatus {
    kind: String,
    description: String,
    /// `exactlyOnce`, `overwrites` or `atLeastOnce`.
    guarantee: String,
    guarantee_why: Option<String>,
    problem: Option<String>,
    notice: Option<String>,
    counts: Option<SinkCounts>,
}

#[derive(ToSchema)]
pub(crate) struct FirehoseRevisionList {
    items: Vec<FirehoseRevision>,
}

#[derive(ToSchema)]
pub(crate) struct FirehoseRevision {
    generation: i64,
    at: String,
    by: String,
    /// Through what it came: `portal`, `file`, `command-line`, `api` or `server`.
    from: String,
    /// Null when the change was its deletion.
    spec: Option<FirehoseSpec>,
}

#[derive(ToSchema)]
pub(crate) struct FirehoseValidation {
    /// None: it can be applied.
    problems: Vec<PlacedProblem>,
    /// Of the rows that the sink gets.
    columns: Option<Vec<NamedColumn>>,
    guarantee: Option<String>,
    /// With every default filled in.
    firehose: Option<Firehose>,
}

/// What is wrong, and at which place of the spec, such as `columns[2].expression`; empty where it has none.
#[derive(ToSchema)]
pub(crate) struct PlacedProblem {
    place: String,
    code: String,
    detail: String,
    hint: Option<String>,
    /// Where in the text that was sent, counted from 1.
    line: Option<u64>,
    column: Option<u64>,
}

#[derive(ToSchema)]
pub(crate) struct NamedColumn {
    name: String,
    r#type: String,
}

#[derive(ToSchema)]
pub(crate) struct FirehosePreview {
    records: Vec<TriedRecord>,
}

#[derive(ToSchema)]
pub(crate) struct TriedRecord {
    partition: u32,
    offset: i64,
    timestamp: String,
    /// As protobuf JSON; base64 where it cannot be decoded.
    value: Option<Value>,
    /// `kept`, `filtered` or `failed`.
    outcome: String,
    reason: Option<String>,
    row: Option<BTreeMap<String, Value>>,
    /// What would be sent, as text.
    sent: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SentRecord {
    /// What left, as text.
    sent: String,
    /// What came back.
    answer: String,
    is_delivered: bool,
    took_millis: f64,
}

#[derive(ToSchema)]
pub(crate) struct SinkKindList {
    items: Vec<SinkKind>,
}

#[derive(ToSchema)]
pub(crate) struct SinkKind {
    kind: String,
    title: String,
    /// One sentence.
    what: String,
    settings: Vec<SinkSetting>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SinkSetting {
    key: String,
    title: String,
    help: String,
    /// `text`, `url`, `boolean`, `integer`, `duration`, `choice`, `secret`, `columns`, `template`, `templates`, `texts` or
    /// `secrets`.
    r#type: String,
    /// `required`, `optional` or `default`.
    need: String,
    default: Option<Value>,
    choices: Option<Vec<String>>,
    min: Option<i64>,
    max: Option<i64>,
    /// Of use only while another setting has one of these values.
    only_with: Option<SinkSettingCondition>,
}

#[derive(ToSchema)]
pub(crate) struct SinkSettingCondition {
    key: String,
    values: Vec<String>,
}
