//! JSON documents and the paths into them.

use datafusion::common::Result;
use serde_json::{Map, Value};
use serde_json_path::{JsonPath, NormalizedPath, PathElement};

use crate::scalar::Call;

/// Bytes of a document or a path.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;
const PATH_BYTES_MAX: usize = 4096;

pub(super) fn parse(call: &Call, text: &str) -> Result<Value> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let found = format!("{} bytes long", text.len());
        return Err(call.refuse("json", found, &format!("at most {DOCUMENT_BYTES_MAX} bytes long")));
    }
    serde_json::from_str(text).map_err(|error| call.refuse("json", format!("'{text}'"), &format!("JSON ({error})")))
}

pub(super) struct Path {
    path: JsonPath,
    /// The parent and the last step, when the path ends in a name or an index of one place.
    last: Option<(JsonPath, Step)>,
    /// Whether it can match at most one place.
    definite: bool,
}

/// The last step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index,
}

impl Path {
    pub fn compile(call: &Call, text: &str) -> Result<Self> {
        if text.len() > PATH_BYTES_MAX {
            let found = format!("{} bytes long", text.len());
            return Err(call.refuse("path", found, &format!("at most {PATH_BYTES_MAX} bytes long")));
        }
        let full = match text.chars().next() {
            Some('$') => text.to_owned(),
            Some('[') => format!("${text}"),
            _ => format!("$.{text}"),
        };
        let refuse = |error: serde_json_path::ParseError| {
            call.refuse("path", format!("'{text}'"), &format!("a JSONPath such as $.a.b[0] ({error})"))
        };
        let path = JsonPath::parse(&full).map_err(refuse)?;
        let split = split_last(&full);
        let definite = split.is_some();
        let last = match split {
            Some(Some((parent, step))) => Some((JsonPath::parse(parent).map_err(refuse)?, step)),
            _ => None,
        };
        Ok(Self { path, last, definite })
    }

    /// The value at a definite path; the array of all matches of any other.
    pub fn read(&self, document: &Value) -> Option<Value> {
        let found = self.path.query(document);
        if self.definite { found.first().cloned() } else { Some(Value::Array(found.into_iter().cloned().collect())) }
    }

    pub fn exists(&self, document: &Value) -> bool {
        !self.path.query(document).is_empty()
    }

    pub fn update(&self, call: &Call, document: &mut Value, value: &Value) -> Result<()> {
        let places = self.places(document);
        if places.is_empty() && self.definite {
            return self.insert(call, document, value);
        }
        for place in places {
            if let Some(found) = document.pointer_mut(&place) {
                *found = value.clone();
            }
        }
        Ok(())
    }

    /// Adds a new name to the object that the path's parent points at.
    fn insert(&self, call: &Call, document: &mut Value, value: &Value) -> Result<()> {
        let missing = || {
            call.refuse(
                "path",
                format!("'{}'", self.path),
                "a place in the JSON, or a new name in an object that is there",
            )
        };
        let Some((parent, Step::Name(name))) = &self.last else {
            return Err(missing());
        };
        let place = parent.query_located(document).locations().next().map(NormalizedPath::to_json_pointer);
        let object: Option<&mut Map<String, Value>> =
            place.and_then(|place| document.pointer_mut(&place)).and_then(Value::as_object_mut);
        match object {
            Some(object) => {
                object.insert(name.clone(), value.clone());
                Ok(())
            }
            None => Err(missing()),
        }
    }

    pub fn delete(&self, call: &Call, document: &mut Value) -> Result<()> {
        let mut places: Vec<Vec<Place>> =
            self.path.query_located(document).locations().map(|path| path.iter().map(Place::from).collect()).collect();
        // From the end, so that an index still means the same after the ones behind it are gone.
        places.sort();
        for place in places.iter().rev() {
            let Some((last, parents)) = place.split_last() else {
                return Err(call.refuse("path", format!("'{}'", self.path), "within the document, not all of it"));
            };
            let parent = parents.iter().try_fold(&mut *document, |value, step| match step {
                Place::Index(index) => value.get_mut(index),
                Place::Name(name) => value.get_mut(name.as_str()),
            });
            match (parent, last) {
                (Some(Value::Array(items)), Place::Index(index)) if *index < items.len() => {
                    items.remove(*index);
                }
                (Some(Value::Object(fields)), Place::Name(name)) => {
                    fields.shift_remove(name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn places(&self, document: &Value) -> Vec<String> {
        self.path.query_located(document).locations().map(NormalizedPath::to_json_pointer).collect()
    }
}

/// One step of the way to a place; ordered so that later array elements come later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Index(usize),
    Name(String),
}

impl From<&PathElement<'_>> for Place {
    fn from(element: &PathElement<'_>) -> Self {
        match element {
            PathElement::Index(index) => Place::Index(*index),
            PathElement::Name(name) => Place::Name((*name).to_owned()),
        }
    }
}

/// For a path of names and indices only: its last step and what comes before it (`None` inside for `$`).
/// `None` for a path that can match several places.
fn split_last(path: &str) -> Option<Option<(&str, Step)>> {
    let mut last = None;
    let mut rest = path.strip_prefix('$')?.trim_end();
    while !rest.is_empty() {
        let before = &path[..path.trim_end().len() - rest.len()];
        let (step, after) = if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            if name.is_empty() || name == "*" {
                return None;
            }
            (Step::Name(name.trim().to_owned()), after)
        } else {
            bracketed(rest.strip_prefix('[')?)?
        };
        last = Some((before, step));
        rest = after;
    }
    Some(last)
}

/// A step in brackets, after the opening one: a quoted name or an index.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next()?;
    if quote == '\'' || quote == '"' {
        let mut name = String::new();
        let mut characters = text.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next()?.1 {
                    escaped @ ('\\' | '\'' | '"' | '/') => name.push(escaped),
                    // Other escapes: the name is not needed, as long as the place exists.
                    _ => return None,
                },
                other if other == quote => {
                    let after = text[at + 1..].trim_start().strip_prefix(']')?;
                    return Some((Step::Name(name), after));
                }
                other => name.push(other),
            }
        }
        return None;
    }
    let (index, after) = text.split_once(']')?;
    index.trim().parse::<i64>().ok()?;
    Some((Step::Index, after))
}
