//! Sequences of several functions brought together by time, and fields worked out from them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, UInt64Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type};

use super::level::Level;
use super::plan::{Origin, Plan, Symbol};
use super::sequence::Sequence;
use crate::QueryError;
use crate::ast::{DataType, Fill, VarRef};
use crate::eval::{Rules, evaluate, nothing};

pub struct Joined {
    pub times: Vec<i64>,
    /// The columns of the fields.
    pub columns: Vec<ArrayRef>,
}

/// Joins the sequences of the plan's calls; for a plan without calls one sequence of what is selected.
pub fn join(plan: &Plan, level: &Level, sequences: &[Sequence]) -> Result<Joined, QueryError> {
    let (times, rows) = match sequences {
        [one] => (one.times.clone(), vec![(0..one.len()).map(|row| Some(row as u64)).collect::<Vec<_>>()]),
        _ => by_time(sequences, level.ascending),
    };
    let mut symbols = Vec::with_capacity(plan.symbols.len());
    for symbol in &plan.symbols {
        let (column, rows) = match symbol.origin {
            Origin::Call(Some(call)) => (&sequences[call].values, &rows[call]),
            Origin::Auxiliary(place) if place < sequences[0].auxiliary.len() => {
                (&sequences[0].auxiliary[place], &rows[0])
            }
            _ => {
                symbols.push(nothing(times.len()));
                continue;
            }
        };
        symbols.push(with_default(column, rows, symbol, level.fill)?);
    }
    let lookup = |reference: &VarRef| {
        let place: usize = reference.name.parse().ok()?;
        symbols.get(place).cloned()
    };
    let rules = Rules { float_division: true, math: true, missing_is_false: true };
    let mut columns = Vec::with_capacity(plan.fields.len());
    for field in &plan.fields {
        columns.push(without_nan(evaluate(field, &lookup, times.len(), rules)?));
    }
    Ok(Joined { times, columns })
}

/// All times in order, and the row of each sequence at each.
fn by_time(sequences: &[Sequence], ascending: bool) -> (Vec<i64>, Vec<Vec<Option<u64>>>) {
    let mut next = vec![0; sequences.len()];
    let mut times = Vec::new();
    let mut rows: Vec<Vec<Option<u64>>> = vec![Vec::new(); sequences.len()];
    loop {
        let heads = sequences.iter().zip(&next).filter_map(|(sequence, next)| sequence.times.get(*next));
        let Some(time) = (if ascending { heads.min() } else { heads.max() }).copied() else { return (times, rows) };
        times.push(time);
        for (place, sequence) in sequences.iter().enumerate() {
            let here = sequence.times.get(next[place]) == Some(&time);
            rows[place].push(here.then_some(next[place] as u64));
            next[place] += usize::from(here);
        }
    }
}

/// The column's values at some rows, with what stands for those that are missing.
fn with_default(column: &ArrayRef, rows: &[Option<u64>], symbol: &Symbol, fill: Fill) -> Result<ArrayRef, QueryError> {
    let nulls = column.logical_nulls();
    let present = |row: u64| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row as usize));
    let rows: UInt64Array = match fill {
        Fill::Previous => {
            let mut previous = None;
            rows.iter()
                .map(|row| {
                    previous = row.filter(|row| present(*row)).or(previous);
                    previous
                })
                .collect()
        }
        _ => rows.iter().map(|row| row.filter(|row| present(*row))).collect(),
    };
    let data_type = arrow_type(symbol.data_type, column.data_type());
    let values = match column.data_type() {
        ArrowType::Null => new_null_array(&data_type, rows.len()),
        _ => take(column, &rows, None)?,
    };
    let constant = match fill {
        Fill::Integer(value) => value as f64,
        Fill::Float(value) => value,
        _ => return Ok(values),
    };
    Ok(match (values.data_type(), fill) {
        (ArrowType::Float64, _) => {
            let values = values.as_primitive::<Float64Type>();
            Arc::new(values.iter().map(|value| value.or(Some(constant))).collect::<Float64Array>())
        }
        (ArrowType::Int64, Fill::Integer(constant)) => filled_integers(&values, constant),
        (ArrowType::Int64, _) => filled_integers(&values, constant as i64),
        _ => values,
    })
}

fn filled_integers(values: &ArrayRef, constant: i64) -> ArrayRef {
    let values = values.as_primitive::<Int64Type>();
    Arc::new(values.iter().map(|value| value.or(Some(constant))).collect::<Int64Array>())
}

fn arrow_type(data_type: DataType, found: &ArrowType) -> ArrowType {
    match (found, data_type) {
        (ArrowType::Null, DataType::Float) => ArrowType::Float64,
        (ArrowType::Null, DataType::Integer) => ArrowType::Int64,
        (ArrowType::Null, DataType::Text | DataType::Tag) => ArrowType::Utf8,
        (ArrowType::Null, DataType::Boolean) => ArrowType::Boolean,
        (found, _) => found.clone(),
    }
}

/// What is not a number, or has no end, cannot be written and is null.
fn without_nan(column: ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        Some(values) if values.values().iter().any(|value| !value.is_finite()) => {
            Arc::new(values.iter().map(|value| value.filter(|value| value.is_finite())).collect::<Float64Array>())
        }
        _ => column,
    }
}
