//! Putting payloads into their frames.

use arrow::array::RecordBatch;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;

use super::confluent::{MAGIC_GUID, MAGIC_ID};
use super::error::FrameWriteError;
use super::message_index::MessageIndex;
use super::{RecordPart, WireFormat, json};
use crate::encode::{EncodeProgram, Encoded};
use crate::error::{EncodeError, EncodeErrorKind, EncodeRecordError};

/// Writes the frames of one topic's values, or keys.
#[derive(Debug, Clone)]
pub struct FrameWriter {
    /// What goes before every payload.
    prefix: Vec<u8>,
    header: Option<(&'static str, Bytes)>,
    json: Option<MessageDescriptor>,
}

impl FrameWriter {
    pub fn new(format: &WireFormat, message: &MessageDescriptor, part: RecordPart) -> Result<Self, FrameWriteError> {
        let mut writer = Self { prefix: Vec::new(), header: None, json: None };
        match format {
            WireFormat::Protobuf => {}
            WireFormat::Confluent(frame) => {
                let id = frame.written_id().ok_or(FrameWriteError::NoSchemaId)?;
                let index = MessageIndex::of(message, frame.message_index.as_deref());
                writer.prefix = [&[MAGIC_ID], id.to_be_bytes().as_slice(), index.canonical()].concat();
            }
            WireFormat::ConfluentHeader(header) => {
                let guid = header.written_guid().ok_or(FrameWriteError::NoSchemaGuid)?;
                let index = MessageIndex::of(message, header.message_index.as_deref());
                let value = [&[MAGIC_GUID], guid.0.as_slice(), index.canonical()].concat();
                writer.header = Some((part.schema_header(), Bytes::from(value)));
            }
            WireFormat::Json => writer.json = Some(message.clone()),
        }
        Ok(writer)
    }

    /// The header that every record has, beside its own.
    pub fn header(&self) -> Option<(&'static str, Bytes)> {
        self.header.clone()
    }

    /// One message in its frame.
    pub fn frame(&self, payload: Bytes) -> Result<Bytes, FrameWriteError> {
        if let Some(message) = &self.json {
            let mut out = Vec::with_capacity(payload.len() * 2);
            json::write(message, &payload, &mut out)?;
            return Ok(Bytes::from(out));
        }
        Ok(match self.prefix.is_empty() {
            true => payload,
            false => Bytes::from([&self.prefix, payload.as_ref()].concat()),
        })
    }

    /// The rows of a batch as records in their frames.
    pub fn encode(&self, program: &EncodeProgram, batch: &RecordBatch) -> Result<Encoded, EncodeError> {
        let encoded = program.encode_behind(&self.prefix, batch)?;
        match &self.json {
            None => Ok(encoded),
            Some(message) => into_json(message, encoded, batch.num_rows()),
        }
    }
}

fn into_json(message: &MessageDescriptor, encoded: Encoded, rows: usize) -> Result<Encoded, EncodeError> {
    let Encoded { data, spans, mut errors } = encoded;
    let (mut out, mut texts) = (Vec::with_capacity(data.len() * 2), Vec::with_capacity(spans.len()));
    let mut refused = errors.iter().map(|error| error.index).peekable();
    let encoded_rows: Vec<u32> = (0..rows as u32).filter(|row| refused.next_if_eq(row).is_none()).collect();
    for (row, (start, len)) in encoded_rows.into_iter().zip(spans) {
        let text_start = out.len();
        match json::write(message, &data[start as usize..(start + len) as usize], &mut out) {
            Ok(()) if u32::try_from(out.len()).is_ok() => {
                texts.push((text_start as u32, (out.len() - text_start) as u32));
            }
            Ok(()) => return Err(EncodeError::TooLarge(u32::MAX as usize)),
            Err(error) => errors.push(EncodeRecordError {
                index: row,
                field: message.full_name().to_owned(),
                kind: EncodeErrorKind::Json(error.to_string()),
            }),
        }
    }
    errors.sort_by_key(|error| error.index);
    Ok(Encoded { data: Bytes::from(out), spans: texts, errors })
}
