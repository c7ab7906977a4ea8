//! `GET /api/v1/topics/NAME/records`: the last records, those from a time on, or those that come.

use crate::AppState;
use crate::problem::Problem;
use crate::streaming::answer;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use control::{Follow, TailFrom, TailRequest, now_ms, parse_time};
use futures::StreamExt;
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;

const LIMIT_DEFAULT: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailQuery {
    /// `earliest`, `latest` or a time; without it the last records that are there.
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn tail(
    State(state): State<AppState>,
    Path(topic): Path<String>,
    Query(query): Query<TailQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = match query.from.as_deref() {
        None => TailFrom::Last,
        Some("earliest") => TailFrom::Earliest,
        Some("latest") => TailFrom::Latest,
        Some(time) => TailFrom::Time(parse_time(time, now_ms())?),
    };
    let limit = match from {
        TailFrom::Last => Some(query.limit.unwrap_or(LIMIT_DEFAULT)),
        _ => query.limit,
    };
    let follow = if query.follow { Follow::Yes } else { Follow::No };
    let records = state.platform.tail(&topic, TailRequest { from, limit, follow }).await?;
    let lines = ReceiverStream::new(records).map(|record| {
        record.map(|record| {
            let mut line = record.json.to_string();
            line.push('\n');
            Bytes::from(line)
        })
    });
    Ok(answer(&headers, lines, state.stopping))
}
