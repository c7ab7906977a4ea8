//! Points in time as people write them: RFC 3339, a date, or how long ago.

use crate::duration::parse_duration;
use crate::error::ControlError;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// RFC 3339 in UTC.
pub fn millis(ms: i64) -> String {
    let mut out = Vec::with_capacity(24);
    rows::write_timestamp_millis(ms, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads `2013-01-31T10:00:00Z`, `2013-01-31 10:00:00` (UTC), `2013-01-31`, milliseconds since 1970, or a duration
/// such as `15m`, which means that long before `now_ms`. Returns milliseconds since 1970.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, ControlError> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(time.and_utc().timestamp_millis());
        }
    }
    if let Some(midnight) = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(midnight.and_utc().timestamp_millis());
    }
    if text.len() >= 10
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(ms) = text.parse()
    {
        return Ok(ms);
    }
    if let Ok(ago) = parse_duration(text.strip_prefix('-').unwrap_or(text)) {
        return Ok(now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    Err(ControlError::invalid("time_invalid", format!("`{text}` is not a point in time"))
        .with_hint("write 2013-01-31T10:00:00Z, 2013-01-31, milliseconds since 1970, or how long ago: 15m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        for (text, ms) in [
            ("2013-01-01T00:00:00Z", 1_356_998_400_000),
            ("2013-01-01T07:00:00+07:00", 1_356_998_400_000),
            ("2013-01-01 00:00:00", 1_356_998_400_000),
            ("2013-01-01", 1_356_998_400_000),
            ("1356998400000", 1_356_998_400_000),
            ("15m", 100_000),
        ] {
            assert_eq!(parse_time(text, 1_000_000).unwrap(), ms, "{text}");
        }
        assert!(parse_time("yesterday", 0).is_err());
        assert_eq!(millis(1_356_998_400_500), "2013-01-01T00:00:00.500Z");
    }
}
