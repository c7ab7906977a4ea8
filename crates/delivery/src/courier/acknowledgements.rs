//! Which parcels are settled: each for whoever has its receipt, and all from the first one on without a gap.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One record of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordId {
    pub parcel: u64,
    /// In the parcel.
    pub index: usize,
}

/// How a record was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    DeadLettered,
}

/// What becomes of the records of one parcel, whatever becomes of those before it.
#[derive(Debug, Default)]
pub struct Receipt {
    settled: AtomicUsize,
    dead_lettered: Mutex<Vec<usize>>,
}

impl Receipt {
    /// How many records are at the sink or with the dead letters.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::Acquire)
    }

    /// Those that are with the dead letters, by their index in the parcel. As complete as [`Self::settled`] was before.
    pub fn dead_lettered(&self) -> Vec<usize> {
        self.dead_lettered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settle(&self, ids: &[RecordId], outcome: Outcome) {
        if outcome == Outcome::DeadLettered {
            let mut dead_lettered = self.dead_lettered.lock().unwrap_or_else(PoisonError::into_inner);
            dead_lettered.extend(ids.iter().map(|id| id.index));
        }
        self.settled.fetch_add(ids.len(), Ordering::Release);
    }
}

#[derive(Debug)]
struct OpenParcel<O> {
    left: usize,
    origin: Arc<O>,
    receipt: Option<Arc<Receipt>>,
}

/// Parcels with records that are not settled. One that stays long holds nothing of those behind it.
#[derive(Debug)]
pub(super) struct Acknowledgements<O> {
    given: u64,
    open: BTreeMap<u64, OpenParcel<O>>,
}

impl<O> Acknowledgements<O> {
    pub fn new() -> Self {
        Self { given: 0, open: BTreeMap::new() }
    }

    /// Takes a parcel of so many records; returns its number.
    pub fn add(&mut self, records: usize, origin: Arc<O>, receipt: Option<Arc<Receipt>>) -> u64 {
        let number = self.given;
        self.given += 1;
        if records > 0 {
            self.open.insert(number, OpenParcel { left: records, origin, receipt });
        }
        number
    }

    pub fn given(&self) -> u64 {
        self.given
    }

    pub fn acknowledged(&self) -> u64 {
        self.open.first_key_value().map_or(self.given, |(number, _)| *number)
    }

    /// Of a parcel with records that are not settled.
    pub fn origin(&self, parcel: u64) -> Option<Arc<O>> {
        self.open.get(&parcel).map(|parcel| Arc::clone(&parcel.origin))
    }

    /// Each record is settled once.
    pub fn settle(&mut self, ids: &[RecordId], outcome: Outcome) {
        for of_parcel in ids.chunk_by(|one, next| one.parcel == next.parcel) {
            let number = of_parcel[0].parcel;
            let Some(parcel) = self.open.get_mut(&number) else { continue };
            debug_assert!(parcel.left >= of_parcel.len(), "a record was settled twice");
            parcel.left = parcel.left.saturating_sub(of_parcel.len());
            if let Some(receipt) = &parcel.receipt {
                receipt.settle(of_parcel, outcome);
            }
            if parcel.left == 0 {
                self.open.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_back_the_acknowledgement_of_what_is_behind_it_and_no_receipt() {
        let mut parcels = Acknowledgements::new();
        let origins = [(); 3].map(Arc::new);
        let receipts = [(); 3].map(|()| Arc::new(Receipt::default()));
        for (number, records) in [2, 0, 2].into_iter().enumerate() {
            let (origin, receipt) = (Arc::clone(&origins[number]), Arc::clone(&receipts[number]));
            assert_eq!(parcels.add(records, origin, Some(receipt)), number as u64);
        }
        let id = |parcel, index| RecordId { parcel, index };
        parcels.settle(&[id(2, 0)], Outcome::Delivered);
        parcels.settle(&[id(2, 1)], Outcome::DeadLettered);
        assert_eq!((parcels.acknowledged(), receipts[2].settled(), receipts[2].dead_lettered()), (0, 2, vec![1]));
        assert_eq!(Arc::strong_count(&origins[2]), 1, "what is settled is not held");
        parcels.settle(&[id(0, 1)], Outcome::Delivered);
        assert_eq!((parcels.acknowledged(), receipts[0].settled()), (0, 1));
        assert!(parcels.origin(0).is_some());
        parcels.settle(&[id(0, 0)], Outcome::Delivered);
        assert_eq!((parcels.acknowledged(), parcels.given()), (3, 3));
        assert_eq!(parcels.origin(0), None);
        assert_eq!(parcels.add(0, Arc::clone(&origins[0]), None), 3);
        assert_eq!(parcels.acknowledged(), 4);
    }
}
