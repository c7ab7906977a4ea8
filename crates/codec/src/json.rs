//! `google.protobuf.Struct`, `Value` and `ListValue` as JSON text, both ways.
//! See <https://protobuf.dev/reference/protobuf/google.protobuf/#struct>.

use serde_json::{Map, Number, Value};

use crate::error::DecodeErrorKind;
use crate::shape::JsonKind;
use crate::wire::{self, Read, fault};

/// Checks that `buf[pos..end]` is a message of this kind with valid text.
pub(crate) fn check(kind: JsonKind, buf: &[u8], pos: usize, end: usize, depth_left: u32) -> Read<()> {
    read(kind, buf, pos, end, depth_left, Value::Null).map(|_| ())
}

/// Appends the JSON text of bytes that passed [`check`], possibly several of them in a row: they are one merged message.
pub(crate) fn render(kind: JsonKind, bytes: &[u8], text: &mut String) {
    let empty = match kind {
        JsonKind::Struct => Value::Object(Map::new()),
        JsonKind::List => Value::Array(Vec::new()),
        JsonKind::Value => Value::Null,
    };
    // The bytes were checked when they were read.
    let value = read(kind, bytes, 0, bytes.len(), u32::MAX, empty).unwrap_or(Value::Null);
    text.push_str(&value.to_string());
}

/// Reads a message into `value`, which is what it had before.
fn read(kind: JsonKind, buf: &[u8], pos: usize, end: usize, depth_left: u32, mut value: Value) -> Read<Value> {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return fault(DecodeErrorKind::TooDeep(0), pos);
    };
    match (kind, &value) {
        (JsonKind::Struct, Value::Object(_)) | (JsonKind::List, Value::Array(_)) | (JsonKind::Value, _) => {}
        (JsonKind::Struct, _) => value = Value::Object(Map::new()),
        (JsonKind::List, _) => value = Value::Array(Vec::new()),
    }
    let mut at = pos;
    while at < end {
        let (number, wire_type, next) = wire::tag(buf, at, end)?;
        at = match (kind, number, wire_type) {
            (JsonKind::Struct, 1, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                let (key, item) = entry(buf, start, stop, depth_left)?;
                if let Value::Object(map) = &mut value {
                    map.insert(key, item);
                }
                stop
            }
            (JsonKind::List, 1, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                let item = read(JsonKind::Value, buf, start, stop, depth_left, Value::Null)?;
                if let Value::Array(items) = &mut value {
                    items.push(item);
                }
                stop
            }
            (JsonKind::Value, 1, wire::VARINT) => {
                let (_, next) = wire::varint(buf, next, end)?;
                value = Value::Null;
                next
            }
            (JsonKind::Value, 2, wire::FIXED64) => {
                let (bits, next) = wire::fixed64(buf, next, end)?;
                value = number_value(f64::from_bits(bits));
                next
            }
            (JsonKind::Value, 3, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                value = Value::String(text(buf, start, stop)?);
                stop
            }
            (JsonKind::Value, 4, wire::VARINT) => {
                let (flag, next) = wire::varint(buf, next, end)?;
                value = Value::Bool(flag != 0);
                next
            }
            (JsonKind::Value, 5 | 6, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                let inner = if number == 5 { JsonKind::Struct } else { JsonKind::List };
                value = read(inner, buf, start, stop, depth_left, value)?;
                stop
            }
            _ => wire::skip(buf, next, end, number, wire_type, depth_left)?,
        };
    }
    Ok(value)
}

/// An entry of a `Struct`: key 1, value 2.
fn entry(buf: &[u8], pos: usize, end: usize, depth_left: u32) -> Read<(String, Value)> {
    let (mut key, mut value) = (String::new(), Value::Null);
    let mut at = pos;
    while at < end {
        let (number, wire_type, next) = wire::tag(buf, at, end)?;
        at = match (number, wire_type) {
            (1, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                key = text(buf, start, stop)?;
                stop
            }
            (2, wire::LEN) => {
                let (start, stop) = wire::content(buf, next, end)?;
                value = read(JsonKind::Value, buf, start, stop, depth_left, value)?;
                stop
            }
            _ => wire::skip(buf, next, end, number, wire_type, depth_left)?,
        };
    }
    Ok((key, value))
}

fn text(buf: &[u8], start: usize, stop: usize) -> Read<String> {
    match std::str::from_utf8(&buf[start..stop]) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => fault(DecodeErrorKind::Utf8, start),
    }
}

/// Whole numbers without a fraction; NaN and infinities, which JSON lacks, as text.
fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 && (number != 0.0 || number.is_sign_positive()) {
        return Value::Number((number as i64).into());
    }
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::String("NaN".to_owned()),
        None if number > 0.0 => Value::String("Infinity".to_owned()),
        None => Value::String("-Infinity".to_owned()),
    }
}

/// Appends the wire form of JSON text; the error says what is wrong with the text.
pub(crate) fn encode(kind: JsonKind, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    // The syntax and the depth are checked first, so that the walk only meets valid JSON. It reads numbers by itself, because
    // serde_json rounds some of them to a neighbour.
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut walk = Walk { text, at: 0 };
    match (kind, &value) {
        (JsonKind::Struct, Value::Object(_)) => walk.object(out),
        (JsonKind::Struct, _) => Err("an object is expected".to_owned()),
        (JsonKind::List, Value::Array(_)) => walk.array(out),
        (JsonKind::List, _) => Err("an array is expected".to_owned()),
        (JsonKind::Value, _) => walk.value(out),
    }
}

/// Goes through valid JSON text and writes messages.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// The next byte that is neither white space nor a separator.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(b'}')
    }

    fn object(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.peek();
        self.at += 1;
        while self.peek() != b'}' {
            wire::put_tag(out, 1, wire::LEN);
            wire::put_content(out, |out| {
                let key = self.string()?;
                put_text(1, &key, out);
                wire::put_tag(out, 2, wire::LEN);
                wire::put_content(out, |out| self.value(out))
            })?;
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.peek();
        self.at += 1;
        while !matches!(self.peek(), b']' | b'}') {
            wire::put_tag(out, 1, wire::LEN);
            wire::put_content(out, |out| self.value(out))?;
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        match self.peek() {
            b'n' => {
                self.at += "null".len();
                out.extend_from_slice(&[0x08, 0]);
            }
            b't' => {
                self.at += "true".len();
                out.extend_from_slice(&[0x20, 1]);
            }
            b'f' => {
                self.at += "false".len();
                out.extend_from_slice(&[0x20, 0]);
            }
            b'"' => {
                let text = self.string()?;
                put_text(3, &text, out);
            }
            b'{' => {
                wire::put_tag(out, 5, wire::LEN);
                wire::put_content(out, |out| self.object(out))?;
            }
            b'[' => {
                wire::put_tag(out, 6, wire::LEN);
                wire::put_content(out, |out| self.array(out))?;
            }
            _ => {
                let rest = &self.text[self.at..];
                let len = rest.find(|c| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
                let number: f64 = rest[..len].parse().map_err(|_| format!("`{}` is no number", &rest[..len]))?;
                self.at += len;
                wire::put_tag(out, 2, wire::FIXED64);
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.peek();
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = start + 1;
        while let Some(byte) = bytes.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        self.at = end + 1;
        let literal = self.text.get(start..=end).ok_or("a text without an end")?;
        serde_json::from_str(literal).map_err(|error| error.to_string())
    }
}

fn put_text(number: u32, text: &str, out: &mut Vec<u8>) {
    wire::put_tag(out, number, wire::LEN);
    wire::put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}
