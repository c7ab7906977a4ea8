//! What can be wrong with a program, with a record that is read, and with a row that is written.

use std::fmt;

use thiserror::Error;

/// A program cannot be compiled: the fault is in the projection, the columns or the message type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    #[error("`{message}` has no field `{path}`{}", did_you_mean(.nearest))]
    UnknownField { message: String, path: String, nearest: Option<String> },
    #[error("field `{path}` is repeated: `{rest}` inside of it cannot be selected, select `{path}`")]
    PathIntoRepeated { path: String, rest: String },
    #[error("field `{path}` is {found}, it has no field `{rest}`")]
    PathIntoScalar { path: String, found: String, rest: String },
    #[error("column `{column}` of type {found} does not fit field `{field}` of type {expected}{}", what_to_do(.hint))]
    TypeMismatch { column: String, field: String, found: String, expected: String, hint: Option<String> },
    #[error("field `{field}` is filled by two columns, `{first}` and `{second}`: name one of them differently")]
    FilledTwice { field: String, first: String, second: String },
    #[error("field `{field}` is required and no column fills it: add a column of that name")]
    RequiredNotFilled { field: String },
    #[error("{what} needs more than {max} columns: select fewer fields")]
    TooManyColumns { what: String, max: usize },
    #[error("`{name}` cannot be the name of a {what}: use letters, digits and `_`, not beginning with a digit")]
    BadName { name: String, what: &'static str },
    #[error("column `{column}` of type {found} has no protobuf counterpart: cast it or leave it out")]
    NoCounterpart { column: String, found: String },
    #[error("columns `{first}` and `{second}` would both become field `{field}`: name one of them differently")]
    DuplicateField { first: String, second: String, field: String },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
}

fn what_to_do(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default()
}

/// A record that could not be decoded; every other record of the slab is untouched by it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record {index}: {error}")]
pub struct RecordError {
    /// Index of the record's span.
    pub index: u32,
    pub error: DecodeError,
}

/// What is wrong in a record, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    pub kind: DecodeErrorKind,
    /// Byte offset in the record.
    pub offset: u32,
    /// Dotted path of the message or field that was being read, as far as it is known.
    pub field: Option<String>,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)?;
        if let Some(field) = &self.field {
            write!(f, " in `{field}`")?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    /// For bytes that nobody sees, such as those of a record that came as JSON.
    pub fn without_place(&self) -> String {
        match &self.field {
            Some(field) => format!("{} in `{field}`", self.kind),
            None => self.kind.to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    #[error("the record ends in the middle of a field")]
    Truncated,
    #[error("a length points behind the end of its message")]
    LengthOverrun,
    #[error("a varint is longer than 10 bytes")]
    VarintTooLong,
    #[error("wire type {0} does not exist")]
    WireType(u8),
    #[error("field number 0 or above 536870911 is not allowed")]
    FieldNumber,
    #[error("a group ends that was not begun, or another one than the open one")]
    GroupUnbalanced,
    #[error("messages nest deeper than {0} levels")]
    TooDeep(u32),
    #[error("the record has {0} bytes, more than the limit")]
    RecordTooLarge(u32),
    #[error("the record has more than {0} list items and map entries")]
    TooManyElements(usize),
    #[error("text is not valid UTF-8")]
    Utf8,
    #[error("a timestamp is outside of the years 1 to 9999, or its nanoseconds outside of 0 to 999999999")]
    TimestampRange,
    #[error("the bytes of a packed list are not a multiple of its item size")]
    PackedLength,
    #[error("the columns of this batch have grown beyond 2 GiB")]
    ColumnTooLarge,
    #[error("the span points behind the end of the data")]
    SpanOutside,
}

impl DecodeErrorKind {
    /// A short, stable name for metrics and filters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::LengthOverrun => "length_overrun",
            Self::VarintTooLong => "varint_too_long",
            Self::WireType(_) => "wire_type",
            Self::FieldNumber => "field_number",
            Self::GroupUnbalanced => "group_unbalanced",
            Self::TooDeep(_) => "too_deep",
            Self::RecordTooLarge(_) => "record_too_large",
            Self::TooManyElements(_) => "too_many_elements",
            Self::Utf8 => "utf8",
            Self::TimestampRange => "timestamp_range",
            Self::PackedLength => "packed_length",
            Self::ColumnTooLarge => "column_too_large",
            Self::SpanOutside => "span_outside",
        }
    }
}

/// A row that could not be encoded; the other rows are.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("row {index}: {kind} in field `{field}`")]
pub struct EncodeRecordError {
    pub index: u32,
    /// Dotted path of the field.
    pub field: String,
    pub kind: EncodeErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeErrorKind {
    #[error("{0} does not fit")]
    OutOfRange(String),
    #[error("`{0}` is not a value of the enum")]
    UnknownEnumValue(String),
    #[error("a list item or map entry is NULL")]
    NullItem,
    #[error("a required field is NULL")]
    RequiredMissing,
    #[error("two members of one oneof are set")]
    OneofConflict,
    #[error("the text is not JSON of this type: {0}")]
    Json(String),
    #[error("the bytes are not a message: {0}")]
    Message(String),
}

/// The batch as a whole cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    #[error(
        "the batch has other columns than the program was compiled for: column {index} is {found}, expected {expected}"
    )]
    Columns { index: usize, found: String, expected: String },
    #[error("the encoded rows have more than {0} bytes: encode fewer rows at a time")]
    TooLarge(usize),
}
