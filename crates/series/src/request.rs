//! What a scan is asked for.

/// The earliest and the latest time of a point, as InfluxDB has them: nanoseconds since 1970-01-01 UTC, from 1677 to 2262.
pub const TIME_MIN: i64 = i64::MIN + 2;
pub const TIME_MAX: i64 = i64::MAX - 1;

/// A time in nanoseconds; `None` is outside of what points can have.
pub(crate) fn time_in_nanos(value: i64, nanos_per_unit: i64) -> Option<i64> {
    value.checked_mul(nanos_per_unit).filter(|nanos| (TIME_MIN..=TIME_MAX).contains(nanos))
}

/// Times in nanoseconds since 1970-01-01 UTC; `start` is included, `end` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub start: Option<i64>,
    pub end: Option<i64>,
}

impl TimeRange {
    pub const ALL: Self = Self { start: None, end: None };

    pub fn new(start: i64, end: i64) -> Self {
        Self { start: Some(start), end: Some(end) }
    }

    pub fn since(start: i64) -> Self {
        Self { start: Some(start), end: None }
    }

    /// The times in both ranges.
    pub fn and(self, other: Self) -> Self {
        Self {
            start: self.start.max(other.start),
            end: match (self.end, other.end) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    pub fn is_empty(self) -> bool {
        matches!((self.start, self.end), (Some(start), Some(end)) if start >= end) || self.end == Some(i64::MIN)
    }
}

/// A condition on one tag; a scan takes points for which all its conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFilter {
    pub tag: String,
    pub test: TagTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagTest {
    OneOf(Vec<String>),
    /// The tag is there and has none of these values.
    NoneOf(Vec<String>),
    Present,
    Absent,
}

impl TagFilter {
    pub fn equals(tag: impl Into<String>, value: impl Into<String>) -> Self {
        Self { tag: tag.into(), test: TagTest::OneOf(vec![value.into()]) }
    }

    pub fn one_of(tag: impl Into<String>, values: Vec<String>) -> Self {
        Self { tag: tag.into(), test: TagTest::OneOf(values) }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScanOrder {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// What a scan returns: everything, oldest first, unless set otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanRequest {
    pub range: TimeRange,
    pub tags: Vec<TagFilter>,
    /// Names of columns, in the order wanted; `None` is `time`, all tags, all fields. May be empty (rows are counted only).
    pub projection: Option<Vec<String>>,
    pub limit: Option<usize>,
    pub order: ScanOrder,
    /// Rows per batch; 0 is the default of 8,192.
    pub batch_rows: usize,
}
