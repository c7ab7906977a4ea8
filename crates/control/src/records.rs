//! Records between people and the log: protobuf JSON or protobuf bytes in, JSON out.
//!
//! This is the edge for single records, written for good errors; the hot path of daggers decodes with `codec`.

mod format;
mod shown;

pub use format::RecordFormat;
pub(crate) use format::{Broken, PartFormat};
pub use shown::{ShownRecord, base64_text, show};

use crate::error::{ControlError, nearest};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions};
use serde_json::Value;

/// A record as somebody wants it published.
#[derive(Debug, Clone, Default)]
pub struct RecordDraft {
    pub value: DraftValue,
    pub key: DraftKey,
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
    /// A message, which is written as the topic's encoding has it.
    Protobuf(Bytes),
    /// The record's bytes as they shall be: already in the topic's encoding.
    Bytes(Bytes),
}

#[derive(Debug, Clone, Default)]
pub enum DraftKey {
    #[default]
    None,
    /// A text, or what the topic's key schema makes of it.
    JsonValue(Value),
    /// The key's bytes as they shall be: already in the topic's encoding.
    Bytes(Bytes),
}

/// What became of one record.
#[derive(Debug, Clone)]
pub enum RecordOutcome {
    Acknowledged(log::Ack),
    Refused(ControlError),
}

/// Turns a draft into the record that the log takes, checked against the topic's message types where it has them.
/// `key_field` names the field whose value becomes the key of records that bring none.
pub fn encode(
    draft: RecordDraft,
    format: &RecordFormat,
    key_field: Option<&str>,
) -> Result<log::NewRecord, ControlError> {
    if draft.timestamp_ms.is_some_and(|ms| ms < 0) {
        return Err(ControlError::invalid("record_invalid", "the record's timestamp is before 1970")
            .with_hint("an event time belongs into a field of the message"));
    }
    let mut headers = draft.headers;
    let (value, decoded) = match &format.value {
        None => (bytes_value(draft.value)?, None),
        Some(format) => message_value(draft.value, format, &mut headers)?,
    };
    let key = match (draft.key, key_field, &decoded) {
        (DraftKey::None, Some(_), _) if format.key.is_some() => {
            return Err(ControlError::invalid("key_field_invalid", "the topic's keys are messages, not one field")
                .with_hint("give each record its `key`"));
        }
        (DraftKey::None, Some(field), Some(decoded)) => Some(key_of(decoded, field)?),
        (key, _, _) => key_bytes(key, format.key.as_ref(), &mut headers)?,
    };
    let (partition, timestamp_ms) = (draft.partition, draft.timestamp_ms);
    Ok(log::NewRecord { partition, key, value, headers, timestamp_ms })
}

/// Of a topic whose bytes are not looked at.
fn bytes_value(value: DraftValue) -> Result<Option<Bytes>, ControlError> {
    match value {
        DraftValue::Tombstone => Ok(None),
        DraftValue::Protobuf(bytes) | DraftValue::Bytes(bytes) => Ok(Some(bytes)),
        DraftValue::Json(_) | DraftValue::JsonValue(_) => Err(ControlError::invalid(
            "topic_without_schema",
            "the topic has no schema, so JSON cannot be turned into protobuf",
        )
        .with_hint("publish protobuf bytes, or create the topic with a schema")),
    }
}

type Headers = Vec<(String, Bytes)>;

/// The bytes as the topic's encoding has them, and the message that they are.
fn message_value(
    value: DraftValue,
    format: &PartFormat,
    headers: &mut Headers,
) -> Result<(Option<Bytes>, Option<DynamicMessage>), ControlError> {
    let message = &format.message;
    let (payload, decoded) = match value {
        DraftValue::Tombstone => return Ok((None, None)),
        DraftValue::Bytes(bytes) => {
            let decoded = check_bytes(&bytes, format, headers)?;
            return Ok((Some(bytes), Some(decoded)));
        }
        DraftValue::Protobuf(bytes) => {
            let decoded = format.check_message(&bytes)?;
            (bytes, decoded)
        }
        DraftValue::Json(text) => {
            let mut reader = serde_json::Deserializer::from_slice(&text);
            let decoded = from_json(&mut reader, message)?;
            reader.end().map_err(|error| json_error(&error, message))?;
            (encoded(&decoded), decoded)
        }
        DraftValue::JsonValue(value) => {
            let decoded = from_json(value, message)?;
            (encoded(&decoded), decoded)
        }
    };
    Ok((Some(format.write(payload, headers)?), Some(decoded)))
}

