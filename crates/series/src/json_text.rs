//! Lists, structs and maps as JSON text, by the rules all results follow: integers as numbers, timestamps as RFC 3339 in
//! UTC, bytes as base64, NaN and infinities as strings, NULL as null.

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};

/// Appends one value of an array as JSON.
pub(crate) fn put_json(array: &dyn Array, row: usize, out: &mut String) -> Result<(), ArrowError> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Float32 => {
            put_float(f64::from(number::<Float32Type>(array, row)), &number::<Float32Type>(array, row), out)
        }
        DataType::Float64 => put_float(number::<Float64Type>(array, row), &number::<Float64Type>(array, row), out),
        DataType::Int8 => out.push_str(&number::<Int8Type>(array, row).to_string()),
        DataType::Int16 => out.push_str(&number::<Int16Type>(array, row).to_string()),
        DataType::Int32 => out.push_str(&number::<Int32Type>(array, row).to_string()),
        DataType::Int64 => out.push_str(&number::<Int64Type>(array, row).to_string()),
        DataType::UInt8 => out.push_str(&number::<UInt8Type>(array, row).to_string()),
        DataType::UInt16 => out.push_str(&number::<UInt16Type>(array, row).to_string()),
        DataType::UInt32 => out.push_str(&number::<UInt32Type>(array, row).to_string()),
        DataType::UInt64 => out.push_str(&number::<UInt64Type>(array, row).to_string()),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            out.push_str(&plain_text(array, row)?);
        }
        DataType::List(_) => put_list(array.as_list::<i32>(), row, out)?,
        DataType::LargeList(_) => put_list(array.as_list::<i64>(), row, out)?,
        DataType::FixedSizeList(..) => put_fixed_list(array.as_fixed_size_list(), row, out)?,
        DataType::Struct(_) => put_struct(array.as_struct(), row, out)?,
        DataType::Map(..) => put_map(array.as_map(), row, out)?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match dictionary.normalized_keys().get(row) {
                Some(key) => put_json(dictionary.values().as_ref(), *key, out)?,
                None => out.push_str("null"),
            }
        }
        _ => put_string(&scalar_text(array, row)?, out),
    }
    Ok(())
}

/// A scalar as text, not quoted. The row is not NULL.
pub(crate) fn scalar_text(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    let text = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            rfc3339(DateTime::from_timestamp(number::<TimestampSecondType>(array, row), 0))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            rfc3339(DateTime::from_timestamp_millis(number::<TimestampMillisecondType>(array, row)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            rfc3339(DateTime::from_timestamp_micros(number::<TimestampMicrosecondType>(array, row)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            rfc3339(Some(DateTime::from_timestamp_nanos(number::<TimestampNanosecondType>(array, row))))
        }
        DataType::Binary => Some(STANDARD.encode(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Some(STANDARD.encode(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Some(STANDARD.encode(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => Some(STANDARD.encode(array.as_fixed_size_binary().value(row))),
        _ => None,
    };
    text.map_or_else(|| plain_text(array, row), Ok)
}

fn rfc3339(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn plain_text(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    Ok(formatter.value(row).to_string())
}

fn number<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn put_float(value: f64, shortest: &dyn std::fmt::Debug, out: &mut String) {
    if value.is_finite() {
        out.push_str(&format!("{shortest:?}"));
    } else if value.is_nan() {
        out.push_str("\"NaN\"");
    } else {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
}

fn put_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn put_list<O: OffsetSizeTrait>(list: &GenericListArray<O>, row: usize, out: &mut String) -> Result<(), ArrowError> {
    put_elements(&list.value(row), out)
}

fn put_fixed_list(list: &FixedSizeListArray, row: usize, out: &mut String) -> Result<(), ArrowError> {
    put_elements(&list.value(row), out)
}

fn put_elements(elements: &ArrayRef, out: &mut String) -> Result<(), ArrowError> {
    out.push('[');
    for index in 0..elements.len() {
        if index > 0 {
            out.push(',');
        }
        put_json(elements.as_ref(), index, out)?;
    }
    out.push(']');
    Ok(())
}

fn put_struct(array: &StructArray, row: usize, out: &mut String) -> Result<(), ArrowError> {
    out.push('{');
    for (index, (field, column)) in array.fields().iter().zip(array.columns()).enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_string(field.name(), out);
        out.push(':');
        put_json(column.as_ref(), row, out)?;
    }
    out.push('}');
    Ok(())
}

fn put_map(array: &MapArray, row: usize, out: &mut String) -> Result<(), ArrowError> {
    let entries = array.value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push('{');
    for index in 0..entries.len() {
        if index > 0 {
            out.push(',');
        }
        put_string(&scalar_text(keys.as_ref(), index)?, out);
        out.push(':');
        put_json(values.as_ref(), index, out)?;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    #[test]
    fn a_struct_with_every_kind_of_awkward_value() {
        let fields = Fields::from(vec![
            Field::new("a \"quoted\" name", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("s", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            Arc::new(Float64Array::from(vec![f64::NAN, 0.1])),
            Arc::new(TimestampMicrosecondArray::from(vec![0, 1_500_000])),
            Arc::new(StringArray::from(vec!["a\nb", "ü"])),
        ];
        let array = StructArray::new(fields, columns, None);
        let mut out = String::new();
        put_json(&array, 0, &mut out).expect("json");
        put_json(&array, 1, &mut out).expect("json");
        assert_eq!(
            out,
            "{\"a \\\"quoted\\\" name\":9223372036854775807,\"f\":\"NaN\",\"t\":\"1970-01-01T00:00:00Z\",\"s\":\"a\\nb\"}\
             {\"a \\\"quoted\\\" name\":null,\"f\":0.1,\"t\":\"1970-01-01T00:00:01.500Z\",\"s\":\"ü\"}"
        );
    }
}
