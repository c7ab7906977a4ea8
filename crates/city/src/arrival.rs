//! Puts records from the order of their events into the order in which they reach their topics.
//!
//! Ordinary records wait in a wheel of short slots, each with one byte buffer, so that nothing is allocated
//! per record. The few late ones, which wait far longer, are kept apart in a heap: they would make the
//! wheel long and its buffers many.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::batch::{CityBatch, CityRecord};
use crate::options::OUT_OF_ORDER_MS_MAX;

/// Length of a slot of the wheel, and so of one step of the simulation.
pub(crate) const SLOT_MS: i64 = 16;
const SLOTS: usize = 512;
const _: () = assert!(SLOTS as i64 * SLOT_MS > OUT_OF_ORDER_MS_MAX + SLOT_MS, "the wheel holds every ordinary delay");

#[derive(Default)]
struct Slot {
    bytes: Vec<u8>,
    records: Vec<CityRecord>,
}

/// A late record with its own bytes. Ordered by arrival, then by the order of being put in.
struct Late {
    sequence: u64,
    record: CityRecord,
    bytes: Box<[u8]>,
}

impl Late {
    fn rank(&self) -> (i64, u64) {
        (self.record.timestamp_ms, self.sequence)
    }
}

impl PartialEq for Late {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// Records under way to their topics.
pub(crate) struct Arrivals {
    slots: Vec<Slot>,
    late: BinaryHeap<Reverse<Late>>,
    late_count: u64,
    /// Start of the slot that is being filled or emptied.
    slot_start_ms: i64,
    /// How much of that slot has been handed out; `None` while it is still being filled.
    handed_out: Option<usize>,
}

impl Arrivals {
    pub(crate) fn new(start_ms: i64) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            late: BinaryHeap::new(),
            late_count: 0,
            slot_start_ms: start_ms,
            handed_out: None,
        }
    }

    pub(crate) fn slot_start_ms(&self) -> i64 {
        self.slot_start_ms
    }

    /// Whether events of the current slot may still be added.
    pub(crate) fn is_filling(&self) -> bool {
        self.handed_out.is_none()
    }

    /// Adds a record whose key and value are side by side in `bytes`. It must not arrive before the current slot.
    pub(crate) fn add(&mut self, record: CityRecord, bytes: &[u8]) {
        debug_assert!(record.timestamp_ms >= self.slot_start_ms);
        if record.timestamp_ms >= self.slot_start_ms + SLOTS as i64 * SLOT_MS {
            self.late_count += 1;
            self.late.push(Reverse(Late { sequence: self.late_count, record, bytes: bytes.into() }));
            return;
        }
        self.add_to_wheel(record, bytes);
    }

    fn add_to_wheel(&mut self, record: CityRecord, bytes: &[u8]) {
        let slot = &mut self.slots[slot_of(record.timestamp_ms)];
        let start = slot.bytes.len() as u32;
        slot.bytes.extend_from_slice(bytes);
        slot.records.push(CityRecord { start, ..record });
    }

    /// Ends the filling of the current slot: no event of this slot comes any more.
    pub(crate) fn seal(&mut self) {
        let end_ms = self.slot_start_ms + SLOT_MS;
        while self.late.peek().is_some_and(|Reverse(late)| late.record.timestamp_ms < end_ms) {
            if let Some(Reverse(late)) = self.late.pop() {
                self.add_to_wheel(late.record, &late.bytes);
            }
        }
        // `start` grows in the order of being added, which makes the order total.
        let slot = &mut self.slots[slot_of(self.slot_start_ms)];
        slot.records.sort_unstable_by_key(|record| (record.timestamp_ms, record.start));
        self.handed_out = Some(0);
    }

    /// Moves records that arrive before `until_ms` from the sealed slot to the batch, up to `records_max` in
    /// the batch. Returns whether the slot is used up and the next one is current.
    pub(crate) fn hand_out(&mut self, batch: &mut CityBatch, until_ms: i64, records_max: usize) -> bool {
        let slot = &mut self.slots[slot_of(self.slot_start_ms)];
        let mut next = self.handed_out.unwrap_or(0);
        while let Some(record) = slot.records.get(next) {
            if batch.records.len() >= records_max || record.timestamp_ms >= until_ms {
                self.handed_out = Some(next);
                return false;
            }
            batch.push(*record, &slot.bytes[record.key_range().start..record.value_range().end]);
            next += 1;
        }
        slot.records.clear();
        slot.bytes.clear();
        self.slot_start_ms += SLOT_MS;
        self.handed_out = None;
        true
    }
}

fn slot_of(arrival_ms: i64) -> usize {
    arrival_ms.div_euclid(SLOT_MS).rem_euclid(SLOTS as i64) as usize
}
