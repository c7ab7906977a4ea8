//! One pass over a slab: the fields of messages into their columns, with all checks.

use super::EnumExtras;
use crate::columns::{Columns, Stamp};
use crate::error::DecodeErrorKind;
use crate::limits::Limits;
use crate::program::{NONE, Node, Op, OpKind, Program};
use crate::wire::{self, Fault, Read, fault};

/// One pass over a slab.
pub(super) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) columns: &'a mut Columns,
    pub(super) extras: &'a mut [EnumExtras],
    pub(super) buf: &'a [u8],
    pub(super) elements_left: usize,
    pub(super) elements_max: usize,
    pub(super) unknown_enum_values: u64,
    /// The map entry that is being read has an unknown value of a closed enum.
    pub(super) entry_rejected: bool,
    pub(super) suspects: Vec<Suspect>,
    /// Tables that have got a name more in this record.
    pub(super) named: Vec<u16>,
}

/// What a timestamp out of range has in its column until the end of its record.
const OUT_OF_RANGE: i64 = i64::MIN;

/// A timestamp that was out of range when it was read. A later occurrence in the record may have replaced it.
#[derive(Debug)]
pub(super) struct Suspect {
    stamp: u16,
    row: usize,
    at: usize,
}

/// What came behind a field.
pub(super) enum Next {
    Field(usize),
    /// The end tag of the group that the message is in; the position behind it.
    GroupEnd(usize),
}

