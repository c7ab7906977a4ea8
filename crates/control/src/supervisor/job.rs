//! The life of one dagger: a job in one state after the other.
//!
//! Each state has its own methods; they consume the job and return it in its next state. [`Job::enter`] is the only way
//! there, and goes only where [`job_state`](super::job_state) says.

use super::job_state::{Deploying, Failed, Failing, Phase, Running, State, Stopped, Stopping, Suspended, To};
use super::observed::Observed;
use super::{Desired, Order};
use crate::duration::format_duration;
use crate::error::{ControlError, ErrorKind};
use crate::platform::{Platform, RunningDagger};
use checkpoint::CheckpointError;
use flow::FlowError;
use log::LogError;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// One that ran this long is well again: its next failure begins with the shortest wait.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How often a dagger is looked at until it runs, and from then on.
const DEPLOYING_LOOK_INTERVAL: Duration = Duration::from_millis(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(1_000);
const STOPPING_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a job has in every state.
pub(super) struct Seat {
    pub platform: Weak<Platform>,
    pub name: String,
    pub orders: watch::Receiver<Order>,
    pub observed: Arc<Mutex<Observed>>,
}

pub(super) struct Job<S> {
    seat: Seat,
    backoff: Duration,
    state: PhantomData<S>,
}

/// A job in whichever state, with what it has only there.
enum Current {
    Deploying(Job<Deploying>),
    Running(Job<Running>, RunningDagger),
    Stopping(Job<Stopping>, RunningDagger),
    Failing(Job<Failing>),
    Failed(Job<Failed>),
    Suspended(Job<Suspended>),
    Stopped,
}

/// That a job has come into a state, and why. Only this module can say so.
pub(super) struct Entrance {
    phase: Phase,
    why: Option<String>,
    /// The number of the order that it follows.
    order: Option<u64>,
    asks_about_loss: bool,
}

impl Entrance {
    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn order(&self) -> Option<u64> {
        self.order
    }

    pub fn asks_about_loss(&self) -> bool {
        self.asks_about_loss
    }

    pub fn into_why(self) -> Option<String> {
        self.why
    }
}

/// Lives until it is told to end.
pub(super) async fn live(mut seat: Seat) {
    let order = seat.latest_order();
    let mut current = match order.desired {
        Desired::Running { .. } => Current::Deploying(Job::begin(seat, order)),
        Desired::Suspended => Current::Suspended(Job::begin(seat, order)),
        Desired::Refused => Current::Failed(Job::begin(seat, order)),
        Desired::Ended => Job::<Stopped>::begin(seat, order).stopped(),
    };
    loop {
        current = match current {
            Current::Deploying(job) => job.deploy().await,
            Current::Running(job, dagger) => job.attend(dagger).await,
            Current::Stopping(job, dagger) => job.finish(dagger).await,
            Current::Failing(job) => job.wait().await,
            Current::Failed(job) => job.rest().await,
            Current::Suspended(job) => job.sleep().await,
            Current::Stopped => return,
        }
    }
}

impl<S: State> Job<S> {
    fn begin(seat: Seat, order: Order) -> Self {
        let (why, number) = (Some(order.why), Some(order.number));
        seat.observed().enter(Entrance { phase: S::PHASE, why, order: number, asks_about_loss: false });
        Self { seat, backoff: BACKOFF_MIN, state: PhantomData }
    }

    fn enter<Next: State>(self, why: Option<String>, order: Option<u64>) -> Job<Next>
    where
        S: To<Next>,
    {
        self.enter_asking(why, order, false)
    }

    fn enter_asking<Next: State>(self, why: Option<String>, order: Option<u64>, asks_about_loss: bool) -> Job<Next>
    where
        S: To<Next>,
    {
        self.seat.observed().enter(Entrance { phase: Next::PHASE, why, order, asks_about_loss });
        Job { seat: self.seat, backoff: self.backoff, state: PhantomData }
    }

    /// Goes where an order says.
    fn follow<Next: State>(self, order: Order) -> Job<Next>
    where
        S: To<Next>,
    {
        self.enter(Some(order.why), Some(order.number))
    }

    fn end(self, why: String) -> Current
    where
        S: To<Stopped>,
    {
        self.enter::<Stopped>(Some(why), None).stopped()
    }

    fn fail(self, reason: String, may_pass: MayPass) -> Current
    where
        S: To<Failing> + To<Failed>,
    {
        let name = &self.seat.name;
        match may_pass {
            MayPass::No | MayPass::IfLossIsAccepted => {
                tracing::error!(dagger = %name, reason, "failed; it stays down until it is changed or started");
                Current::Failed(self.enter_asking(Some(reason), None, may_pass == MayPass::IfLossIsAccepted))
            }
            MayPass::Yes => {
                tracing::warn!(dagger = %name, reason, again_in = ?self.backoff, "failing");
                let again =
                    format!("{reason}; trying again from the last checkpoint in {}", format_duration(self.backoff));
                Current::Failing(self.enter(Some(again), None))
            }
        }
    }

    /// It has ended, and nobody told it to.
    async fn ended(self, dagger: RunningDagger) -> Current
    where
        S: To<Failing> + To<Failed>,
    {
        match dagger.handle.ended().await {
            Ok(()) => self.fail("it ended without being told to".to_owned(), MayPass::Yes),
            Err(error) => self.fail(error.to_string(), run_may_pass(&error)),
        }
    }
}

impl Job<Deploying> {
    async fn deploy(mut self) -> Current {
        let Some(platform) = self.seat.platform.upgrade() else { return self.end(Order::SERVER_ENDS.to_owned()) };
        let launched = platform.launch_dagger(&self.seat.name).await;
        drop(platform);
        let dagger = match launched {
            Ok(dagger) => dagger,
            Err(error) => return self.fail(error.to_string(), launch_may_pass(&error)),
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep(DEPLOYING_LOOK_INTERVAL) => {}
                order = self.seat.next_order() => return Current::Stopping(self.enter(Some(order.why), None), dagger),
            }
            if dagger.is_deployed() {
                return Current::Running(self.enter(None, None), dagger);
            }
            if dagger.handle.is_finished() {
                return self.ended(dagger).await;
            }
            // Its first checkpoint may have to wait, too, for room on the disk.
            if dagger.handle.status().problem.is_some() {
                self.seat.observed().take_numbers(&dagger);
            }
        }
    }
}

