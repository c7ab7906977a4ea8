//! Records between people and the log: protobuf JSON or protobuf bytes in, JSON out.
//!
//! This is the edge for single records, written for good errors; the hot path of daggers decodes with `codec`.

use crate::error::{ControlError, nearest};
use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, Projection};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions};
use serde_json::Value;

/// A record as somebody wants it published.
#[derive(Debug, Clone, Default)]
pub struct RecordDraft {
    pub value: DraftValue,
    pub key: Option<Bytes>,
    pub headers: Vec<(String, Bytes)>,
    /// Milliseconds since 1970; `None` is the time of the append.
    pub timestamp_ms: Option<i64>,
    pub partition: Option<u32>,
}

#[derive(Debug, Clone, Default)]
pub enum DraftValue {
    #[default]
    Tombstone,
    /// The text of one JSON object in the protobuf JSON mapping.
    Json(Bytes),
    JsonValue(Value),
    Protobuf(Bytes),
}

/// What became of one record.
#[derive(Debug, Clone)]
pub enum RecordOutcome {
    Acknowledged(log::Ack),
    Refused(ControlError),
}

/// Turns a draft into the record that the log takes, checked against the topic's message type if it has one.
/// `key_field` names the field whose value becomes the key of records that bring none.
pub fn encode(
    draft: RecordDraft,
    message: Option<&MessageDescriptor>,
    key_field: Option<&str>,
) -> Result<log::NewRecord, ControlError> {
    if draft.timestamp_ms.is_some_and(|ms| ms < 0) {
        return Err(ControlError::invalid("record_invalid", "the record's timestamp is before 1970")
            .with_hint("an event time belongs into a field of the message"));
    }
    let (value, decoded) = match (draft.value, message) {
        (DraftValue::Tombstone, _) => (None, None),
        (DraftValue::Protobuf(bytes), None) => (Some(bytes), None),
        (DraftValue::Protobuf(bytes), Some(message)) => {
            let decoded = decode(&bytes, message)?;
            (Some(bytes), Some(decoded))
        }
        (DraftValue::Json(_) | DraftValue::JsonValue(_), None) => {
            return Err(ControlError::invalid(
                "topic_without_schema",
                "the topic has no schema, so JSON cannot be turned into protobuf",
            )
            .with_hint("publish protobuf bytes, or create the topic with a schema"));
        }
        (DraftValue::Json(text), Some(message)) => {
            let mut reader = serde_json::Deserializer::from_slice(&text);
            let decoded = from_json(&mut reader, message)?;
            reader.end().map_err(|error| json_error(&error, message))?;
            (Some(encoded(&decoded)), Some(decoded))
        }
        (DraftValue::JsonValue(value), Some(message)) => {
            let decoded = from_json(value, message)?;
            (Some(encoded(&decoded)), Some(decoded))
        }
    };
    let key = match (draft.key, key_field, &decoded) {
        (None, Some(field), Some(decoded)) => Some(key_of(decoded, field)?),
        (key, _, _) => key,
    };
    Ok(log::NewRecord {
        partition: draft.partition,
        key,
        value,
        headers: draft.headers,
        timestamp_ms: draft.timestamp_ms,
    })
}

fn encoded(message: &DynamicMessage) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

fn from_json<'de, D>(reader: D, message: &MessageDescriptor) -> Result<DynamicMessage, ControlError>
where
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(message.clone(), reader, &options)
        .map_err(|error| json_error(&error, message))
}

fn json_error(error: &serde_json::Error, message: &MessageDescriptor) -> ControlError {
    let text = error.to_string();
    let hint = text.split('\'').nth(1).filter(|_| text.contains("unrecognized field")).map(|written| {
        let names: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
        match nearest(written, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the fields of {} are: {}", message.full_name(), names.join(", ")),
        }
    });
    ControlError::invalid(
        "record_invalid",
        format!("not a {} in the protobuf JSON mapping: {text}", message.full_name()),
    )
    .maybe_hint(hint)
}

/// Decodes protobuf bytes; the error says what is broken.
pub fn decode(bytes: &[u8], message: &MessageDescriptor) -> Result<DynamicMessage, ControlError> {
    DynamicMessage::decode(message.clone(), bytes)
        .map_err(|error| ControlError::invalid("record_invalid", format!("not a {}: {error}", message.full_name())))
}

