//! Reads one partition into slabs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use log::{
    BufferPool, LogError, NULL_SPAN, POLL_BYTES_MAX, PartitionReader, ReadBuffer, RecordIndex, Slab, encode_headers,
};
use rdkafka_sys::rd_kafka_resp_err_t;

use crate::consumers::Assignment;
use crate::kafka_log::Shared;
use crate::queue::{Record, Taken};

/// What a record is thought to have before any was seen.
const RECORD_BYTES_GUESS: usize = 1_024;

pub(crate) struct KafkaReader {
    log: Arc<Shared>,
    assignment: Assignment,
    /// The topic's name in slabs, and on the cluster.
    topic: Arc<str>,
    on_cluster: String,
    partition: u32,
    next_offset: i64,
    end_offset: i64,
    record_bytes: usize,
    /// Bytes and records of the slab before: the next one gets room for as much.
    former: (usize, usize),
    /// Met behind records that were given first.
    failed: Option<(rd_kafka_resp_err_t, String)>,
}

impl KafkaReader {
    pub(crate) fn new(
        log: Arc<Shared>,
        assignment: Assignment,
        (topic, on_cluster): (&str, &str),
        partition: u32,
        offset: i64,
        end_offset: i64,
    ) -> Self {
        Self {
            log,
            assignment,
            topic: topic.into(),
            on_cluster: on_cluster.to_owned(),
            partition,
            next_offset: offset,
            end_offset,
            record_bytes: RECORD_BYTES_GUESS,
            former: (0, 0),
            failed: None,
        }
    }

    /// What is there, up to about `max_bytes`; `None` when nothing is.
    fn take(&mut self, max_bytes: usize) -> Option<Slab> {
        let mut filling = Filling::new();
        let mut ended_at = None;
        while self.failed.is_none() && filling.data.bytes.len() < max_bytes {
            let room = (max_bytes - filling.data.bytes.len()) / self.record_bytes.max(1);
            let before = (filling.data.bytes.len(), filling.records.len());
            let (next_offset, failed) = (&mut self.next_offset, &mut self.failed);
            let (buffers, former) = (self.log.buffers(), self.former);
            let count = self.assignment.queue.drain(room.max(1), |taken| match taken {
                Taken::Record(record) => {
                    // What comes again after a reconnection has been taken already.
                    if record.offset() >= *next_offset && failed.is_none() {
                        *next_offset = record.offset() + 1;
                        if filling.records.is_empty() {
                            filling.reserve(buffers, former);
                        }
                        filling.push(&record);
                        ended_at = None;
                    }
                }
                Taken::End(offset) => {
                    *next_offset = (*next_offset).max(offset);
                    ended_at = Some(*next_offset);
                }
                Taken::Failed { code, reason } => {
                    failed.get_or_insert((code, reason));
                }
            });
            let records = filling.records.len() - before.1;
            if let Some(bytes) = (filling.data.bytes.len() - before.0).checked_div(records) {
                self.record_bytes = bytes.max(1);
            }
            if count == 0 {
                break;
            }
        }
        let is_empty = filling.records.is_empty();
        if !is_empty {
            self.former = (filling.data.bytes.len(), filling.records.len());
        }
        if is_empty && ended_at.is_none() {
            return None;
        }
        self.end_offset = match ended_at {
            Some(end) => end,
            // There is more, or nobody knows yet that there is not.
            None => {
                let known = self.assignment.queue.known_end(&self.on_cluster, self.partition);
                known.unwrap_or(i64::MIN).max(self.next_offset + 1)
            }
        };
        Some(filling.into_slab(&self.topic, self.partition, self.next_offset, self.end_offset))
    }
}

#[async_trait]
impl PartitionReader for KafkaReader {
    async fn poll(&mut self, max_bytes: usize, max_wait: Duration) -> Result<Slab, LogError> {
        let max_bytes = max_bytes.clamp(1, POLL_BYTES_MAX);
        let deadline = Instant::now() + max_wait;
        let wake = Arc::clone(self.assignment.queue.wake());
        loop {
            if let Some(slab) = self.take(max_bytes) {
                return Ok(slab);
            }
            if let Some((code, reason)) = self.failed.clone() {
                let error =
                    self.log.reading_failed(&self.on_cluster, self.partition, self.next_offset, code, reason).await;
                match error {
                    Some(error) => return Err(error),
                    None => self.failed = None,
                }
            }
            if tokio::time::timeout_at(deadline.into(), wake.notified()).await.is_err() {
                return Ok(Slab::empty(Arc::clone(&self.topic), self.partition, self.next_offset, self.end_offset));
            }
        }
    }

    fn position(&self) -> i64 {
        self.next_offset
    }

    fn at_rest_until(&self) -> Option<Instant> {
        let events = &self.assignment.events;
        let statistics = events.statistics()?;
        let is_held_back = statistics.partition(&self.on_cluster, self.partition)?.is_held_back();
        let is_over = events.is_over(&self.on_cluster, self.partition as i32);
        statistics.leader_heard(&self.on_cluster, self.partition).filter(|_| !is_held_back && is_over)
    }
}

/// A slab that is being filled.
struct Filling {
    data: ReadBuffer,
    records: RecordIndex,
    now_ms: i64,
}

impl Filling {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            data: ReadBuffer::default(),
            records: RecordIndex::default(),
            now_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn reserve(&mut self, buffers: &BufferPool, (bytes, records): (usize, usize)) {
        self.data = buffers.take_empty(bytes);
        self.records.reserve(records);
    }

    fn push(&mut self, record: &Record<'_>) {
        let (timestamp, is_append_time) = record.timestamp();
        self.records.offsets.push(record.offset());
        self.records.timestamps_ms.push(timestamp);
        self.records.append_times_ms.push(if is_append_time { timestamp } else { self.now_ms });
        let key = self.append(record.key());
        let value = self.append(record.value());
        self.records.keys.push(key);
        self.records.values.push(value);
        let headers = record.headers();
        let start = self.data.bytes.len() as u32;
        encode_headers(&mut self.data.bytes, headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())));
        self.records.headers.push((start, self.data.bytes.len() as u32 - start));
    }

    fn append(&mut self, bytes: Option<&[u8]>) -> (u32, u32) {
        let start = self.data.bytes.len() as u32;
        match bytes {
            None => (0, NULL_SPAN),
            Some(bytes) => {
                self.data.bytes.extend_from_slice(bytes);
                (start, bytes.len() as u32)
            }
        }
    }

    fn into_slab(self, topic: &Arc<str>, partition: u32, next_offset: i64, end_offset: i64) -> Slab {
        let (data, records) = (self.data.into_bytes(), self.records);
        Slab { topic: Arc::clone(topic), partition, data, records, next_offset, end_offset }
    }
}
