//! The shape of the columns of a message type: which fields there are, how they nest, what can be null.
//! The Arrow schema, the decode program and the generated messages are all derived from it.

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax, Value};

use crate::error::CompileError;
use crate::limits::{COLUMNS_MAX, Limits};
use crate::projection::{Projection, Selection};

#[derive(Debug)]
pub(crate) struct MessageShape {
    pub descriptor: MessageDescriptor,
    pub fields: Vec<FieldShape>,
}

#[derive(Debug)]
pub(crate) struct FieldShape {
    pub descriptor: FieldDescriptor,
    pub plurality: Plurality,
    /// Of the value, or of the item of a list, or of the value of a map.
    pub value: ValueShape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plurality {
    /// `nullable`: absence is seen.
    Single {
        nullable: bool,
    },
    List,
    Map {
        key: Scalar,
    },
}

#[derive(Debug)]
pub(crate) enum ValueShape {
    Scalar(Scalar),
    Enum(EnumDescriptor),
    Timestamp(TimestampParts),
    Wrapper(Scalar),
    Json(JsonKind),
    /// A message that is kept as its bytes: it is nested too deeply for the Arrow type.
    Opaque,
    Message(MessageShape),
}

/// The protobuf scalar types but enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

/// Which columns a timestamp field becomes. Exact parts exist beside the timestamp, as columns `NAME.seconds` and `NAME.nanos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimestampParts {
    pub micros: bool,
    pub seconds: bool,
    pub nanos: bool,
}

/// The well-known types that are shown as JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    Struct,
    Value,
    List,
}

impl Scalar {
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Scalar::Double,
            Kind::Float => Scalar::Float,
            Kind::Int32 => Scalar::Int32,
            Kind::Int64 => Scalar::Int64,
            Kind::Uint32 => Scalar::Uint32,
            Kind::Uint64 => Scalar::Uint64,
            Kind::Sint32 => Scalar::Sint32,
            Kind::Sint64 => Scalar::Sint64,
            Kind::Fixed32 => Scalar::Fixed32,
            Kind::Fixed64 => Scalar::Fixed64,
            Kind::Sfixed32 => Scalar::Sfixed32,
            Kind::Sfixed64 => Scalar::Sfixed64,
            Kind::Bool => Scalar::Bool,
            Kind::String => Scalar::String,
            Kind::Bytes => Scalar::Bytes,
            Kind::Message(_) | Kind::Enum(_) => return None,
        })
    }
}

/// The well-known types that are not shown as the struct of their fields.
pub(crate) enum WellKnown {
    Timestamp,
    Wrapper(Scalar),
    Json(JsonKind),
}

pub(crate) fn well_known(message: &MessageDescriptor) -> Option<WellKnown> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(match name {
        "Timestamp" => WellKnown::Timestamp,
        "DoubleValue" => WellKnown::Wrapper(Scalar::Double),
        "FloatValue" => WellKnown::Wrapper(Scalar::Float),
        "Int64Value" => WellKnown::Wrapper(Scalar::Int64),
        "UInt64Value" => WellKnown::Wrapper(Scalar::Uint64),
        "Int32Value" => WellKnown::Wrapper(Scalar::Int32),
        "UInt32Value" => WellKnown::Wrapper(Scalar::Uint32),
        "BoolValue" => WellKnown::Wrapper(Scalar::Bool),
        "StringValue" => WellKnown::Wrapper(Scalar::String),
        "BytesValue" => WellKnown::Wrapper(Scalar::Bytes),
        "Struct" => WellKnown::Json(JsonKind::Struct),
        "Value" => WellKnown::Json(JsonKind::Value),
        "ListValue" => WellKnown::Json(JsonKind::List),
        _ => return None,
    })
}

