//! Points and spans of time as text, without chrono: years before 0 and after 9999 must print too, and fast.

use crate::column::integer;

/// RFC 3339 in UTC of milliseconds since the epoch, without quotes.
pub fn write_timestamp_millis(millis: i64, out: &mut Vec<u8>) {
    write_timestamp(millis, 1_000, out);
}

/// RFC 3339 in UTC of microseconds since the epoch, without quotes.
pub fn write_timestamp_micros(micros: i64, out: &mut Vec<u8>) {
    write_timestamp(micros, 1_000_000, out);
}

pub(crate) fn write_timestamp(value: i64, units_per_second: i64, out: &mut Vec<u8>) {
    let seconds = value.div_euclid(units_per_second);
    write_date_days(seconds.div_euclid(86_400), out);
    out.push(b'T');
    let within_day = seconds.rem_euclid(86_400);
    write_clock(within_day, value.rem_euclid(units_per_second) * (1_000_000_000 / units_per_second), out);
    out.push(b'Z');
}

pub(crate) fn write_time_of_day(value: i64, units_per_second: i64, out: &mut Vec<u8>) {
    write_clock(
        value.div_euclid(units_per_second),
        value.rem_euclid(units_per_second) * (1_000_000_000 / units_per_second),
        out,
    );
}

fn write_clock(seconds: i64, nanos: i64, out: &mut Vec<u8>) {
    two_digits(seconds / 3_600, out);
    out.push(b':');
    two_digits(seconds / 60 % 60, out);
    out.push(b':');
    two_digits(seconds % 60, out);
    write_fraction(nanos, out);
}

/// Nothing, or a point and 3, 6 or 9 digits, as the protobuf JSON mapping does it.
fn write_fraction(nanos: i64, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    let (value, digits) = if nanos % 1_000_000 == 0 {
        (nanos / 1_000_000, 3)
    } else if nanos % 1_000 == 0 {
        (nanos / 1_000, 6)
    } else {
        (nanos, 9)
    };
    out.push(b'.');
    padded(value, digits, out);
}

/// `2013-01-31` of days since the epoch. Years outside 0..=9999 carry a sign, as ISO 8601 extends it.
pub fn write_date_days(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    if (0..=9_999).contains(&year) {
        padded(year, 4, out);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        padded(year.abs(), 4, out);
    }
    out.push(b'-');
    two_digits(month, out);
    out.push(b'-');
    two_digits(day, out);
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `3.500s`, the protobuf JSON mapping of a duration.
pub(crate) fn write_duration(value: i64, units_per_second: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let magnitude = value.unsigned_abs();
    let units = units_per_second.unsigned_abs();
    out.extend_from_slice((magnitude / units).to_string().as_bytes());
    write_fraction(((magnitude % units) * (1_000_000_000 / units)) as i64, out);
    out.push(b's');
}

/// ISO 8601, for example `P1M2DT3.500S`; the empty interval is `PT0S`.
pub(crate) fn write_interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    out.push(b'P');
    if months != 0 {
        integer(months.into(), out);
        out.push(b'M');
    }
    if days != 0 {
        integer(days.into(), out);
        out.push(b'D');
    }
    if nanos != 0 || (months == 0 && days == 0) {
        out.push(b'T');
        write_duration(nanos, 1_000_000_000, out);
        out.pop();
        out.push(b'S');
    }
}

fn two_digits(value: i64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn padded(value: i64, digits: u32, out: &mut Vec<u8>) {
    let mut place = 10_i64.pow(digits - 1);
    if value >= place * 10 {
        integer(value, out);
        return;
    }
    while place > 0 {
        out.push(b'0' + (value / place % 10) as u8);
        place /= 10;
    }
}
