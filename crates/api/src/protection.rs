//! What keeps the server well whatever is sent: a time limit on answering, and no orders from other web pages.

use crate::problem::Problem;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::ControlError;
use std::time::Duration;

/// For the answer to begin; a stream may then go on for as long as it is listened to.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let error =
                ControlError::unavailable("timeout", format!("no answer within {} s", ANSWER_TIME_MAX.as_secs()))
                    .with_hint("ask for less at once, or try again");
            Problem::with_status(StatusCode::GATEWAY_TIMEOUT, error).into_response()
        }
    }
}

/// A browser says on whose behalf it asks. A page of another origin has no business with this server.
pub(crate) async fn refuse_other_origins(request: Request, next: Next) -> Response {
    match is_from_elsewhere(request.headers()) {
        false => next.run(request).await,
        true => {
            let error = ControlError::invalid("origin_refused", "the request comes from a page of another origin");
            Problem::with_status(StatusCode::FORBIDDEN, error).into_response()
        }
    }
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, origin_host)| origin_host != host)
}