/// Whether unknown numbers of the enum are unknown fields (proto2) instead of values. Files that were written in a protobuf
/// edition say it in the option `features.enum_type`, where 2 is closed.
pub(crate) fn is_closed(kind: &EnumDescriptor) -> bool {
    let options = kind.options();
    let features = options.get_field_by_name("features");
    let declared = features.as_deref().and_then(Value::as_message).and_then(|features| {
        let is_set = features.has_field_by_name("enum_type");
        features.get_field_by_name("enum_type").filter(|_| is_set)?.as_enum_number()
    });
    match declared {
        Some(number) => number == 2,
        None => kind.parent_file().syntax() == Syntax::Proto2,
    }
}

/// The declared default of a proto2 field that is shown in place of NULL. Members of a oneof have none: which one is set counts.
pub(crate) fn has_declared_default(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().default_value.is_some() && field.containing_oneof().is_none()
}

/// The fields in the order of the definition.
pub(crate) fn fields_in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by_key(|field| field.path().last().copied());
    fields
}

/// How far message types are unrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unroll {
    /// How often one type may occur on a path.
    recursion_max: usize,
    /// How long a path may be.
    nesting_max: usize,
}

/// The shape of what `projection` selects of `message`.
///
/// A wide recursive type is unrolled as deeply as the limits and [`COLUMNS_MAX`] allow. The depth depends on the whole type
/// and not on the projection, so that a field has the same Arrow type in every projection.
pub(crate) fn shape(
    message: &MessageDescriptor,
    projection: &Projection,
    limits: &Limits,
    declared_defaults: bool,
) -> Result<MessageShape, CompileError> {
    let unroll = unroll(message, limits);
    let mut builder = Builder { unroll, declared_defaults, path: Vec::new(), names: Vec::new() };
    builder.message(message, &projection.root)
}

fn unroll(message: &MessageDescriptor, limits: &Limits) -> Unroll {
    let nesting_max = (limits.depth_max as usize).max(1);
    let most = (limits.recursion_depth_max as usize).max(1);
    let by_recursion = (1..=most).rev().map(|recursion_max| Unroll { recursion_max, nesting_max });
    let by_nesting = (1..=nesting_max.min(32)).rev().map(|nesting_max| Unroll { recursion_max: 1, nesting_max });
    let fits = |unroll: &Unroll| {
        let mut budget = COLUMNS_MAX;
        count(message, *unroll, &mut Vec::new(), &mut budget)
    };
    by_recursion.chain(by_nesting).find(fits).unwrap_or(Unroll { recursion_max: 1, nesting_max: 1 })
}

/// Takes the columns of the type from `budget`; false when it does not suffice.
fn count(message: &MessageDescriptor, unroll: Unroll, path: &mut Vec<String>, budget: &mut usize) -> bool {
    path.push(message.full_name().to_owned());
    let mut fits = true;
    for field in message.fields() {
        let value = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        // A timestamp may become three columns; a list or a map adds one or two.
        let Some(left) = budget.checked_sub(3) else {
            fits = false;
            break;
        };
        *budget = left;
        if let Kind::Message(child) = value
            && well_known(&child).is_none()
            && !is_cut(&child, unroll, path)
            && !count(&child, unroll, path, budget)
        {
            fits = false;
            break;
        }
    }
    path.pop();
    fits
}

fn is_cut(message: &MessageDescriptor, unroll: Unroll, path: &[String]) -> bool {
    path.len() >= unroll.nesting_max
        || path.iter().filter(|name| *name == message.full_name()).count() >= unroll.recursion_max
}

struct Builder {
    unroll: Unroll,
    declared_defaults: bool,
    /// Full names of the message types from the root to here.
    path: Vec<String>,
    /// Field names from the root to here.
    names: Vec<String>,
}

impl Builder {
    fn message(&mut self, message: &MessageDescriptor, selection: &Selection) -> Result<MessageShape, CompileError> {
        self.check_names(message, selection)?;
        self.path.push(message.full_name().to_owned());
        let mut fields = Vec::new();
        for field in fields_in_order(message) {
            let mut chosen = match selection.fields.get(field.name()) {
                Some(chosen) => chosen.clone(),
                None if selection.whole => Selection::all(),
                None => continue,
            };
            chosen.whole |= selection.whole;
            self.names.push(field.name().to_owned());
            fields.push(self.field(field, &chosen)?);
            self.names.pop();
        }
        self.path.pop();
        Ok(MessageShape { descriptor: message.clone(), fields })
    }

