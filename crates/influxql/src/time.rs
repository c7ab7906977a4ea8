//! Durations and times as they are written in statements, and time zones.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// The first and the last time that a point can have, nanoseconds.
pub const MIN_TIME: i64 = i64::MIN + 2;
pub const MAX_TIME: i64 = i64::MAX - 1;

/// `1h30m` in nanoseconds.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || "invalid duration".to_owned();
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < 2 {
        return Err(invalid());
    }
    let (mut place, mut total, mut last) = (0, 0_i64, String::new());
    while place < characters.len() {
        let start = place;
        while place < characters.len() && characters[place].is_ascii_digit() {
            place += 1;
        }
        if place >= characters.len() || place == start {
            return Err(invalid());
        }
        let digits: String = characters[start..place].iter().collect();
        let count: i64 = digits.parse().map_err(|_| invalid())?;
        let followed_by_s = characters.get(place + 1) == Some(&'s');
        let (nanos, unit) = match characters[place] {
            'n' if followed_by_s => (1, "ns"),
            'u' | 'µ' => (1_000, "u"),
            'm' if followed_by_s => (1_000_000, "ms"),
            'm' => (60_000_000_000, "m"),
            's' => (1_000_000_000, "s"),
            'h' => (3_600_000_000_000, "h"),
            'd' => (86_400_000_000_000, "d"),
            'w' => (604_800_000_000_000, "w"),
            _ => return Err(invalid()),
        };
        place += if unit.len() == 2 { 2 } else { 1 };
        total = total.wrapping_add(count.wrapping_mul(nanos));
        last = format!("{count}{unit}");
    }
    if total < 0 {
        return Err(format!("overflowed duration {last}: choose a smaller duration or INF"));
    }
    Ok(total)
}

fn is_digits(text: &[u8], pattern: &str) -> bool {
    text.len() >= pattern.len()
        && pattern
            .bytes()
            .zip(text)
            .all(|(wanted, found)| if wanted == b'd' { found.is_ascii_digit() } else { wanted == *found })
}

/// Whether a text is read as a time where it is compared with times.
pub fn is_time_text(text: &str) -> bool {
    is_digits(text.as_bytes(), "dddd-dd-dd") && !text.contains('\n')
}

/// Nanoseconds since 1970 of a date, a date and time, or RFC 3339; times without a zone are in `zone`.
pub fn parse_time(text: &str, zone: Option<Tz>) -> Option<i128> {
    if !is_time_text(text) {
        return None;
    }
    let local = |time: NaiveDateTime| local_nanos(time, zone.unwrap_or(Tz::UTC));
    if text.len() == 10 {
        return local(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        && two_digits_each(text, ' ')
    {
        return local(time);
    }
    if !two_digits_each(text, 'T') {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| nanos_of(time.naive_utc()))
}

/// Chrono is lenient where Go is not.
fn two_digits_each(text: &str, separator: char) -> bool {
    let pattern: String = format!("dddd-dd-dd{separator}dd:dd:dd");
    is_digits(text.as_bytes(), &pattern)
}

fn nanos_of(utc: NaiveDateTime) -> i128 {
    let utc = utc.and_utc();
    i128::from(utc.timestamp()) * 1_000_000_000 + i128::from(utc.timestamp_subsec_nanos())
}

/// Of a time that is there twice, the earlier; of one that is left out, by the offset before.
fn local_nanos(time: NaiveDateTime, zone: Tz) -> Option<i128> {
    let nanos = match zone.from_local_datetime(&time).earliest() {
        Some(found) => nanos_of(found.naive_utc()),
        None => {
            let before = time.checked_sub_signed(chrono::Duration::days(1))?;
            let offset = zone.from_local_datetime(&before).earliest()?.offset().fix().local_minus_utc();
            nanos_of(time) - i128::from(offset) * 1_000_000_000
        }
    };
    Some(nanos)
}

/// How far local time is before UTC at `nanos`, in nanoseconds.
pub fn zone_offset(zone: Tz, nanos: i64) -> i64 {
    let utc = DateTime::<Utc>::from_timestamp_nanos(nanos).naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("90s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(parse_duration("5ms"), Ok(5_000_000));
        assert_eq!(parse_duration("3µ"), Ok(3_000));
        assert_eq!(parse_duration("7ns"), Ok(7));
        assert_eq!(parse_duration("1n"), Err("invalid duration".into()));
        assert_eq!(parse_duration("1y"), Err("invalid duration".into()));
        assert_eq!(
            parse_duration("20000w"),
            Err("overflowed duration 20000w: choose a smaller duration or INF".into())
        );
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("1970-01-02", None), Some(86_400_000_000_000));
        assert_eq!(parse_time("1970-01-01 00:00:01.5", None), Some(1_500_000_000));
        assert_eq!(parse_time("1970-01-01T00:00:01Z", None), Some(1_000_000_000));
        assert_eq!(parse_time("1970-01-01T01:00:00+01:00", None), Some(0));
        assert_eq!(parse_time("1970-01-01", Some(Tz::Asia__Jakarta)), Some(-7 * 3_600_000_000_000));
        assert_eq!(parse_time("1970-1-1", None), None);
        assert_eq!(parse_time("yesterday", None), None);
    }

    #[test]
    fn offsets() {
        assert_eq!(zone_offset(Tz::Europe__Berlin, 1_700_000_000_000_000_000), 3_600_000_000_000);
        assert_eq!(zone_offset(Tz::Europe__Berlin, 1_690_000_000_000_000_000), 7_200_000_000_000);
    }
}
