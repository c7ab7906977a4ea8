//! The wire form of a firehose's spec: what is left out has a default, what is not known is refused.

use super::columns::ColumnDocument;
use super::delivery_spec::DeliveryDocument;
use super::{
    COLUMNS_MAX, FILTER_BYTES_MAX, FirehoseSpec, FirehoseState, JSON_SCHEMA_BYTES_MAX, TimeWindow, invalid, not_a_word,
};
use crate::dagger_spec::StartFrom;
use crate::duration::parse_duration;
use crate::error::ControlError;
use crate::resource::{Kind, Metadata, parse_document};
use crate::sink_settings::SinkSettings;
use crate::time_text;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FirehoseDocument {
    topic: String,
    #[serde(default)]
    start_from: Option<TextOrNumber>,
    #[serde(default)]
    stop_at: Option<TextOrNumber>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    json_schema: Option<Value>,
    #[serde(default)]
    time_window: Option<TimeWindowDocument>,
    #[serde(default)]
    columns: Option<Vec<ColumnDocument>>,
    sink: Map<String, Value>,
    #[serde(default)]
    delivery: DeliveryDocument,
    #[serde(default)]
    dead_letters: Option<DeadLettersDocument>,
}

/// A time may be written as milliseconds, which YAML reads as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(i64),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeWindowDocument {
    field: String,
    #[serde(default)]
    past: Option<String>,
    #[serde(default)]
    future: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLettersDocument {
    topic: String,
}

impl FirehoseDocument {
    pub fn parse(text: &str) -> Result<(Metadata, Self), ControlError> {
        parse_document(text, Kind::Firehose)
    }

    /// A document that does not say whether the firehose runs leaves it as it is.
    pub fn or_state(mut self, state: Option<FirehoseState>) -> Self {
        self.state = self.state.or_else(|| state.map(|state| state.as_str().to_owned()));
        self
    }

    /// Fills in the defaults and checks every value by itself.
    pub fn complete(self) -> Result<FirehoseSpec, ControlError> {
        if self.topic.is_empty() {
            return Err(invalid("spec.topic", "is empty").with_hint("name the topic to read: `topic: bookings`"));
        }
        let start_from = match self.start_from {
            None => StartFrom::Earliest,
            Some(TextOrNumber::Number(ms)) => StartFrom::Time(ms),
            Some(TextOrNumber::Text(word)) => start_from(&word)?,
        };
        let stop_at_ms = match self.stop_at {
            None => None,
            Some(TextOrNumber::Number(ms)) => Some(ms),
            Some(TextOrNumber::Text(text)) => {
                Some(time_text::parse_time(&text, time_text::now_ms()).map_err(|error| {
                    invalid("spec.stopAt", format!("is wrong: {}", error.detail)).maybe_hint(error.hint)
                })?)
            }
        };
        let state = match self.state.as_deref() {
            None | Some("running") => FirehoseState::Running,
            Some("paused") => FirehoseState::Paused,
            Some(other) => return Err(not_a_word("spec.state", other, &["running", "paused"])),
        };
        let filter = self.filter.filter(|filter| !filter.trim().is_empty());
        if let Some(filter) = &filter {
            limit("spec.filter", "bytes", filter.len(), FILTER_BYTES_MAX)?;
        }
        let json_schema = self.json_schema.filter(|schema| !schema.is_null());
        if let Some(schema) = &json_schema {
            limit("spec.jsonSchema", "bytes", schema.to_string().len(), JSON_SCHEMA_BYTES_MAX)?;
        }
        let columns = self.columns.map(complete_columns).transpose()?;
        Ok(FirehoseSpec {
            topic: self.topic,
            start_from,
            stop_at_ms,
            state,
            filter,
            json_schema,
            time_window: self.time_window.map(TimeWindowDocument::complete).transpose()?,
            columns,
            sink: SinkSettings::read("spec.sink", &self.sink)?,
            delivery: self.delivery.complete()?,
            dead_letter_topic: self.dead_letters.map(|dead_letters| dead_letters.topic),
        })
    }
}

fn start_from(word: &str) -> Result<StartFrom, ControlError> {
    match word {
        "earliest" => Ok(StartFrom::Earliest),
        "latest" => Ok(StartFrom::Latest),
        other => time_text::parse_time(other, time_text::now_ms()).map(StartFrom::Time).map_err(|error| {
            invalid("spec.startFrom", format!("is wrong: {}", error.detail))
                .with_hint("write `earliest`, `latest`, or a time such as 2013-01-31T10:00:00Z")
        }),
    }
}

fn complete_columns(written: Vec<ColumnDocument>) -> Result<Vec<super::ColumnSpec>, ControlError> {
    limit("spec.columns", "entries", written.len(), COLUMNS_MAX)?;
    if written.is_empty() {
        return Err(invalid("spec.columns", "is empty: nothing would be sent")
            .with_hint("leave it out to send every field, or name some: `columns: [{field: status}]`"));
    }
    written.into_iter().enumerate().map(|(index, column)| column.complete(index)).collect()
}

impl TimeWindowDocument {
    fn complete(self) -> Result<TimeWindow, ControlError> {
        if self.field.is_empty() {
            return Err(invalid("spec.timeWindow.field", "is empty"));
        }
        if self.past.is_none() && self.future.is_none() {
            return Err(invalid("spec.timeWindow", "has neither `past` nor `future`, so it keeps every record")
                .with_hint("write for example `past: 168h` and `future: 1h`"));
        }
        let past = duration("spec.timeWindow.past", self.past)?;
        Ok(TimeWindow { field: self.field, past, future: duration("spec.timeWindow.future", self.future)? })
    }
}

pub(super) fn duration(path: &str, written: Option<String>) -> Result<Option<Duration>, ControlError> {
    written
        .map(|written| parse_duration(&written).map_err(|error| invalid(path, format!("is wrong: {error}"))))
        .transpose()
}

pub(super) fn limit(path: &str, what: &str, count: usize, max: usize) -> Result<(), ControlError> {
    if count <= max {
        return Ok(());
    }
    Err(ControlError::too_large("firehose_too_large", format!("`{path}` has {count} {what}, the limit is {max}")))
}
