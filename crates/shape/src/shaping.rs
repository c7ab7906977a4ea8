//! A compiled [`ShapeSpec`]: which rows of a batch go on, and with which columns.

mod column;
mod window;

use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{Array, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::Value;

use crate::expression::Expression;
use crate::json_schema::JsonSchema;
use crate::limits::COLUMNS_MAX;
use crate::path::{FieldPath, Unknown};
use crate::{METADATA_COLUMNS, ShapeError, ShapeSpec};
use column::Column;
use window::Window;

/// Made once, applied to every batch, by any number of threads.
///
/// The conditions are asked in this order: time window, filter, JSON Schema. The first that a row does not pass decides
/// what becomes of it.
#[derive(Debug)]
pub struct Shape {
    window: Option<Window>,
    filter: Option<Expression>,
    json_schema: Option<JsonSchema>,
    /// `None`: those of `schema`, as they are.
    columns: Option<Vec<Column>>,
    fields: Vec<String>,
    /// The columns that a JSON Schema sees.
    record: Vec<String>,
    schema: SchemaRef,
}

/// What became of the rows of a batch: each of them is in exactly one of the three lists.
#[derive(Clone, Debug)]
pub struct Shaped {
    pub rows: RecordBatch,
    /// Which row of the batch each row was.
    pub input_rows: Vec<usize>,
    /// The rows that were not wanted, ascending.
    pub filtered: Vec<usize>,
    /// The rows that could not be judged or shaped, ascending, each with the reason.
    pub failed: Vec<(usize, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Kept,
    Filtered,
    Failed(String),
}

impl Shape {
    /// `input`: the columns of the decoded records, and of [`METADATA_COLUMNS`] those that exist.
    pub fn compile(spec: &ShapeSpec, input: &SchemaRef) -> Result<Self, ShapeError> {
        let window = spec.time_window.as_ref().map(|window| Window::compile(window, input)).transpose()?;
        let at = |place: &'static str| move |unknown: Unknown| ShapeError::at(place, unknown.detail, unknown.hint);
        let filter = match &spec.filter {
            Some(text) => {
                Some(Expression::compile(text, input).and_then(Expression::into_condition).map_err(at("filter"))?)
            }
            None => None,
        };
        let json_schema = spec.json_schema.as_ref().map(JsonSchema::compile).transpose()?;
        let columns = match &spec.columns {
            Some(columns) => Some(column::compile(columns, input)?),
            None => None,
        };
        let is_record = |name: &str| !METADATA_COLUMNS.contains(&name);
        let record: Vec<String> =
            input.fields().iter().map(|field| field.name().clone()).filter(|name| is_record(name)).collect();
        let schema = match &columns {
            Some(columns) => Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()),
            None => {
                Schema::new(input.fields().iter().filter(|field| is_record(field.name())).cloned().collect::<Vec<_>>())
            }
        };
        let mut used: Vec<&FieldPath> = Vec::new();
        used.extend(window.iter().map(|window| &window.field));
        used.extend(filter.iter().flat_map(|filter| filter.fields()));
        used.extend(columns.iter().flatten().flat_map(|column| column.fields()));
        let whole = columns.is_none() || json_schema.is_some();
        let is_used =
            |name: &String| used.iter().any(|path| path.names.first() == Some(name)) || (whole && is_record(name));
        let fields = input.fields().iter().map(|field| field.name().clone()).filter(is_used).collect();
        Ok(Self { window, filter, json_schema, columns, fields, record, schema: Arc::new(schema) })
    }

    /// The columns of the input that have to be there, in the order of the input.
    pub fn fields_used(&self) -> Vec<String> {
        self.fields.clone()
    }

    /// What comes out.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The batch may have only the columns in use, in any order. `Err` only for a batch that is not of the schema.
    pub fn apply(&self, batch: &RecordBatch) -> Result<Shaped, ArrowError> {
        self.apply_at(batch, SystemTime::now())
    }

    /// As if it were another time, for the time window.
    pub fn apply_at(&self, batch: &RecordBatch, now: SystemTime) -> Result<Shaped, ArrowError> {
        let mut verdicts = vec![Verdict::Kept; batch.num_rows()];
        if let Some(window) = &self.window {
            window.judge(batch, now, &mut verdicts)?;
        }
        if let Some(filter) = &self.filter {
            let (holds, failed) = filter.condition(batch, |row| verdicts.get(row) == Some(&Verdict::Kept))?;
            judge(&holds, failed, &mut verdicts);
        }
        if let Some(json_schema) = &self.json_schema {
            self.judge_json(json_schema, batch, &mut verdicts)?;
        }
        let mut shaped = match &self.columns {
            None => self.select(batch, &verdicts)?,
            Some(columns) => self.derive(columns, batch, &mut verdicts)?,
        };
        for (row, verdict) in verdicts.into_iter().enumerate() {
            match verdict {
                Verdict::Kept => shaped.input_rows.push(row),
                Verdict::Filtered => shaped.filtered.push(row),
                Verdict::Failed(reason) => shaped.failed.push((row, reason)),
            }
        }
        Ok(shaped)
    }

    fn select(&self, batch: &RecordBatch, verdicts: &[Verdict]) -> Result<Shaped, ArrowError> {
        let rows = columns(batch, self.schema.fields().iter().map(|field| field.name().as_str()))?;
        Ok(shaped(kept(rows, verdicts)?))
    }

    fn derive(&self, columns: &[Column], batch: &RecordBatch, verdicts: &mut [Verdict]) -> Result<Shaped, ArrowError> {
        let rows: Vec<usize> =
            verdicts.iter().enumerate().filter(|(_, verdict)| **verdict == Verdict::Kept).map(|(row, _)| row).collect();
        let mut failed = Vec::new();
        let arrays = columns
            .iter()
            .map(|column| column.values(batch, &rows, &mut failed))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let derived = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        if failed.is_empty() {
            return Ok(shaped(derived));
        }
        for (row, reason) in failed {
            if let Some(verdict) = verdicts.get_mut(row).filter(|verdict| **verdict == Verdict::Kept) {
                *verdict = Verdict::Failed(reason);
            }
        }
        let verdicts: Vec<Verdict> = rows.iter().filter_map(|row| verdicts.get(*row).cloned()).collect();
        Ok(shaped(kept(derived, &verdicts)?))
    }

    /// Rows as protobuf JSON, where what is unset is left out.
    fn judge_json(&self, schema: &JsonSchema, batch: &RecordBatch, verdicts: &mut [Verdict]) -> Result<(), ArrowError> {
        let record = columns(batch, self.record.iter().map(String::as_str))?;
        let writer = rows::RowWriter::new(record.schema_ref());
        let bound = writer.bind(&record).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
        let mut text = Vec::new();
        for (row, verdict) in verdicts.iter_mut().enumerate().filter(|(_, verdict)| **verdict == Verdict::Kept) {
            text.clear();
            bound.write_row(row, &mut text);
            *verdict = match serde_json::from_slice::<Value>(&text) {
                Ok(mut value) => {
                    leave_out_nulls(&mut value);
                    match schema.matches(&value) {
                        Ok(true) => continue,
                        Ok(false) => Verdict::Filtered,
                        Err(reason) => Verdict::Failed(reason),
                    }
                }
                Err(error) => Verdict::Failed(format!("the row has no JSON form: {error}")),
            };
        }
        Ok(())
    }
}

fn leave_out_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(leave_out_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        _ => {}
    }
}

