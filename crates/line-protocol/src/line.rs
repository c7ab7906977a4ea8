//! One line, taken apart; and where a line ends.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The most that InfluxDB takes of measurement and tags together.
pub(crate) const KEY_BYTES_MAX: usize = 65_535;

/// A line's parts as they are written, escapes included.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Line<'a> {
    pub measurement: &'a [u8],
    pub tags: Vec<(&'a [u8], &'a [u8])>,
    pub fields: Vec<(&'a [u8], Value<'a>)>,
    /// Nanoseconds since 1970, if the line says a time.
    pub time: Option<i64>,
}

impl Line<'_> {
    pub fn clear(&mut self) {
        self.measurement = &[];
        self.tags.clear();
        self.fields.clear();
        self.time = None;
    }

    /// Whether two tags have the same key.
    pub fn has_duplicate_tags(&self) -> bool {
        if self.tags.is_sorted_by(|left, right| left.0 < right.0) {
            return false;
        }
        let mut keys: Vec<&[u8]> = self.tags.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Float(f64),
    Integer(i64),
    Boolean(bool),
    /// What is between the quotes, escapes included.
    Text(&'a [u8]),
}

/// Why a line is none, in InfluxDB's words.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    pub reason: Cow<'static, str>,
    /// Bytes from the line's beginning.
    pub at: usize,
}

impl Malformed {
    pub fn new(at: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), at }
    }
}

/// Where the line that begins at `start` ends: at the newline behind it, or at the end of the body. A newline inside of a
/// text field does not end it.
pub(crate) fn line_end(body: &[u8], start: usize) -> usize {
    let rest = &body[start..];
    let end = memchr(b'\n', rest).unwrap_or(rest.len());
    match memchr2(b'"', b'\\', &rest[..end]) {
        None => start + end,
        Some(_) => line_end_with_quotes(body, start),
    }
}

/// `scanLine` of InfluxDB.
fn line_end_with_quotes(body: &[u8], start: usize) -> usize {
    let (mut quoted, mut in_fields, mut equals, mut commas) = (false, false, 0_usize, 0_usize);
    let mut i = start;
    while let Some(&byte) = body.get(i) {
        if byte == b'\\' && i + 2 < body.len() {
            i += 2;
            continue;
        }
        in_fields |= byte == b' ';
        match byte {
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            b'\n' if !quoted => break,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Blanks as InfluxDB sees them.
pub(crate) fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let blanks = bytes[start.min(bytes.len())..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0));
    start + blanks.count()
}
