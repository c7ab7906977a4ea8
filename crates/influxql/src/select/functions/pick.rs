//! Functions that choose one point of a cell, with its time and what else is wanted of it.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, Function, Points, Results, single_offsets};
use crate::QueryError;
use crate::select::budget::Budget;

/// Values of one type in an array.
trait Value: Clone + PartialOrd + 'static {
    fn get(array: &ArrayRef, row: usize) -> Option<Self>;
    fn array(values: Vec<Self>) -> ArrayRef;
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl Value for f64 {
    fn get(array: &ArrayRef, row: usize) -> Option<Self> {
        array.as_primitive_opt::<Float64Type>().map(|values| values.value(row))
    }

    fn array(values: Vec<Self>) -> ArrayRef {
        Arc::new(Float64Array::from(values))
    }
}

impl Value for i64 {
    fn get(array: &ArrayRef, row: usize) -> Option<Self> {
        array.as_primitive_opt::<Int64Type>().map(|values| values.value(row))
    }

    fn array(values: Vec<Self>) -> ArrayRef {
        Arc::new(Int64Array::from(values))
    }
}

impl Value for bool {
    fn get(array: &ArrayRef, row: usize) -> Option<Self> {
        array.as_boolean_opt().map(|values| values.value(row))
    }

    fn array(values: Vec<Self>) -> ArrayRef {
        Arc::new(BooleanArray::from(values))
    }
}

impl Value for String {
    fn get(array: &ArrayRef, row: usize) -> Option<Self> {
        array.as_string_opt::<i32>().map(|values| values.value(row).to_owned())
    }

    fn array(values: Vec<Self>) -> ArrayRef {
        Arc::new(StringArray::from(values))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.len()
    }
}

pub(super) fn make(function: &Function, values: &DataType) -> Box<dyn Accumulator> {
    match values {
        DataType::Int64 => Box::new(Pick::<i64>::new(function)),
        DataType::Boolean => Box::new(Pick::<bool>::new(function)),
        DataType::Utf8 => Box::new(Pick::<String>::new(function)),
        _ => Box::new(Pick::<f64>::new(function)),
    }
}

#[derive(Clone)]
struct Chosen<T> {
    value: T,
    time: i64,
    /// Where the rest of the point is: chunk and row.
    place: (usize, usize),
}

struct Pick<T> {
    function: Function,
    cells: Vec<Option<Chosen<T>>>,
    /// What else is wanted of points that were chosen, one array for each reference.
    chunks: Vec<Vec<ArrayRef>>,
}

impl<T: Value> Pick<T> {
    fn new(function: &Function) -> Self {
        Self { function: function.clone(), cells: Vec::new(), chunks: Vec::new() }
    }

    /// Whether a point is chosen instead of the one before.
    fn better(&self, chosen: &Chosen<T>, time: i64, value: &T) -> bool {
        // What is not a number is neither the least nor the greatest, unless there is nothing else.
        let nan = |value: &T| value.partial_cmp(value).is_none();
        if matches!(self.function, Function::Min | Function::Max) && nan(&chosen.value) {
            return !nan(value) || time < chosen.time;
        }
        let order = value.partial_cmp(&chosen.value);
        let earlier = time < chosen.time;
        match self.function {
            Function::Min => order == Some(Ordering::Less) || (order == Some(Ordering::Equal) && earlier),
            Function::Max => order == Some(Ordering::Greater) || (order == Some(Ordering::Equal) && earlier),
            Function::First => {
                // Of points at one time the greatest, of booleans the least.
                let wanted = if Self::is_boolean() { Ordering::Less } else { Ordering::Greater };
                earlier || (time == chosen.time && order == Some(wanted))
            }
            _ => time > chosen.time || (time == chosen.time && order == Some(Ordering::Greater)),
        }
    }

    fn is_boolean() -> bool {
        std::any::TypeId::of::<T>() == std::any::TypeId::of::<bool>()
    }
}

impl<T: Value> Accumulator for Pick<T> {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        if points.cell_count > self.cells.len() {
            budget.hold((points.cell_count - self.cells.len()) * size_of::<Option<Chosen<T>>>())?;
            self.cells.resize(points.cell_count, None);
        }
        let chunk = self.chunks.len();
        let mut touched = Vec::new();
        for row in points.rows() {
            let Some(value) = T::get(points.values, row) else { return Ok(()) };
            let time = points.times[row];
            let cell = points.cells[row] as usize;
            if self.cells[cell].as_ref().is_none_or(|chosen| self.better(chosen, time, &value)) {
                let before = self.cells[cell].as_ref().map_or(0, |chosen| chosen.value.bytes());
                budget.hold(value.bytes().saturating_sub(before))?;
                if !points.auxiliary.is_empty() {
                    touched.push(cell);
                }
                self.cells[cell] = Some(Chosen { value, time, place: (chunk, row) });
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        // Of the points chosen in this batch, those that are still chosen.
        touched.sort_unstable();
        touched.dedup();
        let mut rows = Vec::with_capacity(touched.len());
        for cell in touched {
            if let Some(chosen) = &mut self.cells[cell] {
                rows.push(chosen.place.1 as u64);
                chosen.place.1 = rows.len() - 1;
            }
        }
        let rows = UInt64Array::from(rows);
        let mut kept = Vec::with_capacity(points.auxiliary.len());
        for column in points.auxiliary {
            let column = take(column, &rows, None)?;
            budget.hold(column.get_array_memory_size())?;
            kept.push(column);
        }
        self.chunks.push(kept);
        Ok(())
    }

    fn finish(mut self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        self.cells.resize(cells, None);
        let offsets = single_offsets(self.cells.iter().map(Option::is_some));
        let columns = self.chunks.first().map_or(0, Vec::len);
        let places: Vec<(usize, usize)> = self.cells.iter().flatten().map(|chosen| chosen.place).collect();
        let mut auxiliary = Vec::with_capacity(columns);
        for column in 0..columns {
            let chunks = same_type(self.chunks.iter().map(|chunk| chunk[column].clone()).collect())?;
            let chunks: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.as_ref()).collect();
            auxiliary.push(interleave(&chunks, &places)?);
        }
        let times = self.cells.iter().flatten().map(|chosen| chosen.time).collect();
        let values = T::array(self.cells.into_iter().flatten().map(|chosen| chosen.value).collect());
        Ok(Results { offsets, times, values, auxiliary })
    }
}

/// Columns without values take the type of the others.
pub fn same_type(columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>, QueryError> {
    let known = columns.iter().map(|column| column.data_type()).find(|data_type| *data_type != &DataType::Null);
    let Some(known) = known.cloned() else { return Ok(columns) };
    columns
        .into_iter()
        .map(|column| match column.data_type() {
            DataType::Null => Ok(arrow::array::new_null_array(&known, column.len())),
            other if other == &known => Ok(column),
            _ => Ok(arrow::compute::cast(&column, &known)?),
        })
        .collect()
}
