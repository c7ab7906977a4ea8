//! Reading a partition forward, slab by slab.
//!
//! What is in the page cache is read where the caller runs; what is not is read on a thread that may block.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::{BadBatch, BatchHeader, HEADER_BYTES, check_batch, index_records};
use super::disk::{read_at, read_cached_at};
use super::partition::{Bounds, Partition, Place, Standing};
use super::segment::Segment;
use crate::buffer_pool::ReadBuffer;
use crate::error::LogError;
use crate::limits::POLL_BYTES_MAX;
use crate::slab::{RecordIndex, Slab};
use crate::topic_log::PartitionReader;

/// A poll that asks for less gets this much: a header and a small batch.
const POLL_BYTES_MIN: usize = 4 << 10;
/// What a record takes at the least is not known before; this many bytes a record saves most growing of the index.
const RECORD_BYTES_EXPECTED: usize = 200;

pub(crate) struct EmbeddedReader {
    partition: Arc<Partition>,
    bounds: watch::Receiver<Bounds>,
    /// The next offset that the caller wants.
    next_offset: i64,
    /// Where it lies; not known before the first read.
    cursor: Option<Cursor>,
}

#[derive(Clone)]
struct Cursor {
    segment: Arc<Segment>,
    file: Arc<File>,
    /// Where the next batch begins, and its first offset.
    position: u64,
    batch_offset: i64,
}

/// What was found in some bytes of a segment.
struct Parsed {
    records: RecordIndex,
    bytes: usize,
    next_offset: i64,
    /// Why it ended before the end of the bytes.
    stopped: Option<Stop>,
}

enum Stop {
    Bad(BadBatch),
    /// The batch is so long altogether.
    Incomplete(usize),
}

impl EmbeddedReader {
    pub fn new(partition: Arc<Partition>, offset: i64) -> Result<Self, LogError> {
        let bounds = partition.watch_bounds();
        let reader = Self { partition, bounds, next_offset: offset, cursor: None };
        let Bounds { end, .. } = reader.check_bounds()?;
        if offset > end {
            return Err(LogError::OffsetBeyondEnd {
                topic: reader.partition.topic.to_string(),
                partition: reader.partition.id,
                requested: offset,
                end,
            });
        }
        Ok(reader)
    }

    /// The bounds, if this reader's place is not before them and the partition is there.
    fn check_bounds(&self) -> Result<Bounds, LogError> {
        let bounds = *self.bounds.borrow();
        if let Some(error) = self.partition.gone(bounds.standing) {
            return Err(error);
        }
        if self.next_offset < bounds.start {
            return Err(LogError::OffsetGone {
                topic: self.partition.topic.to_string(),
                partition: self.partition.id,
                requested: self.next_offset,
                start: bounds.start,
            });
        }
        Ok(bounds)
    }

    /// The records that are there now; `None` if there are none.
    async fn read(&mut self, max_bytes: usize) -> Result<Option<Slab>, LogError> {
        let end = self.check_bounds()?.end;
        if self.next_offset >= end {
            return Ok(None);
        }
        let Some(cursor) = self.cursor_with_data().await? else { return Ok(None) };
        let readable = cursor.segment.readable_bytes();
        let left = usize::try_from(readable - cursor.position).unwrap_or(usize::MAX);
        let mut wanted = left.min(max_bytes.clamp(POLL_BYTES_MIN, POLL_BYTES_MAX));
        let (buffer, parsed) = loop {
            let (buffer, parsed) = self.read_batches(&cursor, wanted, left).await?;
            match parsed.stopped {
                // The first batch alone is longer than what was asked for.
                Some(Stop::Incomplete(bytes)) if parsed.bytes == 0 => wanted = bytes,
                Some(Stop::Bad(bad)) if parsed.bytes == 0 => {
                    self.check_bounds()?; // a segment that was removed meanwhile is not corrupt
                    return Err(self.partition.corrupt(&cursor.segment, cursor.position, &bad));
                }
                _ => break (buffer, parsed),
            }
        };
        self.next_offset = parsed.next_offset;
        self.cursor = Some(Cursor {
            position: cursor.position + parsed.bytes as u64,
            batch_offset: parsed.next_offset,
            ..cursor
        });
        Ok(Some(Slab {
            topic: self.partition.topic.clone(),
            partition: self.partition.id,
            data: buffer.into_bytes().slice(..parsed.bytes),
            records: parsed.records,
            next_offset: parsed.next_offset,
            end_offset: end.max(parsed.next_offset),
        }))
    }

    /// A place with at least one batch to read, in a later segment if this one is at its end.
    async fn cursor_with_data(&mut self) -> Result<Option<Cursor>, LogError> {
        loop {
            let cursor = match &self.cursor {
                Some(cursor) => cursor.clone(),
                None => match self.locate().await? {
                    Some(cursor) => cursor,
                    None => return Ok(None),
                },
            };
            let sealed = cursor.segment.is_sealed(); // before the length: then the length is the last one
            if cursor.position < cursor.segment.readable_bytes() {
                self.cursor = Some(cursor.clone());
                return Ok(Some(cursor));
            }
            let next = if sealed { self.partition.segment_after(cursor.segment.base_offset) } else { None };
            let Some(next) = next else { return Ok(None) };
            if next.base_offset != cursor.batch_offset {
                self.check_bounds()?;
                let missing = format!("offsets {} to {} are missing", cursor.batch_offset, next.base_offset - 1);
                return Err(self.partition.corrupt(&cursor.segment, cursor.position, &missing));
            }
            let file = self.open_file(&next)?;
            self.cursor = Some(Cursor { position: 0, batch_offset: next.base_offset, segment: next, file });
        }
    }

