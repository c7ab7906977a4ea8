//! Which columns of a result make a point, and as what.

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

/// The columns of a batch by what they are in a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointLayout {
    pub time: usize,
    /// Columns and the names that they are written under.
    pub tags: Vec<(usize, String)>,
    pub fields: Vec<(usize, String)>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Float,
    Integer,
    Boolean,
    Text,
}

impl FieldKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Text => "string",
        }
    }
}

/// What the numbers that stand for times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// The columns cannot become points.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct LayoutError {
    pub detail: String,
    pub hint: String,
}

impl PointLayout {
    /// How each field is written, in the order of the fields.
    pub fn kinds(&self, schema: &Schema) -> Result<Vec<FieldKind>, LayoutError> {
        self.fields.iter().map(|(column, _)| field_kind(schema.field(*column))).collect()
    }

    pub(crate) fn check_tags(&self, schema: &Schema) -> Result<(), LayoutError> {
        let bad = self.tags.iter().map(|(column, _)| schema.field(*column)).find(|field| {
            let data_type = plain(field.data_type());
            data_type.is_nested() || data_type.is_binary() || !can_cast_types(data_type, &DataType::Utf8)
        });
        bad.map_or(Ok(()), |field| {
            Err(LayoutError {
                detail: format!("the column `{}` is a tag, and has the type {}", field.name(), field.data_type()),
                hint: "a tag is a text, a number or a time; take one part of it".to_owned(),
            })
        })
    }

    pub(crate) fn precision(&self, schema: &Schema) -> Result<Precision, LayoutError> {
        let field = schema.field(self.time);
        match field.data_type() {
            DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _) => Ok(Precision::Milliseconds),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(Precision::Microseconds),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(Precision::Nanoseconds),
            other => Err(LayoutError {
                detail: format!("the column `{}` is the point's time, but has the type {other}", field.name()),
                hint: "select a timestamp under this name".to_owned(),
            }),
        }
    }
}

/// The type of a dictionary's values.
pub(crate) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn field_kind(field: &Field) -> Result<FieldKind, LayoutError> {
    Ok(match plain(field.data_type()) {
        DataType::Boolean => FieldKind::Boolean,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => FieldKind::Float,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale > 0 =>
        {
            FieldKind::Float
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            FieldKind::Integer
        }
        integer if integer.is_integer() => FieldKind::Integer,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => FieldKind::Text,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => FieldKind::Text,
        other => {
            return Err(LayoutError {
                detail: format!("the column `{}` is a field, and has the type {other}", field.name()),
                hint: "a field is a number, a truth value, a text or a time; select a part of it, or CAST it to STRING"
                    .to_owned(),
            });
        }
    })
}
