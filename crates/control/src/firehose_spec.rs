//! What a firehose is to do: the YAML that people write, and the complete form with every default filled in.
//!
//! Whether filter, columns and sink fit the records is not judged here; which settings a sink has is what its kind says.

mod columns;
mod delivery_spec;
mod document;

pub use columns::{ColumnSource, ColumnSpec};
pub use delivery_spec::{DeliverySpec, check_parallelism};
pub use document::FirehoseDocument;

use crate::dagger_spec::StartFrom;
use crate::duration::format_duration;
use crate::error::ControlError;
use crate::resource::Metadata;
use crate::sink_settings::SinkSettings;
use crate::time_text;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

pub const FILTER_BYTES_MAX: usize = 64 * 1024;
pub const JSON_SCHEMA_BYTES_MAX: usize = 256 * 1024;
pub const COLUMNS_MAX: usize = 1_000;
const OWNER_PREFIX: &str = "firehose:";

#[derive(Debug, Clone, PartialEq)]
pub struct FirehoseSpec {
    pub topic: String,
    /// Where the first start begins.
    pub start_from: StartFrom,
    /// Milliseconds since 1970: records from then on are not read.
    pub stop_at_ms: Option<i64>,
    pub state: FirehoseState,
    /// CEL.
    pub filter: Option<String>,
    pub json_schema: Option<Value>,
    pub time_window: Option<TimeWindow>,
    /// `None`: every field as it is called.
    pub columns: Option<Vec<ColumnSpec>>,
    pub sink: SinkSettings,
    pub delivery: DeliverySpec,
    /// The topic that dead letters go to; `None` is the built-in store.
    pub dead_letter_topic: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirehoseState {
    Running,
    Paused,
}

impl FirehoseState {
    pub fn as_str(self) -> &'static str {
        match self {
            FirehoseState::Running => "running",
            FirehoseState::Paused => "paused",
        }
    }
}

/// Records whose time is further away from now are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWindow {
    pub field: String,
    pub past: Option<Duration>,
    pub future: Option<Duration>,
}

impl FirehoseSpec {
    pub fn parse(text: &str) -> Result<(Metadata, FirehoseSpec), ControlError> {
        let (metadata, document) = FirehoseDocument::parse(text)?;
        Ok((metadata, document.complete()?))
    }

    /// Reads the stored form.
    pub fn from_json(spec: &Value) -> Result<FirehoseSpec, ControlError> {
        crate::document::from_json::<FirehoseDocument>(spec.clone())?.complete()
    }

    /// The names of all secrets that it refers to.
    pub fn secrets(&self) -> BTreeSet<String> {
        let of_columns = self.columns.iter().flatten().filter_map(|column| match &column.source {
            ColumnSource::Hash { secret, .. } => secret.clone(),
            _ => None,
        });
        self.sink.secrets().into_iter().map(str::to_owned).chain(of_columns).collect()
    }

    /// The topic of the platform that it writes to, if its sink writes to one.
    pub fn topic_written(&self) -> Option<&str> {
        self.sink.settings.text("topic")
    }

    /// The complete form: stored, shown, and readable again.
    pub fn to_json(&self) -> Value {
        let mut spec = Map::new();
        let mut put = |key: &str, value: Value| drop(spec.insert(key.to_owned(), value));
        put("topic", json!(self.topic));
        let start_from = match self.start_from {
            StartFrom::Earliest => "earliest".to_owned(),
            StartFrom::Latest => "latest".to_owned(),
            StartFrom::Time(ms) => time_text::millis(ms),
        };
        put("startFrom", json!(start_from));
        if let Some(ms) = self.stop_at_ms {
            put("stopAt", json!(time_text::millis(ms)));
        }
        put("state", json!(self.state.as_str()));
        if let Some(filter) = &self.filter {
            put("filter", json!(filter));
        }
        if let Some(schema) = &self.json_schema {
            put("jsonSchema", schema.clone());
        }
        if let Some(TimeWindow { field, past, future }) = &self.time_window {
            let mut window = json!({ "field": field });
            for (key, side) in [("past", past), ("future", future)] {
                if let Some(side) = side {
                    window[key] = json!(format_duration(*side));
                }
            }
            put("timeWindow", window);
        }
        if let Some(columns) = &self.columns {
            put("columns", columns.iter().map(ColumnSpec::to_json).collect());
        }
        put("sink", self.sink.to_json());
        put("delivery", self.delivery.to_json());
        if let Some(topic) = &self.dead_letter_topic {
            put("deadLetters", json!({ "topic": topic }));
        }
        Value::Object(spec)
    }
}

/// Under what dead letters and states are kept of it: a dagger may have the same name, and none has a colon.
pub fn firehose_owner(name: &str) -> String {
    format!("{OWNER_PREFIX}{name}")
}

/// The firehose that an owner is, if it is one.
pub fn owner_firehose(owner: &str) -> Option<&str> {
    owner.strip_prefix(OWNER_PREFIX)
}

pub(super) fn invalid(path: &str, detail: impl fmt::Display) -> ControlError {
    ControlError::invalid("firehose_invalid", format!("`{path}` {detail}"))
}

fn not_a_word(path: &str, word: &str, known: &[&str]) -> ControlError {
    let hint = match crate::error::nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? Known are: {}", known.join(", ")),
        None => format!("known are: {}", known.join(", ")),
    };
    invalid(path, format!("is `{word}`, which is not known")).with_hint(hint)
}

#[cfg(test)]
mod tests;
