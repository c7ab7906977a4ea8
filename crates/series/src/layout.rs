//! How the columns of a batch become points, and what became of the rows.

use std::fmt;

use arrow::datatypes::DataType;

/// Which column of a batch is the time, which ones are tags and which ones fields: column index and stored name.
///
/// The time column is a `Timestamp` of any unit, kept in nanoseconds. Tags are scalars of any type, stored as text; NULL means that the tag
/// is absent. Tags whose name starts with `_` (such as `_partition`, `_offset`) tell points apart without making a
/// series each, so they may have any number of values. Columns named nowhere are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointLayout {
    pub time: usize,
    pub tags: Vec<(usize, String)>,
    pub fields: Vec<(usize, String)>,
}

/// The four types of a field. Lists, structs and maps are stored as JSON text; timestamps, dates and durations as
/// text (RFC 3339 in UTC); bytes as base64; decimals with a scale as `Float64`.
///
/// All integers and decimals without a scale are `Int64`. A value beyond 64 signed bits refuses its row
/// ([`SkipReason::IntegerOutOfRange`]): a field that changed its type by value could not be queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    Float64,
    Int64,
    Boolean,
    Utf8,
}

impl FieldType {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Float64 => DataType::Float64,
            Self::Int64 => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Utf8 => DataType::Utf8,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Float64 => "a float (Float64)",
            Self::Int64 => "an integer (Int64)",
            Self::Boolean => "a boolean",
            Self::Utf8 => "text (Utf8)",
        })
    }
}

/// Why a row did not become a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The time is NULL.
    NoTime,
    /// The time is before [`crate::TIME_MIN`] or after [`crate::TIME_MAX`].
    TimeOutOfRange,
    /// Every field is NULL.
    NoField,
    /// An integer beyond 64 signed bits.
    IntegerOutOfRange,
    /// A tag value, or all of them together, is longer than the limit.
    TagTooLong,
    /// A text field is longer than the limit.
    TextTooLong,
    /// A new series in a measurement that has as many as it may have.
    TooManySeries,
}

/// One row that did not become a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRow {
    /// Index in the batch.
    pub row: usize,
    pub reason: SkipReason,
    /// What was found, and what to do about it.
    pub message: String,
}

/// What became of the rows of one batch: `rows = written + skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSummary {
    pub rows: u64,
    /// Rows that are points now. Rows of the same point count each.
    pub written: u64,
    pub skipped: u64,
    pub new_series: u64,
    /// The first skipped rows, at most [`WriteSummary::EXAMPLES_MAX`].
    pub examples: Vec<SkippedRow>,
    /// The measurement's sequence number after this write, see `SeriesStore::scan_since`.
    pub sequence: u64,
}

impl WriteSummary {
    pub const EXAMPLES_MAX: usize = 16;

    pub(crate) fn skip(&mut self, row: usize, reason: SkipReason, message: impl FnOnce() -> String) {
        self.skipped += 1;
        if self.examples.len() < Self::EXAMPLES_MAX {
            self.examples.push(SkippedRow { row, reason, message: message() });
        }
    }
}
