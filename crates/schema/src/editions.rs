//! Descriptor sets of the protobuf editions 2023 and 2024, said in proto3 (or, for enums that do not begin with 0, proto2).
//!
//! prost-reflect knows the two syntaxes only. Every feature that changes how records are read or written has a place in their
//! descriptors, though: presence is `proto3_optional` or the label, packing an option, delimited encoding a group. Whether an
//! enum is closed is left in the enum's own option `features.enum_type`, where `codec` looks for it.
//! See <https://protobuf.dev/editions/features/>.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};

use crate::error::{SchemaError, SchemaErrorKind};

const EDITION_2023: i32 = 1_000;
const EDITION_2024: i32 = 1_001;

const EXPLICIT: i32 = 1;
const IMPLICIT: i32 = 2;
const LEGACY_REQUIRED: i32 = 3;
const OPEN: i32 = 1;
const CLOSED: i32 = 2;
const PACKED: i32 = 1;
const DELIMITED: i32 = 2;

const TYPE_GROUP: i32 = 10;
const TYPE_MESSAGE: i32 = 11;
const LABEL_REQUIRED: i32 = 2;
const LABEL_REPEATED: i32 = 3;

/// The features that matter on the wire, as they are in force at one place.
#[derive(Clone, Copy)]
struct Features {
    field_presence: i32,
    enum_type: i32,
    repeated_field_encoding: i32,
    message_encoding: i32,
}

impl Features {
    const OF_2023: Features =
        Features { field_presence: EXPLICIT, enum_type: OPEN, repeated_field_encoding: PACKED, message_encoding: 1 };

    /// With what the options of `message` override.
    fn within(self, message: &DynamicMessage) -> Self {
        let options = message.get_field_by_name("options");
        let Some(options) = options.as_deref().and_then(Value::as_message) else { return self };
        let features = options.get_field_by_name("features");
        let Some(features) = features.as_deref().and_then(Value::as_message) else { return self };
        let get = |name: &str, inherited: i32| {
            let set = features.has_field_by_name(name);
            let value = features.get_field_by_name(name).and_then(|value| value.as_enum_number());
            value.filter(|_| set).unwrap_or(inherited)
        };
        Self {
            field_presence: get("field_presence", self.field_presence),
            enum_type: get("enum_type", self.enum_type),
            repeated_field_encoding: get("repeated_field_encoding", self.repeated_field_encoding),
            message_encoding: get("message_encoding", self.message_encoding),
        }
    }
}

/// What the whole file needs of its syntax.
#[derive(Default)]
struct Needs {
    /// Name of an enum whose first value is not 0: proto3 does not take it.
    proto2: Option<String>,
    /// Name of a field without presence: proto2 does not have it.
    proto3: Option<String>,
}

/// The file in proto2 or proto3 if it is of an edition; `None` if it is not.
pub(crate) fn lowered(bytes: &[u8]) -> Result<Option<Vec<u8>>, SchemaError> {
    let Some(descriptor) = file_descriptor() else { return Ok(None) };
    let Ok(mut file) = DynamicMessage::decode(descriptor, bytes) else { return Ok(None) };
    if text(&file, "syntax") != "editions" {
        return Ok(None);
    }
    let name = text(&file, "name");
    let edition = number(&file, "edition");
    if edition != EDITION_2023 && edition != EDITION_2024 {
        return Err(SchemaError::new(SchemaErrorKind::Unsupported, format!("edition {edition} is not known here"))
            .with_file(name)
            .with_hint("editions 2023 and 2024, proto2 and proto3 are supported"));
    }
    let features = Features::OF_2023.within(&file);
    let mut needs = Needs::default();
    each(&mut file, "message_type", |message| lower_message(message, features, &mut needs));
    each(&mut file, "enum_type", |kind| lower_enum(kind, features, &mut needs));
    each(&mut file, "extension", |field| lower_field(field, features, &mut needs));
    let syntax = match (&needs.proto2, &needs.proto3) {
        (Some(kind), Some(field)) => {
            let message = format!(
                "enum `{kind}` begins with another number than 0 while field `{field}` has implicit presence: \
                 no proto2 or proto3 file has both"
            );
            return Err(SchemaError::new(SchemaErrorKind::Unsupported, message)
                .with_file(name)
                .with_hint("give the field explicit presence, or move the enum to a file of its own"));
        }
        (Some(_), None) => "proto2",
        _ => "proto3",
    };
    file.set_field_by_name("syntax", Value::String(syntax.to_owned()));
    file.clear_field_by_name("edition");
    Ok(Some(file.encode_to_vec()))
}

