//! `GET /api/v1/topics/NAME/records`: the last records, those from a time on, or those that come; and `/rate`: how many
//! there are over time.

use crate::AppState;
use crate::problem::Problem;
use crate::query::Query;
use crate::streaming::answer;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use control::{
    ControlError, Follow, RecordRate, ScanProgress, Shows, TailFilter, TailFrom, TailLine, TailRequest, now_ms,
    parse_time, time_text,
};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
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
    /// Only records for which this SQL condition over the fields of the message holds, such as
    /// `status = 'COMPLETED' AND order.total > 10000`. They come as they are found, not in order.
    #[serde(default, rename = "where")]
    condition: Option<String>,
    /// Only records whose JSON contains it, in whatever case. They come as they are found, not in order.
    #[serde(default)]
    text: Option<String>,
    /// Looks at so many records at most.
    #[serde(default)]
    scan: Option<u64>,
    /// Lines with the only key `progress` among the records, several times a second and one at the end of what is there.
    #[serde(default)]
    progress: bool,
    /// `keyBase64` and `valueBase64` with every record.
    #[serde(default)]
    raw: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RateQuery {
    /// A time; without it that of the first record that is there.
    #[serde(default)]
    from: Option<String>,
    /// A time; without it that of the last record.
    #[serde(default)]
    to: Option<String>,
    /// Steps of the answer, 1 to 500; 120 without it.
    #[serde(default)]
    buckets: Option<usize>,
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
    let request = TailRequest {
        from,
        partition: query.partition,
        limit,
        follow: if query.follow { Follow::Yes } else { Follow::No },
        filter: TailFilter { condition: given(query.condition), text: given(query.text) },
        scan: query.scan,
        shows: Shows { progress: query.progress, raw: query.raw },
    };
    let lines = ReceiverStream::new(state.platform.tail(&topic, request).await?).map(|line| {
        line.map(|line| {
            let json = match line {
                TailLine::Record(record) => record.json,
                TailLine::Progress(progress) => json!({ "progress": progress_json(&progress) }),
            };
            Bytes::from(format!("{json}\n"))
        })
    });
    Ok(answer(&headers, lines, state.stopping))
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn progress_json(progress: &ScanProgress) -> serde_json::Value {
    json!({
        "scanned": progress.scanned, "matched": progress.matched, "undecoded": progress.undecoded, "of": progress.of,
        "isDone": progress.end.is_some(), "end": progress.end.map(|end| end.as_str()),
    })
}

pub(crate) async fn rate(
    State(state): State<AppState>,
    Path(topic): Path<String>,
    Query(query): Query<RateQuery>,
) -> Result<Json<serde_json::Value>, Problem> {
    let time = |text: Option<String>| text.map(|text| parse_time(&text, now_ms())).transpose();
    let range = (time(query.from)?, time(query.to)?);
    let RecordRate { from_ms, to_ms, step_ms, counts, earliest_ms, latest_ms } =
        state.platform.record_rate(&topic, range, query.buckets).await?;
    Ok(Json(json!({
        "from": time_text(from_ms), "to": time_text(to_ms), "stepMs": step_ms, "counts": counts,
        "earliest": earliest_ms.map(time_text), "latest": latest_ms.map(time_text),
    })))
}