fn key_bytes(key: DraftKey, format: Option<&PartFormat>, headers: &mut Headers) -> Result<Option<Bytes>, ControlError> {
    match (key, format) {
        (DraftKey::None, _) => Ok(None),
        (DraftKey::Bytes(bytes), None) => Ok(Some(bytes)),
        (DraftKey::Bytes(bytes), Some(format)) => check_bytes(&bytes, format, headers).map(|_| Some(bytes)),
        (DraftKey::JsonValue(Value::String(text)), None) => Ok(Some(Bytes::from(text))),
        (DraftKey::JsonValue(Value::Number(number)), None) => Ok(Some(Bytes::from(number.to_string()))),
        (DraftKey::JsonValue(_), None) => {
            Err(ControlError::invalid("record_invalid", "`key` is neither text nor number")
                .with_hint("bytes go into `keyBase64`; a topic with a `keySchema` takes the key as JSON"))
        }
        // A place that takes only text, such as a query parameter, takes an object as its text.
        (DraftKey::JsonValue(Value::String(text)), Some(format)) if text.trim_start().starts_with('{') => {
            let decoded = from_json(&mut serde_json::Deserializer::from_str(&text), &format.message).map_err(in_key)?;
            format.write(encoded(&decoded), headers).map(Some)
        }
        (DraftKey::JsonValue(value), Some(format)) => {
            let decoded = from_json(value, &format.message).map_err(in_key)?;
            format.write(encoded(&decoded), headers).map(Some)
        }
    }
}

fn in_key(error: ControlError) -> ControlError {
    ControlError { detail: format!("the key: {}", error.detail), ..error }
}

