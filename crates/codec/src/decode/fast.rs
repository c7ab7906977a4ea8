//! The hot loop: the fields that most records consist of, with as few checks as can be.
//!
//! It reads ahead without asking whether the field still is in its message: [`AHEAD`] bytes behind the position belong to the
//! slab, whatever they are, and a field that ran over the end of its message is seen when the loop ends. Such a field is read
//! again by [`Run::field`], which says what is wrong; what the first reading has written is taken back with the record.

use super::read::{Next, Place, Run, is_in_range, locate, micros, view};
use crate::columns::{Bits, Fixed};
use crate::error::DecodeErrorKind;
use crate::program::{NONE, Node, Op, OpKind};
use crate::wire::{self, Read, fault};

/// Within so many bytes of a field's tag the hot loop reads without looking where the slab ends.
const AHEAD: usize = 32;

/// What [`Run::step`] gives for a field that it leaves to [`Run::field`].
const LEFT: usize = usize::MAX;

const STOPS: u64 = 0x8080_8080_8080_8080;

/// # Safety
/// Eight bytes from `at` are in `buf`.
#[inline(always)]
unsafe fn load(buf: &[u8], at: usize) -> u64 {
    debug_assert!(at + 8 <= buf.len());
    // SAFETY: the caller vouches for the eight bytes; they need not be aligned.
    u64::from_le(unsafe { buf.as_ptr().add(at).cast::<u64>().read_unaligned() })
}

/// # Safety
/// `op.slot` is a column of this vector in the domain of `row`, and `row` is open, so that the column has room for it.
#[inline(always)]
unsafe fn put<T>(columns: &mut [Fixed<T>], op: &Op, row: usize, value: T) {
    debug_assert!(row < columns[op.slot as usize].values.len());
    // SAFETY: slots are given out by the compiler of the program; all columns of a domain are as long as it has room.
    unsafe { *columns.get_unchecked_mut(op.slot as usize).values.get_unchecked_mut(row) = value }
}

/// # Safety
/// As for [`put`], with `op.valid` unless it is `NONE`.
#[inline(always)]
unsafe fn mark(bits: &mut [Bits], op: &Op, row: usize) {
    if op.valid != NONE {
        debug_assert!(row >> 3 < bits[op.valid as usize].bytes.len());
        // SAFETY: as for `put`.
        unsafe { *bits.get_unchecked_mut(op.valid as usize).bytes.get_unchecked_mut(row >> 3) |= 1 << (row & 7) }
    }
}

/// A varint of up to eight bytes that are the low ones of `word`: the value and its length. Without a branch per byte, as the
/// lengths of ids and amounts cannot be guessed.
#[inline(always)]
fn varint(word: u64) -> Option<(u64, usize)> {
    let stops = !word & STOPS;
    if stops == 0 {
        return None;
    }
    let len = (stops.trailing_zeros() as usize + 1) / 8;
    Some((wire::squeeze(word & (stops ^ (stops - 1)) & !STOPS), len))
}

impl<'a> Run<'a> {
    /// Reads fields while they are far enough from the end of the slab. Gives the position of the next field, which is not
    /// behind the end of the message.
    #[inline(always)]
    pub(super) fn fast(&mut self, place: Place<'a>, start: usize) -> Read<usize> {
        let end = place.end;
        let fast_end = end.min(self.buf.len().saturating_sub(AHEAD));
        let mut pos = start;
        let mut field_start = start;
        while pos < fast_end {
            field_start = pos;
            // SAFETY: pos < fast_end, so that AHEAD bytes from pos are in the slab.
            let next = unsafe { self.step(place, pos, fast_end)? };
            if next != LEFT {
                pos = next;
                continue;
            }
            match self.field(place, field_start)? {
                Next::Field(next) => pos = next,
                // The caller reads it again, which changes nothing.
                Next::GroupEnd(_) => return Ok(field_start),
            }
        }
        if pos > end {
            // The last field ran over the end; reading it with all checks says how.
            self.field(place, field_start)?;
            return fault(DecodeErrorKind::Truncated, end);
        }
        Ok(pos)
    }

