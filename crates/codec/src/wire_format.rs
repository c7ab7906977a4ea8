//! How a message lies in a record: bare, behind Confluent's frame, beside Confluent's header, or as JSON.
//!
//! [`FrameReader`] takes the payloads of a slab out of their frames, so that the decoder goes on as with bare ones;
//! [`FrameWriter`] is its mirror. Bare protobuf has neither: it costs nothing. Pure: no registry is asked. The schema ids
//! that are good are a setting.
//!
//! Source: Confluent, "Wire format" (Formats, Serializers, and Deserializers), and the clients' `SchemaId`.

mod confluent;
mod error;
mod json;
mod message_index;
mod read;
mod write;

use std::fmt;
use std::str::FromStr;

pub use error::{FrameError, FrameFault, FrameWriteError};
pub use read::{FrameReader, Payload, Payloads, looks_framed};
pub use write::FrameWriter;

/// The encoding of a topic's values, or of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WireFormat {
    /// The bytes of the message and nothing else.
    #[default]
    Protobuf,
    /// `0x00`, the schema id (4 bytes, big end first), the message index, the bytes of the message.
    Confluent(ConfluentFrame),
    /// The bytes of the message; the schema's GUID and the message index are in a header of the record.
    ConfluentHeader(ConfluentHeader),
    /// The text of one object in the protobuf JSON mapping.
    Json,
}

impl WireFormat {
    /// As settings spell it.
    pub fn name(&self) -> &'static str {
        match self {
            WireFormat::Protobuf => "protobuf",
            WireFormat::Confluent(_) => "confluent",
            WireFormat::ConfluentHeader(_) => "confluentHeader",
            WireFormat::Json => "json",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfluentFrame {
    /// The ids that are read; empty: any.
    pub schema_ids: Vec<u32>,
    /// The id that is written; `None`: the one of `schema_ids`, if it is one.
    pub write_schema_id: Option<u32>,
    /// Where the type is in the registered schema; `None`: where it is in its own file.
    pub message_index: Option<Vec<u32>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfluentHeader {
    /// The GUIDs that are read; empty: any.
    pub schema_guids: Vec<SchemaGuid>,
    /// The GUID that is written; `None`: the one of `schema_guids`, if it is one.
    pub write_schema_guid: Option<SchemaGuid>,
    /// As in [`ConfluentFrame`].
    pub message_index: Option<Vec<u32>>,
}

impl ConfluentFrame {
    pub fn written_id(&self) -> Option<u32> {
        self.write_schema_id.or(only(&self.schema_ids))
    }
}

impl ConfluentHeader {
    pub fn written_guid(&self) -> Option<SchemaGuid> {
        self.write_schema_guid.or(only(&self.schema_guids))
    }
}

fn only<T: Copy>(all: &[T]) -> Option<T> {
    match all {
        [one] => Some(*one),
        _ => None,
    }
}

/// Which part of a record is framed; each has a schema, and a header, of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    Key,
    Value,
}

impl RecordPart {
    pub fn schema_header(self) -> &'static str {
        match self {
            RecordPart::Key => "__key_schema_id",
            RecordPart::Value => "__value_schema_id",
        }
    }
}

/// The registry's global name of a schema: a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaGuid(pub [u8; 16]);

impl fmt::Display for SchemaGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a GUID: write 32 hexadecimal digits, as in 89791762-2336-4186-9674-299b90a802e2")]
pub struct SchemaGuidError(String);

impl FromStr for SchemaGuid {
    type Err = SchemaGuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SchemaGuidError(text.to_owned());
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let mut guid = [0u8; 16];
        if digits.len() != 32 {
            return Err(wrong());
        }
        for (byte, pair) in guid.iter_mut().zip(digits.as_chunks::<2>().0) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = digit(pair[0]).zip(digit(pair[1])).ok_or_else(wrong)?;
            *byte = (high << 4 | low) as u8;
        }
        Ok(SchemaGuid(guid))
    }
}

#[cfg(test)]
mod tests;
