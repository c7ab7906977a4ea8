//! What an answer means, by its status, and which records it is about.
//!
//! Unless somebody says otherwise, a status that an operator can do something about without touching the records (404, 405,
//! 415, a redirect, 5xx) is an outage; 400, 409, 412, 413, 414, 422 and 431 are about what was sent.

use std::collections::BTreeMap;

use delivery::{CallError, ErrorClass, RecordError};
use serde_json::Value;

use crate::SettingError;
use crate::http::{Reply, shortened};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Taken,
    /// Those that it does not name are taken.
    Partial,
    Refused,
    Down,
    Throttled,
    Auth,
}

/// Of statuses; what is said of one status goes before what is said of its class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusRules {
    statuses: BTreeMap<u16, Meaning>,
    /// By the first digit.
    classes: BTreeMap<u16, Meaning>,
}

const MEANINGS: [(&str, Meaning); 6] = [
    ("taken", Meaning::Taken),
    ("partial", Meaning::Partial),
    ("refused", Meaning::Refused),
    ("down", Meaning::Down),
    ("throttled", Meaning::Throttled),
    ("auth", Meaning::Auth),
];

impl StatusRules {
    /// From `{"404": "refused", "5xx": "down"}`.
    pub fn read(key: &str, rules: &[(&str, &str)]) -> Result<Self, SettingError> {
        let mut read = Self::default();
        for (status, meaning) in rules {
            let hint = "write for example `\"404\": refused` or `5xx: throttled`";
            let known = MEANINGS.iter().find(|(word, _)| word == meaning).map(|(_, meaning)| *meaning);
            let meaning = known.ok_or_else(|| {
                let words = MEANINGS.map(|(word, _)| word).join(", ");
                SettingError::at(key, format!("`{status}` is `{meaning}`"), format!("it can be {words}"))
            })?;
            let class = status.strip_suffix("xx").and_then(|digit| digit.parse().ok());
            // What was said before of the same status is written over.
            let _ = match (class, status.parse()) {
                (Some(class @ 1..=5), _) => read.classes.insert(class, meaning),
                (None, Ok(status @ 100..=599)) => read.statuses.insert(status, meaning),
                _ => return Err(SettingError::at(key, format!("`{status}` is no status"), hint)),
            };
        }
        Ok(read)
    }

    /// `None` where nobody has said anything.
    fn said(&self, status: u16) -> Option<Meaning> {
        self.statuses.get(&status).or_else(|| self.classes.get(&(status / 100))).copied()
    }

    pub fn names_parts(&self) -> bool {
        self.statuses.values().chain(self.classes.values()).any(|meaning| *meaning == Meaning::Partial)
    }
}

fn meaning(rules: &StatusRules, reply: &Reply) -> Meaning {
    let status = reply.status.as_u16();
    if let Some(meaning) = rules.said(status) {
        return meaning;
    }
    match status {
        200..=299 => Meaning::Taken,
        // A page, or a word about HTTPS, comes from a server or a proxy that did not look at the body.
        400 if is_about_http(&reply.text()) => Meaning::Down,
        400 | 409 | 412 | 413 | 414 | 422 | 431 => Meaning::Refused,
        401 | 403 | 407 => Meaning::Auth,
        429 => Meaning::Throttled,
        _ => Meaning::Down,
    }
}

fn is_about_http(text: &str) -> bool {
    text.trim_start().starts_with('<') || text.contains("HTTPS server")
}

/// Where an answer to a batch says which records were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartialAnswer {
    /// JSON pointer to an array of what failed.
    pub items: String,
    /// JSON pointer within an item to the record's number, counted from 0; empty when the item is it.
    pub index: String,
    /// JSON pointer within an item to the reason.
    pub reason: Option<String>,
}

/// The records of a request that were not taken, by their number in it, in ascending order.
pub(super) fn judge(
    rules: &StatusRules,
    partial: Option<&PartialAnswer>,
    reply: &Reply,
    records: usize,
) -> Result<Vec<RecordError>, CallError> {
    let class = match meaning(rules, reply) {
        Meaning::Taken => {
            return partial.map_or(Ok(Vec::new()), |partial| partial.failed(reply, records, Named::Maybe));
        }
        Meaning::Partial => {
            let unnamed = || CallError::new(ErrorClass::Refused, reason(reply));
            return partial.ok_or_else(unnamed)?.failed(reply, records, Named::Surely);
        }
        Meaning::Refused => ErrorClass::Refused,
        Meaning::Down => ErrorClass::Down,
        Meaning::Throttled => ErrorClass::Throttled,
        Meaning::Auth => ErrorClass::Auth,
    };
    match (class, reply.status.as_u16()) {
        // It says where it leads to.
        (ErrorClass::Down, 300..=399) => Err(reply.error()),
        _ => Err(CallError::new(class, reason(reply)).after(reply.retry_after())),
    }
}

