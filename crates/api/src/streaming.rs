//! Answers that go on: one JSON object a line, or the same as server-sent events for browsers.

use crate::body::accepts;
use crate::problem::{document, status_of};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use control::ControlError;
use futures::{Stream, StreamExt};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const NDJSON: &str = "application/x-ndjson";
const EVENT_STREAM: &str = "text/event-stream";
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Sends chunks of whole lines as they come, until they end or the server does. An error half-way can no longer be a
/// status, so it is the last line: an object whose only key is `error`.
pub(crate) fn answer<S>(headers: &HeaderMap, chunks: S, stopping: watch::Receiver<bool>) -> Response
where
    S: Stream<Item = Result<Bytes, ControlError>> + Send + 'static,
{
    let chunks = chunks.take_until(until_stopping(stopping));
    if accepts(headers, EVENT_STREAM) {
        let events = chunks.flat_map(|chunk| futures::stream::iter(events(chunk)));
        return Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    }
    let lines = chunks.map(|chunk| Ok::<_, Infallible>(chunk.unwrap_or_else(|error| error_line(&error))));
    let mut response = Body::from_stream(lines).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response
}

async fn until_stopping(mut stopping: watch::Receiver<bool>) {
    // An error means that the server is gone, which is stopping too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn error_line(error: &ControlError) -> Bytes {
    let mut line = serde_json::json!({ "error": document(status_of(error.kind), error) }).to_string();
    line.push('\n');
    Bytes::from(line)
}

/// One event a line; the event `error` ends the stream.
fn events(chunk: Result<Bytes, ControlError>) -> Vec<Result<Event, Infallible>> {
    match chunk {
        Ok(lines) => lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| Ok(Event::default().event("row").data(String::from_utf8_lossy(line))))
            .collect(),
        Err(error) => {
            let text = serde_json::to_string(&document(status_of(error.kind), &error)).unwrap_or_default();
            vec![Ok(Event::default().event("error").data(text))]
        }
    }
}
