//! Points as they come out of a measurement: columns of what was asked for, filtered.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter;
use arrow::datatypes::TimestampNanosecondType;
use hashbrown::HashSet;
use series::{ScanOrder, ScanRequest, TagFilter, TimeRange};

use super::budget::Budget;
use super::filter::{Fields, holds, push_down};
use super::level::Level;
use crate::QueryError;
use crate::ast::{DataType, Expr, VarRef};
use crate::database::{Batches, TagSet};
use crate::eval::{cast_column, nothing};
use crate::schema::{Found, field_type};

/// Points with the same name, in order of time as a rule.
pub struct Block {
    pub name: Arc<str>,
    /// Nanoseconds.
    pub times: Vec<i64>,
    /// One array for each tag that is grouped by; `None` if nothing has it.
    pub tags: Vec<Option<StringArray>>,
    /// One array for each reference that was asked for.
    pub columns: Vec<ArrayRef>,
}

/// Where the values of a reference come from in one measurement.
#[derive(Clone)]
enum Origin {
    Field { column: String, cast: DataType },
    Tag { column: String },
    Nothing,
}

fn origin(found: &Found, reference: &VarRef) -> Origin {
    let stored = found.shape.fields.iter().find(|field| field.name == reference.name);
    let field = stored.filter(|_| reference.data_type != DataType::Tag);
    if let Some(field) = field {
        let stored = field_type(field.field_type);
        let number = |data_type| matches!(data_type, DataType::Float | DataType::Integer | DataType::Unsigned);
        let fits = matches!(reference.data_type, DataType::Unknown | DataType::AnyField)
            || reference.data_type == stored
            || (number(reference.data_type) && number(stored));
        return match fits {
            true => Origin::Field { column: field.name.clone(), cast: reference.data_type },
            false => Origin::Nothing,
        };
    }
    let tag =
        matches!(reference.data_type, DataType::Tag | DataType::Unknown) && found.shape.tags.contains(&reference.name);
    if tag { Origin::Tag { column: reference.name.clone() } } else { Origin::Nothing }
}

impl Origin {
    fn column(&self) -> Option<&str> {
        match self {
            Self::Field { column, .. } | Self::Tag { column } => Some(column),
            Self::Nothing => None,
        }
    }

    fn read(&self, batch: &RecordBatch) -> Result<Option<ArrayRef>, QueryError> {
        let Some(array) = self.column().and_then(|column| batch.column_by_name(column)) else { return Ok(None) };
        match self {
            Self::Field { cast, .. } => cast_column(array, *cast).map(Some),
            _ => Ok(Some(array.clone())),
        }
    }
}

/// Reads the points of one measurement.
pub struct Reader {
    name: Arc<str>,
    batches: Batches,
    condition: Option<(Expr, Vec<(VarRef, Origin)>)>,
    tags: Vec<String>,
    origins: Vec<Origin>,
}

/// What is wanted of a measurement.
pub struct Wanted<'a> {
    pub references: &'a [VarRef],
    /// Nanoseconds, both included.
    pub start: i64,
    pub end: i64,
}

impl Reader {
    pub fn open(found: &Found, level: &Level, wanted: &Wanted<'_>) -> Result<Self, QueryError> {
        let (filters, rest) = match &level.condition {
            Some(condition) => push_down(condition, found)?,
            None => (Vec::new(), None),
        };
        let condition = rest.map(|rest| {
            let origins = rest.references().into_iter().map(|reference| {
                let origin = origin(found, &reference);
                (reference, origin)
            });
            let origins: Vec<(VarRef, Origin)> = origins.collect();
            (rest, origins)
        });
        let origins: Vec<Origin> = wanted.references.iter().map(|reference| origin(found, reference)).collect();
        let tags: Vec<String> = level.group_by.clone();
        let mut projection = vec!["time".to_owned()];
        let conditions = condition.iter().flat_map(|(_, origins)| origins.iter().map(|(_, origin)| origin));
        let columns = origins.iter().chain(conditions).filter_map(Origin::column);
        for column in columns.chain(tags.iter().filter(|tag| found.shape.tags.contains(tag)).map(String::as_str)) {
            if !projection.iter().any(|known| known == column) {
                projection.push(column.to_owned());
            }
        }
        let request = ScanRequest {
            range: TimeRange { start: Some(wanted.start), end: wanted.end.checked_add(1) },
            tags: filters,
            projection: Some(projection),
            limit: None,
            order: if level.ascending { ScanOrder::Ascending } else { ScanOrder::Descending },
            batch_rows: 0,
        };
        let batches: Batches = if request.range.is_empty() {
            Box::new(std::iter::empty())
        } else {
            found.database.scan(&found.name, &request)?
        };
        Ok(Self { name: found.name.as_str().into(), batches, condition, tags, origins })
    }

