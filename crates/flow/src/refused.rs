//! Records that the dagger did not take: what is known of them, and who keeps them.

use bytes::Bytes;

/// What to do with a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// Count it and keep it.
    #[default]
    DeadLetter,
    /// Count it.
    Skip,
    /// Stop the dagger.
    Fail,
}

/// Why a record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The framing is broken.
    Undecodable,
    /// A value that the dagger uses is not valid.
    ValueError,
    NoEventTime,
    FutureEventTime,
    ExpressionFailed,
    /// Late, and the stream keeps late records.
    Late,
}

/// A refused record with its coordinates and bytes.
#[derive(Debug, Clone)]
pub struct RefusedRecord {
    /// The table of the stream.
    pub stream: String,
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub refusal: Refusal,
    pub error: String,
    /// Where in the value the fault is, if known.
    pub byte_offset: Option<u32>,
    pub timestamp_ms: i64,
    pub event_time_ms: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Bytes)>,
}

/// Refused records could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RefusedStoreError {
    pub message: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

/// Keeps refused records. Keeping one twice, after a restart, must be the same as once.
pub trait RefusedRecords: Send + Sync + 'static {
    /// Keeps them; after it returns they survive a crash.
    fn keep(&self, dagger: &str, records: &[RefusedRecord]) -> Result<(), RefusedStoreError>;
}