    /// Reads one field of a frequent kind and gives the position behind it, which may be behind the end of the message; or
    /// `LEFT`. `fast_end` is not behind the end of the message.
    ///
    /// # Safety
    /// `AHEAD` bytes from `pos` are in the slab.
    #[inline(always)]
    unsafe fn step(&mut self, place: Place<'a>, pos: usize, fast_end: usize) -> Read<usize> {
        let buf = self.buf;
        let Place { node, row, end, .. } = place;
        // SAFETY: within AHEAD bytes of pos.
        let head = unsafe { load(buf, pos) };
        let (op, at): (&Op, usize) = if head & 0x80 == 0 {
            (&node.direct[(head & 0x7f) as usize], pos + 1)
        } else if head & 0x8000 == 0 {
            (node.op((head & 0x7f | (head >> 8 & 0x7f) << 7) as u32), pos + 2)
        } else {
            return Ok(LEFT);
        };
        // SAFETY: within AHEAD bytes of pos.
        let word = unsafe { load(buf, at) };
        let one_byte = word & 0x80 == 0;
        let columns = &mut *self.columns;
        macro_rules! done {
            ($pool:ident, $value:expr, $next:expr) => {{
                // SAFETY: the operation belongs to the node, the row to the node's domain.
                unsafe {
                    put(&mut columns.$pool, op, row, $value);
                    mark(&mut columns.bits, op, row);
                }
                $next
            }};
        }
        macro_rules! number {
            ($pool:ident, $convert:expr) => {
                match varint(word) {
                    Some((value, len)) => done!($pool, $convert(value), at + len),
                    None => LEFT,
                }
            };
        }
        Ok(match op.kind {
            OpKind::SkipLen if one_byte => at + 1 + (word & 0x7f) as usize,
            OpKind::SkipVarint => match (!word & STOPS).trailing_zeros() {
                64 => LEFT,
                bit => at + (bit as usize + 1) / 8,
            },
            OpKind::SkipFixed64 => at + 8,
            OpKind::SkipFixed32 => at + 4,
            OpKind::Double => done!(f64s, f64::from_bits(word), at + 8),
            OpKind::Float => done!(f32s, f32::from_bits(word as u32), at + 4),
            OpKind::Enum if one_byte => match self.program.enums[op.extra as usize].key(word as i32 & 0x7f) {
                Some(key) => done!(i32s, key, at + 1),
                None => LEFT,
            },
            OpKind::Int32 => number!(i32s, |value| value as i32),
            OpKind::Int64 => number!(i64s, |value| value as i64),
            OpKind::Uint32 => number!(i64s, |value| i64::from(value as u32)),
            OpKind::Uint64 => number!(i128s, i128::from),
            OpKind::Sint32 => number!(i32s, wire::zigzag32),
            OpKind::Sint64 => number!(i64s, wire::zigzag64),
            OpKind::Fixed32 => done!(i64s, i64::from(word as u32), at + 4),
            OpKind::Fixed64 => done!(i128s, i128::from(word), at + 8),
            OpKind::Sfixed32 => done!(i32s, word as i32, at + 4),
            OpKind::Sfixed64 => done!(i64s, word as i64, at + 8),
            OpKind::Bool if one_byte => {
                columns.bits[op.slot as usize].put(row, word & 0x7f != 0);
                // SAFETY: as in `done`.
                unsafe { mark(&mut columns.bits, op, row) };
                at + 1
            }
            OpKind::Text | OpKind::Binary if one_byte => {
                let (from, len) = (at + 1, (word & 0x7f) as usize);
                if from + len > end {
                    return Ok(LEFT);
                }
                // SAFETY: from + len <= end <= buf.len().
                let text = unsafe { buf.get_unchecked(from..from + len) };
                if op.kind == OpKind::Text && !wire::is_utf8(text) {
                    return Ok(LEFT);
                }
                done!(views, view(buf, from, len, 0), from + len)
            }
            OpKind::Timestamp if one_byte => {
                let (from, to) = (at + 1, at + 1 + (word & 0x7f) as usize);
                if to > fast_end {
                    return Ok(LEFT);
                }
                // SAFETY: `to`, and therefore every position in the timestamp, is before fast_end.
                unsafe { self.plain_stamp(op, row, from, to) }
            }
            OpKind::Message => match self.nested(place, *op, row, at) {
                Ok(next) => next,
                Err(fault) => return Err(locate_head(fault, node, head)),
            },
            _ => LEFT,
        })
    }

    /// A timestamp in its usual form, seconds and then nanos or nothing, at `from..to`: gives `to`, or `LEFT`.
    ///
    /// # Safety
    /// `AHEAD` bytes from each position in `from..to` are in the slab.
    #[inline(always)]
    unsafe fn plain_stamp(&mut self, op: &Op, row: usize, from: usize, to: usize) -> usize {
        // SAFETY: two bytes of length and tag, and eight of a varint.
        let (head, word) = unsafe { (load(self.buf, from), load(self.buf, from + 1)) };
        let Some((seconds, len)) = varint(word) else { return LEFT };
        let at = from + 1 + len;
        let mut nanos = 0;
        if at != to {
            // SAFETY: at most nine bytes behind `from`.
            let rest = unsafe { load(self.buf, at) };
            // The eighth byte is not in the word: nanos that are so long are left.
            let Some((value, len)) = varint(rest >> 8).filter(|(_, len)| *len < 8) else { return LEFT };
            if rest & 0xff != 0x10 || at + 1 + len != to {
                return LEFT;
            }
            nanos = value as i32;
        }
        let plan = self.program.stamps[op.slot as usize];
        let stamp = &mut self.columns.stamps[op.slot as usize];
        if head & 0xff != 0x08 || stamp.row == row || !is_in_range(seconds as i64, nanos) {
            return LEFT;
        }
        stamp.row = row;
        stamp.seconds = seconds as i64;
        stamp.nanos = nanos;
        if plan.micros != NONE {
            self.columns.i64s[plan.micros as usize].values[row] = micros(seconds as i64, nanos);
        }
        if plan.seconds != NONE {
            self.columns.i64s[plan.seconds as usize].values[row] = seconds as i64;
        }
        if plan.nanos != NONE {
            self.columns.i32s[plan.nanos as usize].values[row] = nanos;
        }
        // SAFETY: the operation belongs to the node, the row to the node's domain.
        unsafe { mark(&mut self.columns.bits, op, row) };
        to
    }
}

#[cold]
#[inline(never)]
fn locate_head(fault: Box<wire::Fault>, node: &Node, head: u64) -> Box<wire::Fault> {
    let tag = if head & 0x80 == 0 { head & 0x7f } else { head & 0x7f | (head >> 8 & 0x7f) << 7 };
    locate(fault, node, tag as u32)
}
