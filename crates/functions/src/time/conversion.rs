//! Between timestamps, numbers and texts.
//!
//! Flink's functions of this kind work in the session's time zone, which is UTC here.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringBuilder, TimestampMillisecondArray};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use datafusion::common::Result;

use super::pattern::Pattern;
use super::zone::Zone;
use crate::scalar::{Call, Definition, Evaluation, Kind, LastCompiled, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static CONVERSION_FUNCTIONS: &[&Definition] = &[
    &FORMAT_TIME_IN_ZONE,
    &DATE_FORMAT,
    &FROM_UNIXTIME,
    &UNIX_TIMESTAMP,
    &TIMESTAMP_FROM_UNIX,
    &TO_TIMESTAMP,
    &TO_TIMESTAMP_LTZ,
];

/// Flink's default.
const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

static FORMAT_TIME_IN_ZONE: Definition = Definition {
    doc: FunctionDoc {
        name: "FormatTimeInZone",
        kind: FunctionKind::Scalar,
        signature: "FormatTimeInZone(time TIMESTAMP, zone STRING, pattern STRING) -> STRING",
        description: "The time as a clock in the zone shows it, by a pattern of Java's SimpleDateFormat in English. Letters: G era, y year, Y ISO week year, M and L month (3 letters: Jan, 4: January), w ISO week, D day of the year, d day of the month, F day of week in month, E day name (4: full), u day number (1 is Monday), a AM or PM, H hour 0-23, k 1-24, K 0-11, h 1-12, m minute, s second, S millisecond, z zone name, Z +0700, X +07, XX +0700, XXX +07:00, and text in 'quotes'. Zones: IANA names, Java's short names, offsets such as '+07:00' or 'GMT+7'; an unknown zone is an error, where Java falls back to GMT.",
        example: "FormatTimeInZone(TIMESTAMP '2024-09-15 05:00:00', 'Asia/Jakarta', 'yyyy-MM-dd HH:mm')",
    },
    aliases: &[],
    parameters: &[("time", Kind::Time), ("zone", Kind::Text), ("pattern", Kind::Text)],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let (times, zones, patterns) = (call.times(0)?, call.texts(1)?, call.texts(2)?);
        let (mut zone, mut pattern) = (LastCompiled::new(), LastCompiled::new());
        texts(call.rows, |row, out| {
            let (Some(time), Some(name), Some(text)) = (times.get(row), zones.get(row), patterns.get(row)) else {
                return Ok(false);
            };
            let zone = *zone.get(name, |name| Zone::parse(call, name))?;
            let pattern = pattern.get(text, |text| Pattern::compile(call, text))?;
            format(call, time, zone, pattern, out)
        })
    }),
};

static DATE_FORMAT: Definition = Definition {
    doc: FunctionDoc {
        name: "DATE_FORMAT",
        kind: FunctionKind::Scalar,
        signature: "DATE_FORMAT(time TIMESTAMP, pattern STRING) -> STRING",
        description: "The time in UTC by a Java pattern; see FormatTimeInZone for the letters. DataFusion's function of this name takes strftime patterns; that one is TO_CHAR here.",
        example: "DATE_FORMAT(TIMESTAMP '2024-09-15 05:00:00', 'yyyyMMdd')",
    },
    aliases: &[],
    parameters: &[("time", Kind::Time), ("pattern", Kind::Text)],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let (times, patterns) = (call.times(0)?, call.texts(1)?);
        let mut pattern = LastCompiled::new();
        texts(call.rows, |row, out| {
            let (Some(time), Some(text)) = (times.get(row), patterns.get(row)) else {
                return Ok(false);
            };
            let pattern = pattern.get(text, |text| Pattern::compile(call, text))?;
            format(call, time, Zone::UTC, pattern, out)
        })
    }),
};

static FROM_UNIXTIME: Definition = Definition {
    doc: FunctionDoc {
        name: "FROM_UNIXTIME",
        kind: FunctionKind::Scalar,
        signature: "FROM_UNIXTIME(seconds BIGINT [, pattern STRING]) -> STRING",
        description: "Seconds since 1970 as text in UTC, by default 'yyyy-MM-dd HH:mm:ss'. As in Flink a text; DataFusion's function of this name gives a timestamp, for which there is TimestampFromUnix.",
        example: "FROM_UNIXTIME(1726376400)",
    },
    aliases: &[],
    parameters: &[("seconds", Kind::Integer), ("pattern", Kind::Text)],
    optional: 1,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let seconds = call.integers(0)?;
        let patterns = if call.given() > 1 { Some(call.texts(1)?) } else { None };
        let mut pattern = LastCompiled::new();
        texts(call.rows, |row, out| {
            let text = match &patterns {
                None => Some(DEFAULT_PATTERN),
                Some(patterns) => patterns.get(row),
            };
            let (Some(seconds), Some(text)) = (seconds.get(row), text) else {
                return Ok(false);
            };
            let pattern = pattern.get(text, |text| Pattern::compile(call, text))?;
            format(call, milliseconds(call, seconds)?, Zone::UTC, pattern, out)
        })
    }),
};

static UNIX_TIMESTAMP: Definition = Definition {
    doc: FunctionDoc {
        name: "UNIX_TIMESTAMP",
        kind: FunctionKind::Scalar,
        signature: "UNIX_TIMESTAMP(text STRING [, pattern STRING]) -> BIGINT",
        description: "Seconds since 1970 of a text in UTC, by default 'yyyy-MM-dd HH:mm:ss'. NULL where the text does not fit the pattern. The form without arguments (the current time) is left out: a stream has no current time.",
        example: "UNIX_TIMESTAMP('2024-09-15 05:00:00')",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("pattern", Kind::Text)],
    optional: 1,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| {
        let seconds: Int64Array = parsed(call)?.into_iter().map(|ms| ms.map(|ms| ms.div_euclid(1000))).collect();
        Ok(Arc::new(seconds))
    }),
};

