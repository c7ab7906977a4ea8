//! What CleverTap has said to records: `{status, processed, unprocessed: [{status, code, error, record}]}` with the status 200,
//! also when it has taken none of them. Which they are it says by giving them back.
//!
//! <https://developer.clevertap.com/docs/api-errors>

use std::collections::HashMap;

use delivery::{Answer, CallError, EncodedBatch, ErrorClass, RecordError};
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Reply, shortened};

/// "Miscellaneous server error", which is not the record's fault.
const SERVER_ERROR: i64 = 555;

/// Up to here floating point has every whole number.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

#[derive(Deserialize)]
struct Said {
    status: String,
    processed: Option<usize>,
    #[serde(default)]
    unprocessed: Vec<Unprocessed>,
}

#[derive(Deserialize)]
struct Unprocessed {
    code: Option<i64>,
    error: Option<String>,
    #[serde(default)]
    record: Value,
}

pub(super) fn judge(reply: &Reply, batch: &EncodedBatch) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => {}
        400 if serde_json::from_slice::<Value>(&reply.body).is_ok() => {
            return Err(CallError::new(ErrorClass::Refused, format!("it answers 400: {}", reply.reason())));
        }
        _ => return Err(reply.error()),
    }
    let strange = |_| {
        let reason = format!("it answers {} with words that CleverTap does not use: {}", reply.status, reply.reason());
        CallError::new(ErrorClass::Down, reason)
    };
    let said: Said = serde_json::from_slice(&reply.body).map_err(strange)?;
    let missing = batch.len() - said.processed.unwrap_or(batch.len()).min(batch.len());
    if said.unprocessed.is_empty() && missing == 0 && said.status == "success" {
        return Ok(Answer::delivered());
    }
    let errors = named(&said.unprocessed, batch);
    match errors {
        Some(errors) if !errors.is_empty() && errors.len() >= missing => Ok(Answer { errors, retry_after: None }),
        // It is not clear which, so they are found by halves.
        _ => Err(CallError::new(unclear_class(&said.unprocessed), unclear(&said, batch.len()))),
    }
}

fn unclear(said: &Said, records: usize) -> String {
    let reason = said.unprocessed.iter().find_map(|unprocessed| unprocessed.error.clone());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let processed = said.processed.unwrap_or_default();
    shortened(&format!(
        "it answers `{}`, {processed} of {records} processed, and does not say which are not{reason}",
        said.status
    ))
}

fn unclear_class(unprocessed: &[Unprocessed]) -> ErrorClass {
    match !unprocessed.is_empty() && unprocessed.iter().all(|unprocessed| unprocessed.code == Some(SERVER_ERROR)) {
        true => ErrorClass::Down,
        false => ErrorClass::Refused,
    }
}

/// The records that are given back, found among those that were sent; `None` if one is not found.
fn named(unprocessed: &[Unprocessed], batch: &EncodedBatch) -> Option<Vec<RecordError>> {
    let mut sent: HashMap<String, Vec<usize>> = HashMap::with_capacity(batch.len());
    // The last ones first, so that equal ones are taken in their order.
    for index in (0..batch.len()).rev() {
        let record: Value = serde_json::from_slice(batch.record(index)).ok()?;
        sent.entry(canonical(&record)).or_default().push(index);
    }
    let mut errors = Vec::with_capacity(unprocessed.len());
    for unprocessed in unprocessed {
        let index = match (&unprocessed.record, batch.len()) {
            (_, 1) => 0,
            // Given back as text.
            (Value::String(text), _) => sent.get_mut(&canonical(&serde_json::from_str(text).ok()?))?.pop()?,
            (record, _) => sent.get_mut(&canonical(record))?.pop()?,
        };
        let said = unprocessed.error.as_deref().unwrap_or("no reason");
        let reason = match unprocessed.code {
            Some(code) => format!("{code}: {said}"),
            None => said.to_owned(),
        };
        let class = if unprocessed.code == Some(SERVER_ERROR) { ErrorClass::Down } else { ErrorClass::Refused };
        errors.push(RecordError { index, class, reason: shortened(&reason) });
    }
    errors.sort_by_key(|error| error.index);
    errors.dedup_by_key(|error| error.index);
    Some(errors)
}

