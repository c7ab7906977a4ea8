//! Reading a topic as a person does: the last records, or from a time on, or as they come.

use super::Platform;
use crate::error::ControlError;
use crate::records::{self, ShownRecord};
use log::{EmbeddedLog, PartitionReader, PartitionStatus, Slab, TopicLog};
use prost_reflect::MessageDescriptor;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub const TAIL_RECORDS_MAX: usize = 100_000;
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

#[derive(Debug, Clone, Copy)]
pub struct TailRequest {
    pub from: TailFrom,
    /// Reads only this one.
    pub partition: Option<u32>,
    /// Ends after so many records.
    pub limit: Option<usize>,
    /// Goes on with what comes when the end is reached.
    pub follow: Follow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    No,
    Yes,
}

impl Platform {
    /// Records in the order of their timestamps for what is there, then in the order in which they come. The channel
    /// ends when the request is answered; dropping it ends the readers.
    pub async fn tail(
        &self,
        topic: &str,
        request: TailRequest,
    ) -> Result<mpsc::Receiver<Result<ShownRecord, ControlError>>, ControlError> {
        let message = self.topic_message(topic).await?;
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
        let limit = request.limit.unwrap_or(TAIL_RECORDS_MAX).min(TAIL_RECORDS_MAX);
        let follows = request.follow == Follow::Yes || request.from == TailFrom::Latest;
        let limit = if follows { request.limit.unwrap_or(usize::MAX) } else { limit };
        let mut ranges = Vec::with_capacity(partitions.len());
        for partition in partitions {
            ranges.push((partition, self.first_offset(topic, &partition, request.from, limit).await?));
        }
        let (sender, receiver) = mpsc::channel(QUEUE_RECORDS);
        let job = TailJob { log: Arc::clone(&self.log), topic: topic.to_owned(), message, limit, from: request.from };
        tokio::spawn(async move {
            if let Err(error) = job.run(ranges, follows, &sender).await {
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
        limit: usize,
    ) -> Result<i64, ControlError> {
        Ok(match from {
            TailFrom::Earliest => partition.start_offset,
            TailFrom::Latest => partition.end_offset,
            TailFrom::Last => {
                let limit = i64::try_from(limit.min(TAIL_RECORDS_MAX)).unwrap_or(i64::MAX);
                (partition.end_offset - limit).max(partition.start_offset)
            }
            TailFrom::Offset(offset) => offset.clamp(partition.start_offset, partition.end_offset),
            TailFrom::Time(ms) => self
                .log
                .offset_at(topic, partition.partition, ms)
                .await?
                .clamp(partition.start_offset, partition.end_offset),
        })
    }
}

struct TailJob {
    log: Arc<EmbeddedLog>,
    topic: String,
    message: Option<MessageDescriptor>,
    limit: usize,
    from: TailFrom,
}

type Sender = mpsc::Sender<Result<ShownRecord, ControlError>>;

impl TailJob {
    async fn run(
        self,
        ranges: Vec<(PartitionStatus, i64)>,
        follows: bool,
        sender: &Sender,
    ) -> Result<(), ControlError> {
        let mut shown: Vec<ShownRecord> = Vec::new();
        for (partition, start) in &ranges {
            self.read_until(partition, *start, &mut shown).await?;
        }
        shown.sort_by_key(|record| (record.timestamp_ms, record.partition, record.offset));
        if self.from == TailFrom::Last && shown.len() > self.limit {
            shown.drain(..shown.len() - self.limit);
        }
        let mut left = self.limit;
        for record in shown.into_iter().take(self.limit) {
            left -= 1;
            if sender.send(Ok(record)).await.is_err() {
                return Ok(());
            }
        }
        if !follows || (left == 0 && self.from != TailFrom::Last) {
            return Ok(());
        }
        // The last N are a look back; what comes after them is not counted.
        let left = if self.from == TailFrom::Last { usize::MAX } else { left };
        self.follow(ranges, left, sender).await
    }

    /// What one partition holds between `start` and the end that it had when the request came.
    async fn read_until(
        &self,
        partition: &PartitionStatus,
        start: i64,
        shown: &mut Vec<ShownRecord>,
    ) -> Result<(), ControlError> {
        if start >= partition.end_offset {
            return Ok(());
        }
        let mut reader = self.log.open(&self.topic, partition.partition, start).await?;
        let mut found = 0;
        while reader.position() < partition.end_offset && found < self.limit.min(TAIL_RECORDS_MAX) {
            let slab = reader.poll(POLL_BYTES, Duration::ZERO).await?;
            for record in 0..slab.len() {
                if slab.offset(record) < partition.end_offset && slab.offset(record) >= start {
                    shown.push(records::show(&slab, record, self.message.as_ref()));
                    found += 1;
                }
            }
            if slab.is_empty() && slab.at_end() {
                break;
            }
        }
        Ok(())
    }

    async fn follow(
        &self,
        ranges: Vec<(PartitionStatus, i64)>,
        mut left: usize,
        sender: &Sender,
    ) -> Result<(), ControlError> {
        let (slabs, mut incoming) = mpsc::channel::<Result<Slab, ControlError>>(ranges.len().max(1));
        for (partition, _) in ranges {
            let reader = self.log.open(&self.topic, partition.partition, partition.end_offset).await?;
            tokio::spawn(forward(reader, slabs.clone()));
        }
        drop(slabs);
        while let Some(slab) = incoming.recv().await {
            let slab = slab?;
            for record in 0..slab.len() {
                if sender.send(Ok(records::show(&slab, record, self.message.as_ref()))).await.is_err() {
                    return Ok(());
                }
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            if sender.is_closed() {
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
