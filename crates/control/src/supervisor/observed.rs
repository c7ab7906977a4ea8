//! How a dagger is: its phase, since when, why, and its numbers.

use crate::operator_graph::OperatorRates;
use crate::platform::{RunningDagger, SinkStatus};
use crate::supervisor::history::History;
use crate::time_text::{millis, now_ms};
use flow::DaggerStatus;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::watch;

/// The rate is taken over at least this long.
const RATE_WINDOW: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Deploying,
    Running,
    /// It was told to, and makes its last checkpoint.
    Stopping,
    /// It failed and will be tried again.
    Failing,
    Suspended,
    /// The server ends, or it was deleted.
    Stopped,
    /// It failed, and trying again would not help.
    Failed,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Deploying => "deploying",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Failing => "failing",
            Phase::Suspended => "suspended",
            Phase::Stopped => "stopped",
            Phase::Failed => "failed",
        }
    }
}

#[derive(Clone)]
pub struct Observed {
    pub phase: Phase,
    dagger: String,
    history: History,
    /// What the history knows last.
    noted: Option<&'static str>,
    pub(super) generation: i64,
    since_ms: i64,
    last_error: Option<String>,
    last_error_ms: Option<i64>,
    /// Why it is to be stopped, if somebody has decided so.
    refusal: Option<String>,
    failures: u64,
    /// Of the last run; its numbers are those of this moment.
    status: Option<watch::Receiver<Arc<DaggerStatus>>>,
    sinks: Vec<SinkStatus>,
    operators: OperatorRates,
    rate: f64,
    rate_from: Option<(Instant, u64)>,
}

impl Observed {
    pub(super) fn new(dagger: &str, history: History) -> Self {
        Self {
            phase: Phase::Deploying,
            dagger: dagger.to_owned(),
            history,
            noted: None,
            generation: 0,
            since_ms: now_ms(),
            last_error: None,
            last_error_ms: None,
            refusal: None,
            failures: 0,
            status: None,
            sinks: Vec::new(),
            operators: OperatorRates::default(),
            rate: 0.0,
            rate_from: None,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, error: Option<String>) {
        if phase != self.phase {
            self.phase = phase;
            self.since_ms = now_ms();
        }
        if phase != Phase::Running {
            self.rate = 0.0;
            self.rate_from = None;
            self.operators.rest();
        }
        if let Some(error) = error {
            self.last_error = Some(error);
            self.last_error_ms = Some(now_ms());
            self.failures += 1;
        }
        self.keep_history();
    }

    pub(super) fn refuse(&mut self, reason: String) {
        self.refusal = Some(reason);
    }

    pub(super) fn refusal(&mut self) -> String {
        self.refusal.take().unwrap_or_default()
    }

    /// The state as it is shown, and why it is not well.
    fn state(&self) -> (&'static str, Option<String>) {
        let problem = self.status.as_ref().and_then(|status| status.borrow().problem.clone());
        match (self.phase, problem) {
            // It runs and does not get on.
            (Phase::Deploying | Phase::Running, Some(problem)) => ("degraded", Some(problem)),
            (Phase::Failing | Phase::Failed, _) => (self.phase.as_str(), self.last_error.clone()),
            (phase, _) => (phase.as_str(), None),
        }
    }

    fn keep_history(&mut self) {
        let (state, reason) = self.state();
        if self.noted != Some(state) {
            self.noted = Some(state);
            self.history.note(&self.dagger, state, reason.as_deref(), self.generation);
        }
    }

    /// Takes the numbers of a run that has begun.
    pub(super) fn look(&mut self, running: &RunningDagger) {
        if !running.is_deployed() {
            // Its first checkpoint may have to wait, too, for room on the disk.
            if running.handle.status().problem.is_some() {
                self.take_numbers(running);
            }
            return;
        }
        if self.phase == Phase::Deploying {
            self.enter(Phase::Running, None);
        }
        self.take_numbers(running);
    }

    pub(super) fn take_numbers(&mut self, running: &RunningDagger) {
        let status = running.handle.status();
        let (now, consumed) = (Instant::now(), status.ledger().consumed);
        match self.rate_from {
            Some((from, before)) if now.duration_since(from) >= RATE_WINDOW => {
                self.rate = consumed.saturating_sub(before) as f64 / now.duration_since(from).as_secs_f64();
                self.rate_from = Some((now, consumed));
            }
            None => self.rate_from = Some((now, consumed)),
            Some(_) => {}
        }
        self.operators.look(&running.graph, &status);
        self.sinks = running.sinks.clone();
        self.status = Some(running.handle.watch_status());
        self.keep_history();
    }

    /// Memory of its state; nothing while it does not run.
    pub fn state_bytes(&self) -> usize {
        match self.phase {
            Phase::Deploying | Phase::Running => self.status.as_ref().map_or(0, |status| status.borrow().state_bytes),
            _ => 0,
        }
    }

    pub fn to_json(&self) -> Value {
        let status = self.status.as_ref().map(|status| Arc::clone(&status.borrow())).unwrap_or_default();
        let (state, problem) = self.state();
        let partitions: Vec<Value> = status
            .lanes
            .iter()
            .map(|lane| {
                json!({
                    "table": lane.table, "topic": lane.topic, "partition": lane.partition, "nextOffset": lane.next_offset,
                    "lag": lane.lag, "watermark": lane.watermark_ms.map(millis), "removedUnread": lane.removed_unread,
                    "ledger": lane.ledger,
                })
            })
            .collect();
        let checkpoint_ms = status
            .checkpoint_at
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok());
        json!({
            "state": state,
            "since": millis(self.since_ms),
            "problem": problem,
            "lastError": self.last_error,
            "lastErrorAt": self.last_error_ms.map(millis),
            "failures": self.failures,
            "recordsPerSecond": (self.rate * 10.0).round() / 10.0,
            "lag": status.lanes.iter().map(|lane| lane.lag).sum::<i64>(),
            "watermark": status.watermark_ms.map(millis),
            "rows": status.rows,
            "stateBytes": status.state_bytes,
            "ledger": status.ledger(),
            "checkpoint": { "epoch": status.checkpoint_epoch, "at": checkpoint_ms.map(millis) },
            "sinks": self.sinks.iter().map(SinkStatus::to_json).collect::<Vec<_>>(),
            "partitions": partitions,
            "operators": self.operators.to_json(&status),
        })
    }
}
