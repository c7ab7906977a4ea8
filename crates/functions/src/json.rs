//! JSON texts by JSONPath (RFC 9535): `JsonQuery`, `JsonUpdate`, `JsonDelete`, and Flink's `JSON_VALUE` and
//! `JSON_EXISTS` in their plain form.
//!
//! A text that is not JSON is an error, as is a path that is not JSONPath. A path may leave out the `$.`.

mod document;
mod value;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, StringBuilder};
use datafusion::common::Result;
use serde_json::Value;

use self::document::Path;
use crate::scalar::{Call, Definition, Evaluation, Kind, LastCompiled, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static JSON_FUNCTIONS: &[&Definition] =
    &[&JSON_QUERY, &JSON_UPDATE, &JSON_DELETE, &JSON_VALUE, &JSON_EXISTS];

const JSON: (&str, Kind) = ("json", Kind::Text);
const PATH: (&str, Kind) = ("path", Kind::Text);

static JSON_QUERY: Definition = Definition {
    doc: FunctionDoc {
        name: "JsonQuery",
        kind: FunctionKind::Scalar,
        signature: "JsonQuery(json STRING, path STRING) -> STRING",
        description: "What the path points at, as JSON (a text keeps its quotes). A path that can match several places (with *, .., slices, filters) gives a JSON array of all matches. NULL where nothing is there or JSON null is.",
        example: "JsonQuery('{\"a\": {\"b\": [1, 2]}}', '$.a.b')",
    },
    aliases: &["json_query"],
    parameters: &[JSON, PATH],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        each_document(call, |document, path, _| {
            Ok(path.read(&document).filter(|found| !found.is_null()).map(|found| found.to_string()))
        })
    }),
};

static JSON_VALUE: Definition = Definition {
    doc: FunctionDoc {
        name: "JSON_VALUE",
        kind: FunctionKind::Scalar,
        signature: "JSON_VALUE(json STRING, path STRING) -> STRING",
        description: "The text, number or boolean that the path points at, as plain text without quotes. NULL for arrays, objects, JSON null, and where nothing is there.",
        example: "JSON_VALUE('{\"a\": \"x\"}', '$.a')",
    },
    aliases: &[],
    parameters: &[JSON, PATH],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        each_document(call, |document, path, _| {
            Ok(match path.read(&document) {
                Some(Value::String(text)) => Some(text),
                Some(found @ (Value::Number(_) | Value::Bool(_))) => Some(found.to_string()),
                _ => None,
            })
        })
    }),
};

static JSON_EXISTS: Definition = Definition {
    doc: FunctionDoc {
        name: "JSON_EXISTS",
        kind: FunctionKind::Scalar,
        signature: "JSON_EXISTS(json STRING, path STRING) -> BOOLEAN",
        description: "Whether the path points at something, JSON null included.",
        example: "JSON_EXISTS('{\"a\": null}', '$.a')",
    },
    aliases: &[],
    parameters: &[JSON, PATH],
    optional: 0,
    returns: returning::boolean,
    evaluation: Evaluation::Columns(|call| {
        let (documents, paths) = (call.texts(0)?, call.texts(1)?);
        let mut compiled = LastCompiled::new();
        let mut result = BooleanBuilder::with_capacity(call.rows);
        for row in 0..call.rows {
            let (Some(text), Some(path)) = (documents.get(row), paths.get(row)) else {
                result.append_null();
                continue;
            };
            let path = compiled.get(path, |path| Path::compile(call, path))?;
            result.append_value(path.exists(&document::parse(call, text)?));
        }
        Ok(Arc::new(result.finish()))
    }),
};

static JSON_UPDATE: Definition = Definition {
    doc: FunctionDoc {
        name: "JsonUpdate",
        kind: FunctionKind::Scalar,
        signature: "JsonUpdate(json STRING, path STRING, value) -> STRING",
        description: "The JSON with the value at every place that the path points at. The value may have any type; NULL becomes JSON null, a timestamp a text by RFC 3339 in UTC, bytes base64. The last name of a path may be new to its object; a path whose parent does not exist is an error.",
        example: "JsonUpdate('{\"a\": 1}', '$.b', 'x')",
    },
    aliases: &[],
    parameters: &[JSON, PATH, ("value", Kind::Any)],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        let values = call.any(2)?;
        each_document(call, |mut document, path, row| {
            let value = value::to_json(call, &values.array, values.position(row))?;
            path.update(call, &mut document, &value)?;
            Ok(Some(document.to_string()))
        })
    }),
};

static JSON_DELETE: Definition = Definition {
    doc: FunctionDoc {
        name: "JsonDelete",
        kind: FunctionKind::Scalar,
        signature: "JsonDelete(json STRING, path STRING) -> STRING",
        description: "The JSON without what the path points at; unchanged where nothing is there. The path must not be the whole document.",
        example: "JsonDelete('{\"a\": 1, \"b\": 2}', '$.a')",
    },
    aliases: &[],
    parameters: &[JSON, PATH],
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| {
        each_document(call, |mut document, path, _| {
            path.delete(call, &mut document)?;
            Ok(Some(document.to_string()))
        })
    }),
};

/// Parses the document and the path of every row; NULL where one of them is.
fn each_document(
    call: &Call,
    mut apply: impl FnMut(Value, &Path, usize) -> Result<Option<String>>,
) -> Result<ArrayRef> {
    let (documents, paths) = (call.texts(0)?, call.texts(1)?);
    let mut compiled = LastCompiled::new();
    let mut result = StringBuilder::new();
    for row in 0..call.rows {
        let (Some(text), Some(path)) = (documents.get(row), paths.get(row)) else {
            result.append_null();
            continue;
        };
        let path = compiled.get(path, |path| Path::compile(call, path))?;
        result.append_option(apply(document::parse(call, text)?, path, row)?);
    }
    Ok(Arc::new(result.finish()))
}
