//! The life of one firehose: started, attended, and started again after a failure that may pass.

use super::observed::{Observed, Phase};
use super::{Desired, Order, SeekOrder, lock};
use crate::duration::format_duration;
use crate::error::{ControlError, ErrorKind};
use crate::firehose_spec::{FirehoseSpec, FirehoseState};
use crate::platform::{Platform, RunningFirehose};
use firehose::{Ended, FirehoseError, PositionError};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// One that ran this long is well again: its next failure begins with the shortest wait.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How long the numbers of a firehose that was moved are waited for.
const SHOWN_TIME_MAX: Duration = Duration::from_secs(2);
/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

pub(super) struct Seat {
    pub platform: Weak<Platform>,
    pub name: String,
    pub orders: watch::Receiver<Order>,
    pub seeks: mpsc::UnboundedReceiver<SeekOrder>,
    pub observed: Arc<Mutex<Observed>>,
}

/// What comes next.
enum Next {
    Start,
    /// After a failure that may pass.
    Wait {
        reason: String,
    },
    /// Until somebody changes, restarts or moves it.
    Rest {
        phase: Phase,
        reason: Option<String>,
    },
    End,
}

pub(super) async fn live(mut seat: Seat) {
    let mut backoff = BACKOFF_MIN;
    let mut next = Next::Start;
    // A seek that came while it did not run.
    let mut seek = None;
    loop {
        next = match next {
            Next::Start => {
                let since = Instant::now();
                let next = seat.run(seek.take()).await;
                if since.elapsed() >= WELL_AFTER {
                    backoff = BACKOFF_MIN;
                }
                next
            }
            Next::Wait { reason } => {
                tracing::warn!(firehose = %seat.name, reason, again_in = ?backoff, "a firehose has failed");
                let again = format!("{reason}; trying again in {}", format_duration(backoff));
                seat.enter(Phase::Retrying, Some(again));
                let wait = backoff;
                backoff = (backoff * 2).min(BACKOFF_MAX);
                tokio::select! {
                    () = tokio::time::sleep(wait) => Next::Start,
                    _ = seat.orders.changed() => Next::Start,
                    order = seat.seeks.recv() => { seek = order; Next::Start }
                }
            }
            Next::Rest { phase, reason } => {
                if phase == Phase::Failed {
                    tracing::error!(firehose = %seat.name, reason, "a firehose has failed; it stays down until it is changed");
                }
                seat.enter(phase, reason);
                tokio::select! {
                    _ = seat.orders.changed() => Next::Start,
                    order = seat.seeks.recv() => { seek = order; Next::Start }
                }
            }
            Next::End => {
                let why = seat.latest_order().why;
                seat.enter(Phase::Stopped, Some(why));
                return;
            }
        };
    }
}

impl Seat {
    fn enter(&self, phase: Phase, reason: Option<String>) {
        lock(&self.observed).enter(phase, reason);
    }

    fn latest_order(&mut self) -> Order {
        self.orders.borrow_and_update().clone()
    }

    /// From its start to its end, however that comes.
    async fn run(&mut self, seek: Option<SeekOrder>) -> Next {
        let order = self.latest_order();
        let Desired::Kept { spec, .. } = &order.desired else { return Next::End };
        let Some(platform) = self.platform.upgrade() else { return Next::End };
        lock(&self.observed).begin(&order);
        let launched = platform.launch_firehose(&self.name, spec).await;
        drop(platform);
        let running = match launched {
            Ok(running) => running,
            Err(error) => return refuse(seek, error),
        };
        lock(&self.observed).take_numbers(&running);
        if let Some(seek) = seek {
            obey(&running, seek).await;
        }
        self.attend(running, order).await
    }

    async fn attend(&mut self, running: RunningFirehose, mut order: Order) -> Next {
        let mut status = running.handle.watch_status();
        loop {
            lock(&self.observed).take_numbers(&running);
            if running.handle.is_finished() {
                return ended(running.handle.ended().await, &order);
            }
            tokio::select! {
                // The status changes often; each change is looked at, but no more often than somebody could see it.
                changed = status.changed() => match changed {
                    Ok(()) => tokio::time::sleep(Duration::from_millis(10)).await,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                },
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                Some(seek) = self.seeks.recv() => obey(&running, seek).await,
                changed = self.orders.changed() => {
                    lock(&self.observed).take_numbers(&running);
                    let next = match changed {
                        Ok(()) => self.latest_order(),
                        Err(_) => Order { desired: Desired::Ended, ..order.clone() },
                    };
                    if !tell(&running, &order, &next) {
                        running.handle.ask_to_stop();
                        let left = running.handle.ended().await;
                        if let Err(error) = left {
                            tracing::warn!(firehose = %self.name, %error, "stopping failed; it goes on from its last commit");
                        }
                        return match next.desired {
                            Desired::Kept { .. } => Next::Start,
                            Desired::Ended => Next::End,
                        };
                    }
                    lock(&self.observed).follow(&next);
                    order = next;
                }
            }
        }
    }
}

