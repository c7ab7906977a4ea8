//! Reading request bodies, with limits that are said when they are passed.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use control::ControlError;

/// One document that a person wrote, or a small request.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Records of one publish, or the files of one schema push.
pub(crate) const BULK_BYTES_MAX: usize = 32 * 1024 * 1024;

pub(crate) enum Unreadable {
    TooLarge,
    Broken(String),
}

pub(crate) async fn read_bytes(body: Body, bytes_max: usize) -> Result<Bytes, Unreadable> {
    axum::body::to_bytes(body, bytes_max).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(current) = cause {
            if current.to_string().contains("length limit") {
                return Unreadable::TooLarge;
            }
            cause = current.source();
        }
        Unreadable::Broken(format!("the request's body could not be read: {error}"))
    })
}

pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    read_bytes(body, bytes_max).await.map_err(|error| match error {
        Unreadable::TooLarge => {
            ControlError::too_large("body_too_large", format!("the request has more than {bytes_max} bytes"))
                .with_hint("send it in several requests")
                .into()
        }
        Unreadable::Broken(text) => ControlError::invalid("body_unreadable", text).into(),
    })
}

pub(crate) async fn read_text(body: Body, bytes_max: usize) -> Result<String, Problem> {
    String::from_utf8(read(body, bytes_max).await?.into())
        .map_err(|_| ControlError::invalid("body_unreadable", "the request's body is not UTF-8 text").into())
}

/// The media type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let written = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accepted| {
        accepted.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == media_type)
    })
}