static TO_TIMESTAMP: Definition = Definition {
    doc: FunctionDoc {
        name: "TO_TIMESTAMP",
        kind: FunctionKind::Scalar,
        signature: "TO_TIMESTAMP(text STRING [, pattern STRING]) -> TIMESTAMP(3)",
        description: "The timestamp that a text in UTC stands for, by a Java pattern; without one 'yyyy-MM-dd', 'yyyy-MM-dd HH:mm:ss' and 'yyyy-MM-dd HH:mm:ss.SSS' are read, with a space or a T between. NULL where the text does not fit.",
        example: "TO_TIMESTAMP('15/09/2024', 'dd/MM/yyyy')",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("pattern", Kind::Text)],
    optional: 1,
    returns: returning::time,
    evaluation: Evaluation::Columns(|call| Ok(Arc::new(TimestampMillisecondArray::from(parsed(call)?)))),
};

static TIMESTAMP_FROM_UNIX: Definition = Definition {
    doc: FunctionDoc {
        name: "TimestampFromUnix",
        kind: FunctionKind::Scalar,
        signature: "TimestampFromUnix(seconds BIGINT) -> TIMESTAMP(3)",
        description: "The timestamp of seconds since 1970 UTC. Negative seconds are before 1970; Dagger drops their sign.",
        example: "TimestampFromUnix(1726376400)",
    },
    aliases: &[],
    parameters: &[("seconds", Kind::Integer)],
    optional: 0,
    returns: returning::time,
    evaluation: Evaluation::Columns(|call| {
        let seconds = call.integers(0)?;
        let times: TimestampMillisecondArray = (0..call.rows)
            .map(|row| seconds.get(row).map(|seconds| milliseconds(call, seconds)).transpose())
            .collect::<Result<Vec<_>>>()?
            .into();
        Ok(Arc::new(times))
    }),
};

static TO_TIMESTAMP_LTZ: Definition = Definition {
    doc: FunctionDoc {
        name: "TO_TIMESTAMP_LTZ",
        kind: FunctionKind::Scalar,
        signature: "TO_TIMESTAMP_LTZ(number BIGINT, precision INT) -> TIMESTAMP(3)",
        description: "The timestamp of seconds (precision 0) or milliseconds (precision 3) since 1970 UTC.",
        example: "TO_TIMESTAMP_LTZ(1726376400000, 3)",
    },
    aliases: &[],
    parameters: &[("number", Kind::Integer), ("precision", Kind::Integer)],
    optional: 0,
    returns: returning::time,
    evaluation: Evaluation::Columns(|call| {
        let (numbers, precisions) = (call.integers(0)?, call.integers(1)?);
        let time = |row: usize| match (numbers.get(row), precisions.get(row)) {
            (Some(seconds), Some(0)) => milliseconds(call, seconds).map(Some),
            (Some(milliseconds), Some(3)) => Ok(Some(milliseconds)),
            (_, Some(other)) if other != 0 && other != 3 => {
                Err(call.refuse("precision", other, "0 (seconds) or 3 (milliseconds)"))
            }
            _ => Ok(None),
        };
        let times = (0..call.rows).map(time).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(TimestampMillisecondArray::from(times)))
    }),
};

fn milliseconds(call: &Call, seconds: i64) -> Result<i64> {
    seconds.checked_mul(1000).ok_or_else(|| call.refuse("seconds", seconds, "within 64 bits as milliseconds"))
}

fn format(call: &Call, ms: i64, zone: Zone, pattern: &Pattern, out: &mut String) -> Result<bool> {
    let instant = DateTime::<Utc>::from_timestamp_millis(ms)
        .ok_or_else(|| call.refuse("the time", ms, "within 262,000 years of the year 0"))?;
    pattern.format(&zone.local(instant), out);
    Ok(true)
}

/// Builds a column of texts; the closure writes a row's text, or says that it is NULL.
fn texts(rows: usize, mut write: impl FnMut(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
    let mut column = StringBuilder::with_capacity(rows, rows * DEFAULT_PATTERN.len());
    let mut text = String::new();
    for row in 0..rows {
        text.clear();
        if write(row, &mut text)? {
            column.append_value(&text);
        } else {
            column.append_null();
        }
    }
    Ok(Arc::new(column.finish()))
}

/// Texts and optional patterns to milliseconds since 1970; NULL where a text does not fit.
fn parsed(call: &Call) -> Result<Vec<Option<i64>>> {
    let values = call.texts(0)?;
    let patterns = if call.given() > 1 { Some(call.texts(1)?) } else { None };
    let mut pattern = LastCompiled::new();
    (0..call.rows)
        .map(|row| {
            let Some(value) = values.get(row) else {
                return Ok(None);
            };
            let Some(patterns) = &patterns else {
                return Ok(read_default(value));
            };
            let Some(text) = patterns.get(row) else {
                return Ok(None);
            };
            let pattern = pattern.get(text, |text| Pattern::compile(call, text))?;
            Ok(pattern.parse(value).map(|(clock, offset_seconds)| {
                clock.and_utc().timestamp_millis() - i64::from(offset_seconds.unwrap_or(0)) * 1000
            }))
        })
        .collect()
}

fn read_default(text: &str) -> Option<i64> {
    let text = text.trim();
    let clock = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"))
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(clock.and_utc().timestamp_millis())
}
