//! A message as one of the many byte strings that mean it: any field order, messages in parts, packed or not, values that are
//! overwritten later, unknown fields, long varints.

use std::collections::VecDeque;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::random_message;

pub fn encode(random: &mut ChaCha8Rng, message: &DynamicMessage) -> Vec<u8> {
    pieces(random, message).concat()
}

/// The fields of a message, each as its bytes, in an order that keeps what belongs together: occurrences of one field, and
/// members of one oneof.
fn pieces(random: &mut ChaCha8Rng, message: &DynamicMessage) -> Vec<Vec<u8>> {
    let mut queues: Vec<VecDeque<Vec<u8>>> = Vec::new();
    let descriptor = message.descriptor();
    for (field, value) in message.fields() {
        let mut queue = VecDeque::new();
        field_pieces(random, &field, value, &mut queue);
        // A member of the same oneof that is set before is overruled.
        if let Some(oneof) = field.containing_oneof().filter(|_| random.random_bool(0.3)) {
            let members: Vec<FieldDescriptor> = oneof.fields().collect();
            let other = &members[random.random_range(0..members.len())];
            if other.number() != field.number() {
                let value = random_message::value(random, &other.kind(), 1);
                let mut first = VecDeque::new();
                field_pieces(random, other, &value, &mut first);
                first.append(&mut queue);
                queue = first;
            }
        }
        queues.push(queue);
    }
    for _ in 0..random.random_range(0..3) {
        let number = 500_000 + random.random_range(0..100);
        if descriptor.get_field(number).is_none() {
            queues.push(VecDeque::from([unknown(random, number)]));
        }
    }
    let mut pieces = Vec::new();
    queues.retain(|queue| !queue.is_empty());
    while !queues.is_empty() {
        let pick = random.random_range(0..queues.len());
        pieces.extend(queues[pick].pop_front());
        queues.retain(|queue| !queue.is_empty());
    }
    pieces
}

fn field_pieces(random: &mut ChaCha8Rng, field: &FieldDescriptor, value: &Value, queue: &mut VecDeque<Vec<u8>>) {
    let number = field.number();
    match value {
        Value::List(items) => list_pieces(random, field, items, queue),
        Value::Map(entries) => {
            let Kind::Message(entry) = field.kind() else { return };
            let value_kind = entry.map_entry_value_field().kind();
            for (key, value) in entries {
                if random.random_bool(0.2) {
                    let overruled = random_message::value(random, &value_kind, 0);
                    queue.push_back(entry_piece(random, &entry, number, key, &overruled));
                }
                queue.push_back(entry_piece(random, &entry, number, key, value));
            }
        }
        Value::Message(message) if !field.is_group() && random.random_bool(0.4) => {
            let parts = pieces(random, message);
            let cut = random.random_range(0..=parts.len());
            for part in [&parts[..cut], &parts[cut..]] {
                queue.push_back(len_field(random, number, &part.concat()));
            }
        }
        value => {
            if !matches!(value, Value::Message(_)) && random.random_bool(0.2) {
                let overruled = random_message::value(random, &field.kind(), 0);
                queue.push_back(single(random, field, &overruled));
            }
            queue.push_back(single(random, field, value));
        }
    }
}

fn list_pieces(random: &mut ChaCha8Rng, field: &FieldDescriptor, items: &[Value], queue: &mut VecDeque<Vec<u8>>) {
    let packable = !matches!(field.kind(), Kind::Message(_) | Kind::String | Kind::Bytes);
    let mut rest = items;
    while !rest.is_empty() {
        let count = random.random_range(1..=rest.len());
        let (some, others) = rest.split_at(count);
        if packable && random.random_bool(0.5) {
            let mut packed = Vec::new();
            for item in some {
                put_value(random, &field.kind(), item, &mut packed);
            }
            queue.push_back(len_field(random, field.number(), &packed));
        } else {
            for item in some {
                queue.push_back(single(random, field, item));
            }
        }
        rest = others;
    }
}

