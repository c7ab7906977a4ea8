//! Reading a topic as a person does: the last records, or from a time on, or as they come; all of them or those that
//! fit a condition.

mod matcher;
mod scan;

use super::Platform;
use crate::error::ControlError;
use crate::records::ShownRecord;
use crate::topic_router::TopicRouter;
use log::{PartitionReader, PartitionStatus, Slab, TopicLog};
use matcher::Matcher;
pub use scan::{ScanEnd, ScanProgress};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

pub const TAIL_RECORDS_MAX: usize = 100_000;
/// Records that a filter looks at when the request does not say how many, and at most.
pub const SCAN_RECORDS_DEFAULT: u64 = 1_000_000;
pub const SCAN_RECORDS_MAX: u64 = 10_000_000;
/// More wait for their turn, so that searching does not starve the daggers.
pub const SCANS_AT_ONCE_MAX: usize = 4;
const POLL_BYTES: usize = 256 * 1024;
/// How often a reader that waits for records looks whether somebody still listens.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// Shown records that wait for a slow client, over all partitions.
const QUEUE_RECORDS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailFrom {
    /// The last records that are there.
    Last,
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// Milliseconds since 1970, by the records' own timestamps.
    Time(i64),
    /// In each partition that is read; one that is not there any more gives the next that is.
    Offset(i64),
}

#[derive(Debug, Clone)]
pub struct TailRequest {
    pub from: TailFrom,
    /// Reads only this one.
    pub partition: Option<u32>,
    /// Ends after so many records.
    pub limit: Option<usize>,
    /// Goes on with what comes when the end is reached.
    pub follow: Follow,
    pub filter: TailFilter,
    /// Looks at so many records at most, before it follows.
    pub scan: Option<u64>,
    pub shows: Shows,
}

/// Which records are wanted; without both all are.
#[derive(Debug, Clone, Default)]
pub struct TailFilter {
    /// An SQL condition over the fields of the message.
    pub condition: Option<String>,
    /// Is in the record's JSON, in whatever case.
    pub text: Option<String>,
}

impl TailFilter {
    pub fn is_empty(&self) -> bool {
        self.condition.is_none() && self.text.is_none()
    }
}

/// What the answer has beside the records' fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shows {
    pub progress: bool,
    /// Key and value as bytes, too, when they could be decoded.
    pub raw: bool,
}

#[derive(Debug, Clone)]
pub enum TailLine {
    Record(ShownRecord),
    Progress(ScanProgress),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    No,
    Yes,
}