    /// The next points, filtered.
    pub fn next(&mut self, budget: &Budget) -> Result<Option<Block>, QueryError> {
        loop {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            let batch = batch?;
            let batch = match &self.condition {
                Some((condition, origins)) => {
                    let mut columns = Vec::with_capacity(origins.len());
                    for (reference, origin) in origins {
                        columns.push((reference, origin.read(&batch)?));
                    }
                    let lookup = |wanted: &VarRef| {
                        columns.iter().find(|(known, _)| *known == wanted).and_then(|(_, column)| column.clone())
                    };
                    let holding = holds(condition, &lookup, batch.num_rows(), Fields::Judged)?;
                    filter_batch(&batch, &holding)?
                }
                None => batch,
            };
            budget.read(batch.num_rows())?;
            if batch.num_rows() > 0 {
                return self.block(&batch).map(Some);
            }
        }
    }

    fn block(&self, batch: &RecordBatch) -> Result<Block, QueryError> {
        let rows = batch.num_rows();
        let times = match batch.column(0).as_primitive_opt::<TimestampNanosecondType>() {
            Some(times) => times.values().to_vec(),
            None => return Err(QueryError::new("a scan's first column is not its time")),
        };
        let mut columns = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            columns.push(origin.read(batch)?.unwrap_or_else(|| nothing(rows)));
        }
        let text = |tag: &String| batch.column_by_name(tag).and_then(|column| column.as_string_opt::<i32>().cloned());
        Ok(Block { name: self.name.clone(), times, tags: self.tags.iter().map(text).collect(), columns })
    }
}

fn filter_batch(batch: &RecordBatch, holding: &BooleanArray) -> Result<RecordBatch, QueryError> {
    if holding.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|column| filter(column, holding)).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// The groups that SLIMIT and SOFFSET leave of a measurement, as values of the dimensions; `None` is all.
pub fn allowed_groups(
    found: &Found,
    level: &Level,
    budget: &Budget,
) -> Result<Option<HashSet<Vec<String>>>, QueryError> {
    let limited = level.slimit > 0 || level.soffset > 0;
    if !limited && budget.limits().select_series_max == 0 {
        return Ok(None);
    }
    let series = matching_series(found, level.condition.as_ref(), budget)?;
    budget.series(series.len())?;
    if !limited {
        return Ok(None);
    }
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for tags in &series {
        let value = |name: &String| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str());
        let present: Vec<(&str, &str)> =
            level.dimensions.iter().filter_map(|name| value(name).map(|value| (name.as_str(), value))).collect();
        // InfluxDB's own key: names, then values, of the tags that are there.
        let names: Vec<&str> = present.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = present.iter().map(|(_, value)| *value).collect();
        let key = [names, values].concat().join("|");
        let all = level.dimensions.iter().map(|name| value(name).unwrap_or_default().to_owned()).collect();
        groups.push((key, all));
    }
    groups.sort();
    groups.dedup();
    if level.soffset > groups.len() {
        return Ok(Some(HashSet::new()));
    }
    let taken = groups.into_iter().skip(level.soffset).take(level.slimit);
    Ok(Some(taken.map(|(_, values)| values).collect()))
}

/// The tag sets of the series that a condition does not rule out by their tags.
pub fn matching_series(found: &Found, condition: Option<&Expr>, budget: &Budget) -> Result<Vec<TagSet>, QueryError> {
    let (filters, rest): (Vec<TagFilter>, _) = match condition {
        Some(condition) => push_down(condition, found)?,
        None => (Vec::new(), None),
    };
    let mut series: Vec<TagSet> = Vec::new();
    found.database.series(&found.name, &filters, &mut |tags| {
        let texts: usize = tags.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<String>()).sum();
        budget.hold(texts + size_of::<TagSet>())?;
        series.push(tags);
        Ok(())
    })?;
    let Some(rest) = rest else { return Ok(series) };
    let column = |name: &str| -> ArrayRef {
        let value = |tags: &TagSet| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.clone());
        Arc::new(series.iter().map(value).collect::<StringArray>())
    };
    let holding = holds(&rest, &|reference| Some(column(&reference.name)), series.len(), Fields::Ignored)?;
    Ok(series.into_iter().zip(holding.iter()).filter(|(_, holds)| *holds == Some(true)).map(|(tags, _)| tags).collect())
}
