//! Slabs: the records of one partition over one byte buffer, without an allocation per record.

use std::sync::Arc;

use bytes::Bytes;

use crate::headers::Headers;

/// The length in a span that means null (no key, or a tombstone's value).
pub const NULL_SPAN: u32 = u32::MAX;

/// Records of one partition in the order of their offsets.
#[derive(Debug, Clone)]
pub struct Slab {
    pub topic: Arc<str>,
    pub partition: u32,
    pub data: Bytes,
    pub records: RecordIndex,
    /// Where reading goes on: greater than the last offset here; there may be gaps.
    pub next_offset: i64,
    /// The last stable offset when this was read. `next_offset >= end_offset` means: at the end.
    pub end_offset: i64,
}

/// Per record: offset, times, and where key, value and headers lie in the slab's data, as (start, length).
#[derive(Debug, Clone, Default)]
pub struct RecordIndex {
    pub offsets: Vec<i64>,
    pub timestamps_ms: Vec<i64>,
    /// When the log took the record. Where the log does not tell (Kafka with `CreateTime`): when it was read.
    pub append_times_ms: Vec<i64>,
    pub keys: Vec<(u32, u32)>,
    pub values: Vec<(u32, u32)>,
    /// In Kafka's encoding ([`crate::encode_headers`]); length 0 or [`NULL_SPAN`] means none.
    pub headers: Vec<(u32, u32)>,
}

impl RecordIndex {
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub fn reserve(&mut self, records: usize) {
        self.offsets.reserve(records);
        self.timestamps_ms.reserve(records);
        self.append_times_ms.reserve(records);
        self.keys.reserve(records);
        self.values.reserve(records);
        self.headers.reserve(records);
    }
}

impl Slab {
    /// No records, at `next_offset`.
    pub fn empty(topic: Arc<str>, partition: u32, next_offset: i64, end_offset: i64) -> Self {
        Self { topic, partition, data: Bytes::new(), records: RecordIndex::default(), next_offset, end_offset }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether there was nothing more to read when this was read.
    pub fn at_end(&self) -> bool {
        self.next_offset >= self.end_offset
    }

    pub fn offset(&self, record: usize) -> i64 {
        self.records.offsets[record]
    }

    pub fn timestamp_ms(&self, record: usize) -> i64 {
        self.records.timestamps_ms[record]
    }

    pub fn key(&self, record: usize) -> Option<&[u8]> {
        self.span(self.records.keys[record])
    }

    /// `None` is a tombstone.
    pub fn value(&self, record: usize) -> Option<&[u8]> {
        self.span(self.records.values[record])
    }

    pub fn headers(&self, record: usize) -> Headers<'_> {
        Headers::new(self.span(self.records.headers[record]).unwrap_or(&[]))
    }

    /// The value of a record's header; of several with this name the last, as Kafka's clients have it.
    pub fn header(&self, record: usize, name: &str) -> Option<&[u8]> {
        self.headers(record).filter(|(header, _)| *header == name).last().map(|(_, value)| value)
    }

    /// The key as a buffer of its own that shares this slab's memory.
    pub fn key_bytes(&self, record: usize) -> Option<Bytes> {
        self.key(record).map(|key| self.data.slice_ref(key))
    }

    /// The value as a buffer of its own that shares this slab's memory.
    pub fn value_bytes(&self, record: usize) -> Option<Bytes> {
        self.value(record).map(|value| self.data.slice_ref(value))
    }

    #[inline]
    fn span(&self, (start, length): (u32, u32)) -> Option<&[u8]> {
        if length == NULL_SPAN {
            return None;
        }
        Some(&self.data[start as usize..start as usize + length as usize])
    }
}
