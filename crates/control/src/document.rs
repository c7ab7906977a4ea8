//! Reading what people write: YAML or JSON into wire types, with every mistake placed by line and column.
//!
//! Wire types deny unknown fields; the name that serde reports is turned into "did you mean" here, once for all kinds.

use crate::error::{ControlError, nearest};
use serde::de::DeserializeOwned;

/// A document larger than this is not something a person wrote.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Reads one document. JSON is read as JSON (a tab is fine there), everything else as YAML.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ControlError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(ControlError::too_large(
            "document_too_large",
            format!("the document has {} bytes, the limit is {DOCUMENT_BYTES_MAX}", text.len()),
        ));
    }
    if text.trim_start().starts_with('{') {
        return parse_json(text);
    }
    serde_yaml_ng::from_str(text).map_err(|error| {
        let place = error.location().map(|location| (location.line(), location.column()));
        explain(strip_place(&error.to_string()), place)
    })
}

/// Reads JSON of any size; the caller has a limit of its own.
pub fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, ControlError> {
    serde_json::from_str(text).map_err(|error| {
        let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
        explain(strip_place(&error.to_string()), place)
    })
}

/// Reads a value that is already JSON; it has no lines to point at.
pub fn from_json<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ControlError> {
    serde_json::from_value(value).map_err(|error| explain(strip_place(&error.to_string()), None))
}

/// The documents of one YAML text, apart by `---` lines; empty ones are left out. Each keeps its line numbers, because
/// what comes before it is kept as blank lines.
pub fn split(text: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push(std::mem::replace(&mut current, "\n".repeat(number + 1)));
        } else {
            current.push_str(line);
            current.push('\n');
        }
    }
    documents.push(current);
    documents
        .retain(|document| document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')));
    documents
}

/// serde appends "at line L column C" to its messages; the place is carried apart.
fn strip_place(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(end) => &message[..end],
        None => message,
    }
}

fn explain(message: &str, place: Option<(usize, usize)>) -> ControlError {
    let (path, problem) = split_path(message);
    let error = match unknown_field(problem) {
        Some((key, known)) => {
            let place_in = if path.is_empty() { "the document".to_owned() } else { format!("`{path}`") };
            let detail = match place {
                Some((line, column)) => format!("line {line}, column {column}: unknown key `{key}` in {place_in}"),
                None => format!("unknown key `{key}` in {place_in}"),
            };
            let hint = match nearest(&key, known.iter().map(String::as_str)) {
                Some(name) => format!("did you mean `{name}`? The keys here are: {}", known.join(", ")),
                None => format!("the keys here are: {}", known.join(", ")),
            };
            ControlError::invalid("unknown_key", detail).with_hint(hint)
        }
        None => {
            let at_path = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
            let detail = match place {
                Some((line, column)) => format!("line {line}, column {column}: {at_path}{problem}"),
                None => format!("{at_path}{problem}"),
            };
            ControlError::invalid("document_invalid", detail)
        }
    };
    match place {
        Some((line, column)) => error.at(line, column),
        None => error,
    }
}

/// serde_yaml puts the path first: `spec.streams[0]: unknown field ...`.
fn split_path(message: &str) -> (&str, &str) {
    match message.split_once(": ") {
        Some((path, rest))
            if !path.is_empty()
                && path.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '[' | ']' | '_' | '-')) =>
        {
            (path, rest)
        }
        _ => ("", message),
    }
}

/// Takes apart serde's "unknown field `a`, expected one of `b`, `c`" (or "expected `b` or `c`", "expected `b`").
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((key.to_owned(), known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        delay: Option<String>,
        interval: Option<String>,
        idle: Option<String>,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_its_neighbour() {
        let error = parse::<Outer>("name: x\ninner:\n  delya: 5s\n").unwrap_err();
        assert_eq!(error.code, "unknown_key");
        assert_eq!(error.detail, "line 3, column 3: unknown key `delya` in `inner`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `delay`? The keys here are: delay, interval, idle"));

        let error = parse::<Outer>("{\"name\": \"x\",\n \"inner\": {\"dealy\": 1}}").unwrap_err();
        assert_eq!(error.position.map(|place| place.line), Some(2));
        assert!(error.hint.unwrap_or_default().starts_with("did you mean `delay`?"));
    }

    #[test]
    fn broken_text_has_a_place() {
        let error = parse::<Outer>("name: [x\n").unwrap_err();
        assert!(error.position.is_some(), "{error}");
        let error = parse::<Outer>("name: x\nname: y\n").unwrap_err();
        assert!(error.detail.contains("duplicate"), "{error}");
        let error = parse::<Outer>("name: [1, 2]\n").unwrap_err();
        assert!(error.detail.contains("line 1"), "{error}");
    }

    #[test]
    fn documents_keep_their_lines() {
        let documents = split("a: 1\n---\n# nothing\n---\nb: 2\n");
        assert_eq!(documents.len(), 2);
        assert!(documents[1].starts_with("\n\n\n\nb: 2"));
    }
}
