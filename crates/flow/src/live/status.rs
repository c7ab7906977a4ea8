//! How a dagger is, for people and for the control plane.

use std::time::{Instant, SystemTime};

use delivery::Ledger;

use crate::engine::Engine;
use crate::step_counts::{StepCounts, Steps, WindowStateSize};

/// A dagger as of its last round.
#[derive(Debug, Clone, Default)]
pub struct DaggerStatus {
    /// Windows that end at or before this are closed, in milliseconds; `None` before the first record.
    pub watermark_ms: Option<i64>,
    /// Result rows handed to the sinks since this process started it.
    pub rows: u64,
    pub lanes: Vec<LaneStatus>,
    pub checkpoint_epoch: u64,
    pub checkpoint_at: Option<SystemTime>,
    /// Memory of its windows' state in bytes, as of the last second or so.
    pub state_bytes: usize,
    pub steps: Steps,
    /// What keeps it from going on, if something does: a sink that does not take rows, a full disk.
    pub problem: Option<String>,
    /// What somebody who looks at its results should know.
    pub notices: Vec<String>,
}

impl DaggerStatus {
    /// The sum of the lanes' ledgers.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for lane in &self.lanes {
            ledger.add(&lane.ledger);
        }
        ledger
    }
}

/// One partition of one stream.
#[derive(Debug, Clone)]
pub struct LaneStatus {
    pub table: String,
    pub topic: String,
    pub partition: u32,
    pub next_offset: i64,
    /// Records that are in the partition and not read yet, at the last read.
    pub lag: i64,
    pub watermark_ms: Option<i64>,
    /// Records that were gone before this dagger had read them, and that somebody decided to go on without.
    pub lost_unread: i64,
    pub ledger: Ledger,
}

#[derive(Default)]
pub(crate) struct Totals {
    pub rows: u64,
    pub checkpoint_epoch: u64,
    pub checkpoint_at: Option<SystemTime>,
    pub states: Vec<WindowStateSize>,
    pub state_measured: Option<Instant>,
    pub sinks: Vec<StepCounts>,
    /// Per lane.
    pub lost_unread: Vec<i64>,
    pub notices: Vec<String>,
}

pub(crate) fn describe(engine: &Engine, watermark: i64, totals: &Totals, problem: Option<String>) -> DaggerStatus {
    let known = |ms: i64| (ms != i64::MIN).then_some(ms);
    let lanes = engine.lanes().iter().enumerate().map(|(index, lane)| LaneStatus {
        table: lane.table().to_string(),
        topic: lane.topic.to_string(),
        partition: lane.partition,
        next_offset: lane.next_offset,
        lag: (lane.end_offset - lane.next_offset).max(0),
        watermark_ms: known(lane.watermark_ms()),
        lost_unread: totals.lost_unread.get(index).copied().unwrap_or_default(),
        ledger: lane.ledger(),
    });
    DaggerStatus {
        watermark_ms: known(watermark),
        rows: totals.rows,
        lanes: lanes.collect(),
        checkpoint_epoch: totals.checkpoint_epoch,
        checkpoint_at: totals.checkpoint_at,
        state_bytes: totals.states.iter().map(|state| state.bytes).sum(),
        steps: Steps { sinks: totals.sinks.clone(), states: totals.states.clone(), ..engine.steps() },
        problem,
        notices: totals.notices.clone(),
    }
}
