//! The batch: what is written, checked and read as a whole.
//!
//! ```text
//! header, 64 bytes, little endian
//!    0  crc32c of the body, continued over the header's bytes 4 to 63
//!    4  magic "MRB1" (the last character is the version)
//!    8  bytes of the body
//!   12  attributes: 0; a compression or anything else that an older reader must not guess takes a bit here
//!   16  offset of the first record (8)
//!   24  number of records
//!   28  zero
//!   32  least and greatest timestamp of the records (8 each), time of the append (8)
//!   56  zero (8)
//! body
//!    one entry of 20 bytes per record: timestamp (8), length of key, of value (2^32-1: null), of headers
//!    then key, value and headers of each record, one after the other
//! ```
//!
//! The entries stand together so that reading makes the record index without going through the payload, and the
//! checksum begins with the body so that most of it is computed before the offset is known.

use std::fmt;

use crate::batch_builder::{BatchBuilder, ENTRY_BYTES, Entry};
use crate::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use crate::slab::{NULL_SPAN, RecordIndex};

pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"MRB1");

/// Why bytes are no batch, or not the one that belongs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadBatch {
    Truncated,
    Magic,
    Length,
    Attributes(u32),
    Offset { expected: i64, found: i64 },
    Checksum,
    Layout,
}

impl fmt::Display for BadBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadBatch::Truncated => write!(f, "the batch ends after the file"),
            BadBatch::Magic => write!(f, "no batch begins here"),
            BadBatch::Length => write!(f, "the batch's length or count is impossible"),
            BadBatch::Attributes(bits) => write!(f, "the batch has attributes {bits:#x} of a newer version"),
            BadBatch::Offset { expected, found } => write!(f, "offset {expected} is due, {found} is there"),
            BadBatch::Checksum => write!(f, "the checksum does not fit"),
            BadBatch::Layout => write!(f, "the lengths of the records do not fit the batch"),
        }
    }
}

/// What the header says, without the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub body_bytes: u32,
    pub base_offset: i64,
    pub count: u32,
    pub min_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub append_time_ms: i64,
}

/// The checksum of what the batch will hold: the part that needs no offset.
pub(crate) fn body_checksum(batch: &BatchBuilder) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(batch.table()), batch.data())
}

impl BatchHeader {
    /// The batch must not be empty.
    pub fn for_batch(batch: &BatchBuilder, base_offset: i64, append_time_ms: i64) -> Self {
        Self {
            body_bytes: batch.bytes() as u32,
            base_offset,
            count: batch.len() as u32,
            min_timestamp_ms: batch.min_timestamp_ms(),
            max_timestamp_ms: batch.max_timestamp_ms(),
            append_time_ms,
        }
    }

    pub fn total_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.count)
    }

    pub fn encode(&self, body_checksum: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base_offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.min_timestamp_ms.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.max_timestamp_ms.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.append_time_ms.to_le_bytes());
        let checksum = crc32c::crc32c_append(body_checksum, &bytes[4..]);
        bytes[0..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header that lies at the beginning of `bytes`. What it says is not yet checked against the checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadBatch> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(BadBatch::Truncated)?;
        if u32_at(bytes, 4) != MAGIC {
            return Err(BadBatch::Magic);
        }
        let attributes = u32_at(bytes, 12);
        if attributes != 0 {
            return Err(BadBatch::Attributes(attributes));
        }
        let header = Self {
            body_bytes: u32_at(bytes, 8),
            base_offset: i64_at(bytes, 16),
            count: u32_at(bytes, 24),
            min_timestamp_ms: i64_at(bytes, 32),
            max_timestamp_ms: i64_at(bytes, 40),
            append_time_ms: i64_at(bytes, 48),
        };
        let body_bytes = header.body_bytes as usize;
        let count = header.count as usize;
        let possible = (1..=BATCH_RECORDS_MAX).contains(&count)
            && (count * ENTRY_BYTES..=BATCH_BYTES_MAX).contains(&body_bytes)
            && header.base_offset >= 0
            && header.base_offset < i64::MAX - BATCH_RECORDS_MAX as i64;
        if !possible {
            return Err(BadBatch::Length);
        }
        Ok(header)
    }

    pub fn expect_offset(&self, expected: i64) -> Result<(), BadBatch> {
        if self.base_offset == expected {
            return Ok(());
        }
        Err(BadBatch::Offset { expected, found: self.base_offset })
    }
}

/// Checks the whole batch, header and body.
pub(crate) fn check_batch(batch: &[u8]) -> Result<(), BadBatch> {
    let (header, body) = batch.split_at_checked(HEADER_BYTES).ok_or(BadBatch::Truncated)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(body), &header[4..]);
    if header[0..4] == checksum.to_le_bytes() { Ok(()) } else { Err(BadBatch::Checksum) }
}

/// The entries of a batch's body.
fn entries<'a>(header: &BatchHeader, body: &'a [u8]) -> Result<&'a [Entry], BadBatch> {
    let table = body.get(..header.count as usize * ENTRY_BYTES).ok_or(BadBatch::Layout)?;
    Ok(table.as_chunks::<ENTRY_BYTES>().0)
}

/// The first record of a checked batch whose timestamp is at least `timestamp_ms`.
pub(crate) fn first_record_since(
    header: &BatchHeader,
    body: &[u8],
    timestamp_ms: i64,
) -> Result<Option<i64>, BadBatch> {
    let found = entries(header, body)?.iter().position(|entry| i64_at(entry, 0) >= timestamp_ms);
    Ok(found.map(|place| header.base_offset + place as i64))
}

