//! Which parcels are settled, from the first one on without a gap.

use std::collections::VecDeque;
use std::sync::Arc;

/// One record of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordId {
    pub parcel: u64,
    /// In the parcel.
    pub index: usize,
}

#[derive(Debug)]
struct OpenParcel<O> {
    left: usize,
    origin: Arc<O>,
}

/// Parcels that are not acknowledged, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Acknowledgements<O> {
    acknowledged: u64,
    open: VecDeque<OpenParcel<O>>,
}

impl<O> Acknowledgements<O> {
    pub fn new() -> Self {
        Self { acknowledged: 0, open: VecDeque::new() }
    }

    /// Takes a parcel of so many records; returns its number.
    pub fn add(&mut self, records: usize, origin: Arc<O>) -> u64 {
        let number = self.given();
        self.open.push_back(OpenParcel { left: records, origin });
        self.advance();
        number
    }

    pub fn given(&self) -> u64 {
        self.acknowledged + self.open.len() as u64
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Of a parcel with records that are not settled.
    pub fn origin(&self, parcel: u64) -> Option<Arc<O>> {
        let place = usize::try_from(parcel.checked_sub(self.acknowledged)?).ok()?;
        self.open.get(place).map(|parcel| Arc::clone(&parcel.origin))
    }

    /// Each record is settled once.
    pub fn settle(&mut self, ids: &[RecordId]) {
        for of_parcel in ids.chunk_by(|one, next| one.parcel == next.parcel) {
            let place =
                of_parcel[0].parcel.checked_sub(self.acknowledged).and_then(|place| usize::try_from(place).ok());
            if let Some(parcel) = place.and_then(|place| self.open.get_mut(place)) {
                debug_assert!(parcel.left >= of_parcel.len(), "a record was settled twice");
                parcel.left = parcel.left.saturating_sub(of_parcel.len());
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self.open.front().is_some_and(|parcel| parcel.left == 0) {
            self.open.pop_front();
            self.acknowledged += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_back_what_is_behind_it() {
        let mut parcels = Acknowledgements::new();
        let origin = Arc::new(());
        assert_eq!([2, 0, 1].map(|records| parcels.add(records, Arc::clone(&origin))), [0, 1, 2]);
        let id = |parcel, index| RecordId { parcel, index };
        parcels.settle(&[id(2, 0)]);
        assert_eq!(parcels.acknowledged(), 0);
        parcels.settle(&[id(0, 1)]);
        assert_eq!(parcels.acknowledged(), 0);
        assert!(parcels.origin(0).is_some());
        parcels.settle(&[id(0, 0)]);
        assert_eq!((parcels.acknowledged(), parcels.given()), (3, 3));
        assert_eq!(parcels.origin(0), None);
        assert_eq!(parcels.add(0, origin), 3);
        assert_eq!(parcels.acknowledged(), 4);
    }
}
