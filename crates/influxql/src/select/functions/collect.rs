//! Points kept as they are, for functions that need them all.

use arrow::array::{Array, ArrayRef, UInt64Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;

use super::pick::same_type;
use super::{Accumulator, Points, Results};
use crate::QueryError;
use crate::select::budget::Budget;

#[derive(Default)]
pub(super) struct Collected {
    cells: Vec<u32>,
    times: Vec<i64>,
    values: Vec<ArrayRef>,
    auxiliary: Vec<Vec<ArrayRef>>,
}

impl Accumulator for Collected {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        let rows: Vec<u64> = points.rows().map(|row| row as u64).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.cells.extend(rows.iter().map(|row| points.cells[*row as usize]));
        self.times.extend(rows.iter().map(|row| points.times[*row as usize]));
        budget.hold(rows.len() * 12)?;
        let rows = UInt64Array::from(rows);
        let values = take(points.values, &rows, None)?;
        budget.hold(values.get_array_memory_size())?;
        self.values.push(values);
        self.auxiliary.resize(points.auxiliary.len(), Vec::new());
        for (kept, column) in self.auxiliary.iter_mut().zip(points.auxiliary) {
            let column = take(column, &rows, None)?;
            budget.hold(column.get_array_memory_size())?;
            kept.push(column);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, cells: usize, _ascending: bool) -> Result<Results, QueryError> {
        (*self).sorted(cells)
    }
}

fn joined(columns: Vec<ArrayRef>, order: &UInt64Array) -> Result<ArrayRef, QueryError> {
    if columns.is_empty() {
        return Ok(new_empty_array(&DataType::Float64));
    }
    let columns = same_type(columns)?;
    let columns: Vec<&dyn Array> = columns.iter().map(|column| column.as_ref()).collect();
    Ok(take(&concat(&columns)?, order, None)?)
}

impl Collected {
    /// The points of each cell in the order in which they came.
    pub(super) fn sorted(self, cells: usize) -> Result<Results, QueryError> {
        let mut offsets = vec![0_u32; cells + 1];
        for cell in &self.cells {
            offsets[*cell as usize + 1] += 1;
        }
        for cell in 0..cells {
            offsets[cell + 1] += offsets[cell];
        }
        let mut next = offsets.clone();
        let mut order = vec![0_u64; self.cells.len()];
        for (row, cell) in self.cells.iter().enumerate() {
            let place = &mut next[*cell as usize];
            order[*place as usize] = row as u64;
            *place += 1;
        }
        let times = order.iter().map(|row| self.times[*row as usize]).collect();
        let order = UInt64Array::from(order);
        let values = joined(self.values, &order)?;
        let auxiliary = self.auxiliary.into_iter().map(|columns| joined(columns, &order)).collect::<Result<_, _>>()?;
        Ok(Results { offsets, times, values, auxiliary })
    }
}
