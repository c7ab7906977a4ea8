//! Functions that make something of the points of a window.

mod collect;
mod pick;
mod running;
mod slice;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::budget::Budget;
use crate::QueryError;

pub use pick::same_type;
pub use slice::top_of_cells;

/// A function over windows.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    First,
    Last,
    Spread,
    Stddev,
    Median,
    Mode,
    Percentile(f64),
    Distinct,
    Top(usize),
    Bottom(usize),
    /// The points themselves, for functions that go from point to point.
    Points,
}

/// The time of results that are shown at the start of their window.
pub const WINDOW_START: i64 = i64::MIN;

/// Points with the cells they belong to. Null values are no points.
pub struct Points<'a> {
    pub cells: &'a [u32],
    pub cell_count: usize,
    pub times: &'a [i64],
    pub values: &'a ArrayRef,
    /// What else is wanted of a point that is chosen.
    pub auxiliary: &'a [ArrayRef],
}

impl Points<'_> {
    /// Rows that are points.
    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        let nulls = self.values.logical_nulls();
        (0..self.times.len()).filter(move |row| {
            self.cells[*row] != super::groups::NONE && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))
        })
    }
}

/// The results of each cell: those of cell `c` are at `offsets[c]..offsets[c + 1]`.
#[derive(Clone, Debug)]
pub struct Results {
    pub offsets: Vec<u32>,
    pub times: Vec<i64>,
    pub values: ArrayRef,
    pub auxiliary: Vec<ArrayRef>,
}

/// Takes points in and gives results for each cell.
pub trait Accumulator {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError>;

    fn finish(self: Box<Self>, cells: usize, ascending: bool) -> Result<Results, QueryError>;
}

/// The type of what a column without values is taken for.
fn type_of(values: &DataType) -> DataType {
    if values == &DataType::Null { DataType::Float64 } else { values.clone() }
}

/// Makes the accumulator of a function over values of a type.
pub fn accumulator(function: &Function, values: &DataType) -> Result<Box<dyn Accumulator>, QueryError> {
    let values = type_of(values);
    check_type(function, &values)?;
    Ok(match function {
        Function::Count | Function::Sum | Function::Mean | Function::Spread => running::make(function, &values),
        Function::Min | Function::Max | Function::First | Function::Last => pick::make(function, &values),
        Function::Points => Box::new(collect::Collected::default()),
        _ => Box::new(slice::Sliced { function: function.clone(), points: collect::Collected::default() }),
    })
}

impl Function {
    /// Its name as messages about types have it.
    fn name(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Spread => "spread",
            Self::Stddev => "stddev",
            Self::Median | Self::Mode => "median",
            Self::Percentile(_) => "percentile",
            Self::Distinct => "distinct",
            Self::Top(_) => "top",
            Self::Bottom(_) => "bottom",
            Self::Points => "points",
        }
    }
}

fn check_type(function: &Function, values: &DataType) -> Result<(), QueryError> {
    let number = matches!(values, DataType::Float64 | DataType::Int64);
    let takes = match function {
        Function::Count | Function::First | Function::Last | Function::Mode | Function::Distinct | Function::Points => {
            true
        }
        Function::Min | Function::Max => values != &DataType::Utf8,
        _ => number,
    };
    if takes { Ok(()) } else { Err(unsupported(function.name(), values)) }
}

/// InfluxDB's words where a function does not take a type.
pub fn unsupported(function: &str, values: &DataType) -> QueryError {
    let kind = match values {
        DataType::Utf8 => "string",
        DataType::Boolean => "boolean",
        DataType::Int64 => "integer",
        _ => "float",
    };
    QueryError::new(format!("unsupported {function} iterator type: *query.{kind}InterruptIterator"))
}

/// Offsets of cells that have one result or none.
pub fn single_offsets(present: impl Iterator<Item = bool>) -> Vec<u32> {
    let mut offsets = vec![0];
    let mut next = 0;
    for present in present {
        next += u32::from(present);
        offsets.push(next);
    }
    offsets
}
