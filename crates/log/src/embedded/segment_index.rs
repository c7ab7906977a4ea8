//! Where in a segment an offset or a time is, roughly: one entry per so many bytes, the rest is a short walk.
//!
//! The file beside a sealed segment (`.index`) only saves the walk at the next start: it is checked against the
//! segment's length and made anew from the segment when it is missing or does not fit.

use super::batch::BatchHeader;

/// Bytes of the segment between two entries.
pub(crate) const INDEX_STEP_BYTES: u64 = 128 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The first offset of the batch at `position`.
    pub offset: i64,
    pub position: u64,
    /// The greatest timestamp of all records before `position` in this segment.
    pub max_timestamp_before_ms: i64,
}

/// What is known of a segment's batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    entries: Vec<IndexEntry>,
    pub bytes: u64,
    pub next_offset: i64,
    pub max_timestamp_ms: i64,
    /// Times of the first and the last append; `None` while there is none.
    pub append_times_ms: Option<(i64, i64)>,
}

impl SegmentIndex {
    pub fn new(base_offset: i64) -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            next_offset: base_offset,
            max_timestamp_ms: i64::MIN,
            append_times_ms: None,
        }
    }

    /// Takes in the batch that follows.
    pub fn add(&mut self, header: &BatchHeader) {
        if self.entries.last().is_none_or(|last| self.bytes - last.position >= INDEX_STEP_BYTES) {
            self.entries.push(IndexEntry {
                offset: header.base_offset,
                position: self.bytes,
                max_timestamp_before_ms: self.max_timestamp_ms,
            });
        }
        self.bytes += header.total_bytes();
        self.next_offset = header.next_offset();
        self.max_timestamp_ms = self.max_timestamp_ms.max(header.max_timestamp_ms);
        let first = self.append_times_ms.map_or(header.append_time_ms, |(first, _)| first);
        self.append_times_ms = Some((first, header.append_time_ms));
    }

    /// Forgets what lies at `bytes` and after. The times stay as they are: too great is only a longer walk.
    pub fn cut(&mut self, bytes: u64, next_offset: i64) {
        self.entries.retain(|entry| entry.position < bytes);
        self.bytes = bytes;
        self.next_offset = next_offset;
    }

    /// The nearest batch at or before `offset`: its position and first offset.
    pub fn at_or_before(&self, offset: i64) -> Option<(u64, i64)> {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        Some((entry.position, entry.offset))
    }

    /// From where a record with a timestamp of at least `timestamp_ms` can be.
    pub fn since(&self, timestamp_ms: i64) -> Option<(u64, i64)> {
        if self.max_timestamp_ms < timestamp_ms {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before_ms < timestamp_ms);
        // No timestamp is below the least of all times, which stands for "none before the first entry".
        let entry = self.entries.get(after.saturating_sub(1))?;
        Some((entry.position, entry.offset))
    }

    /// The first known batch behind `position`.
    pub fn first_offset_behind(&self, position: u64) -> Option<i64> {
        let after = self.entries.partition_point(|entry| entry.position <= position);
        self.entries.get(after).map(|entry| entry.offset)
    }

    /// Little endian: magic, checksum of what follows, bytes, next offset, greatest timestamp, first and last append,
    /// entries.
    pub fn encode(&self) -> Vec<u8> {
        let (first, last) = self.append_times_ms.unwrap_or((i64::MIN, i64::MIN));
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.entries.len() * 24);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        for word in [self.bytes as i64, self.next_offset, self.max_timestamp_ms, first, last] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for entry in &self.entries {
            for word in [entry.offset, entry.position as i64, entry.max_timestamp_before_ms] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let checksum = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` if these are not the bytes of an index.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        if crc32c::crc32c(rest).to_le_bytes() != *checksum {
            return None;
        }
        let (words, []) = rest.as_chunks::<8>() else { return None };
        let words: Vec<i64> = words.iter().map(|word| i64::from_le_bytes(*word)).collect();
        let (&[segment_bytes, next_offset, max_timestamp_ms, first, last], entries) = words.split_first_chunk()?;
        let (entries, []) = entries.as_chunks::<3>() else { return None };
        let entries = entries.iter().map(|&[offset, position, max_timestamp_before_ms]| {
            Some(IndexEntry { offset, position: u64::try_from(position).ok()?, max_timestamp_before_ms })
        });
        Some(Self {
            entries: entries.collect::<Option<_>>()?,
            bytes: u64::try_from(segment_bytes).ok()?,
            next_offset,
            max_timestamp_ms,
            append_times_ms: (first != i64::MIN).then_some((first, last)),
        })
    }
}

const MAGIC: &[u8; 4] = b"MRI1";
const HEAD_BYTES: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(base_offset: i64, count: u32, body_bytes: u32, max_timestamp_ms: i64) -> BatchHeader {
        let append_time_ms = 1_000 + base_offset;
        BatchHeader { body_bytes, base_offset, count, min_timestamp_ms: 0, max_timestamp_ms, append_time_ms }
    }

    fn sample() -> SegmentIndex {
        let mut index = SegmentIndex::new(100);
        // 100 batches of 10 records and 64 KiB; one record is far ahead of its time
        for n in 0..100 {
            let timestamp = if n == 40 { 9_000 } else { n * 10 };
            index.add(&header(100 + n * 10, 10, (64 << 10) - 64, timestamp));
        }
        index
    }

    #[test]
    fn offsets_are_found_within_a_step() {
        let index = sample();
        assert_eq!(index.next_offset, 1_100);
        assert_eq!(index.at_or_before(99), None);
        for offset in 100..1_100 {
            let (position, found) = index.at_or_before(offset).unwrap();
            assert_eq!((found - 100) / 10 * (64 << 10), position as i64);
            assert!(found <= offset && offset - found < 20, "{offset} {found}");
        }
    }

    #[test]
    fn times_are_found_in_the_order_of_offsets() {
        let index = sample();
        assert_eq!(index.since(0), Some((0, 100)));
        assert!(index.since(390).unwrap().1 <= 100 + 39 * 10);
        assert!(index.since(500).unwrap().1 <= 100 + 40 * 10, "the one ahead of its time comes first");
        assert!(index.since(9_000).unwrap().1 > 100 + 37 * 10);
        assert_eq!(index.since(9_001), None);
    }

    #[test]
    fn a_cut_forgets_what_follows() {
        let mut index = sample();
        index.cut(5 * (64 << 10), 150);
        assert_eq!((index.bytes, index.next_offset), (5 * (64 << 10), 150));
        assert_eq!(index.at_or_before(1_000), Some((4 * (64 << 10), 140)));
    }

    #[test]
    fn the_file_comes_back_or_is_refused() {
        let index = sample();
        let bytes = index.encode();
        assert_eq!(SegmentIndex::decode(&bytes), Some(index));
        assert_eq!(SegmentIndex::decode(&SegmentIndex::new(5).encode()), Some(SegmentIndex::new(5)));
        for cut in 0..bytes.len() {
            assert_eq!(SegmentIndex::decode(&bytes[..cut]), None);
        }
        for place in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[place] ^= 0x10;
            assert_eq!(SegmentIndex::decode(&bad), None, "byte {place}");
        }
    }
}
