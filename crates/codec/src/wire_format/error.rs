//! What is wrong with a record's frame, and what to do about it.

use std::fmt;

use thiserror::Error;

use super::SchemaGuid;

/// A record that is not in its topic's wire format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct FrameFault {
    /// Index of the record's span.
    pub index: u32,
    /// Byte offset in the record; `None` where the fault is in a header.
    pub offset: Option<u32>,
    pub error: FrameError,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error(
        "the topic's encoding is `{encoding}`, so a record begins with 0x00; this one begins with 0x{found:02x}{}",
        looks(.looks_like)
    )]
    MagicByte { encoding: &'static str, found: u8, looks_like: Option<&'static str> },
    #[error(
        "the topic's encoding is `{encoding}`, and the record ends within its frame: it has {bytes} bytes, and 0x00, the \
         schema id and the message index are 6 or more"
    )]
    CutOff { encoding: &'static str, bytes: u32 },
    #[error("there is no message index behind the schema id {schema_id}")]
    NoIndex { schema_id: u32 },
    #[error(
        "the record's schema id is {found}, the topic's encoding accepts {}: add it to `schemaIds` if its schema is a \
         version of the topic's",
        list(.accepted)
    )]
    SchemaId { found: u32, accepted: Vec<u32> },
    #[error(
        "the record's schema is {found}, the topic's encoding accepts {}: add it to `schemaGuids` if it is a version of \
         the topic's",
        list(.accepted)
    )]
    SchemaGuid { found: SchemaGuid, accepted: Vec<SchemaGuid> },
    #[error(
        "the record's schema is {found}, by its GUID, and the topic's encoding accepts ids only: {}", list(.accepted)
    )]
    GuidForId { found: SchemaGuid, accepted: Vec<u32> },
    #[error("the record's schema id is {found}, and the topic's encoding accepts GUIDs only: {}", list(.accepted))]
    IdForGuid { found: u32, accepted: Vec<SchemaGuid> },
    #[error(
        "the record is message {found:?} of its schema, {message} is message {expected:?}: if the registered schema has it \
         in another place, set `messageIndex` in the topic's encoding"
    )]
    MessageIndex { found: Vec<i64>, expected: Vec<u32>, message: String },
    #[error("the topic's encoding is `confluentHeader`, and the record has no header `{header}`")]
    NoHeader { header: &'static str },
    #[error(
        "the header `{header}` has {bytes} bytes that name no schema: 0x01 and a GUID, or 0x00 and an id, were expected"
    )]
    HeaderBroken { header: &'static str, bytes: usize },
    #[error(
        "the topic's encoding is `json`, and the record is no {message} in the protobuf JSON mapping: {problem} at line \
         {line}, column {column}{}",
        looks(.looks_like)
    )]
    Json { message: String, problem: String, line: usize, column: usize, looks_like: Option<&'static str> },
    #[error("the records of one batch have more than 4 GiB as protobuf")]
    BatchTooLarge,
}

fn looks(looks_like: &Option<&'static str>) -> String {
    match looks_like {
        Some(what) => format!(": it looks like {what}. Set the topic's encoding to what its records are"),
        None => String::new(),
    }
}

fn list<T: fmt::Display>(accepted: &[T]) -> String {
    accepted.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// Nothing can be written in this format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameWriteError {
    #[error("the encoding `confluent` has no schema id to write: set `writeSchemaId`")]
    NoSchemaId,
    #[error("the encoding `confluentHeader` has no GUID to write: set `schemaGuid`")]
    NoSchemaGuid,
    #[error("the message has no JSON form: {0}")]
    Json(String),
}
