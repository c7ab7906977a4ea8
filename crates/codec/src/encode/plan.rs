//! Which column fills which field, and as what: checked once, before any row.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

use crate::UNKNOWN_COLUMN;
use crate::error::CompileError;
use crate::shape::{self, JsonKind, Scalar, WellKnown};
use crate::wire;

/// The fields of a message that are filled, by number. Columns are indexes into the columns of the batch or struct that the
/// message is made of.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub fields: Vec<FieldPlan>,
    /// Unknown fields, written behind the others.
    pub unknown: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub name: String,
    pub number: u32,
    pub required: bool,
    /// The oneof that the field is a member of.
    pub oneof: Option<String>,
    pub source: FieldSource,
}

#[derive(Debug)]
pub(crate) enum FieldSource {
    /// `implicit`: the default is not written.
    Single {
        value: ValuePlan,
        implicit: bool,
    },
    List {
        column: usize,
        item: ValuePlan,
        packed: bool,
    },
    Map {
        column: usize,
        key: ValuePlan,
        value: ValuePlan,
    },
    /// The message is made of columns with dotted names; it is there when one of them is.
    Dotted(MessagePlan),
}

/// `column`: what holds the value; in lists and maps the items, for which it is 0.
#[derive(Debug)]
pub(crate) struct ValuePlan {
    pub column: usize,
    /// The type that the column is cast to before it is read.
    pub canonical: DataType,
    pub kind: ValueKind,
}

#[derive(Debug)]
pub(crate) enum ValueKind {
    Scalar(Scalar),
    /// Numbers by name; the canonical type is text or a number.
    Enum(HashMap<String, i32>),
    Timestamp(StampColumns),
    Wrapper(Scalar),
    Json(JsonKind),
    /// The message as its bytes.
    Raw {
        group: bool,
    },
    Message {
        plan: MessagePlan,
        group: bool,
    },
    /// A column of NULLs.
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StampColumns {
    pub whole: Option<(usize, TimeUnit)>,
    pub seconds: Option<usize>,
    pub nanos: Option<usize>,
}

/// A column with what of its name is left: `["a", "b"]`.
#[derive(Clone)]
struct Column<'a> {
    name: String,
    rest: Vec<String>,
    index: usize,
    field: &'a Field,
}

pub(crate) fn message_plan(message: &MessageDescriptor, columns: &Schema) -> Result<MessagePlan, CompileError> {
    level(message, split(columns.fields().iter().map(|field| field.as_ref()), ""), "")
}

fn split<'a>(fields: impl Iterator<Item = &'a Field>, prefix: &str) -> Vec<Column<'a>> {
    fields
        .enumerate()
        .map(|(index, field)| Column {
            name: format!("{prefix}{}", field.name()),
            rest: field.name().split('.').map(str::to_owned).collect(),
            index,
            field,
        })
        .collect()
}

/// Plans one message of the columns that fill it. `prefix`: dotted path of the message, for errors.
fn level(message: &MessageDescriptor, columns: Vec<Column<'_>>, prefix: &str) -> Result<MessagePlan, CompileError> {
    let mut unknown = None;
    let mut by_field: HashMap<String, Vec<Column<'_>>> = HashMap::new();
    for mut column in columns {
        let first = column.rest.remove(0);
        if message.get_field_by_name(&first).is_none() {
            if first == UNKNOWN_COLUMN && column.rest.is_empty() && column.field.data_type() == &DataType::Binary {
                unknown = Some(column.index);
                continue;
            }
            return Err(CompileError::UnknownField {
                message: message.full_name().to_owned(),
                nearest: shape::nearest_name(&first, message.fields().map(|field| field.name().to_owned())),
                path: column.name,
            });
        }
        by_field.entry(first).or_default().push(column);
    }
    let mut descriptors: Vec<FieldDescriptor> = message.fields().collect();
    descriptors.sort_by_key(FieldDescriptor::number);
    let mut fields = Vec::new();
    for descriptor in descriptors {
        let path = format!("{prefix}{}", descriptor.name());
        let required = descriptor.cardinality() == Cardinality::Required;
        match by_field.remove(descriptor.name()) {
            Some(columns) => {
                let oneof = descriptor.containing_oneof().filter(|oneof| !oneof.is_synthetic());
                fields.push(FieldPlan {
                    name: descriptor.name().to_owned(),
                    number: descriptor.number(),
                    required,
                    oneof: oneof.map(|oneof| oneof.name().to_owned()),
                    source: field_source(&descriptor, columns, &path)?,
                });
            }
            None if required => return Err(CompileError::RequiredNotFilled { field: path }),
            None => {}
        }
    }
    Ok(MessagePlan { fields, unknown })
}