fn reason(reply: &Reply) -> String {
    match reply.reason() {
        said if said.is_empty() => format!("it answers {}", reply.status),
        said => format!("it answers {}: {said}", reply.status),
    }
}

/// Whether an answer has to name records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Maybe,
    Surely,
}

impl PartialAnswer {
    fn failed(&self, reply: &Reply, records: usize, named: Named) -> Result<Vec<RecordError>, CallError> {
        let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let items = body.as_ref().and_then(|body| body.pointer(&self.items)).and_then(Value::as_array);
        let Some(items) = items.filter(|items| named == Named::Maybe || !items.is_empty()) else {
            return match named {
                Named::Maybe => Ok(Vec::new()),
                // Whichever it is: halves will tell.
                Named::Surely => Err(CallError::new(ErrorClass::Refused, reason(reply))),
            };
        };
        let mut errors = Vec::with_capacity(items.len());
        for item in items {
            let index = item.pointer(&self.index).and_then(number);
            let Some(index) = index.filter(|index| *index < records) else {
                let words = format!("the answer names a record that is none of {records}: {item}");
                return Err(CallError::new(ErrorClass::Refused, shortened(&words)));
            };
            let said = self.reason.as_ref().and_then(|pointer| item.pointer(pointer));
            let said = match said {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => item.to_string(),
            };
            errors.push(RecordError { index, class: ErrorClass::Refused, reason: shortened(&said) });
        }
        errors.sort_by_key(|error| error.index);
        errors.dedup_by_key(|error| error.index);
        Ok(errors)
    }
}

/// Some APIs write numbers as text.
fn number(value: &Value) -> Option<usize> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    fn class(rules: &StatusRules, status: u16, body: &str) -> Option<ErrorClass> {
        judge(rules, None, &reply(status, body), 1).err().map(|error| error.class)
    }

    #[test]
    fn statuses_mean_what_is_said_of_them() {
        let none = StatusRules::default();
        for (status, expected) in [
            (200, None),
            (202, None),
            (204, None),
            (301, Some(ErrorClass::Down)),
            (400, Some(ErrorClass::Refused)),
            (401, Some(ErrorClass::Auth)),
            (403, Some(ErrorClass::Auth)),
            (404, Some(ErrorClass::Down)),
            (405, Some(ErrorClass::Down)),
            (413, Some(ErrorClass::Refused)),
            (415, Some(ErrorClass::Down)),
            (422, Some(ErrorClass::Refused)),
            (429, Some(ErrorClass::Throttled)),
            (500, Some(ErrorClass::Down)),
            (503, Some(ErrorClass::Down)),
        ] {
            assert_eq!(class(&none, status, "{}"), expected, "{status}");
        }
        assert_eq!(class(&none, 400, "<html>"), Some(ErrorClass::Down));
        let said = [("404", "refused"), ("4xx", "down"), ("503", "throttled"), ("2xx", "down"), ("201", "taken")];
        let rules = StatusRules::read("statuses", &said).unwrap();
        for (status, expected) in [
            (404, Some(ErrorClass::Refused)),
            (400, Some(ErrorClass::Down)),
            (503, Some(ErrorClass::Throttled)),
            (500, Some(ErrorClass::Down)),
            (200, Some(ErrorClass::Down)),
            (201, None),
        ] {
            assert_eq!(class(&rules, status, "<html>"), expected, "{status}");
        }
        for wrong in [[("404", "fine")], [("99", "down")], [("6xx", "down")], [("xx", "down")], [("", "down")]] {
            assert_eq!(
                StatusRules::read("statuses", &wrong).unwrap_err().key.as_deref(),
                Some("statuses"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn an_answer_names_the_records_that_were_not_taken() {
        let partial = PartialAnswer { items: "/failed".into(), index: "/i".into(), reason: Some("/why".into()) };
        let rules = StatusRules::read("statuses", &[("400", "partial")]).unwrap();
        let judge = |status, body: &str| judge(&rules, Some(&partial), &reply(status, body), 3);
        let named = r#"{"failed":[{"i":2,"why":"late"},{"i":"0","why":{"code":7}}]}"#;
        for status in [200, 400] {
            let errors = judge(status, named).unwrap();
            let errors: Vec<_> = errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
            assert_eq!(errors, [(0, r#"{"code":7}"#), (2, "late")]);
        }
        assert_eq!(judge(200, r#"{"failed":[]}"#), Ok(Vec::new()));
        assert_eq!(judge(200, "done"), Ok(Vec::new()));
        for unnamed in [r#"{"failed":[]}"#, "what?", r#"{"failed":[{"i":3}]}"#, r#"{"failed":[{}]}"#] {
            assert_eq!(judge(400, unnamed).unwrap_err().class, ErrorClass::Refused, "{unnamed}");
        }
        // Not the records' fault.
        assert_eq!(judge(503, named).unwrap_err().class, ErrorClass::Down);
    }
}
