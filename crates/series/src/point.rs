//! Encoded tags; and the bytes of one point, as earlier versions kept them.
//!
//! Key: measurement (u32), time (i64), series (u64), all big-endian and order-preserving, then the tags that are kept
//! in the key itself. So a measurement lies together and is ordered by time.
//!
//! Value: sequence number and write time (seconds), then the fields in ascending order of their ids. Each field says
//! its kind, so that a value is understood without the catalogue.

use crate::varint::{put_varint, take_bytes, take_varint, unzigzag};

pub(crate) const KEY_BYTES: usize = 4 + 8 + 8;

const SIGN: u64 = 1 << 63;
const KIND_BITS: u32 = 3;
const KIND_FLOAT: u64 = 0;
const KIND_INTEGER: u64 = 1;
const KIND_FALSE: u64 = 2;
const KIND_TRUE: u64 = 3;
const KIND_TEXT: u64 = 4;

/// Order-preserving bytes of a time.
pub(crate) fn time_bytes(time: i64) -> [u8; 8] {
    (time as u64 ^ SIGN).to_be_bytes()
}

#[cfg(test)]
pub(crate) fn put_key(buffer: &mut Vec<u8>, measurement: u32, time: i64, series: u64, key_tags: &[u8]) {
    buffer.extend_from_slice(&measurement.to_be_bytes());
    buffer.extend_from_slice(&time_bytes(time));
    buffer.extend_from_slice(&series.to_be_bytes());
    buffer.extend_from_slice(key_tags);
}

/// The smallest key of a measurement at or after a time.
pub(crate) fn key_at(measurement: u32, time: i64) -> Vec<u8> {
    let mut key = measurement.to_be_bytes().to_vec();
    key.extend_from_slice(&time_bytes(time));
    key
}

/// The smallest key after all of a measurement.
pub(crate) fn key_after(measurement: u32) -> Vec<u8> {
    match measurement.checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        None => vec![0xff; KEY_BYTES + 1],
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointKey<'a> {
    pub time: i64,
    pub series: u64,
    pub key_tags: &'a [u8],
}

impl<'a> PointKey<'a> {
    pub(crate) fn read(key: &'a [u8]) -> Option<Self> {
        let (head, key_tags) = key.split_at_checked(KEY_BYTES)?;
        let time = u64::from_be_bytes(head[4..12].try_into().ok()?);
        let series = u64::from_be_bytes(head[12..20].try_into().ok()?);
        Some(Self { time: (time ^ SIGN) as i64, series, key_tags })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointHead {
    pub sequence: u64,
    pub write_seconds: u64,
}

impl PointHead {
    #[cfg(test)]
    pub(crate) fn put(self, buffer: &mut Vec<u8>) {
        put_varint(buffer, self.sequence);
        put_varint(buffer, self.write_seconds);
    }

    /// Takes the head off a value; the fields are left.
    pub(crate) fn take(value: &mut &[u8]) -> Option<Self> {
        Some(Self { sequence: take_varint(value)?, write_seconds: take_varint(value)? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Float(f64),
    Integer(i64),
    Boolean(bool),
    Text(&'a str),
}

#[cfg(test)]
pub(crate) fn put_cell(buffer: &mut Vec<u8>, field: u32, cell: Cell<'_>) {
    let head = |kind| u64::from(field) << KIND_BITS | kind;
    match cell {
        Cell::Float(value) => {
            put_varint(buffer, head(KIND_FLOAT));
            buffer.extend_from_slice(&value.to_le_bytes());
        }
        Cell::Integer(value) => {
            put_varint(buffer, head(KIND_INTEGER));
            put_varint(buffer, crate::varint::zigzag(value));
        }
        Cell::Boolean(value) => put_varint(buffer, head(if value { KIND_TRUE } else { KIND_FALSE })),
        Cell::Text(value) => {
            put_varint(buffer, head(KIND_TEXT));
            put_varint(buffer, value.len() as u64);
            buffer.extend_from_slice(value.as_bytes());
        }
    }
}

/// Takes the next field off the fields of a value; `None` if they are broken. Check for the end first.
pub(crate) fn take_cell<'a>(fields: &mut &'a [u8]) -> Option<(u32, Cell<'a>)> {
    let head = take_varint(fields)?;
    let cell = match head & ((1 << KIND_BITS) - 1) {
        KIND_FLOAT => {
            let (bytes, rest) = fields.split_first_chunk::<8>()?;
            *fields = rest;
            Cell::Float(f64::from_le_bytes(*bytes))
        }
        KIND_INTEGER => Cell::Integer(unzigzag(take_varint(fields)?)),
        KIND_FALSE => Cell::Boolean(false),
        KIND_TRUE => Cell::Boolean(true),
        KIND_TEXT => Cell::Text(std::str::from_utf8(take_bytes(fields)?).ok()?),
        _ => return None,
    };
    Some((u32::try_from(head >> KIND_BITS).ok()?, cell))
}

/// Appends one tag to the encoded tags of a point. Tags are put in ascending order of their ids, so that equal tag sets
/// have equal bytes.
pub(crate) fn put_tag(buffer: &mut Vec<u8>, tag: u32, value: &str) {
    put_varint(buffer, u64::from(tag));
    put_varint(buffer, value.len() as u64);
    buffer.extend_from_slice(value.as_bytes());
}

/// Takes the next tag off encoded tags; `None` at the end or if they are broken.
pub(crate) fn take_tag<'a>(tags: &mut &'a [u8]) -> Option<(u32, &'a str)> {
    let tag = u32::try_from(take_varint(tags)?).ok()?;
    Some((tag, std::str::from_utf8(take_bytes(tags)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_by_measurement_time_and_series() {
        let mut keys = Vec::new();
        for measurement in [0, 1, 300] {
            for time in [i64::MIN, -1, 0, 1, i64::MAX] {
                for series in [0, 1, u64::MAX] {
                    let mut key = Vec::new();
                    put_key(&mut key, measurement, time, series, b"");
                    assert_eq!(PointKey::read(&key), Some(PointKey { time, series, key_tags: b"" }));
                    assert!(key < key_after(measurement) && key >= key_at(measurement, time));
                    keys.push(key);
                }
            }
        }
        assert!(keys.is_sorted());
        assert!(vec![0xff; KEY_BYTES] < key_after(u32::MAX));
    }
}
