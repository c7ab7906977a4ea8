//! `POST /api/v1/daggers/{name}/diff`: what applying a draft would change, and what becomes of the state.

use crate::AppState;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use control::ControlError;
use serde_json::Value;

/// The body is a Dagger document, as for `apply`; nothing is made.
pub(crate) async fn diff(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let diff = state.platform.diff_dagger(&read_text(body, DOCUMENT_BYTES_MAX).await?).await?;
    if diff.name != name {
        let detail = format!("the document is of the dagger `{}`, the address of `{name}`", diff.name);
        return Err(ControlError::invalid("dagger_invalid", detail)
            .with_hint(format!("send it to `/api/v1/daggers/{}/diff`, or change `metadata.name`", diff.name))
            .into());
    }
    Ok(Json(diff.to_json()))
}