/// The key that a field's value makes: text as it is, numbers as decimal text, bytes as they are.
fn key_of(message: &DynamicMessage, path: &str) -> Result<Bytes, ControlError> {
    use prost_reflect::Value as Field;
    let no_key = |detail: String| ControlError::invalid("key_field_invalid", detail);
    let mut current = message.clone();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let descriptor = current.descriptor();
        let Some(field) = descriptor.get_field_by_name(part) else {
            let names: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
            let hint = nearest(part, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
            return Err(no_key(format!("{} has no field `{part}` to take the key from", descriptor.full_name()))
                .maybe_hint(hint));
        };
        let value = current.get_field(&field).into_owned();
        let text = match value {
            Field::Message(inner) if parts.peek().is_some() => {
                current = inner;
                continue;
            }
            Field::String(text) => text.into_bytes().into(),
            Field::Bytes(bytes) => bytes,
            Field::Bool(value) => value.to_string().into_bytes().into(),
            Field::I32(value) => value.to_string().into_bytes().into(),
            Field::I64(value) => value.to_string().into_bytes().into(),
            Field::U32(value) => value.to_string().into_bytes().into(),
            Field::U64(value) => value.to_string().into_bytes().into(),
            Field::EnumNumber(number) => number.to_string().into_bytes().into(),
            _ => {
                return Err(no_key(format!("the field `{path}` is no text, number or bytes, so it cannot be the key")));
            }
        };
        return match parts.next() {
            None => Ok(text),
            Some(_) => Err(no_key(format!("the field `{part}` of `{path}` is no message"))),
        };
    }
    Err(no_key("the key field is empty".to_owned()))
}

/// Takes varint-delimited messages apart. A length that cannot be read ends it: what follows has no known beginning.
pub fn split_delimited(mut body: Bytes, record_bytes_max: usize) -> Vec<Result<Bytes, ControlError>> {
    let mut records = Vec::new();
    let total = body.len();
    while !body.is_empty() {
        let position = total - body.len();
        let mut rest = body.clone();
        let length = match prost::decode_length_delimiter(&mut rest) {
            Ok(length) if length <= record_bytes_max && length <= rest.len() => length,
            Ok(length) => {
                let detail = match length <= record_bytes_max {
                    true => {
                        format!("the message at byte {position} has {length} bytes, but only {} follow", rest.len())
                    }
                    false => {
                        format!("the message at byte {position} has {length} bytes, the limit is {record_bytes_max}")
                    }
                };
                records.push(Err(framing(detail)));
                return records;
            }
            Err(_) => {
                records.push(Err(framing(format!("there is no length at byte {position}"))));
                return records;
            }
        };
        records.push(Ok(rest.split_to(length)));
        body = rest;
    }
    records
}

fn framing(detail: String) -> ControlError {
    ControlError::invalid("framing_invalid", detail)
        .with_hint("each message is preceded by its length as a varint, as `writeDelimitedTo` does")
}

/// The JSON of a message in Millrace's form: proto names, all fields, integers as numbers.
pub fn message_json(message: &DynamicMessage) -> Result<Value, ControlError> {
    let options =
        SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| ControlError::invalid("record_invalid", format!("has no JSON form: {error}")))
}

/// A record of a topic as it is shown.
#[derive(Debug, Clone)]
pub struct ShownRecord {
    pub partition: u32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub json: Value,
}

/// With `raw` its bytes are shown, too, when they can be decoded.
pub fn show(slab: &log::Slab, record: usize, message: Option<&MessageDescriptor>, raw: bool) -> ShownRecord {
    let (offset, timestamp_ms) = (slab.offset(record), slab.timestamp_ms(record));
    let mut json = serde_json::Map::new();
    json.insert("partition".into(), slab.partition.into());
    json.insert("offset".into(), offset.into());
    json.insert("timestamp".into(), crate::time_text::millis(timestamp_ms).into());
    json.insert("key".into(), slab.key(record).map_or(Value::Null, bytes_json));
    let headers: serde_json::Map<String, Value> =
        slab.headers(record).map(|(key, value)| (key.to_owned(), bytes_json(value))).collect();
    json.insert("headers".into(), Value::Object(headers));
    insert_value(&mut json, slab.value(record), message);
    if raw {
        for (name, bytes) in [("keyBase64", slab.key(record)), ("valueBase64", slab.value(record))] {
            if let Some(bytes) = bytes {
                json.insert(name.into(), base64_text(bytes).into());
            }
        }
    }
    ShownRecord { partition: slab.partition, offset, timestamp_ms, json: Value::Object(json) }
}

