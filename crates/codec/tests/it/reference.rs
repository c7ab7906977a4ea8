//! What the columns of a message must hold, worked out from prost-reflect's reading of it, by the table of types.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

use crate::tree::Tree;

/// The whole message; `recursion_max`: how often a type may occur on a path before it is left out as opaque.
pub fn tree(message: &DynamicMessage, recursion_max: usize) -> Tree {
    message_tree(message, recursion_max, &mut vec![message.descriptor().full_name().to_owned()])
}

fn message_tree(message: &DynamicMessage, recursion_max: usize, path: &mut Vec<String>) -> Tree {
    let descriptor = message.descriptor();
    let mut fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    fields.sort_by_key(|field| field.path().to_vec());
    let columns = fields.iter().map(|field| (field.name().to_owned(), field_tree(message, field, recursion_max, path)));
    Tree::Struct(columns.collect())
}

fn field_tree(message: &DynamicMessage, field: &FieldDescriptor, recursion_max: usize, path: &mut Vec<String>) -> Tree {
    let declared_default = field.field_descriptor_proto().default_value.is_some() && field.containing_oneof().is_none();
    let absent = field.supports_presence() && !message.has_field(field) && !declared_default;
    if absent && !field.is_list() && !field.is_map() {
        return Tree::Null;
    }
    match &*message.get_field(field) {
        Value::List(items) => {
            Tree::List(items.iter().map(|item| value_tree(item, &field.kind(), recursion_max, path)).collect())
        }
        Value::Map(entries) => {
            let Kind::Message(entry) = field.kind() else { panic!("map without entries") };
            let value_kind = entry.map_entry_value_field().kind();
            let entries =
                entries.iter().map(|(key, value)| (key_tree(key), value_tree(value, &value_kind, recursion_max, path)));
            Tree::map(entries.collect())
        }
        value => value_tree(value, &field.kind(), recursion_max, path),
    }
}

fn key_tree(key: &MapKey) -> Tree {
    match key {
        MapKey::Bool(value) => Tree::Bool(*value),
        MapKey::I32(value) => Tree::Int((*value).into()),
        MapKey::I64(value) => Tree::Int((*value).into()),
        MapKey::U32(value) => Tree::Int((*value).into()),
        MapKey::U64(value) => Tree::Int((*value).into()),
        MapKey::String(text) => Tree::Text(text.clone()),
    }
}

fn value_tree(value: &Value, kind: &Kind, recursion_max: usize, path: &mut Vec<String>) -> Tree {
    match (value, kind) {
        (Value::Bool(value), _) => Tree::Bool(*value),
        (Value::I32(value), _) => Tree::Int((*value).into()),
        (Value::I64(value), _) => Tree::Int((*value).into()),
        (Value::U32(value), _) => Tree::Int((*value).into()),
        (Value::U64(value), _) => Tree::Int((*value).into()),
        (Value::F32(value), _) => Tree::Float(value.to_bits()),
        (Value::F64(value), _) => Tree::Double(value.to_bits()),
        (Value::String(text), _) => Tree::Text(text.clone()),
        (Value::Bytes(bytes), _) => Tree::Bytes(bytes.to_vec()),
        (Value::EnumNumber(number), Kind::Enum(kind)) => {
            Tree::Text(kind.get_value(*number).map_or_else(|| number.to_string(), |value| value.name().to_owned()))
        }
        (Value::Message(message), Kind::Message(descriptor)) => nested_tree(message, descriptor, recursion_max, path),
        (value, kind) => panic!("{value:?} is no {kind:?}"),
    }
}

