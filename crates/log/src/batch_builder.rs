//! Records for one partition, gathered in two buffers without an allocation per record.
//!
//! What is in the buffers is what goes to disk (see `embedded/batch.rs`): a table with one entry of fixed size per
//! record, and the bytes of keys, values and headers one after the other.

use crate::error::LogError;
use crate::headers::encode_headers;
use crate::limits::*;
use crate::slab::NULL_SPAN;

/// Bytes of one record's entry: timestamp (8), then the lengths of key, value and headers (4 each), little endian.
pub(crate) const ENTRY_BYTES: usize = 20;
pub(crate) type Entry = [u8; ENTRY_BYTES];

/// Fill it, append it, [`clear`](Self::clear) it, fill it again.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    entries: Vec<Entry>,
    data: Vec<u8>,
    min_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    pub fn new() -> Self {
        Self::with_capacity(0, 0)
    }

    pub fn with_capacity(records: usize, data_bytes: usize) -> Self {
        Self {
            entries: Vec::with_capacity(records),
            data: Vec::with_capacity(data_bytes),
            min_timestamp_ms: i64::MAX,
            max_timestamp_ms: i64::MIN,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that this takes in the log, without the header of the batch.
    pub fn bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES + self.data.len()
    }

    /// Whether a record with `payload_bytes` (key, value and headers) still has room.
    pub fn has_room_for(&self, payload_bytes: usize) -> bool {
        self.entries.len() < BATCH_RECORDS_MAX && self.bytes() + ENTRY_BYTES + payload_bytes <= BATCH_BYTES_MAX
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.data.clear();
        self.min_timestamp_ms = i64::MAX;
        self.max_timestamp_ms = i64::MIN;
    }

    /// Adds a record without headers. On an error nothing was added.
    #[inline]
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), LogError> {
        let start = self.data.len();
        let key_bytes = self.put(key);
        let value_bytes = self.put(value);
        self.finish_record(start, timestamp_ms, key_bytes, value_bytes, 0)
    }

    /// Adds a record. On an error nothing was added.
    pub fn push_with_headers<'h>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<(), LogError> {
        if headers.len() > HEADERS_COUNT_MAX {
            return self.refuse(format!("it has {} headers, at most {HEADERS_COUNT_MAX} are allowed", headers.len()));
        }
        let start = self.data.len();
        let key_bytes = self.put(key);
        let value_bytes = self.put(value);
        let headers_start = self.data.len();
        encode_headers(&mut self.data, headers);
        let headers_bytes = self.data.len() - headers_start;
        self.finish_record(start, timestamp_ms, key_bytes, value_bytes, headers_bytes)
    }

    /// Adds a record whose value is written in place: `write_value` appends to the buffer and must not touch what is
    /// there already. On an error nothing was added.
    #[inline]
    pub fn push_written(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        write_value: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), LogError> {
        let start = self.data.len();
        let key_bytes = self.put(key);
        let value_start = self.data.len();
        write_value(&mut self.data);
        assert!(self.data.len() >= value_start, "write_value took away bytes of earlier records");
        let value_bytes = self.data.len() - value_start;
        self.finish_record(start, timestamp_ms, key_bytes, Some(value_bytes), 0)
    }

    #[inline]
    fn put(&mut self, bytes: Option<&[u8]>) -> Option<usize> {
        let bytes = bytes?;
        self.data.extend_from_slice(bytes);
        Some(bytes.len())
    }

    #[inline]
    fn finish_record(
        &mut self,
        start: usize,
        timestamp_ms: i64,
        key_bytes: Option<usize>,
        value_bytes: Option<usize>,
        headers_bytes: usize,
    ) -> Result<(), LogError> {
        let added = self.data.len() - start;
        let fits = added <= RECORD_BYTES_MAX
            && key_bytes.unwrap_or(0) <= KEY_BYTES_MAX
            && headers_bytes <= HEADERS_BYTES_MAX
            && timestamp_ms >= 0
            && self.entries.len() < BATCH_RECORDS_MAX
            && self.data.len() + (self.entries.len() + 1) * ENTRY_BYTES <= BATCH_BYTES_MAX;
        if !fits {
            self.data.truncate(start);
            return self.refuse_for(added, timestamp_ms, key_bytes, headers_bytes);
        }
        let length = |bytes: Option<usize>| bytes.map_or(NULL_SPAN, |bytes| bytes as u32);
        let mut entry = [0u8; ENTRY_BYTES];
        entry[0..8].copy_from_slice(&timestamp_ms.to_le_bytes());
        entry[8..12].copy_from_slice(&length(key_bytes).to_le_bytes());
        entry[12..16].copy_from_slice(&length(value_bytes).to_le_bytes());
        entry[16..20].copy_from_slice(&(headers_bytes as u32).to_le_bytes());
        self.entries.push(entry);
        self.min_timestamp_ms = self.min_timestamp_ms.min(timestamp_ms);
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        Ok(())
    }

    #[cold]
    fn refuse_for(
        &self,
        added: usize,
        timestamp_ms: i64,
        key_bytes: Option<usize>,
        headers_bytes: usize,
    ) -> Result<(), LogError> {
        if timestamp_ms < 0 {
            return self.refuse(format!("its timestamp {timestamp_ms} is negative"));
        }
        let over = [
            ("its key", key_bytes.unwrap_or(0), KEY_BYTES_MAX),
            ("all its headers", headers_bytes, HEADERS_BYTES_MAX),
            ("key, value and headers together", added, RECORD_BYTES_MAX),
        ];
        if let Some((what, bytes, max)) = over.into_iter().find(|(_, bytes, max)| bytes > max) {
            return self.refuse(format!("{what} has {bytes} bytes, at most {max} are allowed"));
        }
        if self.entries.len() >= BATCH_RECORDS_MAX {
            let actual = self.entries.len() as u64 + 1;
            let max = BATCH_RECORDS_MAX as u64;
            return Err(LogError::OverLimit { what: "batch", actual, max, unit: "records" });
        }
        let actual = (self.bytes() + added + ENTRY_BYTES) as u64;
        Err(LogError::OverLimit { what: "batch", actual, max: BATCH_BYTES_MAX as u64, unit: "bytes" })
    }

    fn refuse(&self, reason: String) -> Result<(), LogError> {
        Err(LogError::BadRecord { index: self.entries.len(), reason })
    }

    pub(crate) fn table(&self) -> &[u8] {
        self.entries.as_flattened()
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn min_timestamp_ms(&self) -> i64 {
        self.min_timestamp_ms
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// Whether all of `other` still has room.
    pub(crate) fn has_room_for_all(&self, other: &BatchBuilder) -> bool {
        self.len() + other.len() <= BATCH_RECORDS_MAX && self.bytes() + other.bytes() <= BATCH_BYTES_MAX
    }

    pub(crate) fn extend_from(&mut self, other: &BatchBuilder) {
        debug_assert!(self.has_room_for_all(other));
        self.entries.extend_from_slice(&other.entries);
        self.data.extend_from_slice(&other.data);
        self.min_timestamp_ms = self.min_timestamp_ms.min(other.min_timestamp_ms);
        self.max_timestamp_ms = self.max_timestamp_ms.max(other.max_timestamp_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_record_leaves_nothing_behind() {
        let mut batch = BatchBuilder::new();
        batch.push(1, Some(b"k"), Some(b"v")).unwrap();
        let before = batch.bytes();
        let long_key = vec![0; KEY_BYTES_MAX + 1];
        let long_value = vec![0; RECORD_BYTES_MAX + 1];
        assert!(batch.push(1, Some(&long_key), None).unwrap_err().to_string().contains("its key has 1048577 bytes"));
        assert!(matches!(batch.push(1, None, Some(&long_value)), Err(LogError::BadRecord { index: 1, .. })));
        assert!(matches!(batch.push(-1, None, None), Err(LogError::BadRecord { index: 1, .. })));
        let headers = vec![("h", &b""[..]); HEADERS_COUNT_MAX + 1];
        assert!(batch.push_with_headers(1, None, None, headers.into_iter()).is_err());
        assert_eq!((batch.len(), batch.bytes()), (1, before));
    }

    #[test]
    fn a_full_batch_says_so() {
        let mut batch = BatchBuilder::new();
        let value = vec![0; RECORD_BYTES_MAX];
        batch.push(1, None, Some(&value)).unwrap();
        assert!(!batch.has_room_for(RECORD_BYTES_MAX));
        let refused = batch.push(1, None, Some(&value));
        assert!(matches!(refused, Err(LogError::OverLimit { what: "batch", .. })), "{refused:?}");
        assert_eq!(batch.len(), 1);
    }
}
