//! Weeks, months and clock times in a time zone.
//!
//! Dagger's versions take Sunday into the next week and confuse months with weeks; these are the true ones:
//! weeks run from Monday to Sunday (ISO 8601), months are calendar months.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, NaiveTime, Utc};
use datafusion::common::Result;
use datafusion::error::DataFusionError;

use super::zone::{Twice, Zone};
use crate::scalar::{Call, Definition, Evaluation, Kind, LastCompiled, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static CALENDAR_FUNCTIONS: &[&Definition] =
    &[&START_OF_WEEK, &END_OF_WEEK, &START_OF_MONTH, &END_OF_MONTH, &TIME_IN_DATE];

const MILLIS: (&str, Kind) = ("millis", Kind::Integer);
const SECONDS: (&str, Kind) = ("seconds", Kind::Integer);
const ZONE: (&str, Kind) = ("zone", Kind::Text);

static START_OF_WEEK: Definition = Definition {
    doc: FunctionDoc {
        name: "StartOfWeek",
        kind: FunctionKind::Scalar,
        signature: "StartOfWeek(millis BIGINT, zone STRING) -> BIGINT",
        description: "The first instant of the week (Monday) in the time zone, in milliseconds since 1970 UTC. Dagger gives the following Monday for a Sunday; this is the Monday before it.",
        example: "StartOfWeek(1726376400000, 'Asia/Jakarta')",
    },
    aliases: &[],
    parameters: &[MILLIS, ZONE],
    optional: 0,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| by_date(call, 1, |zone, date| Some(first_instant_ms(zone, monday(date)?)))),
};

static END_OF_WEEK: Definition = Definition {
    doc: FunctionDoc {
        name: "EndOfWeek",
        kind: FunctionKind::Scalar,
        signature: "EndOfWeek(millis BIGINT, zone STRING) -> BIGINT",
        description: "The last millisecond of the week (Sunday 23:59:59.999) in the time zone, in milliseconds since 1970 UTC.",
        example: "EndOfWeek(1726376400000, 'Asia/Jakarta')",
    },
    aliases: &[],
    parameters: &[MILLIS, ZONE],
    optional: 0,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| {
        by_date(call, 1, |zone, date| {
            let next = monday(date)?.checked_add_signed(Duration::days(7))?;
            Some(first_instant_ms(zone, next) - 1)
        })
    }),
};

static START_OF_MONTH: Definition = Definition {
    doc: FunctionDoc {
        name: "StartOfMonth",
        kind: FunctionKind::Scalar,
        signature: "StartOfMonth(seconds BIGINT, zone STRING) -> BIGINT",
        description: "The first second of the calendar month in the time zone, in seconds since 1970 UTC. Dagger gives the Monday of the week instead.",
        example: "StartOfMonth(1565827200, 'Asia/Jakarta')",
    },
    aliases: &[],
    parameters: &[SECONDS, ZONE],
    optional: 0,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| {
        by_date(call, 1000, |zone, date| Some(first_instant_ms(zone, date.with_day(1)?).div_euclid(1000)))
    }),
};

static END_OF_MONTH: Definition = Definition {
    doc: FunctionDoc {
        name: "EndOfMonth",
        kind: FunctionKind::Scalar,
        signature: "EndOfMonth(seconds BIGINT, zone STRING) -> BIGINT",
        description: "The last second of the calendar month in the time zone, in seconds since 1970 UTC.",
        example: "EndOfMonth(1565827200, 'Asia/Jakarta')",
    },
    aliases: &[],
    parameters: &[SECONDS, ZONE],
    optional: 0,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| {
        by_date(call, 1000, |zone, date| {
            let next = date.with_day(1)?.checked_add_months(Months::new(1))?;
            Some((first_instant_ms(zone, next) - 1).div_euclid(1000))
        })
    }),
};

