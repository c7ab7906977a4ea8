//! `GET /api/v1/events`: changes of resources and states of daggers as they happen.

use crate::AppState;
use crate::streaming::answer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

/// One JSON object an event. A listener that was too slow gets `{"event": "missed"}` and should read the lists anew.
pub(crate) async fn listen(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let events = BroadcastStream::new(state.platform.events().listen()).map(|event| {
        let line = match event {
            Ok(event) => event.to_json(),
            Err(_) => serde_json::json!({ "event": "missed" }),
        };
        Ok(Bytes::from(format!("{line}\n")))
    });
    answer(&headers, events, state.stopping)
}
