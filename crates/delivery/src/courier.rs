//! Brings records to a sink: in batches, some at a time, tried again until they are there or are dead letters.
//!
//! The caller gives parcels and goes on; calls, waits and retries happen in tasks of the courier's own. A parcel is
//! acknowledged when every record of it and of all parcels before it is at the sink or with the dead letters. What is not
//! acknowledged has to be given again after a restart.
//!
//! Records with equal keys go through the same lane, one call after the other, so their order is kept. Memory is bounded:
//! whoever gives more than [`CourierOptions::held_bytes_max`] waits.

mod acknowledgements;
mod counts;
mod desk;
mod lane;
mod pace;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::BackoffOptions;
use crate::{Destination, EncodedBatch, ErrorClass, KeepUndelivered, Policy};
pub use acknowledgements::Receipt;
pub use counts::DeliveryCounts;
use desk::Desk;
use lane::Lane;

#[derive(Clone, Copy, Debug)]
pub struct CourierOptions {
    pub batch_records_max: usize,
    /// A single longer record is a batch of its own.
    pub batch_bytes_max: usize,
    /// How long a record waits for others to share a call with.
    pub linger: Duration,
    /// Calls at a time.
    pub lanes: usize,
    /// Of records that are not settled. A single larger parcel is taken when there is nothing else.
    pub held_bytes_max: usize,
    /// After this a call counts as not answered, whatever the destination does.
    pub call_time_max: Duration,
    pub backoff: BackoffOptions,
    pub policy: Policy,
    /// Over all lanes, at even distances; retries count. A batch has at most so many records.
    pub records_per_second: Option<NonZeroU32>,
    /// As above.
    pub calls_per_second: Option<NonZeroU32>,
    /// After so many calls in a row that failed because of the sink, one call at a time is tried until one is answered.
    pub break_after: Option<NonZeroU32>,
}

impl Default for CourierOptions {
    fn default() -> Self {
        Self {
            batch_records_max: 5_000,
            batch_bytes_max: 4 << 20,
            linger: Duration::from_millis(100),
            lanes: 2,
            held_bytes_max: 64 << 20,
            call_time_max: Duration::from_secs(60),
            backoff: BackoffOptions::default(),
            policy: Policy::default(),
            records_per_second: None,
            calls_per_second: None,
            break_after: NonZeroU32::new(10),
        }
    }
}

/// Records that are given together.
#[derive(Debug)]
pub struct Parcel<O> {
    pub records: EncodedBatch,
    /// One for each record: equal ones keep their order. Without keys there is no order between parcels.
    pub keys: Option<Arc<[u64]>>,
    /// Comes back with every record that cannot be delivered.
    pub origin: Arc<O>,
}

impl<O> Clone for Parcel<O> {
    fn clone(&self) -> Self {
        Self { records: self.records.clone(), keys: self.keys.clone(), origin: Arc::clone(&self.origin) }
    }
}

/// The courier has stopped, and what is not acknowledged is not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{destination}: {reason}")]
pub struct CourierFailure {
    pub destination: String,
    pub class: ErrorClass,
    pub reason: String,
}

/// What keeps records from getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryProblem {
    /// For people: which sink, what is wrong, how much waits.
    pub message: String,
    /// For how long so far.
    pub lasts: Duration,
}

/// Dropping it ends its calls. Nothing is delivered after that.
pub struct Courier<O> {
    desk: Arc<Desk<O>>,
    _lanes: JoinSet<()>,
}

impl<O: Send + Sync + 'static> Courier<O> {
    /// Starts the lanes on the runtime that this is called in.
    pub fn start(
        destination: Arc<dyn Destination>,
        keeper: Arc<dyn KeepUndelivered<O>>,
        options: CourierOptions,
    ) -> Self {
        let desk = Arc::new(Desk::new(destination.name().to_owned(), options));
        let mut lanes = JoinSet::new();
        for number in 0..desk.lanes() {
            let lane = Lane::new(number, Arc::clone(&desk), Arc::clone(&destination), Arc::clone(&keeper));
            lanes.spawn(lane.run());
        }
        Self { desk, _lanes: lanes }
    }

    /// Gives a parcel, when there is room for it, and returns its number, counted from 0. A call that is given up before it
    /// returns has given nothing.
    pub async fn push(&self, parcel: Parcel<O>) -> Result<u64, CourierFailure> {
        self.push_when_there_is_room(parcel, None).await
    }

    /// As [`Self::push`], for those who want to know what becomes of the parcel itself.
    pub async fn push_with_receipt(&self, parcel: Parcel<O>) -> Result<Arc<Receipt>, CourierFailure> {
        let receipt = Arc::new(Receipt::default());
        self.push_when_there_is_room(parcel, Some(&receipt)).await?;
        Ok(receipt)
    }

    async fn push_when_there_is_room(
        &self,
        parcel: Parcel<O>,
        receipt: Option<&Arc<Receipt>>,
    ) -> Result<u64, CourierFailure> {
        let mut progress = self.desk.progress();
        loop {
            if let Some(number) = self.desk.try_push(&parcel, receipt)? {
                return Ok(number);
            }
            if progress.changed().await.is_err() {
                return Err(self.desk.gone());
            }
        }
    }

    /// How many parcels, from the first one on without a gap, are settled.
    pub fn acknowledged(&self) -> u64 {
        self.desk.acknowledged()
    }

    /// Sends what waits for others at once, and returns when all that was given before is settled.
    pub async fn flush(&self) -> Result<(), CourierFailure> {
        let mut progress = self.desk.progress();
        let target = self.desk.hurry();
        loop {
            if self.desk.acknowledged() >= target {
                return Ok(());
            }
            if let Some(failure) = self.desk.failure() {
                return Err(failure);
            }
            if progress.changed().await.is_err() {
                return Err(self.desk.gone());
            }
        }
    }

    /// Sends what waits for others at once.
    pub fn hurry(&self) {
        self.desk.hurry();
    }

    /// Changes whenever something is settled, or the courier fails.
    pub fn progress(&self) -> watch::Receiver<()> {
        self.desk.progress()
    }

    /// Why it has stopped, if it has.
    pub fn failure(&self) -> Option<CourierFailure> {
        self.desk.failure()
    }

    /// What keeps records from getting on now, if something does.
    pub fn problem(&self) -> Option<DeliveryProblem> {
        self.desk.problem()
    }

    /// Whether the sink has failed so often that one call at a time is tried.
    pub fn is_broken_open(&self) -> bool {
        self.desk.is_broken_open()
    }

    pub fn counts(&self) -> DeliveryCounts {
        self.desk.counts()
    }

    /// For those who look at it without holding it.
    pub fn watch(&self) -> CourierWatch<O> {
        CourierWatch { desk: Arc::clone(&self.desk) }
    }
}

impl<O> Drop for Courier<O> {
    fn drop(&mut self) {
        self.desk.close();
    }
}

/// Shows how a courier is, also after it is gone.
pub struct CourierWatch<O> {
    desk: Arc<Desk<O>>,
}

impl<O: Send + Sync + 'static> CourierWatch<O> {
    pub fn problem(&self) -> Option<DeliveryProblem> {
        self.desk.problem()
    }

    pub fn counts(&self) -> DeliveryCounts {
        self.desk.counts()
    }
}
