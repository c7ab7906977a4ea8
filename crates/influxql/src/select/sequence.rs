//! The results of one function for one group, and how windows without results are filled.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, UInt64Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::budget::Budget;
use super::functions::{Results, WINDOW_START};
use super::level::Level;
use crate::QueryError;
use crate::ast::Fill;
use crate::time::{MIN_TIME, zone_offset};

/// Points of one group in the order of the answer. A null value is a window that is filled with nothing.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub times: Vec<i64>,
    pub values: ArrayRef,
    pub auxiliary: Vec<ArrayRef>,
}

impl Sequence {
    /// The results of some cells, one after the other. `starts` are the starts of the cells' windows.
    pub fn of_cells(results: &Results, cells: &[u32], start: impl Fn(u32) -> i64) -> Result<Self, QueryError> {
        let (mut rows, mut times) = (Vec::new(), Vec::new());
        for cell in cells {
            for row in results.offsets[*cell as usize]..results.offsets[*cell as usize + 1] {
                let time = results.times[row as usize];
                times.push(if time == WINDOW_START { start(*cell) } else { time });
                rows.push(u64::from(row));
            }
        }
        Self::of_rows(results, rows, times)
    }

    pub fn of_rows(results: &Results, rows: Vec<u64>, times: Vec<i64>) -> Result<Self, QueryError> {
        let rows = UInt64Array::from(rows);
        let values = take(&results.values, &rows, None)?;
        let auxiliary = results.auxiliary.iter().map(|column| take(column, &rows, None)).collect::<Result<_, _>>()?;
        Ok(Self { times, values, auxiliary })
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Times become the starts of their windows.
    pub fn at_windows(mut self, level: &Level) -> Self {
        for time in &mut self.times {
            *time = level.shown_time(*time);
        }
        self
    }

    pub fn slice(self, offset: usize, limit: usize) -> Self {
        let offset = offset.min(self.len());
        let length = if limit == 0 { self.len() - offset } else { limit.min(self.len() - offset) };
        Self {
            times: self.times[offset..offset + length].to_vec(),
            values: self.values.slice(offset, length),
            auxiliary: self.auxiliary.iter().map(|column| column.slice(offset, length)).collect(),
        }
    }

    /// Rows without nulls.
    pub fn present(&self) -> impl Iterator<Item = usize> + '_ {
        let nulls = self.values.logical_nulls();
        (0..self.len()).filter(move |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
    }
}

/// What stands in a window that has no result.
#[derive(Clone, Copy)]
enum Filled {
    Row(usize),
    Nothing,
    /// Between two rows at a place from 0 to 1 that is given by numbers of windows.
    Between {
        before: usize,
        after: usize,
        at: i64,
        from: i64,
        to: i64,
    },
    Value,
}

/// Fills the windows of `level` that `sequence` leaves out, up to `rows_max` rows.
pub fn fill(
    sequence: Sequence,
    level: &Level,
    fill: Fill,
    rows_max: usize,
    budget: &Budget,
) -> Result<Sequence, QueryError> {
    if sequence.times.is_empty() || fill == Fill::None {
        return Ok(sequence);
    }
    let (first, last) = match level.ascending {
        true => (level.window(level.start).0, level.window(level.end).0),
        false => (level.window(level.end).0, level.window(level.start).0),
    };
    let duration = level.interval.duration;
    let offset_at = |time: i64| level.zone.map_or(0, |zone| zone_offset(zone, time));
    // Without a first time there are windows from the first point on.
    let unbounded = level.start <= MIN_TIME;
    let mut time = if unbounded && level.ascending { level.window(sequence.times[0]).0 } else { first };
    let mut zone = offset_at(time);
    let nulls = sequence.values.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let (mut times, mut rows) = (Vec::new(), Vec::new());
    let (mut next, mut previous) = (0, None);
    while rows.len() < rows_max {
        let waiting = (next < sequence.len()).then_some(next);
        let inside = if level.ascending { time <= last } else { time >= last && !unbounded };
        let due = match waiting {
            Some(row) if level.ascending => sequence.times[row] <= time,
            Some(row) => sequence.times[row] >= time,
            None if !inside => break,
            None => false,
        };
        if due {
            times.push(sequence.times[next]);
            rows.push(Filled::Row(next));
            previous = Some(next).filter(|row| !is_null(*row));
            next += 1;
        } else {
            times.push(time);
            rows.push(match (fill, previous, waiting) {
                (Fill::Linear, Some(before), Some(after)) => Filled::Between {
                    before,
                    after,
                    at: time / duration,
                    from: sequence.times[before] / duration,
                    to: sequence.times[after] / duration,
                },
                (Fill::Previous, Some(before), _) => Filled::Row(before),
                (Fill::Integer(_) | Fill::Float(_), ..) => Filled::Value,
                _ => Filled::Nothing,
            });
        }
        if rows.len() % 4_096 == 0 {
            budget.hold(4_096 * (size_of::<Filled>() + 8))?;
        }
        time = time.saturating_add(if level.ascending { duration } else { -duration });
        if level.zone.is_some() {
            let offset = offset_at(time.saturating_sub(1));
            if offset != zone {
                if (zone - offset).abs() < duration {
                    time = time.saturating_add(zone - offset);
                }
                zone = offset;
            }
        }
    }
    build(&sequence, times, &rows, fill)
}

fn build(sequence: &Sequence, times: Vec<i64>, rows: &[Filled], fill: Fill) -> Result<Sequence, QueryError> {
    let kept: UInt64Array = rows
        .iter()
        .map(|row| match row {
            Filled::Row(row) => Some(*row as u64),
            _ => None,
        })
        .collect();
    let values: ArrayRef = match sequence.values.data_type() {
        DataType::Float64 => {
            let values = sequence.values.as_primitive::<Float64Type>();
            let constant = match fill {
                Fill::Integer(value) => value as f64,
                Fill::Float(value) => value,
                _ => 0.0,
            };
            Arc::new(
                rows.iter()
                    .map(|row| match *row {
                        Filled::Row(row) => values.is_valid(row).then(|| values.value(row)),
                        Filled::Nothing => None,
                        Filled::Value => Some(constant),
                        Filled::Between { before, after, at, from, to } => {
                            let (low, high) = (values.value(before), values.value(after));
                            Some((high - low) / (to - from) as f64 * (at - from) as f64 + low)
                        }
                    })
                    .collect::<Float64Array>(),
            )
        }
        DataType::Int64 => {
            let values = sequence.values.as_primitive::<Int64Type>();
            let constant = match fill {
                Fill::Integer(value) => value,
                Fill::Float(value) => value as i64,
                _ => 0,
            };
            Arc::new(
                rows.iter()
                    .map(|row| match *row {
                        Filled::Row(row) => values.is_valid(row).then(|| values.value(row)),
                        Filled::Nothing => None,
                        Filled::Value => Some(constant),
                        Filled::Between { before, after, at, from, to } => {
                            let (low, high) = (values.value(before), values.value(after));
                            let slope = high.wrapping_sub(low) as f64 / (to - from) as f64;
                            Some((slope * (at - from) as f64 + low as f64) as i64)
                        }
                    })
                    .collect::<Int64Array>(),
            )
        }
        DataType::Utf8 if matches!(fill, Fill::Integer(_) | Fill::Float(_)) => {
            let values = sequence.values.as_string::<i32>();
            Arc::new(
                rows.iter()
                    .map(|row| match *row {
                        Filled::Row(row) => values.is_valid(row).then(|| values.value(row)),
                        _ => Some(""),
                    })
                    .collect::<StringArray>(),
            )
        }
        DataType::Boolean if matches!(fill, Fill::Integer(_) | Fill::Float(_)) => {
            let values = sequence.values.as_boolean();
            Arc::new(
                rows.iter()
                    .map(|row| match *row {
                        Filled::Row(row) => values.is_valid(row).then(|| values.value(row)),
                        _ => Some(false),
                    })
                    .collect::<arrow::array::BooleanArray>(),
            )
        }
        _ => take(&sequence.values, &kept, None)?,
    };
    // What is filled in has a value, but is no point: nothing else is known of it.
    let own = |row: &Filled, place: usize| matches!(row, Filled::Row(row) if sequence.times[*row] == times[place]);
    let points: UInt64Array = rows
        .iter()
        .enumerate()
        .map(|(place, row)| match row {
            Filled::Row(of) if own(row, place) => Some(*of as u64),
            _ => None,
        })
        .collect();
    let auxiliary = sequence.auxiliary.iter().map(|column| take(column, &points, None)).collect::<Result<_, _>>()?;
    Ok(Sequence { times, values, auxiliary })
}

/// The sequence of a group without results.
pub fn empty(data_type: &DataType, auxiliary: usize) -> Sequence {
    let column = || new_null_array(data_type, 0);
    Sequence { times: Vec::new(), values: column(), auxiliary: (0..auxiliary).map(|_| column()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QueryLimits;
    use crate::compile::Interval;

    fn level(start: i64, end: i64, ascending: bool) -> Level {
        Level {
            start,
            end,
            interval: Interval { duration: 10, offset: 0 },
            zone: None,
            dimensions: Vec::new(),
            group_by: Vec::new(),
            condition: None,
            fill: Fill::Null,
            ascending,
            limit: 0,
            offset: 0,
            slimit: 0,
            soffset: 0,
            now: 0,
        }
    }

    fn filled(level: &Level, times: &[i64], values: &[i64], how: Fill) -> Vec<(i64, Option<i64>)> {
        let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let sequence = Sequence { times: times.to_vec(), values, auxiliary: Vec::new() };
        let filled = fill(sequence, level, how, usize::MAX, &Budget::new(&QueryLimits::default())).unwrap();
        let values = filled.values.as_primitive::<Int64Type>();
        filled.times.iter().copied().zip(values.iter()).collect()
    }

    #[test]
    fn windows_without_results() {
        let level = level(5, 45, true);
        let check = |how, expected: [(i64, Option<i64>); 5]| {
            assert_eq!(filled(&level, &[10, 30], &[4, 8], how), expected, "{how:?}");
        };
        check(Fill::Null, [(0, None), (10, Some(4)), (20, None), (30, Some(8)), (40, None)]);
        check(Fill::Integer(7), [(0, Some(7)), (10, Some(4)), (20, Some(7)), (30, Some(8)), (40, Some(7))]);
        check(Fill::Previous, [(0, None), (10, Some(4)), (20, Some(4)), (30, Some(8)), (40, Some(8))]);
        check(Fill::Linear, [(0, None), (10, Some(4)), (20, Some(6)), (30, Some(8)), (40, None)]);
        assert_eq!(filled(&level, &[10, 30], &[4, 8], Fill::None), [(10, Some(4)), (30, Some(8))]);
    }

    #[test]
    fn newest_first_and_without_a_start() {
        let filled_rows = filled(&level(5, 25, false), &[10], &[4], Fill::Previous);
        assert_eq!(filled_rows, [(20, None), (10, Some(4)), (0, Some(4))]);
        let filled_rows = filled(&level(MIN_TIME, 25, true), &[10], &[4], Fill::Null);
        assert_eq!(filled_rows, [(10, Some(4)), (20, None)]);
    }
}
