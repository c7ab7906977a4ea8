//! Functions of all points of a cell at once.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::collect::Collected;
use super::{Accumulator, Function, Points, Results, WINDOW_START};
use crate::QueryError;
use crate::eval::floats;
use crate::select::budget::Budget;

pub(super) struct Sliced {
    pub function: Function,
    pub points: Collected,
}

impl Accumulator for Sliced {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        self.points.add(points, budget)
    }

    fn finish(self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        let points = self.points.sorted(cells)?;
        match self.function {
            Function::Median => over_floats(&points, median),
            Function::Stddev => over_floats(&points, stddev),
            function => chosen(&function, &points),
        }
    }
}

fn ranges(points: &Results) -> impl Iterator<Item = Range<usize>> + '_ {
    points.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
}

fn over_floats(points: &Results, function: fn(&mut [f64]) -> f64) -> Result<Results, QueryError> {
    let values = floats(&points.values)?.unwrap_or_else(|| Float64Array::from(Vec::<f64>::new()));
    let mut results = Vec::new();
    let mut offsets = vec![0];
    for range in ranges(points) {
        if !range.is_empty() {
            results.push(function(&mut values.values()[range].to_vec()));
        }
        offsets.push(results.len() as u32);
    }
    Ok(Results {
        offsets,
        times: vec![WINDOW_START; results.len()],
        values: Arc::new(Float64Array::from(results)),
        auxiliary: Vec::new(),
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return values[middle];
    }
    let (low, high) = (values[middle - 1], values[middle]);
    low + (high - low) / 2.0
}

fn stddev(values: &mut [f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let (mut mean, mut count) = (0.0, 0.0);
    for value in values.iter().filter(|value| !value.is_nan()) {
        count += 1.0;
        mean += (value - mean) / count;
    }
    let variance: f64 = values.iter().filter(|value| !value.is_nan()).map(|value| (value - mean).powi(2)).sum();
    (variance / (count - 1.0)).sqrt()
}

/// Compares two values of one column.
pub(crate) fn comparator(values: &ArrayRef) -> Box<dyn Fn(usize, usize) -> Ordering + '_> {
    match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            Box::new(|a, b| values.value(a).cmp(&values.value(b)))
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            Box::new(|a, b| values.value(a).partial_cmp(&values.value(b)).unwrap_or(Ordering::Equal))
        }
        DataType::Boolean => {
            let values = values.as_boolean();
            Box::new(|a, b| values.value(a).cmp(&values.value(b)))
        }
        DataType::Utf8 => {
            let values = values.as_string::<i32>();
            Box::new(|a, b| values.value(a).cmp(values.value(b)))
        }
        _ => Box::new(|_, _| Ordering::Equal),
    }
}

/// Functions whose results are values of their points.
fn chosen(function: &Function, points: &Results) -> Result<Results, QueryError> {
    let compare = comparator(&points.values);
    let mut rows: Vec<u64> = Vec::new();
    let mut offsets = vec![0];
    for range in ranges(points) {
        let mut cell: Vec<usize> = range.collect();
        if !cell.is_empty() {
            choose(function, points, &mut cell, &*compare);
            rows.extend(cell.iter().map(|row| *row as u64));
        }
        offsets.push(rows.len() as u32);
    }
    let own_time = !matches!(function, Function::Mode);
    let time = |row: &u64| if own_time { points.times[*row as usize] } else { WINDOW_START };
    let times = rows.iter().map(time).collect();
    let rows = UInt64Array::from(rows);
    let values = take(&points.values, &rows, None)?;
    let auxiliary = points.auxiliary.iter().map(|column| take(column, &rows, None)).collect::<Result<_, _>>()?;
    Ok(Results { offsets, times, values, auxiliary })
}

/// Leaves of a cell's rows those that are chosen.
fn choose(function: &Function, points: &Results, cell: &mut Vec<usize>, compare: &dyn Fn(usize, usize) -> Ordering) {
    let times = &points.times;
    match function {
        Function::Percentile(percentile) => {
            let place = (cell.len() as f64 * percentile / 100.0 + 0.5).floor() - 1.0;
            if place < 0.0 || place >= cell.len() as f64 {
                cell.clear();
                return;
            }
            cell.sort_by(|a, b| compare(*a, *b));
            *cell = vec![cell[place as usize]];
        }
        Function::Mode => *cell = vec![mode(times, cell, compare, points.values.data_type())],
        Function::Distinct => {
            cell.sort_by(|a, b| compare(*a, *b));
            cell.dedup_by(|a, b| compare(*a, *b).is_eq());
            cell.sort_by_key(|row| times[*row]);
        }
        Function::Top(count) => top(times, cell, *count, &|a, b| compare(b, a)),
        Function::Bottom(count) => top(times, cell, *count, &|a, b| compare(a, b)),
        _ => {}
    }
}

fn top(times: &[i64], cell: &mut Vec<usize>, count: usize, better: &dyn Fn(usize, usize) -> Ordering) {
    cell.sort_by(|a, b| better(*a, *b).then(times[*a].cmp(&times[*b])));
    cell.truncate(count);
    cell.sort_by_key(|row| times[*row]);
}

fn mode(times: &[i64], cell: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering, data_type: &DataType) -> usize {
    cell.sort_by(|a, b| compare(*a, *b));
    if data_type == &DataType::Boolean {
        // As many of both are true.
        let last = cell[cell.len() - 1];
        let falses = cell.iter().filter(|row| compare(**row, last).is_lt()).count();
        return if cell.len() - falses >= falses { last } else { cell[0] };
    }
    let (mut current, mut most) = (cell[0], cell[0]);
    let (mut current_count, mut most_count) = (0, 0);
    let (mut current_time, mut most_time) = (times[cell[0]], times[cell[0]]);
    for row in cell.iter().copied() {
        if compare(row, current).is_ne() {
            current_count = 1;
            current = row;
            current_time = times[row];
            continue;
        }
        current_count += 1;
        if most_count > current_count || (most_count == current_count && current_time > most_time) {
            continue;
        }
        most_count = current_count;
        most = row;
        most_time = times[row];
    }
    most
}

/// The best results of cells that each have one, for `top(field, tags, n)`.
pub fn top_of_cells(function: &Function, results: &Results, cells: &[u32]) -> Vec<u64> {
    let compare = comparator(&results.values);
    let first = |cell: &u32| results.offsets[*cell as usize]..results.offsets[*cell as usize + 1];
    let mut rows: Vec<usize> = cells.iter().flat_map(first).map(|row| row as usize).collect();
    choose(function, results, &mut rows, &*compare);
    rows.into_iter().map(|row| row as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_deviations() {
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(stddev(&mut [1.0]).is_nan());
        assert_eq!(stddev(&mut [1.0, 3.0]), std::f64::consts::SQRT_2);
    }
}
