//! Fields by name: `customer.id` is a column, or a field inside of one.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::kernels::nullif::nullif;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// A path that has been found in a schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldPath {
    /// The column, and the fields inside.
    pub names: Vec<String>,
    pub data_type: DataType,
    /// Whether the field itself can be unset; messages around it are another thing.
    pub nullable: bool,
    /// Whether it or a message around it can be unset.
    pub is_optional: bool,
}

/// There is no such field.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub detail: String,
    pub hint: String,
}

const NAMES_SHOWN_MAX: usize = 12;

impl FieldPath {
    /// A column whose name has dots in it goes before a path.
    pub fn resolve(text: &str, schema: &Schema) -> Result<Self, Unknown> {
        if let Ok(field) = schema.field_with_name(text) {
            return Ok(Self::column(field));
        }
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let mut path = match schema.field_with_name(first) {
            Ok(field) => Self::column(field),
            Err(_) => return Err(unknown(first, None, schema.fields().iter().map(|field| field.name().as_str()))),
        };
        for part in parts {
            path = path.child(part)?;
        }
        Ok(path)
    }

    pub fn column(field: &Field) -> Self {
        Self {
            names: vec![field.name().clone()],
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            is_optional: field.is_nullable(),
        }
    }

    /// The field `name` inside of this one.
    pub fn child(&self, name: &str) -> Result<Self, Unknown> {
        let DataType::Struct(fields) = &self.data_type else {
            return Err(Unknown {
                detail: format!("`{}` is no message, so that it has no field `{name}`", self.text()),
                hint: format!("use `{}` itself", self.text()),
            });
        };
        match fields.iter().find(|field| field.name() == name) {
            Some(field) => {
                let mut names = self.names.clone();
                names.push(name.to_owned());
                let is_optional = self.is_optional || field.is_nullable();
                Ok(Self { names, data_type: field.data_type().clone(), nullable: field.is_nullable(), is_optional })
            }
            None => Err(unknown(name, Some(&self.text()), fields.iter().map(|field| field.name().as_str()))),
        }
    }

    pub fn text(&self) -> String {
        self.names.join(".")
    }

    /// The values of all rows, NULL also where a message around the field is.
    pub fn values(&self, batch: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let missing = || ArrowError::SchemaError(format!("the batch has no field `{}`", self.text()));
        let mut names = self.names.iter();
        let mut values = names.next().and_then(|name| batch.column_by_name(name)).ok_or_else(missing)?.clone();
        for name in names {
            let parent = values.as_struct_opt().ok_or_else(missing)?;
            let child = parent.column_by_name(name).ok_or_else(missing)?;
            values = match parent.nulls().filter(|nulls| nulls.null_count() > 0) {
                Some(nulls) => nullif(child, &BooleanArray::new(!nulls.inner(), None))?,
                None => child.clone(),
            };
        }
        if *values.data_type() != self.data_type {
            return Err(ArrowError::SchemaError(format!(
                "`{}` was {} and is {} in the batch",
                self.text(),
                self.data_type,
                values.data_type()
            )));
        }
        Ok(values)
    }
}

/// What to say about a name that is not among those that there are.
pub(crate) fn unknown<'a>(name: &str, inside: Option<&str>, names: impl Iterator<Item = &'a str> + Clone) -> Unknown {
    let detail = match inside {
        Some(inside) => format!("`{inside}` has no field `{name}`"),
        None => format!("there is no field `{name}`"),
    };
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = names.collect();
            let more = if all.len() > NAMES_SHOWN_MAX { ", ..." } else { "" };
            let shown = all.iter().take(NAMES_SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
            if shown.is_empty() { "it has no fields".to_owned() } else { format!("there are {shown}{more}") }
        }
    };
    Unknown { detail, hint }
}

/// The name that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    names
        .map(|known| (strsim::damerau_levenshtein(&name, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= 1 + name.len().max(known.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
