//! A record as text, as far as it can be read: for looking at what is broken.

use std::fmt::Write as _;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::error::DecodeErrorKind;
use crate::shape::Scalar;
use crate::wire::{self, Read, fault};

/// Messages nest at most so deep in the text; what is deeper is shown by its size.
const DEPTH_MAX: usize = 32;
/// The text stops growing here.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How much of a text or bytes value is shown.
const VALUE_BYTES_MAX: usize = 256;

/// The fields of the record up to the fault, one a line in the order of the wire, nested messages indented; then the error
/// with its byte offset. A whole record has no error line.
pub fn decode_as_far_as_possible(message: &MessageDescriptor, bytes: &[u8]) -> String {
    decode_from_as_far_as_possible(message, bytes, 0)
}

/// The same for a message that begins at `start`, behind a frame; offsets count from the beginning of the bytes.
pub fn decode_from_as_far_as_possible(message: &MessageDescriptor, bytes: &[u8], start: usize) -> String {
    let mut show = Show { text: String::new(), buf: bytes };
    if let Err(fault) = show.message(Some(message), start, bytes.len(), 0, 0) {
        let _ = writeln!(show.text, "! {} at byte {} of {}", fault.kind, fault.at, bytes.len());
    }
    show.text
}

struct Show<'a> {
    text: String,
    buf: &'a [u8],
}

impl Show<'_> {
    /// Shows fields up to `end` or, in a group, its end tag; gives the position behind them.
    fn message(
        &mut self,
        message: Option<&MessageDescriptor>,
        start: usize,
        end: usize,
        group: u32,
        depth: usize,
    ) -> Read<usize> {
        let mut at = start;
        while at < end {
            let (number, wire_type, next) = wire::tag(self.buf, at, end)?;
            if wire_type == wire::GROUP_END {
                if number != group {
                    return fault(DecodeErrorKind::GroupUnbalanced, at);
                }
                return Ok(next);
            }
            if self.text.len() > TEXT_BYTES_MAX {
                let _ = writeln!(self.text, "... {} more bytes", end - at);
                return Ok(end);
            }
            at = self.field(message, number, wire_type, next, end, depth)?;
        }
        if group != 0 {
            return fault(DecodeErrorKind::Truncated, end);
        }
        Ok(at)
    }

    fn field(
        &mut self,
        message: Option<&MessageDescriptor>,
        number: u32,
        wire_type: u8,
        pos: usize,
        end: usize,
        depth: usize,
    ) -> Read<usize> {
        let field = message.and_then(|message| message.get_field(number));
        let name = field.as_ref().map_or_else(|| number.to_string(), |field| field.name().to_owned());
        let indent = "  ".repeat(depth);
        let kind = field.as_ref().map(FieldDescriptor::kind);
        match (wire_type, &kind) {
            (wire::LEN, Some(Kind::Message(inner))) => {
                let (start, stop) = wire::content(self.buf, pos, end).inspect_err(|_| self.begun(&indent, &name))?;
                self.nested(Some(inner), (start, stop), 0, depth, &indent, &name)?;
                Ok(stop)
            }
            (wire::GROUP, kind) => {
                let inner = kind.as_ref().and_then(Kind::as_message);
                self.nested(inner, (pos, end), number, depth, &indent, &name)
            }
            _ => {
                let (value, next) = self.value(kind.as_ref(), number, wire_type, pos, end).inspect_err(|_| {
                    self.text.push_str(&indent);
                    self.text.push_str(&name);
                    self.text.push_str(": ?\n");
                })?;
                let _ = writeln!(self.text, "{indent}{name}: {value}");
                Ok(next)
            }
        }
    }

    fn begun(&mut self, indent: &str, name: &str) {
        let _ = writeln!(self.text, "{indent}{name}: ?");
    }

    fn nested(
        &mut self,
        message: Option<&MessageDescriptor>,
        (start, end): (usize, usize),
        group: u32,
        depth: usize,
        indent: &str,
        name: &str,
    ) -> Read<usize> {
        if depth >= DEPTH_MAX {
            let _ = writeln!(self.text, "{indent}{name}: {{ {} bytes, nested too deeply to be shown }}", end - start);
            return if group == 0 {
                Ok(end)
            } else {
                wire::skip_group(self.buf, start, end, group, 100).map(|(_, next)| next)
            };
        }
        let _ = writeln!(self.text, "{indent}{name} {{");
        let next = self.message(message, start, end, group, depth + 1)?;
        let _ = writeln!(self.text, "{indent}}}");
        Ok(next)
    }

    /// The text of a value by its declared type, or by its wire type when it has none that fits.
    fn value(&self, kind: Option<&Kind>, number: u32, wire_type: u8, pos: usize, end: usize) -> Read<(String, usize)> {
        match wire_type {
            wire::VARINT => {
                let (value, next) = wire::varint(self.buf, pos, end)?;
                Ok((varint_text(kind, value), next))
            }
            wire::FIXED64 => {
                let (value, next) = wire::fixed64(self.buf, pos, end)?;
                let text = match kind {
                    Some(Kind::Double) => f64::from_bits(value).to_string(),
                    Some(Kind::Sfixed64) => (value as i64).to_string(),
                    _ => value.to_string(),
                };
                Ok((text, next))
            }
            wire::FIXED32 => {
                let (value, next) = wire::fixed32(self.buf, pos, end)?;
                let text = match kind {
                    Some(Kind::Float) => f32::from_bits(value).to_string(),
                    Some(Kind::Sfixed32) => (value as i32).to_string(),
                    _ => value.to_string(),
                };
                Ok((text, next))
            }
            wire::LEN => {
                let (start, stop) = wire::content(self.buf, pos, end)?;
                let packable = kind.is_some_and(|kind| {
                    matches!(kind, Kind::Enum(_))
                        || Scalar::of(kind).is_some_and(|scalar| crate::program::scalar_wire_type(scalar) != wire::LEN)
                });
                let text = match kind {
                    Some(kind) if packable => self.packed(kind, number, start, stop)?,
                    _ => bytes_text(&self.buf[start..stop], matches!(kind, Some(Kind::String))),
                };
                Ok((text, stop))
            }
            other => fault(DecodeErrorKind::WireType(other), pos),
        }
    }

    fn packed(&self, kind: &Kind, number: u32, start: usize, stop: usize) -> Read<String> {
        let item_wire_type = Scalar::of(kind).map_or(wire::VARINT, crate::program::scalar_wire_type);
        let mut items = Vec::new();
        let mut at = start;
        while at < stop {
            let (text, next) = self.value(Some(kind), number, item_wire_type, at, stop)?;
            if items.len() < VALUE_BYTES_MAX {
                items.push(text);
            }
            at = next;
        }
        Ok(format!("[{}]", items.join(", ")))
    }
}

