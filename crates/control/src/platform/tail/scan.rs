//! The bounded part of reading: what is there, forwards from a place or backwards from the end.
//!
//! Partitions are read in turn, a chunk at a time, and each for as long as it can still have records that come before
//! the last of those that are wanted. Timestamps are taken to rise within a partition; where they do not, the answer is
//! the best of what was looked at.

use super::{Gone, Matcher, POLL_BYTES, TailFrom, TailJob, TailLine};
use crate::error::ControlError;
use crate::platform::reading::next_there;
use crate::records::ShownRecord;
use log::{PartitionStatus, TopicLog};
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Records of a partition that are read before it is the next one's turn.
const CHUNK_RECORDS: i64 = 10_000;
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of keys and values that are put in order together.
const SORTED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How far a scan is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanProgress {
    pub scanned: u64,
    pub matched: u64,
    /// Records that the condition could not be asked of.
    pub undecoded: u64,
    /// Records that there are to look at.
    pub of: u64,
    /// Once it is done.
    pub end: Option<ScanEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// As many were found as were wanted.
    Limit,
    /// As many were looked at as were allowed.
    Scan,
    /// There are no more.
    End,
}

impl ScanEnd {
    pub fn as_str(self) -> &'static str {
        match self {
            ScanEnd::Limit => "limit",
            ScanEnd::Scan => "scan",
            ScanEnd::End => "end",
        }
    }
}

/// What is left of a partition.
struct Part {
    partition: u32,
    left: Range<i64>,
}

impl Part {
    fn next_chunk(&mut self, records: i64, is_backwards: bool) -> Range<i64> {
        let Range { start, end } = self.left.clone();
        let chunk = match is_backwards {
            true => (end - records).max(start)..end,
            false => start..(start + records).min(end),
        };
        self.left = if is_backwards { start..chunk.start } else { chunk.end..end };
        chunk
    }
}

/// The records that are wanted so far, by how far they are from where the scan began.
struct Wanted {
    /// The farthest first.
    distances: BinaryHeap<i64>,
    limit: usize,
}

impl Wanted {
    fn add(&mut self, distance: i64) {
        if self.limit == usize::MAX {
            return;
        }
        self.distances.push(distance);
        if self.distances.len() > self.limit {
            self.distances.pop();
        }
    }

    /// Whether nothing at this distance or farther is wanted any more.
    fn is_beyond(&self, distance: i64) -> bool {
        self.distances.len() >= self.limit && self.distances.peek().is_some_and(|farthest| distance >= *farthest)
    }
}

impl TailJob {
    /// Sends what is wanted of what is there, and how far it is if that was asked for; tells how many it sent.
    pub(super) async fn scan(
        &self,
        matcher: Matcher,
        starts: Vec<(PartitionStatus, i64)>,
    ) -> Result<(Matcher, usize), ControlError> {
        let mut parts: Vec<Part> = starts
            .into_iter()
            .map(|(partition, start)| Part { partition: partition.partition, left: start..partition.end_offset })
            .filter(|part| !part.left.is_empty())
            .collect();
        let there: i64 = parts.iter().map(|part| part.left.end - part.left.start).sum();
        let _turn = match self.is_filtered {
            true => Some(self.turns.acquire().await.map_err(|_| stopping())?),
            false => None,
        };
        let mut scan = Scan {
            job: self,
            progress: ScanProgress { of: there.unsigned_abs().min(self.scan_max), ..ScanProgress::default() },
            told: Instant::now(),
            wanted: Wanted { distances: BinaryHeap::new(), limit: self.limit },
            unsorted: Vec::new(),
            unsorted_bytes: 0,
        };
        let mut matcher = matcher;
        let mut has_more = false;
        while !parts.is_empty() {
            let mut left = Vec::with_capacity(parts.len());
            for mut part in parts {
                let chunk = part.next_chunk(self.chunk_records(), self.is_backwards());
                let frontier;
                (matcher, frontier) = match scan.read(matcher, part.partition, chunk).await? {
                    Read::Chunk(matcher, frontier) => (matcher, frontier),
                    // Nobody listens any more, or enough was looked at.
                    Read::Ended(matcher) => return scan.finish(matcher, ScanEnd::Scan).await,
                };
                if part.left.is_empty() {
                    continue;
                }
                match frontier.is_some_and(|at| scan.wanted.is_beyond(at)) {
                    true => has_more = true,
                    false => left.push(part),
                }
            }
            parts = left;
        }
        let end = match has_more || scan.progress.matched > self.limit as u64 {
            true => ScanEnd::Limit,
            false => ScanEnd::End,
        };
        scan.finish(matcher, end).await
    }

