//! Firehoses: listing, pausing, moving, scaling, and trying what nobody has deployed.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::listing::{Column, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::routes::daggers::applied_json;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::{ControlError, RecordPlace, SeekTo, now_ms, parse_time};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("state", "/status/state"),
    ("topic", "/spec/topic"),
    ("sink", "/spec/sink/kind"),
    ("group", "/metadata/group"),
    ("rate", "/status/recordsPerSecond"),
    ("lag", "/status/lag"),
    ("latency", "/status/latency/p99Millis"),
    ("dead", "/status/ledger/deadLettered"),
    ("by", "/metadata/createdBy"),
    ("created", "/metadata/created"),
];

pub(crate) async fn list(State(state): State<AppState>, Query(query): Query<ListQuery>) -> Result<Page, Problem> {
    page(state.platform.firehoses().await?, &query, COLUMNS)
}

/// One Firehose document.
pub(crate) async fn apply(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Shown, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    Ok(Shown(applied_json(state.platform.apply_firehose(&actor, &text).await?)))
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.firehose(&name).await?))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_firehose(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn pause(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.pause_firehose(&actor, &name).await?))
}

pub(crate) async fn resume(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.resume_firehose(&actor, &name).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seek {
    to: SeekTarget,
}

/// `earliest`, `latest`, `{"time": ..}`, or `{"offsets": {"0": 17}}`; partitions that are not named stay where they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SeekTarget {
    Earliest,
    Latest,
    /// RFC 3339, or how long ago, such as `15m`.
    Time(String),
    /// Offsets by partition.
    Offsets(BTreeMap<String, i64>),
}

impl SeekTarget {
    fn read(self) -> Result<SeekTo, ControlError> {
        Ok(match self {
            SeekTarget::Earliest => SeekTo::Earliest,
            SeekTarget::Latest => SeekTo::Latest,
            SeekTarget::Time(text) => SeekTo::Timestamp(parse_time(&text, now_ms())?),
            SeekTarget::Offsets(offsets) => {
                let read = |(partition, offset): (String, i64)| match partition.parse::<u32>() {
                    Ok(partition) => Ok((partition, offset)),
                    Err(_) => {
                        let detail = format!("`to.offsets`: `{partition}` is not the number of a partition");
                        Err(ControlError::invalid("seek_invalid", detail).with_hint("write {\"offsets\": {\"0\": 17}}"))
                    }
                };
                let offsets = offsets.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
                if offsets.is_empty() {
                    return Err(ControlError::invalid("seek_invalid", "`to.offsets` names no partition"));
                }
                SeekTo::Offsets(offsets)
            }
        })
    }
}

/// Answers when the new positions are kept.
pub(crate) async fn seek(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let asked: Seek = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Shown(state.platform.seek_firehose(&actor, &name, asked.to.read()?).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    /// Calls at a time.
    parallelism: usize,
}

pub(crate) async fn scale(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let asked: Scale = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Shown(state.platform.scale_firehose(&actor, &name, asked.parallelism).await?))
}

pub(crate) async fn revisions(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let revisions = state.platform.firehose_revisions(&name).await?;
    Ok(Json(json!({ "items": revisions.iter().map(control::Revision::to_json).collect::<Vec<_>>() })))
}

pub(crate) async fn history(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": state.platform.firehose_history(&name).await? })))
}

pub(crate) async fn roll_back(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let asked: super::daggers::RollBack = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Shown(applied_json(state.platform.roll_back_firehose(&actor, &name, asked.generation).await?)))
}

/// What the form asks while someone types; a firehose that is wrong is an answer here, not a failure.
pub(crate) async fn validate(State(state): State<AppState>, body: Body) -> Result<Json<Value>, Problem> {
    Ok(Json(state.platform.validate_firehose(&read_text(body, DOCUMENT_BYTES_MAX).await?).await))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// How many records; 20 if not given, 200 at most.
    #[serde(default)]
    records: Option<usize>,
}

/// The first records of the topic and what becomes of each; nothing is sent.
pub(crate) async fn preview(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Query(query): Query<PreviewQuery>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    let records = state.platform.preview_firehose(&actor, &text, query.records).await?;
    Ok(Json(json!({ "records": records })))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendOne {
    /// A Firehose document.
    #[schema(value_type = crate::shapes::Firehose)]
    firehose: Value,
    partition: u32,
    offset: i64,
}

pub(crate) async fn send_one(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let asked: SendOne = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let place = RecordPlace { partition: asked.partition, offset: asked.offset };
    Ok(Json(state.platform.send_one_record(&actor, &asked.firehose.to_string(), place).await?))
}

/// Every kind of sink with its settings, for forms.
pub(crate) async fn sinks() -> Json<Value> {
    Json(json!({ "items": control::sink_kinds() }))
}
