//! Confluent's frame before a payload, and the same in a header.

use prost_reflect::MessageDescriptor;

use super::error::FrameError;
use super::message_index::{self, MessageIndex};
use super::read::looks_like;
use super::{ConfluentFrame, ConfluentHeader, RecordPart, SchemaGuid};

pub(super) const MAGIC_ID: u8 = 0;
pub(super) const MAGIC_GUID: u8 = 1;
/// The magic byte and the schema id.
const ID_BYTES: usize = 5;
/// The magic byte and the GUID.
const GUID_BYTES: usize = 17;

/// What is expected of a frame.
///
/// A schema in the header goes before one in front of the payload, as in Confluent's own deserializers: a topic whose
/// producers change from one to the other stays readable.
#[derive(Debug, Clone)]
pub(super) struct ConfluentReader {
    encoding: &'static str,
    header: &'static str,
    schema_ids: Vec<u32>,
    schema_guids: Vec<SchemaGuid>,
    index: MessageIndex,
    message: String,
}

/// What is wrong, and where in the value, if it is there.
type Fault = (Option<u32>, FrameError);

impl ConfluentReader {
    pub fn of_frame(frame: &ConfluentFrame, message: &MessageDescriptor, part: RecordPart) -> Self {
        Self {
            encoding: "confluent",
            header: part.schema_header(),
            schema_ids: frame.schema_ids.clone(),
            schema_guids: Vec::new(),
            index: MessageIndex::of(message, frame.message_index.as_deref()),
            message: message.full_name().to_owned(),
        }
    }

    pub fn of_header(header: &ConfluentHeader, message: &MessageDescriptor, part: RecordPart) -> Self {
        Self {
            encoding: "confluentHeader",
            header: part.schema_header(),
            schema_ids: Vec::new(),
            schema_guids: header.schema_guids.clone(),
            index: MessageIndex::of(message, header.message_index.as_deref()),
            message: message.full_name().to_owned(),
        }
    }

    pub fn header(&self) -> &'static str {
        self.header
    }

    /// The length of the frame before the payload.
    #[inline]
    pub fn frame_bytes(&self, value: &[u8], header: Option<&[u8]>) -> Result<usize, Fault> {
        match header {
            None => self.prefix(value),
            Some(header) => self.check_header(header).map(|()| 0),
        }
    }

    #[inline]
    fn prefix(&self, value: &[u8]) -> Result<usize, Fault> {
        let Some((&[MAGIC_ID, a, b, c, d], rest)) = value.split_first_chunk::<ID_BYTES>() else {
            return Err(self.no_prefix(value));
        };
        self.check_id(u32::from_be_bytes([a, b, c, d])).map_err(|error| (Some(1), error))?;
        match self.index.matches(rest) {
            Some(bytes) => Ok(ID_BYTES + bytes),
            None => Err(self.wrong_index(value, ID_BYTES)),
        }
    }

    #[inline]
    fn check_id(&self, id: u32) -> Result<(), FrameError> {
        if !self.schema_guids.is_empty() {
            return Err(FrameError::IdForGuid { found: id, accepted: self.schema_guids.clone() });
        }
        if !self.schema_ids.is_empty() && !self.schema_ids.contains(&id) {
            return Err(FrameError::SchemaId { found: id, accepted: self.schema_ids.clone() });
        }
        Ok(())
    }

    fn check_guid(&self, guid: SchemaGuid) -> Result<(), FrameError> {
        if !self.schema_ids.is_empty() {
            return Err(FrameError::GuidForId { found: guid, accepted: self.schema_ids.clone() });
        }
        if !self.schema_guids.is_empty() && !self.schema_guids.contains(&guid) {
            return Err(FrameError::SchemaGuid { found: guid, accepted: self.schema_guids.clone() });
        }
        Ok(())
    }

    fn check_header(&self, header: &[u8]) -> Result<(), Fault> {
        let broken = || (None, FrameError::HeaderBroken { header: self.header, bytes: header.len() });
        let index = match *header.first().ok_or_else(broken)? {
            MAGIC_GUID => {
                let (guid, index) = header[1..].split_first_chunk().ok_or_else(broken)?;
                self.check_guid(SchemaGuid(*guid)).map_err(|error| (None, error))?;
                index
            }
            MAGIC_ID => {
                let (id, index) = header[1..].split_first_chunk().ok_or_else(broken)?;
                self.check_id(u32::from_be_bytes(*id)).map_err(|error| (None, error))?;
                index
            }
            _ => return Err(broken()),
        };
        // Without an index the schema has one message only.
        match index.is_empty() || self.index.matches(index).is_some() {
            true => Ok(()),
            false => Err((None, self.wrong_index(header, header.len() - index.len()).1)),
        }
    }

    #[cold]
    fn no_prefix(&self, value: &[u8]) -> Fault {
        match value.first() {
            Some(&found) if found != MAGIC_ID && self.encoding == "confluent" => {
                let looks_like = looks_like(value);
                (Some(0), FrameError::MagicByte { encoding: self.encoding, found, looks_like })
            }
            Some(&MAGIC_ID) | None if self.encoding == "confluent" => {
                (Some(value.len() as u32), FrameError::CutOff { encoding: self.encoding, bytes: value.len() as u32 })
            }
            _ => (None, FrameError::NoHeader { header: self.header }),
        }
    }

    /// `at`: where the index begins in the bytes of the frame.
    #[cold]
    fn wrong_index(&self, frame: &[u8], at: usize) -> Fault {
        let error = match message_index::read(&frame[at..]) {
            Some((found, _)) => {
                FrameError::MessageIndex { found, expected: self.index.path().to_vec(), message: self.message.clone() }
            }
            None if at == GUID_BYTES => FrameError::HeaderBroken { header: self.header, bytes: frame.len() },
            None => {
                let id = frame.get(1..ID_BYTES).and_then(|id| id.try_into().ok()).unwrap_or_default();
                FrameError::NoIndex { schema_id: u32::from_be_bytes(id) }
            }
        };
        (Some(at as u32), error)
    }
}
