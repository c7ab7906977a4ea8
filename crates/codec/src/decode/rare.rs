//! The fields that are not in the hot loop: lists, maps, oneofs, closed enums, groups, well-known types, unknown fields.

use super::read::{Place, Run, deeper};
use crate::error::DecodeErrorKind;
use crate::json;
use crate::program::{NONE, Op, OpKind};
use crate::wire::{self, Read, fault};

impl<'a> Run<'a> {
    /// Everything that is not in the fast path. `field_start`: position of the tag.
    #[inline(never)]
    pub(super) fn rare(&mut self, place: Place<'a>, op: Op, tag: u32, field_start: usize, pos: usize) -> Read<usize> {
        let (buf, end, row) = (self.buf, place.end, place.row);
        match op.kind {
            OpKind::List => self.item(place, op, tag, field_start, pos),
            OpKind::Packed => self.packed(place, op, tag, pos),
            OpKind::Map => self.map_entry(place, op, field_start, pos),
            OpKind::EnumClosed => {
                let (value, next) = wire::varint(buf, pos, end)?;
                match self.program.enums[op.extra as usize].key(value as i32) {
                    Some(key) => {
                        self.columns.i32s[op.slot as usize].values[row] = key;
                        self.mark(op, row);
                    }
                    None => {
                        self.unknown_enum_values += 1;
                        self.keep_unknown(place, field_start, next)?;
                    }
                }
                Ok(next)
            }
            OpKind::EnumClosedEntry => {
                let (value, next) = wire::varint(buf, pos, end)?;
                match self.program.enums[op.extra as usize].key(value as i32) {
                    Some(key) => self.columns.i32s[op.slot as usize].values[row] = key,
                    None => {
                        self.unknown_enum_values += 1;
                        self.entry_rejected = true;
                    }
                }
                Ok(next)
            }
            OpKind::Member => {
                let (member, oneof) = self.program.members[op.slot as usize];
                if member.kind == OpKind::EnumClosed {
                    let (value, _) = wire::varint(buf, pos, end)?;
                    if self.program.enums[member.extra as usize].key(value as i32).is_some() {
                        self.clear_others(oneof, op.valid, row);
                    }
                } else {
                    self.clear_others(oneof, op.valid, row);
                }
                self.rare(place, member, tag, field_start, pos)
            }
            OpKind::ClearOneof => {
                let next = wire::skip(buf, pos, end, tag >> 3, op.wire_type, place.depth_left)?;
                self.clear_others(op.slot, NONE, row);
                Ok(next)
            }
            OpKind::Unknown => {
                let next = wire::skip(buf, pos, end, tag >> 3, op.wire_type, place.depth_left)?;
                self.keep_unknown(place, field_start, next)?;
                Ok(next)
            }
            OpKind::SkipGroup => wire::skip_group(buf, pos, end, tag >> 3, place.depth_left).map(|(_, next)| next),
            OpKind::BadWireType => fault(DecodeErrorKind::WireType((tag & 7) as u8), field_start),
            OpKind::BadFieldNumber => fault(DecodeErrorKind::FieldNumber, field_start),
            _ => self.value(place, op, tag, row, pos),
        }
    }

    /// One value of any kind but closed enums, into its columns at `row`.
    #[inline(never)]
    fn value(&mut self, place: Place<'a>, op: Op, tag: u32, row: usize, pos: usize) -> Read<usize> {
        let (buf, end) = (self.buf, place.end);
        match op.kind {
            OpKind::Message => self.nested(place, op, row, pos),
            OpKind::Group => {
                self.mark(op, row);
                let node = &self.program.nodes[op.slot as usize];
                let depth_left = deeper(place.depth_left, pos)?;
                self.message(Place { node, row, end, group: tag >> 3, depth_left }, pos)
            }
            OpKind::Wrapper => {
                let (start, stop) = wire::content(buf, pos, end)?;
                self.mark(op, row);
                let inner = self.program.wrappers[op.slot as usize];
                let mut at = start;
                while at < stop {
                    let (number, wire_type, next) = wire::tag(buf, at, stop)?;
                    at = if number == 1 && wire_type == inner.wire_type {
                        self.scalar(inner, row, next, stop)?
                    } else {
                        wire::skip(buf, next, stop, number, wire_type, place.depth_left)?
                    };
                }
                Ok(stop)
            }
            OpKind::Json => {
                let (start, stop) = wire::content(buf, pos, end)?;
                let (column, kind) = self.program.jsons[op.slot as usize];
                json::check(kind, buf, start, stop, place.depth_left)?;
                self.mark(op, row);
                self.append(column, row, start, stop)?;
                Ok(stop)
            }
            OpKind::Opaque => {
                let (start, stop) = wire::content(buf, pos, end)?;
                self.mark(op, row);
                self.append(op.slot, row, start, stop)?;
                Ok(stop)
            }
            OpKind::OpaqueGroup => {
                let (stop, next) = wire::skip_group(buf, pos, end, tag >> 3, place.depth_left)?;
                self.mark(op, row);
                self.append(op.slot, row, pos, stop)?;
                Ok(next)
            }
            _ => self.scalar(op, row, pos, end),
        }
    }

