//! A column as text, each value with all that belongs to it in a line; NULL is empty.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;

use super::NANOS_PER_MILLI;
use super::escape::{Backslash, put_string, put_tag_value};
use crate::point_layout::plain;
use crate::{FieldKind, Precision};

/// InfluxDB keeps nanoseconds in 64 bits.
const NANOS_MIN: i64 = i64::MIN + 2;
const NANOS_MAX: i64 = i64::MAX - 1;

pub(super) struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Why rows cannot be written.
pub(super) type Refused = BTreeMap<usize, String>;

impl Cells {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows) }
    }

    pub fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[row]]
    }

    /// In bytes.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    fn cut(&mut self) {
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

/// The first reason counts.
fn refuse(refused: &mut Refused, row: usize, reason: impl FnOnce() -> String) {
    if let Entry::Vacant(entry) = refused.entry(row) {
        entry.insert(reason());
    }
}

/// As it is named in reasons: of `,name=` or `name=`.
fn shown(prefix: &[u8]) -> String {
    let name = String::from_utf8_lossy(prefix);
    name.trim_start_matches(',').trim_end_matches('=').to_owned()
}

/// A tag without a value is no tag.
pub(super) fn tag_cells(
    column: &ArrayRef,
    prefix: &[u8],
    backslash: Backslash,
    refused: &mut Refused,
) -> Result<Cells, ArrowError> {
    let texts = texts(column)?;
    let mut cells = Cells::with_capacity(texts.len(), texts.value_data().len() + texts.len() * prefix.len());
    for row in 0..texts.len() {
        if texts.is_valid(row) && !texts.value(row).is_empty() {
            cells.text.extend_from_slice(prefix);
            if let Err(error) = put_tag_value(&mut cells.text, texts.value(row), backslash) {
                cells.cut();
                refuse(refused, row, || format!("the value of the tag `{}` {error}", shown(prefix)));
            }
        }
        cells.end();
    }
    Ok(cells)
}

pub(super) fn field_cells(
    column: &ArrayRef,
    prefix: &[u8],
    kind: FieldKind,
    refused: &mut Refused,
) -> Result<Cells, ArrowError> {
    match kind {
        FieldKind::Float => {
            let values = cast(column, &DataType::Float64)?;
            let mut number = ryu::Buffer::new();
            Ok(number_cells(values.as_primitive::<Float64Type>(), prefix, |row, value, text| {
                if value.is_finite() {
                    text.extend_from_slice(number.format_finite(value).as_bytes());
                    return true;
                }
                refuse(refused, row, || {
                    format!("the field `{}` is {value}, which the line protocol cannot say", shown(prefix))
                });
                false
            }))
        }
        FieldKind::Integer => {
            let values = cast(column, &DataType::Int64)?;
            // What does not fit becomes NULL.
            let lost = (0..column.len()).filter(|row| values.is_null(*row) && column.is_valid(*row));
            for row in lost {
                refuse(refused, row, || format!("the field `{}` is beyond 64 bits with a sign", shown(prefix)));
            }
            let mut number = itoa::Buffer::new();
            Ok(number_cells(values.as_primitive::<Int64Type>(), prefix, |_, value, text| {
                text.extend_from_slice(number.format(value).as_bytes());
                text.push(b'i');
                true
            }))
        }
        FieldKind::Boolean => {
            let values = cast(column, &DataType::Boolean)?;
            let values = values.as_boolean();
            let mut cells = Cells::with_capacity(values.len(), values.len() * (prefix.len() + 1));
            for row in 0..values.len() {
                if values.is_valid(row) {
                    cells.text.extend_from_slice(prefix);
                    cells.text.push(if values.value(row) { b't' } else { b'f' });
                }
                cells.end();
            }
            Ok(cells)
        }
        FieldKind::Text => {
            let values = texts(column)?;
            let mut cells =
                Cells::with_capacity(values.len(), values.value_data().len() + values.len() * (prefix.len() + 2));
            for row in 0..values.len() {
                if values.is_valid(row) {
                    cells.text.extend_from_slice(prefix);
                    put_string(&mut cells.text, values.value(row));
                }
                cells.end();
            }
            Ok(cells)
        }
    }
}

/// `put` says whether the value can be written.
fn number_cells<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    prefix: &[u8],
    mut put: impl FnMut(usize, T::Native, &mut Vec<u8>) -> bool,
) -> Cells {
    let mut cells = Cells::with_capacity(values.len(), values.len() * (prefix.len() + 12));
    for row in 0..values.len() {
        if values.is_valid(row) {
            cells.text.extend_from_slice(prefix);
            if !put(row, values.value(row), &mut cells.text) {
                cells.cut();
            }
        }
        cells.end();
    }
    cells
}

/// Times as numbers. Points of records get their offset into the nanoseconds, so that records of the same millisecond stay
/// apart, and the same record is the same point again.
pub(super) fn time_cells(
    column: &ArrayRef,
    precision: Precision,
    offsets: Option<&[i64]>,
    refused: &mut Refused,
) -> Result<Cells, ArrowError> {
    let (unit, nanos_each) = match (offsets, precision) {
        (Some(_), _) | (None, Precision::Milliseconds) => (TimeUnit::Millisecond, NANOS_PER_MILLI),
        (None, Precision::Microseconds) => (TimeUnit::Microsecond, 1_000),
        (None, Precision::Nanoseconds) => (TimeUnit::Nanosecond, 1),
    };
    let times = cast(&cast(column, &DataType::Timestamp(unit, None))?, &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    let mut cells = Cells::with_capacity(times.len(), times.len() * 20);
    let mut number = itoa::Buffer::new();
    for row in 0..times.len() {
        let offset = offsets.map_or(0, |offsets| offsets[row].rem_euclid(NANOS_PER_MILLI));
        let time = times.is_valid(row).then(|| times.value(row));
        let nanos = time.and_then(|time| time.checked_mul(nanos_each)?.checked_add(offset));
        match (time, nanos) {
            (Some(time), Some(nanos @ NANOS_MIN..=NANOS_MAX)) => {
                let written = if offsets.is_some() { nanos } else { time };
                cells.text.extend_from_slice(number.format(written).as_bytes());
            }
            (None, _) => refuse(refused, row, || "the time is NULL".to_owned()),
            _ => refuse(refused, row, || "the time is not between the years 1677 and 2262".to_owned()),
        }
        cells.end();
    }
    Ok(cells)
}

/// A column of scalars as text; times with their zone.
pub(crate) fn texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let text = match plain(column.data_type()) {
        DataType::Timestamp(unit, _) => {
            cast(&cast(column, &DataType::Timestamp(*unit, Some("UTC".into())))?, &DataType::Utf8)?
        }
        _ => cast(column, &DataType::Utf8)?,
    };
    Ok(text.as_string::<i32>().clone())
}
