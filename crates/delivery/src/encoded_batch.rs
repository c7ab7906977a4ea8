//! Records in the form of a sink, one after the other in one buffer.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Encoded records without anything between them, so that for many sinks the bytes of a part are the body of a request.
/// Clones and parts share the buffer.
#[derive(Clone, Debug)]
pub struct EncodedBatch {
    bytes: Bytes,
    /// Where each record ends.
    ends: Arc<[usize]>,
    /// The records of this part.
    part: Range<usize>,
}

/// Puts records together.
#[derive(Debug, Default)]
pub struct EncodedBatchBuilder {
    bytes: Vec<u8>,
    ends: Vec<usize>,
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

    /// Some of the records of this part. Panics if they are not all in it.
    pub fn part(&self, records: Range<usize>) -> Self {
        assert!(records.start <= records.end && records.end <= self.len(), "{records:?} of {}", self.len());
        let part = self.part.start + records.start..self.part.start + records.end;
        Self { bytes: self.bytes.clone(), ends: Arc::clone(&self.ends), part }
    }
}

impl EncodedBatchBuilder {
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(records) }
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

    /// For writing a record in place; [`Self::end_record`] says where it ends.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn end_record(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub fn finish(self) -> EncodedBatch {
        let part = 0..self.ends.len();
        EncodedBatch { bytes: self.bytes.into(), ends: self.ends.into(), part }
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
    }
}
