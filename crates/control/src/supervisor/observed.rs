//! How a dagger is: its phase, since when, why, and its numbers.

use super::job::Entrance;
use super::job_state::Phase;
use super::{Desired, Order};
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

#[derive(Clone)]
pub struct Observed {
    dagger: String,
    history: History,
    /// The state of its job, and why it came into it.
    phase: Phase,
    why: Option<String>,
    /// The order to run that its job has not followed yet.
    awaited: Option<Order>,
    /// What was shown last, and since when.
    shown: Phase,
    since_ms: i64,
    /// What the history knows last.
    noted: Option<&'static str>,
    generation: i64,
    last_error: Option<String>,
    last_error_ms: Option<i64>,
    failures: u64,
    /// Records are gone, and somebody has to say from where it goes on.
    asks_about_loss: bool,
    /// Of the last run; its numbers are those of this moment.
    status: Option<watch::Receiver<Arc<DaggerStatus>>>,
    sinks: Vec<SinkStatus>,
    operators: OperatorRates,
    rate: f64,
    rate_from: Option<(Instant, u64)>,
}

impl Observed {
    /// Of one whose job begins with this order.
    pub(super) fn new(dagger: &str, history: History, first: &Order) -> Self {
        let phase = match first.desired {
            Desired::Running { .. } => Phase::Deploying,
            Desired::Suspended => Phase::Suspended,
            Desired::Refused => Phase::Failed,
            Desired::Ended => Phase::Stopped,
        };
        let mut observed = Self {
            dagger: dagger.to_owned(),
            history,
            phase,
            why: Some(first.why.clone()),
            awaited: None,
            shown: phase,
            since_ms: now_ms(),
            noted: None,
            generation: 0,
            last_error: None,
            last_error_ms: None,
            failures: 0,
            asks_about_loss: false,
            status: None,
            sinks: Vec::new(),
            operators: OperatorRates::default(),
            rate: 0.0,
            rate_from: None,
        };
        observed.expect(first);
        observed
    }

    /// Notes an order as it is given, before its job can know.
    pub(super) fn expect(&mut self, order: &Order) {
        self.awaited = None;
        if let Desired::Running { generation } = order.desired {
            self.generation = generation;
            self.awaited = Some(order.clone());
        }
        self.settle();
    }

    pub(super) fn enter(&mut self, entrance: Entrance) {
        self.phase = entrance.phase();
        if self.awaited.as_ref().is_some_and(|awaited| entrance.order() == Some(awaited.number)) {
            self.awaited = None;
        }
        self.asks_about_loss = entrance.asks_about_loss();
        self.why = entrance.into_why();
        if matches!(self.phase, Phase::Failing | Phase::Failed) {
            self.last_error = self.why.clone();
            self.last_error_ms = Some(now_ms());
            self.failures += 1;
        }
        self.settle();
    }

    /// One that was told to run is deploying from then on, so that whoever waits for it to run does not take the former run
    /// for it.
    pub fn phase(&self) -> Phase {
        if self.awaited.is_some() { Phase::Deploying } else { self.phase }
    }

    /// Whether it runs as it was told last.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Deploying | Phase::Running) && self.awaited.is_none()
    }

    fn settle(&mut self) {
        if self.shown != self.phase() {
            self.shown = self.phase();
            self.since_ms = now_ms();
        }
        if self.shown != Phase::Running {
            self.rate = 0.0;
            self.rate_from = None;
            self.operators.rest();
        }
        self.keep_history();
    }

    /// The state as it is shown, and why it is not well.
    fn state(&self) -> (&'static str, Option<String>) {
        let problem = self.status.as_ref().and_then(|status| status.borrow().problem.clone());
        let problem = problem.or_else(|| self.sinks.iter().find_map(SinkStatus::delay));
        match (self.phase(), problem) {
            // It runs and does not get on.
            (Phase::Deploying | Phase::Running, Some(problem)) => ("degraded", Some(problem)),
            (phase @ (Phase::Failing | Phase::Failed), _) => (phase.as_str(), self.last_error.clone()),
            (phase, _) => (phase.as_str(), None),
        }
    }

    fn keep_history(&mut self) {
        let (state, problem) = self.state();
        if self.noted != Some(state) {
            self.noted = Some(state);
            let why = self.awaited.as_ref().map_or(self.why.as_deref(), |awaited| Some(awaited.why.as_str()));
            self.history.note(&self.dagger, state, problem.as_deref().or(why), self.generation);
        }
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
        match self.phase() {
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
                    "lag": lane.lag, "watermark": lane.watermark_ms.map(millis), "lostUnread": lane.lost_unread,
                    "ledger": lane.ledger,
                })
            })
            .collect();
        let of_sinks = self.sinks.iter().filter_map(SinkStatus::notice);
        let notices: Vec<String> = status.notices.iter().cloned().chain(of_sinks).collect();
        let checkpoint_ms = status
            .checkpoint_at
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok());
        json!({
            "state": state,
            "since": millis(self.since_ms),
            "problem": problem,
            "asksAboutLoss": self.asks_about_loss,
            "notices": notices,
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
