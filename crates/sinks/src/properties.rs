//! Columns and templates as the members of a JSON object. NULL is left out.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use shape::{BoundTemplate, Template};

use crate::json_rows::{BoundJson, JsonColumns, JsonRows};
use crate::point_layout::plain;
use crate::templates::templates;
use crate::time_column::{Times, times_of};
use crate::{SettingError, Settings};

/// How a service writes times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// RFC 3339
    Text,
    /// `$D_` and seconds since 1970.
    CleverTap,
}

/// What a service takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PropertyLimits {
    pub count_max: usize,
    pub name_chars_max: usize,
    /// Of texts; a longer one would be cut.
    pub text_bytes_max: usize,
    /// Whether a property can be a list or an object.
    pub is_nested: bool,
}

#[derive(Debug)]
pub(crate) struct Properties {
    json: JsonRows,
    columns: Vec<Property>,
    templates: Vec<(String, Template)>,
    times: TimeForm,
    text_bytes_max: usize,
}

#[derive(Debug)]
struct Property {
    name: String,
    is_time: bool,
    is_text: bool,
}

/// Where in its object a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    BehindOthers,
}

/// The columns of a batch, ready to be bound.
pub(crate) struct PickedProperties {
    columns: JsonColumns,
    times: Vec<Option<Times>>,
}

pub(crate) struct BoundProperties<'a> {
    properties: &'a Properties,
    picked: &'a PickedProperties,
    json: BoundJson<'a>,
    templates: Vec<(&'a str, BoundTemplate<'a>)>,
}

impl Properties {
    /// From `columns` (all but the reserved, if they are not given) and `properties`.
    pub fn read(
        settings: &Settings,
        schema: &Schema,
        reserved: &[&str],
        times: TimeForm,
        limits: PropertyLimits,
    ) -> Result<Self, SettingError> {
        let given = settings.list("columns");
        let names: Vec<&str> = match settings.to_json().contains_key("columns") {
            true => given,
            false => {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                names.filter(|name| !reserved.contains(name)).collect()
            }
        };
        let (mut columns, mut indexes) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
        for name in names {
            let known = || {
                format!(
                    "there are {}",
                    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
                )
            };
            let (index, field) = schema
                .column_with_name(name)
                .ok_or_else(|| SettingError::at("columns", format!("there is no column `{name}`"), known()))?;
            let data_type = plain(field.data_type());
            if data_type.is_nested() && !limits.is_nested {
                let detail = format!("the column `{name}` has the type {data_type}, which is not a single value");
                return Err(SettingError::at("columns", detail, "select a part of it, or leave it out of `columns`"));
            }
            let is_time = matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
            let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            columns.push(Property { name: name.to_owned(), is_time, is_text });
            indexes.push(index);
        }
        let templates = templates(settings, "properties", schema)?;
        let names =
            || columns.iter().map(|column| column.name.as_str()).chain(templates.iter().map(|(name, _)| name.as_str()));
        let key = if columns.len() > limits.count_max || templates.is_empty() { "columns" } else { "properties" };
        if names().count() > limits.count_max {
            let detail =
                format!("there are {} properties, and at most {} are taken", names().count(), limits.count_max);
            return Err(SettingError::at(key, detail, "name fewer in `columns`"));
        }
        for (number, name) in names().enumerate() {
            let reason = match name {
                name if reserved.contains(&name) => "is written by a setting of its own",
                name if name.is_empty() || name.chars().count() > limits.name_chars_max => {
                    "is empty, or longer than is taken"
                }
                name if names().take(number).any(|before| before == name) => "is there twice",
                _ => continue,
            };
            let key = if number < columns.len() { "columns" } else { "properties" };
            return Err(SettingError::at(
                key,
                format!("the property `{name}` {reason}"),
                "give it another name, or leave it out",
            ));
        }
        let json = JsonRows::new(schema, indexes);
        let json =
            json.map_err(|detail| SettingError::at("columns", detail, "select a part of it, or leave it out"))?;
        Ok(Self { json, columns, templates, times, text_bytes_max: limits.text_bytes_max })
    }

    pub fn pick(&self, batch: &RecordBatch) -> Result<PickedProperties, ArrowError> {
        let columns = self.json.pick(batch)?;
        let times = |(number, column): (usize, &Property)| match column.is_time && self.times == TimeForm::CleverTap {
            true => times_of(columns.column(number)).map(Some),
            false => Ok(None),
        };
        let times = self.columns.iter().enumerate().map(times).collect::<Result<_, _>>()?;
        Ok(PickedProperties { columns, times })
    }

    pub fn bind<'a>(
        &'a self,
        batch: &'a RecordBatch,
        picked: &'a PickedProperties,
    ) -> Result<BoundProperties<'a>, ArrowError> {
        let bind = |(name, template): &'a (String, Template)| Ok((name.as_str(), template.bind(batch)?));
        let templates = self.templates.iter().map(bind).collect::<Result<_, ArrowError>>()?;
        Ok(BoundProperties { properties: self, picked, json: self.json.bind(&picked.columns)?, templates })
    }
}

impl BoundProperties<'_> {
    /// Appends the members of a row.
    pub fn write(&self, row: usize, first: Place, out: &mut Vec<u8>) -> Result<(), String> {
        self.json.check(row)?;
        let mut place = first;
        let mut put_name = |name: &str, out: &mut Vec<u8>| {
            if std::mem::replace(&mut place, Place::BehindOthers) == Place::BehindOthers {
                out.push(b',');
            }
            rows::write_string(name, out);
            out.push(b':');
        };
        for (number, column) in self.properties.columns.iter().enumerate() {
            let values: &ArrayRef = self.picked.columns.column(number);
            if values.is_null(row) || values.data_type().is_null() {
                continue;
            }
            put_name(&column.name, out);
            if let Some(times) = self.picked.times.get(number).and_then(Option::as_ref) {
                write_date(times, row, out);
                continue;
            }
            let start = out.len();
            self.json.write_cell(number, row, out);
            if column.is_text {
                self.check_text(&column.name, out.get(start..).unwrap_or_default())?;
            }
        }
        for (name, template) in &self.templates {
            let text = template.render(row)?;
            put_name(name, out);
            let start = out.len();
            rows::write_string(&text, out);
            self.check_text(name, out.get(start..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// `json` is a string, with quotes and escapes.
    fn check_text(&self, name: &str, json: &[u8]) -> Result<(), String> {
        let bytes_max = self.properties.text_bytes_max;
        if json.len() <= bytes_max {
            return Ok(());
        }
        let bytes = serde_json::from_slice::<String>(json).map_or(json.len(), |text| text.len());
        match bytes <= bytes_max {
            true => Ok(()),
            false => Err(format!("`{name}` has {bytes} bytes, and {bytes_max} are taken")),
        }
    }
}

fn write_date(times: &Times, row: usize, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(16);
    if let Some(micros) = times.micros(row) {
        // Writing to a string does not fail.
        let _ = write!(text, "\"$D_{}\"", micros.div_euclid(1_000_000));
    }
    out.extend_from_slice(text.as_bytes());
}