fn field_source(field: &FieldDescriptor, columns: Vec<Column<'_>>, path: &str) -> Result<FieldSource, CompileError> {
    let kind = field.kind();
    let message = kind.as_message().filter(|_| !field.is_list() && !field.is_map());
    if let Some(message) = message {
        if matches!(shape::well_known(message), Some(WellKnown::Timestamp)) {
            let value = stamp_plan(columns, path)?;
            return Ok(FieldSource::Single { value, implicit: false });
        }
        if columns.iter().all(|column| !column.rest.is_empty()) {
            return Ok(FieldSource::Dotted(level(message, columns, &format!("{path}."))?));
        }
    }
    let mut columns = columns.into_iter();
    let Some(column) = columns.next() else {
        return Err(CompileError::RequiredNotFilled { field: path.to_owned() });
    };
    if let Some(second) = columns.next() {
        return Err(twice(path, &column, &second));
    }
    if !column.rest.is_empty() {
        let rest = column.rest.join(".");
        return Err(CompileError::PathIntoScalar { path: path.to_owned(), found: describe(field), rest });
    }
    let found = column.field.data_type();
    if let Kind::Message(entry) = &kind
        && field.is_map()
    {
        return map_source(field, entry, &column, path);
    }
    if field.is_list() {
        let Some(item) = item_type(found).filter(|_| found != &DataType::Null) else {
            return match found {
                DataType::Null => Ok(nothing()),
                _ => Err(mismatch(
                    &column,
                    path,
                    field,
                    Some("a list is needed, for example `CollectArray(x)`".to_owned()),
                )),
            };
        };
        let item = value_plan(field, 0, &item, path).map_err(|misfit| mismatch_or(&column, path, field, misfit))?;
        return Ok(FieldSource::List { column: column.index, item, packed: field.is_packed() });
    }
    let value = value_plan(field, column.index, found, path).map_err(|hint| mismatch_or(&column, path, field, hint))?;
    Ok(FieldSource::Single { value, implicit: !field.supports_presence() })
}

fn nothing() -> FieldSource {
    let value = ValuePlan { column: 0, canonical: DataType::Null, kind: ValueKind::Nothing };
    FieldSource::Single { value, implicit: false }
}

fn map_source(
    field: &FieldDescriptor,
    entry: &MessageDescriptor,
    column: &Column<'_>,
    path: &str,
) -> Result<FieldSource, CompileError> {
    let entries = match column.field.data_type() {
        DataType::Null => return Ok(nothing()),
        DataType::Map(entries, _) => Some(entries.data_type().clone()),
        other => item_type(other),
    };
    let Some(DataType::Struct(parts)) =
        entries.filter(|entries| matches!(entries, DataType::Struct(parts) if parts.len() == 2))
    else {
        return Err(mismatch(column, path, field, Some("a MAP, or an ARRAY of ROW(key, value), is needed".to_owned())));
    };
    let part = |index: usize, descriptor: &FieldDescriptor| {
        value_plan(descriptor, index, parts[index].data_type(), path)
            .map_err(|hint| mismatch_or(column, path, field, hint))
    };
    let key = part(0, &entry.map_entry_key_field())?;
    let value = part(1, &entry.map_entry_value_field())?;
    Ok(FieldSource::Map { column: column.index, key, value })
}

