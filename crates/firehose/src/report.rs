//! Tells how the run is.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::measures::Rates;
use crate::partition::Partition;
use crate::{FirehoseState, FirehoseStatus, PartitionStatus};

pub(crate) struct Report {
    sender: watch::Sender<Arc<FirehoseStatus>>,
    told: Instant,
    rates: Rates,
    state: FirehoseState,
    since: SystemTime,
}

impl Report {
    pub fn new(sender: watch::Sender<Arc<FirehoseStatus>>) -> Self {
        let (told, since) = (Instant::now(), SystemTime::now());
        Self { sender, told, rates: Rates::default(), state: FirehoseState::Starting, since }
    }

    pub fn next(&self, interval: Duration) -> Instant {
        self.told + interval
    }

    pub fn is_due(&self, interval: Duration) -> bool {
        self.told.elapsed() >= interval
    }

    /// Nothing but the state is known.
    pub fn tell_state(&mut self, state: FirehoseState, message: Option<String>) {
        self.tell(FirehoseStatus { state, message, ..FirehoseStatus::default() });
    }

    /// Rates and since when the state holds are added.
    pub fn tell(&mut self, mut status: FirehoseStatus) {
        if status.state != self.state {
            (self.state, self.since) = (status.state, SystemTime::now());
        }
        self.told = Instant::now();
        status.since = self.since;
        let ledger = status.ledger();
        let settled = ledger.consumed.saturating_sub(ledger.held);
        [status.read_per_second, status.settled_per_second] = self.rates.note(self.told, [ledger.consumed, settled]);
        self.sender.send_replace(Arc::new(status));
    }
}

pub(crate) fn partition_status(partition: &Partition) -> PartitionStatus {
    let position = partition.committed.next_offset;
    PartitionStatus {
        partition: partition.number,
        position,
        read_position: partition.read_position,
        end: partition.end,
        lag: (partition.end - position).max(0),
        ledger: partition.ledger(),
        lost_unread: partition.committed.lost_unread,
    }
}
