//! Numbers and booleans: where they end, whether they are right, what they are. After `scanNumber` and `scanBoolean` of
//! InfluxDB.

use crate::line::{Malformed, Value};

/// From so many signs on an integer may be out of range, and a float is looked at.
const INTEGER_SIGNS_SAFE: usize = 19;
const FLOAT_SIGNS_SAFE: usize = 25;

pub(crate) fn begins_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

/// The end of the number that begins at `start`.
pub(crate) fn scan_number(line: &[u8], start: usize) -> Result<usize, Malformed> {
    let invalid = |at: usize| Malformed::new(at, "invalid number");
    let mut i = start;
    if line.get(i) == Some(&b'-') {
        i += 1;
        if i == line.len() {
            return Err(invalid(i));
        }
    }
    let (mut is_integer, mut is_unsigned, mut decimal, mut scientific) = (false, false, false, false);
    while let Some(&byte) = line.get(i) {
        match byte {
            b',' | b' ' => break,
            b'i' if i > start && !(is_integer || is_unsigned) => is_integer = true,
            b'u' if i > start && !(is_integer || is_unsigned) => is_unsigned = true,
            b'.' if decimal => return Err(invalid(i)),
            b'.' => decimal = true,
            b'e' | b'E' if i > start => scientific = true,
            b'+' | b'-' if i > 0 && matches!(line[i - 1], b'e' | b'E') => {}
            byte if !byte.is_ascii_digit() => return Err(invalid(i)),
            _ => {}
        }
        i += 1;
    }
    let written = &line[start..i];
    let signs = usize::from(is_integer) + usize::from(decimal) + usize::from(written.first() == Some(&b'-'));
    if ((is_integer || is_unsigned) && (decimal || scientific)) || written.len() <= signs || is_unsigned {
        return Err(invalid(start));
    }
    if is_integer {
        let Some(digits) = written.strip_suffix(b"i") else { return Err(invalid(start)) };
        if digits.len() >= INTEGER_SIGNS_SAFE && parse_integer(digits).is_none() {
            let digits = String::from_utf8_lossy(digits);
            let reason =
                format!("unable to parse integer {digits}: strconv.ParseInt: parsing \"{digits}\": value out of range");
            return Err(Malformed::new(start, reason));
        }
    } else if (scientific || written.len() >= FLOAT_SIGNS_SAFE) && parse_float(written).is_none() {
        return Err(Malformed::new(start, "invalid float"));
    }
    Ok(i)
}

/// The end of the boolean that begins at `start`.
pub(crate) fn scan_boolean(line: &[u8], start: usize) -> Result<usize, Malformed> {
    let length = line[start..].iter().take_while(|byte| !matches!(byte, b',' | b' ')).count();
    match parse_boolean(&line[start..start + length]) {
        Some(_) => Ok(start + length),
        None => Err(Malformed::new(start, "invalid boolean")),
    }
}

/// A field's value as it is written; `None` if it is none.
pub(crate) fn parse_value(written: &[u8]) -> Option<Value<'_>> {
    match written {
        [b'"', text @ .., b'"'] => Some(Value::Text(text)),
        [b'0'..=b'9' | b'-' | b'.', ..] => match written.strip_suffix(b"i") {
            Some(digits) => parse_integer(digits).map(Value::Integer),
            None => parse_float(written).map(Value::Float),
        },
        _ => parse_boolean(written).map(Value::Boolean),
    }
}

pub(crate) fn parse_boolean(written: &[u8]) -> Option<bool> {
    match written {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

pub(crate) fn parse_integer(written: &[u8]) -> Option<i64> {
    std::str::from_utf8(written).ok()?.parse().ok()
}

/// A finite number.
pub(crate) fn parse_float(written: &[u8]) -> Option<f64> {
    std::str::from_utf8(written).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}
