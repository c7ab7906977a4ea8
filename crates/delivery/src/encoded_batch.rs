//! Records in the form of a sink, one after the other in one buffer.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Where a record lies in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub partition: u32,
    pub offset: i64,
}

/// Encoded records without anything between them, so that for many sinks the bytes of a part are the body of a request.
/// Clones and parts share the buffer.
#[derive(Clone, Debug)]
pub struct EncodedBatch {
    bytes: Bytes,
    /// Where each record ends.
    ends: Arc<[usize]>,
    /// Where each record lies; empty when that is not known.
    positions: Arc<[Position]>,
    /// Records with equal keys keep their order; empty when none has to be kept.
    keys: Arc<[u64]>,
    /// The records of this part.
    part: Range<usize>,
}

/// Puts records together.
#[derive(Debug, Default)]
pub struct EncodedBatchBuilder {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    positions: Vec<Position>,
    keys: Vec<u64>,
}

impl EncodedBatch {
    pub fn len(&self) -> usize {
        self.part.len()
    }

    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    fn start_of(&self, record: usize) -> usize {
        match record.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }

    /// All records of this part.
    pub fn bytes(&self) -> Bytes {
        self.bytes.slice(self.start_of(self.part.start)..self.start_of(self.part.end))
    }

    /// In bytes.
    pub fn size(&self) -> usize {
        self.start_of(self.part.end) - self.start_of(self.part.start)
    }

    /// The record at `index` of this part. Panics if there is none.
    pub fn record(&self, index: usize) -> &[u8] {
        assert!(index < self.len(), "record {index} of {}", self.len());
        let record = self.part.start + index;
        &self.bytes[self.start_of(record)..self.ends[record]]
    }

    /// Where the record at `index` of this part lies in its topic, if its records are of a topic.
    pub fn position(&self, index: usize) -> Option<Position> {
        self.positions.get(self.part.start + index).copied().filter(|_| index < self.len())
    }

    /// What the record at `index` of this part shares with those that it has to keep its order with, if anything is known of
    /// that. For sinks that write several records at a time.
    pub fn key(&self, index: usize) -> Option<u64> {
        self.keys.get(self.part.start + index).copied().filter(|_| index < self.len())
    }

    /// The same records, which lie at these positions. Panics if there is not one for each.
    pub fn at(self, positions: Vec<Position>) -> Self {
        assert_eq!(positions.len(), self.ends.len(), "one position for each record");
        Self { positions: positions.into(), ..self }
    }

    /// How many records from `start` on have together at most `bytes_max` bytes.
    pub(crate) fn fitting(&self, start: usize, bytes_max: usize) -> usize {
        let limit = self.start_of(self.part.start + start).saturating_add(bytes_max);
        self.ends[self.part.start + start..self.part.end].partition_point(|end| *end <= limit)
    }

    /// The same records with a key for each: equal ones keep their order. Panics if there is not one for each.
    pub fn keyed(self, keys: &Arc<[u64]>) -> Self {
        assert_eq!(keys.len(), self.len(), "one key for each record");
        let keys = match self.part.start {
            0 => Arc::clone(keys),
            // Those before this part are not looked at.
            before => std::iter::repeat_n(0, before).chain(keys.iter().copied()).collect(),
        };
        Self { keys, ..self }
    }

    /// Some of the records of this part. Panics if they are not all in it.
    pub fn part(&self, records: Range<usize>) -> Self {
        assert!(records.start <= records.end && records.end <= self.len(), "{records:?} of {}", self.len());
        let part = self.part.start + records.start..self.part.start + records.end;
        Self {
            bytes: self.bytes.clone(),
            ends: Arc::clone(&self.ends),
            positions: Arc::clone(&self.positions),
            keys: Arc::clone(&self.keys),
            part,
        }
    }
}

impl EncodedBatchBuilder {
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(records), ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// In bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.end_record();
    }

    /// Adds records of another batch, with their positions if they have any. Panics if they are not all in it.
    pub fn push_from(&mut self, batch: &EncodedBatch, records: Range<usize>) {
        assert!(records.start <= records.end && records.end <= batch.len(), "{records:?} of {}", batch.len());
        let part = batch.part.start + records.start..batch.part.start + records.end;
        let (start, size) = (batch.start_of(part.start), self.bytes.len());
        self.bytes.extend_from_slice(&batch.bytes[start..batch.start_of(part.end)]);
        self.ends.extend(batch.ends[part.clone()].iter().map(|end| end - start + size));
        self.positions.extend_from_slice(batch.positions.get(part).unwrap_or_default());
    }

    /// The keys of the records that were added last, see [`EncodedBatch::key`].
    pub fn note_keys(&mut self, keys: &[u64]) {
        self.keys.extend_from_slice(keys);
    }

    /// For writing a record in place; [`Self::end_record`] says where it ends.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn end_record(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub fn finish(self) -> EncodedBatch {
        let part = 0..self.ends.len();
        // Positions of some records would be taken for those of others.
        let positions = if self.positions.len() == self.ends.len() { self.positions } else { Vec::new() };
        let keys = if self.keys.len() == self.ends.len() { self.keys } else { Vec::new() };
        EncodedBatch {
            bytes: self.bytes.into(),
            ends: self.ends.into(),
            positions: positions.into(),
            keys: keys.into(),
            part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_parts_are_the_same_records() {
        let mut builder = EncodedBatchBuilder::default();
        for record in ["a", "", "bcd", "e"] {
            builder.push(record.as_bytes());
        }
        let batch = builder.finish();
        assert_eq!((batch.len(), batch.size(), &batch.bytes()[..]), (4, 5, &b"abcde"[..]));
        let part = batch.part(1..4).part(1..3);
        assert_eq!((part.len(), &part.bytes()[..]), (2, &b"bcde"[..]));
        assert_eq!((part.record(0), part.record(1)), (&b"bcd"[..], &b"e"[..]));
        assert!(batch.part(2..2).is_empty());
        assert_eq!(part.position(0), None);
    }

    #[test]
    fn positions_go_with_their_records() {
        let mut builder = EncodedBatchBuilder::default();
        for record in ["a", "b", "c"] {
            builder.push(record.as_bytes());
        }
        let position = |offset| Position { partition: 2, offset };
        let batch = builder.finish().at(vec![position(4), position(6), position(7)]);
        let part = batch.part(1..3);
        assert_eq!(
            (part.position(0), part.position(1), part.position(2)),
            (Some(position(6)), Some(position(7)), None)
        );
        let part = part.keyed(&[8, 9].into());
        let mut builder = EncodedBatchBuilder::default();
        builder.push_from(&part, 1..2);
        builder.push_from(&part, 0..2);
        builder.note_keys(&[9, 8, 7]);
        let copy = builder.finish();
        let records: Vec<_> = (0..3).map(|index| (copy.record(index), copy.position(index))).collect();
        let at = |record: &'static [u8], offset| (record, Some(position(offset)));
        assert_eq!(records, [at(b"c", 7), at(b"b", 6), at(b"c", 7)]);
        assert_eq!([0, 2, 3].map(|index| copy.key(index)), [Some(9), Some(7), None]);
        assert_eq!((copy.part(1..3).key(0), part.key(0)), (Some(8), Some(8)));
        assert_eq!([0, 1, 2, 3].map(|bytes| part.fitting(0, bytes)), [0, 1, 2, 2]);
    }
}