    fn append(&mut self, column: u16, row: usize, start: usize, stop: usize) -> Read<()> {
        if self.columns.bytes[column as usize].append(row, &self.buf[start..stop]) {
            return Ok(());
        }
        fault(DecodeErrorKind::ColumnTooLarge, start)
    }

    fn keep_unknown(&mut self, place: Place<'a>, start: usize, stop: usize) -> Read<()> {
        if place.node.unknown == NONE {
            return Ok(());
        }
        self.append(place.node.unknown, place.row, start, stop)
    }

    /// Opens one more item of a list in the row of `place`.
    #[inline(always)]
    fn open_item(&mut self, list: u16, row: usize, pos: usize) -> Read<usize> {
        let Some(left) = self.elements_left.checked_sub(1) else {
            return fault(DecodeErrorKind::TooManyElements(self.elements_max), pos);
        };
        self.elements_left = left;
        let item = self.columns.open_item(self.program, list, row);
        if item >= i32::MAX as usize {
            return fault(DecodeErrorKind::ColumnTooLarge, pos);
        }
        Ok(item)
    }

    /// One item of a list with a tag of its own.
    fn item(&mut self, place: Place<'a>, op: Op, tag: u32, field_start: usize, pos: usize) -> Read<usize> {
        let item_op = self.program.lists[op.slot as usize].item;
        if item_op.kind == OpKind::EnumClosed {
            let (value, next) = wire::varint(self.buf, pos, place.end)?;
            if self.program.enums[item_op.extra as usize].key(value as i32).is_none() {
                self.unknown_enum_values += 1;
                self.keep_unknown(place, field_start, next)?;
                return Ok(next);
            }
            return self.closed_item(place, op, item_op, value as i32, pos).map(|()| next);
        }
        let item = self.open_item(op.slot, place.row, pos)?;
        self.value(place, item_op, tag, item, pos)
    }

    fn closed_item(&mut self, place: Place<'a>, op: Op, item_op: Op, number: i32, pos: usize) -> Read<()> {
        let item = self.open_item(op.slot, place.row, pos)?;
        let key = self.program.enums[item_op.extra as usize].key(number).unwrap_or(0);
        self.columns.i32s[item_op.slot as usize].values[item] = key;
        Ok(())
    }

    /// The items of a list in one length-delimited field.
    fn packed(&mut self, place: Place<'a>, op: Op, tag: u32, pos: usize) -> Read<usize> {
        let (start, stop) = wire::content(self.buf, pos, place.end)?;
        let item_op = self.program.lists[op.slot as usize].item;
        let mut at = start;
        if item_op.kind == OpKind::EnumClosed {
            while at < stop {
                let (value, next) = wire::varint(self.buf, at, stop)?;
                if self.program.enums[item_op.extra as usize].key(value as i32).is_some() {
                    self.closed_item(place, op, item_op, value as i32, at)?;
                } else {
                    self.unknown_enum_values += 1;
                    self.keep_unknown_item(place, tag, at, next)?;
                }
                at = next;
            }
            return Ok(stop);
        }
        let size = match item_op.wire_type {
            wire::FIXED64 => 8,
            wire::FIXED32 => 4,
            _ => 1,
        };
        if !(stop - start).is_multiple_of(size) {
            return fault(DecodeErrorKind::PackedLength, start);
        }
        while at < stop {
            let item = self.open_item(op.slot, place.row, at)?;
            at = self.scalar(item_op, item, at, stop)?;
        }
        Ok(stop)
    }

    /// An item of a packed list on its own, as an unknown field.
    fn keep_unknown_item(&mut self, place: Place<'a>, tag: u32, start: usize, stop: usize) -> Read<()> {
        if place.node.unknown == NONE {
            return Ok(());
        }
        let mut field = Vec::with_capacity(16);
        wire::put_tag(&mut field, tag >> 3, wire::VARINT);
        field.extend_from_slice(&self.buf[start..stop]);
        if self.columns.bytes[place.node.unknown as usize].append(place.row, &field) {
            return Ok(());
        }
        fault(DecodeErrorKind::ColumnTooLarge, start)
    }

    fn map_entry(&mut self, place: Place<'a>, op: Op, field_start: usize, pos: usize) -> Read<usize> {
        let (start, stop) = wire::content(self.buf, pos, place.end)?;
        let list = &self.program.lists[op.slot as usize];
        let item = self.open_item(op.slot, place.row, pos)?;
        let node = &self.program.nodes[list.item.slot as usize];
        let outer = std::mem::replace(&mut self.entry_rejected, false);
        let depth_left = deeper(place.depth_left, pos)?;
        self.message(Place { node, row: item, end: stop, group: 0, depth_left }, start)?;
        if std::mem::replace(&mut self.entry_rejected, outer) {
            self.columns.truncate(self.program, list.domain, item);
            self.keep_unknown(place, field_start, stop)?;
        }
        Ok(stop)
    }
}
