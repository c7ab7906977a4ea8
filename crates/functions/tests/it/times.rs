//! Calendars, zones and patterns. Expected instants are computed by hand from the calendar and the published
//! rules of the zones, or with GNU date (`TZ=Europe/Berlin date -d '...' +%s`).

use crate::query::{check, check_errors, check_rows};

#[test]
fn weeks_run_from_monday_to_sunday() {
    // 2024-09-15 is a Sunday; in Jakarta (UTC+7) its week began on Monday 2024-09-09 00:00 local.
    check(&[
        ("StartOfWeek(1726376400000, 'Asia/Jakarta')", "1725814800000"),
        ("StartOfWeek(1726376400000, 'UTC')", "1725840000000"),
        ("EndOfWeek(1726376400000, 'Asia/Jakarta')", "1726419599999"),
        ("EndOfWeek(1726376400000, 'UTC')", "1726444799999"),
        // Monday 00:00:00.000 itself, and the millisecond before it.
        ("StartOfWeek(1725840000000, 'UTC')", "1725840000000"),
        ("StartOfWeek(1725839999999, 'UTC')", "1725235200000"),
        // 1969-12-31 is a Wednesday.
        ("StartOfWeek(-1, 'UTC')", "-259200000"),
        // Berlin's summer time ends on Sunday 2024-10-27: that week has 169 hours.
        ("StartOfWeek(1730000000000, 'Europe/Berlin')", "1729461600000"),
        ("EndOfWeek(1730000000000, 'Europe/Berlin') - StartOfWeek(1730000000000, 'Europe/Berlin')", "608399999"),
        // Dagger's tests of what it gets right.
        ("EndOfWeek(1562224758000, 'Asia/Kolkata')", "1562524199999"),
        ("EndOfWeek(1562224758000, 'Asia/Jakarta')", "1562518799999"),
        ("EndOfWeek(1561939200000, 'UTC')", "1562543999999"),
        ("StartOfWeek(NULL, 'UTC')", "NULL"),
        ("StartOfWeek(0, NULL)", "NULL"),
    ]);
}

#[test]
fn months_are_calendar_months() {
    // Dagger's cases of reference: 2019-08-15 and 2024-02-10.
    check(&[
        ("StartOfMonth(1565827200, 'UTC')", "1564617600"),
        ("EndOfMonth(1565827200, 'UTC')", "1567295999"),
        ("StartOfMonth(1707523200, 'UTC')", "1706745600"),
        ("EndOfMonth(1707523200, 'UTC')", "1709251199"),
        // 2024-02-29 17:00 UTC is already March in Jakarta.
        ("StartOfMonth(1709226000, 'Asia/Jakarta')", "1709226000"),
        ("StartOfMonth(1709225999, 'Asia/Jakarta')", "1706720400"),
        ("EndOfMonth(1709225999, 'Asia/Jakarta')", "1709225999"),
        ("StartOfMonth(1730000000, '+07:00')", "1727715600"),
        ("StartOfMonth(1730000000, 'GMT+7')", "1727715600"),
        // Dagger's tests.
        ("EndOfMonth(1562224758, 'Asia/Kolkata')", "1564597799"),
        ("EndOfMonth(1562224758, 'UTC')", "1564617599"),
        // December.
        ("EndOfMonth(1735600000, 'UTC')", "1735689599"),
        // Midnight of 2018-11-04 did not exist in Sao Paulo; the day began at 03:00 UTC.
        ("TimeInDate(1541340000, 0, 0, 'America/Sao_Paulo')", "1541300400"),
        ("StartOfMonth(-1, 'UTC')", "-2678400"),
    ]);
}