impl Job<Running> {
    async fn attend(mut self, dagger: RunningDagger) -> Current {
        let since = Instant::now();
        loop {
            self.seat.observed().take_numbers(&dagger);
            if dagger.handle.is_finished() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                order = self.seat.next_order() => return Current::Stopping(self.enter(Some(order.why), None), dagger),
            }
        }
        if since.elapsed() >= WELL_AFTER {
            self.backoff = BACKOFF_MIN;
        }
        self.ended(dagger).await
    }
}

impl Job<Stopping> {
    async fn finish(mut self, dagger: RunningDagger) -> Current {
        dagger.handle.ask_to_stop();
        while !dagger.handle.is_finished() {
            tokio::time::sleep(STOPPING_LOOK_INTERVAL).await;
        }
        self.seat.observed().take_numbers(&dagger);
        if let Err(error) = dagger.handle.ended().await {
            let name = &self.seat.name;
            tracing::warn!(dagger = %name, error = %error, "stopping failed; it will go on from its last checkpoint");
        }
        let order = self.seat.latest_order();
        match order.desired {
            Desired::Running { .. } => Current::Deploying(self.follow(order)),
            Desired::Suspended => Current::Suspended(self.follow(order)),
            Desired::Refused => Current::Failed(self.follow(order)),
            Desired::Ended => self.end(order.why),
        }
    }
}

impl Job<Failing> {
    async fn wait(mut self) -> Current {
        let wait = self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        let order = tokio::select! {
            biased;
            order = self.seat.next_order() => order,
            () = tokio::time::sleep(wait) => {
                return Current::Deploying(self.enter(Some("it is tried again".to_owned()), None));
            }
        };
        match order.desired {
            Desired::Running { .. } => Current::Deploying(self.follow(order)),
            Desired::Suspended => Current::Suspended(self.follow(order)),
            Desired::Refused => Current::Failed(self.follow(order)),
            Desired::Ended => self.end(order.why),
        }
    }
}

impl Job<Failed> {
    async fn rest(mut self) -> Current {
        loop {
            let order = self.seat.next_order().await;
            match order.desired {
                Desired::Running { .. } => return Current::Deploying(self.follow(order)),
                Desired::Suspended => return Current::Suspended(self.follow(order)),
                Desired::Ended => return self.end(order.why),
                // It does not run any more.
                Desired::Refused => {}
            }
        }
    }
}

impl Job<Suspended> {
    async fn sleep(mut self) -> Current {
        loop {
            let order = self.seat.next_order().await;
            match order.desired {
                Desired::Running { .. } => return Current::Deploying(self.follow(order)),
                Desired::Ended => return self.end(order.why),
                // It sleeps already; and what does not run is not refused.
                Desired::Suspended | Desired::Refused => {}
            }
        }
    }
}

impl Job<Stopped> {
    fn stopped(self) -> Current {
        Current::Stopped
    }
}

impl Seat {
    async fn next_order(&mut self) -> Order {
        // One that nobody supervises any more has its last order.
        let _ = self.orders.changed().await;
        self.latest_order()
    }

    fn latest_order(&mut self) -> Order {
        match self.orders.has_changed() {
            Ok(_) => self.orders.borrow_and_update().clone(),
            Err(_) => Order { desired: Desired::Ended, why: Order::SERVER_ENDS.to_owned(), number: u64::MAX },
        }
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether the same attempt can succeed later without anybody changing the dagger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MayPass {
    Yes,
    No,
    /// Records that it has not read are gone: somebody has to decide.
    IfLossIsAccepted,
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
        FlowError::Log(LogError::UnknownPartition { .. }) => MayPass::No,
        FlowError::Log(
            LogError::OffsetGone { .. } | LogError::OffsetBeyondEnd { .. } | LogError::TopicRecreated { .. },
        ) => MayPass::IfLossIsAccepted,
        FlowError::Checkpoint(CheckpointError::Fenced { .. } | CheckpointError::Undecided { .. }) => MayPass::No,
        _ => MayPass::Yes,
    }
}
