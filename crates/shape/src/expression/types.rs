//! What CEL makes of the types of fields, and which types an expression has.
//! <https://github.com/google/cel-spec/blob/master/doc/langdef.md#values>

use std::fmt;

use arrow::datatypes::{DataType, Fields};

use crate::ColumnType;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Message(Fields),
    Null,
    /// `int` in `type(x) == int`.
    Called,
    /// Of the items of an empty list: fits everywhere.
    Nothing,
    /// Known only when there is a row.
    Dynamic,
}

impl Type {
    /// `None`: CEL has no such value.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Type::Bool,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Type::Int,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Type::Int,
            DataType::UInt64 => Type::Uint,
            DataType::Decimal128(20, 0) => Type::Uint,
            DataType::Float32 | DataType::Float64 => Type::Double,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Type::Bytes,
            DataType::Dictionary(_, value) => Type::of(value)?,
            DataType::Timestamp(..) => Type::Timestamp,
            DataType::Struct(fields) if is_duration(fields) => Type::Duration,
            DataType::Struct(fields) => Type::Message(fields.clone()),
            DataType::List(item) => Type::List(Box::new(Type::of(item.data_type())?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => match fields.as_ref() {
                    [key, value] => {
                        Type::Map(Box::new(Type::of(key.data_type())?), Box::new(Type::of(value.data_type())?))
                    }
                    _ => return None,
                },
                _ => return None,
            },
            _ => return None,
        })
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }

    /// Whether the type is only known with a row, or fits everywhere.
    pub fn is_open(&self) -> bool {
        matches!(self, Type::Dynamic | Type::Nothing)
    }

    /// Whether a value of one can be equal to a value of the other.
    pub fn is_comparable_with(&self, other: &Type) -> bool {
        match (self, other) {
            (one, other) if one.is_open() || other.is_open() => true,
            (Type::Null, _) | (_, Type::Null) => true,
            (one, other) if one.is_number() && other.is_number() => true,
            (Type::List(one), Type::List(other)) => one.is_comparable_with(other),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                key.is_comparable_with(other_key) && value.is_comparable_with(other_value)
            }
            (Type::Message(_) | Type::Map(..), Type::Message(_) | Type::Map(..)) => true,
            (one, other) => one == other,
        }
    }

    /// The type of something that has one of two types.
    pub fn joined(self, other: Type) -> Type {
        match (self, other) {
            (one, Type::Nothing | Type::Null) => one,
            (Type::Nothing | Type::Null, other) => other,
            (Type::List(one), Type::List(other)) => Type::List(Box::new(one.joined(*other))),
            (one, other) if one == other => one,
            _ => Type::Dynamic,
        }
    }

    pub fn column_type(&self) -> Option<ColumnType> {
        Some(match self {
            Type::Bool => ColumnType::Boolean,
            Type::Int => ColumnType::Int,
            Type::Uint => ColumnType::Uint,
            Type::Double => ColumnType::Double,
            Type::String => ColumnType::String,
            Type::Bytes => ColumnType::Bytes,
            Type::Timestamp => ColumnType::Timestamp,
            _ => return None,
        })
    }
}

/// `google.protobuf.Duration`, as it is decoded.
pub(super) fn is_duration(fields: &Fields) -> bool {
    match fields.as_ref() {
        [seconds, nanos] => {
            (seconds.name() == "seconds" && *seconds.data_type() == DataType::Int64)
                && (nanos.name() == "nanos" && *nanos.data_type() == DataType::Int32)
        }
        _ => false,
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Timestamp => "timestamp",
            Type::Duration => "duration",
            Type::List(item) => return write!(out, "list({item})"),
            Type::Map(key, value) => return write!(out, "map({key}, {value})"),
            Type::Message(_) => "message",
            Type::Null => "null",
            Type::Called => "type",
            Type::Nothing | Type::Dynamic => "any",
        })
    }
}