fn varint_text(kind: Option<&Kind>, value: u64) -> String {
    match kind {
        Some(Kind::Bool) => (value != 0).to_string(),
        Some(Kind::Int32) => (value as i32).to_string(),
        Some(Kind::Int64) => (value as i64).to_string(),
        Some(Kind::Uint32) => (value as u32).to_string(),
        Some(Kind::Sint32) => wire::zigzag32(value).to_string(),
        Some(Kind::Sint64) => wire::zigzag64(value).to_string(),
        Some(Kind::Enum(kind)) => match kind.get_value(value as i32) {
            Some(known) => known.name().to_owned(),
            None => (value as i32).to_string(),
        },
        _ => value.to_string(),
    }
}

/// Text in quotes, or bytes in hexadecimal; long ones are cut.
fn bytes_text(bytes: &[u8], declared_text: bool) -> String {
    let shown = &bytes[..bytes.len().min(VALUE_BYTES_MAX)];
    let more = if bytes.len() > shown.len() { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    let is_printable = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
    match std::str::from_utf8(shown) {
        Ok(text) if declared_text || is_printable(text) => format!("{text:?}{more}"),
        Err(error) if declared_text && error.error_len().is_some() => {
            format!("{:?}{more} (not valid UTF-8 at its byte {})", String::from_utf8_lossy(shown), error.valid_up_to())
        }
        Err(_) if declared_text => format!("{:?}{more}", String::from_utf8_lossy(shown)),
        _ => {
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{hex}{more}")
        }
    }
}