/// Bytes that are taken as they are have to be what the topic's readers expect.
fn check_bytes(bytes: &Bytes, format: &PartFormat, headers: &mut Headers) -> Result<DynamicMessage, ControlError> {
    if !headers.iter().any(|(name, _)| name == format.schema_header())
        && let Ok(writer) = format.writer()
    {
        headers.extend(writer.header().map(|(name, value)| (name.to_owned(), value)));
    }
    let header = headers.iter().rev().find(|(name, _)| name == format.schema_header());
    let checked = format.decode(bytes, header.map(|(_, value)| value.as_ref()));
    checked.map_err(|broken| ControlError::invalid("record_invalid", broken.detail))
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

#[cfg(test)]
mod tests {
    use super::*;
    use codec::{ConfluentFrame, ConfluentHeader, RecordPart, WireFormat};

    fn message() -> MessageDescriptor {
        let text = "syntax = \"proto3\"; package a; message B { string id = 1; uint64 n = 2; C c = 3; } message C { int32 k = 1; }";
        let file = schema::SourceFile { path: "a.proto".into(), text: text.into() };
        schema::SchemaSet::from_sources(&[file]).unwrap().message("a.B").unwrap()
    }

    fn bare(message: &MessageDescriptor) -> RecordFormat {
        framed(message, WireFormat::Protobuf)
    }

    fn framed(message: &MessageDescriptor, wire: WireFormat) -> RecordFormat {
        let value = Some(PartFormat::new(message.clone(), wire.clone(), RecordPart::Value));
        RecordFormat { value, key: None }
    }

    fn json(text: &str) -> RecordDraft {
        RecordDraft { value: DraftValue::Json(Bytes::copy_from_slice(text.as_bytes())), ..RecordDraft::default() }
    }

    #[test]
    fn json_becomes_protobuf_and_comes_back() {
        let message = message();
        let record =
            encode(json("{\"id\": \"x\", \"n\": \"7\", \"c\": {\"k\": 5}}"), &bare(&message), Some("c.k")).unwrap();
        assert_eq!(record.key.as_deref(), Some(b"5".as_slice()));
        let decoded = decode(&record.value.unwrap(), &message).unwrap();
        assert_eq!(message_json(&decoded).unwrap(), serde_json::json!({"id": "x", "n": 7, "c": {"k": 5}}));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let message = message();
        let error = encode(json("{\"idd\": \"x\"}"), &bare(&message), None).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `id`?"), "{error}");
        for broken in ["{\"n\": -1}", "{\"id\": 5}", "{", "{} {}", "[]", ""] {
            assert_eq!(encode(json(broken), &bare(&message), None).unwrap_err().code, "record_invalid", "{broken}");
        }
        let torn =
            RecordDraft { value: DraftValue::Protobuf(Bytes::from_static(b"\x0a\x05ab")), ..RecordDraft::default() };
        assert_eq!(encode(torn, &bare(&message), None).unwrap_err().code, "record_invalid");
        assert_eq!(encode(json("{}"), &RecordFormat::default(), None).unwrap_err().code, "topic_without_schema");
        assert_eq!(encode(json("{}"), &bare(&message), Some("nn")).unwrap_err().code, "key_field_invalid");
    }

    #[test]
    fn messages_are_put_into_the_topics_frame_and_bytes_are_taken_as_they_are() {
        let message = message();
        let frame = ConfluentFrame { schema_ids: vec![7], ..ConfluentFrame::default() };
        let confluent = framed(&message, WireFormat::Confluent(frame));
        let on_the_wire = Bytes::from_static(b"\0\0\0\0\x07\0\x0a\x01x");
        for value in [
            DraftValue::Json(Bytes::from_static(b"{\"id\": \"x\"}")),
            DraftValue::Protobuf(Bytes::from_static(b"\x0a\x01x")),
            DraftValue::Bytes(on_the_wire.clone()),
        ] {
            let record = encode(RecordDraft { value, ..RecordDraft::default() }, &confluent, Some("id")).unwrap();
            assert_eq!((record.value.as_ref(), record.key.as_deref()), (Some(&on_the_wire), Some(b"x".as_slice())));
        }
        let bytes = DraftValue::Bytes(Bytes::from_static(b"\x0a\x01x"));
        let bare = RecordDraft { value: bytes, ..RecordDraft::default() };
        assert!(encode(bare, &confluent, None).unwrap_err().detail.contains("it looks like bare protobuf"));
        let any = framed(&message, WireFormat::Confluent(ConfluentFrame::default()));
        assert_eq!(encode(json("{}"), &any, None).unwrap_err().code, "encoding_incomplete");
        let header = ConfluentHeader { write_schema_guid: Some(codec::SchemaGuid([7; 16])), ..Default::default() };
        let by_header = framed(&message, WireFormat::ConfluentHeader(header));
        let mut draft = json("{\"id\": \"x\"}");
        draft.headers.push(("__value_schema_id".into(), Bytes::from_static(b"stale")));
        let record = encode(draft, &by_header, None).unwrap();
        let guid = [&[1], [7; 16].as_slice(), &[0]].concat();
        assert_eq!(record.headers, [("__value_schema_id".to_owned(), Bytes::from(guid))]);
        assert_eq!(record.value.as_deref(), Some(b"\x0a\x01x".as_slice()));
    }

    #[test]
    fn keys_are_messages_where_they_have_a_type() {
        let message = message();
        let keyed =
            RecordFormat { value: None, key: Some(PartFormat::new(message, WireFormat::Json, RecordPart::Key)) };
        let draft = |key| RecordDraft { key, ..RecordDraft::default() };
        let key = DraftKey::JsonValue(serde_json::json!({"id": "x", "n": 5}));
        let record = encode(draft(key.clone()), &keyed, None).unwrap();
        assert_eq!(record.key.as_deref(), Some(b"{\"id\":\"x\",\"n\":\"5\"}".as_slice()));
        let taken = encode(draft(DraftKey::Bytes(Bytes::from_static(b"{\"n\": 5}"))), &keyed, None).unwrap();
        assert_eq!(taken.key.as_deref(), Some(b"{\"n\": 5}".as_slice()));
        for wrong in [DraftKey::Bytes(Bytes::from_static(b"x")), DraftKey::JsonValue("x".into())] {
            assert_eq!(encode(draft(wrong), &keyed, None).unwrap_err().code, "record_invalid");
        }
        assert_eq!(encode(draft(DraftKey::None), &keyed, Some("id")).unwrap_err().code, "key_field_invalid");
        assert_eq!(encode(draft(key), &RecordFormat::default(), None).unwrap_err().code, "record_invalid");
        let text = encode(draft(DraftKey::JsonValue("x".into())), &RecordFormat::default(), None).unwrap();
        assert_eq!(text.key.as_deref(), Some(b"x".as_slice()));
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