impl Platform {
    /// Records in the order of their timestamps for what is there, then in the order in which they come; with a filter,
    /// or without a limit, those that are there as they are found. The channel ends when the request is answered; dropping it ends the
    /// readers.
    pub async fn tail(
        &self,
        topic: &str,
        request: TailRequest,
    ) -> Result<mpsc::Receiver<Result<TailLine, ControlError>>, ControlError> {
        let matcher = Matcher::new(self.topic_format(topic).await?, &request.filter, request.shows)?;
        let mut partitions = self.log.topic(topic).await?.partitions;
        if let Some(wanted) = request.partition {
            let count = partitions.len();
            partitions.retain(|partition| partition.partition == wanted);
            if partitions.is_empty() {
                return Err(ControlError::not_found(
                    "partition_not_found",
                    format!("the topic `{topic}` has the partitions 0 to {}, not {wanted}", count.saturating_sub(1)),
                ));
            }
        }
        let follows = request.follow == Follow::Yes || request.from == TailFrom::Latest;
        let limit = match follows {
            true => request.limit.unwrap_or(usize::MAX),
            false => request.limit.unwrap_or(TAIL_RECORDS_MAX).min(TAIL_RECORDS_MAX),
        };
        let scan_max = match request.scan {
            Some(scan) => scan.min(SCAN_RECORDS_MAX),
            // Who goes on with what comes misses nothing before it.
            None if follows => u64::MAX,
            None if request.filter.is_empty() => SCAN_RECORDS_MAX,
            None => SCAN_RECORDS_DEFAULT,
        };
        let mut starts = Vec::with_capacity(partitions.len());
        for partition in partitions {
            starts.push((partition, self.first_offset(topic, &partition, request.from).await?));
        }
        let (sender, receiver) = mpsc::channel(QUEUE_RECORDS);
        let job = TailJob {
            log: Arc::clone(&self.log),
            turns: Arc::clone(&self.scans),
            topic: topic.to_owned(),
            limit,
            scan_max,
            from: request.from,
            is_filtered: !request.filter.is_empty(),
            shows: request.shows,
            sender: sender.clone(),
        };
        tokio::spawn(async move {
            if let Err(error) = job.run(matcher, starts, follows).await {
                // Nobody listening is no reason to tell anybody.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    async fn first_offset(
        &self,
        topic: &str,
        partition: &PartitionStatus,
        from: TailFrom,
    ) -> Result<i64, ControlError> {
        Ok(match from {
            // The last ones are looked for from the end backwards.
            TailFrom::Earliest | TailFrom::Last => partition.start_offset,
            TailFrom::Latest => partition.end_offset,
            TailFrom::Offset(offset) => offset.clamp(partition.start_offset, partition.end_offset),
            TailFrom::Time(ms) => self
                .log
                .offset_at(topic, partition.partition, ms)
                .await?
                .clamp(partition.start_offset, partition.end_offset),
        })
    }
}

type Sender = mpsc::Sender<Result<TailLine, ControlError>>;

/// Nobody listens any more.
struct Gone;

struct TailJob {
    log: Arc<TopicRouter>,
    turns: Arc<Semaphore>,
    topic: String,
    limit: usize,
    scan_max: u64,
    from: TailFrom,
    is_filtered: bool,
    shows: Shows,
    sender: Sender,
}

impl TailJob {
    async fn run(
        self,
        matcher: Matcher,
        starts: Vec<(PartitionStatus, i64)>,
        follows: bool,
    ) -> Result<(), ControlError> {
        let ends: Vec<PartitionStatus> = starts.iter().map(|(partition, _)| *partition).collect();
        let (matcher, sent) = self.scan(matcher, starts).await?;
        let is_look_back = self.from == TailFrom::Last;
        if !follows || self.sender.is_closed() || (sent >= self.limit && !is_look_back) {
            return Ok(());
        }
        // The last N are a look back; what comes after them is not counted.
        let left = if is_look_back { usize::MAX } else { self.limit - sent };
        self.follow(matcher, ends, left).await
    }

    async fn send(&self, line: TailLine) -> Result<(), Gone> {
        self.sender.send(Ok(line)).await.map_err(|_| Gone)
    }

    async fn follow(
        &self,
        mut matcher: Matcher,
        ends: Vec<PartitionStatus>,
        mut left: usize,
    ) -> Result<(), ControlError> {
        let (slabs, mut incoming) = mpsc::channel::<Result<Slab, ControlError>>(ends.len().max(1));
        for partition in ends {
            let reader = self.log.open(&self.topic, partition.partition, partition.end_offset).await?;
            tokio::spawn(forward(reader, slabs.clone()));
        }
        drop(slabs);
        while let Some(slab) = incoming.recv().await {
            let slab = slab?;
            let found;
            (matcher, found) = matcher.look(slab, i64::MIN..i64::MAX).await?;
            for record in found.records {
                if self.send(TailLine::Record(record)).await.is_err() {
                    return Ok(());
                }
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            if self.sender.is_closed() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Polls one partition for as long as somebody takes its slabs; empty ones too, so that the end is noticed.
async fn forward(mut reader: Box<dyn PartitionReader>, slabs: mpsc::Sender<Result<Slab, ControlError>>) {
    loop {
        let polled = reader.poll(POLL_BYTES, POLL_WAIT).await.map_err(ControlError::from);
        let failed = polled.is_err();
        if slabs.send(polled).await.is_err() || failed {
            return;
        }
    }
}