/// The item type of any list type.
fn item_type(list: &DataType) -> Option<DataType> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item.data_type().clone()),
        _ => None,
    }
}

fn stamp_plan(columns: Vec<Column<'_>>, path: &str) -> Result<ValuePlan, CompileError> {
    let mut parts = StampColumns::default();
    let mut filled: HashMap<String, String> = HashMap::new();
    for column in columns {
        let part = column.rest.join(".");
        if let Some(first) = filled.insert(part.clone(), column.name.clone()) {
            return Err(CompileError::FilledTwice { field: path.to_owned(), first, second: column.name });
        }
        let found = column.field.data_type();
        let wrong = |expected: &str| CompileError::TypeMismatch {
            column: column.name.clone(),
            field: path.to_owned(),
            found: found.to_string(),
            expected: expected.to_owned(),
            hint: Some(format!("write CAST({} AS {expected})", column.name)),
        };
        match (part.as_str(), found) {
            (_, DataType::Null) => {}
            ("", DataType::Timestamp(unit, _)) => parts.whole = Some((column.index, *unit)),
            ("", _) => return Err(wrong("TIMESTAMP")),
            ("seconds", DataType::Int64) => parts.seconds = Some(column.index),
            ("seconds", _) => return Err(wrong("BIGINT")),
            ("nanos", DataType::Int32) => parts.nanos = Some(column.index),
            ("nanos", _) => return Err(wrong("INT")),
            _ => {
                return Err(CompileError::UnknownField {
                    message: "google.protobuf.Timestamp".to_owned(),
                    nearest: shape::nearest_name(&part, ["seconds".to_owned(), "nanos".to_owned()]),
                    path: column.name,
                });
            }
        }
    }
    Ok(ValuePlan { column: 0, canonical: DataType::Null, kind: ValueKind::Timestamp(parts) })
}

/// Why a value does not fit: what to do, or an error of something inside of it.
struct Misfit(Option<String>, Option<Box<CompileError>>);

impl From<CompileError> for Misfit {
    fn from(error: CompileError) -> Self {
        Misfit(None, Some(Box::new(error)))
    }
}

/// How one value of type `found` is written as `field`'s type, not regarding whether that is repeated.
fn value_plan(field: &FieldDescriptor, column: usize, found: &DataType, path: &str) -> Result<ValuePlan, Misfit> {
    let plan = |canonical: DataType, kind| Ok(ValuePlan { column, canonical, kind });
    if found == &DataType::Null {
        return plan(DataType::Null, ValueKind::Nothing);
    }
    let scalar = |scalar| scalar_type(scalar, found).ok_or_else(|| Misfit(cast_hint(scalar, path), None));
    match field.kind() {
        Kind::Enum(kind) => {
            let canonical = match found {
                DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
                    DataType::Int64
                }
                DataType::Dictionary(_, values) if is_text(values) => {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                }
                other if is_text(other) => DataType::Utf8View,
                _ => return Err(Misfit(Some("give the name of the value as text".to_owned()), None)),
            };
            let numbers = kind.values().map(|value| (value.name().to_owned(), value.number())).collect();
            plan(canonical, ValueKind::Enum(numbers))
        }
        Kind::Message(message) => match shape::well_known(&message) {
            Some(WellKnown::Timestamp) => match found {
                DataType::Timestamp(unit, _) => {
                    let parts = StampColumns { whole: Some((column, *unit)), ..StampColumns::default() };
                    plan(DataType::Null, ValueKind::Timestamp(parts))
                }
                _ => Err(Misfit(Some("a TIMESTAMP is needed".to_owned()), None)),
            },
            Some(WellKnown::Wrapper(inner)) => plan(scalar(inner)?, ValueKind::Wrapper(inner)),
            Some(WellKnown::Json(kind)) if is_text(found) => plan(DataType::Utf8View, ValueKind::Json(kind)),
            Some(WellKnown::Json(_)) => Err(Misfit(Some("JSON text is needed".to_owned()), None)),
            None => match found {
                DataType::Struct(children) => {
                    let prefix = format!("{path}.");
                    let columns = split(children.iter().map(|child| child.as_ref()), &prefix);
                    let inner = level(&message, columns, &prefix)?;
                    plan(found.clone(), ValueKind::Message { plan: inner, group: field.is_group() })
                }
                other if is_binary(other) => plan(DataType::BinaryView, ValueKind::Raw { group: field.is_group() }),
                _ => Err(Misfit(Some("a ROW, or columns with dotted names, are needed".to_owned()), None)),
            },
        },
        kind => match Scalar::of(&kind) {
            Some(kind) => plan(scalar(kind)?, ValueKind::Scalar(kind)),
            None => Err(Misfit(None, None)),
        },
    }
}

