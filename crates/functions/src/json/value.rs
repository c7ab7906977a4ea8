//! SQL values as JSON, by the rules of all JSON results of Millrace: integers as numbers, timestamps as
//! RFC 3339 in UTC, bytes as base64, NaN and infinities as texts, NULL as null.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use datafusion::common::Result;
use serde_json::{Map, Number, Value};

use crate::scalar::{Call, list_element};

pub(super) fn to_json(call: &Call, array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let one = array.slice(row, 1);
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(one.as_boolean().value(0)),
        DataType::UInt64 => Value::from(one.as_primitive::<UInt64Type>().value(0)),
        data_type if data_type.is_integer() => {
            Value::from(cast(&one, &DataType::Int64)?.as_primitive::<Int64Type>().value(0))
        }
        data_type if data_type.is_floating() => {
            number(cast(&one, &DataType::Float64)?.as_primitive::<Float64Type>().value(0))
        }
        data_type if data_type.is_decimal() => {
            let text = text(&one)?;
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        DataType::Timestamp(_, zone) => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let micros = cast(&one, &utc)?.as_primitive::<TimestampMicrosecondType>().value(0);
            match DateTime::from_timestamp_micros(micros) {
                Some(time) => Value::String(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
                None => return Err(call.refuse("value", micros, "a timestamp within 262,000 years of the year 0")),
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = cast(&one, &DataType::Binary)?;
            Value::String(STANDARD.encode(bytes.as_binary::<i32>().value(0)))
        }
        DataType::Struct(fields) => {
            let columns = one.as_struct().columns();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns) {
                object.insert(field.name().clone(), to_json(call, column, 0)?);
            }
            Value::Object(object)
        }
        DataType::Map(_, _) => {
            let entries = one.as_map().value(0);
            let (keys, values) = (cast(entries.column(0), &DataType::Utf8)?, entries.column(1));
            let mut object = Map::new();
            for entry in 0..entries.len() {
                let key = keys.as_string::<i32>().value(entry).to_owned();
                object.insert(key, to_json(call, values, entry)?);
            }
            Value::Object(object)
        }
        DataType::Dictionary(_, values) => to_json(call, &cast(&one, values)?, 0)?,
        data_type if list_element(data_type).is_some() => {
            let list = cast(&one, &DataType::List(list_field(data_type)))?;
            let items = list.as_list::<i32>().value(0);
            Value::Array((0..items.len()).map(|item| to_json(call, &items, item)).collect::<Result<_>>()?)
        }
        _ => Value::String(text(&one)?),
    })
}

fn list_field(data_type: &DataType) -> arrow::datatypes::FieldRef {
    match list_element(data_type) {
        Some(field) => field.clone(),
        None => std::sync::Arc::new(arrow::datatypes::Field::new_list_field(DataType::Null, true)),
    }
}

fn text(one: &ArrayRef) -> Result<String> {
    Ok(cast(one, &DataType::Utf8)?.as_string::<i32>().value(0).to_owned())
}

fn number(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::String("NaN".to_owned()),
        None => Value::String(if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
    }
}
