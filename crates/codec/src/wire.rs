//! The protobuf wire format: varints, tags, skipping. See <https://protobuf.dev/programming-guides/encoding/>.

use crate::error::DecodeErrorKind;

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LEN: u8 = 2;
pub(crate) const GROUP: u8 = 3;
pub(crate) const GROUP_END: u8 = 4;
pub(crate) const FIXED32: u8 = 5;

pub(crate) const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// A fault and its byte offset in the slab; boxed because it is rare and the good result shall stay in registers.
#[derive(Debug)]
pub(crate) struct Fault {
    pub kind: DecodeErrorKind,
    pub at: usize,
    /// Names of the messages and fields around the fault, innermost first.
    pub path: Vec<String>,
}

pub(crate) type Read<T> = Result<T, Box<Fault>>;

#[cold]
#[inline(never)]
pub(crate) fn fault<T>(kind: DecodeErrorKind, at: usize) -> Read<T> {
    Err(Box::new(Fault { kind, at, path: Vec::new() }))
}

/// Reads a varint in `pos..end`; gives the value and the position behind it. Bits over 64 are dropped, as parsers do.
#[inline(always)]
pub(crate) fn varint(buf: &[u8], pos: usize, end: usize) -> Read<(u64, usize)> {
    if pos < end
        && let Some(&first) = buf.get(pos)
    {
        if first < 0x80 {
            return Ok((u64::from(first), pos + 1));
        }
        return varint_long(buf, pos, end);
    }
    fault(DecodeErrorKind::Truncated, pos)
}

/// A varint of two or more bytes. Its length is found without a branch per byte: lengths differ from record to record.
#[inline(always)]
fn varint_long(buf: &[u8], pos: usize, end: usize) -> Read<(u64, usize)> {
    if let Some(word) = word(buf, pos) {
        let stops = !word & 0x8080_8080_8080_8080;
        if stops != 0 {
            let len = (stops.trailing_zeros() as usize + 1) / 8;
            if pos + len > end {
                return fault(DecodeErrorKind::Truncated, end);
            }
            // Keeps the bytes up to the stop, then closes the gaps between the 7-bit groups.
            let kept = word & (stops ^ (stops - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
            return Ok((squeeze(kept), pos + len));
        }
    }
    varint_bytes(buf, pos, end)
}

#[inline(always)]
pub(crate) fn squeeze(groups: u64) -> u64 {
    let pairs = (groups & 0x007f_007f_007f_007f) | ((groups & 0x7f00_7f00_7f00_7f00) >> 1);
    let quads = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (quads & 0x0000_0000_0fff_ffff) | ((quads & 0x0fff_ffff_0000_0000) >> 4)
}

#[cold]
#[inline(never)]
fn varint_bytes(buf: &[u8], pos: usize, end: usize) -> Read<(u64, usize)> {
    let mut value = 0u64;
    for index in 0..10 {
        let at = pos + index;
        let Some(&byte) = buf.get(at).filter(|_| at < end) else {
            return fault(DecodeErrorKind::Truncated, at);
        };
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, at + 1));
        }
    }
    fault(DecodeErrorKind::VarintTooLong, pos)
}

