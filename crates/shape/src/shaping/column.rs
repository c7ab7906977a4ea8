//! The columns that come out.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use cel::Value as Cel;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::RecordBatch;
use crate::expression::Expression;
use crate::limits::{COLUMNS_MAX, NAME_BYTES_MAX};
use crate::path::{FieldPath, Unknown};
use crate::template::{hex, text_of_cell};
use crate::{ColumnSource, ColumnSpec, ColumnType, ShapeError};

#[derive(Debug)]
pub(super) struct Column {
    name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Field(FieldPath),
    /// One value.
    Constant(ArrayRef),
    Expression(Box<Expression>, ColumnType),
    Hash(FieldPath, Hasher),
}

/// Without the key in what is printed for debugging.
struct Hasher(Option<Hmac<Sha256>>);

impl std::fmt::Debug for Hasher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(if self.0.is_some() { "HMAC-SHA-256" } else { "SHA-256" })
    }
}

impl Hasher {
    fn new(key: Option<&str>) -> Result<Self, Unknown> {
        let Some(key) = key else { return Ok(Self(None)) };
        let wrong = |detail: &str| Unknown { detail: detail.into(), hint: "use a key of 32 random bytes".into() };
        if key.is_empty() {
            return Err(wrong("the key is empty"));
        }
        Ok(Self(Some(Hmac::new_from_slice(key.as_bytes()).map_err(|_| wrong("the key cannot be used"))?)))
    }

    fn hex(&self, bytes: &[u8]) -> String {
        match &self.0 {
            None => hex(&Sha256::digest(bytes)),
            Some(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(bytes);
                hex(&keyed.finalize().into_bytes())
            }
        }
    }
}

pub(super) fn compile(specs: &[ColumnSpec], input: &SchemaRef) -> Result<Vec<Column>, ShapeError> {
    if specs.is_empty() {
        return Err(ShapeError::at(
            "columns",
            "there are no columns",
            "list some, or leave `columns` out for all fields",
        ));
    }
    if specs.len() > COLUMNS_MAX {
        let detail = format!("there are {} columns; the most is {COLUMNS_MAX}", specs.len());
        return Err(ShapeError::at("columns", detail, "list fewer"));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let at = |part: &str, unknown: Unknown| {
            ShapeError::at(format!("columns[{index}]{part}"), unknown.detail, unknown.hint)
        };
        let column = Column::compile(spec, input).map_err(|(part, unknown)| at(part, unknown))?;
        if let Some(first) = columns.iter().position(|known| known.name == column.name) {
            let unknown = Unknown {
                detail: format!("`{}` is already the name of columns[{first}]", column.name),
                hint: "give one of them another name with `as`".into(),
            };
            return Err(at("", unknown));
        }
        columns.push(column);
    }
    Ok(columns)
}

