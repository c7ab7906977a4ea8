//! What can go wrong in the store, said with what, where and what to do about it.

use storage::StorageError;

use crate::FieldType;

#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    #[error("measurement `{measurement}` does not exist")]
    UnknownMeasurement { measurement: String },

    #[error("measurement `{measurement}` has no column `{column}`; its columns are: {columns}")]
    UnknownColumn { measurement: String, column: String, columns: String },

    #[error("`{column}` of measurement `{measurement}` is not a tag; only tags can be filtered on while scanning")]
    NotATag { measurement: String, column: String },

    #[error(
        "tag `{tag}` of measurement `{measurement}` tells points apart and names no series; ask for points instead"
    )]
    TagOfPoints { measurement: String, tag: String },

    #[error("there is no {aggregate} of field `{field}` of measurement `{measurement}`, which is {stored}")]
    InvalidAggregate { measurement: String, field: String, stored: FieldType, aggregate: &'static str },

    #[error("windows over measurement `{measurement}` have to be longer than nothing")]
    InvalidWindows { measurement: String },

    #[error("measurement `{measurement}` exists already; drop it first, or choose another name")]
    MeasurementExists { measurement: String },

    #[error(
        "field `{field}` of measurement `{measurement}` is {stored}, but was written as {written}; \
         give the new column another name, or cast it in the query"
    )]
    FieldTypeChanged { measurement: String, field: String, stored: FieldType, written: FieldType },

    #[error(
        "`{name}` of measurement `{measurement}` is a {stored} already and cannot be a {written} as well; rename one of them"
    )]
    NameTaken { measurement: String, name: String, stored: &'static str, written: &'static str },

    #[error("{what} `{name}` cannot be stored: {reason}")]
    InvalidName { what: &'static str, name: String, reason: String },

    #[error("measurement `{measurement}`: column {column} ({data_type}) cannot be stored as {role}: {reason}")]
    InvalidColumn { measurement: String, column: usize, data_type: String, role: &'static str, reason: String },

    #[error("measurement `{measurement}`: {what} would be {found}, the limit is {max}")]
    LimitExceeded { measurement: String, what: &'static str, found: usize, max: usize },

    #[error("stopped: the answer is no longer wanted")]
    Stopped,

    #[error("the series store is in use by another process; stop it, or choose another data directory")]
    InUse,

    #[error("the disk of the series store is full; it goes on when there is room again")]
    DiskFull,

    #[error("the series store could not {action}: {reason}")]
    Storage { action: &'static str, reason: String },

    #[error("the series store holds something it cannot read ({what}): {reason}")]
    Corrupt { what: &'static str, reason: String },

    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl SeriesError {
    /// Whether the same call can succeed later without a change to what is written: the store reopens itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Storage { .. } | Self::InUse)
    }

    /// A chunk has values of another type than its measurement.
    pub(crate) fn other_type() -> Self {
        Self::Corrupt { what: "a chunk of points", reason: "a field is of another type than the measurement's".into() }
    }
}

pub(crate) fn storage_error(error: StorageError) -> SeriesError {
    match error {
        StorageError::InUse => SeriesError::InUse,
        StorageError::DiskFull => SeriesError::DiskFull,
        StorageError::Failed { action, reason } => SeriesError::Storage { action, reason },
    }
}

/// The storage engine failed while an iterator was pulled.
pub(crate) fn read_error(error: &impl std::fmt::Display) -> SeriesError {
    SeriesError::Storage { action: "read", reason: error.to_string() }
}
