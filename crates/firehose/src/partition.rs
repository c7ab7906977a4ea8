//! One partition: where it is read, what of it is on its way, and what is settled from its position on without a gap.

use std::collections::VecDeque;
use std::sync::Arc;

use delivery::{Ledger, Receipt};
use log::PartitionReader;

use crate::PartitionPosition;

/// What a stretch takes besides the bytes of its records, so that their number is bounded too.
const STRETCH_BYTES: usize = 1 << 10;
/// How much a partition may hold of what is free, times this: one that cannot get on leaves room for others, and k of those
/// leave 1 / (1 + 4k). (Choudhury and Hahne, "Dynamic Queue Length Thresholds", 1998.)
const SHARE_OF_FREE: usize = 4;

pub(crate) struct Partition {
    pub number: u32,
    /// Opened when it is read from.
    pub reader: Option<Box<dyn PartitionReader>>,
    /// What the store has.
    pub committed: PartitionPosition,
    /// What it can be given: all before it is settled.
    pub settled: PartitionPosition,
    pub read_position: i64,
    pub end: i64,
    /// It is not read from here on.
    pub limit: Option<i64>,
    stretches: VecDeque<Stretch>,
    held_bytes: usize,
}

/// Neighbouring records on their way.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub next_offset: i64,
    pub bytes: usize,
    /// Without what the courier has.
    pub ledger: Ledger,
    pub given: Option<Given>,
}

/// What the courier has of a stretch.
#[derive(Debug)]
pub(crate) struct Given {
    pub receipt: Arc<Receipt>,
    /// The record of the slab that each encoded one is of. A record may be encoded as several.
    pub numbers: Arc<[u32]>,
    /// Records of the topic.
    pub records: u64,
    pub times: SampledTimes,
}

/// Timestamps of some records, and how many records each stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampledTimes {
    pub timestamps_ms: Vec<i64>,
    pub weight: u64,
}

impl Given {
    fn is_settled(&self) -> bool {
        self.receipt.settled() >= self.numbers.len()
    }

    /// How many records are with the dead letters: those of which anything is there.
    fn dead_lettered(&self) -> u64 {
        let indexes = self.receipt.dead_lettered();
        let mut numbers: Vec<u32> = indexes.iter().filter_map(|index| self.numbers.get(*index).copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() as u64
    }
}

impl Partition {
    pub fn at(position: PartitionPosition, end: i64) -> Self {
        Self {
            number: position.partition,
            reader: None,
            read_position: position.next_offset,
            settled: position.clone(),
            committed: position,
            end,
            limit: None,
            stretches: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Forgets what is on its way, and reads from the committed position again.
    pub fn rewind(&mut self) {
        self.reader = None;
        self.read_position = self.committed.next_offset;
        self.settled = self.committed.clone();
        self.stretches.clear();
        self.held_bytes = 0;
    }

    pub fn is_drained(&self) -> bool {
        self.stretches.is_empty()
    }

    pub fn has_reached_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.read_position >= limit)
    }

    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// One with nothing on its way may always read a little.
    pub fn has_room(&self, free_bytes: usize) -> bool {
        self.held_bytes < free_bytes.saturating_mul(SHARE_OF_FREE).max(1)
    }

    /// Records with the courier.
    pub fn held(&self) -> u64 {
        self.stretches.iter().filter_map(|stretch| stretch.given.as_ref()).map(|given| given.records).sum()
    }

    pub fn push(&mut self, mut stretch: Stretch) {
        stretch.bytes += STRETCH_BYTES;
        self.held_bytes += stretch.bytes;
        self.stretches.push_back(stretch);
    }

    /// Takes in what was settled; `told` is given the times of what the sink has taken since.
    pub fn settle(&mut self, mut told: impl FnMut(&SampledTimes)) {
        for stretch in &mut self.stretches {
            if let Some(given) = stretch.given.take_if(|given| given.is_settled()) {
                let dead_lettered = given.dead_lettered();
                stretch.ledger.dead_lettered += dead_lettered;
                stretch.ledger.delivered += given.records.saturating_sub(dead_lettered);
                told(&given.times);
            }
        }
        while let Some(stretch) = self.stretches.pop_front_if(|stretch| stretch.given.is_none()) {
            self.settled.next_offset = stretch.next_offset;
            self.settled.ledger.add(&stretch.ledger);
            self.held_bytes = self.held_bytes.saturating_sub(stretch.bytes);
        }
    }

    /// Of all that was read.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.settled.ledger;
        for stretch in &self.stretches {
            ledger.add(&stretch.ledger);
            ledger.held += stretch.given.as_ref().map_or(0, |given| given.records);
        }
        ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(next_offset: i64, records: u64) -> Stretch {
        let ledger = Ledger { consumed: records, ..Ledger::default() };
        let given = Given {
            receipt: Arc::default(),
            numbers: (0..records as u32).collect(),
            records,
            times: SampledTimes::default(),
        };
        Stretch { next_offset, bytes: 100, ledger, given: Some(given) }
    }

    #[test]
    fn what_is_settled_behind_a_gap_is_counted_and_not_committed() {
        let start = PartitionPosition { partition: 3, next_offset: 10, ledger: Ledger::default(), lost_unread: 0 };
        let mut partition = Partition::at(start, 100);
        partition.push(stretch(15, 5));
        let none = Stretch { given: None, ..stretch(20, 5) };
        partition.push(Stretch { ledger: Ledger { consumed: 5, filtered: 5, ..Ledger::default() }, ..none });
        partition.settle(|_| panic!("nothing is at the sink"));
        assert_eq!((partition.settled.next_offset, partition.settled.ledger.consumed), (10, 0));
        let ledger = partition.ledger();
        assert!(ledger.balances() && (ledger.consumed, ledger.held, ledger.filtered) == (10, 5, 5), "{ledger:?}");
        // As if the courier had settled them.
        for stretch in &mut partition.stretches {
            if let Some(given) = &mut stretch.given {
                given.numbers = Arc::default();
            }
        }
        partition.settle(|_| ());
        assert_eq!((partition.settled.next_offset, partition.held_bytes()), (20, 0));
        let ledger = partition.settled.ledger;
        assert!(ledger.balances() && (ledger.delivered, ledger.filtered) == (5, 5), "{ledger:?}");
        assert_eq!(partition.ledger(), ledger);
    }

    #[test]
    fn a_partition_that_cannot_get_on_leaves_room() {
        let start =
            |partition| PartitionPosition { partition, next_offset: 0, ledger: Ledger::default(), lost_unread: 0 };
        let (budget, mut held) = (1_000_000, 0);
        let mut partitions: Vec<Partition> = (0..4).map(|number| Partition::at(start(number), 0)).collect();
        for partition in &mut partitions {
            let before = held;
            while partition.has_room(budget - held) {
                partition.push(stretch(0, 0));
                held = before + partition.held_bytes();
            }
            assert!(held > before && held < budget, "{held}");
        }
    }
}
