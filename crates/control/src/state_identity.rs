//! What a dagger's state belongs to: the planned query and its streams. Pure: it only compares.
//!
//! State holds sums per group and positions in topics. Of another query the sums mean something else, so an edit of what is
//! computed drops the state, and the streams are read again from where `startFrom` says; going on from the old positions
//! would give windows that hold only a part of their records. Every other edit (sinks, intervals, limits, more topics)
//! keeps it.

use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::DaggerSpec;
use serde::{Deserialize, Serialize};

/// Written beside the checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateIdentity {
    query: String,
    /// The columns of the windows with their types, which follow from the message types.
    windows: Vec<String>,
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

impl StateIdentity {
    pub fn of(spec: &DaggerSpec, planned: &PlannedDagger) -> Self {
        let streams = spec.streams.iter().map(|stream| StreamIdentity {
            table: stream.table.clone(),
            schema: stream.schema.clone(),
            timestamp: stream.timestamp.clone(),
            topics: stream.topics.clone(),
        });
        let columns = planned.plan.windows.iter().flat_map(|window| window.schema.fields());
        let windows = columns.map(|column| format!("{} {}", column.name(), column.data_type()));
        Self { query: planned.plan.explain.clone(), windows: windows.collect(), streams: streams.collect() }
    }

    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|stream| stream.table.as_str())
    }

    /// Why the state that `self` stands for does not fit `next`; `None` if it does.
    pub fn obstacle(&self, next: &StateIdentity) -> Option<String> {
        if self.query != next.query {
            return Some("the query has changed".to_owned());
        }
        if self.windows != next.windows {
            return Some("the types of what its windows hold have changed".to_owned());
        }
        if self.streams.len() != next.streams.len() {
            return Some("the streams have changed".to_owned());
        }
        self.streams.iter().zip(&next.streams).find_map(|(before, after)| before.obstacle(after))
    }
}

impl StreamIdentity {
    fn obstacle(&self, next: &StreamIdentity) -> Option<String> {
        let table = &next.table;
        if self.table != next.table || self.schema != next.schema {
            return Some(format!("the stream `{table}` has changed"));
        }
        if self.timestamp != next.timestamp {
            return Some(format!("the event time of the stream `{table}` has changed"));
        }
        let gone = self.topics.iter().find(|topic| !next.topics.contains(topic));
        gone.map(|topic| format!("the stream `{table}` no longer reads the topic `{topic}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> StateIdentity {
        let stream = StreamIdentity {
            table: "data_stream".into(),
            schema: Some("a.B".into()),
            timestamp: Some("at".into()),
            topics: vec!["one".into(), "two".into()],
        };
        StateIdentity { query: "Projection".into(), windows: vec!["a Int64".into()], streams: vec![stream] }
    }

    #[test]
    fn what_computes_the_same_keeps_its_state() {
        let mut next = identity();
        assert_eq!(identity().obstacle(&next), None);
        next.streams[0].topics = vec!["two".into(), "three".into(), "one".into()];
        assert_eq!(identity().obstacle(&next), None);
    }

    #[test]
    fn what_computes_something_else_does_not() {
        type Edit = fn(&mut StateIdentity);
        let edits: [(Edit, &str); 6] = [
            (|next| next.query.push('x'), "the query has changed"),
            (|next| next.windows.clear(), "the types of what its windows hold have changed"),
            (|next| next.streams.clear(), "the streams have changed"),
            (|next| next.streams[0].schema = None, "the stream `data_stream` has changed"),
            (|next| next.streams[0].timestamp = None, "the event time of the stream `data_stream` has changed"),
            (|next| drop(next.streams[0].topics.remove(0)), "the stream `data_stream` no longer reads the topic `one`"),
        ];
        for (edit, why) in edits {
            let mut next = identity();
            edit(&mut next);
            assert_eq!(identity().obstacle(&next).as_deref(), Some(why));
        }
    }
}
