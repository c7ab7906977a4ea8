//! What Mixpanel has said to events: 200 with their number, or 400 with those that it has not imported; it has the others.
//!
//! <https://docs.mixpanel.com/troubleshooting/errors/400-bad-request>

use delivery::{Answer, CallError, ErrorClass, RecordError};
use serde::Deserialize;

use crate::http::{Reply, shortened};

#[derive(Deserialize)]
struct Said {
    num_records_imported: Option<usize>,
    #[serde(default)]
    failed_records: Vec<Failed>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Failed {
    index: usize,
    field: Option<String>,
    message: Option<String>,
}

/// Of so many events.
pub(super) fn judge(reply: &Reply, events: usize) -> Result<Answer, CallError> {
    let status = reply.status.as_u16();
    if !matches!(status, 200..=299 | 400) {
        return Err(reply.error());
    }
    // A page of a proxy, or of some other server.
    let strange = |_| {
        CallError::new(
            ErrorClass::Down,
            format!("it answers {} with words that Mixpanel does not use: {}", reply.status, reply.reason()),
        )
    };
    let said: Said = serde_json::from_slice(&reply.body).map_err(strange)?;
    let errors = failed(&said.failed_records);
    let is_sure = errors.iter().all(|error| error.index < events);
    // Those that are there already count as imported.
    let imported = said.num_records_imported.unwrap_or(if status == 400 { 0 } else { events });
    match is_sure && imported + errors.len() >= events {
        true => Ok(Answer { errors, retry_after: None }),
        // It is not clear which, so they are found by halves. What is imported again is known again.
        false => {
            let reason = said.error.unwrap_or_default();
            let words = format!(
                "it answers {}, {imported} of {events} imported, and does not say which are not: {reason}",
                reply.status
            );
            Err(CallError::new(ErrorClass::Refused, shortened(&words)))
        }
    }
}

fn failed(records: &[Failed]) -> Vec<RecordError> {
    let error = |failed: &Failed| {
        let said = failed.message.as_deref().unwrap_or("no reason");
        let reason = match failed.field.as_deref().filter(|field| !said.contains(field)) {
            Some(field) => format!("{field}: {said}"),
            None => said.to_owned(),
        };
        RecordError { index: failed.index, class: ErrorClass::Refused, reason: shortened(&reason) }
    };
    let mut errors: Vec<RecordError> = records.iter().map(error).collect();
    errors.sort_by_key(|error| error.index);
    errors.dedup_by_key(|error| error.index);
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    fn answer(status: u16, body: &'static str, events: usize) -> Result<Answer, CallError> {
        let status = StatusCode::from_u16(status).unwrap();
        judge(&Reply { status, headers: HeaderMap::new(), body: body.into() }, events)
    }

    const PARTIAL: &str = r#"{"code":400,"error":"some data points in the request failed validation","status":"Bad Request",
        "num_records_imported":2,"failed_records":[
            {"index":2,"insert_id":"b","field":"properties.time","message":"'properties.time' is invalid"},
            {"index":0,"insert_id":"a","field":"event","message":"must be a string"}]}"#;

    #[test]
    fn a_400_names_what_is_not_imported() {
        let errors = answer(400, PARTIAL, 4).unwrap().errors;
        let errors: Vec<_> = errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
        assert_eq!(errors, [(0, "event: must be a string"), (2, "'properties.time' is invalid")]);
        assert_eq!(answer(200, r#"{"code":200,"num_records_imported":4,"status":"OK"}"#, 4), Ok(Answer::delivered()));
    }

    #[test]
    fn what_is_not_clear_is_not_taken_as_delivered() {
        for (status, body, events, class) in [
            (400, PARTIAL, 5, ErrorClass::Refused),
            (400, PARTIAL, 2, ErrorClass::Refused),
            (400, r#"{"code":400,"error":"invalid JSON"}"#, 1, ErrorClass::Refused),
            (200, r#"{"code":200,"num_records_imported":3,"status":"OK"}"#, 4, ErrorClass::Refused),
            (400, "<html>", 1, ErrorClass::Down),
            (200, "OK", 1, ErrorClass::Down),
            (401, "{}", 1, ErrorClass::Auth),
            (403, "{}", 1, ErrorClass::Auth),
            (413, "{}", 2, ErrorClass::Refused),
            (429, "{}", 1, ErrorClass::Throttled),
            (502, "{}", 1, ErrorClass::Down),
        ] {
            assert_eq!(answer(status, body, events).unwrap_err().class, class, "{status} {body}");
        }
    }
}
