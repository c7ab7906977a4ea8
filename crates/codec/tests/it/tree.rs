//! Values without their container: what Arrow columns and protobuf messages are compared as.

use std::fmt;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i128),
    /// By bits, so that NaN equals itself.
    Double(u64),
    Float(u32),
    Text(String),
    Bytes(Vec<u8>),
    /// A message that is kept as bytes.
    Opaque(Vec<u8>),
    List(Vec<Tree>),
    /// Sorted by key.
    Map(Vec<(Tree, Tree)>),
    Struct(Vec<(String, Tree)>),
}

impl Tree {
    pub fn map(mut entries: Vec<(Tree, Tree)>) -> Tree {
        entries.sort_by(|left, right| left.partial_cmp(right).expect("keys are ordered"));
        Tree::Map(entries)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Null => write!(f, "NULL"),
            Tree::Bool(value) => write!(f, "{value}"),
            Tree::Int(value) => write!(f, "{value}"),
            Tree::Double(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Tree::Float(bits) => write!(f, "{:?}f", f32::from_bits(*bits)),
            Tree::Text(text) => write!(f, "{text:?}"),
            Tree::Bytes(bytes) => write!(f, "b{bytes:?}"),
            Tree::Opaque(bytes) => write!(f, "opaque{bytes:?}"),
            Tree::List(items) => {
                let items: Vec<String> = items.iter().map(Tree::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Tree::Map(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key} => {value}")).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
            Tree::Struct(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                write!(f, "({})", fields.join(", "))
            }
        }
    }
}

/// One row of a batch as a struct.
pub fn row(batch: &arrow::array::RecordBatch, row: usize) -> Tree {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    Tree::Struct(fields.map(|(field, column)| (field.name().clone(), value(column, row))).collect())
}

pub fn value(array: &dyn Array, row: usize) -> Tree {
    if array.is_null(row) {
        return Tree::Null;
    }
    match array.data_type() {
        DataType::Boolean => Tree::Bool(array.as_boolean().value(row)),
        DataType::Int32 => Tree::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Tree::Int(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Decimal128(20, 0) => Tree::Int(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Float32 => Tree::Float(array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Float64 => Tree::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Tree::Int(array.as_primitive::<TimestampMicrosecondType>().value(row).into())
        }
        DataType::Utf8View => Tree::Text(array.as_string_view().value(row).to_owned()),
        DataType::BinaryView => Tree::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::Binary => Tree::Opaque(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let names = dictionary.values().as_string::<i32>();
            Tree::Text(names.value(dictionary.keys().value(row) as usize).to_owned())
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Tree::List((0..items.len()).map(|item| value(&items, item)).collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            Tree::map((0..entries.len()).map(|entry| (value(keys, entry), value(values, entry))).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Tree::Struct(
                fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(column, row))).collect(),
            )
        }
        other => panic!("the codec makes no {other}"),
    }
}

/// Where two trees differ first, as `path: left, right`.
pub fn difference(left: &Tree, right: &Tree) -> Option<String> {
    let inside = |name: &str, left: &Tree, right: &Tree| difference(left, right).map(|found| format!("{name}.{found}"));
    match (left, right) {
        _ if left == right => None,
        (Tree::Struct(l), Tree::Struct(r)) if l.len() == r.len() => {
            l.iter().zip(r).find_map(|((name, left), (_, right))| inside(name, left, right))
        }
        (Tree::List(l), Tree::List(r)) if l.len() == r.len() => {
            l.iter().zip(r).enumerate().find_map(|(index, (left, right))| inside(&index.to_string(), left, right))
        }
        (Tree::Map(l), Tree::Map(r)) if l.len() == r.len() && l.iter().zip(r).all(|(l, r)| l.0 == r.0) => {
            l.iter().zip(r).find_map(|((key, left), (_, right))| inside(&key.to_string(), left, right))
        }
        _ => Some(format!(": {left}, {right}")),
    }
}
