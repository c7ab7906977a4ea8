//! How many records a topic got, over time: what the message browser is steered by.

use super::Platform;
use super::reading::next_there;
use crate::error::ControlError;
use log::{PartitionStatus, TopicLog};

pub const RATE_STEPS_MAX: usize = 500;
pub const RATE_STEPS_DEFAULT: usize = 120;
const POLL_BYTES: usize = 4 * 1024;

/// Records per step, by their timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRate {
    /// Milliseconds since 1970.
    pub from_ms: i64,
    pub to_ms: i64,
    pub step_ms: i64,
    /// Where timestamps do not rise within a partition, a record counts where the ones around it do.
    pub counts: Vec<u64>,
    /// Of the first and the last record that are there.
    pub earliest_ms: Option<i64>,
    pub latest_ms: Option<i64>,
}

impl Platform {
    /// Asks the log's index of times: a lookup per step and partition, however many records there are.
    pub async fn record_rate(
        &self,
        topic: &str,
        range_ms: (Option<i64>, Option<i64>),
        steps: Option<usize>,
    ) -> Result<RecordRate, ControlError> {
        let steps = steps.unwrap_or(RATE_STEPS_DEFAULT);
        if !(1..=RATE_STEPS_MAX).contains(&steps) {
            let detail = format!("`buckets` is {steps}, it can be 1 to {RATE_STEPS_MAX}");
            return Err(ControlError::invalid("query_invalid", detail));
        }
        let partitions = self.log.topic(topic).await?.partitions;
        let (mut earliest_ms, mut latest_ms) = (None, None);
        for partition in partitions.iter().filter(|partition| partition.start_offset < partition.end_offset) {
            let first = self.time_of(topic, partition, partition.start_offset).await?;
            let last = self.time_of(topic, partition, partition.end_offset - 1).await?;
            earliest_ms = earliest_ms.into_iter().chain(first).min();
            latest_ms = latest_ms.into_iter().chain(last).max();
        }
        let now_ms = crate::time_text::now_ms();
        let from_ms = range_ms.0.or(earliest_ms).unwrap_or(now_ms);
        // The last record is within the last step.
        let to_ms = range_ms.1.or(latest_ms.map(|ms| ms + 1)).unwrap_or(now_ms);
        if to_ms < from_ms {
            return Err(ControlError::invalid("query_invalid", "`to` is before `from`"));
        }
        let step_ms = div_ceil(to_ms.saturating_sub(from_ms), steps as i64).max(1);
        let mut counts = vec![0; steps];
        for partition in &partitions {
            let mut before = self.offset_at(topic, partition, from_ms).await?;
            for (step, count) in counts.iter_mut().enumerate() {
                // Nothing lies behind the end.
                if before >= partition.end_offset {
                    break;
                }
                let end_ms = from_ms.saturating_add((step as i64 + 1).saturating_mul(step_ms)).min(to_ms);
                let next = self.offset_at(topic, partition, end_ms).await?.max(before);
                *count += (next - before).unsigned_abs();
                before = next;
            }
        }
        Ok(RecordRate { from_ms, to_ms, step_ms, counts, earliest_ms, latest_ms })
    }

    async fn offset_at(&self, topic: &str, partition: &PartitionStatus, ms: i64) -> Result<i64, ControlError> {
        let offset = self.log.offset_at(topic, partition.partition, ms).await?;
        Ok(offset.clamp(partition.start_offset, partition.end_offset))
    }

    /// The timestamp of one record; `None` when retention was faster.
    async fn time_of(
        &self,
        topic: &str,
        partition: &PartitionStatus,
        offset: i64,
    ) -> Result<Option<i64>, ControlError> {
        let Ok(mut reader) = self.log.open(topic, partition.partition, offset).await else { return Ok(None) };
        let slab = next_there(reader.as_mut(), POLL_BYTES).await?;
        Ok((0..slab.len()).find(|record| slab.offset(*record) >= offset).map(|record| slab.timestamp_ms(record)))
    }
}

/// Of numbers that are not negative.
fn div_ceil(number: i64, by: i64) -> i64 {
    number / by + i64::from(number % by != 0)
}
