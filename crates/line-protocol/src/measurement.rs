//! The rows of one measurement while they are gathered.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, TimestampNanosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use series::{FieldType, MeasurementInfo, PointLayout};

use crate::columns::{Columns, FieldCells, fill, text};
use crate::escape::{unescape_name, unescape_tag};
use crate::line::{Line, Value};
use crate::parse::ParseLimits;
use crate::points::MeasurementPoints;

const TIME: &[u8] = b"time";
/// A field that is left out of the row.
const LEFT_OUT: usize = usize::MAX;

pub(crate) struct Measurement<'a> {
    name: String,
    /// As it is stored, before this body.
    known: Option<MeasurementInfo>,
    tags: Columns<'a, BinaryBuilder>,
    fields: Columns<'a, FieldCells>,
    times: Vec<i64>,
    starts: Vec<usize>,
    /// Columns of the current line's tags and fields.
    line_tags: Vec<usize>,
    line_fields: Vec<usize>,
}

impl<'a> Measurement<'a> {
    pub fn new(name: String, known: Option<MeasurementInfo>) -> Self {
        Self {
            name,
            known,
            tags: Columns::default(),
            fields: Columns::default(),
            times: Vec::new(),
            starts: Vec::new(),
            line_tags: Vec::new(),
            line_fields: Vec::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends a line as a row, or says why the measurement does not take it.
    pub fn push(&mut self, line: &Line<'a>, time: i64, start: usize, limits: &ParseLimits) -> Result<(), String> {
        let (tags, fields) = (self.tags.list.len(), self.fields.list.len());
        if let Err(reason) = self.find_columns(line, limits) {
            self.tags.truncate(tags);
            self.fields.truncate(fields);
            return Err(reason);
        }
        let row = self.times.len();
        for (at, (_, value)) in self.line_tags.iter().zip(&line.tags) {
            let cells = &mut self.tags.list[*at].cells;
            fill(cells, row);
            cells.append_value(unescape_tag(value));
        }
        for (at, (_, value)) in self.line_fields.iter().zip(&line.fields) {
            if *at != LEFT_OUT {
                let cells = &mut self.fields.list[*at].cells;
                fill(cells, row);
                cells.append(*value);
            }
        }
        self.times.push(time);
        self.starts.push(start);
        Ok(())
    }

    fn find_columns(&mut self, line: &Line<'a>, limits: &ParseLimits) -> Result<(), String> {
        let row = self.times.len() + 1;
        self.line_tags.clear();
        self.line_fields.clear();
        let mut guess = 0;
        for (key, _) in &line.tags {
            let at = match self.tags.find(key, guess) {
                Some(at) => at,
                None => self.new_tag(key, limits)?,
            };
            let column = &mut self.tags.list[at];
            if std::mem::replace(&mut column.row, row) == row && self.line_tags.contains(&at) {
                return Err(format!("the tag \"{}\" of measurement \"{}\" is there twice", column.name, self.name));
            }
            self.line_tags.push(at);
            guess = at + 1;
        }
        let (mut guess, mut has_field) = (0, false);
        for (key, value) in &line.fields {
            // InfluxDB leaves a field of this name out, and takes the others.
            if *key == TIME {
                self.line_fields.push(LEFT_OUT);
                continue;
            }
            has_field = true;
            let field_type = type_of(*value);
            let at = match self.fields.find(key, guess) {
                Some(at) => at,
                None => self.new_field(key, field_type, limits)?,
            };
            let column = &mut self.fields.list[at];
            if column.cells.field_type() != field_type {
                return Err(conflict(&self.name, &column.name, field_type, column.cells.field_type()));
            }
            if std::mem::replace(&mut column.row, row) == row {
                // Written twice in one line: the last one counts. After a refused line the mark says nothing.
                self.line_fields.iter_mut().filter(|earlier| **earlier == at).for_each(|earlier| *earlier = LEFT_OUT);
            }
            self.line_fields.push(at);
            guess = at + 1;
        }
        match has_field {
            true => Ok(()),
            false => {
                Err(format!("invalid field name: input field \"time\" on measurement \"{}\" is invalid", self.name))
            }
        }
    }

    fn new_tag(&mut self, written: &'a [u8], limits: &ParseLimits) -> Result<usize, String> {
        let name = text(unescape_tag(written));
        if name.as_bytes() == TIME {
            let measurement = &self.name;
            return Err(format!("invalid tag key: input tag \"time\" on measurement \"{measurement}\" is invalid"));
        }
        if let Some(at) = self.tags.find_named(written, &name) {
            return Ok(at);
        }
        if self.fields.position(&name).is_some() || self.known_field(&name).is_some() {
            return Err(taken(&self.name, &name, "field", "tag"));
        }
        let known = self.known.as_ref().map_or(&[][..], |known| known.tags.as_slice());
        let new = self.tags.list.iter().filter(|tag| !known.contains(&tag.name)).count();
        if !known.contains(&name) {
            check(&self.name, "tag", &name, known.len() + new + 1, limits.tags_max, limits)?;
        }
        Ok(self.tags.push(written, name, BinaryBuilder::new()))
    }

    fn new_field(&mut self, written: &'a [u8], field_type: FieldType, limits: &ParseLimits) -> Result<usize, String> {
        let name = text(unescape_name(written));
        if let Some(at) = self.fields.find_named(written, &name) {
            return Ok(at);
        }
        let known = self.known.as_ref().map_or(&[][..], |known| known.fields.as_slice());
        match self.known_field(&name) {
            Some(stored) if stored != field_type => return Err(conflict(&self.name, &name, field_type, stored)),
            Some(_) => {}
            None => {
                let stored_tags = self.known.as_ref().map_or(&[][..], |known| known.tags.as_slice());
                if self.tags.position(&name).is_some() || stored_tags.contains(&name) {
                    return Err(taken(&self.name, &name, "tag", "field"));
                }
                let is_new = |column: &str| !known.iter().any(|field| field.name == column);
                let new = self.fields.list.iter().filter(|field| is_new(&field.name)).count();
                check(&self.name, "field", &name, known.len() + new + 1, limits.fields_max, limits)?;
            }
        }
        Ok(self.fields.push(written, name, FieldCells::of(field_type)))
    }

    fn known_field(&self, name: &str) -> Option<FieldType> {
        let fields = &self.known.as_ref()?.fields;
        fields.iter().find(|field| field.name == name).map(|field| field.field_type)
    }

    /// `None` when every line was refused.
    pub fn finish(self) -> Result<Option<MeasurementPoints>, ArrowError> {
        let rows = self.times.len();
        if rows == 0 {
            return Ok(None);
        }
        let mut names = vec!["time".to_owned()];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(TimestampNanosecondArray::from(self.times))];
        let mut layout = PointLayout { time: 0, tags: Vec::new(), fields: Vec::new() };
        for tag in self.tags.finish(rows) {
            let (name, array) = tag?;
            layout.tags.push((arrays.len(), name.clone()));
            names.push(name);
            arrays.push(array);
        }
        for field in self.fields.finish(rows) {
            let (name, array) = field?;
            layout.fields.push((arrays.len(), name.clone()));
            names.push(name);
            arrays.push(array);
        }
        let fields: Vec<Field> = names
            .into_iter()
            .zip(&arrays)
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Some(MeasurementPoints { measurement: self.name, batch, layout, starts: self.starts }))
    }
}

