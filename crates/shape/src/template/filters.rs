//! What can stand behind `|` in a template, besides minijinja's own.

use std::fmt::Write;

use chrono::{DateTime, FixedOffset};
use chrono_tz::Tz;
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State};
use sha2::{Digest, Sha256};

use super::value::{write_json, write_text};

pub(super) const NULL: &str =
    "a field that is to be written is NULL; write `| default(\"...\")` behind it, or `| json` for null";

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_formatter(write);
    environment.add_filter("json", json);
    environment.add_filter("tojson", json);
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("sha256", sha256);
    environment.add_filter("base64", base64);
    environment.add_filter("date", date);
    environment.add_filter("epoch_seconds", epoch_seconds);
    environment.add_filter("epoch_millis", epoch_millis);
}

fn write(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    // Bytes that are UTF-8 have a text for minijinja, too.
    match value.as_str().filter(|_| value.kind() == ValueKind::String) {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&text_of(value)?)?,
    }
    Ok(())
}

/// As it is written without a filter.
fn text_of(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    match write_text(value, &mut text).map_err(invalid)? {
        Some(()) => Ok(text),
        None => Err(invalid(NULL)),
    }
}

fn json(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    write_json(value, 0, &mut text, false).map_err(invalid)?;
    charge(state, text.len())?;
    Ok(text)
}

fn urlencode(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    percent_encode(&text_of(value)?, &mut out);
    Ok(out)
}

/// All but the unreserved characters of RFC 3986, section 2.3: also `/`, so that a value stays one part of a path.
pub(super) fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// For NULL too, unlike Jinja's.
fn default(value: &Value, other: Rest<Value>) -> Value {
    if value.is_undefined() || value.is_none() {
        other.first().cloned().unwrap_or_else(|| Value::from(""))
    } else {
        value.clone()
    }
}

fn sha256(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let digest = match value.kind() {
        ValueKind::Bytes => {
            let bytes = value.as_bytes().unwrap_or_default();
            charge(state, bytes.len())?;
            Sha256::digest(bytes)
        }
        _ => {
            let text = text_of(value)?;
            charge(state, text.len())?;
            Sha256::digest(text.as_bytes())
        }
    };
    Ok(hex(&digest))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn base64(value: &Value) -> Result<String, Error> {
    use base64::Engine;
    match value.kind() {
        ValueKind::Bytes => text_of(value),
        _ => Ok(base64::engine::general_purpose::STANDARD.encode(text_of(value)?)),
    }
}

/// `| date("%Y-%m-%d", "Asia/Jakarta")`, in UTC without a zone.
fn date(value: &Value, format: &str, zone: Option<&str>) -> Result<String, Error> {
    let time = time(value)?;
    let mut text = String::new();
    let written = match zone {
        None => write!(text, "{}", time.to_utc().format(format)),
        Some(name) => {
            let zone: Tz = name
                .parse()
                .map_err(|_| invalid(format!("there is no time zone `{name}`; write one such as `Asia/Jakarta`")))?;
            write!(text, "{}", time.with_timezone(&zone).format(format))
        }
    };
    written.map_err(|_| invalid(format!("`{format}` is no format of a date; write one such as `%Y-%m-%d`")))?;
    Ok(text)
}

fn epoch_seconds(value: &Value) -> Result<i64, Error> {
    Ok(time(value)?.timestamp())
}

fn epoch_millis(value: &Value) -> Result<i64, Error> {
    Ok(time(value)?.timestamp_millis())
}

fn time(value: &Value) -> Result<DateTime<FixedOffset>, Error> {
    let text = text_of(value)?;
    DateTime::parse_from_rfc3339(&text).map_err(|_| invalid(format!("`{}` is no time", short(&text))))
}

fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes as u64 / 64)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}
