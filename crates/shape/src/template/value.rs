//! Arrow values as values of a template, made when a template asks for them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::*;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind};

/// The value of one cell. Numbers of 64 bits stay exact, times are RFC 3339 in UTC, enums their names, NULL is none.
pub(super) fn cell(array: &ArrayRef, row: usize) -> Value {
    use DataType as T;
    if row >= array.len() || array.is_null(row) {
        return Value::from(());
    }
    match array.data_type() {
        T::Boolean => Value::from(array.as_boolean().value(row)),
        T::Int8 => Value::from(array.as_primitive::<Int8Type>().value(row)),
        T::Int16 => Value::from(array.as_primitive::<Int16Type>().value(row)),
        T::Int32 => Value::from(array.as_primitive::<Int32Type>().value(row)),
        T::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        T::UInt8 => Value::from(array.as_primitive::<UInt8Type>().value(row)),
        T::UInt16 => Value::from(array.as_primitive::<UInt16Type>().value(row)),
        T::UInt32 => Value::from(array.as_primitive::<UInt32Type>().value(row)),
        T::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(row)),
        T::Decimal128(_, 0) => Value::from(array.as_primitive::<Decimal128Type>().value(row)),
        T::Float32 => Value::from(shortest(array.as_primitive::<Float32Type>().value(row))),
        T::Float64 => Value::from(array.as_primitive::<Float64Type>().value(row)),
        T::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        T::LargeUtf8 => Value::from(array.as_string::<i64>().value(row)),
        T::Utf8View => Value::from(array.as_string_view().value(row)),
        T::Binary => Value::from(array.as_binary::<i32>().value(row)),
        T::LargeBinary => Value::from(array.as_binary::<i64>().value(row)),
        T::BinaryView => Value::from(array.as_binary_view().value(row)),
        T::FixedSizeBinary(_) => Value::from(array.as_fixed_size_binary().value(row)),
        T::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys_at(row);
            cell(dictionary.values(), key)
        }
        T::Struct(_) => Value::from_object(StructRow { array: array.clone(), row }),
        T::List(_) => list(array.as_list::<i32>().value(row)),
        T::LargeList(_) => list(array.as_list::<i64>().value(row)),
        T::FixedSizeList(..) => list(array.as_fixed_size_list().value(row)),
        T::Map(..) => {
            let entries = array.as_map().value(row);
            match entries.columns() {
                [keys, values] => Value::from_object(MapRow { keys: keys.clone(), values: values.clone() }),
                _ => Value::from(()),
            }
        }
        T::Timestamp(TimeUnit::Microsecond, _) => {
            time_text(array.as_primitive::<TimestampMicrosecondType>().value(row), rows::write_timestamp_micros)
        }
        T::Timestamp(TimeUnit::Millisecond, _) => {
            time_text(array.as_primitive::<TimestampMillisecondType>().value(row), rows::write_timestamp_millis)
        }
        _ => Value::from(json_text(array, row)),
    }
}

/// The key of one row of a dictionary, without those of the others.
trait KeyAt {
    fn normalized_keys_at(&self, row: usize) -> usize;
}

impl KeyAt for dyn arrow::array::AnyDictionaryArray + '_ {
    fn normalized_keys_at(&self, row: usize) -> usize {
        match self.keys().as_primitive_opt::<Int32Type>() {
            Some(keys) => usize::try_from(keys.value(row)).unwrap_or_default(),
            None => self.normalized_keys().get(row).copied().unwrap_or_default(),
        }
    }
}

/// The double that is written with the digits of the float, `0.1` and not `0.10000000149011612`.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn time_text(time: i64, write: fn(i64, &mut Vec<u8>)) -> Value {
    let mut text = Vec::with_capacity(27);
    write(time, &mut text);
    Value::from(String::from_utf8_lossy(&text))
}

/// Other times, spans and decimals, in the form that [`rows`] gives them.
fn json_text(array: &ArrayRef, row: usize) -> String {
    let one = array.slice(row, 1);
    let field = Field::new("value", one.data_type().clone(), true);
    let Ok(batch) = arrow::record_batch::RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![one]) else {
        return String::new();
    };
    let writer = rows::RowWriter::new(batch.schema_ref());
    let mut text = Vec::new();
    if let Ok(bound) = writer.bind(&batch) {
        bound.write_cell(0, 0, &mut text);
    }
    let text = String::from_utf8(text).unwrap_or_default();
    text.trim_matches('"').to_owned()
}

