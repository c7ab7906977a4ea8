//! The words of a dagger's spec, both ways: read with the nearest word named, and written for showing.

use super::document::{RECORD_TIMESTAMP, invalid};
use super::*;
use crate::duration::{format_duration, parse_duration};
use crate::error::nearest;
use crate::time_text;
use serde_json::{Map, Value, json};

pub(super) const STATES: &[(&str, DesiredState)] =
    &[("running", DesiredState::Running), ("suspended", DesiredState::Suspended)];
pub(super) const ON_BAD_RECORD: &[(&str, OnBadRecord)] =
    &[("deadLetter", OnBadRecord::DeadLetter), ("skip", OnBadRecord::Skip), ("fail", OnBadRecord::Fail)];
pub(super) const LATE: &[(&str, LatePolicy)] = &[("drop", LatePolicy::Drop), ("keep", LatePolicy::Keep)];

pub(super) fn choose<T: Copy>(path: &str, word: &str, known: &[(&str, T)]) -> Result<T, ControlError> {
    known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        not_a_word(path, word, &names)
    })
}

/// The same for words that a type knows itself, and that may be left out.
pub(super) fn word<T: Copy>(
    path: &str,
    written: Option<String>,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ControlError> {
    let Some(written) = written else { return Ok(None) };
    let known: Vec<(&str, T)> = all.iter().map(|one| (as_str(*one), *one)).collect();
    choose(path, &written, &known).map(Some)
}

pub(super) fn not_a_word(path: &str, word: &str, known: &[&str]) -> ControlError {
    let hint = match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? Known are: {}", known.join(", ")),
        None => format!("known are: {}", known.join(", ")),
    };
    invalid(path, format!("is `{word}`, which is not known")).with_hint(hint)
}

pub(super) fn duration(path: &str, written: &str) -> Result<Duration, ControlError> {
    parse_duration(written).map_err(|error| invalid(path, format!("is wrong: {error}")))
}

pub(super) fn start_from(path: &str, word: &str) -> Result<StartFrom, ControlError> {
    match word {
        "earliest" => Ok(StartFrom::Earliest),
        "latest" => Ok(StartFrom::Latest),
        other => time_text::parse_time(other, time_text::now_ms()).map(StartFrom::Time).map_err(|error| {
            invalid(path, format!("is wrong: {}", error.detail))
                .with_hint("write `earliest`, `latest`, or a time such as 2013-01-31T10:00:00Z")
        }),
    }
}

fn word_of<T: PartialEq>(value: &T, known: &[(&'static str, T)]) -> &'static str {
    known.iter().find(|(_, candidate)| candidate == value).map_or("", |(name, _)| name)
}

impl DaggerSpec {
    /// The complete form: stored, shown, and readable again.
    pub fn to_json(&self) -> Value {
        json!({
            "cluster": self.cluster,
            "streams": self.streams.iter().map(StreamSpec::to_json).collect::<Vec<_>>(),
            "sql": self.sql,
            "sinks": self.sinks.iter().map(SinkSpec::to_json).collect::<Vec<_>>(),
            "parallelism": self.parallelism,
            "checkpoint": { "interval": format_duration(self.checkpoint_interval) },
            "state": self.state.as_str(),
        })
    }
}

impl StreamSpec {
    pub(crate) fn to_json(&self) -> Value {
        let timestamp = match (&self.timestamp, self.timestamp_given) {
            (Some(field), _) => json!(field),
            (None, TimestampChoice::Given) => json!(RECORD_TIMESTAMP),
            (None, TimestampChoice::FromSchema) => Value::Null,
        };
        let start_from = match self.start_from {
            StartFrom::Earliest => "earliest".to_owned(),
            StartFrom::Latest => "latest".to_owned(),
            StartFrom::Time(ms) => time_text::millis(ms),
        };
        json!({
            "table": self.table,
            "schema": self.schema,
            "topics": self.topics,
            "consumerGroup": self.consumer_group,
            "timestamp": timestamp,
            "watermark": {
                "delay": format_duration(self.watermark.delay),
                "interval": format_duration(self.watermark.interval),
                "idle": format_duration(self.watermark.idle),
            },
            "startFrom": start_from,
            "onBadRecord": word_of(&self.on_bad_record, ON_BAD_RECORD),
            "late": word_of(&self.late, LATE),
        })
    }
}

impl SinkSpec {
    pub(crate) fn to_json(&self) -> Value {
        let mut sink = Map::new();
        sink.insert("kind".into(), json!(self.kind()));
        match self {
            SinkSpec::Series { measurement, retention } => {
                sink.insert("measurement".into(), json!(measurement));
                if let Some(retention) = retention {
                    let text = match *retention {
                        Duration::MAX => FOREVER.to_owned(),
                        retention => format_duration(retention),
                    };
                    sink.insert("retention".into(), json!(text));
                }
            }
            SinkSpec::Topic { topic, schema, partitions, key, headers, cluster, delivery, compression } => {
                sink.insert("topic".into(), json!(topic));
                if let Some(schema) = schema {
                    sink.insert("schema".into(), json!(schema));
                }
                if let Some(partitions) = partitions {
                    sink.insert("partitions".into(), json!(partitions));
                }
                if !key.is_empty() {
                    sink.insert("key".into(), json!(key));
                }
                if !headers.is_empty() {
                    let headers: Map<String, Value> =
                        headers.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
                    sink.insert("headers".into(), Value::Object(headers));
                }
                if let Some(cluster) = cluster {
                    sink.insert("cluster".into(), json!(cluster));
                }
                if let Some(delivery) = delivery {
                    sink.insert("delivery".into(), json!(delivery.as_str()));
                }
                if let Some(compression) = compression {
                    sink.insert("compression".into(), json!(compression.as_str()));
                }
            }
            SinkSpec::Log => {}
            SinkSpec::External(external) => external.put_json(&mut sink),
            SinkSpec::Kind(kind) => sink.extend(kind.settings.to_json().clone()),
        }
        Value::Object(sink)
    }
}

impl HeaderValue {
    fn to_json(&self) -> Value {
        match self {
            HeaderValue::Constant(text) => json!(text),
            HeaderValue::Column(column) => json!({ "column": column }),
        }
    }
}

/// `{source: millrace, city: {column: city}}`
pub(super) fn headers(path: &str, written: Map<String, Value>) -> Result<Vec<(String, HeaderValue)>, ControlError> {
    if written.len() > SINK_HEADERS_MAX {
        return Err(invalid(path, format!("has {} entries, the limit is {SINK_HEADERS_MAX}", written.len())));
    }
    let headers = written.into_iter().map(|(name, value)| {
        let value = match &value {
            Value::String(text) => HeaderValue::Constant(text.clone()),
            Value::Number(_) | Value::Bool(_) => HeaderValue::Constant(value.to_string()),
            Value::Object(column) => match (column.len(), column.get("column")) {
                (1, Some(Value::String(column))) => HeaderValue::Column(column.clone()),
                _ => return Err(not_a_header(path, &name)),
            },
            _ => return Err(not_a_header(path, &name)),
        };
        Ok((name, value))
    });
    headers.collect()
}

fn not_a_header(path: &str, name: &str) -> ControlError {
    invalid(&format!("{path}.{name}"), "is neither a text nor a column")
        .with_hint(format!("write `{name}: millrace`, or `{name}: {{column: city}}` for the text of a column"))
}
