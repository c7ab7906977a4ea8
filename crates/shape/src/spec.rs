//! What somebody asks for: which rows, and which columns.

use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::Value;

/// Each part can be left out. A row has to pass all three conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShapeSpec {
    /// A CEL expression that is true for the rows to keep.
    pub filter: Option<String>,
    /// A JSON Schema of the row as protobuf JSON. Rows that do not match are filtered, as Gojek's Firehose does it: they
    /// are counted, and go to no dead letters.
    pub json_schema: Option<Value>,
    pub time_window: Option<TimeWindow>,
    /// `None`: every field as it is called, without [`crate::METADATA_COLUMNS`].
    pub columns: Option<Vec<ColumnSpec>>,
}

/// Rows whose time is further away from now are filtered; a row without the time fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// Path of a timestamp.
    pub field: String,
    pub past: Duration,
    pub future: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// `None`: the last part of the field's path. Constants, expressions and hashes need one.
    pub name: Option<String>,
    pub source: ColumnSource,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ColumnSource {
    /// Path of a field: `customer.id`.
    Field(String),
    /// A text, a number or a truth value.
    Constant(Value),
    Expression {
        /// CEL.
        text: String,
        /// Needed only where the type cannot be known from the expression and the fields.
        declared: Option<ColumnType>,
    },
    /// In hexadecimal; of text and bytes as they are, of anything else the text that a template shows. NULL stays NULL.
    Hash {
        field: String,
        /// `None`: SHA-256. Else HMAC-SHA-256 with this key.
        key: Option<String>,
    },
}

/// What an expression gives, in the words that a document says it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Boolean,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
}

impl ColumnType {
    pub const ALL: [ColumnType; 7] =
        [Self::Boolean, Self::Int, Self::Uint, Self::Double, Self::String, Self::Bytes, Self::Timestamp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As the fields of decoded protobuf have it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Uint => DataType::Decimal128(20, 0),
            Self::Double => DataType::Float64,
            Self::String => DataType::Utf8View,
            Self::Bytes => DataType::BinaryView,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}
