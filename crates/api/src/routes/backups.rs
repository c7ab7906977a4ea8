//! Copies of the series.

use crate::AppState;
use crate::access::By;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Ends when the copy is whole.
pub(crate) async fn create(
    State(state): State<AppState>,
    By(caller): By,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let backup = state.platform.back_up_series(&caller).await?;
    let document = json!({ "directory": backup.directory.display().to_string(), "bytes": backup.bytes });
    Ok((StatusCode::CREATED, Json(document)))
}
