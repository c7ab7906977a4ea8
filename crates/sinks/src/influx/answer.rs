//! What InfluxDB has said to lines.
//!
//! 1 and 2 write what they can and answer 400 or 422 with the first reason and a count, `partial write: ... dropped=3`; a
//! line that cannot be read counts as none. Only when as many were dropped as were given is it clear which; otherwise the
//! courier finds them by halves, and the rest is written again as the same points. 3 names the lines. What is not about points
//! (a database that is not named, HTTP where HTTPS is spoken) is somebody's to mend, so it is an outage.

use delivery::{Answer, CallError, EncodedBatch, ErrorClass, RecordError};
use serde::Deserialize;

use super::InfluxApi;
use crate::http::{Reply, shortened};

pub(super) fn judge(api: &InfluxApi, reply: &Reply, batch: &EncodedBatch) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => reply.taken(),
        400 | 422 => match api {
            InfluxApi::Three { .. } => judge_named(reply, batch),
            InfluxApi::One { .. } | InfluxApi::Two { .. } => judge_counted(reply, batch),
        },
        _ => Err(reply.error()),
    }
}

/// What the servers say of points in the JSON of a 400 or 422.
const ABOUT_POINTS: [&str; 8] = [
    "unable to parse",
    "parsing failed",
    "failed to parse",
    "partial write",
    "field type conflict",
    "beyond retention policy",
    "max key length",
    "line protocol",
];

fn not_taken(reply: &Reply) -> CallError {
    let is_json = serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok();
    let reason = reply.reason();
    match is_json && ABOUT_POINTS.iter().any(|words| reason.contains(words)) {
        true => CallError::new(ErrorClass::Refused, reason),
        false => reply.error(),
    }
}

fn judge_counted(reply: &Reply, batch: &EncodedBatch) -> Result<Answer, CallError> {
    let error = not_taken(reply);
    if error.class != ErrorClass::Refused {
        return Err(error);
    }
    let reason = error.reason;
    if dropped(&reply.text()) != Some(batch.len()) {
        return Err(CallError::new(ErrorClass::Refused, reason));
    }
    let refused = |index| RecordError { index, class: ErrorClass::Refused, reason: reason.clone() };
    Ok(Answer { errors: (0..batch.len()).map(refused).collect(), retry_after: None })
}

