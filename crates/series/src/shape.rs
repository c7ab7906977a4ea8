//! What a measurement looks like: its tags and fields, each with a small number that it keeps.

use serde::{Deserialize, Serialize};

use crate::{FieldType, SeriesError, SeriesLimits};

/// The name of the time column: no tag or field can have it.
pub(crate) const TIME_COLUMN: &str = "time";

/// What a measurement looks like. Replaced as a whole when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub name: String,
    /// The index is the tag's number.
    pub tags: Vec<String>,
    /// The index is the field's number.
    pub fields: Vec<Field>,
    /// `None` is the store's default.
    pub retention_seconds: Option<u64>,
    pub dropped: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Field {
    pub name: String,
    pub field_type: FieldType,
}

impl Shape {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), tags: Vec::new(), fields: Vec::new(), retention_seconds: None, dropped: false }
    }

    pub(crate) fn tag(&self, name: &str) -> Option<u32> {
        position(self.tags.iter().position(|tag| tag == name))
    }

    pub(crate) fn field(&self, name: &str) -> Option<u32> {
        position(self.fields.iter().position(|field| field.name == name))
    }

    /// The number of a tag, which becomes one if it is new.
    pub(crate) fn tag_or_new(&mut self, name: &str, limits: &SeriesLimits) -> Result<u32, SeriesError> {
        if let Some(tag) = self.tag(name) {
            return Ok(tag);
        }
        self.check_new_column("tag", name, limits)?;
        if self.field(name).is_some() {
            return Err(self.name_taken(name, "field", "tag"));
        }
        self.check_count("the number of tags", self.tags.len() + 1, limits.tags_per_measurement_max)?;
        self.tags.push(name.to_owned());
        Ok(self.tags.len() as u32 - 1)
    }

    /// The number of a field, which becomes one if it is new.
    pub(crate) fn field_or_new(
        &mut self,
        name: &str,
        field_type: FieldType,
        limits: &SeriesLimits,
    ) -> Result<u32, SeriesError> {
        if let Some(field) = self.field(name) {
            let stored = self.fields[field as usize].field_type;
            if stored != field_type {
                return Err(SeriesError::FieldTypeChanged {
                    measurement: self.name.clone(),
                    field: name.to_owned(),
                    stored,
                    written: field_type,
                });
            }
            return Ok(field);
        }
        self.check_new_column("field", name, limits)?;
        if self.tag(name).is_some() {
            return Err(self.name_taken(name, "tag", "field"));
        }
        self.check_count("the number of fields", self.fields.len() + 1, limits.fields_per_measurement_max)?;
        self.fields.push(Field { name: name.to_owned(), field_type });
        Ok(self.fields.len() as u32 - 1)
    }

    fn check_new_column(&self, what: &'static str, name: &str, limits: &SeriesLimits) -> Result<(), SeriesError> {
        if name == TIME_COLUMN {
            return Err(SeriesError::InvalidName {
                what,
                name: name.to_owned(),
                reason: "every point has a column of that name already".into(),
            });
        }
        check_name(what, name, limits)
    }

    fn check_count(&self, what: &'static str, found: usize, max: usize) -> Result<(), SeriesError> {
        if found > max {
            return Err(SeriesError::LimitExceeded { measurement: self.name.clone(), what, found, max });
        }
        Ok(())
    }

    pub(crate) fn name_taken(&self, name: &str, stored: &'static str, written: &'static str) -> SeriesError {
        SeriesError::NameTaken { measurement: self.name.clone(), name: name.to_owned(), stored, written }
    }

    /// Whether a tag is kept in the key of each point instead of naming a series.
    pub(crate) fn is_key_tag(name: &str) -> bool {
        name.starts_with('_')
    }
}

fn position(index: Option<usize>) -> Option<u32> {
    index.and_then(|index| u32::try_from(index).ok())
}

pub(crate) fn check_name(what: &'static str, name: &str, limits: &SeriesLimits) -> Result<(), SeriesError> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > limits.name_bytes_max {
        format!("it is {} bytes long, the limit is {}", name.len(), limits.name_bytes_max)
    } else {
        return Ok(());
    };
    Err(SeriesError::InvalidName { what, name: name.chars().take(64).collect(), reason })
}
