//! The decoder's columns become the Arrow arrays of a batch. Nothing is copied but the names of unknown enum numbers and
//! maps with a key that occurs twice.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, MapArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray, StringViewArray, StringViewBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, FieldRef, Fields, Int32Type};
use bytes::Bytes;

use crate::columns::{Columns, Fixed};
use crate::decode::EnumExtras;
use crate::json;
use crate::program::{NONE, Output, Program, Source};

pub(crate) fn batch(
    program: &Program,
    columns: &mut Columns,
    extras: &mut [EnumExtras],
    data: &Bytes,
    rows: usize,
) -> RecordBatch {
    let enums =
        program.enums.iter().zip(extras.iter()).map(|(table, extras)| enum_names(&table.names, extras)).collect();
    let mut finish = Finish { program, columns, enums, slab: Buffer::from(data.clone()) };
    let arrays: Vec<ArrayRef> = program.outputs.iter().map(|output| finish.array(output, rows)).collect();
    for extras in extras {
        extras.clear();
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    match RecordBatch::try_new_with_options(Arc::clone(&program.schema), arrays, &options) {
        Ok(batch) => batch,
        // Arrays and schema are made from one shape, so that they always fit.
        Err(error) => unreachable!("decoded columns do not fit their schema: {error}"),
    }
}

fn enum_names(names: &ArrayRef, extras: &EnumExtras) -> ArrayRef {
    if extras.numbers.is_empty() {
        return Arc::clone(names);
    }
    let known = names.as_any().downcast_ref::<StringArray>().into_iter().flat_map(|names| names.iter().flatten());
    let numbers: Vec<String> = extras.numbers.iter().map(i32::to_string).collect();
    let all: Vec<&str> = known.chain(numbers.iter().map(String::as_str)).collect();
    Arc::new(StringArray::from(all))
}

struct Finish<'a> {
    program: &'a Program,
    columns: &'a mut Columns,
    /// Dictionary values by enum table.
    enums: Vec<ArrayRef>,
    slab: Buffer,
}

fn take<T>(column: &mut Fixed<T>, rows: usize) -> Vec<T> {
    let mut values = std::mem::take(&mut column.values);
    values.truncate(rows);
    values
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> PrimitiveArray<T> {
    PrimitiveArray::new(ScalarBuffer::from(values), nulls)
}

impl Finish<'_> {
    fn array(&mut self, output: &Output, rows: usize) -> ArrayRef {
        let nulls = self.nulls(output.valid, rows);
        match &output.source {
            Source::I32(slot) => {
                let array: Int32Array = primitive(take(&mut self.columns.i32s[*slot as usize], rows), nulls);
                Arc::new(array)
            }
            Source::I64(slot) => {
                let array: Int64Array = primitive(take(&mut self.columns.i64s[*slot as usize], rows), nulls);
                Arc::new(array)
            }
            Source::F32(slot) => {
                let array: Float32Array = primitive(take(&mut self.columns.f32s[*slot as usize], rows), nulls);
                Arc::new(array)
            }
            Source::F64(slot) => {
                let array: Float64Array = primitive(take(&mut self.columns.f64s[*slot as usize], rows), nulls);
                Arc::new(array)
            }
            Source::Decimal(slot) => {
                let array: Decimal128Array = primitive(take(&mut self.columns.i128s[*slot as usize], rows), nulls);
                Arc::new(array.with_data_type(crate::schema::scalar_type(crate::shape::Scalar::Uint64)))
            }
            Source::Micros(slot) => {
                let values = take(&mut self.columns.i64s[*slot as usize], rows);
                let array: TimestampMicrosecondArray = primitive(values, nulls);
                Arc::new(array)
            }
            Source::Bool(slot) => Arc::new(BooleanArray::new(self.bits(*slot, rows), nulls)),
            Source::Text(slot) => {
                let (views, buffers) = self.views(*slot, rows);
                // SAFETY: every view was made by `decode::view` over a range of the slab that is valid UTF-8 (or, for the
                // default, over the literal), and the buffers are given in the order of their indexes.
                Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) })
            }
            Source::Binary(slot) => {
                let (views, buffers) = self.views(*slot, rows);
                // SAFETY: as above; bytes need not be UTF-8.
                Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) })
            }
            Source::Enum { keys, table } => {
                let keys: Int32Array = primitive(take(&mut self.columns.i32s[*keys as usize], rows), nulls);
                let names = Arc::clone(&self.enums[*table as usize]);
                // SAFETY: keys come from the enum's table or from its extras, and `names` has both.
                Arc::new(unsafe { DictionaryArray::<Int32Type>::new_unchecked(keys, names) })
            }
            Source::Json { bytes, kind } => Arc::new(self.json(*bytes, *kind, rows, nulls)),
            Source::Opaque(slot) => Arc::new(self.binary(*slot, rows, nulls)),
            Source::Unknown(slot) => {
                let array = self.binary(*slot, rows, None);
                let present: NullBuffer = (0..rows).map(|row| array.value_length(row) > 0).collect();
                let (offsets, values, _) = array.into_parts();
                Arc::new(BinaryArray::new(offsets, values, Some(present)))
            }
            Source::Struct { fields, children } => Arc::new(self.fields(fields, children, nulls, rows)),
            Source::List { list, field, item } => {
                let offsets = self.offsets(*list, rows);
                let items = self.columns.domains[self.program.lists[*list as usize].domain as usize].rows;
                let values = self.array(item, items);
                Arc::new(ListArray::new(Arc::clone(field), offsets, values, None))
            }
            Source::Map { list, entries, fields, key, value } => {
                let offsets = self.offsets(*list, rows);
                let items = self.columns.domains[self.program.lists[*list as usize].domain as usize].rows;
                let (keys, values) = (self.array(key, items), self.array(value, items));
                Arc::new(map(entries, fields, offsets, keys, values))
            }
        }
    }

    fn nulls(&mut self, valid: u16, rows: usize) -> Option<NullBuffer> {
        if valid == NONE {
            return None;
        }
        // The parts of one timestamp share their bitmap, so it is not taken.
        let bytes = self.columns.bits[valid as usize].bytes.as_slice();
        let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from(bytes), 0, rows));
        (nulls.null_count() > 0).then_some(nulls)
    }

    fn bits(&mut self, slot: u16, rows: usize) -> BooleanBuffer {
        let bytes = std::mem::take(&mut self.columns.bits[slot as usize].bytes);
        BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows)
    }

    fn views(&mut self, slot: u16, rows: usize) -> (ScalarBuffer<u128>, Vec<Buffer>) {
        let views = take(&mut self.columns.views[slot as usize], rows);
        let literal = &self.program.defaults.views[slot as usize].literal;
        let mut buffers = vec![self.slab.clone()];
        if literal.len() > 12 {
            buffers.push(Buffer::from(literal.as_slice()));
        }
        (ScalarBuffer::from(views), buffers)
    }

    fn binary(&mut self, slot: u16, rows: usize, nulls: Option<NullBuffer>) -> BinaryArray {
        let column = std::mem::take(&mut self.columns.bytes[slot as usize]);
        let offsets = whole_offsets(column.offsets, rows, column.data.len());
        BinaryArray::new(offsets, Buffer::from_vec(column.data), nulls)
    }

    fn json(
        &mut self,
        slot: u16,
        kind: crate::shape::JsonKind,
        rows: usize,
        nulls: Option<NullBuffer>,
    ) -> StringViewArray {
        let bytes = self.binary(slot, rows, nulls);
        let mut texts = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for row in 0..rows {
            if bytes.is_null(row) {
                texts.append_null();
            } else {
                text.clear();
                json::render(kind, bytes.value(row), &mut text);
                texts.append_value(&text);
            }
        }
        texts.finish()
    }

    fn fields(&mut self, fields: &Fields, children: &[Output], nulls: Option<NullBuffer>, rows: usize) -> StructArray {
        if children.is_empty() {
            return StructArray::new_empty_fields(rows, nulls);
        }
        let arrays: Vec<ArrayRef> = children.iter().map(|child| self.array(child, rows)).collect();
        StructArray::new(fields.clone(), arrays, nulls)
    }

    fn offsets(&mut self, list: u16, rows: usize) -> OffsetBuffer<i32> {
        let items = self.columns.domains[self.program.lists[list as usize].domain as usize].rows;
        whole_offsets(std::mem::take(&mut self.columns.lists[list as usize].offsets), rows, items)
    }
}

