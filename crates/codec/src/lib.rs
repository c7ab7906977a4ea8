//! Protobuf wire bytes to Arrow columns and back, by programs that are compiled once per message type.
//!
//! [`DecodeProgram`] holds the plan for one (message type, projected fields); its [`Decoder`] turns a slab of records into
//! one [`RecordBatch`](arrow::array::RecordBatch) without a message object in between. [`EncodeProgram`] is the mirror.
//! The framing of every record is checked as a whole, values only in the fields in use; a broken record is reported by its
//! index and leaves no trace in the columns.
//!
//! [`WireFormat`] says what is around a message in a record: [`FrameReader`] takes it away, [`FrameWriter`] puts it there.
//!
//! This crate does not know where records or schemas come from, nor SQL.

mod columns;
mod decode;
mod encode;
mod error;
mod finish;
mod generate;
mod json;
mod limits;
mod program;
mod projection;
mod schema;
mod shape;
mod show;
mod wire;
mod wire_format;

pub use decode::{DecodeOptions, DecodeProgram, Decoded, Decoder};
pub use encode::{EncodeProgram, Encoded};
pub use error::{
    CompileError, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, EncodeRecordError, RecordError,
};
pub use generate::message_from_columns;
pub use limits::{COLUMNS_MAX, Limits, NULL_SPAN};
pub use projection::Projection;
pub use schema::arrow_schema;
pub use show::{decode_as_far_as_possible, decode_from_as_far_as_possible};
pub use wire_format::{
    ConfluentFrame, ConfluentHeader, FrameError, FrameFault, FrameReader, FrameWriteError, FrameWriter, Payload,
    Payloads, RecordPart, SchemaGuid, SchemaGuidError, WireFormat, looks_framed,
};

/// Name of the binary column that keeps unknown fields, see [`DecodeOptions::keep_unknown`].
pub const UNKNOWN_COLUMN: &str = "_unknown";
