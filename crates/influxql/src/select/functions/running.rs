//! Functions that need no more than a few numbers for each cell.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, Function, Points, Results, WINDOW_START, single_offsets};
use crate::QueryError;
use crate::select::budget::Budget;

pub(super) fn make(function: &Function, values: &DataType) -> Box<dyn Accumulator> {
    let integer = values == &DataType::Int64;
    match function {
        Function::Count => Box::new(Count { counts: Vec::new() }),
        _ if integer => Box::new(Integers { function: function.clone(), cells: Vec::new() }),
        _ => Box::new(Floats { function: function.clone(), cells: Vec::new() }),
    }
}

struct Count {
    counts: Vec<i64>,
}

fn grow<T: Clone>(cells: &mut Vec<T>, count: usize, empty: T, budget: &Budget) -> Result<(), QueryError> {
    if count > cells.len() {
        budget.hold((count - cells.len()) * size_of::<T>())?;
        cells.resize(count, empty);
    }
    Ok(())
}

fn results(present: impl Iterator<Item = bool>, values: ArrayRef) -> Results {
    Results { offsets: single_offsets(present), times: vec![WINDOW_START; values.len()], values, auxiliary: Vec::new() }
}

impl Accumulator for Count {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        grow(&mut self.counts, points.cell_count, 0, budget)?;
        for row in points.rows() {
            self.counts[points.cells[row] as usize] += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        self.counts.resize(cells, 0);
        let values = self.counts.iter().copied().filter(|count| *count > 0).collect::<Vec<i64>>();
        Ok(results(self.counts.iter().map(|count| *count > 0), Arc::new(Int64Array::from(values))))
    }
}

/// `sum` is the sum, or what spread subtracts.
#[derive(Clone, Copy)]
struct Cell<T> {
    count: u64,
    sum: T,
    min: T,
    max: T,
}

struct Floats {
    function: Function,
    cells: Vec<Cell<f64>>,
}

const FLOAT: Cell<f64> = Cell { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

impl Accumulator for Floats {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        grow(&mut self.cells, points.cell_count, FLOAT, budget)?;
        let Some(values) = points.values.as_primitive_opt::<Float64Type>() else { return Ok(()) };
        for row in points.rows() {
            let cell = &mut self.cells[points.cells[row] as usize];
            let value = values.value(row);
            cell.count += 1;
            cell.sum += value;
            cell.min = cell.min.min(value);
            cell.max = cell.max.max(value);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        self.cells.resize(cells, FLOAT);
        let value = |cell: &Cell<f64>| match self.function {
            Function::Mean => cell.sum / cell.count as f64,
            Function::Spread => cell.max - cell.min,
            _ => cell.sum,
        };
        let values: Vec<f64> = self.cells.iter().filter(|cell| cell.count > 0).map(value).collect();
        Ok(results(self.cells.iter().map(|cell| cell.count > 0), Arc::new(Float64Array::from(values))))
    }
}

struct Integers {
    function: Function,
    cells: Vec<Cell<i64>>,
}

const INTEGER: Cell<i64> = Cell { count: 0, sum: 0, min: i64::MAX, max: i64::MIN };

impl Accumulator for Integers {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        grow(&mut self.cells, points.cell_count, INTEGER, budget)?;
        let Some(values) = points.values.as_primitive_opt::<Int64Type>() else { return Ok(()) };
        for row in points.rows() {
            let cell = &mut self.cells[points.cells[row] as usize];
            let value = values.value(row);
            cell.count += 1;
            cell.sum = cell.sum.wrapping_add(value);
            cell.min = cell.min.min(value);
            cell.max = cell.max.max(value);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        self.cells.resize(cells, INTEGER);
        let present = self.cells.iter().filter(|cell| cell.count > 0);
        let values: ArrayRef = match self.function {
            Function::Mean => {
                let means = present.map(|cell| cell.sum as f64 / cell.count as f64);
                Arc::new(Float64Array::from_iter_values(means))
            }
            Function::Spread => {
                Arc::new(Int64Array::from_iter_values(present.map(|cell| cell.max.wrapping_sub(cell.min))))
            }
            _ => Arc::new(Int64Array::from_iter_values(present.map(|cell| cell.sum))),
        };
        Ok(results(self.cells.iter().map(|cell| cell.count > 0), values))
    }
}
