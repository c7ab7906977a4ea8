//! How statements are to be answered, and what can go wrong.

/// The unit of times in answers and of bare numbers that are times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// By InfluxDB's parameters `epoch` and `precision`: `ns` (or `n`), `u` (or `µ`), `ms`, `s`, `m`, `h`.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "ns" | "n" => Self::Nanoseconds,
            "u" | "µ" | "us" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    pub fn nanos(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

/// What a query may cost. 0 is no limit.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Points read by one statement: InfluxDB's `max-select-point`.
    pub select_points_max: usize,
    /// Series read by one statement: `max-select-series`.
    pub select_series_max: usize,
    /// Time windows of one statement: `max-select-buckets`.
    pub select_buckets_max: usize,
    /// Bytes that one statement may hold at once.
    pub memory_bytes_max: usize,
    /// Rows of one answer that is not chunked: `max-row-limit`.
    pub rows_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            select_points_max: 0,
            select_series_max: 0,
            select_buckets_max: 0,
            memory_bytes_max: 1 << 30,
            rows_max: 0,
        }
    }
}

/// How statements are to be answered.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// The database of statements that name none.
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    /// `None` writes times as RFC 3339 in UTC.
    pub epoch: Option<Precision>,
    /// Rows per chunk; `None` answers a statement in one piece.
    pub chunk_rows: Option<usize>,
    /// What `now()` is, nanoseconds since 1970-01-01 UTC.
    pub now_nanos: i64,
    /// Whether statements that change something may run: a GET may not.
    pub may_write: bool,
    pub limits: QueryLimits,
}

/// Why a statement has no answer, in InfluxDB's words where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(pub String);

impl QueryError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<series::SeriesError> for QueryError {
    fn from(error: series::SeriesError) -> Self {
        Self(error.to_string())
    }
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.to_string())
    }
}
