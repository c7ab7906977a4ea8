//! What is to happen when: a calendar of seconds in front of a small heap, which is much faster than one
//! heap over everything that is planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SECOND_MS: i64 = 1_000;
/// How far ahead anything can be planned.
pub(crate) const AHEAD_SECONDS_MAX: usize = 4_096;

/// Plans of items that have at most one plan each, taken in the order of time, then of item.
pub(crate) struct Agenda<Step> {
    /// The plans of the current second and of seconds past.
    near: BinaryHeap<Reverse<(i64, u32, Step)>>,
    seconds: Vec<Vec<(i64, u32, Step)>>,
    /// The end of the seconds whose plans are in `near`.
    near_end_ms: i64,
}

impl<Step: Ord + Copy> Agenda<Step> {
    /// Nothing is planned; nothing will be planned before `start_ms`.
    pub(crate) fn new(start_ms: i64) -> Self {
        Self {
            near: BinaryHeap::new(),
            seconds: (0..AHEAD_SECONDS_MAX).map(|_| Vec::new()).collect(),
            near_end_ms: start_ms.div_euclid(SECOND_MS) * SECOND_MS,
        }
    }

    /// Plans a step. What is further ahead than the agenda goes is taken at the agenda's end.
    pub(crate) fn plan(&mut self, ms: i64, item: u32, step: Step) {
        if ms < self.near_end_ms {
            self.near.push(Reverse((ms, item, step)));
            return;
        }
        let ms = ms.min(self.near_end_ms + (AHEAD_SECONDS_MAX as i64 - 1) * SECOND_MS);
        self.seconds[second_of(ms)].push((ms, item, step));
    }

    /// Takes the first plan before `end_ms`.
    pub(crate) fn take(&mut self, end_ms: i64) -> Option<(i64, u32, Step)> {
        loop {
            if let Some(Reverse((ms, _, _))) = self.near.peek() {
                return if *ms < end_ms { self.near.pop().map(|Reverse(plan)| plan) } else { None };
            }
            if self.near_end_ms >= end_ms {
                return None;
            }
            let plans = std::mem::take(&mut self.seconds[second_of(self.near_end_ms)]);
            self.near.extend(plans.into_iter().map(Reverse));
            self.near_end_ms += SECOND_MS;
        }
    }
}

fn second_of(ms: i64) -> usize {
    ms.div_euclid(SECOND_MS).rem_euclid(AHEAD_SECONDS_MAX as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use crate::dice::Dice;

    /// Against a sorted list, with steps that plan further steps, as bookings do.
    #[test]
    fn plans_are_taken_in_order() {
        let mut dice = Dice::new(7, 0);
        let mut agenda = Agenda::new(1_000_000);
        for item in 0..500 {
            agenda.plan(1_000_000 + dice.ms(0, 3_000_000), item, 0_u8);
        }
        let (mut taken, mut last) = (0, (0, 0, 0));
        for end_ms in (1_000_000..9_000_000).step_by(16) {
            while let Some(plan) = agenda.take(end_ms) {
                assert!(plan.0 < end_ms && plan.0 >= end_ms - 16, "{plan:?} at {end_ms}");
                assert!(plan > last, "{plan:?} after {last:?}");
                last = plan;
                taken += 1;
                if plan.2 < 3 {
                    agenda.plan(plan.0 + dice.ms(1, 1_500_000), plan.1, plan.2 + 1);
                }
            }
        }
        assert_eq!(taken, 500 * 4);
    }
}
