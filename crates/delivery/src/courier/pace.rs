//! How often the sink may be called: so many records and calls a second, and one call at a time while it keeps failing.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Turns at even distances: nothing that was not used before is made up for. This is GCRA (ITU-T I.371) without a burst.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<NonZeroU32>,
    next: Instant,
}

impl Pace {
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        Self { per_second, next: Instant::now() }
    }

    /// When it is the turn of so many more.
    pub fn reserve(&mut self, amount: usize, now: Instant) -> Instant {
        let Some(per_second) = self.per_second else { return now };
        let turn = self.next.max(now);
        self.next = turn + Duration::from_secs_f64(amount as f64 / f64::from(per_second.get()));
        turn
    }
}

/// Counts calls that fail one after the other.
#[derive(Debug)]
pub(super) struct Breaker {
    break_after: Option<NonZeroU32>,
    failed_in_a_row: u32,
}

impl Breaker {
    pub fn new(break_after: Option<NonZeroU32>) -> Self {
        Self { break_after, failed_in_a_row: 0 }
    }

    pub fn is_open(&self) -> bool {
        self.break_after.is_some_and(|limit| self.failed_in_a_row >= limit.get())
    }

    pub fn failed_in_a_row(&self) -> u32 {
        self.failed_in_a_row
    }

    pub fn note_failed(&mut self) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
    }

    pub fn note_answered(&mut self) {
        self.failed_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_at_the_pace_and_nothing_is_made_up_for() {
        let now = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(100));
        assert!(pace.reserve(50, now) >= now);
        let first = pace.next;
        assert_eq!(pace.reserve(10, now), first);
        assert_eq!(pace.reserve(1, now), first + Duration::from_millis(100));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.reserve(1, later), later);
        assert_eq!(pace.reserve(1, later), later + Duration::from_millis(10));
        assert_eq!(Pace::new(None).reserve(1_000_000, later), later);
    }

    #[test]
    fn an_answer_closes_it() {
        let mut breaker = Breaker::new(NonZeroU32::new(3));
        for failed in 1..=5 {
            breaker.note_failed();
            assert_eq!(breaker.is_open(), failed >= 3);
        }
        breaker.note_answered();
        assert!(!breaker.is_open());
        let mut never = Breaker::new(None);
        (0..100).for_each(|_| never.note_failed());
        assert!(!never.is_open());
    }
}