#[test]
fn clock_times_of_a_day() {
    check(&[
        ("TimeInDate(1565827200, 9, 30)", "1565861400"),
        ("TimeInDate(1565827200, 9, 30, 'Asia/Jakarta')", "1565836200"),
        // Berlin 2024-03-31: 02:30 is skipped and counts on to 03:30 summer time (01:30 UTC).
        ("TimeInDate(1711882800, 2, 30, 'Europe/Berlin')", "1711848600"),
        // Berlin 2024-10-27: 02:30 comes twice; the second, in standard time, is 01:30 UTC.
        ("TimeInDate(1730030000, 2, 30, 'Europe/Berlin')", "1729992600"),
        // Dagger's tests.
        ("TimeInDate(1562224758, 21, 0, 'Asia/Kolkata')", "1562254200"),
        ("TimeInDate(1562224758, 21, 0, 'Asia/Jakarta')", "1562248800"),
        ("TimeInDate(1562224758, 21, 0, 'UTC')", "1562274000"),
        ("TimeInDate(NULL, 2, 30)", "NULL"),
        ("TimeInDate(0, 0, 0, NULL)", "NULL"),
    ]);
    check_errors(&[
        ("TimeInDate(0, 24, 0)", &["TimeInDate: hour is 24", "0 to 23"]),
        ("TimeInDate(0, 0, 60)", &["minute is 60"]),
        ("StartOfWeek(0, 'Mars/Olympus')", &["StartOfWeek: the time zone is 'Mars/Olympus'", "Asia/Jakarta"]),
        ("StartOfWeek(9223372036854775807, 'UTC')", &["the time is 9223372036854775807"]),
        ("StartOfMonth(9223372036854775807, 'UTC')", &["mind seconds and milliseconds"]),
        ("EndOfMonth(s, 'UTC')", &["argument 1 (seconds) must be a whole number"]),
    ]);
}