fn type_of(value: Value<'_>) -> FieldType {
    match value {
        Value::Float(_) => FieldType::Float64,
        Value::Integer(_) => FieldType::Int64,
        Value::Boolean(_) => FieldType::Boolean,
        Value::Text(_) => FieldType::Utf8,
    }
}

/// InfluxDB's names of the types.
fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float64 => "float",
        FieldType::Int64 => "integer",
        FieldType::Boolean => "boolean",
        FieldType::Utf8 => "string",
    }
}

fn conflict(measurement: &str, field: &str, written: FieldType, stored: FieldType) -> String {
    format!(
        "field type conflict: input field \"{field}\" on measurement \"{measurement}\" is type {}, already exists as type {}",
        type_name(written),
        type_name(stored)
    )
}

fn taken(measurement: &str, name: &str, stored: &str, written: &str) -> String {
    format!("\"{name}\" of measurement \"{measurement}\" is a {stored} already and cannot be a {written} as well")
}

/// A new tag or field has to have a name that can be stored, and room.
fn check(
    measurement: &str,
    what: &str,
    name: &str,
    count: usize,
    count_max: usize,
    limits: &ParseLimits,
) -> Result<(), String> {
    if name.len() > limits.name_bytes_max {
        let shown: String = name.chars().take(64).collect();
        return Err(format!(
            "the name of {what} \"{shown}\" of measurement \"{measurement}\" has {} bytes, the limit is {}",
            name.len(),
            limits.name_bytes_max
        ));
    }
    if count > count_max {
        return Err(format!(
            "measurement \"{measurement}\" would have {count} {what}s with \"{name}\", the limit is {count_max}"
        ));
    }
    Ok(())
}
