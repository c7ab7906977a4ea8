//! What answers look like, for the OpenAPI document. Answers are made of JSON values where they are known; these types only
//! describe them, and a test holds real answers against them.
#![allow(dead_code)]

mod firehoses;

pub(crate) use firehoses::*;

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An error, as InfluxDB has it.
#[derive(ToSchema)]
pub(crate) struct InfluxError {
    error: String,
}

/// An error, as RFC 9457 with the members that Millrace adds.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// Stable, for programs, such as `dagger_not_found`.
    code: String,
    title: String,
    status: u16,
    /// What is wrong.
    detail: String,
    /// What to do about it.
    hint: Option<String>,
    /// Where in the text that was sent, counted from 1.
    line: Option<u64>,
    column: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Metadata {
    name: String,
    /// The group that owns it.
    group: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    /// Grows with every change; the ETag.
    generation: Option<i64>,
    created: Option<String>,
    updated: Option<String>,
    created_by: Option<String>,
    updated_by: Option<String>,
    /// Through what the latest change came: `portal`, `file` (`millrace apply`), `command-line`, `api` or `server`.
    updated_from: Option<String>,
}

macro_rules! resource {
    ($(#[$doc:meta])* $name:ident, $spec:ty, $status:ty, $list:ident, $applied:ident) => {
        $(#[$doc])*
        #[derive(ToSchema)]
        #[schema(rename_all = "camelCase")]
        pub(crate) struct $name {
            api_version: String,
            kind: String,
            metadata: Metadata,
            spec: $spec,
            status: Option<$status>,
        }

        #[derive(ToSchema)]
        pub(crate) struct $list {
            items: Vec<$name>,
            /// How many match, on all pages.
            total: Option<u64>,
            facets: Option<Facets>,
        }

        #[derive(ToSchema)]
        pub(crate) struct $applied {
            /// `created`, `updated` or `unchanged`.
            change: String,
            /// What the one who made the change should know.
            warnings: Option<Vec<String>>,
            resource: $name,
        }
    };
}

resource!(
    /// A continuous query over streams, with its sinks.
    Dagger, DaggerSpec, DaggerStatus, DaggerList, AppliedDagger
);
resource!(
    /// A topic of the log.
    Topic, TopicSpec, TopicStatus, TopicList, AppliedTopic
);
resource!(
    /// A protobuf message type.
    Schema, SchemaSpec, Nothing, SchemaList, AppliedSchema
);
resource!(
    /// A team. It owns resources and has members.
    Group, GroupSpec, GroupStatus, GroupList, AppliedGroup
);
resource!(
    /// Where daggers run.
    DaggerCluster, ClusterSpec, ClusterStatus, DaggerClusterList, AppliedDaggerCluster
);

resource!(
    /// Where topics are kept.
    KafkaCluster, KafkaClusterSpec, KafkaClusterStatus, KafkaClusterList, AppliedKafkaCluster
);

/// What there is to filter a list by.
#[derive(ToSchema)]
pub(crate) struct Facets {
    groups: Vec<String>,
    states: Vec<String>,
    clusters: Vec<String>,
}

#[derive(ToSchema)]
pub(crate) struct Nothing {}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DaggerSpec {
    /// The dagger cluster it runs in.
    cluster: Option<String>,
    streams: Vec<StreamSpec>,
    sql: String,
    sinks: Option<Vec<SinkSpec>>,
    parallelism: Option<u64>,
    checkpoint: Option<CheckpointSpec>,
    /// `running` or `suspended`. Left out, an existing dagger stays as it is.
    state: Option<String>,
}

/// One SQL table: topics, message type and event time.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct StreamSpec {
    table: Option<String>,
    schema: Option<String>,
    topics: Vec<String>,
    consumer_group: Option<String>,
    /// The field that is the event time, or `record` for the record's own timestamp.
    timestamp: Option<String>,
    watermark: Option<WatermarkSpec>,
    /// `earliest`, `latest`, or a time.
    start_from: Option<String>,
    /// `deadLetter`, `skip` or `fail`.
    on_bad_record: Option<String>,
    /// `drop` or `keep`.
    late: Option<String>,
}

/// Durations such as `5s`.
#[derive(ToSchema)]
pub(crate) struct WatermarkSpec {
    delay: Option<String>,
    interval: Option<String>,
    idle: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct CheckpointSpec {
    interval: Option<String>,
}

/// Which keys go with which kind is in docs/sinks.md.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SinkSpec {
    /// `series`, `topic`, `log`, `influx`, `victoriaMetrics` or `prometheusRemoteWrite`.
    kind: String,
    measurement: Option<String>,
    retention: Option<String>,
    topic: Option<String>,
    schema: Option<String>,
    partitions: Option<u32>,
    key: Option<Vec<String>>,
    /// A text, or `{"column": NAME}`, for each.
    headers: Option<BTreeMap<String, Value>>,
    /// The Kafka cluster on which a topic is made that is not there.
    cluster: Option<String>,
    /// On a Kafka cluster: `exactlyOnce` or `atLeastOnce`.
    delivery: Option<String>,
    /// On a Kafka cluster: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    compression: Option<String>,
    /// Of InfluxDB: 1, 2 or 3.
    version: Option<u32>,
    /// Of a server of somebody else's.
    url: Option<String>,
    /// Of InfluxDB 1 and 3.
    database: Option<String>,
    /// Of InfluxDB 1.
    retention_policy: Option<String>,
    /// Of InfluxDB 2.
    org: Option<String>,
    /// Of InfluxDB 2.
    bucket: Option<String>,
    /// Columns that are tags besides `tag_...` and `label_...`.
    tags: Option<Vec<String>>,
    username: Option<String>,
    /// The name of the secret that is the password or the token.
    secret: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DaggerStatus {
    /// `deploying`, `running`, `degraded`, `failing`, `suspended`, `stopping`, `stopped` or `failed`.
    state: String,
    since: Option<String>,
    /// Why it is not well.
    problem: Option<String>,
    /// It has failed because records are gone that it has not read, and starts again when somebody decides from where
    /// (`acceptLoss`).
    asks_about_loss: Option<bool>,
    /// What somebody who looks at its results should know.
    notices: Option<Vec<String>>,
    last_error: Option<String>,
    last_error_at: Option<String>,
    failures: Option<u64>,
    records_per_second: Option<f64>,
    /// Records that wait in its topics.
    lag: Option<i64>,
    watermark: Option<String>,
    /// Result rows since the process started it.
    rows: Option<u64>,
    /// Memory of its windows' state.
    state_bytes: Option<u64>,
    ledger: Option<Ledger>,
    checkpoint: Option<CheckpointStatus>,
    sinks: Option<Vec<SinkStatus>>,
    partitions: Option<Vec<PartitionStatus>>,
    /// The steps of the query, in the order in which records go through them.
    operators: Option<Vec<Operator>>,
}

/// One step of a running dagger since it was started in this process.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Operator {
    id: String,
    /// `source`, `branch` (filters and unnests), `window`, `output` (what follows the windows) or `sink`.
    kind: String,
    name: String,
    /// Ids of the steps whose rows it takes.
    inputs: Vec<String>,
    describes: String,
    records_in: u64,
    rows_out: u64,
    /// Rows that came in, of the last seconds.
    rows_per_second: f64,
    /// Time at work on all threads; that of a sink is the time of waiting for it, too.
    busy_ms: u64,
    /// Time at work over time passed, of the last seconds; more than 1 on several threads.
    busy_share: f64,
    /// Memory of a window's state.
    state_bytes: Option<u64>,
    /// Keys in open windows, each as often as there are open parts that it is in.
    groups: Option<u64>,
}

/// Records per step, by their timestamps.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RecordRate {
    from: String,
    to: String,
    step_ms: i64,
    counts: Vec<u64>,
    /// Of the first and the last record that are there.
    earliest: Option<String>,
    latest: Option<String>,
}

