//! Taking payloads out of their frames, a slab at a time.

use bytes::Bytes;
use prost_reflect::MessageDescriptor;

use super::confluent::ConfluentReader;
use super::error::FrameFault;
use super::{RecordPart, WireFormat, json};
use crate::limits::NULL_SPAN;
use crate::wire;

/// Reads the frames of one topic's values, or keys.
#[derive(Debug, Clone)]
pub struct FrameReader {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Confluent(ConfluentReader),
    Json(MessageDescriptor),
}

/// The payloads of a slab, for the decoder.
#[derive(Debug)]
pub struct Payloads {
    pub data: Bytes,
    /// One span (start, length) per record. One without a payload, a tombstone or a broken one, has [`NULL_SPAN`].
    pub spans: Vec<(u32, u32)>,
    /// The broken records, by index.
    pub faults: Vec<FrameFault>,
    /// Whether the payloads lie where the records do.
    is_in_place: bool,
}

impl Payloads {
    /// Where in its record a byte of a payload lies; `None` where the payload is not a part of the record.
    pub fn offset_in_record(&self, index: usize, record: (u32, u32), payload_offset: u32) -> Option<u32> {
        let start = self.spans.get(index)?.0;
        self.is_in_place.then(|| (start - record.0).saturating_add(payload_offset))
    }
}

/// The payload of one record.
#[derive(Debug)]
pub struct Payload {
    pub bytes: Bytes,
    /// Where in the record it begins; `None` where it is not a part of the record.
    pub start: Option<u32>,
}

impl FrameReader {
    /// `None` when there are no frames to read.
    pub fn new(format: &WireFormat, message: &MessageDescriptor, part: RecordPart) -> Option<Self> {
        let kind = match format {
            WireFormat::Protobuf => return None,
            WireFormat::Confluent(frame) => Kind::Confluent(ConfluentReader::of_frame(frame, message, part)),
            WireFormat::ConfluentHeader(header) => Kind::Confluent(ConfluentReader::of_header(header, message, part)),
            WireFormat::Json => Kind::Json(message.clone()),
        };
        Some(Self { kind })
    }

    /// The header that [`Self::read`] asks for.
    pub fn header(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Confluent(reader) => Some(reader.header()),
            Kind::Json(_) => None,
        }
    }

    /// The payloads of the records at `spans` of `data`. `header` gives the last value of the header of [`Self::header`]
    /// of the record with this index.
    pub fn read<'a>(&self, data: &Bytes, spans: &[(u32, u32)], header: impl Fn(usize) -> Option<&'a [u8]>) -> Payloads {
        match &self.kind {
            Kind::Confluent(reader) => read_confluent(reader, data, spans, header),
            Kind::Json(message) => read_json(message, data, spans),
        }
    }

    /// The same for one record.
    pub fn read_one(&self, record: &Bytes, header: Option<&[u8]>) -> Result<Payload, FrameFault> {
        let span = (0, u32::try_from(record.len()).unwrap_or(NULL_SPAN - 1));
        let mut payloads = self.read(record, &[span], |_| header);
        if let Some(fault) = payloads.faults.pop() {
            return Err(fault);
        }
        let (start, len) = payloads.spans[0];
        let bytes = payloads.data.slice(start as usize..start as usize + len as usize);
        Ok(Payload { bytes, start: payloads.is_in_place.then_some(start) })
    }
}

fn value_at(data: &[u8], (start, len): (u32, u32)) -> Option<&[u8]> {
    data.get(start as usize..start as usize + len as usize)
}

fn read_confluent<'a>(
    reader: &ConfluentReader,
    data: &Bytes,
    spans: &[(u32, u32)],
    header: impl Fn(usize) -> Option<&'a [u8]>,
) -> Payloads {
    let mut payloads = Payloads { data: data.clone(), spans: spans.to_vec(), faults: Vec::new(), is_in_place: true };
    for (index, span) in payloads.spans.iter_mut().enumerate() {
        // A span outside of the data is the decoder's to report.
        let Some(value) = value_at(data, *span).filter(|_| span.1 != NULL_SPAN) else { continue };
        match reader.frame_bytes(value, header(index)) {
            Ok(bytes) => *span = (span.0 + bytes as u32, span.1 - bytes as u32),
            Err((offset, error)) => {
                span.1 = NULL_SPAN;
                payloads.faults.push(FrameFault { index: index as u32, offset, error });
            }
        }
    }
    payloads
}

fn read_json(message: &MessageDescriptor, data: &Bytes, spans: &[(u32, u32)]) -> Payloads {
    let mut out = Vec::with_capacity(data.len() / 2);
    let mut payloads = Payloads { data: Bytes::new(), spans: Vec::new(), faults: Vec::new(), is_in_place: false };
    payloads.spans.reserve(spans.len());
    for (index, span) in spans.iter().enumerate() {
        let start = out.len() as u32;
        let text = if span.1 == NULL_SPAN { None } else { value_at(data, *span) };
        let read = text.map(|text| json::read(message, text, &mut out));
        payloads.spans.push(match read {
            Some(Ok(())) => (start, out.len() as u32 - start),
            _ => (start, NULL_SPAN),
        });
        if let Some(Err((offset, error))) = read {
            payloads.faults.push(FrameFault { index: index as u32, offset: Some(offset), error });
        }
    }
    payloads.data = Bytes::from(out);
    payloads
}

/// What bytes that are not what they should be may be instead.
pub(super) fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    let is_json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
    if is_json && serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
        return Some("JSON");
    }
    if looks_framed(bytes) {
        return Some("Confluent's frame (`confluent`)");
    }
    is_fields(bytes).then_some("bare protobuf (`protobuf`)")
}

/// Whether bytes begin as Confluent's frame does, which no message does: 0x00 is no field.
pub fn looks_framed(bytes: &[u8]) -> bool {
    bytes.len() >= 6 && bytes[0] == 0
}

fn is_fields(bytes: &[u8]) -> bool {
    const DEPTH_MAX: u32 = 100;
    let mut at = 0;
    while at < bytes.len() {
        let Ok((number, wire_type, next)) = wire::tag(bytes, at, bytes.len()) else { return false };
        match wire::skip(bytes, next, bytes.len(), number, wire_type, DEPTH_MAX) {
            Ok(next) => at = next,
            Err(_) => return false,
        }
    }
    !bytes.is_empty()
}