fn entry_piece(
    random: &mut ChaCha8Rng,
    entry: &prost_reflect::MessageDescriptor,
    number: u32,
    key: &MapKey,
    value: &Value,
) -> Vec<u8> {
    let key = single(random, &entry.map_entry_key_field(), &Value::from(key.clone()));
    let value = single(random, &entry.map_entry_value_field(), value);
    let content = if random.random_bool(0.3) { [value, key].concat() } else { [key, value].concat() };
    len_field(random, number, &content)
}

fn single(random: &mut ChaCha8Rng, field: &FieldDescriptor, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let (true, Value::Message(message)) = (field.is_group(), value) {
        put_tag(random, field.number(), 3, &mut out);
        out.extend(encode(random, message));
        put_tag(random, field.number(), 4, &mut out);
        return out;
    }
    put_tag(random, field.number(), wire_type(&field.kind()), &mut out);
    put_value(random, &field.kind(), value, &mut out);
    out
}

fn wire_type(kind: &Kind) -> u32 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        _ => 0,
    }
}

fn put_value(random: &mut ChaCha8Rng, kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match (value, kind) {
        (Value::F64(value), _) => out.extend(value.to_le_bytes()),
        (Value::F32(value), _) => out.extend(value.to_le_bytes()),
        (Value::Bool(value), _) => put_varint(random, u64::from(*value), out),
        (Value::I32(value), Kind::Sfixed32) => out.extend(value.to_le_bytes()),
        (Value::I32(value), Kind::Sint32) => put_varint(random, u64::from(((value << 1) ^ (value >> 31)) as u32), out),
        (Value::I32(value) | Value::EnumNumber(value), _) => put_varint(random, i64::from(*value) as u64, out),
        (Value::I64(value), Kind::Sfixed64) => out.extend(value.to_le_bytes()),
        (Value::I64(value), Kind::Sint64) => put_varint(random, ((value << 1) ^ (value >> 63)) as u64, out),
        (Value::I64(value), _) => put_varint(random, *value as u64, out),
        (Value::U32(value), Kind::Fixed32) => out.extend(value.to_le_bytes()),
        (Value::U32(value), _) => put_varint(random, u64::from(*value), out),
        (Value::U64(value), Kind::Fixed64) => out.extend(value.to_le_bytes()),
        (Value::U64(value), _) => put_varint(random, *value, out),
        (Value::String(text), _) => put_len(random, text.as_bytes(), out),
        (Value::Bytes(bytes), _) => put_len(random, bytes, out),
        (Value::Message(message), _) => {
            let bytes = encode(random, message);
            put_len(random, &bytes, out);
        }
        (Value::List(_) | Value::Map(_), _) => panic!("not one value"),
    }
}

fn unknown(random: &mut ChaCha8Rng, number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    match random.random_range(0..5) {
        0 => {
            put_tag(random, number, 0, &mut out);
            put_varint(random, random_u64(random), &mut out);
        }
        1 => {
            put_tag(random, number, 1, &mut out);
            out.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        }
        2 => out = len_field(random, number, b"unknown"),
        3 => {
            put_tag(random, number, 5, &mut out);
            out.extend([1, 2, 3, 4]);
        }
        _ => {
            put_tag(random, number, 3, &mut out);
            out.extend(len_field(random, 1, b"in a group"));
            put_tag(random, number, 4, &mut out);
        }
    }
    out
}

fn random_u64(random: &ChaCha8Rng) -> u64 {
    random.clone().random()
}

fn len_field(random: &mut ChaCha8Rng, number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(random, number, 2, &mut out);
    put_len(random, content, &mut out);
    out
}

fn put_len(random: &mut ChaCha8Rng, content: &[u8], out: &mut Vec<u8>) {
    put_varint(random, content.len() as u64, out);
    out.extend_from_slice(content);
}

fn put_tag(random: &mut ChaCha8Rng, number: u32, wire_type: u32, out: &mut Vec<u8>) {
    put_varint(random, u64::from(number << 3 | wire_type), out);
}

/// Now and then longer than it need be.
fn put_varint(random: &mut ChaCha8Rng, mut value: u64, out: &mut Vec<u8>) {
    let mut len = 1;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
        len += 1;
    }
    if len < 5 && random.random_bool(0.05) {
        out.extend([value as u8 | 0x80, 0]);
    } else {
        out.push(value as u8);
    }
}