type InPart = (&'static str, Unknown);

fn wrong(detail: impl Into<String>, hint: impl Into<String>) -> Unknown {
    Unknown { detail: detail.into(), hint: hint.into() }
}

impl Column {
    fn compile(spec: &ColumnSpec, input: &SchemaRef) -> Result<Self, InPart> {
        let source = match &spec.source {
            ColumnSource::Field(path) => {
                Source::Field(FieldPath::resolve(path, input).map_err(|unknown| (".field", unknown))?)
            }
            ColumnSource::Constant(value) => {
                Source::Constant(constant(value).map_err(|unknown| (".constant", unknown))?)
            }
            ColumnSource::Expression { text, declared } => {
                let expression = Expression::compile(text, input).map_err(|unknown| (".expression", unknown))?;
                let found = column_type(&expression, *declared).map_err(|unknown| (".type", unknown))?;
                Source::Expression(Box::new(expression), found)
            }
            ColumnSource::Hash { field, key } => Source::Hash(
                FieldPath::resolve(field, input).map_err(|unknown| (".hash", unknown))?,
                Hasher::new(key.as_deref()).map_err(|unknown| (".secret", unknown))?,
            ),
        };
        let name = match (&spec.name, &source) {
            (Some(name), _) => name.clone(),
            (None, Source::Field(path)) => path.names.last().cloned().unwrap_or_default(),
            (None, _) => {
                return Err(("", wrong("the column has no name", "give it one with `as`")));
            }
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let detail = format!("a name has 1 to {NAME_BYTES_MAX} bytes, and no control characters");
            return Err((".as", wrong(detail, "give it another one")));
        }
        Ok(Self { name, source })
    }

    pub fn field(&self) -> Field {
        match &self.source {
            Source::Field(path) => Field::new(&self.name, path.data_type.clone(), path.is_optional),
            Source::Constant(value) => Field::new(&self.name, value.data_type().clone(), false),
            Source::Expression(_, found) => Field::new(&self.name, found.data_type(), true),
            Source::Hash(path, _) => Field::new(&self.name, DataType::Utf8View, path.is_optional),
        }
    }

    pub fn fields(&self) -> Box<dyn Iterator<Item = &FieldPath> + '_> {
        match &self.source {
            Source::Field(path) | Source::Hash(path, _) => Box::new(std::iter::once(path)),
            Source::Constant(_) => Box::new(std::iter::empty()),
            Source::Expression(expression, _) => Box::new(expression.fields()),
        }
    }

    /// The values of some rows, in their order; rows that failed have any value.
    pub fn values(
        &self,
        batch: &RecordBatch,
        rows: &[usize],
        failed: &mut Vec<(usize, String)>,
    ) -> Result<ArrayRef, ArrowError> {
        match &self.source {
            Source::Field(path) => pick(&path.values(batch)?, rows),
            Source::Constant(value) => take(value, &UInt64Array::from(vec![0; rows.len()]), None),
            Source::Expression(expression, found) => {
                if let Some(path) = expression.as_field().filter(|path| path.data_type == found.data_type()) {
                    return pick(&path.values(batch)?, rows);
                }
                let mut values = Values::new(*found, rows.len());
                expression.values(batch, rows.iter().copied(), |row, value| {
                    if let Err(reason) = value.and_then(|value| values.push(value)) {
                        values.push_null();
                        failed.push((row, format!("`{}`: {reason}", self.name)));
                    }
                })?;
                values.finish()
            }
            Source::Hash(path, hasher) => {
                let values = path.values(batch)?;
                let mut hashes = StringViewBuilder::with_capacity(rows.len());
                for row in rows {
                    if values.is_null(*row) {
                        hashes.append_null();
                        continue;
                    }
                    match bytes(&values, *row) {
                        Some(bytes) => hashes.append_value(hasher.hex(bytes)),
                        None => match text_of_cell(&values, *row) {
                            Ok(text) => hashes.append_value(hasher.hex(text.as_bytes())),
                            Err(reason) => {
                                hashes.append_value("");
                                failed.push((*row, format!("`{}`: {reason}", self.name)));
                            }
                        },
                    }
                }
                Ok(Arc::new(hashes.finish()))
            }
        }
    }
}

/// All rows is the usual case, and costs nothing.
fn pick(values: &ArrayRef, rows: &[usize]) -> Result<ArrayRef, ArrowError> {
    if rows.len() == values.len() {
        return Ok(values.clone());
    }
    let rows: UInt64Array = rows.iter().map(|row| *row as u64).collect();
    take(values, &rows, None)
}

fn bytes(values: &ArrayRef, row: usize) -> Option<&[u8]> {
    match values.data_type() {
        DataType::Utf8View => Some(values.as_string_view().value(row).as_bytes()),
        DataType::Utf8 => Some(values.as_string::<i32>().value(row).as_bytes()),
        DataType::BinaryView => Some(values.as_binary_view().value(row)),
        DataType::Binary => Some(values.as_binary::<i32>().value(row)),
        _ => None,
    }
}

fn constant(value: &Value) -> Result<ArrayRef, Unknown> {
    Ok(match value {
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::String(text) => Arc::new(StringViewArray::from(vec![text.as_str()])),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Arc::new(Int64Array::from(vec![whole])),
            (None, Some(real)) if !number.is_u64() => Arc::new(Float64Array::from(vec![real])),
            _ => return Err(wrong(format!("{number} is too large"), format!("the most is {}", i64::MAX))),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(wrong("a constant is a text, a number or true or false", "write such as `web` or 1"));
        }
    })
}