    fn check_names(&self, message: &MessageDescriptor, selection: &Selection) -> Result<(), CompileError> {
        for name in selection.fields.keys() {
            if message.get_field_by_name(name).is_none() {
                let mut path = self.names.clone();
                path.push(name.clone());
                return Err(CompileError::UnknownField {
                    message: message.full_name().to_owned(),
                    path: path.join("."),
                    nearest: nearest_name(name, message.fields().map(|field| field.name().to_owned())),
                });
            }
        }
        Ok(())
    }

    fn field(&mut self, field: FieldDescriptor, chosen: &Selection) -> Result<FieldShape, CompileError> {
        if let Kind::Message(entry) = field.kind()
            && field.is_map()
        {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let Some(key) = Scalar::of(&key.kind()) else {
                return Err(self.path_into_scalar("a map without a scalar key", "key"));
            };
            let value = self.value(&value, &Selection::all(), true)?;
            return Ok(FieldShape { descriptor: field, plurality: Plurality::Map { key }, value });
        }
        let value = self.value(&field, chosen, field.is_list())?;
        let plurality = if field.is_list() {
            Plurality::List
        } else {
            let declared = self.declared_defaults && has_declared_default(&field);
            let nullable = field.cardinality() != Cardinality::Repeated && field.supports_presence() && !declared;
            Plurality::Single { nullable }
        };
        Ok(FieldShape { descriptor: field, plurality, value })
    }

    fn value(
        &mut self,
        field: &FieldDescriptor,
        chosen: &Selection,
        in_list: bool,
    ) -> Result<ValueShape, CompileError> {
        let inside = chosen.fields.keys().next();
        match field.kind() {
            Kind::Message(message) => match well_known(&message) {
                Some(WellKnown::Timestamp) => self.timestamp(chosen, in_list),
                Some(WellKnown::Wrapper(scalar)) => Ok(ValueShape::Wrapper(scalar)),
                Some(WellKnown::Json(kind)) => Ok(ValueShape::Json(kind)),
                None if is_cut(&message, self.unroll, &self.path) => Ok(ValueShape::Opaque),
                None => Ok(ValueShape::Message(self.message(&message, chosen)?)),
            },
            Kind::Enum(kind) => match inside {
                None => Ok(ValueShape::Enum(kind)),
                Some(rest) => Err(self.path_into_scalar("an enum", rest)),
            },
            kind => match (Scalar::of(&kind), inside) {
                (Some(scalar), None) => Ok(ValueShape::Scalar(scalar)),
                (_, rest) => Err(self.path_into_scalar(&format!("of type {kind:?}"), rest.map_or("", String::as_str))),
            },
        }
    }

    fn timestamp(&self, chosen: &Selection, in_list: bool) -> Result<ValueShape, CompileError> {
        for part in chosen.fields.keys() {
            if in_list {
                return Err(CompileError::PathIntoRepeated { path: self.names.join("."), rest: part.clone() });
            }
            if part != "seconds" && part != "nanos" {
                return Err(CompileError::UnknownField {
                    message: "google.protobuf.Timestamp".to_owned(),
                    path: format!("{}.{part}", self.names.join(".")),
                    nearest: nearest_name(part, ["seconds".to_owned(), "nanos".to_owned()]),
                });
            }
        }
        Ok(ValueShape::Timestamp(TimestampParts {
            micros: chosen.whole,
            seconds: chosen.fields.contains_key("seconds"),
            nanos: chosen.fields.contains_key("nanos"),
        }))
    }

    fn path_into_scalar(&self, found: &str, rest: &str) -> CompileError {
        CompileError::PathIntoScalar { path: self.names.join("."), found: found.to_owned(), rest: rest.to_owned() }
    }
}

/// The candidate that is most like `name`, if one is.
pub(crate) fn nearest_name(name: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + name.len().max(candidate.len()) / 3)
        .map(|(_, candidate)| candidate)
}
