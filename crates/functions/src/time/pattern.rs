//! Date patterns in the letters of Java's `SimpleDateFormat` and Flink's `DATE_FORMAT`, in English:
//! <https://docs.oracle.com/javase/8/docs/api/java/text/SimpleDateFormat.html>.
//!
//! What is not: other languages, `W` (week in month) and long zone names, which depend on the locale of the
//! Java machine.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::Result;

use super::zone::LocalTime;
use crate::scalar::Call;

/// For documentation and errors.
pub(super) const LETTERS: &str = "G era, y year, Y ISO week year, M and L month (3 letters: Jan, 4: January), w ISO week, D day of the year, d day of the month, F day of week in month, E day name (4: full), u day number (1 is Monday), a AM or PM, H hour 0-23, k 1-24, K 0-11, h 1-12, m minute, s second, S millisecond, z zone name, Z +0700, X +07, XX +0700, XXX +07:00, and text in 'quotes'";

/// Letters and quoted text together.
const PATTERN_CHARS_MAX: usize = 256;
/// Digits that a number may be filled up to.
const WIDTH_MAX: usize = 18;

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field { letter: char, width: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    pub fn compile(call: &Call, text: &str) -> Result<Self> {
        let refuse = |allowed: &str| Err(call.refuse("the pattern", format!("'{text}'"), allowed));
        if text.chars().count() > PATTERN_CHARS_MAX {
            return refuse(&format!("at most {PATTERN_CHARS_MAX} characters"));
        }
        let mut parts = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(first) = rest.next() {
            if first == '\'' {
                match quoted(&mut rest) {
                    Some(quoted) => push_text(&mut parts, &quoted),
                    None => return refuse("closed where it opens a quote; write '' for a quote itself"),
                }
            } else if first.is_ascii_alphabetic() {
                let mut width = 1;
                while rest.next_if_eq(&first).is_some() {
                    width += 1;
                }
                if !allowed(first, width) {
                    return refuse(&format!("made of: {LETTERS}; '{}' is not", first.to_string().repeat(width)));
                }
                parts.push(Part::Field { letter: first, width });
            } else {
                push_text(&mut parts, first.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(Self { parts })
    }

    pub fn format(&self, time: &LocalTime, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field { letter, width } => format_field(*letter, *width, time, out),
            }
        }
    }

    /// Reads a text by the pattern; `None` where it does not fit. Missing fields are those of
    /// 1970-01-01 00:00:00. The second part is the offset from UTC in seconds, when the pattern has one.
    pub fn parse(&self, text: &str) -> Option<(NaiveDateTime, Option<i32>)> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Field { letter, width } => {
                    let abutting = matches!(self.parts.get(index + 1), Some(Part::Field { .. }));
                    rest = fields.read(*letter, *width, abutting, rest)?;
                }
            }
        }
        if rest.is_empty() { fields.assemble() } else { None }
    }
}

