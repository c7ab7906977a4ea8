//! What the grouped accumulators share.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Accumulator, ColumnarValue, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;

/// A grouped accumulator that can also stand for one group.
pub(super) trait Grouped: GroupsAccumulator + Clone + Sync + std::fmt::Debug {
    /// Makes room for groups that no row has come for.
    fn grow(&mut self, groups: usize);

    /// An accumulator of the same function without state.
    fn fresh(&self) -> Self;

    /// The state that each row alone would leave.
    fn rows_as_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let groups: Vec<usize> = (0..rows).collect();
        let mut fresh = self.fresh();
        fresh.update_batch(values, &groups, filter, rows)?;
        fresh.state(EmitTo::All)
    }
}

/// One group as DataFusion's plain accumulator, for queries without keys.
#[derive(Debug)]
pub(super) struct SingleGroup<G> {
    grouped: G,
}

impl<G: Grouped> SingleGroup<G> {
    pub fn new(mut grouped: G) -> Self {
        grouped.grow(1);
        Self { grouped }
    }
}

impl<G: Grouped> Accumulator for SingleGroup<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.grouped.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.grouped.merge_batch(states, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // A window may ask again after more rows, so the state stays.
        let result = self.grouped.clone().evaluate(EmitTo::All)?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.grouped.state(EmitTo::All)?;
        self.grouped.grow(1);
        states.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn size(&self) -> usize {
        self.grouped.size()
    }
}

/// Calls with (row, group) of every row whose value is not NULL and that the filter lets through.
#[inline]
pub(super) fn for_each_row(
    groups: &[usize],
    nulls: Option<&NullBuffer>,
    filter: Option<&BooleanArray>,
    mut apply: impl FnMut(usize, usize),
) {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    if nulls.is_none() && filter.is_none() {
        for (row, &group) in groups.iter().enumerate() {
            apply(row, group);
        }
        return;
    }
    for (row, &group) in groups.iter().enumerate() {
        let given = nulls.is_none_or(|nulls| nulls.is_valid(row));
        let taken = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        if given && taken {
            apply(row, group);
        }
    }
}

/// How many groups an emission takes of those that there are.
pub(super) fn emitted(emit_to: EmitTo, groups: usize) -> usize {
    match emit_to {
        EmitTo::All => groups,
        EmitTo::First(first) => first.min(groups),
    }
}

/// The value of an argument that must be a constant, as a number.
pub(super) fn constant(function: &str, name: &str, expression: Option<&Arc<dyn PhysicalExpr>>) -> Result<f64> {
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let value = expression.and_then(|expression| expression.evaluate(&nothing).ok());
    let Some(ColumnarValue::Scalar(value)) = value else {
        return plan_err!("{function}: {name} must be a literal number, the same for all rows");
    };
    match value.cast_to(&DataType::Float64)? {
        ScalarValue::Float64(Some(number)) => Ok(number),
        _ => plan_err!("{function}: {name} is NULL, but must be a number"),
    }
}

/// Without a dictionary around it.
pub(super) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        other => other,
    }
}
