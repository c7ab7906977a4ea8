//! A kind of sink with what a document says of it.

use crate::error::{ControlError, nearest};
use serde_json::{Map, Value, json};
use sinks::{Settings, SinkKind};
use std::fmt;

const CODE: &str = "sink_refused";

/// A kind of sink with its settings, all defaults filled in.
#[derive(Clone)]
pub struct SinkSettings {
    pub kind: &'static dyn SinkKind,
    pub settings: Settings,
}

impl fmt::Debug for SinkSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple(self.name()).field(&self.settings).finish()
    }
}

impl PartialEq for SinkSettings {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.settings == other.settings
    }
}

impl SinkSettings {
    /// Reads `{kind: ..., ...}`; `place` is where it stands.
    pub fn read(place: &str, written: &Map<String, Value>) -> Result<Self, ControlError> {
        let known = || sinks::kinds().iter().map(|kind| kind.description().kind);
        let kind = match written.get("kind") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return Err(invalid(&format!("{place}.kind"), "is not a text")),
            None => {
                return Err(invalid(place, "has no `kind`")
                    .with_hint(format!("the kinds are: {}", known().collect::<Vec<_>>().join(", "))));
            }
        };
        let Some(found) = sinks::kind(kind) else {
            let known: Vec<&str> = known().collect();
            return Err(unknown_kind(place, kind, &known));
        };
        let settings: Map<String, Value> = written.clone().into_iter().filter(|(key, _)| key != "kind").collect();
        let settings = Settings::read(found.description(), &settings).map_err(|error| setting_error(place, error))?;
        Ok(Self { kind: found, settings })
    }

    /// As it is written in `kind:`.
    pub fn name(&self) -> &'static str {
        self.kind.description().kind
    }

    pub fn to_json(&self) -> Value {
        let mut sink = Map::from_iter([("kind".to_owned(), json!(self.name()))]);
        sink.extend(self.settings.to_json().clone());
        Value::Object(sink)
    }

    /// The names of the secrets that it refers to.
    pub fn secrets(&self) -> Vec<&str> {
        self.settings.secrets(self.kind.description())
    }
}

/// What a sink says of its settings, with the place in the document.
pub fn setting_error(place: &str, error: sinks::SettingError) -> ControlError {
    let place = error.key.as_ref().map_or_else(|| place.to_owned(), |key| format!("{place}.{key}"));
    ControlError::invalid("sink_refused", format!("`{place}`: {}", error.detail))
        .maybe_hint((!error.hint.is_empty()).then_some(error.hint))
}

fn invalid(place: &str, detail: impl fmt::Display) -> ControlError {
    ControlError::invalid(CODE, format!("`{place}` {detail}"))
}

fn unknown_kind(place: &str, kind: &str, known: &[&str]) -> ControlError {
    let hint = match nearest(kind, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? Known are: {}", known.join(", ")),
        None => format!("known are: {}", known.join(", ")),
    };
    invalid(&format!("{place}.kind"), format!("is `{kind}`, which is not known")).with_hint(hint)
}