fn file_descriptor() -> Option<MessageDescriptor> {
    DescriptorPool::global().get_message_by_name("google.protobuf.FileDescriptorProto")
}

fn lower_message(message: &mut DynamicMessage, features: Features, needs: &mut Needs) {
    let features = features.within(message);
    each(message, "nested_type", |nested| lower_message(nested, features, needs));
    each(message, "enum_type", |kind| lower_enum(kind, features, needs));
    each(message, "field", |field| lower_field(field, features, needs));
    each(message, "extension", |field| lower_field(field, features, needs));
}

fn lower_enum(kind: &mut DynamicMessage, features: Features, needs: &mut Needs) {
    let closed = features.within(kind).enum_type == CLOSED;
    let first = kind.get_field_by_name("value").and_then(|values| {
        values
            .as_list()
            .and_then(|values| values.first().and_then(Value::as_message).map(|value| number(value, "number")))
    });
    if first.is_some_and(|first| first != 0) {
        needs.proto2 = Some(text(kind, "name"));
    }
    with_message(kind, "options", |options| {
        with_message(options, "features", |features| {
            features.set_field_by_name("enum_type", Value::EnumNumber(if closed { CLOSED } else { OPEN }));
        });
    });
}

fn lower_field(field: &mut DynamicMessage, features: Features, needs: &mut Needs) {
    let features = features.within(field);
    let is_message = number(field, "type") == TYPE_MESSAGE;
    if is_message && features.message_encoding == DELIMITED {
        field.set_field_by_name("type", Value::EnumNumber(TYPE_GROUP));
    }
    if number(field, "label") == LABEL_REPEATED {
        let packable = !matches!(number(field, "type"), TYPE_MESSAGE | TYPE_GROUP | 9 | 12);
        if packable {
            let packed = Value::Bool(features.repeated_field_encoding == PACKED);
            with_message(field, "options", |options| options.set_field_by_name("packed", packed));
        }
        return;
    }
    match features.field_presence {
        LEGACY_REQUIRED => {
            field.set_field_by_name("label", Value::EnumNumber(LABEL_REQUIRED));
            field.set_field_by_name("proto3_optional", Value::Bool(!is_message));
        }
        IMPLICIT if !is_message && !field.has_field_by_name("oneof_index") => {
            needs.proto3 = Some(text(field, "name"));
        }
        _ if !is_message && !field.has_field_by_name("oneof_index") => {
            field.set_field_by_name("proto3_optional", Value::Bool(true));
        }
        _ => {}
    }
}

fn each(message: &mut DynamicMessage, field: &str, mut change: impl FnMut(&mut DynamicMessage)) {
    if let Some(Value::List(items)) = message.get_field_by_name_mut(field) {
        items.iter_mut().filter_map(Value::as_message_mut).for_each(&mut change);
    }
}

/// Changes a nested message, which is made when it is not there.
fn with_message(message: &mut DynamicMessage, field: &str, change: impl FnOnce(&mut DynamicMessage)) {
    if let Some(Value::Message(nested)) = message.get_field_by_name_mut(field) {
        change(nested);
    }
}

fn number(message: &DynamicMessage, field: &str) -> i32 {
    let value = message.get_field_by_name(field);
    value.and_then(|value| value.as_enum_number().or_else(|| value.as_i32())).unwrap_or(0)
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