    fn is_backwards(&self) -> bool {
        self.from == TailFrom::Last
    }

    /// What is filtered is sent as it is found, and what has no end cannot wait for it.
    fn is_sorted(&self) -> bool {
        !self.is_filtered && self.limit != usize::MAX
    }

    fn chunk_records(&self) -> i64 {
        match self.is_sorted() {
            true => i64::try_from(self.limit).unwrap_or(CHUNK_RECORDS).clamp(1, CHUNK_RECORDS),
            false => CHUNK_RECORDS,
        }
    }

    /// From where the scan began, in milliseconds; only compared with one another.
    fn distance(&self, timestamp_ms: i64) -> i64 {
        if self.is_backwards() { -timestamp_ms } else { timestamp_ms }
    }
}

enum Read {
    /// And how far from the beginning of the scan the chunk reached.
    Chunk(Matcher, Option<i64>),
    Ended(Matcher),
}

struct Scan<'a> {
    job: &'a TailJob,
    progress: ScanProgress,
    told: Instant,
    wanted: Wanted,
    /// Those that are sent in order, at the end.
    unsorted: Vec<ShownRecord>,
    unsorted_bytes: usize,
}

impl Scan<'_> {
    async fn read(&mut self, mut matcher: Matcher, partition: u32, chunk: Range<i64>) -> Result<Read, ControlError> {
        let job = self.job;
        let mut reader = job.log.open(&job.topic, partition, chunk.start).await?;
        let mut times: Option<(i64, i64)> = None;
        while reader.position() < chunk.end {
            let slab = next_there(reader.as_mut(), POLL_BYTES).await?;
            if slab.is_empty() {
                break;
            }
            let found;
            (matcher, found) = matcher.look(slab, chunk.clone()).await?;
            times = match (times, found.times_ms) {
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (times, found) => found.or(times),
            };
            self.progress.scanned += found.looked_at;
            self.progress.undecoded += found.undecoded;
            self.progress.matched += found.records.len() as u64;
            self.unsorted_bytes += found.bytes;
            if self.take(found.records).await.is_err() || self.tell().await.is_err() {
                return Ok(Read::Ended(matcher));
            }
            if self.progress.scanned >= job.scan_max {
                return Ok(Read::Ended(matcher));
            }
            if job.is_sorted() && self.unsorted_bytes > SORTED_BYTES_MAX {
                return Err(ControlError::too_large(
                    "records_too_large",
                    format!("the records have more than {} MiB", SORTED_BYTES_MAX >> 20),
                )
                .with_hint("ask for fewer: a smaller `limit`, or one `partition`"));
            }
        }
        let frontier = times.map(|(first, last)| if job.is_backwards() { first } else { last });
        Ok(Read::Chunk(matcher, frontier.map(|at| job.distance(at))))
    }

    async fn take(&mut self, records: Vec<ShownRecord>) -> Result<(), Gone> {
        for record in records {
            let distance = self.job.distance(record.timestamp_ms);
            if self.wanted.is_beyond(distance) {
                continue;
            }
            self.wanted.add(distance);
            match self.job.is_sorted() {
                true => self.unsorted.push(record),
                false => self.job.send(TailLine::Record(record)).await?,
            }
        }
        if self.job.sender.is_closed() { Err(Gone) } else { Ok(()) }
    }

    async fn tell(&mut self) -> Result<(), Gone> {
        if self.job.shows.progress && self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            self.job.send(TailLine::Progress(self.progress)).await?;
        }
        Ok(())
    }

    async fn finish(mut self, matcher: Matcher, end: ScanEnd) -> Result<(Matcher, usize), ControlError> {
        let job = self.job;
        self.unsorted.sort_by_key(|record| (record.timestamp_ms, record.partition, record.offset));
        if job.is_backwards() && self.unsorted.len() > job.limit {
            self.unsorted.drain(..self.unsorted.len() - job.limit);
        }
        let mut sent = if job.is_sorted() { 0 } else { self.wanted.distances.len() };
        for record in self.unsorted.into_iter().take(job.limit) {
            sent += 1;
            if job.send(TailLine::Record(record)).await.is_err() {
                return Ok((matcher, sent));
            }
        }
        if job.shows.progress {
            // One that is gone does not want to know.
            let _ = job.send(TailLine::Progress(ScanProgress { end: Some(end), ..self.progress })).await;
        }
        Ok((matcher, sent))
    }
}

fn stopping() -> ControlError {
    ControlError::unavailable("stopping", "the server ends")
}
