//! Writers of the protobuf wire format, as far as the city's messages need them.
//!
//! They know nothing of a schema: each message's writer names its field numbers, and a test compares the
//! result with a general protobuf library. Scalars that have their default are not written, as in proto3.
//! See <https://protobuf.dev/programming-guides/encoding/>.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

/// An int32, int64 or enum.
pub(crate) fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    if value != 0 {
        tag(out, field, VARINT);
        varint(out, value as u64);
    }
}

pub(crate) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        tag(out, field, FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn float(out: &mut Vec<u8>, field: u32, value: f32) {
    if value.to_bits() != 0 {
        tag(out, field, FIXED32);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A string or bytes.
pub(crate) fn text(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        tag(out, field, LENGTH_DELIMITED);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// A `google.protobuf.Timestamp`, present even when it is the epoch.
pub(crate) fn timestamp(out: &mut Vec<u8>, field: u32, ms: i64) {
    tag(out, field, LENGTH_DELIMITED);
    let length_at = out.len();
    out.push(0);
    int(out, 1, ms.div_euclid(1_000));
    int(out, 2, ms.rem_euclid(1_000) * 1_000_000);
    // Two varints of at most ten bytes each: the length always fits the one byte kept for it.
    out[length_at] = (out.len() - length_at - 1) as u8;
}

/// A prefix of letters and a decimal number with a fixed number of digits, such as `D-0001234`.
#[derive(Clone, Copy)]
pub(crate) struct Id {
    bytes: [u8; 16],
    length: usize,
}

impl Id {
    /// `prefix` and `digits` have at most 16 bytes together; digits that do not fit are cut from the left.
    pub(crate) fn new(prefix: &[u8], mut number: u64, digits: usize) -> Self {
        let length = prefix.len() + digits;
        let mut bytes = [b'0'; 16];
        bytes[..prefix.len()].copy_from_slice(prefix);
        for byte in bytes[prefix.len()..length].iter_mut().rev() {
            *byte = b'0' + (number % 10) as u8;
            number /= 10;
        }
        Self { bytes, length }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