/// Eight bytes from `pos`, little end first, if the slab has them (they may lie behind the record).
#[inline(always)]
pub(crate) fn word(buf: &[u8], pos: usize) -> Option<u64> {
    buf.get(pos..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

#[inline(always)]
pub(crate) fn fixed32(buf: &[u8], pos: usize, end: usize) -> Read<(u32, usize)> {
    match buf.get(pos..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(bytes) if pos + 4 <= end => Ok((u32::from_le_bytes(*bytes), pos + 4)),
        _ => fault(DecodeErrorKind::Truncated, end),
    }
}

#[inline(always)]
pub(crate) fn fixed64(buf: &[u8], pos: usize, end: usize) -> Read<(u64, usize)> {
    match word(buf, pos) {
        Some(word) if pos + 8 <= end => Ok((word, pos + 8)),
        _ => fault(DecodeErrorKind::Truncated, end),
    }
}

/// Reads a length and checks that so many bytes follow; gives the start and the end of the content.
#[inline(always)]
pub(crate) fn content(buf: &[u8], pos: usize, end: usize) -> Read<(usize, usize)> {
    let (len, start) = varint(buf, pos, end)?;
    if len > (end - start) as u64 {
        return fault(DecodeErrorKind::LengthOverrun, pos);
    }
    Ok((start, start + len as usize))
}

/// The position behind a varint, whose value is not needed.
#[inline(always)]
pub(crate) fn skip_varint(buf: &[u8], pos: usize, end: usize) -> Read<usize> {
    if let Some(word) = word(buf, pos) {
        let stops = !word & 0x8080_8080_8080_8080;
        let next = pos + (stops.trailing_zeros() as usize + 1) / 8;
        if stops != 0 && next <= end {
            return Ok(next);
        }
    }
    varint_bytes(buf, pos, end).map(|(_, next)| next)
}

/// Reads a tag: field number, wire type and the position behind it.
pub(crate) fn tag(buf: &[u8], pos: usize, end: usize) -> Read<(u32, u8, usize)> {
    let (tag, next) = varint(buf, pos, end)?;
    let number = tag >> 3;
    if number == 0 || number > FIELD_NUMBER_MAX {
        return fault(DecodeErrorKind::FieldNumber, pos);
    }
    Ok((number as u32, (tag & 7) as u8, next))
}

/// Skips the value of a field; `pos` is behind its tag. `depth_left`: how many more groups may nest.
pub(crate) fn skip(buf: &[u8], pos: usize, end: usize, number: u32, wire_type: u8, depth_left: u32) -> Read<usize> {
    match wire_type {
        VARINT => skip_varint(buf, pos, end),
        FIXED64 => fixed64(buf, pos, end).map(|(_, next)| next),
        LEN => content(buf, pos, end).map(|(_, next)| next),
        GROUP => skip_group(buf, pos, end, number, depth_left).map(|(_, next)| next),
        FIXED32 => fixed32(buf, pos, end).map(|(_, next)| next),
        GROUP_END => fault(DecodeErrorKind::GroupUnbalanced, pos),
        other => fault(DecodeErrorKind::WireType(other), pos),
    }
}

/// Skips a group whose begin tag was read: gives the end of its content (before the end tag) and the position behind it.
pub(crate) fn skip_group(buf: &[u8], pos: usize, end: usize, number: u32, depth_left: u32) -> Read<(usize, usize)> {
    let mut open = vec![number];
    let mut at = pos;
    loop {
        let before = at;
        let (number, wire_type, next) = tag(buf, at, end)?;
        match wire_type {
            GROUP => {
                if open.len() >= depth_left as usize {
                    return fault(DecodeErrorKind::TooDeep(depth_left), before);
                }
                open.push(number);
                at = next;
            }
            GROUP_END => {
                if open.pop() != Some(number) {
                    return fault(DecodeErrorKind::GroupUnbalanced, before);
                }
                if open.is_empty() {
                    return Ok((before, next));
                }
                at = next;
            }
            _ => at = skip(buf, next, end, number, wire_type, 0)?,
        }
    }
}

#[inline(always)]
pub(crate) fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    ((value >> 1) as i32) ^ -((value & 1) as i32)
}

#[inline(always)]
pub(crate) fn zigzag64(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// `std::str::from_utf8` with a short way for the usual short ASCII text.
#[inline(always)]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut high = 0u64;
    for word in words {
        high |= u64::from_le_bytes(*word);
    }
    let mut high_rest = 0u8;
    for byte in rest {
        high_rest |= byte;
    }
    (high & 0x8080_8080_8080_8080 == 0 && high_rest < 0x80) || std::str::from_utf8(bytes).is_ok()
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Writes a length-delimited value: what `write` appends is preceded by its length.
pub(crate) fn put_content<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    // One byte is kept free for the length; longer contents are moved.
    let start = out.len();
    out.push(0);
    write(out)?;
    let len = out.len() - start - 1;
    if len < 0x80 {
        out[start] = len as u8;
        return Ok(());
    }
    let mut length = Vec::with_capacity(5);
    put_varint(&mut length, len as u64);
    out.splice(start..=start, length);
    Ok(())
}
