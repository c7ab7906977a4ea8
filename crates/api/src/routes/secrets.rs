//! Secrets: written, listed by name, never shown.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::document;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": state.platform.secrets().await? })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretDocument {
    value: String,
    #[serde(default)]
    group: Option<String>,
}

pub(crate) async fn put(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(secret): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let asked: SecretDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    state.platform.put_secret(&actor, &secret, asked.group.as_deref(), &asked.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(secret): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_secret(&actor, &secret).await?;
    Ok(StatusCode::NO_CONTENT)
}
