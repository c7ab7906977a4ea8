//! Durations as people write them in a dagger: `200ms`, `5s`, `1m`, `2h`, `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Longest duration that is accepted: ten years. Longer ones are slips of the pen.
const DURATION_DAYS_MAX: u64 = 3_653;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("`{0}` is not a duration; write a whole number and a unit: 200ms, 5s, 1m, 2h or 7d")]
    Invalid(String),
    #[error("`{0}` is longer than {DURATION_DAYS_MAX} days")]
    TooLong(String),
}

/// Several parts may follow each other: `1m30s`. `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let unit_end = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |end| digits + end);
        let unit = &rest[digits..unit_end];
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        if digits == 0 {
            return Err(invalid());
        }
        let count: u64 = rest[..digits].parse().map_err(|_| too_long())?;
        millis = count.checked_mul(*factor).and_then(|part| part.checked_add(millis)).ok_or_else(too_long)?;
        rest = &rest[unit_end..];
    }
    if millis > DURATION_DAYS_MAX * 86_400_000 {
        return Err(too_long());
    }
    Ok(Duration::from_millis(millis))
}

/// The shortest text that [`parse_duration`] reads back as the same duration.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) = UNITS.iter().rev().find(|(_, factor)| millis % factor == 0).unwrap_or(&UNITS[0]);
    format!("{}{unit}", millis / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis, shown) in [
            ("200ms", 200, "200ms"),
            ("5s", 5_000, "5s"),
            ("1m", 60_000, "1m"),
            ("90s", 90_000, "90s"),
            ("1m30s", 90_000, "90s"),
            ("2h", 7_200_000, "2h"),
            ("7d", 604_800_000, "7d"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration.as_millis(), millis, "{text}");
            assert_eq!(format_duration(duration), shown);
        }
        for text in ["", "5", "s", "5 s", "-5s", "5sec", "1.5s", "99999999999999999999s", "4000d", "5s5"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