/// consumed = delivered + filtered + late + dead_lettered + held, always.
#[derive(ToSchema)]
pub(crate) struct Ledger {
    consumed: u64,
    delivered: u64,
    filtered: u64,
    late: u64,
    dead_lettered: u64,
    held: u64,
    late_after_idle: u64,
    late_windows: u64,
    unknown_enums: u64,
}

#[derive(ToSchema)]
pub(crate) struct CheckpointStatus {
    epoch: u64,
    at: Option<String>,
}

/// Rows since the dagger was started: `taken` is the sum of `delivered`, `deadLettered` and `inFlight`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SinkCounts {
    taken: u64,
    delivered: u64,
    dead_lettered: u64,
    in_flight: u64,
    /// Given to the server once more after an outage.
    retried: u64,
    calls: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SinkStatus {
    kind: String,
    measurement: Option<String>,
    retention: Option<String>,
    topic: Option<String>,
    schema: Option<String>,
    partitions: Option<u32>,
    key: Option<Vec<String>>,
    headers: Option<BTreeMap<String, Value>>,
    /// The Kafka cluster that the topic is on.
    cluster: Option<String>,
    delivery: Option<String>,
    compression: Option<String>,
    /// Exactly once: results are seen when a checkpoint is there, so after so long.
    visible_every: Option<String>,
    /// Of a server of somebody else's, as in the spec.
    version: Option<u32>,
    url: Option<String>,
    database: Option<String>,
    retention_policy: Option<String>,
    org: Option<String>,
    bucket: Option<String>,
    tags: Option<Vec<String>>,
    username: Option<String>,
    secret: Option<String>,
    /// Of a server of somebody else's: where the rows are that it was given.
    counts: Option<SinkCounts>,
    rows: u64,
    refused: u64,
    last_refusal: Option<String>,
    /// Of a measurement: distinct sets of tags, and how many there may be.
    series: Option<u64>,
    series_max: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PartitionStatus {
    table: String,
    topic: String,
    partition: u32,
    next_offset: i64,
    lag: i64,
    watermark: Option<String>,
    lost_unread: u64,
    ledger: Ledger,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TopicSpec {
    /// The Kafka cluster that the records are in; the embedded log if not given.
    cluster: Option<String>,
    /// The topic's name on the cluster, where it is another.
    topic: Option<String>,
    partitions: Option<u32>,
    /// Of a topic that has to be made on a cluster.
    replicas: Option<u16>,
    /// The message type of every record; without one their bytes are not looked at.
    schema: Option<String>,
    /// What is around the message in a value; bare protobuf if not given. In a document the type alone is as good:
    /// `encoding: confluent`.
    encoding: Option<Encoding>,
    /// The message type of every key; without one keys are bytes.
    key_schema: Option<String>,
    /// What is around the message in a key; the type of `encoding` if not given.
    key_encoding: Option<Encoding>,
    /// A duration, or `forever`.
    retention: Option<String>,
    retention_bytes: Option<u64>,
    description: Option<String>,
}

/// Which keys go with which type is in docs/topics.md.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Encoding {
    /// `protobuf`, `confluent`, `confluentHeader` or `json`.
    r#type: String,
    /// The schema ids that are read; any, if none is given.
    schema_ids: Option<Vec<u32>>,
    write_schema_id: Option<u32>,
    /// The GUIDs that are read; any, if none is given.
    schema_guids: Option<Vec<String>>,
    /// The GUID that is written.
    schema_guid: Option<String>,
    /// Where the type is in the registered schema, if not where it is in its own file.
    message_index: Option<Vec<u32>>,
}

#[derive(ToSchema)]
pub(crate) struct TopicStatus {
    records: i64,
    bytes: u64,
    partitions: Vec<TopicPartition>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TopicPartition {
    partition: u32,
    start_offset: i64,
    end_offset: i64,
    bytes: u64,
}

#[derive(ToSchema)]
pub(crate) struct SchemaSpec {
    file: String,
    comment: Option<String>,
    fields: Vec<SchemaField>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SchemaField {
    name: String,
    number: u32,
    #[schema(rename = "type")]
    type_name: String,
    label: String,
    oneof: Option<String>,
    comment: Option<String>,
    /// The full name of the message type, for fields of messages.
    message: Option<String>,
    enum_values: Option<Vec<String>>,
    default: Option<String>,
    deprecated: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct GroupSpec {
    description: Option<String>,
    /// Everybody may read the records of what the group owns.
    open_records: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct GroupStatus {
    members: i64,
    resources: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClusterSpec {
    /// `embedded`.
    engine: Option<String>,
    /// Threads of its own; without it, the server's.
    cores: Option<u64>,
    /// Of the state of all daggers together, such as `512MiB`.
    memory: Option<String>,
    daggers_max: Option<u64>,
    /// The groups that may run daggers there; `*` is every group.
    groups: Option<Vec<String>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClusterStatus {
    daggers: Vec<String>,
    running: u64,
    /// Memory of the state of its daggers.
    state_bytes: u64,
}

#[derive(ToSchema)]
pub(crate) struct KafkaClusterSpec {
    /// `embedded` or `kafka`.
    r#type: String,
    /// `host:port` of some brokers.
    bootstrap: Option<Vec<String>>,
    security: Option<KafkaSecurity>,
    /// Properties of librdkafka.
    properties: Option<BTreeMap<String, String>>,
    /// Before the names of groups and transactional ids.
    prefix: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct KafkaSecurity {
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    protocol: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    mechanism: Option<String>,
    username: Option<String>,
    password: Option<SecretName>,
    oauth: Option<KafkaOauth>,
    /// PEM, or `{secret: NAME}`.
    #[schema(value_type = Option<Value>)]
    ca: Option<Value>,
    /// PEM, or `{secret: NAME}`.
    #[schema(value_type = Option<Value>)]
    certificate: Option<Value>,
    key: Option<SecretName>,
    key_password: Option<SecretName>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct KafkaOauth {
    token_url: String,
    client_id: String,
    client_secret: SecretName,
    scope: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct SecretName {
    /// The name of a secret of the same group.
    secret: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct KafkaClusterStatus {
    /// `running`, `unreachable`, `misconfigured` or `unknown`.
    state: String,
    /// Why it is not running.
    problem: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    /// Of a cluster of type `kafka`.
    brokers: Option<Vec<KafkaBroker>>,
    /// Null while the cluster does not answer.
    topics: Option<u64>,
    /// How many topics here are kept there; of type `kafka`.
    attached_topics: Option<u64>,
    /// This and the following of the embedded one.
    partitions: Option<u64>,
    records: Option<i64>,
    bytes: Option<u64>,
    /// What the disk that it is on has room for.
    disk_free_bytes: Option<u64>,
    /// On the server's machine.
    directory: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct KafkaBroker {
    id: i32,
    /// `host:port`, as the broker says that it is reached.
    address: String,
}

#[derive(ToSchema)]
pub(crate) struct ConnectionTest {
    /// Whether all steps passed.
    ok: bool,
    /// In the order in which they are tried; what the cluster has no use for is left out.
    steps: Vec<ConnectionStep>,
}

#[derive(ToSchema)]
pub(crate) struct ConnectionStep {
    /// `name`, `address`, `encryption`, `clientCertificate`, `login`, `topics` or `rights`.
    step: String,
    /// `passed`, `failed` or `notReached`.
    outcome: String,
    ms: u64,
    /// What was found, or what is wrong.
    detail: String,
    /// What to do about it.
    hint: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct ClusterTopicList {
    items: Vec<ClusterTopicSummary>,
    /// How many match, on all pages.
    total: u64,
    facets: Option<Facets>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClusterTopicSummary {
    name: String,
    partitions: u64,
    replicas: u64,
    /// Partitions that nobody leads just now.
    leaderless: u64,
    /// The name of the topic here; null if it is not attached.
    attached_as: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClusterTopic {
    name: String,
    /// Another one after the topic was deleted and made anew; null if the brokers are too old to tell.
    id: Option<String>,
    attached_as: Option<String>,
    /// By Kafka's names; empty if we may not see them.
    settings: BTreeMap<String, String>,
    partitions: Vec<ClusterPartition>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClusterPartition {
    partition: u32,
    start_offset: i64,
    end_offset: i64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Session {
    /// Nobody is an answer, too.
    user: Option<SessionUser>,
    via: Option<String>,
    /// Nobody has a password yet.
    setup_needed: bool,
    login: WaysIn,
    groups: Vec<Membership>,
    /// By permission the groups in which the caller has it; null is all groups.
    permissions: BTreeMap<String, Option<Vec<String>>>,
    /// Address of the Grafana that people use here, without a slash at the end.
    grafana_url: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SessionUser {
    name: String,
    display_name: String,
    admin: bool,
}

#[derive(ToSchema)]
pub(crate) struct WaysIn {
    local: bool,
    oidc: Vec<IdentityProvider>,
}

#[derive(ToSchema)]
pub(crate) struct IdentityProvider {
    name: String,
    label: String,
    url: String,
}

#[derive(ToSchema)]
pub(crate) struct Membership {
    name: String,
    role: String,
}

#[derive(ToSchema)]
pub(crate) struct MemberList {
    items: Vec<Member>,
}

#[derive(ToSchema)]
pub(crate) struct Member {
    user: String,
    role: String,
    /// When they joined; null if that was before it was kept.
    since: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct UserList {
    items: Vec<User>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct User {
    name: String,
    display_name: String,
    admin: bool,
    has_password: bool,
    created: String,
}

#[derive(ToSchema)]
pub(crate) struct Invited {
    user: User,
    invitation: String,
    /// The page on which the password is set.
    link: String,
}

#[derive(ToSchema)]
pub(crate) struct TokenList {
    items: Vec<Token>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Token {
    id: String,
    name: String,
    user: String,
    created: String,
    scopes: Option<Vec<String>>,
    expires: Option<String>,
    last_used: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct NewToken {
    token: Token,
    /// Shown this once.
    secret: String,
}

#[derive(ToSchema)]
pub(crate) struct SecretList {
    items: Vec<Secret>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Secret {
    name: String,
    group: String,
    updated: String,
    updated_by: String,
}

#[derive(ToSchema)]
pub(crate) struct AuditPage {
    items: Vec<AuditEntry>,
    /// `before` of the next page.
    next: Option<i64>,
}

#[derive(ToSchema)]
pub(crate) struct AuditEntry {
    id: i64,
    at: String,
    actor: String,
    via: String,
    action: String,
    kind: String,
    name: String,
    group: String,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(ToSchema)]
pub(crate) struct RevisionList {
    items: Vec<Revision>,
}

#[derive(ToSchema)]
pub(crate) struct Revision {
    generation: i64,
    at: String,
    by: String,
    /// Through what it came: `portal`, `file`, `command-line`, `api` or `server`.
    from: String,
    /// Null when the change was its deletion.
    spec: Option<DaggerSpec>,
}

#[derive(ToSchema)]
pub(crate) struct StateList {
    items: Vec<State>,
}

#[derive(ToSchema)]
pub(crate) struct State {
    at: String,
    state: String,
    reason: Option<String>,
    generation: i64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Applied {
    items: Vec<Value>,
    dry_run: bool,
}

#[derive(ToSchema)]
pub(crate) struct Validation {
    ok: bool,
    /// The dagger with its defaults.
    dagger: Option<Dagger>,
    tables: Vec<Table>,
    columns: Vec<Column>,
    sentence: Option<String>,
    warnings: Vec<String>,
    errors: Vec<QueryError>,
}

#[derive(ToSchema)]
pub(crate) struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(ToSchema)]
pub(crate) struct Column {
    name: String,
    #[schema(rename = "type")]
    type_name: String,
    comment: Option<String>,
    #[schema(no_recursion)]
    children: Option<Vec<Column>>,
}

#[derive(ToSchema)]
pub(crate) struct QueryError {
    code: String,
    message: String,
    hint: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DaggerDiff {
    change: String,
    sql_changed: bool,
    columns: ColumnsDiff,
    /// Everything but the SQL.
    settings: Vec<SettingChange>,
    state: StateVerdict,
    warnings: Vec<String>,
}

#[derive(ToSchema)]
pub(crate) struct ColumnsDiff {
    added: Vec<Column>,
    removed: Vec<Column>,
    changed: Vec<ColumnChange>,
}

#[derive(ToSchema)]
pub(crate) struct ColumnChange {
    name: String,
    from: String,
    to: String,
}

#[derive(ToSchema)]
pub(crate) struct SettingChange {
    path: String,
    from: Option<Value>,
    to: Option<Value>,
}

#[derive(ToSchema)]
pub(crate) struct StateVerdict {
    /// `none`, `kept` or `lost`.
    verdict: String,
    kept: Vec<String>,
    lost: Vec<String>,
    reason: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Preview {
    plan: String,
    warnings: Vec<String>,
    ledger: Ledger,
    truncated: bool,
    /// What the rows say of the measurement's tags; nothing for one without tags, or without a measurement.
    tags: Option<TagSample>,
    rows: Vec<BTreeMap<String, Value>>,
}

/// How many values the tags of a measurement have in a sample, and how many they will have.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TagSample {
    measurement: String,
    /// Rows that were looked at.
    rows: u64,
    series: ValueCount,
    series_max: u64,
    tags: Vec<TagCount>,
    /// What is wrong and what to do, if there will be too many.
    warning: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct ValueCount {
    seen: u64,
    /// With those that the sample does not show.
    estimate: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TagCount {
    name: String,
    seen: u64,
    /// With those that the sample does not show.
    estimate: u64,
    is_too_many: bool,
}

#[derive(ToSchema)]
pub(crate) struct QueryResult {
    columns: Vec<Column>,
    rows: Vec<BTreeMap<String, Value>>,
}

/// A copy of the series.
#[derive(ToSchema)]
pub(crate) struct Backup {
    /// On the server's machine.
    directory: String,
    bytes: u64,
}

/// Files of Grafana's provisioning.
#[derive(ToSchema)]
pub(crate) struct GrafanaExport {
    files: Vec<GrafanaFile>,
    /// Daggers of which there is no dashboard.
    skipped: Vec<SkippedDagger>,
}

#[derive(ToSchema)]
pub(crate) struct GrafanaFile {
    /// With `/` between folders.
    path: String,
    text: String,
}

#[derive(ToSchema)]
pub(crate) struct SkippedDagger {
    dagger: String,
    reason: String,
}

#[derive(ToSchema)]
pub(crate) struct FunctionList {
    items: Vec<SqlFunction>,
}

#[derive(ToSchema)]
pub(crate) struct SqlFunction {
    name: String,
    /// `scalar`, `aggregate`, `table` or `window`.
    kind: String,
    signature: String,
    description: String,
    example: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Published {
    acknowledged: u64,
    refused: u64,
    /// One for each record, in order.
    records: Vec<PublishedRecord>,
}

#[derive(ToSchema)]
pub(crate) struct PublishedRecord {
    partition: Option<u32>,
    offset: Option<i64>,
    timestamp: Option<String>,
    error: Option<Problem>,
}

#[derive(ToSchema)]
pub(crate) struct DeadLetterPage {
    items: Vec<DeadLetter>,
    next: Option<String>,
}

/// A record that could not be processed. What it holds is told of one alone, not in lists.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    /// `DAGGER/STREAM/TOPIC/PARTITION/OFFSET`, or `firehose:NAME/STREAM/TOPIC/PARTITION/OFFSET`.
    id: String,
    /// The name of its dagger or firehose.
    dagger: String,
    owner: DeadLetterOwner,
    stream: String,
    topic: String,
    partition: u32,
    offset: i64,
    kind: String,
    error: String,
    /// The byte at which decoding stopped.
    error_byte: Option<u32>,
    timestamp: String,
    event_time: Option<String>,
    first_seen: String,
    /// Length of the value; null is a tombstone.
    bytes: Option<u64>,
    /// `kept` or `replayed`.
    state: String,
    replays: u64,
    /// Text where the bytes are text, base64 where not.
    key: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    value_base64: Option<String>,
    /// The message type that it is decoded as.
    schema: Option<String>,
    /// As far as it goes.
    decoded: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct DeadLetterOwner {
    /// `Dagger` or `Firehose`.
    kind: String,
    name: String,
}

#[derive(ToSchema)]
pub(crate) struct Replayed {
    replayed: u64,
}

#[derive(ToSchema)]
pub(crate) struct Version {
    version: String,
}
