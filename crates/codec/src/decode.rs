//! Records to columns: the public decoder and the loop over the wire bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;

use crate::columns::{Columns, Stamp};
use crate::error::{CompileError, DecodeError, DecodeErrorKind, RecordError};
use crate::limits::{Limits, NULL_SPAN};
use crate::program::{NONE, Node, Op, OpKind, Program};
use crate::projection::Projection;
use crate::wire::{self, Fault, Read, fault};
use crate::{finish, json, shape};

/// How records are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    pub limits: Limits,
    /// Every message, the record itself and those nested in it, gets a nullable binary column
    /// [`UNKNOWN_COLUMN`](crate::UNKNOWN_COLUMN) with the fields that its type does not have, as they were on the wire.
    pub keep_unknown: bool,
    /// A field with a declared default (proto2) is that default where it is absent; otherwise it is NULL there.
    pub declared_defaults: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), keep_unknown: false, declared_defaults: true }
    }
}

/// The plan to decode records of one message type into the columns of one projection. A clone shares it.
#[derive(Debug, Clone)]
pub struct DecodeProgram {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: Program,
    limits: Limits,
}

impl DecodeProgram {
    pub fn compile(
        message: &MessageDescriptor,
        projection: &Projection,
        options: &DecodeOptions,
    ) -> Result<Self, CompileError> {
        let shape = shape::shape(message, projection, &options.limits, options.declared_defaults)?;
        let program = Program::compile(&shape, options.keep_unknown, options.declared_defaults)?;
        Ok(Self { inner: Arc::new(Inner { program, limits: options.limits }) })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.program.schema
    }

    pub fn decoder(&self) -> Decoder {
        let program = &self.inner.program;
        Decoder {
            columns: Columns::new(program),
            extras: (0..program.enums.len()).map(|_| EnumExtras::default()).collect(),
            inner: Arc::clone(&self.inner),
        }
    }
}

/// Decodes slab after slab with one program.
#[derive(Debug)]
pub struct Decoder {
    inner: Arc<Inner>,
    columns: Columns,
    /// By enum table.
    extras: Vec<EnumExtras>,
}

/// The numbers of an enum that this batch met and its type does not name.
#[derive(Debug, Default)]
pub(crate) struct EnumExtras {
    keys: HashMap<i32, i32>,
    pub numbers: Vec<i32>,
}

/// The outcome of one slab.
#[derive(Debug)]
pub struct Decoded {
    /// One row per good record.
    pub batch: RecordBatch,
    /// The index of the span of each row; `None` when every span is a row, in order.
    pub rows: Option<Vec<u32>>,
    /// The broken records, by index.
    pub errors: Vec<RecordError>,
    /// How many enum values of good records had a number that the type does not name.
    pub unknown_enum_values: u64,
}

impl Decoder {
    /// Decodes the records at `spans` (start, length) of `data`. Text and bytes columns point into `data`.
    pub fn decode(&mut self, data: &Bytes, spans: &[(u32, u32)]) -> Decoded {
        let Inner { program, limits } = &*self.inner;
        self.columns.begin(program, spans.len());
        let mut run = Run {
            program,
            columns: &mut self.columns,
            extras: &mut self.extras,
            buf: data,
            elements_left: 0,
            elements_max: limits.elements_max,
            unknown_enum_values: 0,
            entry_rejected: false,
            suspects: Vec::new(),
        };
        let mut errors = Vec::new();
        let mut rows: Option<Vec<u32>> = None;
        let mut unknown_enum_values = 0;
        let mut row = 0;
        for (index, &(start, len)) in spans.iter().enumerate() {
            let index = index as u32;
            let good = if len == NULL_SPAN {
                false
            } else {
                match run.record(row, start as usize, len, limits) {
                    Ok(()) => true,
                    Err(fault) => {
                        run.take_back(row);
                        errors.push(RecordError { index, error: record_error(*fault, start as usize) });
                        false
                    }
                }
            };
            if good {
                unknown_enum_values += run.unknown_enum_values;
                if let Some(rows) = &mut rows {
                    rows.push(index);
                }
                row += 1;
            } else if rows.is_none() {
                rows = Some((0..index).collect());
            }
        }
        self.columns.domains[0].rows = row;
        let batch = finish::batch(program, &mut self.columns, &mut self.extras, data, row);
        self.columns.end();
        Decoded { batch, rows, errors, unknown_enum_values }
    }
}

#[cold]
fn record_error(fault: Fault, record_start: usize) -> DecodeError {
    let Fault { kind, at, mut path } = fault;
    path.reverse();
    DecodeError {
        kind,
        offset: at.saturating_sub(record_start) as u32,
        field: (!path.is_empty()).then(|| path.join(".")),
    }
}

