//! Records that are JSON text: read into protobuf bytes, and written from them.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

use super::error::{FrameError, FrameWriteError};
use super::read::looks_like;

/// Appends the message that a text says. Fields that the type does not have are passed over, as they are in protobuf.
pub(super) fn read(message: &MessageDescriptor, text: &[u8], out: &mut Vec<u8>) -> Result<(), (u32, FrameError)> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let parsed = DynamicMessage::deserialize_with_options(message.clone(), &mut reader, &options)
        .and_then(|parsed| reader.end().map(|()| parsed))
        .map_err(|error| fault(message, text, &error))?;
    let start = out.len();
    // A vector takes any length.
    let _ = parsed.encode(out);
    match u32::try_from(out.len()) {
        Ok(_) => Ok(()),
        Err(_) => {
            out.truncate(start);
            Err((0, FrameError::BatchTooLarge))
        }
    }
}

fn fault(message: &MessageDescriptor, text: &[u8], error: &serde_json::Error) -> (u32, FrameError) {
    let (line, column) = (error.line().max(1), error.column().max(1));
    let problem = error.to_string();
    let problem = problem.rsplit_once(" at line ").map_or(problem.as_str(), |(problem, _)| problem).to_owned();
    let line_start: usize = text.split_inclusive(|byte| *byte == b'\n').take(line - 1).map(<[u8]>::len).sum();
    let offset = (line_start + column - 1).min(text.len());
    let looks_like = looks_like(text).filter(|what| *what != "JSON");
    let message = message.full_name().to_owned();
    (offset as u32, FrameError::Json { message, problem, line, column, looks_like })
}

/// Appends the text of a message: the canonical mapping, so 64-bit integers are texts and fields that are their default
/// are left out.
pub(super) fn write(message: &MessageDescriptor, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameWriteError> {
    let start = out.len();
    let written =
        DynamicMessage::decode(message.clone(), payload).map_err(|error| error.to_string()).and_then(|message| {
            let mut writer = serde_json::Serializer::new(&mut *out);
            message.serialize_with_options(&mut writer, &SerializeOptions::new()).map_err(|error| error.to_string())
        });
    written.map_err(|problem| {
        out.truncate(start);
        FrameWriteError::Json(problem)
    })
}
