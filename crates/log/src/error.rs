//! What can go wrong with a log: what, where, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::topic_log::Ack;

/// An error of a topic log. Cheap to clone: one failed fsync is the answer to many writers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("topic {topic:?} does not exist{}", did_you_mean(.nearest))]
    UnknownTopic { topic: String, nearest: Option<String> },
    #[error("topic {topic:?} has no partition {partition}: it has {partitions} (0 to {})", partitions.saturating_sub(1))]
    UnknownPartition { topic: String, partition: u32, partitions: u32 },
    #[error("topic {topic:?} exists already")]
    TopicExists { topic: String },
    #[error("{name:?} is no topic name: {reason}; use 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'")]
    InvalidTopicName { name: String, reason: &'static str },
    #[error("topic {topic:?}: {what} = {actual} is outside {min} to {max}")]
    InvalidConfig { topic: String, what: &'static str, actual: u64, min: u64, max: u64 },
    #[error("{what}: {actual} {unit} is over the limit of {max} {unit}")]
    OverLimit { what: &'static str, actual: u64, max: u64, unit: &'static str },
    /// Nothing of the call was written.
    #[error("record {index} of this call was refused: {reason}; none of the call was written")]
    BadRecord { index: usize, reason: String },
    /// The records before `start` have expired, or were deleted.
    #[error(
        "{topic}/{partition}: offset {requested} is gone, the log starts at {start} now; choose to go on from there"
    )]
    OffsetGone { topic: String, partition: u32, requested: i64, start: i64 },
    #[error(
        "{topic}/{partition}: offset {requested} is beyond the end {end}; the topic was made anew or lost its tail"
    )]
    OffsetBeyondEnd { topic: String, partition: u32, requested: i64, end: i64 },
    #[error(
        "{topic}/{partition}: segment {segment} is corrupt at byte {position}: {detail}; restore the file, or go on from offset {resume_offset}"
    )]
    Corrupt {
        topic: String,
        partition: u32,
        segment: String,
        position: u64,
        detail: String,
        /// The next offset that can be read, as far as is known.
        resume_offset: i64,
    },
    /// Nothing of the write stays; later writes work when there is room.
    #[error("{topic}/{partition}: the disk is full; free room in {} or shorten the retention, then send again", dir.display())]
    DiskFull { topic: String, partition: u32, dir: PathBuf },
    #[error("{} is in use by process {pid}; stop it or choose another directory", dir.display())]
    Locked { dir: PathBuf, pid: String },
    #[error("{action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A write or an fsync failed in a way after which the file's content is not known.
    #[error("{topic}/{partition} takes no more records since {reason}; restart to recover it from what is on disk")]
    PartitionFailed { topic: String, partition: u32, reason: String },
    #[error("{} is not readable: {detail}; restore the file", path.display())]
    BadMetadata { path: PathBuf, detail: String },
    /// The records that were there when this topic was last read belong to a topic that is no more.
    #[error("topic {topic:?} was deleted and made anew since it was last read; choose where in the new one to begin")]
    TopicRecreated { topic: String },
    /// A cluster that is not ours does not answer, or refuses.
    #[error("Kafka cluster {cluster:?}: {reason}")]
    Cluster {
        cluster: String,
        reason: String,
        /// Whether it can work later without anybody changing something here.
        may_pass: bool,
    },
    /// Some partitions took their records, some did not: `acks[i]` is `None` for what is to be sent again.
    #[error("{} of {} records were written, the others were not: {source}", acks.iter().flatten().count(), acks.len())]
    PartlyWritten {
        acks: Vec<Option<Ack>>,
        #[source]
        source: Box<LogError>,
    },
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// Whether the same call can succeed later without anybody changing it.
    pub fn is_retryable(&self) -> bool {
        match self {
            LogError::DiskFull { .. } | LogError::Io { .. } => true,
            LogError::PartlyWritten { source, .. } => source.is_retryable(),
            LogError::Cluster { may_pass, .. } => *may_pass,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: impl Into<std::io::Error>) -> Self {
        LogError::Io { action, path: path.into(), source: Arc::new(source.into()) }
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name:?}?"),
        None => String::new(),
    }
}
