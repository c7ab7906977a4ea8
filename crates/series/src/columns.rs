//! The columns of a written batch, brought to the few types that are stored.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

use crate::chunk::{Texts, Values};
use crate::json_text::{put_json, scalar_text};
use crate::point::Cell;
use crate::request::time_in_nanos;
use crate::{FieldType, PointLayout, SeriesError};

/// The time of every row in its own unit.
pub(crate) struct TimeColumn {
    array: ArrayRef,
    unit: TimeUnit,
}

pub(crate) enum TimeCell {
    At(i64),
    Missing,
    OutOfRange,
}

impl TimeColumn {
    pub(crate) fn nanos(&self, row: usize) -> TimeCell {
        if self.array.is_null(row) {
            return TimeCell::Missing;
        }
        let (values, nanos_per_unit) = self.values();
        time_in_nanos(values[row], nanos_per_unit).map_or(TimeCell::OutOfRange, TimeCell::At)
    }

    /// All of them; `None` if any is missing or out of range.
    pub(crate) fn all_nanos(&self) -> Option<Vec<i64>> {
        let (values, nanos_per_unit) = self.values();
        let nanos = |value: &i64| time_in_nanos(*value, nanos_per_unit);
        (self.array.null_count() == 0).then(|| values.iter().map(nanos).collect())?
    }

    fn values(&self) -> (&[i64], i64) {
        match self.unit {
            TimeUnit::Second => (&self.array.as_primitive::<TimestampSecondType>().values()[..], 1_000_000_000),
            TimeUnit::Millisecond => (&self.array.as_primitive::<TimestampMillisecondType>().values()[..], 1_000_000),
            TimeUnit::Microsecond => (&self.array.as_primitive::<TimestampMicrosecondType>().values()[..], 1_000),
            TimeUnit::Nanosecond => (&self.array.as_primitive::<TimestampNanosecondType>().values()[..], 1),
        }
    }
}

/// A field's values in their stored type.
pub(crate) enum FieldColumn {
    Float(Float64Array),
    /// `source` is the column as it came, where a value may not have fitted.
    Integer {
        values: Int64Array,
        source: Option<ArrayRef>,
    },
    Boolean(BooleanArray),
    Text(StringArray),
}

pub(crate) enum FieldCell<'a> {
    Null,
    Value(Cell<'a>),
    OutOfRange,
}

impl FieldColumn {
    pub(crate) fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float64,
            Self::Integer { .. } => FieldType::Int64,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Text(_) => FieldType::Utf8,
        }
    }

    /// Whether every row has a value that can be stored as it is.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Float(array) => array.null_count() == 0,
            Self::Integer { values, .. } => values.null_count() == 0,
            Self::Boolean(array) => array.null_count() == 0,
            // Texts may be too long.
            Self::Text(_) => false,
        }
    }

    pub(crate) fn has(&self, row: usize) -> bool {
        self.array().is_valid(row)
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Float(array) => array,
            Self::Integer { values, .. } => values,
            Self::Boolean(array) => array,
            Self::Text(array) => array,
        }
    }

    /// The values of some rows, and which of them there are if any is missing in the column.
    pub(crate) fn gather(&self, rows: &[u32]) -> (Option<Vec<bool>>, Values) {
        let array = self.array();
        let present = (array.null_count() > 0).then(|| rows.iter().map(|row| array.is_valid(*row as usize)).collect());
        let all = rows.len() == array.len() && rows.is_sorted_by(|a, b| a < b);
        let values = match self {
            Self::Float(array) if all => Values::Float(array.values().to_vec()),
            Self::Integer { values, .. } if all => Values::Integer(values.values().to_vec()),
            Self::Float(array) => Values::Float(rows.iter().map(|row| array.value(*row as usize)).collect()),
            Self::Integer { values, .. } => {
                Values::Integer(rows.iter().map(|row| values.value(*row as usize)).collect())
            }
            Self::Boolean(array) => Values::Boolean(rows.iter().map(|row| array.value(*row as usize)).collect()),
            Self::Text(array) => {
                let mut texts = Texts::new();
                rows.iter().for_each(|row| texts.push(array.value(*row as usize).as_bytes()));
                Values::Text(texts)
            }
        };
        (present, values)
    }

    pub(crate) fn cell(&self, row: usize) -> FieldCell<'_> {
        match self {
            Self::Float(array) if array.is_valid(row) => FieldCell::Value(Cell::Float(array.value(row))),
            Self::Integer { values, .. } if values.is_valid(row) => FieldCell::Value(Cell::Integer(values.value(row))),
            Self::Integer { source: Some(source), .. } if source.is_valid(row) => FieldCell::OutOfRange,
            Self::Boolean(array) if array.is_valid(row) => FieldCell::Value(Cell::Boolean(array.value(row))),
            Self::Text(array) if array.is_valid(row) => FieldCell::Value(Cell::Text(array.value(row))),
            _ => FieldCell::Null,
        }
    }
}