/// Where a message is being read from and into.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) row: usize,
    pub(super) end: usize,
    /// Field number of the group that this message is the content of; 0 for none.
    pub(super) group: u32,
    pub(super) depth_left: u32,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        program: &'a Program,
        columns: &'a mut Columns,
        extras: &'a mut [EnumExtras],
        buf: &'a [u8],
        elements_max: usize,
    ) -> Self {
        Self {
            program,
            columns,
            extras,
            buf,
            elements_left: 0,
            elements_max,
            unknown_enum_values: 0,
            entry_rejected: false,
            suspects: Vec::new(),
            named: Vec::new(),
        }
    }

    #[inline(always)]
    pub(super) fn record(&mut self, row: usize, start: usize, len: u32, limits: &Limits) -> Read<()> {
        let end = start + len as usize;
        if end > self.buf.len() {
            return fault(DecodeErrorKind::SpanOutside, start);
        }
        if len as usize > limits.record_bytes_max {
            return fault(DecodeErrorKind::RecordTooLarge(len), start);
        }
        self.columns.domains[0].rows = row + 1;
        self.elements_left = self.elements_max;
        self.unknown_enum_values = 0;
        self.named.clear();
        let place = Place { node: &self.program.nodes[0], row, end, group: 0, depth_left: limits.depth_max };
        self.message(place, start)?;
        if self.suspects.is_empty() { Ok(()) } else { self.check_suspects() }
    }

    /// Whether a timestamp that the record ends with is out of range.
    #[cold]
    #[inline(never)]
    pub(super) fn check_suspects(&mut self) -> Read<()> {
        for suspect in std::mem::take(&mut self.suspects) {
            let plan = self.program.stamps[suspect.stamp as usize];
            let is_there = suspect.row < self.columns.domains[plan.domain as usize].rows;
            if is_there && self.columns.i64s[plan.micros as usize].values[suspect.row] == OUT_OF_RANGE {
                let path = self.program.stamp_paths[suspect.stamp as usize].clone();
                return Err(Box::new(Fault {
                    kind: DecodeErrorKind::TimestampRange,
                    at: suspect.at,
                    path: vec![path],
                }));
            }
        }
        Ok(())
    }

    /// Removes what the record has written so far.
    #[cold]
    pub(super) fn take_back(&mut self, row: usize) {
        self.columns.truncate(self.program, 0, row);
        self.entry_rejected = false;
        self.suspects.clear();
        for table in self.named.drain(..) {
            let extras = &mut self.extras[table as usize];
            if let Some(number) = extras.numbers.pop() {
                extras.keys.remove(&number);
            }
        }
    }

    /// Reads the fields of a message up to its end; gives the position behind it.
    pub(super) fn message(&mut self, place: Place<'a>, start: usize) -> Read<usize> {
        let mut pos = self.fast(place, start)?;
        while pos < place.end {
            match self.field(place, pos)? {
                Next::Field(next) => pos = next,
                Next::GroupEnd(next) => return Ok(next),
            }
        }
        if place.group != 0 {
            return fault(DecodeErrorKind::Truncated, place.end);
        }
        Ok(pos)
    }

    /// Reads one field with all checks.
    #[inline(never)]
    pub(super) fn field(&mut self, place: Place<'a>, field_start: usize) -> Read<Next> {
        let buf = self.buf;
        let Place { node, row, end, .. } = place;
        let first = buf[field_start];
        let (op, tag, pos) = if first < 0x80 {
            (node.direct[first as usize], u32::from(first), field_start + 1)
        } else {
            let (tag, pos) = long_tag(buf, field_start, end)?;
            (*node.op(tag), tag, pos)
        };
        let read = match op.kind {
            OpKind::SkipVarint => wire::skip_varint(buf, pos, end),
            OpKind::SkipFixed64 => skip_bytes(pos, 8, end),
            OpKind::SkipFixed32 => skip_bytes(pos, 4, end),
            OpKind::SkipLen => wire::content(buf, pos, end).map(|(_, next)| next),
            OpKind::GroupEnd => {
                if place.group != tag >> 3 {
                    return fault(DecodeErrorKind::GroupUnbalanced, field_start);
                }
                return Ok(Next::GroupEnd(pos));
            }
            kind if is_scalar(kind) => self.scalar(op, row, pos, end),
            _ => self.rare(place, op, tag, field_start, pos),
        };
        read.map(Next::Field).map_err(|fault| locate(fault, node, tag))
    }

    /// A value that is one number, text, bytes or timestamp, into its column at `row`.
    #[inline(always)]
    pub(super) fn scalar(&mut self, op: Op, row: usize, pos: usize, end: usize) -> Read<usize> {
        let buf = self.buf;
        let slot = op.slot as usize;
        macro_rules! put {
            ($pool:ident, $value:expr) => {
                self.columns.$pool[slot].values[row] = $value
            };
        }
        let next = match op.kind {
            OpKind::Int32 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i32s, value as i32);
                next
            }
            OpKind::Int64 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i64s, value as i64);
                next
            }
            OpKind::Double => {
                let (value, next) = wire::fixed64(buf, pos, end)?;
                put!(f64s, f64::from_bits(value));
                next
            }
            OpKind::Enum => {
                let (value, next) = wire::varint(buf, pos, end)?;
                let key = match self.program.enums[op.extra as usize].key(value as i32) {
                    Some(key) => key,
                    None => self.unknown_enum_key(op.extra, value as i32),
                };
                put!(i32s, key);
                next
            }
            OpKind::Text => {
                let (start, next) = wire::content(buf, pos, end)?;
                if !wire::is_utf8(&buf[start..next]) {
                    return fault(DecodeErrorKind::Utf8, start);
                }
                put!(views, view(buf, start, next - start, 0));
                next
            }
            OpKind::Timestamp => self.timestamp(op.slot, row, pos, end)?,
            OpKind::Bool => {
                let (value, next) = wire::varint(buf, pos, end)?;
                self.columns.bits[slot].put(row, value != 0);
                next
            }
            OpKind::Float => {
                let (value, next) = wire::fixed32(buf, pos, end)?;
                put!(f32s, f32::from_bits(value));
                next
            }
            OpKind::Uint32 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i64s, i64::from(value as u32));
                next
            }
            OpKind::Uint64 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i128s, i128::from(value));
                next
            }
            OpKind::Sint32 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i32s, wire::zigzag32(value));
                next
            }
            OpKind::Sint64 => {
                let (value, next) = wire::varint(buf, pos, end)?;
                put!(i64s, wire::zigzag64(value));
                next
            }
            OpKind::Fixed32 => {
                let (value, next) = wire::fixed32(buf, pos, end)?;
                put!(i64s, i64::from(value));
                next
            }
            OpKind::Fixed64 => {
                let (value, next) = wire::fixed64(buf, pos, end)?;
                put!(i128s, i128::from(value));
                next
            }
            OpKind::Sfixed32 => {
                let (value, next) = wire::fixed32(buf, pos, end)?;
                put!(i32s, value as i32);
                next
            }
            OpKind::Sfixed64 => {
                let (value, next) = wire::fixed64(buf, pos, end)?;
                put!(i64s, value as i64);
                next
            }
            _ => {
                let (start, next) = wire::content(buf, pos, end)?;
                put!(views, view(buf, start, next - start, 0));
                next
            }
        };
        self.mark(op, row);
        Ok(next)
    }

    /// Says that the row has the value.
    #[inline(always)]
    pub(super) fn mark(&mut self, op: Op, row: usize) {
        if op.valid != NONE {
            self.columns.bits[op.valid as usize].set(row);
        }
    }

    /// Unsets the members of a oneof but the one with the bitmap `valid`.
    #[inline(never)]
    pub(super) fn clear_others(&mut self, oneof: u16, valid: u16, row: usize) {
        for member in &self.program.oneofs[oneof as usize] {
            if member.valid != valid && self.columns.bits[member.valid as usize].get(row) {
                for column in &member.columns {
                    self.columns.reset(self.program, *column, row, row + 1);
                }
            }
        }
    }

    #[cold]
    pub(super) fn unknown_enum_key(&mut self, table: u16, number: i32) -> i32 {
        self.unknown_enum_values += 1;
        let names = self.program.enums[table as usize].names.len();
        let extras = &mut self.extras[table as usize];
        *extras.keys.entry(number).or_insert_with(|| {
            extras.numbers.push(number);
            self.named.push(table);
            (names + extras.numbers.len() - 1) as i32
        })
    }

    #[inline(always)]
    pub(super) fn timestamp(&mut self, slot: u16, row: usize, pos: usize, end: usize) -> Read<usize> {
        let buf = self.buf;
        let (start, stop) = wire::content(buf, pos, end)?;
        let mut stamp = self.columns.stamps[slot as usize];
        if stamp.row != row {
            stamp = Stamp { row, seconds: 0, nanos: 0 };
        }
        let mut at = start;
        while at < stop {
            match buf[at] {
                0x08 => {
                    let (value, next) = wire::varint(buf, at + 1, stop)?;
                    stamp.seconds = value as i64;
                    at = next;
                }
                0x10 => {
                    let (value, next) = wire::varint(buf, at + 1, stop)?;
                    stamp.nanos = value as i32;
                    at = next;
                }
                _ => at = timestamp_other(buf, at, stop, &mut stamp)?,
            }
        }
        let plan = self.program.stamps[slot as usize];
        if plan.micros != NONE {
            let micros = if is_in_range(stamp.seconds, stamp.nanos) {
                micros(stamp.seconds, stamp.nanos)
            } else {
                self.suspects.push(Suspect { stamp: slot, row, at: start });
                OUT_OF_RANGE
            };
            self.columns.i64s[plan.micros as usize].values[row] = micros;
        }
        if plan.seconds != NONE {
            self.columns.i64s[plan.seconds as usize].values[row] = stamp.seconds;
        }
        if plan.nanos != NONE {
            self.columns.i32s[plan.nanos as usize].values[row] = stamp.nanos;
        }
        self.columns.stamps[slot as usize] = stamp;
        Ok(stop)
    }

    /// A message field, merged into what the row already has of it.
    pub(super) fn nested(&mut self, place: Place<'a>, op: Op, row: usize, pos: usize) -> Read<usize> {
        let (start, end) = wire::content(self.buf, pos, place.end)?;
        self.mark(op, row);
        let node = &self.program.nodes[op.slot as usize];
        let depth_left = deeper(place.depth_left, pos)?;
        self.message(Place { node, row, end, group: 0, depth_left }, start)
    }
}

