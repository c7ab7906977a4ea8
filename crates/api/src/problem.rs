//! Errors as they leave the server.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, ErrorKind};
use serde::Serialize;

/// RFC 9457, with the members that Millrace adds.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemDocument {
    pub code: String,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: ControlError,
}

impl Problem {
    pub fn with_status(status: StatusCode, error: ControlError) -> Self {
        Self { status, error }
    }

    pub fn document(&self) -> ProblemDocument {
        document(self.status, &self.error)
    }
}

pub(crate) fn document(status: StatusCode, error: &ControlError) -> ProblemDocument {
    ProblemDocument {
        code: error.code.to_owned(),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: error.detail.clone(),
        hint: error.hint.clone(),
        line: error.position.map(|position| position.line),
        column: error.position.map(|position| position.column),
    }
}

pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        Self { status: status_of(error.kind), error }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.error.kind == ErrorKind::Internal {
            tracing::error!(detail = %self.error.detail, "a request failed by our own fault");
        }
        let mut response = (self.status, axum::Json(self.document())).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