/// Tells a running firehose what has changed. `false` if it has to start anew.
fn tell(running: &RunningFirehose, before: &Order, now: &Order) -> bool {
    let (Desired::Kept { spec: before_spec, .. }, Desired::Kept { spec, .. }) = (&before.desired, &now.desired) else {
        return false;
    };
    if before.restarts != now.restarts || !is_same_run(before_spec, spec) {
        return false;
    }
    if before_spec.delivery.parallelism != spec.delivery.parallelism {
        running.handle.scale(spec.delivery.parallelism);
    }
    match spec.state {
        FirehoseState::Running => running.handle.resume(),
        FirehoseState::Paused => running.handle.pause(),
    }
    true
}

/// Whether only what a running firehose can be told is different.
fn is_same_run(before: &FirehoseSpec, now: &FirehoseSpec) -> bool {
    let mut before = before.clone();
    before.state = now.state;
    before.delivery.parallelism = now.delivery.parallelism;
    before == *now
}

async fn obey(running: &RunningFirehose, seek: SeekOrder) {
    let mut status = running.handle.watch_status();
    let before = status.borrow().generation;
    let done = running.handle.seek(seek.to).await;
    if done.is_ok() {
        // Whoever asks how it is then shall see where it is.
        let is_shown = status.wait_for(|status| status.generation > before);
        let _ = tokio::time::timeout(SHOWN_TIME_MAX, is_shown).await;
    }
    // Whoever asked may have gone.
    let _ = seek.reply.send(done);
}

/// It could not be started. One that was to be moved is told.
fn refuse(seek: Option<SeekOrder>, error: ControlError) -> Next {
    if let Some(seek) = seek {
        let reason = error.detail.clone();
        let _ = seek.reply.send(Err(FirehoseError::Destination { reason }));
    }
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Internal => Next::Wait { reason: error.to_string() },
        _ => Next::Rest { phase: Phase::Failed, reason: Some(error.to_string()) },
    }
}

fn ended(end: Result<Ended, FirehoseError>, order: &Order) -> Next {
    let reason = match end {
        Ok(Ended::StopReached) => {
            return Next::Rest { phase: Phase::Stopped, reason: Some("it has reached its stop".to_owned()) };
        }
        Ok(Ended::Asked) if matches!(order.desired, Desired::Ended) => return Next::End,
        Ok(Ended::Asked) => return Next::Wait { reason: "it ended without being told to".to_owned() },
        Err(error) if may_pass(&error) => return Next::Wait { reason: error.to_string() },
        Err(error) if is_about_place(&error) => {
            format!("{error}; say where it is to go on, for example by `millrace firehose seek NAME --to earliest`")
        }
        Err(error) => error.to_string(),
    };
    Next::Rest { phase: Phase::Failed, reason: Some(reason) }
}

/// Whether records are gone that it has not read: it never goes on without them by itself.
fn is_about_place(error: &FirehoseError) -> bool {
    use log::LogError::{OffsetBeyondEnd, OffsetGone, TopicRecreated};
    matches!(error, FirehoseError::Log(OffsetGone { .. } | OffsetBeyondEnd { .. } | TopicRecreated { .. }))
}

/// Whether the same attempt can succeed later without anybody changing the firehose.
fn may_pass(error: &FirehoseError) -> bool {
    match error {
        FirehoseError::Log(error) => error.is_retryable(),
        FirehoseError::Positions(error) => matches!(error, PositionError::Unavailable(_)),
        FirehoseError::Destination { .. }
        | FirehoseError::DeadLetters { .. }
        | FirehoseError::Task
        | FirehoseError::Ended => true,
        FirehoseError::Decode { .. }
        | FirehoseError::Pipeline { .. }
        | FirehoseError::Courier(_)
        | FirehoseError::BadRecord { .. } => false,
    }
}