/// The columns of a batch by their roles, in the order of the layout.
pub(crate) struct PointColumns<'a> {
    pub rows: usize,
    pub time: TimeColumn,
    pub tags: Vec<(&'a str, StringArray)>,
    /// A column of nulls only has no type and is no field.
    pub fields: Vec<(&'a str, FieldColumn)>,
}

impl<'a> PointColumns<'a> {
    pub(crate) fn resolve(
        measurement: &str,
        batch: &RecordBatch,
        layout: &'a PointLayout,
    ) -> Result<Self, SeriesError> {
        let refuse = |column: usize, role: &'static str, reason: String| SeriesError::InvalidColumn {
            measurement: measurement.to_owned(),
            column,
            data_type: batch.columns().get(column).map_or("none".into(), |array| array.data_type().to_string()),
            role,
            reason,
        };
        let column_at = |column: usize, role| {
            batch
                .columns()
                .get(column)
                .ok_or_else(|| refuse(column, role, format!("the batch has {} columns", batch.num_columns())))
        };
        let time_array = column_at(layout.time, "the time")?;
        let DataType::Timestamp(unit, _) = time_array.data_type() else {
            return Err(refuse(layout.time, "the time", "the time of a point is a TIMESTAMP".into()));
        };
        let time = TimeColumn { array: time_array.clone(), unit: *unit };
        let mut tags = Vec::with_capacity(layout.tags.len());
        for (column, name) in &layout.tags {
            let array = column_at(*column, "a tag")?;
            if array.data_type().is_nested() {
                return Err(refuse(
                    *column,
                    "a tag",
                    "a tag is a scalar; make it a field, or take one part of it".into(),
                ));
            }
            tags.push((name.as_str(), text_column(array, &|array, row, out| put_scalar(array, row, out))?));
        }
        let mut fields = Vec::with_capacity(layout.fields.len());
        for (column, name) in &layout.fields {
            let array = column_at(*column, "a field")?;
            if array.data_type() != &DataType::Null {
                fields.push((name.as_str(), field_column(array)?));
            }
        }
        Ok(Self { rows: batch.num_rows(), time, tags, fields })
    }
}

fn field_column(array: &ArrayRef) -> Result<FieldColumn, ArrowError> {
    let data_type = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    Ok(match data_type {
        DataType::Boolean => FieldColumn::Boolean(cast(array, &DataType::Boolean)?.as_boolean().clone()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => FieldColumn::Float(floats(array)?),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale > 0 =>
        {
            FieldColumn::Float(floats(array)?)
        }
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => FieldColumn::Integer { values: integers(array)?, source: None },
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => FieldColumn::Integer { values: integers(array)?, source: Some(array.clone()) },
        nested if nested.is_nested() => {
            FieldColumn::Text(text_column(array, &|array, row, out| put_json(array, row, out))?)
        }
        _ => FieldColumn::Text(text_column(array, &|array, row, out| put_scalar(array, row, out))?),
    })
}

fn floats(array: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn integers(array: &ArrayRef) -> Result<Int64Array, ArrowError> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn put_scalar(array: &dyn Array, row: usize, out: &mut String) -> Result<(), ArrowError> {
    out.push_str(&scalar_text(array, row)?);
    Ok(())
}

type PutText<'a> = &'a dyn Fn(&dyn Array, usize, &mut String) -> Result<(), ArrowError>;

/// A column as text: what is text or a number at once, the rest value by value with `put`.
fn text_column(array: &ArrayRef, put: PutText<'_>) -> Result<StringArray, ArrowError> {
    let array: Cow<'_, ArrayRef> = match array.data_type() {
        DataType::Dictionary(_, values) => Cow::Owned(cast(array, values)?),
        _ => Cow::Borrowed(array),
    };
    match array.data_type() {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => {
            return Ok(cast(array.as_ref(), &DataType::Utf8)?.as_string::<i32>().clone());
        }
        data_type if data_type.is_integer() => {
            return Ok(cast(array.as_ref(), &DataType::Utf8)?.as_string::<i32>().clone());
        }
        _ => {}
    }
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            put(array.as_ref().as_ref(), row, &mut text)?;
            builder.append_value(&text);
        }
    }
    Ok(builder.finish())
}
