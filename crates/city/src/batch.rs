//! Records on their way out: one byte buffer and, per record, the ranges of its key and value.

use std::ops::Range;

use crate::breakage::BrokenKind;

/// One record of a [`CityBatch`]. Its key and value are in the batch's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CityRecord {
    /// Place of the record's topic in [`crate::topics`].
    pub topic: usize,
    /// When the record reaches its topic, in milliseconds since 1970. Never less than that of the record before.
    pub timestamp_ms: i64,
    /// When the event happened, in milliseconds since 1970. A broken record may say something else.
    pub event_ms: i64,
    /// What is wrong with the record, if anything.
    pub broken: Option<BrokenKind>,
    pub(crate) start: u32,
    pub(crate) key_bytes: u16,
    pub(crate) value_bytes: u16,
}

impl CityRecord {
    /// Where the key is in the batch's buffer.
    pub fn key_range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + usize::from(self.key_bytes)
    }

    /// Where the value is in the batch's buffer.
    pub fn value_range(&self) -> Range<usize> {
        let start = self.start as usize + usize::from(self.key_bytes);
        start..start + usize::from(self.value_bytes)
    }
}

/// Records in the order in which they reach their topics. Made to be filled again and again, so that nothing
/// is allocated per record.
#[derive(Debug, Default)]
pub struct CityBatch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<CityRecord>,
}

impl CityBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records, ordered by `timestamp_ms`.
    pub fn records(&self) -> &[CityRecord] {
        &self.records
    }

    /// The buffer that the ranges of the records point into.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record's key, as it is partitioned by.
    pub fn key(&self, record: &CityRecord) -> &[u8] {
        &self.bytes[record.key_range()]
    }

    /// The record's protobuf message.
    pub fn value(&self, record: &CityRecord) -> &[u8] {
        &self.bytes[record.value_range()]
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Adds a record whose key and value are side by side in `bytes`.
    pub(crate) fn push(&mut self, record: CityRecord, bytes: &[u8]) {
        let start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(bytes);
        self.records.push(CityRecord { start, ..record });
    }
}
