//! The ledger: every record that a dagger (or firehose) consumed is counted in exactly one cell.
//!
//! Counted at the input, per (dagger, stream, topic, partition), no cell computed from the others, so that
//! [`Ledger::balances`] is a check and not a tautology. Who counts decides by the first cell that matches:
//! dead-lettered, filtered, late, held, delivered.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Numbers of records. `held` is a level (records in open state now), all others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// Records read.
    pub consumed: u64,
    /// The first window of the record, or its row, has been handed to the sink.
    pub delivered: u64,
    /// No branch's WHERE or UNNEST let it through before the first stateful operator.
    pub filtered: u64,
    /// Late for every window, session or join side that it belongs to.
    pub late: u64,
    /// Undecodable, without event time, or an expression on it failed; also when it is skipped and not kept.
    pub dead_lettered: u64,
    /// In open state; 0 after a bounded run.
    pub held: u64,
    /// Of `late`: late only because its partition had been idle.
    pub late_after_idle: u64,
    /// Windows missed by records that other windows still took: outside the sum.
    pub late_windows: u64,
    /// Enum values without a name, shown as their number: outside the sum.
    pub unknown_enums: u64,
}

impl Ledger {
    /// Adds the cells of another partition, stream or period.
    pub fn add(&mut self, other: &Self) {
        self.consumed += other.consumed;
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.late += other.late;
        self.dead_lettered += other.dead_lettered;
        self.held += other.held;
        self.late_after_idle += other.late_after_idle;
        self.late_windows += other.late_windows;
        self.unknown_enums += other.unknown_enums;
    }

    /// Whether every record consumed is in exactly one cell.
    pub fn balances(&self) -> bool {
        let cells = [self.delivered, self.filtered, self.late, self.dead_lettered, self.held];
        cells.iter().try_fold(0u64, |sum, cell| sum.checked_add(*cell)) == Some(self.consumed)
            && self.late_after_idle <= self.late
    }
}

impl AddAssign<&Ledger> for Ledger {
    fn add_assign(&mut self, other: &Ledger) {
        self.add(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Ledger {
        Ledger {
            consumed: 100,
            delivered: 50,
            filtered: 30,
            late: 10,
            dead_lettered: 7,
            held: 3,
            late_after_idle: 4,
            late_windows: 200,
            unknown_enums: 9,
        }
    }

    #[test]
    fn balances_only_when_every_record_is_in_one_cell() {
        assert!(Ledger::default().balances());
        assert!(sample().balances());
        for change in [
            |ledger: &mut Ledger| ledger.consumed += 1,
            |ledger: &mut Ledger| ledger.delivered += 1,
            |ledger: &mut Ledger| ledger.filtered -= 1,
            |ledger: &mut Ledger| ledger.late -= 1,
            |ledger: &mut Ledger| ledger.dead_lettered += 1,
            |ledger: &mut Ledger| ledger.held += 1,
            |ledger: &mut Ledger| ledger.late_after_idle = 11,
            |ledger: &mut Ledger| ledger.delivered = u64::MAX,
        ] {
            let mut ledger = sample();
            change(&mut ledger);
            assert!(!ledger.balances(), "{ledger:?}");
        }
    }

    #[test]
    fn adds_every_cell() {
        let mut sum = sample();
        sum += &sample();
        let doubled = Ledger {
            consumed: 200,
            delivered: 100,
            filtered: 60,
            late: 20,
            dead_lettered: 14,
            held: 6,
            late_after_idle: 8,
            late_windows: 400,
            unknown_enums: 18,
        };
        assert_eq!(sum, doubled);
        assert!(sum.balances());
    }

    #[test]
    fn json_keeps_every_cell_and_takes_older_ones_without_new_cells() {
        let text = serde_json::to_string(&sample()).expect("a ledger is JSON");
        assert_eq!(serde_json::from_str::<Ledger>(&text).expect("reads back"), sample());
        let older: Ledger = serde_json::from_str(r#"{"consumed":2,"delivered":2}"#).expect("reads");
        assert_eq!(older, Ledger { consumed: 2, delivered: 2, ..Ledger::default() });
    }
}