/// What a column of type `found` is read as to fill the scalar; `None` when values could be lost without a trace.
/// Where a value may be out of range, that is an error of its row.
fn scalar_type(scalar: Scalar, found: &DataType) -> Option<DataType> {
    use DataType::{Boolean, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    Some(match (scalar, found) {
        (Scalar::Double, Float32 | Float64 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => Float64,
        (Scalar::Float, Float32 | Int8 | Int16 | UInt8 | UInt16) => Float32,
        (Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32, Int8 | Int16 | Int32 | UInt8 | UInt16) => Int64,
        (Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
        | (Scalar::Uint32 | Scalar::Fixed32, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
        | (Scalar::Uint64 | Scalar::Fixed64, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32) => Int64,
        (Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint64 | Scalar::Fixed64, UInt64) => UInt64,
        (Scalar::Uint64 | Scalar::Fixed64, Decimal128(precision, 0)) => Decimal128(*precision, 0),
        (Scalar::Bool, Boolean) => Boolean,
        (Scalar::String, found) if is_text(found) => DataType::Utf8View,
        (Scalar::Bytes, found) if is_binary(found) => DataType::BinaryView,
        _ => return None,
    })
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_binary(found: &DataType) -> bool {
    matches!(found, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

fn cast_hint(scalar: Scalar, path: &str) -> Option<String> {
    let sql = match scalar {
        Scalar::Double => "DOUBLE",
        Scalar::Float => "FLOAT",
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => "INT",
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint32 | Scalar::Fixed32 => "BIGINT",
        Scalar::Uint64 | Scalar::Fixed64 => "DECIMAL(20, 0)",
        Scalar::Bool => "BOOLEAN",
        Scalar::String => "STRING",
        Scalar::Bytes => "BYTES",
    };
    Some(format!("write CAST(... AS {sql}) AS `{path}`"))
}

fn describe(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) if field.is_map() => {
            format!("map<{:?}, {:?}>", message.map_entry_key_field().kind(), message.map_entry_value_field().kind())
        }
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    };
    if field.is_list() { format!("repeated {kind}") } else { kind }
}

fn mismatch_or(column: &Column<'_>, path: &str, field: &FieldDescriptor, misfit: Misfit) -> CompileError {
    match misfit {
        Misfit(_, Some(error)) => *error,
        Misfit(hint, None) => mismatch(column, path, field, hint),
    }
}

fn mismatch(column: &Column<'_>, path: &str, field: &FieldDescriptor, hint: Option<String>) -> CompileError {
    CompileError::TypeMismatch {
        column: column.name.clone(),
        field: path.to_owned(),
        found: column.field.data_type().to_string(),
        expected: describe(field),
        hint,
    }
}

fn twice(path: &str, first: &Column<'_>, second: &Column<'_>) -> CompileError {
    CompileError::FilledTwice { field: path.to_owned(), first: first.name.clone(), second: second.name.clone() }
}

/// The wire type of one value of this kind.
pub(crate) fn wire_type(value: &ValuePlan) -> u8 {
    match &value.kind {
        ValueKind::Scalar(scalar) => crate::program::scalar_wire_type(*scalar),
        ValueKind::Enum(_) => wire::VARINT,
        ValueKind::Raw { group: true } | ValueKind::Message { group: true, .. } => wire::GROUP,
        _ => wire::LEN,
    }
}
