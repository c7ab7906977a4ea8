//! Which segments have had their time. Whole segments go, oldest first, never the one that is written to.

use std::sync::Arc;

use super::disk::sync_dir;
use super::partition::{Partition, Standing};
use crate::error::LogError;
use crate::topic::TopicConfig;

/// A segment is closed when its first record has used up this part of the retention time, so that records stay at
/// most that much longer than asked.
const SEGMENT_AGE_DIVISOR: i64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SegmentAge {
    bytes: u64,
    /// Times of the first and the last append.
    append_times_ms: Option<(i64, i64)>,
}

/// How many of the oldest segments are to go. `segments` are all of a partition, in order.
fn expired(segments: &[SegmentAge], config: &TopicConfig, now_ms: i64) -> usize {
    let Some((_, closed)) = segments.split_last() else { return 0 };
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let too_old = |segment: &SegmentAge| match (config.retention_ms, segment.append_times_ms) {
        (Some(retention_ms), Some((_, last))) => now_ms.saturating_sub(last) > retention_ms,
        _ => false,
    };
    let mut count = 0;
    for segment in closed {
        let left = bytes - segment.bytes;
        let too_much = config.retention_bytes.is_some_and(|limit| left >= limit);
        if !too_much && !too_old(segment) {
            break;
        }
        bytes = left;
        count += 1;
    }
    count
}

/// Whether the segment that is written to shall be closed so that it can go in time.
fn is_aged(segment: &SegmentAge, config: &TopicConfig, now_ms: i64) -> bool {
    match (config.retention_ms, segment.append_times_ms) {
        (Some(retention_ms), Some((first, _))) => {
            now_ms.saturating_sub(first) > (retention_ms / SEGMENT_AGE_DIVISOR).max(1)
        }
        _ => false,
    }
}

impl Partition {
    /// Closes the last segment if it is old, and removes what has expired.
    pub fn enforce_retention(self: &Arc<Self>) -> Result<(), LogError> {
        let now_ms = self.shared.clock.now_ms();
        let last = self.segments().last().map(|segment| (segment.is_sealed(), age(segment)));
        if let Some((false, age)) = last
            && is_aged(&age, &self.config, now_ms)
        {
            self.roll_for_retention()?;
        }
        self.remove_expired();
        Ok(())
    }

    /// Removes what has expired. What cannot be removed now is removed later.
    pub fn remove_expired(&self) {
        let _removal = self.removal.lock();
        if self.bounds().standing != Standing::Open {
            return;
        }
        let now_ms = self.shared.clock.now_ms();
        let ages: Vec<SegmentAge> = self.segments().iter().map(|segment| age(segment)).collect();
        let count = expired(&ages, &self.config, now_ms);
        if count == 0 {
            return;
        }
        let removed = self.take_oldest_segments(count);
        if let Some(first) = self.segments().first() {
            self.publish_start(first.base_offset);
        }
        for segment in &removed {
            // Oldest first: whatever a crash leaves is again a row without a hole.
            let gone = std::fs::remove_file(segment.path());
            let _ = std::fs::remove_file(segment.index_path()); // may not be there; the next start removes it
            if let Err(error) = gone {
                tracing::warn!(topic = %self.topic, partition = self.id, segment = segment.file_name(), %error, "an expired segment stays until the next start");
                break;
            }
        }
        if let Err(error) = sync_dir(&self.dir) {
            tracing::warn!(%error, "expired segments may be back after a crash");
        }
    }
}

fn age(segment: &super::segment::Segment) -> SegmentAge {
    let index = segment.index();
    SegmentAge { bytes: index.bytes, append_times_ms: index.append_times_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(ages: &[(u64, i64)]) -> Vec<SegmentAge> {
        ages.iter().map(|&(bytes, last)| SegmentAge { bytes, append_times_ms: Some((last - 5, last)) }).collect()
    }

    fn config(retention_ms: Option<i64>, retention_bytes: Option<u64>) -> TopicConfig {
        TopicConfig { retention_ms, retention_bytes, ..TopicConfig::default() }
    }

    #[test]
    fn time_counts_from_the_last_append_of_a_segment() {
        let row = segments(&[(1, 100), (1, 200), (1, 300)]);
        let by_time = config(Some(50), None);
        assert_eq!([150, 151, 250, 251, 9_999].map(|now| expired(&row, &by_time, now)), [0, 1, 1, 2, 2]);
        assert_eq!(expired(&row, &config(None, None), i64::MAX), 0);
        assert_eq!(expired(&[], &by_time, 9_999), 0);
    }

    #[test]
    fn size_keeps_at_least_what_was_asked() {
        let row = segments(&[(10, 1), (10, 2), (10, 3), (4, 4)]);
        let kept = |limit| row.len() - expired(&row, &config(None, Some(limit)), 5);
        assert_eq!([1, 4, 5, 14, 15, 24, 25, 34, 100].map(kept), [1, 1, 2, 2, 3, 3, 4, 4, 4]);
    }

    #[test]
    fn a_young_segment_holds_back_those_behind_it() {
        let row = segments(&[(1, 900), (1, 100), (1, 950)]);
        assert_eq!(expired(&row, &config(Some(500), None), 1_000), 0);
    }

    #[test]
    fn the_open_segment_ages_with_its_first_record() {
        let young = SegmentAge { bytes: 1, append_times_ms: Some((1_000, 5_000)) };
        let by_time = config(Some(800), None);
        assert!(!is_aged(&young, &by_time, 1_100));
        assert!(is_aged(&young, &by_time, 1_101));
        assert!(!is_aged(&SegmentAge { append_times_ms: None, ..young }, &by_time, i64::MAX));
        assert!(!is_aged(&young, &config(None, None), i64::MAX));
    }
}
