//! Where in time the last writes of a measurement were, so that a follower reads only what changed.
//!
//! Every point carries the sequence number of its last write. The log says which stretch of time each of the last
//! writes touched; of older ones it knows a rougher stretch, never none. So following is exact however far back it
//! starts, only slower, and costs a fixed amount of memory.

use std::collections::VecDeque;

use crate::TimeRange;

/// Writes remembered apart, for each measurement that was written since the start.
const WRITES_MAX: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Of the last write in it.
    sequence: u64,
    first: i64,
    last: i64,
}

#[derive(Debug)]
pub(crate) struct ChangeLog {
    stretches: VecDeque<Stretch>,
}

impl ChangeLog {
    /// `sequence` is that of the last write before this process.
    pub(crate) fn starting_after(sequence: u64) -> Self {
        let before = Stretch { sequence, first: i64::MIN, last: i64::MAX };
        Self { stretches: VecDeque::from([before]) }
    }

    /// Notes a write of points from `first` to `last`, both included.
    pub(crate) fn push(&mut self, sequence: u64, first: i64, last: i64) {
        self.stretches.push_back(Stretch { sequence, first, last });
        if self.stretches.len() > WRITES_MAX {
            // The first one is everything before this process; the next two become one.
            if let Some(older) = self.stretches.remove(1)
                && let Some(newer) = self.stretches.get_mut(1)
            {
                newer.first = newer.first.min(older.first);
                newer.last = newer.last.max(older.last);
            }
        }
    }

    /// Stretches of time that hold every point written after `sequence`: disjoint and ascending.
    pub(crate) fn ranges_since(&self, sequence: u64) -> Vec<TimeRange> {
        let mut touched: Vec<Stretch> =
            self.stretches.iter().filter(|stretch| stretch.sequence > sequence).copied().collect();
        touched.sort_unstable_by_key(|stretch| stretch.first);
        let mut merged: Vec<Stretch> = Vec::new();
        for stretch in touched {
            match merged.last_mut() {
                Some(last) if stretch.first <= last.last => last.last = last.last.max(stretch.last),
                _ => merged.push(stretch),
            }
        }
        merged
            .into_iter()
            .map(|stretch| TimeRange { start: Some(stretch.first), end: stretch.last.checked_add(1) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_touched_since() {
        let mut log = ChangeLog::starting_after(10);
        log.push(11, 100, 200);
        log.push(12, 150, 300);
        log.push(13, 500, 500);
        assert_eq!(log.ranges_since(10), [TimeRange::new(100, 301), TimeRange::new(500, 501)]);
        assert_eq!(log.ranges_since(12), [TimeRange::new(500, 501)]);
        assert_eq!(log.ranges_since(13), []);
        assert_eq!(log.ranges_since(9), [TimeRange { start: Some(i64::MIN), end: None }]);
    }

    #[test]
    fn forgotten_writes_are_still_within_what_is_returned() {
        let mut log = ChangeLog::starting_after(0);
        for sequence in 1..=10_000u64 {
            log.push(sequence, sequence as i64 * 10, sequence as i64 * 10 + 5);
        }
        assert!(log.stretches.len() <= WRITES_MAX);
        for since in [0, 1, 5_000, 9_990] {
            let ranges = log.ranges_since(since);
            for sequence in since + 1..=10_000 {
                let time = sequence as i64 * 10;
                assert!(
                    ranges.iter().any(|range| range.start.is_some_and(|start| start <= time)
                        && range.end.is_none_or(|end| time + 5 < end)),
                    "write {sequence} is outside {ranges:?}"
                );
            }
        }
        assert_eq!(log.ranges_since(9_999), [TimeRange::new(100_000, 100_006)]);
    }
}
