//! What a dagger's state belongs to, and what an edit does to it. Pure: it only compares.
//!
//! State is the positions in the topics and, per window of the query, the sums per group. It is kept where every window of
//! the new query goes on with a window of the former one ([`sql::carry_over`]); what the query does with the windows'
//! results, the sinks, intervals, limits and added topics are free to change. Otherwise all of it is dropped, and the streams
//! are read again from where `startFrom` says: going on from the old positions would give windows that hold only a part of
//! their records. `apply`, `diff` and the start of a dagger ask the same function.

mod reasons;
mod stored;

pub use stored::StoredState;

use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::DaggerSpec;
use crate::window_words::windows_of;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sql::{HeldIdentity, WindowIdentity};

/// What state belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateIdentity {
    /// The plan's text: shows that a query without windows has changed at all.
    query: String,
    windows: Vec<WindowIdentity>,
    streams: Vec<StreamIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamIdentity {
    table: String,
    schema: Option<String>,
    /// The field that is the event time; `None` is the record's own timestamp.
    timestamp: Option<String>,
    topics: Vec<String>,
}

/// What becomes of the state when a dagger is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateVerdict {
    pub fate: StateFate,
    /// What goes on, in words.
    pub kept: Vec<String>,
    /// What goes.
    pub lost: Vec<String>,
    /// Why the state goes.
    pub reason: Option<String>,
    /// What to know although the state stays.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFate {
    /// There is no state yet.
    None,
    Kept,
    Lost,
}

impl StateFate {
    pub fn as_str(self) -> &'static str {
        match self {
            StateFate::None => "none",
            StateFate::Kept => "kept",
            StateFate::Lost => "lost",
        }
    }
}

impl StateVerdict {
    fn none() -> Self {
        Self { fate: StateFate::None, kept: Vec::new(), lost: Vec::new(), reason: None, notes: Vec::new() }
    }

    fn lost(reason: String, lost: Vec<String>) -> Self {
        Self { fate: StateFate::Lost, lost, reason: Some(reason), ..Self::none() }
    }

    pub fn to_json(&self) -> Value {
        json!({ "verdict": self.fate.as_str(), "kept": self.kept, "lost": self.lost, "reason": self.reason })
    }

    /// What `apply` tells.
    pub fn warnings(&self) -> Vec<String> {
        let dropped = self.reason.iter().map(|reason| {
            format!(
                "{reason}: the state of the former one is dropped, and the streams are read again from where `startFrom` says"
            )
        });
        dropped.chain(self.notes.iter().cloned()).collect()
    }
}

impl StateIdentity {
    pub fn of(spec: &DaggerSpec, planned: &PlannedDagger) -> Self {
        let streams = spec.streams.iter().map(|stream| StreamIdentity {
            table: stream.table.clone(),
            schema: stream.schema.clone(),
            timestamp: stream.timestamp.clone(),
            topics: stream.topics.clone(),
        });
        Self { query: planned.plan.explain.clone(), windows: planned.plan.identities(), streams: streams.collect() }
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|stream| stream.table.as_str())
    }

    /// What becomes of the state that `self` stands for when `next` is to run.
    fn verdict(&self, next: &StateIdentity) -> StateVerdict {
        if let Some(obstacle) = obstacle(&self.streams, &next.streams) {
            return StateVerdict::lost(obstacle, self.in_words());
        }
        match sql::carry_over(&self.windows, &next.windows) {
            Err(without) => {
                StateVerdict::lost(reasons::misfit(&self.windows, &next.windows, &without), self.in_words())
            }
            Ok(found) => self.kept(next, &found),
        }
    }

    fn kept(&self, next: &StateIdentity, found: &[usize]) -> StateVerdict {
        let mut lost = Vec::new();
        for (index, before) in self.windows.iter().enumerate() {
            let heirs: Vec<&WindowIdentity> = next.windows.iter().filter(|window| window.groups_like(before)).collect();
            let goes = |held: &&HeldIdentity| heirs.iter().all(|heir| !heir.aggregates.contains(held));
            let gone: Vec<HeldIdentity> = before.aggregates.iter().filter(goes).cloned().collect();
            if !gone.is_empty() || (heirs.is_empty() && !found.contains(&index)) {
                lost.push(window_in_words(&WindowIdentity { aggregates: gone, ..before.clone() }));
            }
        }
        let mut notes = Vec::new();
        if !lost.is_empty() {
            notes.push(format!("what is no longer computed loses its state: {}", lost.join("; ")));
        }
        if next.windows.is_empty() && self.query != next.query {
            notes.push(
                "records that were read before this edit are not read again: the new query begins where the former one \
                 stops; to read them again, apply it under another name"
                    .to_owned(),
            );
        }
        StateVerdict { fate: StateFate::Kept, kept: next.in_words(), lost, reason: None, notes }
    }

    fn in_words(&self) -> Vec<String> {
        if self.windows.is_empty() {
            return positions_in_words(&self.streams);
        }
        self.windows.iter().map(window_in_words).collect()
    }
}

/// `count(1), max(fare) per area in windows of 1m`.
pub(crate) fn window_in_words(window: &WindowIdentity) -> String {
    let texts = |all: &[HeldIdentity]| all.iter().map(|held| held.text.as_str()).collect::<Vec<_>>().join(", ");
    let aggregates = if window.aggregates.is_empty() { "groups".to_owned() } else { texts(&window.aggregates) };
    let keys = if window.keys.is_empty() { String::new() } else { format!(" per {}", texts(&window.keys)) };
    format!("{aggregates}{keys} in {}", windows_of(window.spec.kind()))
}

fn positions_in_words(streams: &[StreamIdentity]) -> Vec<String> {
    let topics = streams.iter().flat_map(|stream| &stream.topics);
    topics.map(|topic| format!("the positions in `{topic}`")).collect()
}

/// Why what was read of the streams does not fit. Streams that are added have no state yet.
fn obstacle(before: &[StreamIdentity], after: &[StreamIdentity]) -> Option<String> {
    before.iter().find_map(|stream| match after.iter().find(|other| other.table == stream.table) {
        None => Some(format!("the stream `{}` is no longer read", stream.table)),
        Some(other) => stream.obstacle(other),
    })
}

impl StreamIdentity {
    fn obstacle(&self, next: &StreamIdentity) -> Option<String> {
        let table = &next.table;
        if self.schema != next.schema {
            let name = |schema: &Option<String>| schema.clone().unwrap_or_else(|| "none".to_owned());
            let (before, after) = (name(&self.schema), name(&next.schema));
            return Some(format!("the message type of the stream `{table}` has changed from {before} to {after}"));
        }
        if self.timestamp != next.timestamp {
            return Some(format!("the event time of the stream `{table}` has changed"));
        }
        let gone = self.topics.iter().find(|topic| !next.topics.contains(topic));
        gone.map(|topic| format!("the stream `{table}` no longer reads the topic `{topic}`"))
    }
}

#[cfg(test)]
mod tests;
