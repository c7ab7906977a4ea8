//! Templates of nothing but texts and fields, which most are, written straight from the columns.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::filters::percent_encode;
use super::value::{cell, quoted, write_json, write_text};
use crate::path::FieldPath;

#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Field { path: FieldPath, written: Written },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Written {
    AsIs,
    UrlEncoded,
    Json,
}

/// Names that mean something else in a template than a field.
const RESERVED: &[&str] = &["true", "false", "none", "True", "False", "None", "not", "loop", "self", "super"];

/// `None` for whatever is more than that: minijinja does it then.
pub(super) fn parts(text: &str, columns: &Schema) -> Option<Vec<Part>> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        push_text(&rest[..start], &mut parts);
        let inner = &rest[start + 2..];
        let end = inner.find("}}")?;
        parts.push(field(&inner[..end], columns)?);
        rest = &inner[end + 2..];
    }
    push_text(rest, &mut parts);
    Some(parts)
}

fn push_text(text: &str, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn field(tag: &str, columns: &Schema) -> Option<Part> {
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let (path, filter) = match tag.split_once('|') {
        None => (tag.trim(), None),
        Some((path, filter)) => (path.trim(), Some(filter.trim())),
    };
    let written = match filter {
        None => Written::AsIs,
        Some("urlencode") => Written::UrlEncoded,
        Some("json" | "tojson") => Written::Json,
        Some(_) => return None,
    };
    let mut names = path.split('.');
    let first = names.next().filter(|name| is_name(name) && !RESERVED.contains(name))?;
    let mut path = FieldPath::column(columns.field_with_name(first).ok()?);
    for name in names {
        path = path.child(name).ok().filter(|_| is_name(name))?;
    }
    Some(Part::Field { path, written })
}

impl Part {
    pub(super) fn bind<'a>(&'a self, batch: &RecordBatch) -> Result<BoundPart<'a>, ArrowError> {
        Ok(match self {
            Part::Text(text) => BoundPart::Text(text),
            Part::Field { path, written } => BoundPart::Field { path, written: *written, values: path.values(batch)? },
        })
    }
}

pub(super) enum BoundPart<'a> {
    Text(&'a str),
    Field { path: &'a FieldPath, written: Written, values: ArrayRef },
}

impl BoundPart<'_> {
    pub(super) fn write(&self, row: usize, out: &mut String) -> Result<(), String> {
        let (path, written, values) = match self {
            BoundPart::Text(text) => {
                out.push_str(text);
                return Ok(());
            }
            BoundPart::Field { path, written, values } => (path, *written, values),
        };
        if row >= values.len() || values.is_null(row) {
            return match written {
                Written::Json => {
                    out.push_str("null");
                    Ok(())
                }
                _ => Err(format!("`{0}` is NULL; write `{{{{ {0} | default(\"...\") }}}}`", path.text())),
            };
        }
        if let Some(text) = text_at(values, row) {
            match written {
                Written::AsIs => out.push_str(text),
                Written::UrlEncoded => percent_encode(text, out),
                Written::Json => quoted(text, out),
            }
            return Ok(());
        }
        if let Some(number) = integer_at(values, row) {
            out.push_str(itoa::Buffer::new().format(number));
            return Ok(());
        }
        let value = cell(values, row);
        match written {
            Written::AsIs => write_text(&value, out).map(|_| ()),
            Written::Json => write_json(&value, 0, out, false),
            Written::UrlEncoded => {
                let mut text = String::new();
                write_text(&value, &mut text)?;
                percent_encode(&text, out);
                Ok(())
            }
        }
    }
}

fn text_at(values: &ArrayRef, row: usize) -> Option<&str> {
    match values.data_type() {
        DataType::Utf8View => Some(values.as_string_view().value(row)),
        DataType::Utf8 => Some(values.as_string::<i32>().value(row)),
        DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            let dictionary = values.as_dictionary::<Int32Type>();
            let names = dictionary.values().as_string::<i32>();
            let key = usize::try_from(dictionary.keys().value(row)).ok().filter(|key| *key < names.len())?;
            (!names.is_null(key)).then(|| names.value(key))
        }
        _ => None,
    }
}

fn integer_at(values: &ArrayRef, row: usize) -> Option<i64> {
    match values.data_type() {
        DataType::Int64 => Some(values.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => Some(values.as_primitive::<Int32Type>().value(row).into()),
        _ => None,
    }
}
