//! Time zones by name or offset, and what a clock there shows.

use chrono::{DateTime, Duration, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};
use datafusion::common::Result;

use crate::scalar::Call;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

/// What a clock in a zone shows at one instant.
pub(super) struct LocalTime {
    pub clock: NaiveDateTime,
    pub offset_seconds: i32,
    pub abbreviation: String,
}

/// Which of two instants a clock reading means that occurs twice, when summer time ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Twice {
    First,
    Second,
}

/// Java's three-letter names, as its `ZoneId.SHORT_IDS` documents them.
const JAVA_SHORT_IDS: &[(&str, &str)] = &[
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

impl Zone {
    pub const UTC: Self = Zone::Named(Tz::UTC);

    /// A name of the IANA database, a Java short name, or an offset such as `+07:00`, `GMT+7`, `UTC-03:30`.
    pub fn parse(call: &Call, text: &str) -> Result<Self> {
        let name = JAVA_SHORT_IDS.iter().find(|(short, _)| *short == text).map_or(text, |found| found.1);
        name.parse::<Tz>().map(Zone::Named).ok().or_else(|| parse_offset(text).map(Zone::Fixed)).ok_or_else(|| {
            call.refuse(
                "the time zone",
                format!("'{text}'"),
                "a name such as 'Asia/Jakarta' or an offset such as '+07:00'",
            )
        })
    }

    pub fn local(self, instant: DateTime<chrono::Utc>) -> LocalTime {
        let utc = instant.naive_utc();
        let (offset, abbreviation) = match self {
            Zone::Named(zone) => {
                let offset = zone.offset_from_utc_datetime(&utc);
                let name = offset.abbreviation().unwrap_or("UTC").to_owned();
                (offset.fix(), name)
            }
            Zone::Fixed(offset) => (offset, format!("GMT{offset}")),
        };
        LocalTime { clock: utc + offset, offset_seconds: offset.local_minus_utc(), abbreviation }
    }

    /// The instant, in milliseconds, at which a clock in the zone shows a time. A time that is skipped when
    /// summer time begins counts on from before the change, as in Java (02:30 becomes 03:30).
    pub fn instant_ms(self, clock: NaiveDateTime, twice: Twice) -> i64 {
        let offset = match self {
            Zone::Fixed(offset) => offset,
            Zone::Named(zone) => match zone.offset_from_local_datetime(&clock) {
                MappedLocalTime::Single(offset) => offset.fix(),
                MappedLocalTime::Ambiguous(first, second) => match twice {
                    Twice::First => first.fix(),
                    Twice::Second => second.fix(),
                },
                MappedLocalTime::None => {
                    let before = clock.checked_sub_signed(Duration::days(1)).unwrap_or(clock);
                    zone.offset_from_utc_datetime(&before).fix()
                }
            },
        };
        clock.and_utc().timestamp_millis() - i64::from(offset.local_minus_utc()) * 1000
    }
}

fn parse_offset(text: &str) -> Option<FixedOffset> {
    let rest = ["GMT", "UTC"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    if rest == "Z" {
        return FixedOffset::east_opt(0);
    }
    let sign = match rest.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = &rest[1..];
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) if minutes.len() == 2 => (hours, minutes),
        (None, 1 | 2) => (digits, "0"),
        (None, 4) => digits.split_at_checked(2)?,
        _ => return None,
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(hours) || !all_digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 23 && minutes <= 59).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)))?
}
