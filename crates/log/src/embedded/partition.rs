//! One partition: its segments, and where it begins and ends. Writing is in `append.rs`, reading in `reader.rs`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use super::append::Appender;
use super::batch::first_record_since;
use super::disk::Disk;
use super::io_threads::IoThreads;
use super::produce::ProduceQueue;
use super::recovery::RecoveredPartition;
use super::segment::{Segment, Step, Walk};
use super::{Durability, batch};
use crate::buffer_pool::BufferPool;
use crate::clock::Clock;
use crate::error::LogError;
use crate::topic::{PartitionStatus, TopicConfig};

/// Read at a time when only headers are looked at.
const WALK_WINDOW_BYTES: usize = 64 << 10;

/// What all partitions of a log use.
pub(crate) struct Shared {
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
    pub disk: Disk,
    pub buffers: BufferPool,
    pub io: IoThreads,
}

pub(crate) struct Partition {
    pub topic: Arc<str>,
    pub id: u32,
    pub dir: PathBuf,
    pub config: Arc<TopicConfig>,
    pub shared: Arc<Shared>,
    /// Whether an I/O thread has this partition, or will.
    pub scheduled: AtomicBool,
    /// Whether the next round of an I/O thread shall fsync although nobody waits for it.
    pub sync_wanted: AtomicBool,
    /// Whether the partition waits for the interval to its next fsync.
    pub sync_listed: AtomicBool,
    pub(super) queue: Mutex<ProduceQueue>,
    appender: Mutex<Appender>,
    pub(super) sync_ended: Condvar,
    /// Held while segments are removed, so that the directory is not given away meanwhile.
    pub(super) removal: Mutex<()>,
    /// Oldest first; the last one is written to.
    segments: RwLock<Vec<Arc<Segment>>>,
    bounds: watch::Sender<Bounds>,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub start: i64,
    /// The last stable offset.
    pub end: i64,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    Deleted,
    Closed,
}

/// A place in a segment: where a batch begins, and its first offset.
pub(crate) struct Place {
    pub segment: Arc<Segment>,
    pub position: u64,
    pub offset: i64,
}

impl Partition {
    pub fn new(
        topic: Arc<str>,
        id: u32,
        dir: PathBuf,
        config: Arc<TopicConfig>,
        shared: Arc<Shared>,
        recovered: RecoveredPartition,
    ) -> Arc<Self> {
        let end = recovered.next_offset;
        let start = recovered.segments.first().map_or(end, |segment| segment.base_offset);
        let appender = Appender::new(recovered.segments.last().cloned(), end);
        Arc::new(Self {
            topic,
            id,
            dir,
            config,
            shared,
            scheduled: AtomicBool::new(false),
            sync_wanted: AtomicBool::new(false),
            sync_listed: AtomicBool::new(false),
            queue: Mutex::default(),
            appender: Mutex::new(appender),
            sync_ended: Condvar::new(),
            removal: Mutex::new(()),
            segments: RwLock::new(recovered.segments),
            bounds: watch::Sender::new(Bounds { start, end, standing: Standing::Open }),
        })
    }

    pub fn bounds(&self) -> Bounds {
        *self.bounds.borrow()
    }

    pub fn watch_bounds(&self) -> watch::Receiver<Bounds> {
        self.bounds.subscribe()
    }

    /// Shows the records before `end` to readers.
    pub fn publish_end(&self, end: i64) {
        self.bounds.send_if_modified(|bounds| {
            let moved = end > bounds.end;
            bounds.end = bounds.end.max(end);
            moved
        });
    }

    pub fn publish_start(&self, start: i64) {
        self.bounds.send_if_modified(|bounds| {
            let moved = start > bounds.start;
            bounds.start = bounds.start.max(start);
            moved
        });
    }

    pub fn publish_standing(&self, standing: Standing) {
        self.bounds.send_modify(|bounds| bounds.standing = standing);
    }

