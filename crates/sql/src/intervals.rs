//! Intervals in every Flink spelling, as milliseconds or months.

use datafusion::sql::sqlparser::ast::{DateTimeField, Expr, Interval, Value};

/// Length of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Millis(i64),
    Months(i64),
}

/// Reads `INTERVAL '60' SECOND`, `INTERVAL '1:30' MINUTE TO SECOND`, `INTERVAL '1 02:00' DAY TO MINUTE`, ...
/// The error is a message without a place.
pub(crate) fn length(interval: &Interval) -> Result<Length, String> {
    let text = literal_text(&interval.value).ok_or("an interval needs a literal, such as INTERVAL '60' SECOND")?;
    let Some(leading) = &interval.leading_field else {
        return Err("an interval needs a unit, such as INTERVAL '60' SECOND".into());
    };
    let (negative, text) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest.trim().to_string()),
        None => (false, text.trim().trim_start_matches('+').trim().to_string()),
    };
    let first = rank(leading).ok_or_else(|| format!("{leading} is not a unit of an interval"))?;
    let last = match &interval.last_field {
        Some(field) => rank(field).ok_or_else(|| format!("{field} is not a unit of an interval"))?,
        None => first,
    };
    if last < first || (first <= 1) != (last <= 1) {
        return Err(format!("an interval cannot go from {leading} to {}", unit_name(last)));
    }
    if first > 1 && text.contains('-') {
        return Err(format!("the interval '{text}' has a sign inside; a sign stands before all of it"));
    }
    let parts: Vec<&str> = text.split([' ', ':', '-']).filter(|part| !part.is_empty()).collect();
    if parts.len() != last - first + 1 {
        let units: Vec<&str> = (first..=last).map(unit_name).collect();
        return Err(format!("the interval '{text}' does not have the parts {}", units.join(", ")));
    }
    let mut total: i64 = 0;
    for (unit, part) in (first..=last).zip(parts) {
        total = add_part(total, unit, part).ok_or_else(|| {
            format!("'{part}' in the interval '{text}' is not a number of {}s", unit_name(unit).to_lowercase())
        })?;
    }
    let total = if negative { -total } else { total };
    Ok(if first <= 1 { Length::Months(total) } else { Length::Millis(total) })
}

fn add_part(total: i64, unit: usize, part: &str) -> Option<i64> {
    const FACTORS: [i64; 6] = [12, 1, 86_400_000, 3_600_000, 60_000, 1_000];
    if unit == 6 {
        return total.checked_add(part.parse::<i64>().ok()?.checked_mul(7 * 86_400_000)?);
    }
    let value = match part.split_once('.') {
        Some((whole, fraction)) if unit == 5 => {
            if !fraction.bytes().all(|digit| digit.is_ascii_digit())
                || fraction.bytes().skip(3).any(|digit| digit != b'0')
            {
                return None;
            }
            let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
            whole.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(millis.parse().ok()?)?
        }
        Some(_) => return None,
        None => part.parse::<i64>().ok()?.checked_mul(FACTORS[unit])?,
    };
    total.checked_add(value)
}

fn rank(field: &DateTimeField) -> Option<usize> {
    Some(match field {
        DateTimeField::Year | DateTimeField::Years => 0,
        DateTimeField::Month | DateTimeField::Months => 1,
        DateTimeField::Day | DateTimeField::Days => 2,
        DateTimeField::Hour | DateTimeField::Hours => 3,
        DateTimeField::Minute | DateTimeField::Minutes => 4,
        DateTimeField::Second | DateTimeField::Seconds => 5,
        DateTimeField::Week(_) | DateTimeField::Weeks => 6,
        _ => return None,
    })
}

fn unit_name(rank: usize) -> &'static str {
    ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "WEEK"][rank]
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            Value::Number(text, _) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The interval as DataFusion reads it.
pub(crate) fn canonical(length: Length) -> Expr {
    let text = match length {
        Length::Millis(millis) => format!("{millis} milliseconds"),
        Length::Months(months) => format!("{months} months"),
    };
    Expr::Interval(Interval {
        value: Box::new(Expr::Value(Value::SingleQuotedString(text).into())),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}