/// By the table of letters in the documentation of `SimpleDateFormat`; 2001-07-04 12:08:56.235 in Los Angeles
/// is its own example.
#[test]
fn patterns_of_simple_date_format() {
    let time = |zone: &str, pattern: &str| {
        format!("FormatTimeInZone(TIMESTAMP '2001-07-04 19:08:56.235', '{zone}', '{}')", pattern.replace('\'', "''"))
    };
    for (zone, pattern, expected) in [
        ("America/Los_Angeles", "yyyy.MM.dd G 'at' HH:mm:ss z", "2001.07.04 AD at 12:08:56 PDT"),
        ("America/Los_Angeles", "EEE, MMM d, ''yy", "Wed, Jul 4, '01"),
        ("America/Los_Angeles", "h:mm a", "12:08 PM"),
        ("America/Los_Angeles", "hh 'o''clock' a", "12 o'clock PM"),
        ("America/Los_Angeles", "K:mm a, z", "0:08 PM, PDT"),
        ("America/Los_Angeles", "yyyyy.MMMMM.dd GGG hh:mm aaa", "02001.July.04 AD 12:08 PM"),
        ("America/Los_Angeles", "EEE, d MMM yyyy HH:mm:ss Z", "Wed, 4 Jul 2001 12:08:56 -0700"),
        ("America/Los_Angeles", "yyMMddHHmmssZ", "010704120856-0700"),
        ("America/Los_Angeles", "yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2001-07-04T12:08:56.235-0700"),
        ("America/Los_Angeles", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2001-07-04T12:08:56.235-07:00"),
        ("America/Los_Angeles", "YYYY-'W'ww-u", "2001-W27-3"),
        ("America/Los_Angeles", "D k F EEEE MMMM X XX", "185 12 1 Wednesday July -07 -0700"),
        ("UTC", "X XX XXX Z z", "Z Z Z +0000 UTC"),
        ("Asia/Jakarta", "yyyy-MM-dd HH:mm z", "2001-07-05 02:08 WIB"),
        ("Asia/Kolkata", "kk:mm XXX", "24:38 +05:30"),
        ("IST", "HH:mm", "00:38"),
        ("GMT+05:30", "HH:mm", "00:38"),
        ("UTC", "", ""),
        ("UTC", "''", "'"),
    ] {
        check(&[(&time(zone, pattern), expected)]);
    }
    // Dagger's test.
    check(&[("FormatTimeInZone(TO_TIMESTAMP_LTZ(1607003114, 0), 'Asia/Jakarta', 'hh:mm aa')", "08:45 PM")]);
    check_errors(&[
        (&time("UTC", "yyyy-MM-dd n"), &["FormatTimeInZone: the pattern is 'yyyy-MM-dd n'", "'n' is not"]),
        (&time("UTC", "yyyy 'open"), &["opens a quote"]),
        (&time("UTC", "SSSSSS"), &["'SSSSSS' is not"]),
    ]);
}

#[test]
fn times_of_columns() {
    check_rows(&[
        (
            "FormatTimeInZone(ms, 'Asia/Jakarta', 'yyyy-MM-dd HH:mm:ss.SSS')",
            ["2024-09-15 12:00:00.123", "1970-01-01 07:00:00.000", "1970-01-01 06:59:59.999", "NULL"],
        ),
        ("FormatTimeInZone(us, 'UTC', 'SSS')", ["123", "000", "000", "NULL"]),
        ("DATE_FORMAT(ms, 'yyyyMMdd')", ["20240915", "19700101", "19691231", "NULL"]),
        ("TimestampFromUnix(n)", ["1970-01-01T00:00:01", "1970-01-01T00:00:02", "1970-01-01T00:00:03", "NULL"]),
        ("FROM_UNIXTIME(n)", ["1970-01-01 00:00:01", "1970-01-01 00:00:02", "1970-01-01 00:00:03", "NULL"]),
        ("FROM_UNIXTIME(u, 'ss')", ["01", "02", "03", "NULL"]),
        ("HOUR(ms)", ["5", "0", "23", "NULL"]),
        ("YEAR(us)", ["2024", "1970", "1970", "NULL"]),
    ]);
    check_errors(&[("FormatTimeInZone(us, dict, 'yyyy')", &["the time zone is 'alpha'"])]);
}

#[test]
fn conversions() {
    check(&[
        ("TimestampFromUnix(-1)", "1969-12-31T23:59:59"),
        ("arrow_typeof(TimestampFromUnix(1))", "Timestamp(ms)"),
        ("TO_TIMESTAMP_LTZ(1726376400123, 3)", "2024-09-15T05:00:00.123"),
        ("TO_TIMESTAMP_LTZ(1726376400, 0)", "2024-09-15T05:00:00"),
        ("UNIX_TIMESTAMP('2024-09-15 05:00:00')", "1726376400"),
        ("UNIX_TIMESTAMP('15.09.2024 05 +0700', 'dd.MM.yyyy HH Z')", "1726351200"),
        ("UNIX_TIMESTAMP('nonsense')", "NULL"),
        ("TO_TIMESTAMP('2024-09-15 05:00:00')", "2024-09-15T05:00:00"),
        ("TO_TIMESTAMP('2024-09-15T05:00:00.123')", "2024-09-15T05:00:00.123"),
        ("TO_TIMESTAMP('2024-09-15')", "2024-09-15T00:00:00"),
        ("TO_TIMESTAMP('15/09/2024', 'dd/MM/yyyy')", "2024-09-15T00:00:00"),
        ("TO_TIMESTAMP('20240915050607', 'yyyyMMddHHmmss')", "2024-09-15T05:06:07"),
        ("TO_TIMESTAMP('Sep 5, 2024 1:02 PM', 'MMM d, yyyy h:mm a')", "2024-09-05T13:02:00"),
        ("TO_TIMESTAMP('2024-02-30', 'yyyy-MM-dd')", "NULL"),
        ("TO_TIMESTAMP('2024-02-03x', 'yyyy-MM-dd')", "NULL"),
        ("TO_TIMESTAMP(NULL)", "NULL"),
        ("DAYOFWEEK(TIMESTAMP '2024-09-15 05:30:07')", "1"),
        ("DAYOFYEAR(TIMESTAMP '2024-03-01 05:30:07')", "61"),
        ("QUARTER(TIMESTAMP '2024-09-15 05:30:07')", "3"),
        ("MONTH(TIMESTAMP '2024-09-15 05:30:07')", "9"),
        ("WEEK(TIMESTAMP '2024-12-30 05:30:07')", "1"),
        ("DAYOFMONTH(TIMESTAMP '2024-09-15 05:30:07')", "15"),
        ("MINUTE(TIMESTAMP '2024-09-15 05:30:07')", "30"),
        ("SECOND(TIMESTAMP '2024-09-15 05:30:07.9')", "7"),
    ]);
    check_errors(&[
        ("TO_TIMESTAMP_LTZ(n, 6)", &["precision is 6", "0 (seconds) or 3 (milliseconds)"]),
        ("TimestampFromUnix(9223372036854775807)", &["seconds is 9223372036854775807"]),
        ("DATE_FORMAT(s, 'yyyy')", &["argument 1 (time) must be a timestamp"]),
    ]);
}
