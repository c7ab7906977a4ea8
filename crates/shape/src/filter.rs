//! A CEL condition by itself.

use arrow::array::BooleanArray;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::ShapeError;
use crate::expression::Expression;

/// A CEL expression that is true or false for a row.
///
/// Fields of unset messages are NULL, which is CEL's `null`: equal to nothing but `null`, and without an order, so that
/// `price > 10.0` fails for a row without a price. Enums are their names, timestamps and durations CEL's.
#[derive(Debug)]
pub struct Filter(Expression);

/// What a filter says about the rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// NULL where it failed.
    pub holds: BooleanArray,
    /// Ascending, with the reasons.
    pub failed: Vec<(usize, String)>,
}

impl Filter {
    /// `place` of the error is `filter`.
    pub fn compile(text: &str, columns: &Schema) -> Result<Self, ShapeError> {
        let expression = Expression::compile(text, columns).and_then(Expression::into_condition);
        expression.map(Self).map_err(|unknown| ShapeError::at("filter", unknown.detail, unknown.hint))
    }

    /// The columns in use.
    pub fn fields(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.0.fields().filter_map(|path| path.names.first()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whole columns at a time where the expression is simple enough.
    pub fn judge(&self, batch: &RecordBatch) -> Result<Judged, ArrowError> {
        let (holds, failed) = self.0.condition(batch, |_| true)?;
        Ok(Judged { holds, failed })
    }

    /// The same, row by row: what tests and benchmarks compare [`Self::judge`] with.
    pub fn judge_row_by_row(&self, batch: &RecordBatch) -> Result<Judged, ArrowError> {
        let (holds, failed) = self.0.condition_interpreted(batch)?;
        Ok(Judged { holds, failed })
    }
}
