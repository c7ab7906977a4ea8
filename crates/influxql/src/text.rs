//! Expressions as InfluxDB writes them: in error messages and to tell whether two are the same.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

use crate::ast::{Expr, Measurement, WildcardKind};
use crate::lexer::{is_identifier_part, is_identifier_start};
use crate::token::Token;

/// Whether an identifier is written in quotes.
pub fn needs_quotes(identifier: &str) -> bool {
    Token::lookup(identifier) != Token::Identifier
        || !identifier.chars().enumerate().all(|(place, character)| {
            if place == 0 { is_identifier_start(character) } else { is_identifier_part(character) }
        })
}

/// Identifiers joined by dots, quoted where they must be.
pub fn quote_identifiers(segments: &[&str]) -> String {
    let last = segments.len().saturating_sub(1);
    let mut text = String::new();
    for (place, segment) in segments.iter().enumerate() {
        let quoted = needs_quotes(segment)
            || (place < last && !segment.is_empty())
            || ((place == 0 || place == last) && segment.is_empty());
        let escaped = segment.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        if quoted {
            text.push_str(&format!("\"{escaped}\""));
        } else {
            text.push_str(&escaped);
        }
        if place < last {
            text.push('.');
        }
    }
    text
}

pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'"))
}

const UNITS: [(i64, &str); 7] = [
    (604_800_000_000_000, "w"),
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "u"),
];

pub fn format_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let unit = UNITS.iter().find(|(size, _)| nanos % size == 0);
    unit.map_or_else(|| format!("{nanos}ns"), |(size, name)| format!("{}{name}", nanos / size))
}

/// RFC 3339 in a zone.
pub fn format_time_in(nanos: i64, zone: Tz) -> String {
    let offset = crate::time::zone_offset(zone, nanos);
    let local = format_time(i128::from(nanos) + i128::from(offset));
    let minutes = offset / 60_000_000_000;
    if minutes == 0 {
        return local;
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{}{sign}{:02}:{:02}", local.trim_end_matches('Z'), minutes.abs() / 60, minutes.abs() % 60)
}

/// RFC 3339 in UTC with as many digits of the second as there are.
pub fn format_time(nanos: i128) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let rest = nanos.rem_euclid(1_000_000_000);
    let (Ok(seconds), Ok(rest)) = (i64::try_from(seconds), u32::try_from(rest)) else { return nanos.to_string() };
    let Some(time) = DateTime::<Utc>::from_timestamp(seconds, rest) else { return nanos.to_string() };
    let whole = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    if rest == 0 {
        return whole;
    }
    let digits = format!("{rest:09}");
    format!("{}.{}Z", whole.trim_end_matches('Z'), digits.trim_end_matches('0'))
}

impl fmt::Display for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref(reference) => {
                out.write_str(&quote_identifiers(&[&reference.name]))?;
                match reference.data_type {
                    crate::ast::DataType::Unknown => Ok(()),
                    data_type => write!(out, "::{}", data_type.text()),
                }
            }
            Self::Call(call) => {
                write!(out, "{}(", call.name)?;
                for (place, arg) in call.args.iter().enumerate() {
                    if place > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{arg}")?;
                }
                out.write_str(")")
            }
            Self::Distinct(name) => write!(out, "DISTINCT {name}"),
            Self::Binary(binary) => write!(out, "{} {} {}", binary.left, binary.op.text(), binary.right),
            Self::Paren(inner) => write!(out, "({inner})"),
            Self::Wildcard(WildcardKind::All) => out.write_str("*"),
            Self::Wildcard(WildcardKind::Fields) => out.write_str("*::field"),
            Self::Wildcard(WildcardKind::Tags) => out.write_str("*::tag"),
            Self::Regex(regex) => write!(out, "/{}/", regex.source.replace('/', "\\/")),
            Self::Number(value) => write!(out, "{value:.3}"),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Unsigned(value) => write!(out, "{value}"),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Text(text) => out.write_str(&quote_text(text)),
            Self::Time(nanos) => write!(out, "'{}'", format_time(*nanos)),
            Self::Duration(nanos) => out.write_str(&format_duration(*nanos)),
            Self::Nil => out.write_str("nil"),
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.database.is_empty() {
            write!(out, "{}.", quote_identifiers(&[&self.database]))?;
        }
        if !self.retention_policy.is_empty() {
            out.write_str(&quote_identifiers(&[&self.retention_policy]))?;
        }
        if !self.database.is_empty() || !self.retention_policy.is_empty() {
            out.write_str(".")?;
        }
        match &self.regex {
            _ if !self.name.is_empty() => out.write_str(&quote_identifiers(&[&self.name])),
            Some(regex) => write!(out, "/{}/", regex.source.replace('/', "\\/")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_zones() {
        assert_eq!(format_time(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(format_time_in(0, Tz::Asia__Jakarta), "1970-01-01T07:00:00+07:00");
        assert_eq!(format_time_in(0, Tz::America__New_York), "1969-12-31T19:00:00-05:00");
        assert_eq!(format_time_in(0, Tz::UTC), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn durations_and_names() {
        assert_eq!(format_duration(90_000_000_000), "90s");
        assert_eq!(format_duration(7 * 86_400_000_000_000), "1w");
        assert_eq!(format_duration(1), "1ns");
        assert_eq!(quote_identifiers(&["a b"]), "\"a b\"");
        assert_eq!(quote_identifiers(&["select"]), "\"select\"");
        assert_eq!(quote_identifiers(&["plain"]), "plain");
        assert_eq!(quote_text("it's"), "'it\\'s'");
    }
}
