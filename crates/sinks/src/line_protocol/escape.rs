//! What stands for what in a line.
//!
//! A backslash escapes the characters that are special in its place. Whether it escapes itself outside of strings differs:
//! for InfluxDB 1 and 2 it does not, so a name in which one stands before a special character, or at the end, cannot be said.

use std::fmt;

/// What a backslash outside of strings means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backslash {
    /// Itself, unless a special character follows.
    Plain,
    /// It has to be escaped like a special character.
    Special,
}

/// Why a text cannot stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsayable {
    Empty,
    LineFeed,
    Backslash,
    Comment,
    Blank,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty",
            Self::LineFeed => "has a line feed in it, which the line protocol cannot say",
            Self::Backslash => {
                "has a backslash before a comma, a space, a `=`, a quote or its end, which this line protocol cannot say"
            }
            Self::Comment => "begins with `#`, which makes a comment of the line",
            Self::Blank => "begins with a tab or a zero byte, which the line protocol leaves out",
        })
    }
}

/// Escapes `,` and space.
pub(super) fn put_measurement(line: &mut Vec<u8>, name: &str, backslash: Backslash) -> Result<(), Unsayable> {
    if name.starts_with('#') {
        return Err(Unsayable::Comment);
    }
    check_start(name)?;
    check_quotes(name, backslash)?;
    put(line, name, backslash, |byte| matches!(byte, b',' | b' '))
}

/// Escapes `,`, `=` and space.
pub(super) fn put_tag_name(line: &mut Vec<u8>, name: &str, backslash: Backslash) -> Result<(), Unsayable> {
    check_quotes(name, backslash)?;
    put_tag_value(line, name, backslash)
}

/// Escapes the same characters.
pub(super) fn put_field_name(line: &mut Vec<u8>, name: &str, backslash: Backslash) -> Result<(), Unsayable> {
    check_start(name)?;
    put_tag_name(line, name, backslash)
}

/// Escapes the same characters.
pub(super) fn put_tag_value(line: &mut Vec<u8>, value: &str, backslash: Backslash) -> Result<(), Unsayable> {
    put(line, value, backslash, |byte| matches!(byte, b',' | b'=' | b' '))
}

/// What stands where blanks may be. Whether a field is the first of its line is known only when its row is written.
fn check_start(name: &str) -> Result<(), Unsayable> {
    match name.starts_with(['\t', '\0']) {
        true => Err(Unsayable::Blank),
        false => Ok(()),
    }
}

/// InfluxDB 1 reads `\"` in names of measurements and fields as `"`.
fn check_quotes(name: &str, backslash: Backslash) -> Result<(), Unsayable> {
    match backslash == Backslash::Plain && name.contains("\\\"") {
        true => Err(Unsayable::Backslash),
        false => Ok(()),
    }
}

fn put(line: &mut Vec<u8>, text: &str, backslash: Backslash, is_special: impl Fn(u8) -> bool) -> Result<(), Unsayable> {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last() else { return Err(Unsayable::Empty) };
    let (mut is_plain, mut after_backslash) = (true, false);
    for byte in bytes {
        match byte {
            b'\n' => return Err(Unsayable::LineFeed),
            byte if is_special(*byte) || matches!(byte, b'=') => {
                if after_backslash && backslash == Backslash::Plain {
                    return Err(Unsayable::Backslash);
                }
                is_plain = false;
            }
            b'\\' => is_plain &= backslash == Backslash::Plain,
            _ => {}
        }
        after_backslash = *byte == b'\\';
    }
    if *last == b'\\' && backslash == Backslash::Plain {
        return Err(Unsayable::Backslash);
    }
    if is_plain {
        line.extend_from_slice(bytes);
        return Ok(());
    }
    for byte in bytes {
        if is_special(*byte) || *byte == b'\\' && backslash == Backslash::Special {
            line.push(b'\\');
        }
        line.push(*byte);
    }
    Ok(())
}

/// A field's text in quotes. Everything can be said there.
pub(super) fn put_string(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.push(b'"');
}
