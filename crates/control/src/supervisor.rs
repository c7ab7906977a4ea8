//! Keeps daggers as they are desired: running ones run, and run again after a failure; suspended ones do not.
//!
//! One task per dagger holds its whole story: deploying, running, failing (and the next try), failed, suspended. It asks
//! [`Platform`] to launch the dagger and knows nothing of how.

mod history;
mod observed;

pub use history::{History, states};
pub use observed::{Observed, Phase};

use crate::error::{ControlError, ErrorKind};
use crate::platform::{Platform, RunningDagger};
use flow::FlowError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// One that ran this long is well again: its next failure begins with the shortest wait.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How often a dagger is looked at until it runs, and from then on.
const DEPLOYING_LOOK_INTERVAL: Duration = Duration::from_millis(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(1_000);
/// How long a command waits for a dagger to do as it was told.
const OBEY_TIME_MAX: Duration = Duration::from_secs(30);

/// What a dagger should do. A new generation of its spec is a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    Running {
        generation: i64,
        /// Grows to restart the same generation.
        run: u64,
    },
    Suspended,
    /// It may not go on as it is, and waits for somebody to change or start it.
    Refused,
    /// The server ends, or the dagger is deleted.
    Ended,
}

struct Slot {
    desired: watch::Sender<Desired>,
    observed: Arc<Mutex<Observed>>,
    task: JoinHandle<()>,
}

impl Slot {
    /// At once, so that whoever waits for it to run does not take the former run for it.
    fn show_deploying(&self, generation: i64) {
        let mut observed = self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        observed.generation = generation;
        observed.enter(Phase::Deploying, None);
    }
}

pub struct Supervisor {
    history: History,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl Supervisor {
    pub fn new(history: History) -> Self {
        Self { history, slots: Mutex::default() }
    }

    /// Sets what a dagger should do; the first time starts its task.
    pub fn set(&self, platform: &Arc<Platform>, name: &str, desired: Desired) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(name) {
            // The same again is no change and disturbs nobody.
            slot.desired.send_if_modified(|current| {
                let is_same = match (&*current, &desired) {
                    (Desired::Running { generation: now, .. }, Desired::Running { generation: wanted, .. }) => {
                        now == wanted
                    }
                    (now, wanted) => now == wanted,
                };
                if !is_same {
                    // Before its task can know: one that fails at once must not be shown as deploying for ever.
                    if let Desired::Running { generation, .. } = desired {
                        slot.show_deploying(generation);
                    }
                    *current = desired;
                }
                !is_same
            });
            return;
        }
        let (sender, receiver) = watch::channel(desired);
        let mut observed = Observed::new(name, self.history.clone());
        if desired == Desired::Suspended {
            // It is so already: nobody has to wait for its task to say it.
            observed.enter(Phase::Suspended, None);
        }
        let observed = Arc::new(Mutex::new(observed));
        let task = DaggerTask {
            platform: Arc::downgrade(platform),
            name: name.to_owned(),
            desired: receiver,
            observed: Arc::clone(&observed),
            backoff: BACKOFF_MIN,
        };
        slots.insert(name.to_owned(), Slot { desired: sender, observed, task: tokio::spawn(task.run()) });
    }

    /// Starts a running dagger anew, from a checkpoint.
    pub fn restart(&self, name: &str) {
        if let Some(slot) = self.lock().get(name) {
            slot.desired.send_if_modified(|current| match current {
                Desired::Running { generation, run } => {
                    slot.show_deploying(*generation);
                    *run += 1;
                    true
                }
                _ => false,
            });
        }
    }

