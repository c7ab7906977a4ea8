//! `POST /api/v1/topics/NAME/records`: how any service in any language publishes.
//!
//! Bodies: `application/json` with one record `{"value": {..}, "key": "..", "headers": {..}, "timestamp": ".."}`, a list of
//! them, or `{"records": [..]}`; `application/x-ndjson` with one bare message a line; `application/x-protobuf` with
//! varint-delimited messages. `?key_field=FIELD` takes each key from a field; `?key=` and `?timestamp=` hold for all
//! records of a body that has no place for them.

use crate::AppState;
use crate::body::{BULK_BYTES_MAX, media_type, read};
use crate::problem::{Problem, document, status_of};
use crate::query::Query;
use crate::streaming::NDJSON;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control::records::{DraftKey, DraftValue, RecordDraft, RecordOutcome, split_delimited};
use control::{ControlError, now_ms, parse_time};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PublishQuery {
    #[serde(default)]
    key_field: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
}

type Draft = Result<RecordDraft, ControlError>;

/// 200 when every record was acknowledged, 207 when some were, 422 when none was; the answer has one entry per record,
/// in order, either way.
pub(crate) async fn publish(
    State(state): State<AppState>,
    Path(topic): Path<String>,
    Query(query): Query<PublishQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read(body, BULK_BYTES_MAX).await?;
    let mut drafts = match media_type(&headers).as_str() {
        "application/json" | "" => json_drafts(&body)?,
        NDJSON | "application/ndjson" | "application/jsonl" => ndjson_drafts(&body),
        "application/x-protobuf" | "application/protobuf" | "application/octet-stream" => protobuf_drafts(body),
        other => {
            let error = ControlError::invalid("media_type_unknown", format!("records cannot be read from `{other}`"))
                .with_hint("send application/json, application/x-ndjson or application/x-protobuf");
            return Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
    };
    add_shared(&mut drafts, &query)?;
    let produced = state.platform.produce(&topic, drafts, query.key_field.as_deref()).await?;
    let status = match (produced.acknowledged(), produced.refused()) {
        (_, 0) => StatusCode::OK,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::MULTI_STATUS,
    };
    let records: Vec<Value> = produced.outcomes.iter().map(outcome_json).collect();
    let answer = json!({ "acknowledged": produced.acknowledged(), "refused": produced.refused(), "records": records });
    Ok((status, Json(answer)).into_response())
}

fn outcome_json(outcome: &RecordOutcome) -> Value {
    match outcome {
        RecordOutcome::Acknowledged(ack) => json!({
            "partition": ack.partition, "offset": ack.offset, "timestamp": control::time_text(ack.timestamp_ms),
        }),
        RecordOutcome::Refused(error) => json!({ "error": document(status_of(error.kind), error) }),
    }
}

fn add_shared(drafts: &mut [Draft], query: &PublishQuery) -> Result<(), Problem> {
    let timestamp_ms = query.timestamp.as_deref().map(|text| parse_time(text, now_ms())).transpose()?;
    for draft in drafts.iter_mut().flatten() {
        draft.timestamp_ms = draft.timestamp_ms.or(timestamp_ms);
        if let (DraftKey::None, Some(key)) = (&draft.key, &query.key) {
            draft.key = DraftKey::JsonValue(key.as_str().into());
        }
    }
    Ok(())
}

fn protobuf_drafts(body: Bytes) -> Vec<Draft> {
    split_delimited(body, BULK_BYTES_MAX)
        .into_iter()
        .map(|message| {
            message.map(|bytes| RecordDraft { value: DraftValue::Protobuf(bytes), ..RecordDraft::default() })
        })
        .collect()
}

fn ndjson_drafts(body: &Bytes) -> Vec<Draft> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| Ok(RecordDraft { value: DraftValue::Json(body.slice_ref(line)), ..RecordDraft::default() }))
        .collect()
}

fn json_drafts(body: &Bytes) -> Result<Vec<Draft>, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        ControlError::invalid("body_invalid", format!("the body is not JSON: {error}")).at(error.line(), error.column())
    })?;
    let records = match value {
        Value::Array(records) => records,
        Value::Object(mut object) => match object.remove("records") {
            Some(Value::Array(records)) if object.is_empty() => records,
            Some(_) => {
                let error =
                    ControlError::invalid("body_invalid", "`records` must be a list and the only key of the body");
                return Err(error.into());
            }
            None => vec![Value::Object(object)],
        },
        _ => return Err(ControlError::invalid("body_invalid", "the body is neither an object nor a list").into()),
    };
    Ok(records.into_iter().map(json_draft).collect())
}

fn invalid(detail: impl Into<String>) -> ControlError {
    ControlError::invalid("record_invalid", detail)
}

fn json_draft(record: Value) -> Draft {
    let Value::Object(mut record) = record else {
        return Err(invalid("a record is an object").with_hint("write {\"value\": {..}, \"key\": \"..\"}"));
    };
    let value = match (record.remove("value"), record.remove("valueBase64")) {
        (Some(Value::Null), None) => DraftValue::Tombstone,
        (Some(value), None) => DraftValue::JsonValue(value),
        (None, Some(Value::String(encoded))) => DraftValue::Bytes(from_base64("valueBase64", &encoded)?),
        _ => {
            return Err(invalid("a record has either `value` or `valueBase64`")
                .with_hint("put the message into `value`: {\"value\": {..}}"));
        }
    };
    let key = match (record.remove("key"), record.remove("keyBase64")) {
        (None | Some(Value::Null), None) => DraftKey::None,
        (Some(value), None) => DraftKey::JsonValue(value),
        (None, Some(Value::String(encoded))) => DraftKey::Bytes(from_base64("keyBase64", &encoded)?),
        _ => return Err(invalid("`key` is a text or JSON; bytes go into `keyBase64`, instead of it")),
    };
    let headers = match record.remove("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(headers)) => draft_headers(headers)?,
        Some(_) => return Err(invalid("`headers` is an object of texts")),
    };
    let timestamp_ms = match record.remove("timestamp") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(parse_time(&text, now_ms())?),
        Some(Value::Number(number)) => {
            Some(number.as_i64().ok_or_else(|| invalid("`timestamp` is RFC 3339 or milliseconds since 1970"))?)
        }
        Some(_) => return Err(invalid("`timestamp` is RFC 3339 or milliseconds since 1970")),
    };
    let partition = match record.remove("partition") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| invalid("`partition` is a number"))?,
        ),
    };
    if let Some((unknown, _)) = record.iter().next() {
        let known = ["value", "valueBase64", "key", "keyBase64", "headers", "timestamp", "partition"];
        let hint = match control::nearest(unknown, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys of a record are: {}", known.join(", ")),
        };
        return Err(
            ControlError::invalid("unknown_key", format!("unknown key `{unknown}` in a record")).with_hint(hint)
        );
    }
    Ok(RecordDraft { value, key, headers, timestamp_ms, partition })
}

fn draft_headers(headers: Map<String, Value>) -> Result<Vec<(String, Bytes)>, ControlError> {
    headers
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key, Bytes::from(text))),
            Value::Number(number) => Ok((key, Bytes::from(number.to_string()))),
            _ => Err(invalid(format!("the header `{key}` is not a text"))),
        })
        .collect()
}

fn from_base64(what: &str, encoded: &str) -> Result<Bytes, ControlError> {
    STANDARD.decode(encoded).map(Bytes::from).map_err(|error| invalid(format!("`{what}` is not base64: {error}")))
}
