//! What a firehose does, as it is told.

use std::time::Duration;

use delivery::CourierOptions;
use sinks::Order;

/// Where to start when nothing was committed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    Earliest,
    Latest,
    /// The first record whose timestamp is at or after this, milliseconds since 1970.
    Timestamp(i64),
}

/// When a firehose has done what it was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopAt {
    /// When the clock is there, and all before the first record with this timestamp or a later one is delivered.
    /// Milliseconds since 1970.
    Time(i64),
    /// When all is delivered that the topic had when the firehose was started.
    End,
}

/// What was decided about records that are gone unread: reading goes on without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedLoss {
    /// From the oldest record that is there.
    Earliest,
    /// From what comes next.
    Latest,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeekTo {
    Earliest,
    Latest,
    /// The first record whose timestamp is at or after this, milliseconds since 1970.
    Timestamp(i64),
    /// (partition, offset); partitions that are not named stay where they are.
    Offsets(Vec<(u32, i64)>),
}

/// What to run.
#[derive(Clone, Debug)]
pub struct FirehoseConfig {
    pub name: String,
    /// Of its dead letters. They are keyed (owner, stream, topic, partition, offset).
    pub owner: String,
    pub stream: String,
    pub topic: String,
    /// Under this name others see how far it has read, if its log tells them.
    pub group: String,
    /// Only for the first start, and after a seek of its own kind; afterwards positions are committed ones.
    pub start: StartPosition,
    pub stop_at: Option<StopAt>,
    /// It begins paused.
    pub is_paused: bool,
    /// Without it a firehose whose next record is gone fails, and says so.
    pub accepted_loss: Option<AcceptedLoss>,
    /// Which records keep their order.
    pub order: Order,
    /// Batches, calls at a time (`lanes`), limits, retries and routes of errors. `held_bytes_max` bounds all that is read
    /// and not committed.
    pub courier: CourierOptions,
    pub commit_interval: Duration,
    /// How long a seek or a stop waits for what is on its way, before it is given up and read again later.
    pub drain_time_max: Duration,
}

impl FirehoseConfig {
    /// With defaults for all but names.
    pub fn new(name: impl Into<String>, topic: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            owner: name.clone(),
            stream: String::new(),
            topic: topic.into(),
            group: format!("millrace-firehose-{name}"),
            name,
            start: StartPosition::Earliest,
            stop_at: None,
            is_paused: false,
            accepted_loss: None,
            order: Order::Key,
            courier: CourierOptions { held_bytes_max: HELD_BYTES_MAX, ..CourierOptions::default() },
            commit_interval: Duration::from_secs(1),
            drain_time_max: Duration::from_secs(10),
        }
    }
}

const HELD_BYTES_MAX: usize = 8 << 20;
