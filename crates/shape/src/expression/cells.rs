//! Arrow values as CEL values.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::*;
use cel::common::types::{CelBool, CelBytes, CelDouble, CelInt, CelNull, CelString, CelTimestamp, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::{ExecutionError, Value};
use chrono::{DateTime, FixedOffset};

use super::types::is_duration;

/// Names of fields in expressions that have been compiled: `@` and the index. Nobody can write such a name.
pub(super) fn slot_name(index: usize) -> String {
    format!("@{index}")
}

pub(super) fn slot_of(name: &str) -> Option<usize> {
    name.strip_prefix('@')?.parse().ok()
}

/// The fields of one row after the other.
pub(super) struct Cells {
    pub columns: Vec<ArrayRef>,
    pub row: AtomicUsize,
}

impl VariableResolver for Cells {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let array = self.columns.get(slot_of(variable)?)?;
        let row = self.row.load(Ordering::Relaxed);
        // A value that CEL cannot hold is looked for before a row is evaluated.
        scalar(array, row).or_else(|| Box::<dyn Val>::try_from(value(array, row).ok()?).ok().map(CowVal::Owned))
    }
}

/// Without a copy of texts and bytes; `None` for what is not as simple.
fn scalar(array: &ArrayRef, row: usize) -> Option<CowVal<'_, '_>> {
    if array.is_null(row) {
        return Some(CowVal::owned(CelNull));
    }
    Some(match array.data_type() {
        DataType::Boolean => CowVal::owned(CelBool::from(array.as_boolean().value(row))),
        DataType::Int32 => CowVal::owned(CelInt::from(i64::from(array.as_primitive::<Int32Type>().value(row)))),
        DataType::Int64 => CowVal::owned(CelInt::from(array.as_primitive::<Int64Type>().value(row))),
        DataType::Decimal128(20, 0) => {
            CowVal::owned(CelUInt::from(u64::try_from(array.as_primitive::<Decimal128Type>().value(row)).ok()?))
        }
        DataType::Float64 => CowVal::owned(CelDouble::from(array.as_primitive::<Float64Type>().value(row))),
        DataType::Utf8View => CowVal::owned(CelString::from(array.as_string_view().value(row))),
        DataType::Utf8 => CowVal::owned(CelString::from(array.as_string::<i32>().value(row))),
        DataType::BinaryView => CowVal::owned(CelBytes::from(array.as_binary_view().value(row))),
        DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let names = dictionary.values().as_string::<i32>();
            let key = usize::try_from(dictionary.keys().value(row)).ok().filter(|key| *key < names.len())?;
            if names.is_null(key) {
                return Some(CowVal::owned(CelNull));
            }
            CowVal::owned(CelString::from(names.value(key)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => CowVal::owned(CelTimestamp::from(time(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
            1_000_000,
        )?)),
        _ => return None,
    })
}

/// `Err`: what CEL has no value for.
pub(super) fn value(array: &ArrayRef, row: usize) -> Result<Value, String> {
    use DataType as T;
    if row >= array.len() || array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        T::Boolean => Value::Bool(array.as_boolean().value(row)),
        T::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        T::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        T::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        T::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        T::UInt8 => Value::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        T::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        T::UInt32 => Value::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        T::UInt64 => Value::UInt(array.as_primitive::<UInt64Type>().value(row)),
        T::Decimal128(..) => {
            let number = array.as_primitive::<Decimal128Type>().value(row);
            Value::UInt(u64::try_from(number).map_err(|_| format!("{number} is out of the range of an uint"))?)
        }
        T::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        T::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        T::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        T::LargeUtf8 => Value::from(array.as_string::<i64>().value(row)),
        T::Utf8View => Value::from(array.as_string_view().value(row)),
        T::Binary => Value::from(array.as_binary::<i32>().value(row).to_vec()),
        T::LargeBinary => Value::from(array.as_binary::<i64>().value(row).to_vec()),
        T::BinaryView => Value::from(array.as_binary_view().value(row).to_vec()),
        T::Dictionary(..) => {
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            let key = dictionary.normalized_keys().first().copied().unwrap_or_default();
            value(dictionary.values(), key)?
        }
        T::Timestamp(unit, _) => {
            let (count, per_second) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1),
                TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000),
                TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000_000),
                TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000_000),
            };
            Value::Timestamp(time(count, per_second).ok_or("a timestamp is outside of the years 1 to 9999")?)
        }
        T::Struct(fields) if is_duration(fields) => duration(array.as_struct(), row)?,
        T::Struct(fields) => {
            let columns = array.as_struct().columns();
            let entries = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| Ok((Key::from(field.name().as_str()), value(column, row)?)));
            map(entries.collect::<Result<_, String>>()?)
        }
        T::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::from((0..items.len()).map(|at| value(&items, at)).collect::<Result<Vec<_>, _>>()?)
        }
        T::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = entries.columns() else { return Err("a map is not of keys and values".into()) };
            let mut found = HashMap::with_capacity(keys.len());
            for at in 0..keys.len() {
                let key: Result<Key, Value> = value(keys, at)?.try_into();
                let key = key.map_err(|_| "a map's key is neither number nor text")?;
                found.insert(key, value(values, at)?);
            }
            map(found)
        }
        other => return Err(format!("CEL has no value of the type {other}")),
    })
}

fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map { map: Arc::new(entries) })
}

/// Only what CEL lets be a timestamp: the years 1 to 9999.
pub(super) fn time(count: i64, per_second: i64) -> Option<DateTime<FixedOffset>> {
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let time = DateTime::from_timestamp(count.div_euclid(per_second), u32::try_from(nanos).ok()?)?;
    (TIME_SECONDS_MIN..=TIME_SECONDS_MAX).contains(&time.timestamp()).then(|| time.fixed_offset())
}

/// `0001-01-01T00:00:00Z`
pub(super) const TIME_SECONDS_MIN: i64 = -62_135_596_800;
/// `9999-12-31T23:59:59Z`
pub(super) const TIME_SECONDS_MAX: i64 = 253_402_300_799;

fn duration(parts: &arrow::array::StructArray, row: usize) -> Result<Value, String> {
    let [seconds, nanos] = parts.columns() else { return Err("a duration has seconds and nanos".into()) };
    let seconds = seconds.as_primitive::<Int64Type>().value(row);
    let nanos = nanos.as_primitive::<Int32Type>().value(row);
    let whole = chrono::Duration::try_seconds(seconds)
        .and_then(|whole| whole.checked_add(&chrono::Duration::nanoseconds(nanos.into())))
        .filter(|whole| whole.num_nanoseconds().is_some());
    whole.map(Value::Duration).ok_or_else(|| format!("a duration of {seconds} seconds is too long for CEL"))
}

/// The reason in the words of a person, without the values of a whole record in it.
pub(super) fn reason(error: &ExecutionError) -> String {
    const SHOWN_MAX: usize = 300;
    let text = error.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
