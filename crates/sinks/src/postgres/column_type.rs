//! Which type of PostgreSQL a column of Arrow is written as.

use arrow::datatypes::{DataType, Schema};

/// A column as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub data_type: ColumnType,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// Digits in all, and behind the point.
    Numeric {
        precision: u8,
        scale: i8,
    },
    Text,
    Bytea,
    Date,
    Time,
    TimestampTz,
    Interval,
    Jsonb,
    Array(Box<ColumnType>),
}

/// The columns of rows; a message about a type that has no form in PostgreSQL.
pub(super) fn columns(schema: &Schema) -> Result<Vec<Column>, (String, String)> {
    let column = |field: &arrow::datatypes::FieldRef| match ColumnType::of(field.data_type()) {
        Some(data_type) => Ok(Column { name: field.name().clone(), data_type }),
        None => Err((field.name().clone(), format!("{} has no type in PostgreSQL", field.data_type()))),
    };
    schema.fields().iter().map(column).collect()
}

impl ColumnType {
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::SmallInt,
            DataType::Int32 | DataType::UInt16 => Self::Integer,
            DataType::Int64 | DataType::UInt32 => Self::BigInt,
            DataType::UInt64 => Self::Numeric { precision: 20, scale: 0 },
            DataType::Float16 | DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale)
                if (0..=38).contains(scale) =>
            {
                Self::Numeric { precision: *precision, scale: *scale }
            }
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytea
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(..) => Self::TimestampTz,
            DataType::Duration(_) | DataType::Interval(_) => Self::Interval,
            DataType::Dictionary(_, values) => Self::of(values)?,
            DataType::Struct(_) | DataType::Map(..) => Self::Jsonb,
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                match Self::of(field.data_type())? {
                    Self::Jsonb | Self::Array(_) => Self::Jsonb,
                    scalar => Self::Array(Box::new(scalar)),
                }
            }
            _ => return None,
        })
    }

    /// As it is written in `CREATE TABLE`.
    pub fn sql(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::SmallInt => "smallint".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::BigInt => "bigint".to_owned(),
            Self::Real => "real".to_owned(),
            Self::Double => "double precision".to_owned(),
            Self::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            Self::Text => "text".to_owned(),
            Self::Bytea => "bytea".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Time => "time".to_owned(),
            Self::TimestampTz => "timestamp with time zone".to_owned(),
            Self::Interval => "interval".to_owned(),
            Self::Jsonb => "jsonb".to_owned(),
            Self::Array(element) => format!("{}[]", element.sql()),
        }
    }

    /// Name in `pg_type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Boolean => "bool",
            Self::SmallInt => "int2",
            Self::Integer => "int4",
            Self::BigInt => "int8",
            Self::Real => "float4",
            Self::Double => "float8",
            Self::Numeric { .. } => "numeric",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::TimestampTz => "timestamptz",
            Self::Interval => "interval",
            Self::Jsonb => "jsonb",
            Self::Array(_) => "array",
        }
    }

    /// Number in `pg_type`, which the binary form of an array has. Fixed since these types are there.
    pub fn oid(&self) -> u32 {
        match self {
            Self::Boolean => 16,
            Self::Bytea => 17,
            Self::BigInt => 20,
            Self::SmallInt => 21,
            Self::Integer => 23,
            Self::Text => 25,
            Self::Real => 700,
            Self::Double => 701,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::TimestampTz => 1184,
            Self::Interval => 1186,
            Self::Numeric { .. } => 1700,
            Self::Jsonb => 3802,
            // Arrays of arrays are written as jsonb.
            Self::Array(element) => element.oid(),
        }
    }
}
