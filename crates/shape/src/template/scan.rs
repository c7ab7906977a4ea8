//! The filters that a template names: minijinja looks for them only when a row comes to them.

use minijinja::Environment;

use super::error;
use crate::ShapeError;
use crate::path::nearest;

/// For the nearest name; whether one exists is asked of minijinja.
const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "base64",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "e",
    "epoch_millis",
    "epoch_seconds",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "json",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sha256",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

pub(super) fn check_filters(text: &str, environment: &Environment<'_>) -> Result<(), ShapeError> {
    for name in filters(text) {
        let known = environment.render_named_str("filter", "{{ name is filter }}", minijinja::context! { name });
        if known.is_ok_and(|known| known == "true") {
            continue;
        }
        let hint = match nearest(name, FILTERS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", FILTERS.join(", ")),
        };
        return Err(error(format!("there is no filter `{name}`"), hint));
    }
    Ok(())
}

/// The names behind `|` inside of tags, outside of strings. The text is known to be a template.
fn filters(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        rest = &rest[start + 1..];
        let end = match rest.as_bytes().first() {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                rest = rest.find("#}").map_or("", |at| &rest[at + 2..]);
                continue;
            }
            _ => continue,
        };
        let raw = end == "%}" && rest[1..].trim_start_matches(['-', '+']).trim_start().starts_with("raw");
        rest = tag(&rest[1..], end, &mut names);
        if raw {
            rest = rest.find("endraw").map_or("", |at| &rest[at..]);
        }
    }
    names
}

/// Reads to the end of a tag; what is behind it.
fn tag<'a>(text: &'a str, end: &str, names: &mut Vec<&'a str>) -> &'a str {
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at += 1;
                while let Some(inner) = bytes.get(at) {
                    match inner {
                        b'\\' => at += 1,
                        _ if inner == byte => break,
                        _ => {}
                    }
                    at += 1;
                }
            }
            b'|' => {
                let name = text[at + 1..].trim_start();
                let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                if length > 0 {
                    names.push(&name[..length]);
                }
            }
            _ if bytes[at..].starts_with(end.as_bytes()) => return text.get(at + end.len()..).unwrap_or_default(),
            _ => {}
        }
        at += 1;
    }
    ""
}
