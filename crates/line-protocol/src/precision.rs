//! The unit of the times in a request.

/// The least and the greatest time that InfluxDB takes, nanoseconds since 1970.
pub(crate) const TIME_MIN: i64 = i64::MIN + 2;
pub(crate) const TIME_MAX: i64 = i64::MAX - 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
}

impl Precision {
    /// By InfluxDB 1's names; empty is nanoseconds. `us` is the name in InfluxDB 2.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" | "n" | "ns" => Self::Nanosecond,
            "u" | "us" => Self::Microsecond,
            "ms" => Self::Millisecond,
            "s" => Self::Second,
            "m" => Self::Minute,
            "h" => Self::Hour,
            _ => return None,
        })
    }

    pub fn nanos(self) -> i64 {
        match self {
            Self::Nanosecond => 1,
            Self::Microsecond => 1_000,
            Self::Millisecond => 1_000_000,
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
        }
    }

    /// Nanoseconds of a written time; `None` when it is outside of what InfluxDB takes.
    pub(crate) fn to_nanos(self, written: i64) -> Option<i64> {
        written.checked_mul(self.nanos()).filter(|nanos| (TIME_MIN..=TIME_MAX).contains(nanos))
    }

    /// The time of points without one, cut to the unit.
    pub(crate) fn truncate(self, nanos: i64) -> i64 {
        nanos - nanos.rem_euclid(self.nanos())
    }
}
