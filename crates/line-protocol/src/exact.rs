//! Any line, step by step as InfluxDB 1.6 does it (`parsePoint` in `models/points.go`), so that it is taken or refused for
//! the same reason. One thing is stricter: of text behind a closing quote (`a="x"y`) InfluxDB loses the last byte; here the
//! line is refused.

use crate::line::{KEY_BYTES_MAX, Line, Malformed, skip_blanks};
use crate::number::{begins_number, parse_value, scan_boolean, scan_number};
use crate::precision::{Precision, TIME_MAX, TIME_MIN};

/// Fills `line`; what is in it after an error is to be thrown away.
pub(crate) fn parse<'a>(bytes: &'a [u8], precision: Precision, line: &mut Line<'a>) -> Result<(), Malformed> {
    line.clear();
    let key_end = scan_key(bytes, line)?;
    if key_end > KEY_BYTES_MAX {
        return Err(key_too_long(key_end));
    }
    let start = skip_blanks(bytes, key_end);
    let end = scan_fields(bytes, start)?;
    check_keys(bytes, start, end, key_end)?;
    line.time = scan_time(bytes, end, precision)?;
    walk_fields(bytes, start, end, line)
}

fn key_too_long(length: usize) -> Malformed {
    Malformed::new(KEY_BYTES_MAX, format!("max key length exceeded: {length} > {KEY_BYTES_MAX}"))
}

/// Measurement and tags; returns where they end. Whatever is behind a backslash is escaped.
fn scan_key<'a>(bytes: &'a [u8], line: &mut Line<'a>) -> Result<usize, Malformed> {
    if matches!(bytes.first(), None | Some(b',')) {
        return Err(Malformed::new(0, "missing measurement"));
    }
    let is_plain = |i: usize, signs: &[u8]| signs.contains(&bytes[i]) && bytes[i - 1] != b'\\';
    let mut i = 1;
    while i < bytes.len() && !is_plain(i, b", ") {
        i += 1;
    }
    line.measurement = &bytes[..i];
    while bytes.get(i) == Some(&b',') {
        let key_start = i + 1;
        if matches!(bytes.get(key_start), None | Some(b' ' | b',' | b'=')) {
            return Err(Malformed::new(key_start, "missing tag key"));
        }
        i = key_start + 1;
        while i < bytes.len() && !is_plain(i, b"= ,") {
            i += 1;
        }
        if bytes.get(i) != Some(&b'=') {
            return Err(Malformed::new(i, "missing tag value"));
        }
        let value_start = i + 1;
        if matches!(bytes.get(value_start), None | Some(b' ' | b',')) {
            return Err(Malformed::new(value_start, "missing tag value"));
        }
        let key = &bytes[key_start..i];
        i = value_start + 1;
        while i < bytes.len() && !is_plain(i, b"= ,") {
            i += 1;
        }
        if bytes.get(i) == Some(&b'=') {
            return Err(Malformed::new(i, "invalid tag format"));
        }
        line.tags.push((key, &bytes[value_start..i]));
    }
    if i == bytes.len() {
        return Err(Malformed::new(i, "missing fields"));
    }
    if line.has_duplicate_tags() {
        return Err(Malformed::new(line.measurement.len() + 1, "duplicate tags"));
    }
    Ok(i)
}

/// Checks the fields; returns where they end.
fn scan_fields(bytes: &[u8], start: usize) -> Result<usize, Malformed> {
    let (mut quoted, mut equals, mut commas) = (false, 0_usize, 0_usize);
    let mut quote = start;
    let mut i = start;
    while let Some(&byte) = bytes.get(i) {
        if byte == b'\\' && i + 1 < bytes.len() {
            i += 2;
            continue;
        }
        match byte {
            b'"' if equals > commas => {
                quoted = !quoted;
                quote = i;
            }
            b'=' if !quoted => {
                equals += 1;
                if matches!(bytes[i - 1], b' ' | b',') && bytes[i - 2] != b'\\' {
                    return Err(Malformed::new(i, "missing field key"));
                }
                match bytes.get(i + 1) {
                    None | Some(b',' | b' ') => return Err(Malformed::new(i + 1, "missing field value")),
                    Some(&next) if begins_number(next) || matches!(next, b'-' | b'N' | b'n') => {
                        i = scan_number(bytes, i + 1)?;
                        continue;
                    }
                    Some(b'"') => {}
                    Some(_) => {
                        i = scan_boolean(bytes, i + 1)?;
                        continue;
                    }
                }
            }
            b',' if !quoted => commas += 1,
            b' ' if !quoted => break,
            _ => {}
        }
        i += 1;
    }
    if quoted {
        return Err(Malformed::new(quote, "unbalanced quotes"));
    }
    if equals == 0 || commas != equals - 1 {
        return Err(Malformed::new(start, "invalid field format"));
    }
    Ok(i)
}