/// Whether a timestamp is in the years 1 to 9999, as its definition says.
#[inline(always)]
pub(super) fn is_in_range(seconds: i64, nanos: i32) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&seconds) && (0..=999_999_999).contains(&nanos)
}

#[inline(always)]
pub(super) fn micros(seconds: i64, nanos: i32) -> i64 {
    seconds * 1_000_000 + i64::from(nanos / 1_000)
}

#[inline(always)]
fn is_scalar(kind: OpKind) -> bool {
    (kind as u8) >= OpKind::Int32 as u8 && (kind as u8) <= OpKind::Binary as u8
}

#[inline(always)]
fn skip_bytes(pos: usize, count: usize, end: usize) -> Read<usize> {
    if pos + count > end {
        return fault(DecodeErrorKind::Truncated, end);
    }
    Ok(pos + count)
}

/// A tag of two or more bytes.
#[inline(always)]
fn long_tag(buf: &[u8], pos: usize, end: usize) -> Read<(u32, usize)> {
    if let Some(&second) = buf.get(pos + 1)
        && second < 0x80
        && pos + 2 <= end
    {
        return Ok((u32::from(buf[pos] & 0x7f) | u32::from(second) << 7, pos + 2));
    }
    let (number, wire_type, next) = wire::tag(buf, pos, end)?;
    Ok((number << 3 | u32::from(wire_type), next))
}