/// The number after `dropped=`.
fn dropped(text: &str) -> Option<usize> {
    let (_, rest) = text.rsplit_once("dropped=")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

#[derive(Deserialize)]
struct Partial {
    data: Vec<RefusedLine>,
}

#[derive(Deserialize)]
struct RefusedLine {
    error_message: String,
    /// From 1.
    line_number: usize,
}

fn judge_named(reply: &Reply, batch: &EncodedBatch) -> Result<Answer, CallError> {
    let unnamed = || not_taken(reply);
    let Ok(Partial { data }) = serde_json::from_slice(&reply.body) else { return Err(unnamed()) };
    let firsts = first_lines(batch);
    let mut errors: Vec<RecordError> = Vec::with_capacity(data.len());
    for line in data {
        // A text with line feeds makes a record of several lines.
        let Some(index) = firsts.partition_point(|first| *first <= line.line_number).checked_sub(1) else {
            return Err(unnamed());
        };
        errors.push(RecordError { index, class: ErrorClass::Refused, reason: shortened(&line.error_message) });
    }
    errors.sort_by_key(|error| error.index);
    errors.dedup_by_key(|error| error.index);
    if errors.is_empty() {
        return Err(unnamed());
    }
    Ok(Answer { errors, retry_after: None })
}

/// The line on which each record begins, from 1.
fn first_lines(batch: &EncodedBatch) -> Vec<usize> {
    let mut line = 1;
    let first = |record: usize| {
        let first = line;
        line += batch.record(record).iter().filter(|byte| **byte == b'\n').count();
        first
    };
    (0..batch.len()).map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};

    fn batch(records: &[&str]) -> EncodedBatch {
        let mut builder = EncodedBatchBuilder::default();
        records.iter().for_each(|record| builder.push(record.as_bytes()));
        builder.finish()
    }

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    fn one() -> InfluxApi {
        InfluxApi::One { database: "d".into(), retention_policy: None }
    }

    const CONFLICT: &str = r#"{"error":"partial write: field type conflict: input field \"v\" on measurement \"m\" is type float, already exists as type integer dropped=2"}"#;

    #[test]
    fn who_was_dropped_is_known_when_all_were() {
        let all = judge(&one(), &reply(400, CONFLICT), &batch(&["a\n", "b\n"])).unwrap();
        assert_eq!(all.errors.iter().map(|error| error.index).collect::<Vec<_>>(), [0, 1]);
        assert!(all.errors[0].reason.contains("field type conflict"));
        let some = judge(&one(), &reply(400, CONFLICT), &batch(&["a\n", "b\n", "c\n"])).unwrap_err();
        assert_eq!(some.class, ErrorClass::Refused);
        let unread = r#"{"error":"unable to parse 'm v=': missing field value"}"#;
        assert_eq!(judge(&one(), &reply(400, unread), &batch(&["a\n"])).unwrap_err().class, ErrorClass::Refused);
        let two = InfluxApi::Two { org: "o".into(), bucket: "b".into() };
        let body = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: x dropped=1"}"#;
        assert_eq!(judge(&two, &reply(422, body), &batch(&["a\n"])).unwrap().errors.len(), 1);
    }

    #[test]
    fn version_3_names_the_lines() {
        let body = r#"{"error":"partial write of line protocol occurred","data":[
            {"original_line":"m v=x","line_number":5,"error_message":"no"},
            {"original_line":"m v=","line_number":1,"error_message":"bad"}]}"#;
        let three = InfluxApi::Three { database: "d".into() };
        let answer = judge(&three, &reply(400, body), &batch(&["a\n", "s=\"1\n2\n3\"\n", "c\n", "d\n"])).unwrap();
        let errors: Vec<(usize, &str)> =
            answer.errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
        assert_eq!(errors, [(0, "bad"), (2, "no")]);
        let unnamed = reply(400, r#"{"error":"parsing failed for line protocol"}"#);
        assert_eq!(judge(&three, &unnamed, &batch(&["a\n"])).unwrap_err().class, ErrorClass::Refused);
    }

    #[test]
    fn what_is_not_about_lines_is_an_outage() {
        for (status, class) in [
            (401, ErrorClass::Auth),
            (403, ErrorClass::Auth),
            (404, ErrorClass::Down),
            (413, ErrorClass::Refused),
            (429, ErrorClass::Throttled),
            (302, ErrorClass::Down),
            // A page of some other server.
            (200, ErrorClass::Down),
            // Not about points.
            (400, ErrorClass::Down),
            (422, ErrorClass::Down),
            (500, ErrorClass::Down),
            (503, ErrorClass::Down),
        ] {
            let error = judge(&one(), &reply(status, "{\"error\":\"words\"}"), &batch(&["a\n"])).unwrap_err();
            assert_eq!(error.class, class, "{status}");
        }
        let plain = reply(400, "Client sent an HTTP request to an HTTPS server.\n");
        let three = InfluxApi::Three { database: "d".into() };
        for api in [one(), three] {
            assert_eq!(judge(&api, &plain, &batch(&["a\n"])).unwrap_err().class, ErrorClass::Down);
        }
        let mut told = reply(429, "");
        told.headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(told.error().retry_after, Some(std::time::Duration::from_secs(7)));
        let mut elsewhere = reply(301, "");
        elsewhere.headers.insert(LOCATION, "http://10.0.0.1/".parse().unwrap());
        assert!(elsewhere.error().reason.contains("redirects are not followed"));
    }
}
