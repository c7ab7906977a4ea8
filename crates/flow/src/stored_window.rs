//! What a window's state belongs to, as it is written beside the state.

use operators::{WindowKind, WindowSpec, WindowSpecError};
use serde::{Deserialize, Serialize};
use sql::{HeldIdentity, InputIdentity, InputSource, WindowIdentity};

/// A [`WindowIdentity`] that can be written and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StoredWindow {
    kind: StoredKind,
    offset_ms: i64,
    lag_ms: i64,
    inputs: Vec<StoredInput>,
    keys: Vec<StoredHeld>,
    aggregates: Vec<StoredHeld>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
enum StoredKind {
    Tumble { size_ms: i64 },
    Hop { size_ms: i64, slide_ms: i64 },
    Cumulate { size_ms: i64, step_ms: i64 },
    Session { gap_ms: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StoredInput {
    source: StoredSource,
    unnested: Vec<String>,
    filters: Vec<String>,
    time: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredSource {
    Table(String),
    Windows(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StoredHeld {
    text: String,
    types: Vec<String>,
}

impl From<&WindowIdentity> for StoredWindow {
    fn from(window: &WindowIdentity) -> Self {
        let kind = match window.spec.kind() {
            WindowKind::Tumble { size_ms } => StoredKind::Tumble { size_ms },
            WindowKind::Hop { size_ms, slide_ms } => StoredKind::Hop { size_ms, slide_ms },
            WindowKind::Cumulate { size_ms, step_ms } => StoredKind::Cumulate { size_ms, step_ms },
            WindowKind::Session { gap_ms } => StoredKind::Session { gap_ms },
        };
        let held = |all: &[HeldIdentity]| {
            all.iter().map(|held| StoredHeld { text: held.text.clone(), types: held.types.clone() }).collect()
        };
        let inputs = window.inputs.iter().map(|input| StoredInput {
            source: match &input.source {
                InputSource::Table(table) => StoredSource::Table(table.clone()),
                InputSource::Windows(windows) => StoredSource::Windows(windows.clone()),
            },
            unnested: input.unnested.clone(),
            filters: input.filters.clone(),
            time: input.time.clone(),
        });
        StoredWindow {
            kind,
            offset_ms: window.spec.offset_ms(),
            lag_ms: window.lag_ms,
            inputs: inputs.collect(),
            keys: held(&window.keys),
            aggregates: held(&window.aggregates),
        }
    }
}

impl TryFrom<&StoredWindow> for WindowIdentity {
    type Error = WindowSpecError;

    fn try_from(stored: &StoredWindow) -> Result<Self, WindowSpecError> {
        let kind = match stored.kind {
            StoredKind::Tumble { size_ms } => WindowKind::Tumble { size_ms },
            StoredKind::Hop { size_ms, slide_ms } => WindowKind::Hop { size_ms, slide_ms },
            StoredKind::Cumulate { size_ms, step_ms } => WindowKind::Cumulate { size_ms, step_ms },
            StoredKind::Session { gap_ms } => WindowKind::Session { gap_ms },
        };
        let held = |all: &[StoredHeld]| {
            all.iter().map(|held| HeldIdentity { text: held.text.clone(), types: held.types.clone() }).collect()
        };
        let inputs = stored.inputs.iter().map(|input| InputIdentity {
            source: match &input.source {
                StoredSource::Table(table) => InputSource::Table(table.clone()),
                StoredSource::Windows(windows) => InputSource::Windows(windows.clone()),
            },
            unnested: input.unnested.clone(),
            filters: input.filters.clone(),
            time: input.time.clone(),
        });
        Ok(WindowIdentity {
            spec: WindowSpec::new(kind, stored.offset_ms)?,
            lag_ms: stored.lag_ms,
            inputs: inputs.collect(),
            keys: held(&stored.keys),
            aggregates: held(&stored.aggregates),
        })
    }
}
