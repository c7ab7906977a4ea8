//! Conditions on tags, judged against the tags of a series or of a point.

use hashbrown::HashSet;

use crate::point::take_tag;
use crate::shape::{Shape, TIME_COLUMN};
use crate::{SeriesError, TagFilter, TagTest};

/// Tags by number, in ascending order of their numbers.
pub(crate) type Tags = [(u32, Box<str>)];

/// A condition on a tag, by the tag's number.
pub(crate) struct TagCondition {
    pub tag: u32,
    test: Test,
}

/// As [`TagTest`]; lists may be long.
enum Test {
    OneOf(HashSet<String>),
    NoneOf(HashSet<String>),
    Present,
    Absent,
}

impl TagCondition {
    /// Refuses what is not a tag of the measurement.
    pub(crate) fn resolve(shape: &Shape, filter: &TagFilter) -> Result<Self, SeriesError> {
        Ok(Self::new(known_tag(shape, &filter.tag)?, &filter.test))
    }

    pub(crate) fn new(tag: u32, test: &TagTest) -> Self {
        let test = match test {
            TagTest::OneOf(values) => Test::OneOf(values.iter().cloned().collect()),
            TagTest::NoneOf(values) => Test::NoneOf(values.iter().cloned().collect()),
            TagTest::Present => Test::Present,
            TagTest::Absent => Test::Absent,
        };
        Self { tag, test }
    }

    /// The values of which the tag has to have one, if it says so.
    pub(crate) fn one_of(&self) -> Option<&HashSet<String>> {
        match &self.test {
            Test::OneOf(values) => Some(values),
            _ => None,
        }
    }

    pub(crate) fn holds(&self, tags: &Tags) -> bool {
        self.holds_for(tag_value(tags, self.tag))
    }

    /// Whether it holds for a value of the tag; `None` is no such tag.
    pub(crate) fn holds_for(&self, value: Option<&str>) -> bool {
        match (&self.test, value) {
            (Test::OneOf(values), Some(value)) => values.contains(value),
            (Test::NoneOf(values), Some(value)) => !values.contains(value),
            (Test::Present, found) => found.is_some(),
            (Test::Absent, found) => found.is_none(),
            (Test::OneOf(_) | Test::NoneOf(_), None) => false,
        }
    }
}

/// The number of a tag of the measurement.
pub(crate) fn known_tag(shape: &Shape, name: &str) -> Result<u32, SeriesError> {
    match shape.tag(name) {
        Some(tag) => Ok(tag),
        None if name == TIME_COLUMN || shape.field(name).is_some() => {
            Err(SeriesError::NotATag { measurement: shape.name.clone(), column: name.to_owned() })
        }
        None => Err(unknown_column(shape, name)),
    }
}

pub(crate) fn unknown_column(shape: &Shape, column: &str) -> SeriesError {
    let names = shape.tags.iter().chain(shape.fields.iter().map(|field| &field.name)).map(String::as_str);
    let known: Vec<&str> = std::iter::once(TIME_COLUMN).chain(names).collect();
    SeriesError::UnknownColumn { measurement: shape.name.clone(), column: column.to_owned(), columns: known.join(", ") }
}

pub(crate) fn read_tags(mut encoded: &[u8]) -> Vec<(u32, Box<str>)> {
    let mut tags = Vec::new();
    while let Some((tag, value)) = take_tag(&mut encoded) {
        tags.push((tag, value.into()));
    }
    tags
}

pub(crate) fn tag_value(tags: &Tags, wanted: u32) -> Option<&str> {
    tags.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| value.as_ref())
}
