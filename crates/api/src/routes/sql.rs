//! `POST /api/v1/sql`: one SELECT over the measurements.

use crate::AppState;
use crate::access::By;
use crate::body::{DOCUMENT_BYTES_MAX, accepts, media_type, read_text};
use crate::problem::Problem;
use crate::streaming::NDJSON;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, QueryResult, document};
use rows::RowWriter;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlDocument {
    sql: String,
}

/// The body is `{"sql": ".."}`, or with `Content-Type: text/plain` the bare text. The answer is
/// `{"columns": [{"name", "type"}], "rows": [{..}]}`, or the rows alone for `Accept: application/x-ndjson`.
pub(crate) async fn query(
    State(state): State<AppState>,
    By(caller): By,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    let sql = match media_type(&headers).as_str() {
        "text/plain" | "application/sql" => text,
        _ => document::parse_json::<SqlDocument>(&text)?.sql,
    };
    let result = state.platform.query(&caller, &sql).await?;
    let as_lines = accepts(&headers, NDJSON);
    let bytes = tokio::task::spawn_blocking(move || if as_lines { lines(&result) } else { whole(&result) })
        .await
        .map_err(ControlError::from)??;
    let mut response = bytes.into_response();
    let media_type = if as_lines { NDJSON } else { "application/json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

fn lines(result: &QueryResult) -> Result<Vec<u8>, ControlError> {
    let mut out = Vec::new();
    for batch in &result.batches {
        rows::write_rows(batch, &mut out).map_err(no_json)?;
    }
    Ok(out)
}

fn whole(result: &QueryResult) -> Result<Vec<u8>, ControlError> {
    let mut out = b"{\"columns\":[".to_vec();
    for (index, field) in result.schema.fields().iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        rows::write_string(field.name(), &mut out);
        out.extend_from_slice(b",\"type\":");
        rows::write_string(&field.data_type().to_string(), &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"rows\":[");
    let writer = RowWriter::new(&result.schema);
    let mut is_first = true;
    for batch in &result.batches {
        let bound = writer.bind(batch).map_err(no_json)?;
        for row in 0..bound.len() {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            bound.write_row(row, &mut out);
        }
    }
    out.extend_from_slice(b"]}\n");
    Ok(out)
}

fn no_json(error: rows::UnsupportedType) -> ControlError {
    ControlError::invalid("no_json_form", error.to_string())
}
