//! What stands for what in a line.
//!
//! A backslash escapes only the characters that are special in its place. It cannot escape itself outside of strings, so a
//! name that ends with one would swallow what follows.

use std::fmt;

/// Why a text cannot stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsayable {
    Empty,
    LineFeed,
    BackslashAtEnd,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty",
            Self::LineFeed => "has a line feed in it, which the line protocol cannot say",
            Self::BackslashAtEnd => "ends with a backslash, which the line protocol cannot say",
        })
    }
}

/// Escapes `,` and space.
pub(super) fn put_measurement(line: &mut Vec<u8>, name: &str) -> Result<(), Unsayable> {
    put(line, name, |byte| matches!(byte, b',' | b' '))
}

/// The name of a tag or a field, or the value of a tag: escapes `,`, `=` and space.
pub(super) fn put_name(line: &mut Vec<u8>, name: &str) -> Result<(), Unsayable> {
    put(line, name, |byte| matches!(byte, b',' | b'=' | b' '))
}

fn put(line: &mut Vec<u8>, text: &str, is_special: impl Fn(u8) -> bool) -> Result<(), Unsayable> {
    let bytes = text.as_bytes();
    match bytes.last() {
        None => return Err(Unsayable::Empty),
        Some(b'\\') => return Err(Unsayable::BackslashAtEnd),
        Some(_) => {}
    }
    if bytes.contains(&b'\n') {
        return Err(Unsayable::LineFeed);
    }
    if !bytes.iter().any(|byte| is_special(*byte)) {
        line.extend_from_slice(bytes);
        return Ok(());
    }
    for byte in bytes {
        if is_special(*byte) {
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
