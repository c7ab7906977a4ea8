//! The Arrow schema of a message type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use prost_reflect::MessageDescriptor;

use crate::UNKNOWN_COLUMN;
use crate::limits::Limits;
use crate::projection::Projection;
use crate::shape::{self, FieldShape, MessageShape, Plurality, Scalar, ValueShape};

/// The full logical schema of the type: one column per field, in the order of the definition.
pub fn arrow_schema(message: &MessageDescriptor, limits: &Limits) -> SchemaRef {
    // Selecting everything names no field, so that nothing can be wrong with it.
    match shape::shape(message, &Projection::all(), limits, true) {
        Ok(shape) => Arc::new(Schema::new(message_fields(&shape, false))),
        Err(_) => Arc::new(Schema::empty()),
    }
}

/// `unknown`: every message also has the column of its unknown fields.
pub(crate) fn message_fields(message: &MessageShape, unknown: bool) -> Fields {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(message.fields.len() + 1);
    for field in &message.fields {
        push_fields(field, unknown, &mut fields);
    }
    if unknown {
        fields.push(Arc::new(unknown_field()));
    }
    fields.into()
}

pub(crate) fn unknown_field() -> Field {
    Field::new(UNKNOWN_COLUMN, DataType::Binary, true)
}

fn push_fields(field: &FieldShape, unknown: bool, fields: &mut Vec<FieldRef>) {
    let name = field.descriptor.name();
    match field.plurality {
        Plurality::Single { nullable } => {
            let parts = match &field.value {
                ValueShape::Timestamp(parts) => *parts,
                value => {
                    fields.push(Arc::new(Field::new(name, value_type(value, unknown), nullable)));
                    return;
                }
            };
            if parts.micros {
                fields.push(Arc::new(Field::new(name, timestamp_type(), nullable)));
            }
            if parts.seconds {
                fields.push(Arc::new(Field::new(format!("{name}.seconds"), DataType::Int64, nullable)));
            }
            if parts.nanos {
                fields.push(Arc::new(Field::new(format!("{name}.nanos"), DataType::Int32, nullable)));
            }
        }
        Plurality::List => {
            let item = Field::new("item", value_type(&field.value, unknown), false);
            fields.push(Arc::new(Field::new(name, DataType::List(Arc::new(item)), false)));
        }
        Plurality::Map { key } => {
            let entries = map_entries(key, value_type(&field.value, unknown));
            fields.push(Arc::new(Field::new(name, DataType::Map(entries, false), false)));
        }
    }
}

fn map_entries(key: Scalar, value: DataType) -> FieldRef {
    let fields = Fields::from(vec![Field::new("key", scalar_type(key), false), Field::new("value", value, false)]);
    Arc::new(Field::new("entries", DataType::Struct(fields), false))
}

pub(crate) fn value_type(value: &ValueShape, unknown: bool) -> DataType {
    match value {
        ValueShape::Scalar(scalar) | ValueShape::Wrapper(scalar) => scalar_type(*scalar),
        ValueShape::Enum(_) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ValueShape::Timestamp(_) => timestamp_type(),
        ValueShape::Json(_) => DataType::Utf8View,
        ValueShape::Opaque => DataType::Binary,
        ValueShape::Message(message) => DataType::Struct(message_fields(message, unknown)),
    }
}

fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

pub(crate) fn scalar_type(scalar: Scalar) -> DataType {
    match scalar {
        Scalar::Double => DataType::Float64,
        Scalar::Float => DataType::Float32,
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => DataType::Int32,
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint32 | Scalar::Fixed32 => DataType::Int64,
        Scalar::Uint64 | Scalar::Fixed64 => DataType::Decimal128(20, 0),
        Scalar::Bool => DataType::Boolean,
        Scalar::String => DataType::Utf8View,
        Scalar::Bytes => DataType::BinaryView,
    }
}
