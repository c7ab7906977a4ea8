//! `GET /api/v1/topics/NAME/records`: the last records, those from a time on, or those that come.

use crate::AppState;
use crate::problem::Problem;
use crate::query::Query;
use crate::streaming::answer;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use control::{ControlError, Follow, TailFrom, TailRequest, now_ms, parse_time};
use futures::StreamExt;
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

const LIMIT_DEFAULT: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TailQuery {
    /// `earliest`, `latest` or a time; without it the last records that are there.
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    partition: Option<u32>,
    /// Where to begin in the partition, instead of `from`.
    #[serde(default)]
    offset: Option<i64>,
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
    let from = match (query.from.as_deref(), query.offset) {
        (Some(_), Some(_)) => {
            return Err(ControlError::invalid(
                "query_invalid",
                "say where to begin by `from` or by `offset`, not both",
            )
            .into());
        }
        (None, Some(_)) if query.partition.is_none() => {
            return Err(ControlError::invalid("query_invalid", "an `offset` needs its `partition`").into());
        }
        (None, Some(offset)) => TailFrom::Offset(offset),
        (None, None) => TailFrom::Last,
        (Some("earliest"), None) => TailFrom::Earliest,
        (Some("latest"), None) => TailFrom::Latest,
        (Some(time), None) => TailFrom::Time(parse_time(time, now_ms())?),
    };
    let limit = match from {
        TailFrom::Last => Some(query.limit.unwrap_or(LIMIT_DEFAULT)),
        _ => query.limit,
    };
    let follow = if query.follow { Follow::Yes } else { Follow::No };
    let records = state.platform.tail(&topic, TailRequest { from, partition: query.partition, limit, follow }).await?;
    let lines = ReceiverStream::new(records).map(|record| {
        record.map(|record| {
            let mut line = record.json.to_string();
            line.push('\n');
            Bytes::from(line)
        })
    });
    Ok(answer(&headers, lines, state.stopping))
}
