//! `/query`: statements of InfluxQL, answered in InfluxDB's JSON, CSV or MessagePack.

use super::answer::Form;
use super::answer_writer::AnswerWriter;
use super::write::status;
use crate::AppState;
use crate::access::By;
use crate::body::{DOCUMENT_BYTES_MAX, Unreadable, media_type, read_bytes};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use control::InfluxRefusal;
use influxql::{Precision, QueryLimits, QueryOptions, StatementChunk};
use serde_json::Value;
use std::collections::HashMap;
use tokio::sync::mpsc;

const CHUNK_ROWS_DEFAULT: usize = 10_000;

/// The parameters of one request: those of the body count before those of the address.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    async fn read(uri: &Uri, headers: &HeaderMap, body: Body) -> Result<Self, (StatusCode, String)> {
        let mut found = HashMap::new();
        match media_type(headers).as_str() {
            "application/x-www-form-urlencoded" => {
                let body = read_bytes(body, DOCUMENT_BYTES_MAX).await.map_err(|error| match error {
                    Unreadable::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large".to_owned()),
                    Unreadable::Broken(text) => (StatusCode::BAD_REQUEST, text),
                })?;
                put_all(&mut found, &body);
            }
            "multipart/form-data" => {
                let text =
                    "multipart/form-data is not read here; send the query as a form (curl --data-urlencode \"q@file\")";
                return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, text.to_owned()));
            }
            _ => {}
        }
        put_all(&mut found, uri.query().unwrap_or_default().as_bytes());
        Ok(Self(found))
    }
}

fn put_all(found: &mut HashMap<String, String>, form: &[u8]) {
    for (key, value) in form_urlencoded::parse(form) {
        found.entry(key.into_owned()).or_insert_with(|| value.into_owned());
    }
}

/// `GET` asks, `POST` may change something, too.
pub(crate) async fn query(
    State(state): State<AppState>,
    By(caller): By,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = Form::of(&headers, &uri);
    let refuse = |status: StatusCode, text: &str| form.error(status, text);
    let parameters = match Parameters::read(&uri, &headers, body).await {
        Ok(parameters) => parameters,
        Err((status, text)) => return refuse(status, &text),
    };
    if parameters.get("q").is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "missing required parameter \"q\"");
    }
    let values = match query_parameters(parameters.get("params")) {
        Ok(values) => values,
        Err(text) => return refuse(StatusCode::BAD_REQUEST, &text),
    };
    let text = parameters.get("q").to_owned();
    // Regular expressions take long to read.
    let statements = match tokio::task::spawn_blocking(move || influxql::parse(&text, &values)).await {
        Ok(Ok(statements)) => statements,
        Ok(Err(error)) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let is_chunked = parameters.get("chunked") == "true";
    let chunk_rows = parameters.get("chunk_size").parse().ok().filter(|rows| *rows > 0).unwrap_or(CHUNK_ROWS_DEFAULT);
    // A unit that is none is nanoseconds to InfluxDB.
    let unit = |name: &str| Precision::by_name(name).unwrap_or(Precision::Nanoseconds);
    let epoch = Some(parameters.get("epoch")).filter(|name| !name.is_empty()).map(unit);
    let given = |name: &str| Some(parameters.get(name)).filter(|value| !value.is_empty()).map(str::to_owned);
    let options = QueryOptions {
        database: given("db"),
        retention_policy: given("rp"),
        epoch,
        chunk_rows: is_chunked.then_some(chunk_rows),
        now_nanos: 0,
        may_write: method == Method::POST,
        limits: QueryLimits::default(),
    };
    let mut answers = match state.platform.influx_query(caller, statements, options).await {
        Ok(answers) => answers,
        Err(refusal) => return refuse(status(&refusal), &refusal.to_string()),
    };
    if parameters.get("async") == "true" {
        tokio::spawn(async move { while answers.recv().await.is_some() {} });
        return StatusCode::NO_CONTENT.into_response();
    }
    let first = match answers.recv().await {
        Some(Err(refusal)) => return refuse(status(&refusal), &refusal.to_string()),
        first => first.and_then(Result::ok),
    };
    let writer = AnswerWriter::new(form, epoch);
    let body = match is_chunked {
        true => Body::from_stream(writer.chunks(first, answers)),
        false => match writer.whole(first, answers).await {
            Ok(bytes) => Body::from(bytes),
            Err((status, text)) => return refuse(status, &text),
        },
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, form.media_type());
    response
}

/// The values of `$name` in the query. A number without a point is an integer.
fn query_parameters(text: &str) -> Result<HashMap<String, Value>, String> {
    if text.is_empty() {
        return Ok(HashMap::new());
    }
    serde_json::from_str(text).map_err(|error| format!("error parsing query parameters: {error}"))
}

/// Parts of answers as they come.
pub(super) type Answers = mpsc::Receiver<Result<StatementChunk, InfluxRefusal>>;