/// `value` when it can be decoded; `valueBase64`, and why, when not.
fn insert_value(json: &mut serde_json::Map<String, Value>, bytes: Option<&[u8]>, message: Option<&MessageDescriptor>) {
    let Some(bytes) = bytes else {
        json.insert("value".into(), Value::Null);
        return;
    };
    let decoded = message.map(|message| decode(bytes, message).and_then(|decoded| message_json(&decoded)));
    match decoded {
        Some(Ok(value)) => {
            json.insert("value".into(), value);
        }
        Some(Err(error)) => {
            json.insert("valueBase64".into(), base64_text(bytes).into());
            json.insert("error".into(), error.detail.into());
            json.insert("errorByte".into(), message.and_then(|message| broken_at(bytes, message)).into());
        }
        None => {
            json.insert("valueBase64".into(), base64_text(bytes).into());
        }
    }
}

/// The byte at which the daggers' decoder stops.
fn broken_at(bytes: &[u8], message: &MessageDescriptor) -> Option<u32> {
    let program = DecodeProgram::compile(message, &Projection::all(), &DecodeOptions::default()).ok()?;
    let span = (0, u32::try_from(bytes.len()).ok()?);
    let decoded = program.decoder().decode(&Bytes::copy_from_slice(bytes), &[span]);
    decoded.errors.first().map(|broken| broken.error.offset)
}

/// Text where the bytes are text, base64 where not.
fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => base64_text(bytes).into(),
    }
}

pub fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> MessageDescriptor {
        let text = "syntax = \"proto3\"; package a; message B { string id = 1; uint64 n = 2; C c = 3; } message C { int32 k = 1; }";
        let file = schema::SourceFile { path: "a.proto".into(), text: text.into() };
        schema::SchemaSet::from_sources(&[file]).unwrap().message("a.B").unwrap()
    }

    fn json(text: &str) -> RecordDraft {
        RecordDraft { value: DraftValue::Json(Bytes::copy_from_slice(text.as_bytes())), ..RecordDraft::default() }
    }

    #[test]
    fn json_becomes_protobuf_and_comes_back() {
        let message = message();
        let record =
            encode(json("{\"id\": \"x\", \"n\": \"7\", \"c\": {\"k\": 5}}"), Some(&message), Some("c.k")).unwrap();
        assert_eq!(record.key.as_deref(), Some(b"5".as_slice()));
        let decoded = decode(&record.value.unwrap(), &message).unwrap();
        assert_eq!(message_json(&decoded).unwrap(), serde_json::json!({"id": "x", "n": 7, "c": {"k": 5}}));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let message = message();
        let error = encode(json("{\"idd\": \"x\"}"), Some(&message), None).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `id`?"), "{error}");
        for broken in ["{\"n\": -1}", "{\"id\": 5}", "{", "{} {}", "[]", ""] {
            assert_eq!(encode(json(broken), Some(&message), None).unwrap_err().code, "record_invalid", "{broken}");
        }
        let torn =
            RecordDraft { value: DraftValue::Protobuf(Bytes::from_static(b"\x0a\x05ab")), ..RecordDraft::default() };
        assert_eq!(encode(torn, Some(&message), None).unwrap_err().code, "record_invalid");
        assert_eq!(encode(json("{}"), None, None).unwrap_err().code, "topic_without_schema");
        assert_eq!(encode(json("{}"), Some(&message), Some("nn")).unwrap_err().code, "key_field_invalid");
    }

    #[test]
    fn what_cannot_be_decoded_says_where_it_breaks() {
        let mut json = serde_json::Map::new();
        // A text of one byte, then one whose length, at byte 4, goes beyond the end.
        insert_value(&mut json, Some(b"\x0a\x01x\x0a\x05ab"), Some(&message()));
        assert_eq!(json["errorByte"], 4, "{json:?}");
        assert_eq!(json["valueBase64"], base64_text(b"\x0a\x01x\x0a\x05ab"));
    }

    #[test]
    fn delimited_messages_come_apart() {
        let records = split_delimited(Bytes::from_static(b"\x02ab\x00\x01c"), 100);
        let values: Vec<&[u8]> = records.iter().map(|record| record.as_ref().unwrap().as_ref()).collect();
        assert_eq!(values, [b"ab".as_slice(), b"", b"c"]);
        let records = split_delimited(Bytes::from_static(b"\x01a\x05bc"), 100);
        assert!(records[0].is_ok() && records[1].as_ref().unwrap_err().detail.contains("only 2 follow"));
        assert!(split_delimited(Bytes::from_static(b"\x05abcde"), 4)[0].is_err());
    }
}
