//! Reading: one reader per lane, rounds of bounded size and latency, idleness.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{FutureExt, select_all};
use log::{PartitionReader, Slab, TopicLog};

use crate::FlowError;
use crate::engine::Engine;

/// Most bytes that one lane reads in a round.
const SLAB_BYTES_MAX: usize = 1 << 20;
/// A round with at least this many bytes does not wait for more.
const ROUND_BYTES_ENOUGH: usize = 256 << 10;
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The readers of a dagger, one per lane of its engine.
pub(crate) struct Intake {
    readers: Vec<Box<dyn PartitionReader>>,
    /// Where each reader was when its last slab was passed on.
    positions: Vec<i64>,
    idle: Vec<Idleness>,
    last_round: Instant,
}

struct Idleness {
    idle_after: Duration,
    /// Since when the reader is at the end of its partition.
    at_end_since: Option<Instant>,
}

impl Idleness {
    /// How long the log has said that there is nothing new. A partition whose log does not answer is not at rest: nobody
    /// knows what is in it by now.
    fn rests(&self, reader: &dyn PartitionReader) -> Option<Duration> {
        Some(reader.at_rest_until()?.saturating_duration_since(self.at_end_since?))
    }

    fn is_idle(&self, reader: &dyn PartitionReader) -> bool {
        self.rests(reader).is_some_and(|rests| rests >= self.idle_after)
    }

    /// When to look again whether it is idle; `None` if it is, or is not at its end.
    fn look_again(&self, reader: &dyn PartitionReader) -> Option<Duration> {
        let since = self.at_end_since?;
        let rests = self.rests(reader).unwrap_or_default();
        // What is known comes in steps.
        let unknown = since.elapsed().saturating_sub(rests).min(LOOK_INTERVAL_MIN);
        (rests < self.idle_after).then(|| (self.idle_after - rests).max(unknown))
    }

    /// Rest begins anew when the log answers again: who publishes was perhaps kept from it as long as we were.
    fn look(&mut self, reader: &dyn PartitionReader) {
        if self.at_end_since.is_some() && reader.at_rest_until().is_none() {
            self.at_end_since = Some(Instant::now());
        }
    }
}

impl Intake {
    /// Opens a reader for each (topic, partition, offset).
    pub(crate) async fn open(
        log: &dyn TopicLog,
        positions: Vec<(Arc<str>, u32, i64)>,
        idle_ms: Vec<i64>,
    ) -> Result<Self, FlowError> {
        let mut readers = Vec::new();
        let offsets = positions.iter().map(|(_, _, offset)| *offset).collect();
        for (topic, partition, offset) in positions {
            readers.push(log.open(&topic, partition, offset).await?);
        }
        let idle = idle_ms
            .into_iter()
            .map(|ms| Idleness { idle_after: Duration::from_millis(ms.max(0) as u64), at_end_since: None })
            .collect();
        Ok(Intake { readers, positions: offsets, idle, last_round: Instant::now() })
    }

    /// The next round's slabs: at once when there is much, after `latency_max` when there is little, and nothing after
    /// `wait` when there is none.
    pub(crate) async fn next(
        &mut self,
        latency_max: Duration,
        wait: Duration,
    ) -> Result<Vec<(usize, Slab)>, FlowError> {
        for (idle, reader) in self.idle.iter_mut().zip(&self.readers) {
            idle.look(reader.as_ref());
        }
        let mut slabs = self.available().await?;
        if slabs.is_empty() {
            if self.readers.is_empty() {
                tokio::time::sleep(wait).await;
                return Ok(slabs);
            }
            let waiting = self.readers.iter_mut().map(|reader| reader.poll(SLAB_BYTES_MAX, wait).boxed());
            let (first, lane, _) = select_all(waiting).await;
            let first = first?;
            self.note(lane, &first);
            if !self.has_moved(lane, &first) {
                return Ok(Vec::new());
            }
            slabs.push((lane, first));
        }
        let bytes: usize = slabs.iter().map(|(_, slab)| slab.data.len()).sum();
        let since_last = self.last_round.elapsed();
        if bytes < ROUND_BYTES_ENOUGH && since_last < latency_max {
            tokio::time::sleep(latency_max - since_last).await;
            // A lane has at most one slab in a round, so the rest of those that have one comes in the next.
            let taken: Vec<usize> = slabs.iter().map(|(lane, _)| *lane).collect();
            slabs.extend(self.available_but(&taken).await?);
        }
        self.last_round = Instant::now();
        Ok(slabs)
    }

