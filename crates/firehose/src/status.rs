//! How a firehose is, for people and for the control plane.

use std::time::{Duration, SystemTime};

use delivery::{DeliveryCounts, Ledger};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirehoseState {
    #[default]
    Starting,
    Running,
    /// Somebody has paused it. What was read before goes on its way.
    Paused,
    /// Something keeps it from getting on, and it goes on by itself when that is over.
    Retrying,
    /// It has ended: somebody has to change something. See the message.
    Failed,
    /// It has ended as it was told to.
    Stopped,
}

impl FirehoseState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// How a firehose has ended, if not with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// It has delivered all up to [`crate::StopAt`].
    StopReached,
}

/// A firehose as of now or half a second ago.
#[derive(Clone, Debug)]
pub struct FirehoseStatus {
    pub state: FirehoseState,
    pub since: SystemTime,
    /// What keeps it from getting on, or why it has failed.
    pub message: Option<String>,
    /// By partition.
    pub partitions: Vec<PartitionStatus>,
    /// Per second, over the last ten seconds: read from the topic, and settled.
    pub read_per_second: f64,
    pub settled_per_second: f64,
    /// `None` before anything was delivered in the last minutes.
    pub latency: Option<LatencyStatus>,
    /// What the courier was given since it was started, in records of the sink.
    pub delivery: DeliveryCounts,
    /// Calls at a time.
    pub parallelism: usize,
    /// The sink has failed so often that one call at a time is tried.
    pub is_broken_open: bool,
    /// Bytes of what is read and not committed.
    pub held_bytes: usize,
    /// How often somebody has moved the positions.
    pub generation: u64,
}

/// From a record's timestamp to the sink's acknowledgement, of about the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyStatus {
    pub p50: Duration,
    pub p99: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionStatus {
    pub partition: u32,
    /// All before it is settled, and committed.
    pub position: i64,
    /// The next offset to be read.
    pub read_position: i64,
    /// End of the partition, as of the last read.
    pub end: i64,
    /// From `position` to `end`.
    pub lag: i64,
    /// Of all that was read: `held` is on its way.
    pub ledger: Ledger,
    /// Records that were gone before they were read, and that somebody decided to go on without.
    pub lost_unread: i64,
}

impl Default for FirehoseStatus {
    fn default() -> Self {
        Self {
            state: FirehoseState::Starting,
            since: SystemTime::now(),
            message: None,
            partitions: Vec::new(),
            read_per_second: 0.0,
            settled_per_second: 0.0,
            latency: None,
            delivery: DeliveryCounts::default(),
            parallelism: 0,
            is_broken_open: false,
            held_bytes: 0,
            generation: 0,
        }
    }
}

impl FirehoseStatus {
    /// The sum of the partitions' ledgers.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for partition in &self.partitions {
            ledger.add(&partition.ledger);
        }
        ledger
    }

    pub fn lag(&self) -> i64 {
        self.partitions.iter().map(|partition| partition.lag).sum()
    }
}
