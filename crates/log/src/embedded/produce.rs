//! From the records of `produce` calls to batches: what arrives while an fsync runs is written together after it.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::Durability;
use super::append::{Reply, Written};
use super::partition::Partition;
use crate::batch_builder::BatchBuilder;
use crate::error::LogError;
use crate::murmur2::partition_for_key;
use crate::topic_log::{Ack, NewRecord};

/// Queued records of several calls become one batch up to this size.
const MERGED_BATCH_BYTES_MAX: usize = 1 << 20;

/// Records that wait for an I/O thread. Their bytes are bounded over the whole log by the permits of `produce`.
#[derive(Default)]
pub(crate) struct ProduceQueue {
    waiting: Vec<(BatchBuilder, Reply)>,
    closed: bool,
}

/// The records of one call that go to one partition in one batch.
pub(crate) struct CallBatch {
    pub partition: u32,
    pub batch: BatchBuilder,
    /// Which records of the call these are.
    records: Vec<u32>,
}

/// A batch of a call on its way to the disk.
pub(crate) struct EnqueuedBatch {
    partition: u32,
    records: Vec<u32>,
    receiver: oneshot::Receiver<Result<Written, LogError>>,
}

/// Sorts the records of a call by partition. On an error none are to be written.
pub(crate) fn plan(
    topic: &str,
    partitions: u32,
    partition_without_key: u32,
    now_ms: i64,
    records: &[NewRecord],
) -> Result<Vec<CallBatch>, LogError> {
    let mut batches: Vec<CallBatch> = Vec::new();
    let mut open_batch: Vec<Option<usize>> = vec![None; partitions as usize];
    for (index, record) in records.iter().enumerate() {
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) if partition < partitions => partition,
            (Some(partition), _) => {
                return Err(LogError::UnknownPartition { topic: topic.to_owned(), partition, partitions });
            }
            (None, Some(key)) => partition_for_key(key, partitions),
            (None, None) => partition_without_key,
        };
        let payload_bytes = record.payload_bytes();
        let open = &mut open_batch[partition as usize];
        let place = match *open {
            Some(place) if batches[place].batch.has_room_for(payload_bytes) => place,
            _ => {
                batches.push(CallBatch { partition, batch: BatchBuilder::new(), records: Vec::new() });
                batches.len() - 1
            }
        };
        *open = Some(place);
        let batch = &mut batches[place];
        let headers = record.headers.iter().map(|(key, value)| (key.as_str(), value.as_ref()));
        let timestamp_ms = record.timestamp_ms.unwrap_or(now_ms.max(0));
        let pushed =
            batch.batch.push_with_headers(timestamp_ms, record.key.as_deref(), record.value.as_deref(), headers);
        pushed.map_err(|error| match error {
            LogError::BadRecord { reason, .. } => LogError::BadRecord { index, reason },
            other => other,
        })?;
        batch.records.push(index as u32);
    }
    Ok(batches)
}

impl NewRecord {
    /// At least what the record takes in a batch, without its entry.
    fn payload_bytes(&self) -> usize {
        const LENGTHS_BYTES_MAX: usize = 10;
        let headers: usize = self.headers.iter().map(|(key, value)| key.len() + value.len() + LENGTHS_BYTES_MAX).sum();
        self.key.as_ref().map_or(0, |key| key.len())
            + self.value.as_ref().map_or(0, |value| value.len())
            + headers
            + LENGTHS_BYTES_MAX
    }
}

/// Waits until a call's batches are durable, and says where each record lies.
pub(crate) async fn acknowledge(
    batches: Vec<EnqueuedBatch>,
    timestamps_ms: Vec<Option<i64>>,
    now_ms: i64,
) -> Result<Vec<Ack>, LogError> {
    let mut acks: Vec<Option<Ack>> = vec![None; timestamps_ms.len()];
    let mut failure = None;
    for EnqueuedBatch { partition, records, receiver } in batches {
        match receiver.await.unwrap_or(Err(LogError::Closed)) {
            Ok(written) => {
                for (offset, record) in (written.first_offset..).zip(records) {
                    let timestamp_ms = timestamps_ms[record as usize].unwrap_or(now_ms.max(0));
                    acks[record as usize] = Some(Ack { partition, offset, timestamp_ms });
                }
            }
            Err(error) => failure = Some(failure.unwrap_or(error)),
        }
    }
    match failure {
        None => Ok(acks.into_iter().flatten().collect()),
        Some(error) if acks.iter().all(Option::is_none) => Err(error),
        Some(error) => Err(LogError::PartlyWritten { acks, source: Box::new(error) }),
    }
}