    pub fn status(&self) -> PartitionStatus {
        let bounds = self.bounds();
        let bytes = self.segments().iter().map(|segment| segment.readable_bytes()).sum();
        PartitionStatus { partition: self.id, start_offset: bounds.start, end_offset: bounds.end, bytes }
    }

    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// Takes the `count` oldest segments away from readers.
    pub fn take_oldest_segments(&self, count: usize) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let count = count.min(segments.len().saturating_sub(1));
        segments.drain(..count).collect()
    }

    pub fn segment_after(&self, base_offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.base_offset <= base_offset);
        segments.get(after).cloned()
    }

    fn segment_of(&self, offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// The batch that has `offset`, or the place where it will be. `None`: there is no segment.
    pub fn locate(&self, offset: i64) -> Result<Option<Place>, LogError> {
        let Some(segment) = self.segment_of(offset) else { return Ok(None) };
        let readable = segment.readable_bytes();
        let from = segment.index().at_or_before(offset).unwrap_or((0, segment.base_offset));
        if from.0 >= readable {
            return Ok(Some(Place { position: from.0, offset: from.1, segment }));
        }
        let file = segment.file()?;
        let mut walk = Walk::new(&file, from, readable, WALK_WINDOW_BYTES);
        loop {
            match walk.step().map_err(|error| LogError::io("cannot read", segment.path(), error))? {
                Step::Batch(header) if header.next_offset() <= offset => walk.pass(&header),
                Step::Batch(_) | Step::End => break,
                Step::Bad(bad) => return Err(self.corrupt(&segment, walk.position, &bad)),
            }
        }
        let (position, offset) = (walk.position, walk.offset);
        Ok(Some(Place { segment, position, offset }))
    }

    /// The first offset whose record has a timestamp of at least `timestamp_ms`, or the end.
    pub fn offset_at(&self, timestamp_ms: i64) -> Result<i64, LogError> {
        let Bounds { end, .. } = self.bounds();
        for segment in self.segments() {
            let Some(from) = segment.index().since(timestamp_ms) else { continue };
            if let Some(offset) = self.first_since(&segment, from, timestamp_ms)? {
                return Ok(offset.min(end));
            }
        }
        Ok(end)
    }

    fn first_since(&self, segment: &Segment, from: (u64, i64), timestamp_ms: i64) -> Result<Option<i64>, LogError> {
        let readable = segment.readable_bytes();
        if from.0 >= readable {
            return Ok(None);
        }
        let io_error = |error| LogError::io("cannot read", segment.path(), error);
        let file = segment.file()?;
        let mut walk = Walk::new(&file, from, readable, WALK_WINDOW_BYTES);
        loop {
            let header = match walk.step().map_err(io_error)? {
                Step::Batch(header) => header,
                Step::End => return Ok(None),
                Step::Bad(bad) => return Err(self.corrupt(segment, walk.position, &bad)),
            };
            if header.max_timestamp_ms >= timestamp_ms {
                let bytes = walk.batch(&header).map_err(io_error)?;
                let found = batch::check_batch(bytes)
                    .and_then(|()| first_record_since(&header, &bytes[batch::HEADER_BYTES..], timestamp_ms));
                match found {
                    Ok(Some(offset)) => return Ok(Some(offset)),
                    Ok(None) => {}
                    Err(bad) => return Err(self.corrupt(segment, walk.position, &bad)),
                }
            }
            walk.pass(&header);
        }
    }

    /// The error for bytes of a segment that ought to be a batch, with the next offset that may be readable.
    pub fn corrupt(&self, segment: &Segment, position: u64, detail: &dyn std::fmt::Display) -> LogError {
        let behind = segment.index().first_offset_behind(position);
        let resume_offset = behind
            .or_else(|| self.segment_after(segment.base_offset).map(|next| next.base_offset))
            .unwrap_or_else(|| self.bounds().end);
        LogError::Corrupt {
            topic: self.topic.to_string(),
            partition: self.id,
            segment: segment.file_name(),
            position,
            detail: detail.to_string(),
            resume_offset,
        }
    }

    /// The error of a partition that is no more.
    pub fn gone(&self, standing: Standing) -> Option<LogError> {
        match standing {
            Standing::Open => None,
            Standing::Deleted => Some(LogError::UnknownTopic { topic: self.topic.to_string(), nearest: None }),
            Standing::Closed => Some(LogError::Closed),
        }
    }

    pub(super) fn lock_appender(&self) -> MutexGuard<'_, Appender> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