    async fn available(&mut self) -> Result<Vec<(usize, Slab)>, FlowError> {
        self.available_but(&[]).await
    }

    async fn available_but(&mut self, taken: &[usize]) -> Result<Vec<(usize, Slab)>, FlowError> {
        let mut slabs = Vec::new();
        for lane in 0..self.readers.len() {
            if taken.contains(&lane) {
                continue;
            }
            let slab = self.readers[lane].poll(SLAB_BYTES_MAX, Duration::ZERO).await?;
            self.note(lane, &slab);
            if self.has_moved(lane, &slab) {
                slabs.push((lane, slab));
            }
        }
        Ok(slabs)
    }

    /// Also without records: a log can have offsets that no record has, such as the ends of transactions.
    fn has_moved(&mut self, lane: usize, slab: &Slab) -> bool {
        let before = std::mem::replace(&mut self.positions[lane], slab.next_offset);
        !slab.is_empty() || slab.next_offset != before
    }

    fn note(&mut self, lane: usize, slab: &Slab) {
        let idle = &mut self.idle[lane];
        if !slab.is_empty() {
            idle.at_end_since = None;
        }
        if slab.at_end() && idle.at_end_since.is_none() {
            idle.at_end_since = Some(Instant::now());
        }
    }

    fn lanes(&self) -> impl Iterator<Item = (&Idleness, &dyn PartitionReader)> {
        self.idle.iter().zip(self.readers.iter().map(AsRef::as_ref))
    }

    /// When the next partition becomes idle, of those that are at their end and not idle yet.
    pub(crate) fn next_idle(&self) -> Option<Duration> {
        self.lanes().filter_map(|(idle, reader)| idle.look_again(reader)).min()
    }

    /// The minimum of the lanes' watermarks, idle ones left out. When all are idle: now less the delay, but never behind
    /// what was reached.
    pub(crate) fn watermark(&self, engine: &Engine) -> i64 {
        let lanes = engine.lanes();
        let active = lanes.iter().zip(self.lanes()).filter(|(_, (idle, reader))| !idle.is_idle(*reader));
        match active.map(|(lane, _)| lane.watermark_ms()).min() {
            Some(watermark) => watermark,
            None => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |now| now.as_millis() as i64);
                lanes.iter().map(|lane| now - lane.watermark.delay_ms).min().unwrap_or(i64::MIN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use log::LogError;

    use super::*;

    struct Reader(Option<Instant>);

    #[async_trait]
    impl PartitionReader for Reader {
        async fn poll(&mut self, _: usize, _: Duration) -> Result<Slab, LogError> {
            Ok(Slab::empty("events".into(), 0, 0, 0))
        }

        fn position(&self) -> i64 {
            0
        }

        fn at_rest_until(&self) -> Option<Instant> {
            self.0
        }
    }

    #[test]
    fn a_partition_rests_only_as_long_as_its_log_has_said() {
        let second = Duration::from_secs(1);
        let began = Instant::now() - 5 * second;
        let mut idle = Idleness { idle_after: 2 * second, at_end_since: Some(began) };
        // An outage began a second after the last record, and has not been noticed.
        let silent = Reader(Some(began + second));
        assert!(!idle.is_idle(&silent));
        assert_eq!(idle.look_again(&silent), Some(second));
        let answers = Reader(Some(began + 2 * second));
        assert!(idle.is_idle(&answers) && idle.look_again(&answers).is_none());
        let almost = Reader(Some(began + 2 * second - Duration::from_millis(1)));
        assert_eq!(idle.look_again(&almost), Some(LOOK_INTERVAL_MIN));
        // It has been noticed.
        idle.look(&Reader(None));
        assert!(!idle.is_idle(&Reader(Some(began + 4 * second))));
    }
}