    async fn locate(&self) -> Result<Option<Cursor>, LogError> {
        let (partition, offset) = (self.partition.clone(), self.next_offset);
        let place = match blocking(move || partition.locate(offset)).await {
            Ok(Some(place)) => place,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.check_bounds()?; // the segment may have expired under our hands
                return Err(error);
            }
        };
        let Place { segment, position, offset } = place;
        let file = self.open_file(&segment)?;
        Ok(Some(Cursor { segment, file, position, batch_offset: offset }))
    }

    fn open_file(&self, segment: &Segment) -> Result<Arc<File>, LogError> {
        let file = segment.file();
        // Also after success: the directory of a deleted topic may be another topic's by now.
        self.check_bounds()?;
        file
    }

    /// Reads `wanted` bytes and finds the batches in them. `left` is what the segment has from here.
    async fn read_batches(
        &self,
        cursor: &Cursor,
        wanted: usize,
        left: usize,
    ) -> Result<(ReadBuffer, Parsed), LogError> {
        let io_error = |error| LogError::io("cannot read", cursor.segment.path(), error);
        let mut buffer = self.partition.shared.buffers.take(wanted);
        let cached = read_cached_at(&cursor.file, &mut buffer.bytes, cursor.position).map_err(io_error)?;
        if cached > 0 {
            let parsed = parse(&buffer.bytes[..cached], cursor, self.next_offset, left);
            let usable = parsed.bytes > 0 || cached == wanted || !matches!(parsed.stopped, Some(Stop::Incomplete(_)));
            if usable {
                return Ok((buffer, parsed));
            }
        }
        let (file, position) = (cursor.file.clone(), cursor.position);
        let read = blocking(move || read_at(&file, &mut buffer.bytes, position).map(|read| (buffer, read)));
        let (buffer, read) = read.await.map_err(io_error)?;
        let mut parsed = parse(&buffer.bytes[..read], cursor, self.next_offset, left);
        if read < wanted && parsed.bytes == 0 {
            parsed.stopped = Some(Stop::Bad(BadBatch::Truncated)); // the file is shorter than it was
        }
        Ok((buffer, parsed))
    }
}

/// Finds whole batches, checks them and indexes their records from `wanted_offset` on.
fn parse(bytes: &[u8], cursor: &Cursor, wanted_offset: i64, left: usize) -> Parsed {
    let mut records = RecordIndex::default();
    records.reserve(bytes.len() / RECORD_BYTES_EXPECTED);
    let mut parsed = Parsed { records, bytes: 0, next_offset: cursor.batch_offset, stopped: None };
    while parsed.bytes < bytes.len() {
        if let Err(stop) = parse_batch(bytes, left, &mut parsed) {
            parsed.stopped = Some(stop);
            break;
        }
    }
    let unwanted = usize::try_from(wanted_offset - cursor.batch_offset).unwrap_or(0);
    if unwanted > 0 {
        parsed.records.remove_first(unwanted);
    }
    parsed
}

fn parse_batch(bytes: &[u8], left: usize, parsed: &mut Parsed) -> Result<(), Stop> {
    let rest = &bytes[parsed.bytes..];
    let left = left - parsed.bytes;
    if rest.len() < HEADER_BYTES && left >= HEADER_BYTES {
        return Err(Stop::Incomplete(HEADER_BYTES));
    }
    let header = BatchHeader::decode(rest).map_err(Stop::Bad)?;
    header.expect_offset(parsed.next_offset).map_err(Stop::Bad)?;
    let total = header.total_bytes() as usize;
    if total > left {
        return Err(Stop::Bad(BadBatch::Truncated));
    }
    let Some(batch) = rest.get(..total) else { return Err(Stop::Incomplete(total)) };
    check_batch(batch).map_err(Stop::Bad)?;
    let body_start = (parsed.bytes + HEADER_BYTES) as u32;
    index_records(&header, &batch[HEADER_BYTES..], body_start, &mut parsed.records).map_err(Stop::Bad)?;
    parsed.bytes += total;
    parsed.next_offset = header.next_offset();
    Ok(())
}

impl RecordIndex {
    fn remove_first(&mut self, count: usize) {
        let count = count.min(self.len());
        self.offsets.drain(..count);
        self.timestamps_ms.drain(..count);
        self.append_times_ms.drain(..count);
        self.keys.drain(..count);
        self.values.drain(..count);
        self.headers.drain(..count);
    }
}

#[async_trait]
impl PartitionReader for EmbeddedReader {
    async fn poll(&mut self, max_bytes: usize, max_wait: Duration) -> Result<Slab, LogError> {
        let deadline = Instant::now() + max_wait.min(POLL_WAIT_MAX);
        loop {
            if let Some(slab) = self.read(max_bytes).await? {
                return Ok(slab);
            }
            let next_offset = self.next_offset;
            let news = |bounds: &Bounds| {
                bounds.end > next_offset || bounds.start > next_offset || bounds.standing != Standing::Open
            };
            let waited = tokio::time::timeout_at(deadline, self.bounds.wait_for(news)).await;
            match waited.map(|seen| seen.map(|_| ())) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(LogError::Closed),
                Err(_) => {
                    let end = self.check_bounds()?.end;
                    let topic = self.partition.topic.clone();
                    return Ok(Slab::empty(topic, self.partition.id, next_offset, end));
                }
            }
        }
    }

    fn position(&self) -> i64 {
        self.next_offset
    }
}

/// Longer waits are cut to this.
const POLL_WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Runs what may wait for the disk where it disturbs nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The closure is never cancelled once it runs, so this is its own panic: a broken invariant.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await, // the runtime is ending, and this task with it
    }
}