fn nested_tree(
    message: &DynamicMessage,
    descriptor: &MessageDescriptor,
    recursion_max: usize,
    path: &mut Vec<String>,
) -> Tree {
    let name = descriptor.full_name();
    let number =
        |field: &str| message.get_field_by_name(field).map(|value| value.as_i64().or(value.as_i32().map(i64::from)));
    match name.strip_prefix("google.protobuf.").unwrap_or("") {
        "Timestamp" => {
            let (seconds, nanos) = (number("seconds").flatten().unwrap_or(0), number("nanos").flatten().unwrap_or(0));
            Tree::Int(i128::from(seconds) * 1_000_000 + i128::from(nanos / 1_000))
        }
        "Struct" | "Value" | "ListValue" => Tree::Text(json(message).to_string()),
        short if short.ends_with("Value") => {
            let field = descriptor.get_field(1).expect("a wrapper has a value");
            value_tree(&message.get_field(&field), &field.kind(), recursion_max, path)
        }
        _ if path.iter().filter(|on_path| *on_path == name).count() >= recursion_max => {
            // The whole message, marked as opaque by a list around it.
            Tree::List(vec![tree(message, usize::MAX)])
        }
        _ => {
            path.push(name.to_owned());
            let tree = message_tree(message, recursion_max, path);
            path.pop();
            tree
        }
    }
}

/// The JSON of the three dynamic types. Keys are sorted, because prost-reflect's maps have no order.
pub fn json(message: &DynamicMessage) -> serde_json::Value {
    let get = |name: &str| message.get_field_by_name(name).expect("a field of the well-known type").into_owned();
    let nested = |value: &Value| json(value.as_message().expect("a message"));
    match message.descriptor().name() {
        "Struct" => {
            let fields = get("fields");
            let mut entries: Vec<(String, serde_json::Value)> = fields
                .as_map()
                .expect("a map")
                .iter()
                .map(|(key, value)| (key.as_str().expect("text").to_owned(), nested(value)))
                .collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        "ListValue" => serde_json::Value::Array(get("values").as_list().expect("a list").iter().map(nested).collect()),
        _ => {
            let set = ["null_value", "number_value", "string_value", "bool_value", "struct_value", "list_value"]
                .into_iter()
                .find(|name| message.has_field_by_name(name));
            match set {
                Some("number_value") => number(get("number_value").as_f64().expect("a number")),
                Some("string_value") => {
                    serde_json::Value::String(get("string_value").as_str().expect("text").to_owned())
                }
                Some("bool_value") => serde_json::Value::Bool(get("bool_value").as_bool().expect("a flag")),
                Some(name @ ("struct_value" | "list_value")) => nested(&get(name)),
                _ => serde_json::Value::Null,
            }
        }
    }
}

fn number(value: f64) -> serde_json::Value {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    // -0 has its sign in the floating point form only.
    if value.fract() == 0.0 && value.abs() < 9e15 && value.to_bits() != (-0.0f64).to_bits() {
        return serde_json::Value::from(value as i64);
    }
    serde_json::Value::from(value)
}

/// The columns' tree in the reference's form: JSON with sorted keys, opaque bytes as prost-reflect reads them.
pub fn normal(tree: Tree, message: &MessageDescriptor) -> Tree {
    let Tree::Struct(fields) = tree else { return tree };
    let fields = fields.into_iter().map(|(name, value)| {
        let Some(field) = message.get_field_by_name(&name) else { return (name, value) };
        let value = match (value, field.kind()) {
            (Tree::List(items), kind) => Tree::List(items.into_iter().map(|item| normal_value(item, &kind)).collect()),
            (Tree::Map(entries), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                Tree::map(entries.into_iter().map(|(key, value)| (key, normal_value(value, &kind))).collect())
            }
            (value, kind) => normal_value(value, &kind),
        };
        (name, value)
    });
    Tree::Struct(fields.collect())
}

fn normal_value(value: Tree, kind: &Kind) -> Tree {
    let Kind::Message(message) = kind else { return value };
    match (message.full_name(), value) {
        ("google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue", Tree::Text(text)) => {
            Tree::Text(sorted(serde_json::from_str(&text).expect("JSON")).to_string())
        }
        (_, Tree::Opaque(bytes)) => {
            let read = DynamicMessage::decode(message.clone(), bytes.as_slice()).expect("opaque bytes are a message");
            Tree::List(vec![tree(&read, usize::MAX)])
        }
        (_, value) => normal(value, message),
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        serde_json::Value::Array(items) => serde_json::Value::Array(items.into_iter().map(sorted).collect()),
        value => value,
    }
}