fn quoted(rest: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
    if rest.next_if_eq(&'\'').is_some() {
        return Some("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match rest.next()? {
            '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(text),
            other => text.push(other),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn allowed(letter: char, width: usize) -> bool {
    match letter {
        'G' | 'y' | 'Y' | 'M' | 'L' | 'w' | 'D' | 'd' | 'F' | 'E' | 'u' | 'a' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' => {
            width <= WIDTH_MAX
        }
        'S' | 'z' | 'X' => width <= 3,
        'Z' => width <= 3,
        _ => false,
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn format_field(letter: char, width: usize, time: &LocalTime, out: &mut String) {
    let clock = &time.clock;
    let number = |out: &mut String, value: i64| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{value:0width$}");
    };
    let name = |out: &mut String, name: &str, short: bool| {
        out.push_str(if short { &name[..3] } else { name });
    };
    match letter {
        'G' => out.push_str(if clock.year() > 0 { "AD" } else { "BC" }),
        'y' => year(clock.year(), width, out),
        'Y' => year(clock.iso_week().year(), width, out),
        'M' | 'L' if width >= 3 => name(out, MONTHS[clock.month0() as usize % 12], width == 3),
        'M' | 'L' => number(out, clock.month().into()),
        'w' => number(out, clock.iso_week().week().into()),
        'D' => number(out, clock.ordinal().into()),
        'd' => number(out, clock.day().into()),
        'F' => number(out, i64::from(clock.day0() / 7 + 1)),
        'E' => name(out, DAYS[clock.weekday().num_days_from_monday() as usize % 7], width <= 3),
        'u' => number(out, clock.weekday().number_from_monday().into()),
        'a' => out.push_str(if clock.hour() < 12 { "AM" } else { "PM" }),
        'H' => number(out, clock.hour().into()),
        'k' => number(out, if clock.hour() == 0 { 24 } else { clock.hour().into() }),
        'K' => number(out, i64::from(clock.hour() % 12)),
        'h' => number(out, i64::from(clock.hour12().1)),
        'm' => number(out, clock.minute().into()),
        's' => number(out, clock.second().into()),
        'S' => number(out, i64::from(clock.nanosecond() / 1_000_000 % 1000)),
        'z' => out.push_str(&time.abbreviation),
        'Z' => offset(time.offset_seconds, false, true, out),
        'X' if time.offset_seconds == 0 => out.push('Z'),
        'X' => offset(time.offset_seconds, width == 3, width > 1, out),
        _ => {}
    }
}

/// Two letters are the last two digits; any other number of them is the year of the era.
fn year(year: i32, width: usize, out: &mut String) {
    let of_era = if year > 0 { year } else { 1 - year };
    let _ = if width == 2 { write!(out, "{:02}", of_era % 100) } else { write!(out, "{of_era:0width$}") };
}

fn offset(seconds: i32, colon: bool, minutes: bool, out: &mut String) {
    let sign = if seconds < 0 { '-' } else { '+' };
    let total = seconds.abs() / 60;
    let _ = write!(out, "{sign}{:02}", total / 60);
    if minutes {
        let _ = write!(out, "{}{:02}", if colon { ":" } else { "" }, total % 60);
    }
}

/// What was read of a date and time.
struct Fields {
    year: i32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: u32,
    half_day_hour: Option<u32>,
    afternoon: bool,
    minute: u32,
    second: u32,
    milli: u32,
    offset_seconds: Option<i32>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half_day_hour: None,
            afternoon: false,
            minute: 0,
            second: 0,
            milli: 0,
            offset_seconds: None,
        }
    }
}

impl Fields {
    fn read<'a>(&mut self, letter: char, width: usize, abutting: bool, text: &'a str) -> Option<&'a str> {
        match letter {
            'M' | 'L' if width >= 3 => {
                let (index, rest) = read_name(&MONTHS, text)?;
                self.month = index + 1;
                return Some(rest);
            }
            'E' => return read_name(&DAYS, text).map(|(_, rest)| rest),
            'a' => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = match half.to_ascii_uppercase().as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                };
                return Some(rest);
            }
            'Z' | 'X' => {
                let (seconds, rest) = read_offset(text)?;
                self.offset_seconds = Some(seconds);
                return Some(rest);
            }
            _ => {}
        }
        let (value, rest) = read_number(text, if abutting { width } else { WIDTH_MAX })?;
        match letter {
            'y' if width == 2 && value < 100 => {
                self.year = i32::try_from(value).ok()? + if value < 70 { 2000 } else { 1900 };
            }
            'y' => self.year = i32::try_from(value).ok()?,
            'M' | 'L' => self.month = u32::try_from(value).ok()?,
            'd' => self.day = u32::try_from(value).ok()?,
            'D' => self.day_of_year = Some(u32::try_from(value).ok()?),
            'H' => self.hour = u32::try_from(value).ok()?,
            'k' => self.hour = u32::try_from(value).ok().filter(|hour| (1..=24).contains(hour))? % 24,
            'K' => self.half_day_hour = Some(u32::try_from(value).ok().filter(|hour| *hour < 12)?),
            'h' => {
                let hour = u32::try_from(value).ok().filter(|hour| (1..=12).contains(hour))?;
                self.half_day_hour = Some(hour % 12);
            }
            'm' => self.minute = u32::try_from(value).ok()?,
            's' => self.second = u32::try_from(value).ok()?,
            'S' => self.milli = u32::try_from(value).ok()?,
            _ => return None,
        }
        Some(rest)
    }

    fn assemble(self) -> Option<(NaiveDateTime, Option<i32>)> {
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(self.year, day)?,
            None => NaiveDate::from_ymd_opt(self.year, self.month, self.day)?,
        };
        let hour = match self.half_day_hour {
            Some(hour) => hour + if self.afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let time = date.and_hms_milli_opt(hour, self.minute, self.second, self.milli)?;
        Some((time, self.offset_seconds))
    }
}

fn read_number(text: &str, digits_max: usize) -> Option<(u64, &str)> {
    let digits = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

/// A full name or its first three letters, in any case.
fn read_name<'a>(names: &[&str], text: &'a str) -> Option<(u32, &'a str)> {
    let matching = |length: fn(&str) -> usize| {
        names.iter().enumerate().find_map(|(index, name)| {
            let (start, rest) = text.split_at_checked(length(name))?;
            let fits = start.eq_ignore_ascii_case(&name[..length(name)]);
            fits.then_some((u32::try_from(index).ok()?, rest))
        })
    };
    matching(str::len).or_else(|| matching(|_| 3))
}

fn read_offset(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = read_number(&text[1..], 2)?;
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = read_number(after_colon, 2).unwrap_or((0, rest));
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some((sign * i32::try_from(hours * 3600 + minutes * 60).ok()?, rest))
}
