//! Points and spans of time as PostgreSQL counts them: in microseconds and days since the year 2000.

use super::cells::Refusal;

/// From 1970 to 2000.
const DAYS: i64 = 10_957;
const MICROS: i64 = DAYS * 86_400 * 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * 1_000_000;

/// https://www.postgresql.org/docs/current/datatype-datetime.html: 4713 BC to 294276 AD, since 2000.
const TIMESTAMP_MIN: i64 = -211_813_488_000_000_000;
const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
/// 4713 BC to 5874897 AD.
const DATE_MIN: i64 = -2_451_545;
const DATE_END: i64 = 2_145_031_949;

/// Microseconds; what is below them is cut off.
pub(super) fn micros(value: i64, per_second: i64) -> Result<i64, Refusal> {
    match per_second {
        1_000_000_000 => Ok(value.div_euclid(1_000)),
        _ => value.checked_mul(1_000_000 / per_second).ok_or_else(|| out_of_range("span of time")),
    }
}

pub(super) fn timestamp(value: i64, per_second: i64) -> Result<i64, Refusal> {
    let since_2000 = micros(value, per_second).ok().and_then(|micros| micros.checked_sub(MICROS));
    match since_2000 {
        Some(micros) if (TIMESTAMP_MIN..TIMESTAMP_END).contains(&micros) => Ok(micros),
        _ => Err(out_of_range("timestamp")),
    }
}

/// Of days since 1970.
pub(super) fn date(days: i64) -> Result<i32, Refusal> {
    let days = days.saturating_sub(DAYS);
    match i32::try_from(days) {
        Ok(since_2000) if (DATE_MIN..DATE_END).contains(&days) => Ok(since_2000),
        _ => Err(out_of_range("date")),
    }
}

pub(super) fn time_of_day(value: i64, per_second: i64) -> Result<i64, Refusal> {
    match micros(value, per_second) {
        Ok(micros) if (0..=MICROS_PER_DAY).contains(&micros) => Ok(micros),
        _ => Err(out_of_range("time of day")),
    }
}

fn out_of_range(what: &str) -> Refusal {
    format!("a {what} is outside of what PostgreSQL can hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_2000() {
        assert_eq!(timestamp(946_684_800_000, 1_000), Ok(0));
        assert_eq!(timestamp(946_684_800_000_001_999, 1_000_000_000), Ok(1));
        assert_eq!(timestamp(-1, 1_000_000_000), Ok(-MICROS - 1));
        assert!(timestamp(i64::MAX, 1).is_err() && timestamp(i64::MIN, 1_000_000).is_err());
        assert!(timestamp(i64::MAX, 1_000_000_000).is_ok());
        assert_eq!(date(10_957), Ok(0));
        assert!(date(-2_440_588).is_ok() && date(-2_440_589).is_err());
        assert!(date(i64::MIN).is_err() && date(i64::MAX).is_err());
        assert!(time_of_day(86_400, 1).is_ok() && time_of_day(86_401, 1).is_err() && time_of_day(-1, 1).is_err());
    }
}
