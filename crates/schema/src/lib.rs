//! Protobuf schemas: `.proto` sources and compiled descriptor sets become a [`SchemaSet`], in which message types are
//! found, listed and described.
//!
//! Everything happens in process and in memory. This crate does not read files, does not store anything, and does not
//! look at records; `codec` turns a [`MessageDescriptor`] into columns.

mod compile;
mod editions;
mod error;
mod set;
mod summary;

pub use compile::SourceFile;
pub use error::{Diagnostic, SchemaError, SchemaErrorKind};
pub use prost_reflect::MessageDescriptor;
pub use set::SchemaSet;
pub use summary::{FieldLabel, FieldSummary, MessageSummary};

/// Upper bound of the text of all sources of one push, in bytes.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Upper bound of a compiled descriptor set, in bytes.
pub const DESCRIPTOR_SET_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Upper bound of the files in one set.
pub const FILES_MAX: usize = 4_096;
/// Upper bound of the message types in one set.
pub const MESSAGES_MAX: usize = 65_536;
/// How many diagnostics one error carries; the rest is left out.
pub const DIAGNOSTICS_MAX: usize = 20;
/// How deep braces may nest in a source. The parser is recursive, so this bounds its stack.
pub const SOURCE_NESTING_MAX: usize = 64;
