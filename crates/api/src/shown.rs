//! One resource as an answer, with its generation as the ETag that `If-Match` takes.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub(crate) struct Shown(pub Value);

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        // An answer to a change has the resource inside.
        let generation = ["/metadata/generation", "/resource/metadata/generation"];
        let generation = generation.iter().find_map(|pointer| self.0.pointer(pointer)).and_then(Value::as_i64);
        let etag = generation.and_then(|generation| HeaderValue::from_str(&format!("\"{generation}\"")).ok());
        let mut response = Json(self.0).into_response();
        if let Some(etag) = etag {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}
