//! SELECT: points are read in batches, gathered by group and window, and made into columns of an answer.

mod budget;
mod execute;
mod filter;
mod functions;
mod groups;
mod input;
mod join;
mod level;
mod plan;
mod pushed;
mod raw;
mod sequence;
mod source;
mod stream;
mod transform;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampNanosecondArray};
use arrow::compute::concat;

use crate::answer::ResultSeries;
use crate::ast::{Select, Source};
use crate::compile::{Compiled, Interval, compile};
use crate::schema::Schema;
use crate::time::MIN_TIME;
use crate::{Databases, QueryError, QueryOptions};

pub use budget::Budget;
pub use input::matching_series;
pub use stream::Stream;

use level::Level;

/// Rows with the same name and tags, by columns.
pub struct SeriesRows {
    pub name: Arc<str>,
    /// Parallel to the tags that are grouped by; absent tags are empty.
    pub tags: Vec<String>,
    /// Nanoseconds.
    pub times: Vec<i64>,
    pub columns: Vec<ArrayRef>,
}

/// The answer to a SELECT: all of it, or part after part.
pub enum Answer {
    Whole(Vec<ResultSeries>),
    Parts(Box<Stream>),
}

/// The answer to a SELECT whose sources name their databases.
pub fn select(select: &Select, databases: &dyn Databases, options: &QueryOptions) -> Result<Answer, QueryError> {
    let compiled = compile(select, options.now_nanos)?;
    let schema = Schema::new(databases);
    check_sources(&schema, &compiled.select)?;
    let resolved = schema.resolve(&compiled.select)?;
    check_types(&schema, &resolved)?;
    let mut budget = Budget::new(&options.limits);
    let level = Level::outermost(&compiled, &resolved, options.now_nanos);
    check_windows(&compiled, &level, &budget)?;
    if let Some(rows) = options.chunk_rows.filter(|rows| *rows > 0) {
        budget = match Stream::open(&resolved, &level, &schema, budget, rows)? {
            Ok(stream) => return Ok(Answer::Parts(Box::new(stream))),
            Err(budget) => budget,
        };
    }
    let rows = execute::execute(&resolved, &level, &schema, &budget)?;
    let columns: Arc<[String]> = resolved.column_names().into();
    Ok(Answer::Whole(rows.into_iter().map(|rows| result_series(rows, &level, columns.clone())).collect()))
}

/// Rows of one series that come in several pieces as one piece.
fn joined_rows(parts: Vec<SeriesRows>) -> Result<Option<SeriesRows>, QueryError> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Ok(None) };
    let rest: Vec<SeriesRows> = parts.collect();
    if rest.is_empty() {
        return Ok(Some(first));
    }
    let all: Vec<&SeriesRows> = std::iter::once(&first).chain(&rest).collect();
    let mut columns = Vec::with_capacity(first.columns.len());
    for place in 0..first.columns.len() {
        let pieces = functions::same_type(all.iter().map(|rows| rows.columns[place].clone()).collect())?;
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
        columns.push(concat(&pieces)?);
    }
    let times = all.iter().flat_map(|rows| rows.times.iter().copied()).collect();
    Ok(Some(SeriesRows { name: first.name.clone(), tags: first.tags.clone(), times, columns }))
}

fn result_series(rows: SeriesRows, level: &Level, columns: Arc<[String]>) -> ResultSeries {
    let times = TimestampNanosecondArray::from(rows.times);
    let times: ArrayRef = match level.zone {
        Some(zone) => Arc::new(times.with_timezone(zone.name())),
        None => Arc::new(times),
    };
    ResultSeries {
        name: rows.name.to_string(),
        tags: level.group_by.iter().cloned().zip(rows.tags).collect(),
        columns,
        values: std::iter::once(times).chain(rows.columns).collect(),
        partial: false,
    }
}

fn check_sources(schema: &Schema<'_>, select: &Select) -> Result<(), QueryError> {
    for source in &select.sources {
        match source {
            Source::Measurement(measurement) => drop(schema.measurements(measurement)?),
            Source::Subquery(inner) => check_sources(schema, inner)?,
        }
    }
    Ok(())
}

/// Types that do not go together are told before anything is read.
fn check_types(schema: &Schema<'_>, select: &Select) -> Result<(), QueryError> {
    for field in &select.fields {
        schema.expr_type(&field.expr, &[]).map_err(QueryError::from)?;
    }
    Ok(())
}

fn check_windows(compiled: &Compiled, level: &Level, budget: &Budget) -> Result<(), QueryError> {
    let max = budget.limits().select_buckets_max;
    let Interval { duration, .. } = compiled.interval;
    if max == 0 || duration == 0 || compiled.start == MIN_TIME {
        return Ok(());
    }
    let (first, last) = (level.window(level.start).0, level.window(level.end.saturating_sub(1)).0);
    let windows = last.saturating_sub(first).saturating_add(duration) / duration;
    if windows > i64::try_from(max).unwrap_or(i64::MAX) {
        return Err(QueryError::new(format!("max-select-buckets limit exceeded: ({windows}/{max})")));
    }
    Ok(())
}