/// As the expression has it; what it says of itself is needed only where that is not known.
fn column_type(expression: &Expression, declared: Option<ColumnType>) -> Result<ColumnType, Unknown> {
    let all = || ColumnType::ALL.map(ColumnType::name).join(", ");
    match (expression.column_type(), declared) {
        (Some(found), None) => Ok(found),
        (Some(found), Some(declared)) if found == declared => Ok(found),
        (Some(ColumnType::Int | ColumnType::Uint), Some(ColumnType::Double)) => Ok(ColumnType::Double),
        (Some(found), Some(declared)) => Err(wrong(
            format!("the expression is a {}, and not a {}", found.name(), declared.name()),
            format!("leave `type` out, or convert with `{}(...)`", declared.name()),
        )),
        (None, _) if expression.is_known() => Err(wrong(
            format!("a {} cannot be a column of an expression", expression.type_name()),
            "take it as a `field`, or convert it with `string(...)`",
        )),
        (None, Some(declared)) => Ok(declared),
        (None, None) => Err(wrong(
            "the type of the expression is not known before there is a row",
            format!("say it with `type`: {}", all()),
        )),
    }
}

/// What an expression gives for the rows.
enum Values {
    Boolean(BooleanBuilder),
    Int(Int64Builder),
    Uint(Decimal128Builder),
    Double(Float64Builder),
    String(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Values {
    fn new(found: ColumnType, rows: usize) -> Self {
        match found {
            ColumnType::Boolean => Values::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int => Values::Int(Int64Builder::with_capacity(rows)),
            ColumnType::Uint => Values::Uint(Decimal128Builder::with_capacity(rows).with_data_type(found.data_type())),
            ColumnType::Double => Values::Double(Float64Builder::with_capacity(rows)),
            ColumnType::String => Values::String(StringViewBuilder::with_capacity(rows)),
            ColumnType::Bytes => Values::Bytes(BinaryViewBuilder::with_capacity(rows)),
            ColumnType::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Cel) -> Result<(), String> {
        match (self, value) {
            (values, Cel::Null) => values.push_null(),
            (Values::Boolean(values), Cel::Bool(value)) => values.append_value(value),
            (Values::Int(values), Cel::Int(value)) => values.append_value(value),
            (Values::Int(values), Cel::UInt(value)) => {
                values.append_value(i64::try_from(value).map_err(|_| format!("{value} is too large for an int"))?);
            }
            (Values::Uint(values), Cel::UInt(value)) => values.append_value(value.into()),
            (Values::Uint(values), Cel::Int(value)) => {
                let value = u64::try_from(value).map_err(|_| format!("{value} is no uint"))?;
                values.append_value(value.into());
            }
            (Values::Double(values), Cel::Float(value)) => values.append_value(value),
            (Values::Double(values), Cel::Int(value)) => values.append_value(value as f64),
            (Values::Double(values), Cel::UInt(value)) => values.append_value(value as f64),
            (Values::String(values), Cel::String(value)) => values.append_value(value.as_str()),
            (Values::Bytes(values), Cel::Bytes(value)) => values.append_value(value.as_slice()),
            (Values::Timestamp(values), Cel::Timestamp(time)) => values.append_value(time.timestamp_micros()),
            (_, other) => return Err(format!("the expression gives {} for this row", other.type_of())),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Values::Boolean(values) => values.append_null(),
            Values::Int(values) => values.append_null(),
            Values::Uint(values) => values.append_null(),
            Values::Double(values) => values.append_null(),
            Values::String(values) => values.append_null(),
            Values::Bytes(values) => values.append_null(),
            Values::Timestamp(values) => values.append_null(),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Values::Boolean(mut values) => Arc::new(values.finish()),
            Values::Int(mut values) => Arc::new(values.finish()),
            Values::Uint(mut values) => Arc::new(values.finish()),
            Values::Double(mut values) => Arc::new(values.finish()),
            Values::String(mut values) => Arc::new(values.finish()),
            Values::Bytes(mut values) => Arc::new(values.finish()),
            Values::Timestamp(mut values) => Arc::new(values.finish()),
        })
    }
}
