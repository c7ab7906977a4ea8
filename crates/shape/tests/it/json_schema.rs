use serde_json::{Value, json};
use shape::{JsonSchema, Shape, ShapeError, ShapeSpec};

use crate::booking;

fn compile(schema: Value) -> Result<Shape, ShapeError> {
    let spec = ShapeSpec { json_schema: Some(schema), ..ShapeSpec::default() };
    Shape::compile(&spec, booking::batch().schema_ref())
}

/// The rows that match; the others are filtered, and none fails.
#[track_caller]
fn kept(schema: Value) -> Vec<usize> {
    let shaped = compile(schema.clone()).unwrap().apply(&booking::batch()).unwrap();
    assert!(shaped.failed.is_empty(), "{schema}: {:?}", shaped.failed);
    let mut all = [shaped.input_rows.clone(), shaped.filtered].concat();
    all.sort();
    assert_eq!(all, [0, 1, 2]);
    shaped.input_rows
}

fn property(name: &str, schema: Value) -> Value {
    json!({"properties": {name: schema}})
}

#[test]
fn rows_that_do_not_match_are_filtered() {
    for (schema, expected) in [
        (json!(true), vec![0, 1, 2]),
        (json!(false), vec![]),
        (property("status", json!({"const": "CANCELLED"})), vec![0]),
        (property("status", json!({"enum": ["DONE", "CANCELLED"]})), vec![0, 2]),
        (property("price", json!({"minimum": 9})), vec![0, 2]),
        (property("price", json!({"exclusiveMinimum": 9})), vec![0]),
        (property("price", json!({"minimum": 9, "exclusiveMinimum": true})), vec![0]),
        (property("price", json!({"maximum": 9, "multipleOf": 4.5})), vec![1, 2]),
        (property("ratio", json!({"multipleOf": 0.1})), vec![0, 1, 2]),
        (property("number", json!({"const": u64::MAX})), vec![0]),
        (property("number", json!({"maximum": u64::MAX - 1})), vec![1, 2]),
        (property("count", json!({"type": "integer", "const": 3.0})), vec![0]),
        (property("order_id", json!({"minLength": 3, "pattern": "^o "})), vec![2]),
        (property("order_id", json!({"maxLength": 2})), vec![1]),
        (json!({"required": ["note"]}), vec![0, 2]),
        (json!({"required": ["customer"], "properties": {"customer": {"required": ["email"]}}}), vec![0]),
        (property("note", json!({"type": "string"})), vec![0, 1, 2]),
        (property("tags", json!({"minItems": 1, "items": {"enum": ["new", "vip"]}})), vec![0]),
        (property("tags", json!({"contains": {"const": "old"}})), vec![2]),
        (property("tags", json!({"contains": {"type": "string"}, "minContains": 2})), vec![0]),
        (property("tags", json!({"uniqueItems": true, "maxItems": 1})), vec![1, 2]),
        (property("tags", json!({"prefixItems": [{"const": "old"}]})), vec![1, 2]),
        (property("tags", json!({"items": [{"const": "new"}], "additionalItems": false})), vec![1]),
        (property("items", json!({"items": {"properties": {"count": {"maximum": 2}}}})), vec![0, 1]),
        (property("labels", json!({"additionalProperties": false})), vec![1, 2]),
        (property("labels", json!({"patternProperties": {"^f": {"minimum": 4}}})), vec![1, 2]),
        (property("labels", json!({"propertyNames": {"maxLength": 3}})), vec![1, 2]),
        (property("labels", json!({"minProperties": 1})), vec![0]),
        (json!({"dependentRequired": {"note": ["discount"]}}), vec![0, 1]),
        (json!({"dependentSchemas": {"note": {"required": ["discount"]}}}), vec![0, 1]),
        (json!({"dependencies": {"note": ["discount"]}}), vec![0, 1]),
        (
            json!({"allOf": [property("price", json!({"minimum": 1})), property("count", json!({"maximum": 2}))]}),
            vec![2],
        ),
        (
            json!({"anyOf": [property("price", json!({"maximum": 1})), property("count", json!({"minimum": 3}))]}),
            vec![0, 1],
        ),
        (
            json!({"oneOf": [property("price", json!({"minimum": 9})), property("count", json!({"minimum": 3}))]}),
            vec![2],
        ),
        (json!({"not": property("paid", json!({"const": true}))}), vec![1, 2]),
        (
            json!({"if": {"required": ["note"]}, "then": {"required": ["discount"]}, "else": property("price", json!({"const": 0}))}),
            vec![0, 1],
        ),
        (json!({"$defs": {"dear": {"minimum": 10}}, "properties": {"price": {"$ref": "#/$defs/dear"}}}), vec![0]),
        (
            json!({"definitions": {"a/b": {"type": "string"}}, "properties": {"price": {"not": {"$ref": "#/definitions/a~1b"}}}}),
            vec![0, 1, 2],
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": "x", "type": "object", "x-team": 1}),
            vec![0, 1, 2],
        ),
    ] {
        assert_eq!(kept(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn times_bytes_and_64_bits_are_as_they_are_written_elsewhere() {
    assert_eq!(kept(property("event_timestamp", json!({"const": "2026-01-01T00:00:00.500Z"}))), [0, 1]);
    assert_eq!(kept(property("token", json!({"const": "AP8="}))), [0]);
    assert_eq!(kept(property("amount", json!({"const": i64::MAX}))), [0]);
}

#[test]
fn what_is_wrong_is_said_when_it_is_compiled() {
    for (schema, detail, hint) in [
        (json!(3), "a schema is an object", ""),
        (json!({"requird": ["a"]}), "`requird` is not known", "`required`"),
        (property("a", json!({"minimum": "3"})), "#/properties/a/minimum", "without quotes"),
        (property("a", json!({"type": "text"})), "is no type", "string"),
        (property("a", json!({"pattern": "("})), "no pattern", ""),
        (property("a", json!({"$ref": "https://example.com/a.json"})), "outside of this document", "#/$defs/name"),
        (property("a", json!({"$ref": "other.json#/a"})), "outside of this document", "#/$defs/name"),
        (property("a", json!({"$ref": "#/$defs/missing"})), "nothing at", ""),
        (json!({"unevaluatedProperties": false}), "not known", ""),
        (json!({"multipleOf": 0}), "more than zero", ""),
        (json!({"description": "x".repeat(300_000)}), "262144", "shorten"),
    ] {
        let error = compile(schema.clone()).unwrap_err();
        assert!(
            error.place == "jsonSchema" && error.detail.contains(detail) && error.hint.contains(hint),
            "{schema}: {error:?}"
        );
    }
    let mut deep = json!(true);
    for _ in 0..100 {
        deep = json!({"not": deep});
    }
    assert!(compile(deep).unwrap_err().detail.contains("too deep"));
}

#[test]
fn a_schema_that_never_ends_fails_the_row() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]},
            "b": {"allOf": [{"not": {"$ref": "#/$defs/a"}}, {"not": {"$ref": "#/$defs/a"}}]}}, "$ref": "#/$defs/a"}),
    ] {
        let shaped = compile(schema).unwrap().apply(&booking::batch()).unwrap();
        assert_eq!(shaped.failed.len(), 3);
        assert!(shaped.failed[0].1.contains("too much work"));
    }
}

/// The official tests of draft 2020-12 (<https://github.com/json-schema-org/JSON-Schema-Test-Suite>), those of the
/// keywords that are known. What is refused is refused for what the documentation says.
#[test]
fn the_official_tests_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/json-schema-suite");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (mut passed, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for file in files {
        let groups: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for group in groups {
            let schema = match JsonSchema::compile(&group["schema"]) {
                Ok(schema) => schema,
                Err(error) => {
                    let known = [
                        "outside of this document",
                        "`$id` is known for the whole schema only",
                        "`$anchor` is not known",
                        "`unevaluatedProperties` is not known",
                    ];
                    assert!(known.iter().any(|known| error.detail.contains(known)), "{file:?}: {group}: {error:?}");
                    refused.push(group["description"].to_string());
                    continue;
                }
            };
            for test in group["tests"].as_array().unwrap() {
                match schema.matches(&test["data"]) == Ok(test["valid"] == true) {
                    true => passed += 1,
                    false => wrong.push(format!("{file:?}: {}: {}", group["description"], test["description"])),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(passed > 750 && refused.len() < 25, "{passed} passed, refused: {refused:#?}");
}
