//! Where a level's points come from: measurements, or the rows of queries within it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, UInt64Array};
use arrow::compute::{concat, filter, take};
use arrow::datatypes::DataType as ArrowType;

use super::SeriesRows;
use super::budget::Budget;
use super::execute::execute;
use super::groups::project;
use super::input::{Block, Reader, Wanted, allowed_groups};
use super::level::Level;
use crate::QueryError;
use crate::ast::{DataType, Expr, Select, Source, VarRef};
use crate::eval::{Rules, cast_column, evaluate, nothing, truths};
use crate::schema::Schema;

/// What is done with a block of points and the groups that SLIMIT leaves.
pub type Take<'a> =
    &'a mut dyn FnMut(Block, Option<&hashbrown::HashSet<Vec<String>>>, Kind) -> Result<Flow, QueryError>;

/// Whether to go on reading.
#[derive(Clone, Copy, PartialEq)]
pub enum Flow {
    Go,
    Stop,
}

/// Where a block comes from.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Measurement,
    /// Every row counts, also one without values.
    Subquery,
}

/// Reads all sources of a SELECT, one after the other.
pub fn read(
    select: &Select,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
    wanted: &Wanted<'_>,
    take: Take<'_>,
) -> Result<(), QueryError> {
    for source in &select.sources {
        match source {
            Source::Measurement(measurement) => {
                for found in schema.measurements(measurement)? {
                    let allowed = allowed_groups(&found, level, budget)?;
                    let mut reader = Reader::open(&found, level, wanted)?;
                    while let Some(block) = reader.next(budget)? {
                        if take(block, allowed.as_ref(), Kind::Measurement)? == Flow::Stop {
                            break;
                        }
                    }
                }
            }
            Source::Subquery(inner) => {
                let inner_level = level.inner(inner)?;
                let rows = execute(inner, &inner_level, schema, budget)?;
                for block in blocks(rows, inner, &inner_level, level, wanted)? {
                    if take(block, None, Kind::Subquery)? == Flow::Stop {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The rows of a query within this one as points: for each group of the outermost query one block in order of time.
fn blocks(
    rows: Vec<SeriesRows>,
    inner: &Select,
    inner_level: &Level,
    level: &Level,
    wanted: &Wanted<'_>,
) -> Result<Vec<Block>, QueryError> {
    let mut blocks = Vec::new();
    let mut rows = rows.into_iter().peekable();
    let outer = |series: &SeriesRows| project(&series.tags, &inner_level.group_by, &inner_level.dimensions);
    while let Some(first) = rows.next() {
        let (name, group) = (first.name.clone(), outer(&first));
        let mut together = vec![first];
        while let Some(next) = rows.next_if(|next| next.name == name && outer(next) == group) {
            together.push(next);
        }
        let mut parts = Vec::new();
        for series in together {
            let part = block_of(series, inner, inner_level, level, wanted)?;
            if !part.times.is_empty() {
                parts.push(part);
            }
        }
        let by_time = inner.raw || !inner_level.interval.is_none() || steps_over_points(inner);
        if let Some(block) = merge(parts, level.ascending, by_time)? {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

/// Whether a query goes from point to point. One that makes one row of all points of a group gives its rows in the order
/// of the groups, not of their times.
fn steps_over_points(inner: &Select) -> bool {
    inner.fields.iter().any(|field| {
        let mut found = false;
        field.expr.walk(&mut |expr| {
            if let Expr::Call(call) = expr {
                let steps = ["derivative", "difference", "elapsed", "moving_average", "cumulative_sum"];
                found |= steps.iter().any(|name| call.name.ends_with(name));
            }
        });
        found
    })
}

/// Where a name is found in the rows of a query.
fn column_of(name: &str, inner: &Select) -> Option<usize> {
    let mut column = 0;
    for field in &inner.fields {
        if field.name() == name {
            return Some(column);
        }
        let tags = field.top_bottom_tags();
        if let Some(place) = tags.iter().position(|tag| tag.name == name) {
            return Some(column + 1 + place);
        }
        column += 1 + tags.len();
    }
    None
}

fn repeated(value: &str, rows: usize) -> StringArray {
    StringArray::from_iter_values(std::iter::repeat_n(value, rows))
}

fn block_of(
    series: SeriesRows,
    inner: &Select,
    inner_level: &Level,
    level: &Level,
    wanted: &Wanted<'_>,
) -> Result<Block, QueryError> {
    let tag = |name: &String| {
        let place = inner_level.group_by.iter().position(|known| known == name);
        place.map_or("", |place| series.tags[place].as_str())
    };
    let kept = match &level.condition {
        None => None,
        Some(condition) => {
            let rows = series.times.len();
            let lookup = |reference: &VarRef| -> Option<ArrayRef> {
                match column_of(&reference.name, inner) {
                    Some(column) => cast_column(&series.columns[column], reference.data_type).ok(),
                    // Whatever is no field is a tag, if only an empty one.
                    None => Some(Arc::new(repeated(tag(&reference.name), rows))),
                }
            };
            let rules = Rules { float_division: false, math: false, missing_is_false: true };
            Some(truths(&evaluate(condition, &lookup, rows, rules)?))
        }
    };
    let keep = |column: &ArrayRef| -> Result<ArrayRef, QueryError> {
        match &kept {
            Some(kept) => Ok(filter(column, kept)?),
            None => Ok(column.clone()),
        }
    };
    let is_kept = |row: usize| kept.as_ref().is_none_or(|kept: &BooleanArray| kept.value(row));
    let times: Vec<i64> =
        series.times.iter().enumerate().filter(|(row, _)| is_kept(*row)).map(|(_, time)| *time).collect();
    let mut columns = Vec::with_capacity(wanted.references.len());
    for reference in wanted.references {
        let dimension = || inner.dimensions.iter().any(|d| matches!(d, Expr::Ref(r) if r.name == reference.name));
        columns.push(match column_of(&reference.name, inner) {
            Some(column) => typed(&cast_column(&keep(&series.columns[column])?, reference.data_type)?, reference),
            None if dimension() => Arc::new(repeated(tag(&reference.name), times.len())) as ArrayRef,
            None => nothing(times.len()),
        });
    }
    let tags = level.group_by.iter().map(|name| Some(repeated(tag(name), times.len()))).collect();
    Ok(Block { name: series.name.clone(), times, tags, columns })
}

/// What is not of the wanted type is nothing.
fn typed(column: &ArrayRef, reference: &VarRef) -> ArrayRef {
    let fits = match reference.data_type {
        DataType::Float => column.data_type() == &ArrowType::Float64,
        DataType::Integer => column.data_type() == &ArrowType::Int64,
        DataType::Text | DataType::Tag => column.data_type() == &ArrowType::Utf8,
        DataType::Boolean => column.data_type() == &ArrowType::Boolean,
        _ => true,
    };
    if fits { column.clone() } else { nothing(column.len()) }
}

/// Blocks of one group as one, in order of time if that is wanted; at the same time in the order of the blocks.
fn merge(blocks: Vec<Block>, ascending: bool, by_time: bool) -> Result<Option<Block>, QueryError> {
    let mut blocks = blocks.into_iter();
    let Some(first) = blocks.next() else { return Ok(None) };
    let rest: Vec<Block> = blocks.collect();
    let all: Vec<&Block> = std::iter::once(&first).chain(&rest).collect();
    let times: Vec<i64> = all.iter().flat_map(|block| block.times.iter().copied()).collect();
    let in_order = |pair: &[i64]| if ascending { pair[0] <= pair[1] } else { pair[0] >= pair[1] };
    if rest.is_empty() && (!by_time || times.windows(2).all(in_order)) {
        return Ok(Some(first));
    }
    let mut order: Vec<u64> = (0..times.len() as u64).collect();
    match (by_time, ascending) {
        (true, true) => order.sort_by_key(|row| times[*row as usize]),
        (true, false) => order.sort_by_key(|row| std::cmp::Reverse(times[*row as usize])),
        (false, _) => {}
    }
    let times = order.iter().map(|row| times[*row as usize]).collect();
    let order = UInt64Array::from(order);
    let joined = |columns: Vec<ArrayRef>| -> Result<ArrayRef, QueryError> {
        let columns = super::functions::same_type(columns)?;
        let columns: Vec<&dyn Array> = columns.iter().map(|column| column.as_ref()).collect();
        Ok(take(&concat(&columns)?, &order, None)?)
    };
    let mut columns = Vec::with_capacity(first.columns.len());
    for place in 0..first.columns.len() {
        columns.push(joined(all.iter().map(|block| block.columns[place].clone()).collect())?);
    }
    let mut tags = Vec::with_capacity(first.tags.len());
    for place in 0..first.tags.len() {
        let column = |block: &&Block| -> ArrayRef {
            match &block.tags[place] {
                Some(values) => Arc::new(values.clone()),
                None => nothing(block.times.len()),
            }
        };
        let column = joined(all.iter().map(column).collect())?;
        tags.push(column.as_string_opt::<i32>().cloned());
    }
    Ok(Some(Block { name: first.name.clone(), times, tags, columns }))
}