/// One pass over a slab.
pub(crate) struct Run<'a> {
    pub program: &'a Program,
    pub columns: &'a mut Columns,
    extras: &'a mut [EnumExtras],
    pub buf: &'a [u8],
    elements_left: usize,
    elements_max: usize,
    unknown_enum_values: u64,
    /// The map entry that is being read has an unknown value of a closed enum.
    entry_rejected: bool,
    suspects: Vec<Suspect>,
}

/// What a timestamp out of range has in its column until the end of its record.
const OUT_OF_RANGE: i64 = i64::MIN;

/// A timestamp that was out of range when it was read. A later occurrence in the record may have replaced it.
#[derive(Debug)]
struct Suspect {
    stamp: u16,
    row: usize,
    at: usize,
}

/// What came behind a field.
pub(crate) enum Next {
    Field(usize),
    /// The end tag of the group that the message is in; the position behind it.
    GroupEnd(usize),
}

/// Where a message is being read from and into.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub node: &'a Node,
    pub row: usize,
    pub end: usize,
    /// Field number of the group that this message is the content of; 0 for none.
    group: u32,
    depth_left: u32,
}

impl<'a> Run<'a> {
    #[inline(always)]
    fn record(&mut self, row: usize, start: usize, len: u32, limits: &Limits) -> Read<()> {
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
        let place = Place { node: &self.program.nodes[0], row, end, group: 0, depth_left: limits.depth_max };
        self.message(place, start)?;
        if self.suspects.is_empty() { Ok(()) } else { self.check_suspects() }
    }

    /// Whether a timestamp that the record ends with is out of range.
    #[cold]
    #[inline(never)]
    fn check_suspects(&mut self) -> Read<()> {
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
    fn take_back(&mut self, row: usize) {
        self.columns.truncate(self.program, 0, row);
        self.entry_rejected = false;
        self.suspects.clear();
    }

    /// Reads the fields of a message up to its end; gives the position behind it.
    fn message(&mut self, place: Place<'a>, start: usize) -> Read<usize> {
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
    pub(crate) fn field(&mut self, place: Place<'a>, field_start: usize) -> Read<Next> {
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
    fn scalar(&mut self, op: Op, row: usize, pos: usize, end: usize) -> Read<usize> {
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
    fn mark(&mut self, op: Op, row: usize) {
        if op.valid != NONE {
            self.columns.bits[op.valid as usize].set(row);
        }
    }

    /// Unsets the members of a oneof but the one with the bitmap `valid`.
    #[inline(never)]
    fn clear_others(&mut self, oneof: u16, valid: u16, row: usize) {
        for member in &self.program.oneofs[oneof as usize] {
            if member.valid != valid && self.columns.bits[member.valid as usize].get(row) {
                for column in &member.columns {
                    self.columns.reset(self.program, *column, row, row + 1);
                }
            }
        }
    }

    #[cold]
    fn unknown_enum_key(&mut self, table: u16, number: i32) -> i32 {
        self.unknown_enum_values += 1;
        let names = self.program.enums[table as usize].names.len();
        let extras = &mut self.extras[table as usize];
        *extras.keys.entry(number).or_insert_with(|| {
            extras.numbers.push(number);
            (names + extras.numbers.len() - 1) as i32
        })
    }

    #[inline(always)]
    fn timestamp(&mut self, slot: u16, row: usize, pos: usize, end: usize) -> Read<usize> {
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
    pub(crate) fn nested(&mut self, place: Place<'a>, op: Op, row: usize, pos: usize) -> Read<usize> {
        let (start, end) = wire::content(self.buf, pos, place.end)?;
        self.mark(op, row);
        let node = &self.program.nodes[op.slot as usize];
        let depth_left = deeper(place.depth_left, pos)?;
        self.message(Place { node, row, end, group: 0, depth_left }, start)
    }

    /// Everything that is not in the fast path. `field_start`: position of the tag.
    #[inline(never)]
    fn rare(&mut self, place: Place<'a>, op: Op, tag: u32, field_start: usize, pos: usize) -> Read<usize> {
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

/// Whether a timestamp is in the years 1 to 9999, as its definition says.
#[inline(always)]
pub(crate) fn is_in_range(seconds: i64, nanos: i32) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&seconds) && (0..=999_999_999).contains(&nanos)
}

#[inline(always)]
pub(crate) fn micros(seconds: i64, nanos: i32) -> i64 {
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

fn deeper(depth_left: u32, pos: usize) -> Read<u32> {
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
pub(crate) fn locate(mut fault: Box<Fault>, node: &Node, tag: u32) -> Box<Fault> {
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

impl EnumExtras {
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.numbers.clear();
    }
}
