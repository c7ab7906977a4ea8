//! A JSON Schema document as rules.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::number::Number;
use super::{JsonSchema, Kind, Rules};
use crate::limits::JSON_SCHEMA_BYTES_MAX;
use crate::path::{Unknown, nearest};

/// Schemas inside each other, and in a document.
const DEPTH_MAX: usize = 64;
const SCHEMAS_MAX: usize = 10_000;

type Compiled<T> = Result<T, Unknown>;

pub(super) fn compile(document: &Value) -> Compiled<JsonSchema> {
    let bytes = document.to_string().len();
    if bytes > JSON_SCHEMA_BYTES_MAX {
        return wrong("", format!("it has {bytes} bytes; the most is {JSON_SCHEMA_BYTES_MAX}"), "shorten it");
    }
    let mut compiler = Compiler { document, rules: Vec::new(), by_pointer: HashMap::new() };
    compiler.schema(document, "", 0)?;
    Ok(JsonSchema { rules: compiler.rules })
}

struct Compiler<'a> {
    document: &'a Value,
    rules: Vec<Rules>,
    by_pointer: HashMap<String, usize>,
}

fn wrong<T>(pointer: &str, detail: impl Into<String>, hint: impl Into<String>) -> Compiled<T> {
    let detail = detail.into();
    let detail = if pointer.is_empty() { detail } else { format!("at `#{pointer}`: {detail}") };
    Err(Unknown { detail, hint: hint.into() })
}

/// What says something to people only.
const REMARKS: &[&str] = &[
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "id",
];
/// What is only referred to.
const DEFINITIONS: &[&str] = &["$defs", "definitions"];
const KEYWORDS: &[&str] = &[
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "minContains",
    "maxContains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$ref",
];

impl<'a> Compiler<'a> {
    fn schema(&mut self, schema: &Value, pointer: &str, depth: usize) -> Compiled<usize> {
        if let Some(known) = self.by_pointer.get(pointer) {
            return Ok(*known);
        }
        if depth > DEPTH_MAX || self.rules.len() >= SCHEMAS_MAX {
            return wrong(
                pointer,
                "schemas are too many or too deep inside each other",
                "write it flatter, with `$ref`",
            );
        }
        let index = self.rules.len();
        self.rules.push(Rules::default());
        self.by_pointer.insert(pointer.to_owned(), index);
        let rules = match schema {
            Value::Bool(always) => Rules { never: !always, ..Rules::default() },
            Value::Object(keywords) => self.keywords(keywords, pointer, depth + 1)?,
            _ => return wrong(pointer, "a schema is an object, true or false", "write `{\"type\": \"object\", ...}`"),
        };
        if let Some(place) = self.rules.get_mut(index) {
            *place = rules;
        }
        Ok(index)
    }

    fn keywords(&mut self, keywords: &Map<String, Value>, pointer: &str, depth: usize) -> Compiled<Rules> {
        let mut rules = Rules::default();
        for (name, value) in keywords {
            let at = format!("{pointer}/{}", escaped(name));
            self.keyword(&mut rules, keywords, name, value, &at, depth)?;
        }
        Ok(rules)
    }

