//! Daggers: listing, starting, stopping, looking at results.

use crate::AppState;
use crate::access::{By, Ordered};
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::listing::{Column, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use crate::streaming::answer;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{AcceptedLoss, Applied, ControlError, Follow, PublishTo, parse_duration};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

const LAST_DEFAULT: Duration = Duration::from_secs(15 * 60);

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("state", "/status/state"),
    ("topics", "/spec/streams/0/topics/0"),
    ("group", "/metadata/group"),
    ("cluster", "/spec/cluster"),
    ("rate", "/status/recordsPerSecond"),
    ("lag", "/status/lag"),
    ("result", "/status/watermark"),
    ("by", "/metadata/createdBy"),
    ("created", "/metadata/created"),
    ("measurement", "/spec/sinks/0/measurement"),
];

pub(crate) async fn list(State(state): State<AppState>, Query(query): Query<ListQuery>) -> Result<Page, Problem> {
    page(state.platform.daggers().await?, &query, COLUMNS)
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.dagger(&name).await?))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_dagger(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers when the dagger has stopped, with a checkpoint.
pub(crate) async fn stop(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.stop_dagger(&actor, &name).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StartQuery {
    /// Goes on although records are gone that it has not read: from the `earliest` that is there, or the `latest`.
    #[serde(default, rename = "acceptLoss")]
    #[param(inline)]
    accept_loss: Option<AcceptLoss>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum AcceptLoss {
    Earliest,
    Latest,
}

pub(crate) async fn start(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    Query(query): Query<StartQuery>,
) -> Result<Shown, Problem> {
    let accepted = query.accept_loss.map(|accepted| match accepted {
        AcceptLoss::Earliest => AcceptedLoss::Earliest,
        AcceptLoss::Latest => AcceptedLoss::Latest,
    });
    Ok(Shown(state.platform.start_dagger_accepting(&actor, &name, accepted).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    #[serde(default)]
    last: Option<String>,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn results(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<ResultsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = match &query.last {
        None => LAST_DEFAULT,
        Some(text) => parse_duration(text)
            .map_err(|error| ControlError::invalid("duration_invalid", format!("`last`: {error}")))?,
    };
    let follow = if query.follow { Follow::Yes } else { Follow::No };
    let chunks = state.platform.results(&name, last, follow).await?;
    Ok(answer(&headers, ReceiverStream::new(chunks), state.stopping))
}

/// `{"plan": "..", "ledger": {..}, "rows": [..]}` of a run over the records that are there; nothing is written.
pub(crate) async fn preview(State(state): State<AppState>, By(caller): By, body: Body) -> Result<Response, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    let preview = state.platform.preview_dagger(&caller, &text).await?;
    let mut out = serde_json::to_vec(&json!({
        "plan": preview.plan, "warnings": preview.warnings, "ledger": preview.ledger, "truncated": preview.is_truncated,
        "tags": preview.tags,
    }))
    .map_err(|error| ControlError::internal(error.to_string()))?;
    // The rows are JSON already; they are put in as they are, so that no digit is lost.
    out.pop();
    out.extend_from_slice(b",\"rows\":[");
    let mut is_first = true;
    for line in preview.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"]}\n");
    let mut response = out.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What the form asks while someone types; a dagger that is wrong is an answer here, not a failure.
pub(crate) async fn validate(State(state): State<AppState>, body: Body) -> Result<Json<Value>, Problem> {
    let validation = state.platform.validate_dagger(&read_text(body, DOCUMENT_BYTES_MAX).await?).await;
    let errors: Vec<Value> = validation
        .errors
        .iter()
        .map(|error| {
            json!({
                "code": error.code, "message": error.detail, "hint": error.hint,
                "line": error.position.map(|position| position.line),
                "column": error.position.map(|position| position.column),
            })
        })
        .collect();
    Ok(Json(json!({
        "ok": errors.is_empty(), "dagger": validation.dagger, "tables": validation.tables, "columns": validation.columns,
        "sentence": validation.sentence, "warnings": validation.warnings, "errors": errors,
    })))
}

pub(crate) async fn revisions(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let revisions = state.platform.dagger_revisions(&name).await?;
    Ok(Json(json!({ "items": revisions.iter().map(control::Revision::to_json).collect::<Vec<_>>() })))
}

pub(crate) async fn history(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": state.platform.dagger_history(&name).await? })))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollBack {
    pub(super) generation: i64,
}

pub(crate) async fn roll_back(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let asked: RollBack = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Shown(applied_json(state.platform.roll_back_dagger(&actor, &name, asked.generation).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork {
    name: String,
    #[serde(default)]
    group: Option<String>,
}

/// A suspended copy, in a group of the caller's own.
pub(crate) async fn fork(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<(StatusCode, Shown), Problem> {
    let asked: Fork = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let group = asked.group.as_deref().unwrap_or(control::GROUP_DEFAULT);
    let applied = state.platform.fork_dagger(&actor, &name, &asked.name, group).await?;
    Ok((StatusCode::CREATED, Shown(applied_json(applied))))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    topic: String,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    partitions: Option<u32>,
    /// The Kafka cluster on which a topic is made that is not there.
    #[serde(default)]
    cluster: Option<String>,
    /// On a Kafka cluster: `exactlyOnce` (seen once a checkpoint is there) or `atLeastOnce`.
    #[serde(default)]
    delivery: Option<String>,
    /// On a Kafka cluster: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[serde(default)]
    compression: Option<String>,
}

/// The results go to a topic, too.
pub(crate) async fn publish(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let asked: Publish = control::document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let to = PublishTo {
        topic: asked.topic,
        schema: asked.schema,
        key: asked.key,
        partitions: asked.partitions,
        cluster: asked.cluster,
        delivery: asked.delivery,
        compression: asked.compression,
    };
    Ok(Shown(applied_json(state.platform.publish_dagger(&actor, &name, to).await?)))
}

pub(crate) fn applied_json(applied: Applied) -> Value {
    json!({ "change": applied.change.as_str(), "warnings": applied.warnings, "resource": applied.resource })
}