    /// Ends a running dagger with a checkpoint and leaves it failed, for a reason that a restart would not mend.
    pub fn refuse(&self, name: &str, reason: String) {
        if let Some(slot) = self.lock().get(name) {
            slot.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).refuse(reason);
            slot.desired.send_if_modified(|current| {
                let is_running = matches!(current, Desired::Running { .. });
                if is_running {
                    *current = Desired::Refused;
                }
                is_running
            });
        }
    }

    /// How it is; `None` before it was ever set.
    pub fn observe(&self, name: &str) -> Option<Observed> {
        let slots = self.lock();
        let slot = slots.get(name)?;
        let observed = slot.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        Some(observed)
    }

    /// Waits until the dagger is in a phase that `is_reached` takes, or for as long as is reasonable.
    pub async fn wait(&self, name: &str, is_reached: impl Fn(Phase) -> bool) {
        let deadline = Instant::now() + OBEY_TIME_MAX;
        while Instant::now() < deadline && self.observe(name).is_some_and(|observed| !is_reached(observed.phase)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends one dagger, with a checkpoint, and forgets it.
    pub async fn end(&self, name: &str) {
        let slot = self.lock().remove(name);
        if let Some(slot) = slot {
            end_slot(slot).await;
        }
    }

    /// Ends all of them, at the same time.
    pub async fn end_all(&self) {
        let slots = std::mem::take(&mut *self.lock());
        futures::future::join_all(slots.into_values().map(end_slot)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slot>> {
        // Held for map operations only, so a poisoned one is still whole.
        self.slots.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn end_slot(slot: Slot) {
    slot.desired.send_replace(Desired::Ended);
    if slot.task.await.is_err() {
        tracing::error!("the task of a dagger ended unexpectedly");
    }
}

struct DaggerTask {
    platform: Weak<Platform>,
    name: String,
    desired: watch::Receiver<Desired>,
    observed: Arc<Mutex<Observed>>,
    backoff: Duration,
}

impl DaggerTask {
    async fn run(mut self) {
        loop {
            let desired = *self.desired.borrow_and_update();
            match desired {
                Desired::Ended => return self.note(Phase::Stopped, None),
                Desired::Suspended => {
                    self.note(Phase::Suspended, None);
                    self.changed().await;
                }
                Desired::Refused => {
                    let reason = self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).refusal();
                    self.note(Phase::Failed, Some(reason));
                    self.changed().await;
                }
                Desired::Running { generation, .. } => {
                    self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).generation = generation;
                    self.run_once().await;
                }
            }
        }
    }

    /// From deploying to the end of this run, whatever ends it.
    async fn run_once(&mut self) {
        self.note(Phase::Deploying, None);
        let Some(platform) = self.platform.upgrade() else { return self.give_up().await };
        let launched = platform.launch_dagger(&self.name).await;
        drop(platform);
        match launched {
            Ok(running) => self.attend(running).await,
            Err(error) => self.after_failure(error.to_string(), launch_may_pass(&error)).await,
        }
    }

    async fn attend(&mut self, running: RunningDagger) {
        let started = Instant::now();
        loop {
            let interval = match running.is_deployed() {
                true => LOOK_INTERVAL,
                false => DEPLOYING_LOOK_INTERVAL,
            };
            tokio::select! {
                () = tokio::time::sleep(interval) => {
                    if !self.desired.has_changed().unwrap_or(true) {
                        self.look(&running);
                    }
                    if running.handle.is_finished() {
                        break;
                    }
                }
                changed = self.desired.changed() => {
                    if changed.is_err() {
                        tracing::warn!(dagger = %self.name, "nobody supervises it any more");
                    }
                    return self.stop(running).await;
                }
            }
        }
        if started.elapsed() >= WELL_AFTER {
            self.backoff = BACKOFF_MIN;
        }
        match running.handle.ended().await {
            Ok(()) => self.after_failure("it ended without being told to".to_owned(), MayPass::Yes).await,
            Err(error) => self.after_failure(error.to_string(), run_may_pass(&error)).await,
        }
    }

    async fn stop(&mut self, running: RunningDagger) {
        // One that starts anew is deploying all the while.
        if !matches!(*self.desired.borrow(), Desired::Running { .. }) {
            self.note(Phase::Stopping, None);
        }
        running.handle.ask_to_stop();
        while !running.handle.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take_numbers(&running);
        if let Err(error) = running.handle.ended().await {
            tracing::warn!(dagger = %self.name, error = %error, "stopping failed; it will go on from its last checkpoint");
        }
    }

    async fn after_failure(&mut self, reason: String, may_pass: MayPass) {
        match may_pass {
            MayPass::No => {
                tracing::error!(dagger = %self.name, reason, "failed; it stays down until it is changed or started");
                self.note(Phase::Failed, Some(reason));
                self.changed().await;
            }
            MayPass::Yes => {
                tracing::warn!(dagger = %self.name, reason, again_in = ?self.backoff, "failing");
                self.note(Phase::Failing, Some(reason));
                let wait = self.backoff;
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.changed() => {}
                }
            }
        }
    }

    /// A supervisor that is gone has nothing more to say, and its daggers end.
    async fn changed(&mut self) {
        if self.desired.changed().await.is_err() {
            self.give_up().await;
        }
    }

    async fn give_up(&mut self) {
        self.note(Phase::Stopped, None);
        std::future::pending::<()>().await;
    }

    fn note(&self, phase: Phase, error: Option<String>) {
        self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).enter(phase, error);
    }

    fn look(&self, running: &RunningDagger) {
        self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).look(running);
    }
}

/// Whether the same attempt can succeed later without anybody changing the dagger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MayPass {
    Yes,
    No,
}

fn launch_may_pass(error: &ControlError) -> MayPass {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Internal => MayPass::Yes,
        _ => MayPass::No,
    }
}

fn run_may_pass(error: &FlowError) -> MayPass {
    match error {
        FlowError::BadRecord { .. }
        | FlowError::StateMismatch(_)
        | FlowError::Decode { .. }
        | FlowError::RowtimeType { .. }
        | FlowError::Sink { .. } => MayPass::No,
        _ => MayPass::Yes,
    }
}
