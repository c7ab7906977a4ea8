//! Dagger clusters.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": state.platform.clusters().await? })))
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.cluster(&name).await?))
}

/// One DaggerCluster document: made, or changed.
pub(crate) async fn apply(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Shown, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    let (cluster, change) = state.platform.apply_cluster(&actor, &text).await?;
    Ok(Shown(json!({ "change": change.as_str(), "resource": cluster })))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_cluster(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
