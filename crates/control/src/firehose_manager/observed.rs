//! How a firehose is: its state, since when, why, and its numbers.

use super::{Desired, Order};
use crate::firehose_spec::FirehoseState;
use crate::platform::{RunningFirehose, SinkOfFirehose};
use crate::supervisor::History;
use crate::time_text::{millis, now_ms};
use delivery::Ledger;
use firehose::{FirehoseStatus, PartitionPosition};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// What its job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    /// The run itself says how it is.
    Attended,
    /// It failed and will be started again.
    Retrying,
    /// It failed, and starting it again would not help.
    Failed,
    /// It has reached its stop, or the server ends.
    Stopped,
}

#[derive(Clone)]
pub struct Observed {
    name: String,
    history: History,
    phase: Phase,
    reason: Option<String>,
    /// The number of the latest order, and of the one that is followed.
    ordered: u64,
    followed: Option<u64>,
    wants_pause: bool,
    generation: i64,
    why: String,
    since_ms: i64,
    /// What the history knows last.
    noted: Option<&'static str>,
    last_error: Option<String>,
    failures: u64,
    status: Option<watch::Receiver<Arc<FirehoseStatus>>>,
    sink: Option<SinkOfFirehose>,
}

impl Observed {
    pub(super) fn new(name: &str, history: History, first: &Order) -> Self {
        let mut observed = Self {
            name: name.to_owned(),
            history,
            phase: Phase::Starting,
            reason: None,
            ordered: 0,
            followed: None,
            wants_pause: false,
            generation: 0,
            why: String::new(),
            since_ms: now_ms(),
            noted: None,
            last_error: None,
            failures: 0,
            status: None,
            sink: None,
        };
        observed.expect(first);
        observed
    }

    /// Notes an order as it is given, before its job can know.
    pub(super) fn expect(&mut self, order: &Order) {
        self.ordered = order.number;
        if let Desired::Kept { spec, generation } = &order.desired {
            self.generation = *generation;
            self.wants_pause = spec.state == FirehoseState::Paused;
        }
    }

    /// Its job starts it.
    pub(super) fn begin(&mut self, order: &Order) {
        self.status = None;
        self.follow(order);
        self.enter(Phase::Starting, None);
    }

    /// It was told while it ran.
    pub(super) fn follow(&mut self, order: &Order) {
        self.followed = Some(order.number);
        self.why.clone_from(&order.why);
    }

    pub(super) fn enter(&mut self, phase: Phase, reason: Option<String>) {
        if matches!(phase, Phase::Retrying | Phase::Failed) {
            self.last_error.clone_from(&reason);
            self.failures += 1;
        }
        self.phase = phase;
        self.reason = reason;
        self.keep_history();
    }

    pub(super) fn take_numbers(&mut self, running: &RunningFirehose) {
        self.phase = Phase::Attended;
        self.reason = None;
        self.status = Some(running.handle.watch_status());
        self.sink = Some(running.sink.clone());
        self.keep_history();
    }

    /// The state as it is shown, and why it is not well.
    fn state(&self) -> (&'static str, Option<String>) {
        match self.phase {
            Phase::Starting => ("starting", None),
            Phase::Attended => self.status.as_ref().map_or(("starting", None), |status| {
                let status = status.borrow();
                (status.state.as_str(), status.message.clone())
            }),
            Phase::Retrying => ("retrying", self.reason.clone()),
            Phase::Failed => ("failed", self.reason.clone()),
            Phase::Stopped => ("stopped", self.reason.clone()),
        }
    }

    /// Whether it has begun to do, or cannot do, what it was told last.
    pub fn has_obeyed(&self) -> bool {
        let (state, _) = self.state();
        match self.phase {
            Phase::Starting => false,
            Phase::Retrying | Phase::Failed | Phase::Stopped => self.followed == Some(self.ordered),
            Phase::Attended => {
                self.followed == Some(self.ordered)
                    && match state {
                        "starting" => false,
                        "paused" => self.wants_pause,
                        "running" => !self.wants_pause,
                        _ => true,
                    }
            }
        }
    }

    fn keep_history(&mut self) {
        let (state, message) = self.state();
        if self.noted != Some(state) {
            self.noted = Some(state);
            self.since_ms = now_ms();
            let reason = message.as_deref().or((!self.why.is_empty()).then_some(self.why.as_str()));
            self.history.note_firehose(&self.name, state, reason, self.generation);
        }
    }

    /// Whether its numbers are those of a run.
    pub fn is_live(&self) -> bool {
        self.status.as_ref().is_some_and(|status| !status.borrow().partitions.is_empty())
    }

    /// Of one that runs, or `at_rest`: as of the last commit, with the ends of the partitions.
    pub fn to_json(&self, at_rest: &[(PartitionPosition, i64)]) -> Value {
        let (state, message) = self.state();
        let status = self.status.as_ref().map(|status| Arc::clone(&status.borrow())).unwrap_or_default();
        let runs = self.phase == Phase::Attended;
        let partitions: Vec<Value> = match self.is_live() {
            true => status
                .partitions
                .iter()
                .map(|it| partition(it.partition, it.position, it.end, &it.ledger, it.lost_unread))
                .collect(),
            false => at_rest
                .iter()
                .map(|(it, end)| partition(it.partition, it.next_offset, *end, &it.ledger, it.lost_unread))
                .collect(),
        };
        let mut ledger = Ledger::default();
        match self.is_live() {
            true => ledger = status.ledger(),
            false => at_rest.iter().for_each(|(it, _)| ledger.add(&it.ledger)),
        }
        let lag: i64 = partitions.iter().filter_map(|partition| partition["lag"].as_i64()).sum();
        let per_second = if runs { (status.settled_per_second * 10.0).round() / 10.0 } else { 0.0 };
        json!({
            "state": state,
            "since": millis(self.since_ms),
            "message": message,
            "lastError": self.last_error,
            "failures": self.failures,
            "lag": lag,
            "recordsPerSecond": per_second,
            "readPerSecond": if runs { (status.read_per_second * 10.0).round() / 10.0 } else { 0.0 },
            "latency": status.latency.filter(|_| runs).map(|latency| json!({
                "p50Millis": latency.p50.as_secs_f64() * 1e3, "p99Millis": latency.p99.as_secs_f64() * 1e3,
            })),
            "parallelism": status.parallelism,
            "isBrokenOpen": status.is_broken_open,
            "heldBytes": status.held_bytes,
            "ledger": ledger_json(&ledger),
            "partitions": partitions,
            "sink": self.sink.as_ref().map(|sink| sink.to_json(&status)),
        })
    }
}

fn partition(number: u32, position: i64, end: i64, ledger: &Ledger, lost_unread: i64) -> Value {
    json!({
        "partition": number, "position": position, "end": end, "lag": (end - position).max(0),
        "ledger": ledger_json(ledger), "lostUnread": lost_unread,
    })
}

/// consumed = delivered + filtered + late + deadLettered + held.
fn ledger_json(ledger: &Ledger) -> Value {
    json!({
        "consumed": ledger.consumed, "delivered": ledger.delivered, "filtered": ledger.filtered, "late": ledger.late,
        "deadLettered": ledger.dead_lettered, "held": ledger.held,
    })
}