/// Offsets of all rows, from those of the touched ones.
fn whole_offsets(mut offsets: Vec<i32>, rows: usize, end: usize) -> OffsetBuffer<i32> {
    offsets.resize(rows + 1, end as i32);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

/// A map in which the last entry of a key wins.
fn map(entries: &FieldRef, fields: &Fields, offsets: OffsetBuffer<i32>, keys: ArrayRef, values: ArrayRef) -> MapArray {
    let all = StructArray::new(fields.clone(), vec![keys, values], None);
    let Some(kept) = last_of_key(&offsets, all.column(0)) else {
        return MapArray::new(Arc::clone(entries), offsets, all, None, false);
    };
    let lengths =
        offsets.windows(2).map(|row| kept[row[0] as usize..row[1] as usize].iter().filter(|kept| **kept).count());
    let offsets = OffsetBuffer::from_lengths(lengths);
    let filtered = arrow::compute::filter(&all, &BooleanArray::from(kept));
    let all = match filtered {
        Ok(array) => StructArray::from(array.to_data()),
        // The mask is as long as the array.
        Err(error) => unreachable!("map entries cannot be filtered: {error}"),
    };
    MapArray::new(Arc::clone(entries), offsets, all, None, false)
}

/// Per entry whether it is the last of its key in its row; `None` when all are.
fn last_of_key(offsets: &OffsetBuffer<i32>, keys: &ArrayRef) -> Option<Vec<bool>> {
    let longest = offsets.windows(2).map(|row| row[1] - row[0]).max().unwrap_or(0);
    if longest < 2 {
        return None;
    }
    let mut kept: Option<Vec<bool>> = None;
    let mut seen = std::collections::HashSet::new();
    for row in offsets.windows(2).filter(|row| row[1] - row[0] > 1) {
        seen.clear();
        for entry in (row[0] as usize..row[1] as usize).rev() {
            if !seen.insert(key_bytes(keys, entry)) {
                kept.get_or_insert_with(|| vec![true; keys.len()])[entry] = false;
            }
        }
    }
    kept
}

/// A key as something to compare: its bytes for text, its number otherwise.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(&'a [u8]),
    Number(i128),
}

fn key_bytes(keys: &ArrayRef, entry: usize) -> Key<'_> {
    let any = keys.as_any();
    if let Some(keys) = any.downcast_ref::<StringViewArray>() {
        Key::Text(keys.value(entry).as_bytes())
    } else if let Some(keys) = any.downcast_ref::<Int32Array>() {
        Key::Number(keys.value(entry).into())
    } else if let Some(keys) = any.downcast_ref::<Int64Array>() {
        Key::Number(keys.value(entry).into())
    } else if let Some(keys) = any.downcast_ref::<Decimal128Array>() {
        Key::Number(keys.value(entry))
    } else if let Some(keys) = any.downcast_ref::<BooleanArray>() {
        Key::Number(keys.value(entry).into())
    } else {
        // No other type is a map key.
        Key::Number(entry as i128)
    }
}
