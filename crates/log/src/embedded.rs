//! The log in a local directory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::batch_builder::BatchBuilder;
use crate::clock::{Clock, SystemClock};
use crate::error::LogError;
use crate::topic::{TopicConfig, TopicDescription};
use crate::topic_log::{Ack, NewRecord, PartitionReader, TopicLog};

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the fsync that covers it; writers that come at the same time share one. Readers see only what is durable.
    #[default]
    Group,
    /// At once; an fsync follows within this time. A power failure (not a crash of the process) may take what came since.
    Interval(Duration),
    /// At once; the operating system writes when it likes.
    None,
}

pub struct EmbeddedLogOptions {
    pub durability: Durability,
    pub clock: Arc<dyn Clock>,
    /// How often segments are looked at for retention.
    pub retention_interval: Duration,
    #[doc(hidden)]
    pub disk_faults: Option<Arc<dyn DiskFaults>>,
}
impl Default for EmbeddedLogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Group,
            clock: Arc::new(SystemClock),
            retention_interval: Duration::from_secs(30),
            disk_faults: None,
        }
    }
}

pub trait DiskFaults: Send + Sync {}
pub enum WriteFault {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailCut {
    pub topic: String,
    pub partition: u32,
    /// The first offset that is not there.
    pub offset: i64,
    pub bytes: u64,
}

/// An append whose fsync may be under way.
pub struct PendingAppend {}

impl PendingAppend {
    /// The offset of the first record.
    pub fn first_offset(&self) -> i64 {
        0
    }
    /// Blocks until durable.
    pub fn wait(self) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
    /// Waits until durable.
    pub async fn acknowledged(self) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
}

pub struct EmbeddedLog {}

impl EmbeddedLog {
    pub fn open(_dir: &Path, _options: EmbeddedLogOptions) -> Result<Self, LogError> {
        Err(LogError::Closed)
    }
    pub async fn close(&self) {}
    /// Appends and blocks until it is durable (as the options say). The offset of the first record.
    pub fn append_batch(&self, _topic: &str, _partition: u32, _batch: &BatchBuilder) -> Result<i64, LogError> {
        Err(LogError::Closed)
    }
    /// Appends without waiting for the fsync.
    pub fn write_batch(&self, _topic: &str, _partition: u32, _batch: &BatchBuilder) -> Result<PendingAppend, LogError> {
        Err(LogError::Closed)
    }
    pub fn tails_cut(&self) -> &[TailCut] {
        &[]
    }
    pub fn enforce_retention(&self) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
}

#[async_trait]
impl TopicLog for EmbeddedLog {
    async fn create_topic(&self, _name: &str, _config: TopicConfig) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
    async fn delete_topic(&self, _name: &str) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>, LogError> {
        Err(LogError::Closed)
    }
    async fn topic(&self, _name: &str) -> Result<TopicDescription, LogError> {
        Err(LogError::Closed)
    }
    async fn offset_at(&self, _topic: &str, _partition: u32, _timestamp_ms: i64) -> Result<i64, LogError> {
        Err(LogError::Closed)
    }
    async fn produce(&self, _topic: &str, _records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        Err(LogError::Closed)
    }
    async fn open(&self, _topic: &str, _partition: u32, _offset: i64) -> Result<Box<dyn PartitionReader>, LogError> {
        Err(LogError::Closed)
    }
}
