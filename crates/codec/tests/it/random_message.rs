//! Random values of a message type.

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub fn message(random: &mut ChaCha8Rng, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            message.set_field_by_name("seconds", Value::I64(random.random_range(-62_135_596_800..=253_402_300_799)));
            // Whole microseconds: finer ones are only in the exact parts.
            message.set_field_by_name("nanos", Value::I32(random.random_range(0..1_000_000) * 1_000));
            return message;
        }
        "google.protobuf.Value" => return json_value(random, message, depth),
        _ => {}
    }
    for field in descriptor.fields() {
        if random.random_bool(0.6) {
            set(random, &mut message, &field, depth);
        }
    }
    message
}

/// A `Value` has always one of its members, or else it means nothing.
fn json_value(random: &mut ChaCha8Rng, mut message: DynamicMessage, depth: usize) -> DynamicMessage {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    let pick = if depth == 0 { random.random_range(0..4) } else { random.random_range(0..fields.len()) };
    let field = fields.iter().find(|field| field.number() as usize == pick + 1).expect("fields 1 to 6").clone();
    let value = if pick == 0 { Value::EnumNumber(0) } else { value(random, &field.kind(), depth.saturating_sub(1)) };
    message.set_field(&field, value);
    message
}

fn set(random: &mut ChaCha8Rng, message: &mut DynamicMessage, field: &FieldDescriptor, depth: usize) {
    let nested = field.kind().as_message().is_some();
    if depth == 0 && nested {
        return;
    }
    let items = random.random_range(0..5);
    let value = if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return };
        let (key, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        if depth == 1 && value_kind.as_message().is_some() {
            return;
        }
        let entries = (0..items).map(|_| (map_key(random, &key), value(random, &value_kind, depth - 1)));
        Value::Map(entries.collect::<HashMap<MapKey, Value>>())
    } else if field.is_list() {
        Value::List((0..items).map(|_| value(random, &field.kind(), depth.saturating_sub(1))).collect())
    } else {
        value(random, &field.kind(), depth.saturating_sub(1))
    };
    message.set_field(field, value);
}

fn map_key(random: &mut ChaCha8Rng, kind: &Kind) -> MapKey {
    match value(random, kind, 0) {
        Value::Bool(value) => MapKey::Bool(value),
        Value::I32(value) => MapKey::I32(value),
        Value::I64(value) => MapKey::I64(value),
        Value::U32(value) => MapKey::U32(value),
        Value::U64(value) => MapKey::U64(value),
        Value::String(value) => MapKey::String(value),
        other => panic!("{other:?} is no key"),
    }
}

pub fn value(random: &mut ChaCha8Rng, kind: &Kind, depth: usize) -> Value {
    match kind {
        Kind::Double => {
            Value::F64(if random.random_bool(0.1) { -0.0 } else { f64::from(random.random::<i32>()) / 64.0 })
        }
        Kind::Float => Value::F32(f32::from(random.random::<i16>()) / 8.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(random.random::<i32>() >> random.random_range(0..32)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(random.random::<i64>() >> random.random_range(0..64)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(random.random::<u32>() >> random.random_range(0..32)),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(random.random::<u64>() >> random.random_range(0..64)),
        Kind::Bool => Value::Bool(random.random()),
        Kind::String => Value::String(text(random)),
        Kind::Bytes => {
            Value::Bytes((0..random.random_range(0..20)).map(|_| random.random::<u8>()).collect::<Vec<u8>>().into())
        }
        Kind::Enum(kind) => {
            let values: Vec<i32> = kind.values().map(|value| value.number()).collect();
            let open = kind.parent_file().syntax() == prost_reflect::Syntax::Proto3;
            if open && random.random_bool(0.1) {
                return Value::EnumNumber(random.random_range(3..9));
            }
            Value::EnumNumber(values[random.random_range(0..values.len())])
        }
        Kind::Message(message_type) => Value::Message(message(random, message_type, depth)),
    }
}

fn text(random: &mut ChaCha8Rng) -> String {
    let letters = ['a', 'b', 'z', '0', ' ', '"', '\\', '\n', 'ä', '名', '🛵'];
    (0..random.random_range(0..18)).map(|_| letters[random.random_range(0..letters.len())]).collect()
}
