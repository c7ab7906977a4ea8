//! Records as people see them: JSON.

use super::format::{PartFormat, RecordFormat};
use super::message_json;
use bytes::Bytes;
use serde_json::{Map, Value};

/// A record of a topic as it is shown.
#[derive(Debug, Clone)]
pub struct ShownRecord {
    pub partition: u32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub json: Value,
}

/// With `raw` its bytes are shown, too, when they can be decoded.
pub fn show(slab: &log::Slab, record: usize, format: &RecordFormat, raw: bool) -> ShownRecord {
    let (offset, timestamp_ms) = (slab.offset(record), slab.timestamp_ms(record));
    let header = |part: &PartFormat| slab.header(record, part.schema_header());
    let mut json = Map::new();
    json.insert("partition".into(), slab.partition.into());
    json.insert("offset".into(), offset.into());
    json.insert("timestamp".into(), crate::time_text::millis(timestamp_ms).into());
    insert_key(&mut json, slab.key_bytes(record), format.key.as_ref(), header);
    let headers: Map<String, Value> =
        slab.headers(record).map(|(key, value)| (key.to_owned(), bytes_json(value))).collect();
    json.insert("headers".into(), Value::Object(headers));
    insert_value(&mut json, slab.value_bytes(record), format.value.as_ref(), header);
    if raw {
        for (name, bytes) in [("keyBase64", slab.key(record)), ("valueBase64", slab.value(record))] {
            if let Some(bytes) = bytes {
                json.insert(name.into(), base64_text(bytes).into());
            }
        }
    }
    ShownRecord { partition: slab.partition, offset, timestamp_ms, json: Value::Object(json) }
}

/// As text or base64; as JSON where keys have a message type. A broken one is shown as its bytes, with what is wrong.
fn insert_key<'a>(
    json: &mut Map<String, Value>,
    bytes: Option<Bytes>,
    format: Option<&PartFormat>,
    header: impl Fn(&PartFormat) -> Option<&'a [u8]>,
) {
    let shown = match (bytes, format) {
        (None, _) => Value::Null,
        (Some(bytes), None) => bytes_json(&bytes),
        (Some(bytes), Some(format)) => match message_of(&bytes, format, header(format)) {
            Ok(shown) => shown,
            Err(broken) => {
                json.insert("keyError".into(), broken.detail.into());
                bytes_json(&bytes)
            }
        },
    };
    json.insert("key".into(), shown);
}

/// `value` when it can be decoded; `valueBase64`, and why, when not.
fn insert_value<'a>(
    json: &mut Map<String, Value>,
    bytes: Option<Bytes>,
    format: Option<&PartFormat>,
    header: impl Fn(&PartFormat) -> Option<&'a [u8]>,
) {
    let Some(bytes) = bytes else {
        json.insert("value".into(), Value::Null);
        return;
    };
    match format.map(|format| message_of(&bytes, format, header(format))) {
        Some(Ok(value)) => {
            json.insert("value".into(), value);
        }
        Some(Err(broken)) => {
            json.insert("valueBase64".into(), base64_text(&bytes).into());
            json.insert("error".into(), broken.detail.into());
            json.insert("errorByte".into(), broken.byte.into());
        }
        None => {
            json.insert("valueBase64".into(), base64_text(&bytes).into());
        }
    }
}

fn message_of(bytes: &Bytes, format: &PartFormat, header: Option<&[u8]>) -> Result<Value, super::Broken> {
    let decoded = format.decode(bytes, header)?;
    message_json(&decoded).map_err(|error| super::Broken { detail: error.detail, byte: None })
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
    use codec::{ConfluentFrame, RecordPart, WireFormat};

    fn shown(wire: WireFormat, bytes: &'static [u8]) -> Map<String, Value> {
        let text = "syntax = \"proto3\"; package a; message B { string id = 1; string more = 2; }";
        let file = schema::SourceFile { path: "a.proto".into(), text: text.into() };
        let message = schema::SchemaSet::from_sources(&[file]).unwrap().message("a.B").unwrap();
        let format = PartFormat::new(message, wire, RecordPart::Value);
        let mut json = Map::new();
        insert_value(&mut json, Some(Bytes::from_static(bytes)), Some(&format), |_| None);
        json
    }

    #[test]
    fn what_cannot_be_decoded_says_where_it_breaks() {
        // A text of one byte, then one whose length, at byte 4, goes beyond the end.
        let broken = b"\x0a\x01x\x0a\x05ab";
        let json = shown(WireFormat::Protobuf, broken);
        assert_eq!(json["errorByte"], 4, "{json:?}");
        assert_eq!(json["valueBase64"], base64_text(broken));
        // Behind a frame of six bytes.
        let framed = shown(WireFormat::Confluent(ConfluentFrame::default()), b"\0\0\0\0\x07\0\x0a\x01x\x0a\x05ab");
        assert_eq!(framed["errorByte"], 10, "{framed:?}");
        let bare = shown(WireFormat::Protobuf, b"\0\0\0\0\x07\0\x0a\x01x");
        assert_eq!(bare["errorByte"], 0);
        assert!(bare["error"].as_str().unwrap().contains("it looks like Confluent's frame"), "{bare:?}");
    }
}
