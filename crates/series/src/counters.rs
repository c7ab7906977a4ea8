//! What is counted per measurement, and its bytes: the version, then eight bytes for each number.

use crate::SeriesError;

const VERSION: u8 = 2;
const NUMBERS: usize = 7;
/// Earlier versions had no version in front, and times in microseconds.
const BYTES_WITHOUT_VERSION: usize = NUMBERS * 8;

/// Written with every batch of points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    pub points: u64,
    pub series: u64,
    /// Number of the next new series.
    pub next_series: u64,
    pub sequence: u64,
    /// Nanoseconds; 0 before the first write.
    pub last_write: i64,
    /// No point is later than this.
    pub newest_time: i64,
    /// Nothing is due to expire before this, nanoseconds.
    pub next_expiry: i64,
}

impl Counters {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + NUMBERS * 8);
        bytes.push(VERSION);
        for number in [
            self.points,
            self.series,
            self.next_series,
            self.sequence,
            self.last_write as u64,
            self.newest_time as u64,
            self.next_expiry as u64,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bytes, nanos_per_unit) = match bytes {
            [VERSION, rest @ ..] if rest.len() == NUMBERS * 8 => (rest, 1),
            _ if bytes.len() == BYTES_WITHOUT_VERSION => (bytes, 1_000),
            _ => return None,
        };
        let mut numbers = [0; NUMBERS];
        for (number, slot) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_le_bytes(slot.try_into().ok()?);
        }
        let [points, series, next_series, sequence, last_write, newest_time, next_expiry] = numbers;
        let time = |stored: u64| (stored as i64).saturating_mul(nanos_per_unit);
        Some(Self {
            points,
            series,
            next_series,
            sequence,
            last_write: time(last_write),
            newest_time: time(newest_time),
            next_expiry: time(next_expiry),
        })
    }
}

pub(crate) fn read(bytes: Option<&[u8]>) -> Result<Counters, SeriesError> {
    bytes.and_then(Counters::from_bytes).ok_or_else(|| SeriesError::Corrupt {
        what: "the list of measurements",
        reason: "a measurement's counters are missing or broken".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_they_were_put_and_those_of_earlier_versions_in_nanoseconds() {
        let counters = Counters {
            points: 7,
            series: 2,
            next_series: 3,
            sequence: 9,
            last_write: 1_704_067_200_000_000_001,
            newest_time: i64::MIN,
            next_expiry: i64::MAX,
        };
        let bytes = counters.to_bytes();
        assert_eq!(Counters::from_bytes(&bytes), Some(counters));
        assert_eq!(Counters::from_bytes(&bytes[..bytes.len() - 2]), None);
        let micros = Counters { last_write: 1_704_067_200_000_000, ..counters };
        let nanos = Counters { last_write: 1_704_067_200_000_000_000, ..counters };
        assert_eq!(Counters::from_bytes(&micros.to_bytes()[1..]), Some(nanos));
    }
}
