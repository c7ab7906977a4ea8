//! The contract between Millrace and whatever keeps topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::LogError;
use crate::slab::Slab;
use crate::topic::{TopicConfig, TopicDescription, TopicShape};

/// A record to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to; `None` lets the key decide (as Kafka does), and without a key all of the call go to one partition
    /// and the next call's to the next.
    pub partition: Option<u32>,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Bytes)>,
    /// Milliseconds since 1970, not negative; `None` takes the time of the append.
    pub timestamp_ms: Option<i64>,
}

/// Where a record came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub partition: u32,
    pub offset: i64,
    pub timestamp_ms: i64,
}

/// Topics, and the records in them.
#[async_trait]
pub trait TopicLog: Send + Sync + 'static {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<(), LogError>;

    async fn delete_topic(&self, name: &str) -> Result<(), LogError>;

    /// All topics, by name.
    async fn topics(&self) -> Result<Vec<TopicDescription>, LogError>;

    /// One topic; the error for an unknown one names the nearest.
    async fn topic(&self, name: &str) -> Result<TopicDescription, LogError>;

    /// Asked again and again by those who read the topic, so it is cheap.
    async fn shape(&self, topic: &str) -> Result<TopicShape, LogError> {
        Ok(TopicShape::of(&self.topic(topic).await?))
    }

    /// The first offset whose record has a timestamp of at least `timestamp_ms`; the end if there is none.
    /// (Kafka's `offsetsForTimes`.) Timestamps need not be in order, so later records may be older.
    async fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64, LogError>;

    /// Writes records and returns, in their order, where they lie, when they are durable.
    ///
    /// Records of one partition keep their order, and calls theirs if the first was polled first. On an error
    /// none of the records were written, except with [`LogError::PartlyWritten`], which says which were.
    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError>;

    /// A reader that begins at `offset`. Refused when that is gone ([`LogError::OffsetGone`]) or beyond the end.
    async fn open(&self, topic: &str, partition: u32, offset: i64) -> Result<Box<dyn PartitionReader>, LogError>;

    /// What keeps the records of a topic from coming just now, if something does: a cluster that does not answer.
    fn problem(&self, _topic: &str) -> Option<String> {
        None
    }

    /// Tells others how far a reader named `group` has read: (topic, partition, next offset). For them to see; nothing
    /// is ever read back from it.
    async fn publish_positions(&self, _group: &str, _positions: &[(Arc<str>, u32, i64)]) -> Result<(), LogError> {
        Ok(())
    }
}

/// Reads one partition forward.
#[async_trait]
pub trait PartitionReader: Send {
    /// The next records: at once if there are any, else as soon as some are appended, else, after `max_wait`,
    /// an empty slab.
    ///
    /// A slab has about `max_bytes` or less, but at least one batch as it was written, so that reading always goes
    /// on. An error does not move the reader. Dropping the future loses nothing.
    async fn poll(&mut self, max_bytes: usize, max_wait: Duration) -> Result<Slab, LogError>;

    /// The offset that the next poll asks for.
    fn position(&self) -> i64;

    /// Until when the end that the last slab told is known to have been the end; `None` when nobody knows: while a cluster
    /// does not answer, what seems to be at rest may only be out of reach, and for a while after, as those who publish
    /// come back in their own time.
    fn at_rest_until(&self) -> Option<Instant> {
        Some(Instant::now())
    }
}