/// Equal for equal values, in whatever order and form they are written.
fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::String(name.clone()).to_string());
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            values.iter().for_each(|value| write_canonical(value, text));
            text.push(']');
        }
        Value::Number(number) => {
            // 5 and 5.0 are the same to others.
            let whole =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < WHOLE_MAX);
            text.push_str(&whole.map_or_else(|| number.to_string(), |float| (float as i64).to_string()));
            text.push(' ');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    fn batch(records: &[Value]) -> EncodedBatch {
        let mut builder = EncodedBatchBuilder::default();
        records.iter().for_each(|record| builder.push(record.to_string().as_bytes()));
        builder.finish()
    }

    fn answer(status: u16, body: &Value, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let status = StatusCode::from_u16(status).unwrap();
        judge(&Reply { status, headers: HeaderMap::new(), body: body.to_string().into() }, batch)
    }

    #[test]
    fn records_that_are_given_back_are_found() {
        let event = |identity: &str, price: f64| json!({ "identity": identity, "type": "event", "evtData": { "a": 1, "price": price } });
        let batch = batch(&[event("a", 5.0), event("b", 5.0), event("a", 5.0), event("c", 1.0)]);
        // Members in another order, and a number in another form.
        let back = |identity: &str, code: i64| {
            let record: Result<Value, _> = serde_json::from_str(&format!(
                r#"{{"type":"event","evtData":{{"price":5,"a":1}},"identity":"{identity}"}}"#
            ));
            json!({ "status": "fail", "code": code, "error": "no", "record": record.unwrap() })
        };
        let said = json!({ "status": "partial", "processed": 1, "unprocessed": [back("a", 522), back("b", 555), back("a", 509)] });
        let errors = answer(200, &said, &batch).unwrap().errors;
        let errors: Vec<_> = errors.iter().map(|error| (error.index, error.class, error.reason.as_str())).collect();
        assert_eq!(
            errors,
            [
                (0, ErrorClass::Refused, "522: no"),
                (1, ErrorClass::Down, "555: no"),
                (2, ErrorClass::Refused, "509: no")
            ]
        );
        let success = json!({ "status": "success", "processed": 4, "unprocessed": [] });
        assert_eq!(answer(200, &success, &batch), Ok(Answer::delivered()));
    }

    #[test]
    fn what_is_not_clear_is_not_taken_as_delivered() {
        let records = batch(&[json!({ "identity": "a" }), json!({ "identity": "b" })]);
        let other = json!({ "status": "fail", "code": 523, "error": "no", "record": { "identity": "c" } });
        for (body, class) in [
            (json!({ "status": "partial", "processed": 1, "unprocessed": [other] }), ErrorClass::Refused),
            (json!({ "status": "success", "processed": 1, "unprocessed": [] }), ErrorClass::Refused),
            (json!({ "status": "fail" }), ErrorClass::Refused),
            (json!({ "hello": 1 }), ErrorClass::Down),
        ] {
            assert_eq!(answer(200, &body, &records).unwrap_err().class, class, "{body}");
        }
        // Of one record it is clear.
        let one = batch(&[json!({ "identity": "a" })]);
        let body = json!({ "status": "fail", "processed": 0, "unprocessed": [other] });
        assert_eq!(answer(200, &body, &one).unwrap().errors.len(), 1);
        for (status, class) in
            [(401, ErrorClass::Auth), (429, ErrorClass::Throttled), (503, ErrorClass::Down), (400, ErrorClass::Refused)]
        {
            assert_eq!(answer(status, &json!({ "status": "fail", "error": "x" }), &one).unwrap_err().class, class);
        }
    }
}
