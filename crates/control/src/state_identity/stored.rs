//! The forms in which it is written beside the checkpoints what they belong to.

use super::{StateIdentity, StateVerdict, StreamIdentity, obstacle, positions_in_words};
use crate::dagger_plan::PlannedDagger;
use flow::StoredWindow;
use serde::{Deserialize, Serialize};
use sql::WindowIdentity;

/// What lies beside a dagger's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredState {
    /// There is no state.
    None,
    Known(StateIdentity),
    /// Written by a version that compared whole queries.
    Former(FormerIdentity),
    /// There is state, and nothing that can be read says of what.
    Unreadable,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredIdentity {
    query: String,
    windows: Vec<StoredWindow>,
    streams: Vec<StreamIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerIdentity {
    query: String,
    /// The columns of the windows with their types.
    windows: Vec<String>,
    streams: Vec<StreamIdentity>,
}

impl StoredState {
    pub fn read(bytes: &[u8]) -> Self {
        if let Ok(stored) = serde_json::from_slice::<StoredIdentity>(bytes) {
            let windows: Result<Vec<WindowIdentity>, _> = stored.windows.iter().map(WindowIdentity::try_from).collect();
            return match windows {
                Ok(windows) => Self::Known(StateIdentity { query: stored.query, windows, streams: stored.streams }),
                Err(_) => Self::Unreadable,
            };
        }
        serde_json::from_slice(bytes).map_or(Self::Unreadable, Self::Former)
    }

    /// The tables whose records the state is of, as far as that is known.
    pub fn tables(&self) -> Vec<&str> {
        match self {
            Self::None | Self::Unreadable => Vec::new(),
            Self::Known(identity) => identity.tables().collect(),
            Self::Former(former) => former.streams.iter().map(|stream| stream.table.as_str()).collect(),
        }
    }

    /// What becomes of this state when `next`, which is of `planned`, is to run.
    pub fn verdict(&self, next: &StateIdentity, planned: &PlannedDagger) -> StateVerdict {
        match self {
            Self::None => StateVerdict::none(),
            Self::Known(before) => before.verdict(next),
            Self::Former(former) => former.verdict(next, planned),
            Self::Unreadable => {
                StateVerdict::lost("what its state belongs to cannot be read".to_owned(), vec!["all of it".to_owned()])
            }
        }
    }
}

impl StateIdentity {
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(&StoredIdentity {
            query: self.query.clone(),
            windows: self.windows.iter().map(StoredWindow::from).collect(),
            streams: self.streams.clone(),
        })
    }
}

impl FormerIdentity {
    /// It fits the same query over the same types, and no other.
    fn verdict(&self, next: &StateIdentity, planned: &PlannedDagger) -> StateVerdict {
        let columns = planned.plan.windows.iter().flat_map(|window| window.schema.fields());
        let columns: Vec<String> = columns.map(|column| format!("{} {}", column.name(), column.data_type())).collect();
        let reason = obstacle(&self.streams, &next.streams).or_else(|| {
            let is_same = self.query == next.query && self.windows == columns;
            let why = "its state was written by an earlier version of Millrace, which says of it only that it is of the same \
                       query, and the query or its types have changed";
            (!is_same).then(|| why.to_owned())
        });
        match reason {
            None => StateIdentity { streams: self.streams.clone(), ..next.clone() }.verdict(next),
            Some(reason) => StateVerdict::lost(reason, positions_in_words(&self.streams)),
        }
    }
}
