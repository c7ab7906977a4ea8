//! What each step of a dagger has done: rows in and out, and the time it took.

use std::time::Duration;

/// One step since the dagger was started in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    pub rows_in: u64,
    pub rows_out: u64,
    /// On all threads together.
    pub busy: Duration,
}

impl StepCounts {
    pub(crate) fn note(&mut self, rows_in: usize, rows_out: usize, busy: Duration) {
        self.rows_in += rows_in as u64;
        self.rows_out += rows_out as u64;
        self.busy += busy;
    }

    fn add(&mut self, other: &StepCounts) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.busy += other.busy;
    }
}

/// The steps of a dagger, each kind in the order of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// Decoding and judging of times: records in, rows out.
    pub sources: Vec<StepCounts>,
    /// Filters, projections and unnesting between a source and a window or the result.
    pub branches: Vec<StepCounts>,
    /// Rows in, results out when windows close.
    pub windows: Vec<StepCounts>,
    /// What follows the windows.
    pub output: StepCounts,
    /// In the order of the sinks; their time is that of waiting for them, too.
    pub sinks: Vec<StepCounts>,
    /// As of the last second or so, by window.
    pub states: Vec<WindowStateSize>,
}

/// How much a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowStateSize {
    /// Of memory.
    pub bytes: usize,
    /// Keys in open windows, each as often as there are open parts that it is in.
    pub groups: usize,
}

/// The steps that run in a lane, each by its place in the plan.
#[derive(Debug, Clone)]
pub(crate) struct LaneSteps {
    pub source: StepCounts,
    pub branches: Vec<StepCounts>,
    pub windows: Vec<StepCounts>,
}

impl LaneSteps {
    pub fn new(branches: usize, windows: usize) -> Self {
        LaneSteps {
            source: StepCounts::default(),
            branches: vec![StepCounts::default(); branches],
            windows: vec![StepCounts::default(); windows],
        }
    }

    pub fn add_to(&self, source: usize, steps: &mut Steps) {
        steps.sources[source].add(&self.source);
        for (all, own) in [(&mut steps.branches, &self.branches), (&mut steps.windows, &self.windows)] {
            all.iter_mut().zip(own).for_each(|(all, own)| all.add(own));
        }
    }
}
