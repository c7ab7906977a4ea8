//! What is done to decoded records on their way to a sink: rows are filtered, columns are picked and derived, and texts
//! are made of them.
//!
//! Everything is compiled once, against the columns that there are, so that a wrong name is an error of the document and
//! not of each record; then whole Arrow batches go through. This crate knows nothing of protobuf, logs or sinks.

mod error;
mod expression;
mod filter;
mod json_schema;
pub mod limits;
mod path;
mod shaping;
mod spec;
mod template;

pub use error::ShapeError;
pub use filter::{Filter, Judged};
pub use json_schema::JsonSchema;
pub use shaping::{Shape, Shaped};
pub use spec::{ColumnSource, ColumnSpec, ColumnType, ShapeSpec, TimeWindow};
pub use template::{BoundTemplate, Template};

/// What is known of a record besides its fields. They can be used by name like fields, and are columns of the result
/// only where `columns` lists them.
pub const METADATA_COLUMNS: [&str; 6] = ["_topic", "_partition", "_offset", "_timestamp", "_key", "_headers"];
