//! Texts and bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListBuilder, StringBuilder};
use datafusion::common::Result;
use regex::{Regex, RegexBuilder};

use crate::scalar::{Call, Definition, Evaluation, Kind, LastCompiled, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static TEXT_FUNCTIONS: &[&Definition] = &[&SPLIT, &BYTE_TO_STRING, &REGEXP_EXTRACT, &SPLIT_INDEX, &LOCATE];

/// Memory of one compiled regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

fn compile_regex(call: &Call, text: &str) -> Result<Regex> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
        let allowed = format!("a regular expression without look-around and back-references ({reason})");
        call.refuse("the regular expression", format!("'{text}'"), &allowed)
    })
}

static SPLIT: Definition = Definition {
    doc: FunctionDoc {
        name: "Split",
        kind: FunctionKind::Scalar,
        signature: "Split(text STRING, delimiter STRING) -> ARRAY<STRING>",
        description: "The parts of the text between matches of the delimiter, a regular expression (without look-around and back-references). As Java's split: empty parts at the end are dropped; an empty delimiter means a space. As in Dagger a NULL argument gives an empty array.",
        example: "Split('a,b,c', ',')",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("delimiter", Kind::Text)],
    optional: 0,
    returns: returning::texts,
    evaluation: Evaluation::Columns(|call| {
        let (values, delimiters) = (call.texts(0)?, call.texts(1)?);
        let mut regex = LastCompiled::new();
        let mut lists = ListBuilder::new(StringBuilder::new());
        let mut parts = Vec::new();
        for row in 0..call.rows {
            if let (Some(text), Some(delimiter)) = (values.get(row), delimiters.get(row)) {
                let delimiter = if delimiter.is_empty() { " " } else { delimiter };
                split_as_java(regex.get(delimiter, |text| compile_regex(call, text))?, text, &mut parts);
                parts.drain(..).for_each(|part| lists.values().append_value(part));
            }
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    }),
};

/// `String.split(regex)` of Java 8: no empty part at the start for a match without width, none at the end.
fn split_as_java<'a>(regex: &Regex, text: &'a str, parts: &mut Vec<&'a str>) {
    parts.clear();
    let mut start = 0;
    for found in regex.find_iter(text) {
        if found.end() == 0 || (found.is_empty() && found.start() == text.len()) {
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    parts.push(&text[start..]);
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
}

static BYTE_TO_STRING: Definition = Definition {
    doc: FunctionDoc {
        name: "ByteToString",
        kind: FunctionKind::Scalar,
        signature: "ByteToString(bytes BYTES) -> STRING",
        description: "The bytes read as UTF-8; what is not UTF-8 becomes the replacement character U+FFFD.",
        example: "ByteToString(X'6869')",
    },
    aliases: &[],
    parameters: &[("bytes", Kind::Bytes)],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let bytes = call.bytes(0)?;
        let mut column = StringBuilder::with_capacity(call.rows, bytes.array.value_data().len());
        for row in 0..call.rows {
            column.append_option(bytes.get(row).map(String::from_utf8_lossy));
        }
        Ok(Arc::new(column.finish()))
    }),
};

static REGEXP_EXTRACT: Definition = Definition {
    doc: FunctionDoc {
        name: "REGEXP_EXTRACT",
        kind: FunctionKind::Scalar,
        signature: "REGEXP_EXTRACT(text STRING, regex STRING [, group INT]) -> STRING",
        description: "The first match of the regular expression, or a group of it (0, the default, is all of it). NULL where there is no match or no such group.",
        example: "REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("regex", Kind::Text), ("group", Kind::Integer)],
    optional: 1,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let (values, patterns) = (call.texts(0)?, call.texts(1)?);
        let groups = if call.given() > 2 { Some(call.integers(2)?) } else { None };
        let mut regex = LastCompiled::new();
        texts_by_row(call, |row| {
            let group = groups.as_ref().map_or(Some(0), |groups| groups.get(row));
            let (Some(text), Some(pattern), Some(group)) = (values.get(row), patterns.get(row), group) else {
                return Ok(None);
            };
            let regex = regex.get(pattern, |text| compile_regex(call, text))?;
            let found = usize::try_from(group).ok().and_then(|group| regex.captures(text)?.get(group));
            Ok(found.map(|found| &text[found.range()]))
        })
    }),
};

static SPLIT_INDEX: Definition = Definition {
    doc: FunctionDoc {
        name: "SPLIT_INDEX",
        kind: FunctionKind::Scalar,
        signature: "SPLIT_INDEX(text STRING, delimiter STRING, index INT) -> STRING",
        description: "The part at the index (from 0) of the text split at the delimiter, a plain text. NULL where there is no such part.",
        example: "SPLIT_INDEX('a,b,c', ',', 1)",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("delimiter", Kind::Text), ("index", Kind::Integer)],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let (values, delimiters, indices) = (call.texts(0)?, call.texts(1)?, call.integers(2)?);
        texts_by_row(call, |row| {
            let (Some(text), Some(delimiter), Some(index)) = (values.get(row), delimiters.get(row), indices.get(row))
            else {
                return Ok(None);
            };
            let Ok(index) = usize::try_from(index) else {
                return Ok(None);
            };
            if delimiter.is_empty() {
                return Ok((index == 0).then_some(text));
            }
            Ok(text.split(delimiter).nth(index))
        })
    }),
};

static LOCATE: Definition = Definition {
    doc: FunctionDoc {
        name: "LOCATE",
        kind: FunctionKind::Scalar,
        signature: "LOCATE(part STRING, text STRING [, from INT]) -> BIGINT",
        description: "Position (from 1, in characters) of the first occurrence of the part in the text, at or after the position `from`; 0 where there is none.",
        example: "LOCATE('b', 'abcb', 3)",
    },
    aliases: &[],
    parameters: &[("part", Kind::Text), ("text", Kind::Text), ("from", Kind::Integer)],
    optional: 1,
    returns: returning::bigint,
    evaluation: Evaluation::Columns(|call| {
        let (parts, values) = (call.texts(0)?, call.texts(1)?);
        let starts = if call.given() > 2 { Some(call.integers(2)?) } else { None };
        let positions: Int64Array = (0..call.rows)
            .map(|row| {
                let from = starts.as_ref().map_or(Some(1), |starts| starts.get(row))?;
                Some(locate(parts.get(row)?, values.get(row)?, from))
            })
            .collect();
        Ok(Arc::new(positions))
    }),
};

fn locate(part: &str, text: &str, from: i64) -> i64 {
    let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else {
        return 0;
    };
    let start = match text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skipped) {
        Some(start) => start,
        None => return 0,
    };
    match text[start..].find(part) {
        Some(found) => (skipped + text[start..start + found].chars().count() + 1) as i64,
        None => 0,
    }
}

fn texts_by_row<'a>(call: &Call, mut text: impl FnMut(usize) -> Result<Option<&'a str>>) -> Result<ArrayRef> {
    let mut column = StringBuilder::new();
    for row in 0..call.rows {
        column.append_option(text(row)?);
    }
    Ok(Arc::new(column.finish()))
}
