//! JSON Schema of rows, from draft 4 to 2020-12, without references to other documents.
//! <https://json-schema.org/draft/2020-12/json-schema-validation>
//!
//! Written here because the crates that do it (`jsonschema`, `boon`) ask for other features of crates beneath DataFusion
//! than the rest of the workspace. What is not known (`unevaluatedProperties`, `$dynamicRef`, `$anchor`) is refused when
//! a schema is compiled. `format` is a remark, as the standard has it.

mod compile;
mod number;

use regex::Regex;
use serde_json::Value;

use crate::ShapeError;
use number::Number;

/// A schema, ready to be asked about values.
#[derive(Debug)]
pub struct JsonSchema {
    /// The schemas of the document; the first is the whole.
    rules: Vec<Rules>,
}

/// What a schema that is `true` or `false` or an object asks for. Indexes are those of other schemas.
#[derive(Debug, Default)]
struct Rules {
    never: bool,
    reference: Option<usize>,
    types: Option<Vec<Kind>>,
    one_of_values: Option<Vec<Value>>,
    constant: Option<Value>,
    minimum: Option<Number>,
    above: Option<Number>,
    maximum: Option<Number>,
    below: Option<Number>,
    multiple_of: Option<Number>,
    length_min: Option<usize>,
    length_max: Option<usize>,
    pattern: Option<Regex>,
    first_items: Vec<usize>,
    other_items: Option<usize>,
    contains: Option<usize>,
    contains_min: Option<usize>,
    contains_max: Option<usize>,
    items_min: Option<usize>,
    items_max: Option<usize>,
    is_unique: bool,
    properties: Vec<(String, usize)>,
    patterns: Vec<(Regex, usize)>,
    other_properties: Option<usize>,
    names: Option<usize>,
    required: Vec<String>,
    required_with: Vec<(String, Vec<String>)>,
    schema_with: Vec<(String, usize)>,
    properties_min: Option<usize>,
    properties_max: Option<usize>,
    all_of: Vec<usize>,
    any_of: Option<Vec<usize>>,
    exactly_one_of: Option<Vec<usize>>,
    not: Option<usize>,
    condition: Option<usize>,
    then: Option<usize>,
    otherwise: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// Of one value against one schema, for one row.
const STEPS_MAX: usize = 200_000;
/// References and values inside each other.
const DEPTH_MAX: usize = 200;

/// The work for a value was too much.
struct TooMuch;

impl JsonSchema {
    /// `place` of the error is `jsonSchema`.
    pub fn compile(document: &Value) -> Result<Self, ShapeError> {
        compile::compile(document).map_err(|unknown| ShapeError::at("jsonSchema", unknown.detail, unknown.hint))
    }

    /// Whether a value matches; `Err` says why that cannot be known.
    pub fn matches(&self, value: &Value) -> Result<bool, String> {
        let found = Check { rules: &self.rules, steps_left: STEPS_MAX }.schema(0, value, 0);
        found.map_err(|TooMuch| "the JSON Schema is too much work for this value".to_owned())
    }
}

struct Check<'a> {
    rules: &'a [Rules],
    steps_left: usize,
}