fn list(items: ArrayRef) -> Value {
    Value::from_object(ListRow { items })
}

#[derive(Debug)]
struct StructRow {
    array: ArrayRef,
    row: usize,
}

impl Object for StructRow {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.array.as_struct().column_by_name(key).map(|column| cell(column, self.row))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.array.as_struct().column_names().into_iter().map(Value::from).collect())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

#[derive(Debug)]
struct ListRow {
    items: ArrayRef,
}

impl Object for ListRow {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = key.as_usize().filter(|at| *at < self.items.len())?;
        Some(cell(&self.items, at))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
}

#[derive(Debug)]
struct MapRow {
    keys: ArrayRef,
    values: ArrayRef,
}

impl Object for MapRow {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        // The last of several equal keys counts, as protobuf has it.
        let at = (0..self.keys.len()).rev().find(|at| cell(&self.keys, *at) == *key)?;
        Some(cell(&self.values, at))
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let at = (0..self.keys.len()).rev().find(|at| cell(&self.keys, *at).as_str() == Some(key))?;
        Some(cell(&self.values, at))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values((0..self.keys.len()).map(|at| cell(&self.keys, at)).collect())
    }
}

/// The columns of a template's row.
#[derive(Debug)]
pub(super) struct Row {
    pub columns: Arc<Columns>,
    pub row: usize,
}

/// Name and values, of the columns in use.
#[derive(Debug)]
pub(super) struct Columns(pub Vec<(String, ArrayRef)>);

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let (_, array) = self.columns.0.iter().find(|(name, _)| name == key)?;
        Some(cell(array, self.row))
    }
}

/// What a template shows for a value; `None` for NULL and what is missing.
pub(super) fn write_text(value: &Value, out: &mut String) -> Result<Option<()>, String> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(None),
        ValueKind::String => out.push_str(value.as_str().unwrap_or_default()),
        ValueKind::Bytes => out.push_str(&base64(value)),
        ValueKind::Number | ValueKind::Bool => write_json(value, 0, out, true)?,
        _ => write_json(value, 0, out, false)?,
    }
    Ok(Some(()))
}

/// JSON as [`rows`] writes it: numbers as numbers with all their digits, bytes as base64, NULL as null.
pub(super) fn write_json(value: &Value, depth: usize, out: &mut String, bare: bool) -> Result<(), String> {
    if depth > crate::limits::VALUE_DEPTH_MAX {
        return Err(format!("lists and maps are more than {} deep", crate::limits::VALUE_DEPTH_MAX));
    }
    if out.len() > crate::limits::OUTPUT_BYTES_MAX {
        return Err(too_long());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) if !value.is_integer() => float(number, out, bare),
            _ => out.push_str(&value.to_string()),
        },
        ValueKind::String => quoted(value.as_str().unwrap_or_default(), out),
        ValueKind::Bytes => quoted(&base64(value), out),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter().map_err(|error| error.to_string())?.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(&item, depth + 1, out, false)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter().map_err(|error| error.to_string())?.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let mut name = String::new();
                write_text(&key, &mut name)?;
                quoted(&name, out);
                out.push(':');
                let item = value.get_item(&key).map_err(|error| error.to_string())?;
                write_json(&item, depth + 1, out, false)?;
            }
            out.push('}');
        }
        other => return Err(format!("a value of the kind `{other}` has no text")),
    }
    Ok(())
}

pub(super) fn too_long() -> String {
    format!("the text is longer than {} bytes", crate::limits::OUTPUT_BYTES_MAX)
}

fn float(number: f64, out: &mut String, bare: bool) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.push_str(&number.to_string()),
        None => {
            let name = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            if bare { out.push_str(name) } else { quoted(name, out) }
        }
    }
}

pub(super) fn quoted(text: &str, out: &mut String) {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    rows::write_string(text, &mut bytes);
    out.push_str(&String::from_utf8_lossy(&bytes));
}

fn base64(value: &Value) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(value.as_bytes().unwrap_or_default())
}
