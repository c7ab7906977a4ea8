//! Topics as resources.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::listing::{Column, ListQuery, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::TopicSpec;
use serde_json::Value;

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("group", "/metadata/group"),
    ("schema", "/spec/schema"),
    ("partitions", "/spec/partitions"),
    ("records", "/status/records"),
    ("size", "/status/bytes"),
];

pub(crate) async fn list(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let items: Vec<Value> = state.platform.topics().await?.iter().map(control::TopicStatus::to_json).collect();
    Ok(Json(page(items, &query, COLUMNS)?))
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.topic(&name).await?.to_json()))
}

/// A Topic document, YAML or JSON. Unlike `apply`, one that exists is a conflict.
pub(crate) async fn create(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<(StatusCode, Shown), Problem> {
    let (metadata, spec) = TopicSpec::parse(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok((StatusCode::CREATED, Shown(state.platform.create_topic(&actor, &metadata, &spec).await?.to_json())))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_topic(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