/// The key and the value of the field that begins at `at`, which InfluxDB cuts out in another way than it has scanned them.
fn field(bytes: &[u8], at: usize, end: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let fields = &bytes[at..end];
    let key_end = scan_to_equals(fields);
    let key = &fields[..key_end];
    if key_end + 2 > fields.len() {
        return Err(Malformed::new(at, format!("invalid value: field-key={}", String::from_utf8_lossy(key))));
    }
    Ok((key, field_value(&fields[key_end + 1..])))
}

fn check_keys(bytes: &[u8], start: usize, end: usize, key_bytes: usize) -> Result<(), Malformed> {
    let mut at = start;
    while at < end {
        let (key, value) = field(bytes, at, end)?;
        // 4 is what InfluxDB puts between a series and its field.
        if key_bytes + 4 + key.len() > KEY_BYTES_MAX {
            return Err(key_too_long(key_bytes + 4 + key.len()));
        }
        at += key.len() + 1 + value.len() + 1;
    }
    Ok(())
}

/// Takes checked fields apart.
fn walk_fields<'a>(bytes: &'a [u8], start: usize, end: usize, line: &mut Line<'a>) -> Result<(), Malformed> {
    let mut at = start;
    while at < end {
        let (key, value) = field(bytes, at, end)?;
        if key.is_empty() {
            return Err(Malformed::new(at, "missing field key"));
        }
        let value_at = at + key.len() + 1;
        let Some(parsed) = parse_value(value) else {
            let (place, reason) = match behind_quote(value) {
                Some(place) => (place, "text behind a closing quote"),
                None => (0, "invalid field format"),
            };
            return Err(Malformed::new(value_at + place, reason));
        };
        line.fields.push((key, parsed));
        at = value_at + value.len() + 1;
    }
    Ok(())
}

fn scan_to_equals(fields: &[u8]) -> usize {
    let is_end = |i: &usize| fields[*i] == b'=' && (*i == 0 || fields[*i - 1] != b'\\');
    (0..fields.len()).find(is_end).unwrap_or(fields.len())
}

/// What is before the next comma that is not inside of quotes.
fn field_value(fields: &[u8]) -> &[u8] {
    let mut quoted = false;
    let mut i = 0;
    while let Some(&byte) = fields.get(i) {
        match byte {
            b'\\' if matches!(fields.get(i + 1), Some(b'"' | b'\\')) => i += 1,
            b'"' => quoted = !quoted,
            b',' if !quoted => break,
            _ => {}
        }
        i += 1;
    }
    &fields[..i.min(fields.len())]
}

/// What follows the first closing quote of a quoted value; quotes inside of it are taken as InfluxDB takes them.
fn behind_quote(value: &[u8]) -> Option<usize> {
    let text = value.strip_prefix(b"\"")?;
    let mut i = 0;
    while let Some(&byte) = text.get(i) {
        match byte {
            b'\\' if matches!(text.get(i + 1), Some(b'"' | b'\\')) => i += 1,
            b'"' => return Some(i + 2),
            _ => {}
        }
        i += 1;
    }
    None
}

fn scan_time(bytes: &[u8], fields_end: usize, precision: Precision) -> Result<Option<i64>, Malformed> {
    let start = skip_blanks(bytes, fields_end);
    let mut i = start + usize::from(bytes.get(start) == Some(&b'-'));
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'\n' | b' ' => break,
            b'0'..=b'9' => i += 1,
            _ => return Err(Malformed::new(i, "bad timestamp")),
        }
    }
    if i == start {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes[start..i]);
    let written: i64 = text.parse().map_err(|_| {
        let why = if text == "-" { "invalid syntax" } else { "value out of range" };
        Malformed::new(start, format!("strconv.ParseInt: parsing \"{text}\": {why}"))
    })?;
    let nanos = precision
        .to_nanos(written)
        .ok_or_else(|| Malformed::new(start, format!("time outside range {TIME_MIN} - {TIME_MAX}")))?;
    match bytes[i..].iter().position(|byte| *byte != b' ') {
        None => Ok(Some(nanos)),
        Some(more) => Err(Malformed::new(i + more, "point is invalid")),
    }
}
