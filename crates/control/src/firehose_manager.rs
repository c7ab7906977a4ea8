//! Keeps firehoses as they are desired: one task for each, its [`job`], which starts it, tells it what was changed, and
//! starts it again after a failure that may pass.

mod job;
mod observed;

pub use observed::Observed;

use crate::firehose_spec::FirehoseSpec;
use crate::platform::Platform;
use crate::supervisor::History;
use firehose::{FirehoseError, SeekTo, Seeked};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long a command waits for a firehose to do as it was told.
const OBEY_TIME_MAX: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What its job is told. Another number is another order.
#[derive(Clone)]
pub(crate) struct Order {
    number: u64,
    desired: Desired,
    /// Grows when it has to start anew although nothing of its spec has changed.
    restarts: u64,
    /// For the history, such as "paused by rani".
    why: String,
}

#[derive(Clone)]
pub(crate) enum Desired {
    Kept {
        spec: Arc<FirehoseSpec>,
        generation: i64,
    },
    /// The server ends, or the firehose is deleted.
    Ended,
}

/// Somebody moves the positions.
pub(crate) struct SeekOrder {
    to: SeekTo,
    reply: oneshot::Sender<Result<Seeked, FirehoseError>>,
}

struct Slot {
    orders: watch::Sender<Order>,
    seeks: mpsc::UnboundedSender<SeekOrder>,
    observed: Arc<Mutex<Observed>>,
    task: JoinHandle<()>,
}

impl Slot {
    fn order(&self, change: impl FnOnce(&mut Order)) {
        self.orders.send_modify(|order| {
            order.number += 1;
            change(order);
            lock(&self.observed).expect(order);
        });
    }
}

pub(crate) struct FirehoseManager {
    history: History,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl FirehoseManager {
    pub fn new(history: History) -> Self {
        Self { history, slots: Mutex::default() }
    }

    /// Sets what a firehose should do; the first time starts its task.
    pub fn set(&self, platform: &Arc<Platform>, name: &str, spec: FirehoseSpec, generation: i64, why: &str) {
        let desired = Desired::Kept { spec: Arc::new(spec), generation };
        let mut slots = self.lock();
        if let Some(slot) = slots.get(name) {
            slot.order(|order| {
                order.desired = desired;
                order.why = why.to_owned();
            });
            return;
        }
        let first = Order { number: 0, desired, restarts: 0, why: why.to_owned() };
        let observed = Arc::new(Mutex::new(Observed::new(name, self.history.clone(), &first)));
        let (orders, receiver) = watch::channel(first);
        let (seeks, inbox) = mpsc::unbounded_channel();
        let seat = job::Seat {
            platform: Arc::downgrade(platform),
            name: name.to_owned(),
            orders: receiver,
            seeks: inbox,
            observed: Arc::clone(&observed),
        };
        slots.insert(name.to_owned(), Slot { orders, seeks, observed, task: tokio::spawn(job::live(seat)) });
    }

    /// Starts it anew from where it is, also one that has failed.
    pub fn restart(&self, name: &str, why: &str) {
        if let Some(slot) = self.lock().get(name) {
            slot.order(|order| {
                order.restarts += 1;
                order.why = why.to_owned();
            });
        }
    }

    /// Lets it go on elsewhere. Its job starts it first if it does not run. `None` if there is no such firehose.
    pub async fn seek(&self, name: &str, to: SeekTo) -> Option<Result<Seeked, FirehoseError>> {
        let (reply, answer) = oneshot::channel();
        let is_told = self.lock().get(name)?.seeks.send(SeekOrder { to, reply }).is_ok();
        match is_told {
            true => Some(answer.await.unwrap_or(Err(FirehoseError::Ended))),
            false => None,
        }
    }

    /// How it is; `None` before it was ever set.
    pub fn observe(&self, name: &str) -> Option<Observed> {
        let slots = self.lock();
        let observed = lock(&slots.get(name)?.observed).clone();
        Some(observed)
    }

    /// Waits until it is as `is_reached` says, or for as long as is reasonable.
    pub async fn wait(&self, name: &str, is_reached: impl Fn(&Observed) -> bool) {
        let deadline = Instant::now() + OBEY_TIME_MAX;
        while Instant::now() < deadline && self.observe(name).is_some_and(|observed| !is_reached(&observed)) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Ends one, with what it has delivered committed, and forgets it.
    pub async fn end(&self, name: &str, why: &str) {
        let slot = self.lock().remove(name);
        if let Some(slot) = slot {
            end_slot(slot, why).await;
        }
    }

    /// Ends all of them, at the same time.
    pub async fn end_all(&self) {
        let slots = std::mem::take(&mut *self.lock());
        futures::future::join_all(slots.into_values().map(|slot| end_slot(slot, "the server ends"))).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        lock(&self.slots)
    }
}

/// Held for a moment only, so a poisoned one is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn end_slot(slot: Slot, why: &str) {
    slot.order(|order| {
        order.desired = Desired::Ended;
        order.why = why.to_owned();
    });
    if slot.task.await.is_err() {
        tracing::error!("the task of a firehose ended unexpectedly");
    }
}