pub(super) fn deeper(depth_left: u32, pos: usize) -> Read<u32> {
    match depth_left.checked_sub(1) {
        Some(left) => Ok(left),
        None => fault(DecodeErrorKind::TooDeep(0), pos),
    }
}

#[cold]
#[inline(never)]
fn timestamp_other(buf: &[u8], at: usize, stop: usize, stamp: &mut Stamp) -> Read<usize> {
    let (number, wire_type, next) = wire::tag(buf, at, stop)?;
    match (number, wire_type) {
        (1, wire::VARINT) => {
            let (value, next) = wire::varint(buf, next, stop)?;
            stamp.seconds = value as i64;
            Ok(next)
        }
        (2, wire::VARINT) => {
            let (value, next) = wire::varint(buf, next, stop)?;
            stamp.nanos = value as i32;
            Ok(next)
        }
        _ => wire::skip(buf, next, stop, number, wire_type, 1),
    }
}

/// Puts the name of the field around a fault.
#[cold]
#[inline(never)]
pub(super) fn locate(mut fault: Box<Fault>, node: &Node, tag: u32) -> Box<Fault> {
    if tag >> 3 != 0 {
        fault.path.push(node.name(tag >> 3));
    }
    fault
}

/// The Arrow view of `buf[start..start + len]`, which is in buffer `buffer` of the column: text of up to 12 bytes is in the
/// view itself. See <https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout>.
#[inline(always)]
pub(crate) fn view(buf: &[u8], start: usize, len: usize, buffer: u32) -> u128 {
    if len <= 12 {
        let text = match buf.get(start..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(bytes) => u128::from_le_bytes(*bytes) & ((1 << (len * 8)) - 1),
            None => {
                let mut bytes = [0; 16];
                bytes[..len].copy_from_slice(&buf[start..start + len]);
                u128::from_le_bytes(bytes)
            }
        };
        return text << 32 | len as u128;
    }
    let prefix = u32::from_le_bytes([buf[start], buf[start + 1], buf[start + 2], buf[start + 3]]);
    len as u128 | u128::from(prefix) << 32 | u128::from(buffer) << 64 | (start as u128) << 96
}