    fn keyword(
        &mut self,
        rules: &mut Rules,
        keywords: &Map<String, Value>,
        name: &str,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Compiled<()> {
        match name {
            "type" => rules.types = Some(kinds(value, at)?),
            "enum" => rules.one_of_values = Some(array(value, at)?.clone()),
            "const" => rules.constant = Some(value.clone()),
            // In draft 4 the exclusive ones are true or false, and make the other one exclusive.
            "minimum" if keywords.get("exclusiveMinimum") == Some(&Value::Bool(true)) => {
                rules.above = Some(number(value, at)?);
            }
            "maximum" if keywords.get("exclusiveMaximum") == Some(&Value::Bool(true)) => {
                rules.below = Some(number(value, at)?);
            }
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {}
            "minimum" => rules.minimum = Some(number(value, at)?),
            "maximum" => rules.maximum = Some(number(value, at)?),
            "exclusiveMinimum" => rules.above = Some(number(value, at)?),
            "exclusiveMaximum" => rules.below = Some(number(value, at)?),
            "multipleOf" => {
                let divisor = number(value, at)?;
                if !divisor.is_positive() {
                    return wrong(at, "a divisor is more than zero", "write a number such as 0.01");
                }
                rules.multiple_of = Some(divisor);
            }
            "minLength" => rules.length_min = Some(count(value, at)?),
            "maxLength" => rules.length_max = Some(count(value, at)?),
            "pattern" => rules.pattern = Some(pattern(text(value, at)?, at)?),
            "prefixItems" => rules.first_items = self.list(value, at, depth)?,
            "items" if value.is_array() => rules.first_items = self.list(value, at, depth)?,
            "items" => rules.other_items = Some(self.schema(value, at, depth)?),
            "additionalItems" if keywords.get("items").is_some_and(Value::is_array) => {
                rules.other_items = Some(self.schema(value, at, depth)?);
            }
            "additionalItems" => {}
            "contains" => rules.contains = Some(self.schema(value, at, depth)?),
            "minContains" => rules.contains_min = Some(count(value, at)?),
            "maxContains" => rules.contains_max = Some(count(value, at)?),
            "minItems" => rules.items_min = Some(count(value, at)?),
            "maxItems" => rules.items_max = Some(count(value, at)?),
            "uniqueItems" => rules.is_unique = value.as_bool() == Some(true),
            "properties" => rules.properties = self.named(value, at, depth)?,
            "patternProperties" => {
                for (expression, schema) in self.named(value, at, depth)? {
                    rules.patterns.push((pattern(&expression, at)?, schema));
                }
            }
            "additionalProperties" => rules.other_properties = Some(self.schema(value, at, depth)?),
            "propertyNames" => rules.names = Some(self.schema(value, at, depth)?),
            // In draft 3 it was true or false.
            "required" if value.is_boolean() => {
                return wrong(at, "`required` is a list of names", "write it beside `properties`: `[\"id\"]`");
            }
            "required" => rules.required = names(value, at)?,
            "dependentRequired" => {
                for (name, others) in object(value, at)? {
                    rules.required_with.push((name.clone(), names(others, at)?));
                }
            }
            "dependentSchemas" => rules.schema_with.extend(self.named(value, at, depth)?),
            "dependencies" => {
                for (name, dependency) in object(value, at)? {
                    if dependency.is_array() {
                        rules.required_with.push((name.clone(), names(dependency, at)?));
                    } else {
                        let at = format!("{at}/{}", escaped(name));
                        rules.schema_with.push((name.clone(), self.schema(dependency, &at, depth)?));
                    }
                }
            }
            "minProperties" => rules.properties_min = Some(count(value, at)?),
            "maxProperties" => rules.properties_max = Some(count(value, at)?),
            "allOf" => rules.all_of = self.list(value, at, depth)?,
            "anyOf" => rules.any_of = Some(self.list(value, at, depth)?),
            "oneOf" => rules.exactly_one_of = Some(self.list(value, at, depth)?),
            "not" => rules.not = Some(self.schema(value, at, depth)?),
            "if" => rules.condition = Some(self.schema(value, at, depth)?),
            "then" => rules.then = Some(self.schema(value, at, depth)?),
            "else" => rules.otherwise = Some(self.schema(value, at, depth)?),
            "$ref" => rules.reference = Some(self.reference(text(value, at)?, at, depth)?),
            // References inside of it would begin at it.
            "$id" if at != "/$id" => {
                return wrong(
                    at,
                    "`$id` is known for the whole schema only",
                    "leave it out, and refer to `#/$defs/name`",
                );
            }
            "$schema" | "$id" | "$comment" => {}
            name if DEFINITIONS.contains(&name) || REMARKS.contains(&name) || name.starts_with("x-") => {}
            name => {
                let hint = match nearest(name, KEYWORDS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", KEYWORDS.join(", ")),
                };
                return wrong(at, format!("the keyword `{name}` is not known"), hint);
            }
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, at: &str, depth: usize) -> Compiled<Vec<usize>> {
        let schemas = array(value, at)?;
        schemas.iter().enumerate().map(|(index, schema)| self.schema(schema, &format!("{at}/{index}"), depth)).collect()
    }

    fn named(&mut self, value: &Value, at: &str, depth: usize) -> Compiled<Vec<(String, usize)>> {
        object(value, at)?
            .iter()
            .map(|(name, schema)| Ok((name.clone(), self.schema(schema, &format!("{at}/{}", escaped(name)), depth)?)))
            .collect()
    }

    fn reference(&mut self, reference: &str, at: &str, depth: usize) -> Compiled<usize> {
        let Some(pointer) = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return wrong(
                at,
                format!("`{reference}` is outside of this document"),
                "write what it refers to under `$defs`, and refer to it as `#/$defs/name`",
            );
        };
        let pointer = percent_decoded(pointer);
        match self.document.pointer(&pointer) {
            Some(schema) => self.schema(schema, &pointer, depth),
            None => wrong(at, format!("there is nothing at `{reference}`"), "refer to it as `#/$defs/name`"),
        }
    }
}

/// RFC 6901, section 6: a pointer in a fragment is percent-encoded.
fn percent_decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn kinds(value: &Value, at: &str) -> Compiled<Vec<Kind>> {
    let one = |value: &Value| {
        Ok(match value.as_str() {
            Some("null") => Kind::Null,
            Some("boolean") => Kind::Boolean,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("string") => Kind::String,
            Some("array") => Kind::Array,
            Some("object") => Kind::Object,
            _ => {
                let known = "there are null, boolean, integer, number, string, array and object";
                return wrong(at, format!("`{value}` is no type"), known);
            }
        })
    };
    match value {
        Value::Array(several) => several.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn array<'v>(value: &'v Value, at: &str) -> Compiled<&'v Vec<Value>> {
    value.as_array().map_or_else(|| wrong(at, "it is no list", "write `[...]`"), Ok)
}

fn object<'v>(value: &'v Value, at: &str) -> Compiled<&'v Map<String, Value>> {
    value.as_object().map_or_else(|| wrong(at, "it is no object", "write `{\"name\": ...}`"), Ok)
}

fn text<'v>(value: &'v Value, at: &str) -> Compiled<&'v str> {
    value.as_str().map_or_else(|| wrong(at, "it is no text", "write it in quotes"), Ok)
}

fn number(value: &Value, at: &str) -> Compiled<Number> {
    value
        .as_number()
        .map_or_else(|| wrong(at, "it is no number", "write it without quotes"), |found| Ok(Number::of(found)))
}

fn count(value: &Value, at: &str) -> Compiled<usize> {
    let found = value
        .as_u64()
        .or_else(|| value.as_f64().filter(|real| *real >= 0.0 && real.fract() == 0.0).map(|real| real as u64));
    match found.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Ok(count),
        None => wrong(at, "it is no count", "write a whole number from 0"),
    }
}

fn names(value: &Value, at: &str) -> Compiled<Vec<String>> {
    array(value, at)?.iter().map(|name| Ok(text(name, at)?.to_owned())).collect()
}

fn pattern(text: &str, at: &str) -> Compiled<Regex> {
    Regex::new(text).or_else(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        wrong(at, format!("`{text}` is no pattern: {last}"), "patterns have no look-around and no back-references")
    })
}