/// Adds the records of a checked batch to `index`. The body lies at `body_start` of the slab's data.
/// On an error nothing was added.
pub(crate) fn index_records(
    header: &BatchHeader,
    body: &[u8],
    body_start: u32,
    index: &mut RecordIndex,
) -> Result<(), BadBatch> {
    let entries = entries(header, body)?;
    // Lengths are summed in 64 bits: 2^20 records of three lengths under 2^32 do not overflow. The spans are right
    // if the sum is, and it is checked before any of them is used.
    let mut end = u64::from(body_start) + (entries.len() * ENTRY_BYTES) as u64;
    let before = index.len();
    // One pass per column: each is a loop of known length that the compiler keeps free of capacity checks.
    index.keys.extend(entries.iter().map(|entry| {
        let start = end;
        let key = u32_at(entry, 8);
        end += u64::from(length(key)) + u64::from(length(u32_at(entry, 12))) + u64::from(u32_at(entry, 16));
        (start as u32, key)
    }));
    if end != u64::from(body_start) + body.len() as u64 {
        index.keys.truncate(before);
        return Err(BadBatch::Layout);
    }
    let keys = &index.keys[before..];
    index.values.extend(entries.iter().zip(keys).map(|(entry, key)| (key.0 + length(key.1), u32_at(entry, 12))));
    let values = &index.values[before..];
    index
        .headers
        .extend(entries.iter().zip(values).map(|(entry, value)| (value.0 + length(value.1), u32_at(entry, 16))));
    index.timestamps_ms.extend(entries.iter().map(|entry| i64_at(entry, 0)));
    index.offsets.extend(header.base_offset..header.next_offset());
    index.append_times_ms.resize(before + entries.len(), header.append_time_ms);
    Ok(())
}

#[inline]
fn length(span_length: u32) -> u32 {
    if span_length == NULL_SPAN { 0 } else { span_length }
}

#[inline]
fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn i64_at<const N: usize>(bytes: &[u8; N], at: usize) -> i64 {
    let low = u64::from(u32_at(bytes, at));
    let high = u64::from(u32_at(bytes, at + 4));
    (high << 32 | low) as i64
}

#[cfg(test)]
pub(crate) fn encode_batch(batch: &BatchBuilder, base_offset: i64, append_time_ms: i64) -> Vec<u8> {
    let header = BatchHeader::for_batch(batch, base_offset, append_time_ms);
    let mut bytes = header.encode(body_checksum(batch)).to_vec();
    bytes.extend_from_slice(batch.table());
    bytes.extend_from_slice(batch.data());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BatchBuilder {
        let mut batch = BatchBuilder::new();
        batch.push(20, Some(b"key"), Some(b"value")).unwrap();
        batch.push(10, None, Some(b"")).unwrap();
        batch.push_with_headers(30, Some(b""), None, [("h", &b"x"[..])].into_iter()).unwrap();
        batch
    }

    #[test]
    fn a_batch_comes_back() {
        let bytes = encode_batch(&sample(), 7, 99);
        let header = BatchHeader::decode(&bytes).unwrap();
        assert_eq!((header.base_offset, header.next_offset(), header.append_time_ms), (7, 10, 99));
        assert_eq!((header.min_timestamp_ms, header.max_timestamp_ms), (10, 30));
        assert_eq!(header.total_bytes(), bytes.len() as u64);
        check_batch(&bytes).unwrap();
        let mut index = RecordIndex::default();
        index_records(&header, &bytes[HEADER_BYTES..], HEADER_BYTES as u32, &mut index).unwrap();
        let text = |(start, length): (u32, u32)| match length {
            NULL_SPAN => None,
            _ => Some(&bytes[start as usize..(start + length) as usize]),
        };
        assert_eq!(index.offsets, [7, 8, 9]);
        assert_eq!(index.timestamps_ms, [20, 10, 30]);
        assert_eq!(index.append_times_ms, [99; 3]);
        assert_eq!(index.keys.iter().map(|&s| text(s)).collect::<Vec<_>>(), [Some(&b"key"[..]), None, Some(b"")]);
        assert_eq!(index.values.iter().map(|&s| text(s)).collect::<Vec<_>>(), [Some(&b"value"[..]), Some(b""), None]);
        assert_eq!(text(index.headers[2]), Some(&[2, 2, b'h', 2, b'x'][..]));
        assert_eq!(index.headers[0].1, 0);
    }

    #[test]
    fn the_first_record_since_a_time_goes_by_offset() {
        let bytes = encode_batch(&sample(), 7, 99);
        let header = BatchHeader::decode(&bytes).unwrap();
        let since = |ts| first_record_since(&header, &bytes[HEADER_BYTES..], ts).unwrap();
        assert_eq!([since(0), since(15), since(21), since(31)], [Some(7), Some(7), Some(9), None]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let good = encode_batch(&sample(), 7, 99);
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[place] ^= 1 << bit;
                let found = BatchHeader::decode(&bad).and_then(|_| check_batch(&bad));
                assert!(found.is_err(), "byte {place}, bit {bit}");
            }
        }
    }

    #[test]
    fn lengths_that_do_not_fit_add_nothing() {
        let batch = sample();
        let bytes = encode_batch(&batch, 0, 0);
        let header = BatchHeader::decode(&bytes).unwrap();
        let mut index = RecordIndex::default();
        let short = &bytes[HEADER_BYTES..bytes.len() - 1];
        assert_eq!(index_records(&header, short, 64, &mut index), Err(BadBatch::Layout));
        let mut wild = bytes[HEADER_BYTES..].to_vec();
        wild[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(index_records(&header, &wild, 64, &mut index), Err(BadBatch::Layout));
        assert_eq!(index_records(&header, &wild[..10], 64, &mut index), Err(BadBatch::Layout));
        assert!(index.is_empty() && index.keys.is_empty());
    }
}
