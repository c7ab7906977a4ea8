//! How one topic's records are read and written: message types, and what is around them.

use super::decode;
use crate::error::ControlError;
use crate::topic_spec::TopicSpec;
use bytes::Bytes;
use codec::{FrameReader, FrameWriteError, FrameWriter, Payload, RecordPart, WireFormat};
use prost_reflect::{DynamicMessage, MessageDescriptor};

/// Values and keys of one topic. The default has no message types: bytes.
#[derive(Debug, Clone, Default)]
pub struct RecordFormat {
    pub(crate) value: Option<PartFormat>,
    pub(crate) key: Option<PartFormat>,
}

/// The values, or the keys, of one topic that has a message type for them.
#[derive(Debug, Clone)]
pub struct PartFormat {
    pub(crate) message: MessageDescriptor,
    pub(crate) wire: WireFormat,
    part: RecordPart,
    /// `None`: bare.
    reader: Option<FrameReader>,
    writer: Result<FrameWriter, FrameWriteError>,
}

/// A value or key that cannot be decoded.
#[derive(Debug)]
pub(crate) struct Broken {
    pub detail: String,
    /// Where in the record's bytes; `None` where it is not in them.
    pub byte: Option<u32>,
}

impl RecordFormat {
    /// `message` finds a message type by its name.
    pub fn of_topic(
        spec: &TopicSpec,
        message: impl Fn(&str) -> Result<MessageDescriptor, ControlError>,
    ) -> Result<Self, ControlError> {
        let part = |schema: &Option<String>, wire: &WireFormat, part| -> Result<Option<PartFormat>, ControlError> {
            let message = schema.as_deref().map(&message).transpose()?;
            Ok(message.map(|message| PartFormat::new(message, wire.clone(), part)))
        };
        Ok(Self {
            value: part(&spec.schema, &spec.encoding, RecordPart::Value)?,
            key: part(&spec.key_schema, &spec.key_encoding, RecordPart::Key)?,
        })
    }
}

impl PartFormat {
    pub fn new(message: MessageDescriptor, wire: WireFormat, part: RecordPart) -> Self {
        let reader = FrameReader::new(&wire, &message, part);
        let writer = FrameWriter::new(&wire, &message, part);
        Self { message, wire, part, reader, writer }
    }

    /// The header in which a schema can be named.
    pub fn schema_header(&self) -> &'static str {
        self.part.schema_header()
    }

    /// The message's bytes without what is around them. `header`: the value of [`Self::schema_header`].
    pub fn payload(&self, bytes: &Bytes, header: Option<&[u8]>) -> Result<Payload, Broken> {
        match &self.reader {
            None => Ok(Payload { bytes: bytes.clone(), start: Some(0) }),
            Some(reader) => {
                reader.read_one(bytes, header).map_err(|fault| Broken { detail: fault.to_string(), byte: fault.offset })
            }
        }
    }

    /// The error says what is broken, and where in the record.
    pub fn decode(&self, bytes: &Bytes, header: Option<&[u8]>) -> Result<DynamicMessage, Broken> {
        let payload = self.payload(bytes, header)?;
        decode(&payload.bytes, &self.message).map_err(|error| {
            let in_payload = broken_at(&payload.bytes, &self.message);
            let mut detail = error.detail;
            if self.reader.is_none() && codec::looks_framed(bytes) {
                detail.push_str(
                    ": it looks like Confluent's frame. Set the topic's encoding to `confluent` if it is one",
                );
            }
            Broken { detail, byte: payload.start.zip(in_payload).map(|(start, at)| start + at) }
        })
    }

    /// A message without anything around it.
    pub fn check_message(&self, bytes: &Bytes) -> Result<DynamicMessage, ControlError> {
        decode(bytes, &self.message)
    }

    /// Puts a message into its frame; a header that belongs to it replaces one of that name.
    pub fn write(&self, payload: Bytes, headers: &mut Vec<(String, Bytes)>) -> Result<Bytes, ControlError> {
        let writer = self.writer()?;
        if let Some((name, value)) = writer.header() {
            headers.retain(|(header, _)| header != name);
            headers.push((name.to_owned(), value));
        }
        writer.frame(payload).map_err(|error| ControlError::invalid("record_invalid", error.to_string()))
    }

    /// How records are written; an encoding may name no schema to write.
    pub fn writer(&self) -> Result<&FrameWriter, ControlError> {
        self.writer.as_ref().map_err(|error| {
            let (what, key) = match self.part {
                RecordPart::Value => ("values", "encoding"),
                RecordPart::Key => ("keys", "keyEncoding"),
            };
            ControlError::invalid("encoding_incomplete", format!("the {what} of the topic cannot be written: {error}"))
                .with_hint(format!("it is a setting of the topic: `{key}: {{type: {}, ...}}`", self.wire.name()))
        })
    }
}

/// The byte at which the daggers' decoder stops.
fn broken_at(bytes: &Bytes, message: &MessageDescriptor) -> Option<u32> {
    use codec::{DecodeOptions, DecodeProgram, Projection};
    let program = DecodeProgram::compile(message, &Projection::all(), &DecodeOptions::default()).ok()?;
    let span = (0, u32::try_from(bytes.len()).ok()?);
    let decoded = program.decoder().decode(bytes, &[span]);
    decoded.errors.first().map(|broken| broken.error.offset)
}