static TIME_IN_DATE: Definition = Definition {
    doc: FunctionDoc {
        name: "TimeInDate",
        kind: FunctionKind::Scalar,
        signature: "TimeInDate(seconds BIGINT, hour INT, minute INT [, zone STRING]) -> BIGINT",
        description: "The instant at which a clock shows hour:minute:00 on the same day in the time zone (default UTC), in seconds since 1970 UTC. A time that is skipped when summer time begins counts on from before the change; of one that occurs twice it is the second, as in Java. Hours are 0 to 23, minutes 0 to 59.",
        example: "TimeInDate(1565827200, 9, 30, 'Asia/Jakarta')",
    },
    aliases: &[],
    parameters: &[SECONDS, ("hour", Kind::Integer), ("minute", Kind::Integer), ZONE],
    optional: 1,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(time_in_date),
};

fn time_in_date(call: &Call) -> Result<ArrayRef> {
    let (seconds, hours, minutes) = (call.integers(0)?, call.integers(1)?, call.integers(2)?);
    let zones = if call.given() > 3 { Some(call.texts(3)?) } else { None };
    let mut zone = LastCompiled::new();
    let instant = |row: usize| -> Result<Option<i64>> {
        let (Some(seconds), Some(hour), Some(minute)) = (seconds.get(row), hours.get(row), minutes.get(row)) else {
            return Ok(None);
        };
        let zone = match &zones {
            None => Zone::UTC,
            Some(zones) => match zones.get(row) {
                Some(name) => *zone.get(name, |name| Zone::parse(call, name))?,
                None => return Ok(None),
            },
        };
        let hour = within(call, "hour", hour, 23)?;
        let minute = within(call, "minute", minute, 59)?;
        let date = local_date(call, zone, seconds, 1000)?;
        let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
        Ok(Some(zone.instant_ms(date.and_time(time), Twice::Second).div_euclid(1000)))
    };
    let instants: Int64Array = (0..call.rows).map(instant).collect::<Result<_>>()?;
    Ok(Arc::new(instants))
}

fn within(call: &Call, name: &str, value: i64, most: u32) -> Result<u32> {
    u32::try_from(value)
        .ok()
        .filter(|value| *value <= most)
        .ok_or_else(|| call.refuse(name, value, &format!("0 to {most}")))
}

/// Applies a rule to the local date of (instant, zone). `unit_ms` is what the instants count in.
fn by_date(call: &Call, unit_ms: i64, rule: fn(Zone, NaiveDate) -> Option<i64>) -> Result<ArrayRef> {
    let (instants, zones) = (call.integers(0)?, call.texts(1)?);
    let mut zone = LastCompiled::new();
    let apply = |row: usize| -> Result<Option<i64>> {
        let (Some(instant), Some(name)) = (instants.get(row), zones.get(row)) else {
            return Ok(None);
        };
        let zone = *zone.get(name, |name| Zone::parse(call, name))?;
        let date = local_date(call, zone, instant, unit_ms)?;
        rule(zone, date).map(Some).ok_or_else(|| out_of_range(call, instant))
    };
    let results: Int64Array = (0..call.rows).map(apply).collect::<Result<_>>()?;
    Ok(Arc::new(results))
}

fn local_date(call: &Call, zone: Zone, instant: i64, unit_ms: i64) -> Result<NaiveDate> {
    /// A margin within what the calendar holds, so that no step to a neighbouring month leaves it.
    const YEAR_MAX: i32 = 200_000;
    instant
        .checked_mul(unit_ms)
        .and_then(DateTime::<Utc>::from_timestamp_millis)
        .filter(|instant| instant.year().abs() <= YEAR_MAX)
        .map(|instant| zone.local(instant).clock.date())
        .ok_or_else(|| out_of_range(call, instant))
}

fn out_of_range(call: &Call, instant: i64) -> DataFusionError {
    call.refuse("the time", instant, "within 200,000 years of the year 0; mind seconds and milliseconds")
}

fn monday(date: NaiveDate) -> Option<NaiveDate> {
    let days = i64::from(date.weekday().num_days_from_monday());
    date.checked_sub_signed(Duration::days(days))
}

fn first_instant_ms(zone: Zone, date: NaiveDate) -> i64 {
    zone.instant_ms(date.and_time(NaiveTime::MIN), Twice::First)
}
