//! The rows of one measurement while they are gathered.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, TimestampNanosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use series::{FieldType, MeasurementInfo, PointLayout};

use crate::columns::{Columns, FieldCells, fill, text, text_cells};
use crate::escape::{unescape_name, unescape_tag};
use crate::line::{Line, Value};
use crate::parse::ParseLimits;
use crate::points::MeasurementPoints;

const TIME: &[u8] = b"time";
/// A field that is left out of the row.
const LEFT_OUT: usize = usize::MAX;

/// A tag or a field that is stored, or that this body has brought.
struct Name {
    /// `None` is a tag.
    field_type: Option<FieldType>,
    /// Its column among the rows that are gathered, if one of them has it.
    column: Option<usize>,
}

pub(crate) struct Measurement<'a> {
    name: String,
    names: HashMap<String, Name, RandomState>,
    tag_count: usize,
    field_count: usize,
    tags: Columns<'a, BinaryBuilder>,
    fields: Columns<'a, FieldCells>,
    times: Vec<i64>,
    starts: Vec<usize>,
    /// Rows for which the columns of the first line have room.
    rows_expected: usize,
    /// Columns of the current line's tags and fields.
    line_tags: Vec<usize>,
    line_fields: Vec<usize>,
    /// What the current line has brought.
    line_names: Vec<String>,
}

impl<'a> Measurement<'a> {
    /// `known` is the measurement as it is stored, before this body, and `rows_expected` an estimate of the rows that it has.
    pub fn new(name: String, known: Option<MeasurementInfo>, rows_expected: usize) -> Self {
        let (tags, fields) = known.map_or_else(Default::default, |known| (known.tags, known.fields));
        let (tag_count, field_count) = (tags.len(), fields.len());
        let tags = tags.into_iter().map(|tag| (tag, None));
        let fields = fields.into_iter().map(|field| (field.name, Some(field.field_type)));
        let names = tags.chain(fields).map(|(name, field_type)| (name, Name { field_type, column: None })).collect();
        Self {
            name,
            names,
            tag_count,
            field_count,
            tags: Columns::default(),
            fields: Columns::default(),
            times: Vec::with_capacity(rows_expected),
            starts: Vec::with_capacity(rows_expected),
            rows_expected,
            line_tags: Vec::new(),
            line_fields: Vec::new(),
            line_names: Vec::new(),
        }
    }

    /// Rows times columns of what is gathered.
    pub fn cells(&self) -> usize {
        self.times.len() * (1 + self.tags.list.len() + self.fields.list.len())
    }

    /// Appends a line as a row, or says why the measurement does not take it.
    pub fn push(&mut self, line: &Line<'a>, time: i64, start: usize, limits: &ParseLimits) -> Result<(), String> {
        let (tags, fields) = (self.tags.list.len(), self.fields.list.len());
        let found = self.find_columns(line, limits);
        // The estimate is of lines as long as the first one.
        self.rows_expected = 0;
        if let Err(reason) = found {
            for name in self.tags.truncate(tags).iter().chain(&self.fields.truncate(fields)) {
                if let Some(known) = self.names.get_mut(name) {
                    known.column = None;
                }
            }
            for name in self.line_names.drain(..) {
                match self.names.remove(&name) {
                    Some(Name { field_type: Some(_), .. }) => self.field_count -= 1,
                    Some(_) => self.tag_count -= 1,
                    None => {}
                }
            }
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
        self.line_names.clear();
        self.tags.begin_line();
        self.fields.begin_line();
        let mut guess = 0;
        for (key, value) in &line.tags {
            let at = match self.tags.find(key, guess) {
                Some(at) => at,
                None => self.new_tag(key, value, limits)?,
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
                None => self.new_field(key, *value, limits)?,
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

    fn new_tag(&mut self, written: &'a [u8], first: &[u8], limits: &ParseLimits) -> Result<usize, String> {
        let name = text(unescape_tag(written));
        if name.as_bytes() == TIME {
            let measurement = &self.name;
            return Err(format!("invalid tag key: input tag \"time\" on measurement \"{measurement}\" is invalid"));
        }
        match self.names.get_mut(&name) {
            Some(Name { field_type: Some(_), .. }) => return Err(taken(&self.name, &name, "field", "tag")),
            Some(Name { column: Some(at), .. }) => {
                self.tags.alias(written, *at);
                return Ok(*at);
            }
            Some(known) => known.column = Some(self.tags.list.len()),
            None => {
                check(&self.name, "tag", &name, self.tag_count + 1, limits.tags_max, limits)?;
                self.names.insert(name.clone(), Name { field_type: None, column: Some(self.tags.list.len()) });
                self.tag_count += 1;
                self.line_names.push(name.clone());
            }
        }
        Ok(self.tags.push(written, name, text_cells(self.rows_expected, first)))
    }

    fn new_field(&mut self, written: &'a [u8], first: Value<'_>, limits: &ParseLimits) -> Result<usize, String> {
        let field_type = type_of(first);
        let name = text(unescape_name(written));
        match self.names.get_mut(&name) {
            Some(Name { field_type: None, .. }) => return Err(taken(&self.name, &name, "tag", "field")),
            Some(Name { field_type: Some(stored), .. }) if *stored != field_type => {
                return Err(conflict(&self.name, &name, field_type, *stored));
            }
            Some(Name { column: Some(at), .. }) => {
                self.fields.alias(written, *at);
                return Ok(*at);
            }
            Some(known) => known.column = Some(self.fields.list.len()),
            None => {
                check(&self.name, "field", &name, self.field_count + 1, limits.fields_max, limits)?;
                let column = Some(self.fields.list.len());
                self.names.insert(name.clone(), Name { field_type: Some(field_type), column });
                self.field_count += 1;
                self.line_names.push(name.clone());
            }
        }
        Ok(self.fields.push(written, name, FieldCells::of(first, self.rows_expected)))
    }

    /// The rows that are gathered; `None` if there are none. What comes later is gathered anew.
    pub fn take(&mut self) -> Result<Option<MeasurementPoints>, ArrowError> {
        let rows = self.times.len();
        if rows == 0 {
            return Ok(None);
        }
        let (tags, fields) = (std::mem::take(&mut self.tags), std::mem::take(&mut self.fields));
        for name in tags.list.iter().map(|tag| &tag.name).chain(fields.list.iter().map(|field| &field.name)) {
            if let Some(known) = self.names.get_mut(name) {
                known.column = None;
            }
        }
        let mut names = vec!["time".to_owned()];
        let times = std::mem::take(&mut self.times);
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(TimestampNanosecondArray::from(times))];
        let mut layout = PointLayout { time: 0, tags: Vec::new(), fields: Vec::new() };
        for tag in tags.finish(rows) {
            let (name, array) = tag?;
            layout.tags.push((arrays.len(), name.clone()));
            names.push(name);
            arrays.push(array);
        }
        for field in fields.finish(rows) {
            let (name, array) = field?;
            layout.fields.push((arrays.len(), name.clone()));
            names.push(name);
            arrays.push(array);
        }
        let schema: Vec<Field> = names
            .into_iter()
            .zip(&arrays)
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(schema)), arrays)?;
        let starts = std::mem::take(&mut self.starts);
        Ok(Some(MeasurementPoints { measurement: self.name.clone(), batch, layout, starts }))
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
