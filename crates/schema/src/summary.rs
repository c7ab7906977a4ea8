//! Message types as people read them: fields, comments, presence.

use std::collections::HashMap;

use prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Value};

/// A message type for listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSummary {
    pub full_name: String,
    /// Import path of the file that defines it.
    pub file: String,
    /// The comment in front of the definition.
    pub comment: Option<String>,
    /// In the order of the definition.
    pub fields: Vec<FieldSummary>,
}

/// One field of a message type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSummary {
    pub name: String,
    pub number: u32,
    /// `string`, `city.Status`, `map<string, int64>`; without the label.
    pub type_name: String,
    pub label: FieldLabel,
    pub oneof: Option<String>,
    /// The comment in front of the field, else the one behind it.
    pub comment: Option<String>,
    /// Full name of the message type to describe next, for fields (and map values) that are messages.
    pub message: Option<String>,
    /// Names of the values, for enums.
    pub enum_values: Vec<String>,
    /// The declared default of proto2.
    pub default: Option<String>,
    pub deprecated: bool,
}

/// How often a field occurs and whether its absence is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldLabel {
    /// A scalar without presence: absent is its default.
    Implicit,
    /// Absent is seen: messages, `optional`, members of a oneof.
    Optional,
    Required,
    Repeated,
    Map,
}

impl FieldLabel {
    pub fn as_str(self) -> &'static str {
        match self {
            FieldLabel::Implicit => "",
            FieldLabel::Optional => "optional",
            FieldLabel::Required => "required",
            FieldLabel::Repeated => "repeated",
            FieldLabel::Map => "map",
        }
    }
}

/// Comments by file and descriptor path, read once per file.
#[derive(Default)]
pub(crate) struct Comments {
    files: HashMap<String, HashMap<Vec<i32>, String>>,
}

impl Comments {
    fn at(&mut self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        if !self.files.contains_key(file.name()) {
            self.files.insert(file.name().to_owned(), read_comments(file));
        }
        self.files.get(file.name()).and_then(|comments| comments.get(path)).cloned()
    }
}

fn read_comments(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let Some(info) = &file.file_descriptor_proto().source_code_info else { return HashMap::new() };
    info.location
        .iter()
        .filter_map(|location| {
            let text = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let text = lines.join("\n").trim().to_owned();
            (!text.is_empty()).then(|| (location.path.clone(), text))
        })
        .collect()
}

pub(crate) fn summarize(message: &MessageDescriptor, comments: &mut Comments) -> MessageSummary {
    let file = message.parent_file();
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by_key(|field| field.path().last().copied());
    MessageSummary {
        full_name: message.full_name().to_owned(),
        file: file.name().to_owned(),
        comment: comments.at(&file, message.path()),
        fields: fields.iter().map(|field| summarize_field(field, &file, comments)).collect(),
    }
}

fn summarize_field(field: &FieldDescriptor, file: &FileDescriptor, comments: &mut Comments) -> FieldSummary {
    let value_kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    FieldSummary {
        name: field.name().to_owned(),
        number: field.number(),
        type_name: type_name(field),
        label: label(field),
        oneof: field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| oneof.name().to_owned()),
        comment: comments.at(file, field.path()),
        message: value_kind.as_message().map(|message| message.full_name().to_owned()),
        enum_values: value_kind
            .as_enum()
            .map(|kind| kind.values().map(|value| value.name().to_owned()).collect())
            .unwrap_or_default(),
        default: field.field_descriptor_proto().default_value.as_ref().map(|_| default_text(field)),
        deprecated: field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated()),
    }
}

fn label(field: &FieldDescriptor) -> FieldLabel {
    if field.is_map() {
        FieldLabel::Map
    } else if field.is_list() {
        FieldLabel::Repeated
    } else if field.cardinality() == Cardinality::Required {
        FieldLabel::Required
    } else if field.supports_presence() {
        FieldLabel::Optional
    } else {
        FieldLabel::Implicit
    }
}

fn type_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            format!("map<{}, {}>", type_name(&entry.map_entry_key_field()), type_name(&entry.map_entry_value_field()))
        }
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

fn default_text(field: &FieldDescriptor) -> String {
    match (field.default_value(), field.kind()) {
        (Value::EnumNumber(number), Kind::Enum(kind)) => {
            kind.get_value(number).map_or_else(|| number.to_string(), |value| value.name().to_owned())
        }
        (value, _) => value.to_string(),
    }
}