impl Check<'_> {
    fn schema(&mut self, index: usize, value: &Value, depth: usize) -> Result<bool, TooMuch> {
        if self.steps_left == 0 || depth > DEPTH_MAX {
            return Err(TooMuch);
        }
        self.steps_left -= 1;
        let rules = self.rules;
        let Some(rules) = rules.get(index) else { return Ok(true) };
        let depth = depth + 1;
        let holds = !rules.never
            && rules.types.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind.is_of(value)))
            && rules.one_of_values.as_ref().is_none_or(|values| values.iter().any(|one| is_equal(one, value)))
            && rules.constant.as_ref().is_none_or(|constant| is_equal(constant, value))
            && match value {
                Value::Number(number) => rules.number(&Number::of(number)),
                Value::String(text) => rules.text(text),
                Value::Array(items) => self.array(rules, items, depth)?,
                Value::Object(entries) => self.object(rules, entries, depth)?,
                Value::Null | Value::Bool(_) => true,
            };
        Ok(holds && self.combined(rules, value, depth)?)
    }

    fn combined(&mut self, rules: &Rules, value: &Value, depth: usize) -> Result<bool, TooMuch> {
        for index in rules.reference.iter().chain(&rules.all_of) {
            if !self.schema(*index, value, depth)? {
                return Ok(false);
            }
        }
        if let Some(any_of) = &rules.any_of {
            let mut is_any = false;
            for index in any_of {
                is_any = is_any || self.schema(*index, value, depth)?;
            }
            if !is_any {
                return Ok(false);
            }
        }
        if let Some(exactly_one_of) = &rules.exactly_one_of {
            let mut count = 0;
            for index in exactly_one_of {
                count += usize::from(self.schema(*index, value, depth)?);
            }
            if count != 1 {
                return Ok(false);
            }
        }
        if let Some(not) = rules.not
            && self.schema(not, value, depth)?
        {
            return Ok(false);
        }
        if let Some(condition) = rules.condition {
            let then = if self.schema(condition, value, depth)? { rules.then } else { rules.otherwise };
            if let Some(then) = then {
                return self.schema(then, value, depth);
            }
        }
        Ok(true)
    }

    fn array(&mut self, rules: &Rules, items: &[Value], depth: usize) -> Result<bool, TooMuch> {
        if rules.items_min.is_some_and(|min| items.len() < min) || rules.items_max.is_some_and(|max| items.len() > max)
        {
            return Ok(false);
        }
        for (at, item) in items.iter().enumerate() {
            let Some(schema) = rules.first_items.get(at).copied().or(rules.other_items) else { break };
            if !self.schema(schema, item, depth)? {
                return Ok(false);
            }
        }
        if let Some(contains) = rules.contains {
            let mut count = 0;
            for item in items {
                count += usize::from(self.schema(contains, item, depth)?);
            }
            if count < rules.contains_min.unwrap_or(1) || rules.contains_max.is_some_and(|max| count > max) {
                return Ok(false);
            }
        }
        if rules.is_unique {
            for (at, item) in items.iter().enumerate() {
                self.steps_left = self.steps_left.checked_sub(at).ok_or(TooMuch)?;
                if items.iter().take(at).any(|other| is_equal(other, item)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn object(
        &mut self,
        rules: &Rules,
        entries: &serde_json::Map<String, Value>,
        depth: usize,
    ) -> Result<bool, TooMuch> {
        let has = |name: &String| entries.contains_key(name);
        let holds = rules.properties_min.is_none_or(|min| entries.len() >= min)
            && rules.properties_max.is_none_or(|max| entries.len() <= max)
            && rules.required.iter().all(has)
            && rules.required_with.iter().all(|(name, others)| !has(name) || others.iter().all(has));
        if !holds {
            return Ok(false);
        }
        for (name, schema) in &rules.schema_with {
            if has(name) && !self.schema(*schema, &Value::Object(entries.clone()), depth)? {
                return Ok(false);
            }
        }
        let looks_at_entries = !rules.properties.is_empty()
            || !rules.patterns.is_empty()
            || rules.other_properties.is_some()
            || rules.names.is_some();
        for (name, value) in entries.iter().filter(|_| looks_at_entries) {
            let mut is_known = false;
            if let Some((_, schema)) = rules.properties.iter().find(|(known, _)| known == name) {
                is_known = true;
                if !self.schema(*schema, value, depth)? {
                    return Ok(false);
                }
            }
            for (pattern, schema) in &rules.patterns {
                if pattern.is_match(name) {
                    is_known = true;
                    if !self.schema(*schema, value, depth)? {
                        return Ok(false);
                    }
                }
            }
            if let Some(schema) = rules.other_properties.filter(|_| !is_known)
                && !self.schema(schema, value, depth)?
            {
                return Ok(false);
            }
            if let Some(schema) = rules.names
                && !self.schema(schema, &Value::String(name.clone()), depth)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Rules {
    fn number(&self, number: &Number) -> bool {
        self.minimum.as_ref().is_none_or(|minimum| number >= minimum)
            && self.above.as_ref().is_none_or(|above| number > above)
            && self.maximum.as_ref().is_none_or(|maximum| number <= maximum)
            && self.below.as_ref().is_none_or(|below| number < below)
            && self.multiple_of.as_ref().is_none_or(|divisor| number.is_multiple_of(divisor))
    }

    fn text(&self, text: &str) -> bool {
        if self.length_min.is_some() || self.length_max.is_some() {
            let length = text.chars().count();
            if self.length_min.is_some_and(|min| length < min) || self.length_max.is_some_and(|max| length > max) {
                return false;
            }
        }
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Null, Value::Null)
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::String, Value::String(_))
            | (Kind::Array, Value::Array(_))
            | (Kind::Object, Value::Object(_)) => true,
            (Kind::Integer, Value::Number(number)) => Number::of(number).is_whole(),
            _ => false,
        }
    }
}

/// As JSON Schema has it: `1` is equal to `1.0`.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => Number::of(one) == Number::of(other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_equal(value, other)))
        }
        (one, other) => one == other,
    }
}
