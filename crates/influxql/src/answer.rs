//! Answers, as columns.

mod csv;
mod json;
mod message_pack;

use std::sync::Arc;

use arrow::array::ArrayRef;

pub use csv::{CsvWriter, write_csv_error};
pub use json::{JsonOptions, JsonWriter, write_json, write_json_error};
pub use message_pack::{
    write_message_pack, write_message_pack_error, write_message_pack_head, write_message_pack_part,
};

/// A part of the answer to one statement; statements without `chunk_rows` are answered in one part.
#[derive(Clone, Debug, Default)]
pub struct StatementChunk {
    pub statement_id: usize,
    pub series: Vec<ResultSeries>,
    /// `(level, text)`
    pub messages: Vec<(String, String)>,
    /// More of this statement follows.
    pub partial: bool,
    pub error: Option<String>,
}

/// Rows with the same name and tags.
#[derive(Clone, Debug)]
pub struct ResultSeries {
    pub name: String,
    /// In the order of their names.
    pub tags: Vec<(String, String)>,
    pub columns: Arc<[String]>,
    /// One array per column, all of one length: `Timestamp(Nanosecond)` (with the zone of `tz()`), `Float64`, `Int64`, `Boolean`, `Utf8` or `Null`.
    pub values: Vec<ArrayRef>,
    /// More rows of this series follow.
    pub partial: bool,
}

impl ResultSeries {
    pub fn rows(&self) -> usize {
        self.values.first().map_or(0, |column| column.len())
    }
}
