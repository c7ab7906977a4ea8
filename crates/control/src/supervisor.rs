//! Keeps daggers as they are desired: running ones run, and run again after a failure; suspended ones do not.
//!
//! One task per dagger is its [`job`]: it follows orders, and tries again after a failure. It asks [`Platform`] to launch the
//! dagger and knows nothing of how.

mod history;
mod job;
pub mod job_state;
mod observed;

pub use history::{History, states};
pub use job_state::Phase;
pub use observed::Observed;

use crate::platform::Platform;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a command waits for a dagger to do as it was told.
const OBEY_TIME_MAX: Duration = Duration::from_secs(30);

/// What a dagger should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// A new generation of its spec is a restart.
    Running {
        generation: i64,
    },
    Suspended,
    /// It may not go on as it is, and waits for somebody to change or start it.
    Refused,
    /// The server ends, or the dagger is deleted.
    Ended,
}

/// What its job is told; the same again with another number starts it anew.
#[derive(Debug, Clone)]
struct Order {
    number: u64,
    desired: Desired,
    /// For the history, such as "stopped by rani".
    why: String,
}

impl Order {
    const SERVER_ENDS: &str = "the server ends";
}

struct Slot {
    orders: watch::Sender<Order>,
    observed: Arc<Mutex<Observed>>,
    task: JoinHandle<()>,
}

impl Slot {
    fn desired(&self) -> Desired {
        self.orders.borrow().desired
    }

    fn order(&self, desired: Desired, why: &str) {
        self.orders.send_modify(|order| {
            *order = Order { number: order.number + 1, desired, why: why.to_owned() };
            self.observed().expect(order);
        });
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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

    /// Sets what a dagger should do; the first time starts its task. The same again is no change and disturbs nobody.
    pub fn set(&self, platform: &Arc<Platform>, name: &str, desired: Desired, why: &str) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(name) {
            if slot.desired() != desired {
                slot.order(desired, why);
            }
            return;
        }
        let first = Order { number: 0, desired, why: why.to_owned() };
        let observed = Arc::new(Mutex::new(Observed::new(name, self.history.clone(), &first)));
        let (orders, receiver) = watch::channel(first);
        let seat = job::Seat {
            platform: Arc::downgrade(platform),
            name: name.to_owned(),
            orders: receiver,
            observed: Arc::clone(&observed),
        };
        slots.insert(name.to_owned(), Slot { orders, observed, task: tokio::spawn(job::live(seat)) });
    }

    /// Starts a running dagger anew, from a checkpoint.
    pub fn restart(&self, name: &str, why: &str) {
        if let Some(slot) = self.lock().get(name)
            && let desired @ Desired::Running { .. } = slot.desired()
        {
            slot.order(desired, why);
        }
    }

    /// Ends a running dagger with a checkpoint and leaves it failed, for a reason that a restart would not mend.
    pub fn refuse(&self, name: &str, reason: &str) {
        if let Some(slot) = self.lock().get(name) {
            let is_running = slot.observed().is_running();
            if is_running && matches!(slot.desired(), Desired::Running { .. }) {
                slot.order(Desired::Refused, reason);
            }
        }
    }

    /// How it is; `None` before it was ever set.
    pub fn observe(&self, name: &str) -> Option<Observed> {
        let slots = self.lock();
        let slot = slots.get(name)?;
        let observed = slot.observed().clone();
        Some(observed)
    }

    /// Waits until the dagger is in a phase that `is_reached` takes, or for as long as is reasonable.
    pub async fn wait(&self, name: &str, is_reached: impl Fn(Phase) -> bool) {
        let deadline = Instant::now() + OBEY_TIME_MAX;
        while Instant::now() < deadline && self.observe(name).is_some_and(|observed| !is_reached(observed.phase())) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends one dagger, with a checkpoint, and forgets it.
    pub async fn end(&self, name: &str, why: &str) {
        let slot = self.lock().remove(name);
        if let Some(slot) = slot {
            end_slot(slot, why).await;
        }
    }

    /// Ends all of them, at the same time.
    pub async fn end_all(&self) {
        let slots = std::mem::take(&mut *self.lock());
        futures::future::join_all(slots.into_values().map(|slot| end_slot(slot, Order::SERVER_ENDS))).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // Held for map operations only, so a poisoned one is still whole.
        self.slots.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn end_slot(slot: Slot, why: &str) {
    slot.order(Desired::Ended, why);
    if slot.task.await.is_err() {
        tracing::error!("the task of a dagger ended unexpectedly");
    }
}