fn judge(holds: &BooleanArray, failed: Vec<(usize, String)>, verdicts: &mut [Verdict]) {
    for (row, verdict) in verdicts.iter_mut().enumerate() {
        if *verdict == Verdict::Kept && holds.is_valid(row) && !holds.value(row) {
            *verdict = Verdict::Filtered;
        }
    }
    for (row, reason) in failed {
        if let Some(verdict) = verdicts.get_mut(row).filter(|verdict| **verdict == Verdict::Kept) {
            *verdict = Verdict::Failed(reason);
        }
    }
}

fn columns<'n>(batch: &RecordBatch, names: impl Iterator<Item = &'n str>) -> Result<RecordBatch, ArrowError> {
    let indexes = names.map(|name| batch.schema_ref().index_of(name)).collect::<Result<Vec<_>, _>>()?;
    batch.project(&indexes)
}

fn kept(batch: RecordBatch, verdicts: &[Verdict]) -> Result<RecordBatch, ArrowError> {
    if verdicts.iter().all(|verdict| *verdict == Verdict::Kept) {
        return Ok(batch);
    }
    let mask: BooleanArray = verdicts.iter().map(|verdict| Some(*verdict == Verdict::Kept)).collect();
    filter_record_batch(&batch, &mask)
}

fn shaped(rows: RecordBatch) -> Shaped {
    Shaped { rows, input_rows: Vec::new(), filtered: Vec::new(), failed: Vec::new() }
}

const _: () = assert!(COLUMNS_MAX <= 10_000, "names are compared with each other");