impl CallBatch {
    /// Hands the batch to the partition.
    pub fn enqueue(self, to: &Arc<Partition>) -> EnqueuedBatch {
        let (reply, receiver) = oneshot::channel();
        to.enqueue(self.batch, reply);
        EnqueuedBatch { partition: self.partition, records: self.records, receiver }
    }
}

impl Partition {
    fn enqueue(self: &Arc<Self>, batch: BatchBuilder, reply: Reply) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return; // the reply is dropped: the caller learns that the log is closed
        }
        queue.waiting.push((batch, reply));
        drop(queue);
        self.shared.io.schedule(self);
    }

    pub(super) fn close_queue(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        queue.waiting.clear();
    }

    /// One round of an I/O thread: writes what waits, then makes it durable.
    pub fn write_queued(self: &Arc<Self>, merged: &mut BatchBuilder) {
        let waiting = std::mem::take(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting);
        let mut waiting = waiting.into_iter().peekable();
        while let Some((first, reply)) = waiting.next() {
            let mut replies = vec![(first.len(), reply)];
            merged.clear();
            let mut is_merged = false;
            while let Some((next, reply)) = waiting.next_if(|(next, _)| {
                let so_far = if is_merged { &*merged } else { &first };
                so_far.bytes() + next.bytes() <= MERGED_BATCH_BYTES_MAX && so_far.has_room_for_all(next)
            }) {
                if !is_merged {
                    merged.extend_from(&first);
                    is_merged = true;
                }
                merged.extend_from(&next);
                replies.push((next.len(), reply));
            }
            self.append(if is_merged { merged } else { &first }, replies);
        }
        let wanted = self.sync_wanted.swap(false, Ordering::SeqCst);
        if wanted || self.shared.durability == Durability::Group {
            self.sync();
        }
    }

    pub fn has_work(&self) -> bool {
        let queued = !self.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_empty();
        queued || self.needs_sync()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn keyed(key: &'static str) -> NewRecord {
        NewRecord { key: Some(Bytes::from_static(key.as_bytes())), ..NewRecord::default() }
    }

    #[test]
    fn records_go_where_they_belong_in_their_order() {
        let keys = ["a", "b", "c", "a", "b", "c", "a"];
        let mut records: Vec<NewRecord> = keys.iter().map(|key| keyed(key)).collect();
        records.push(NewRecord::default());
        records.push(NewRecord { partition: Some(2), ..keyed("a") });
        let planned = plan("t", 3, 1, 77, &records).unwrap();
        let mut placed: Vec<Option<u32>> = vec![None; records.len()];
        for call in &planned {
            assert_eq!(call.batch.len(), call.records.len());
            assert!(call.records.is_sorted());
            for record in &call.records {
                assert_eq!(placed[*record as usize].replace(call.partition), None);
            }
        }
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(placed[place], Some(partition_for_key(key.as_bytes(), 3)));
        }
        assert_eq!(placed[7..], [Some(1), Some(2)]);
    }

    #[test]
    fn one_bad_record_stops_the_call_and_is_named() {
        let records = [keyed("a"), NewRecord { timestamp_ms: Some(-5), ..keyed("a") }];
        assert!(matches!(plan("t", 3, 0, 0, &records), Err(LogError::BadRecord { index: 1, .. })));
        let records = [keyed("a"), NewRecord { partition: Some(3), ..keyed("a") }];
        assert!(matches!(plan("t", 3, 0, 0, &records), Err(LogError::UnknownPartition { partition: 3, .. })));
    }

    #[test]
    fn too_much_for_one_batch_becomes_several() {
        let value = Bytes::from(vec![0; 15 << 20]);
        let records = vec![NewRecord { value: Some(value), ..NewRecord::default() }; 5];
        let planned = plan("t", 2, 0, 0, &records).unwrap();
        assert_eq!(
            planned.iter().map(|call| call.records.clone()).collect::<Vec<_>>(),
            [vec![0, 1], vec![2, 3], vec![4]]
        );
    }
}
