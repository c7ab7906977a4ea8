//! `PercentileAggregator(p, v)`: the exact percentile.
//!
//! The rule is that of Apache Commons Math 3, which Dagger uses (`Percentile`, estimation type LEGACY; NaN
//! removed): of n sorted values take the position p * (n + 1) / 100; below 1 it is the least value, from n on
//! the greatest, between two values it is interpolated linearly.
//! <https://commons.apache.org/proper/commons-math/javadocs/api-3.6.1/org/apache/commons/math3/stat/descriptive/rank/Percentile.html>

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

use super::grouped::{Grouped, SingleGroup, constant, emitted, for_each_row, plain};
use crate::{FunctionDoc, FunctionKind};

/// Values that one PercentileAggregator keeps over all its groups; 8 bytes each.
pub const PERCENTILE_VALUES_MAX: usize = 50_000_000;

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "PercentileAggregator",
    kind: FunctionKind::Aggregate,
    signature: "PercentileAggregator(percent DOUBLE, value DOUBLE) -> DOUBLE",
    description: "The exact percentile (percent over 0 up to 100, a literal): of n sorted values the one at position percent * (n + 1) / 100, interpolated linearly, as in Dagger (Apache Commons Math). NULL and NaN are left out; NULL where nothing is left. It keeps all values: more than 50,000,000 are an error; ApproxPercentile has no such limit.",
    example: "PercentileAggregator(90, fare)",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PercentileAggregator {
    signature: Signature,
}

impl PercentileAggregator {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<PercentileGroups> {
        if args.is_distinct {
            return plan_err!("PercentileAggregator: DISTINCT is not supported");
        }
        let percent = constant(DOC.name, "percent", args.exprs.first())?;
        if !(percent > 0.0 && percent <= 100.0) {
            return plan_err!("PercentileAggregator: percent is {percent}, but must be over 0 and at most 100");
        }
        Ok(PercentileGroups { percent, values: Vec::new(), kept: 0 })
    }
}

impl AggregateUDFImpl for PercentileAggregator {
    fn name(&self) -> &str {
        "percentileaggregator"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let numbers = given.iter().all(|found| plain(found).is_numeric() || *found == DataType::Null);
        if given.len() != 2 || !numbers {
            let found: Vec<String> = given.iter().map(DataType::to_string).collect();
            return plan_err!("PercentileAggregator takes {}, but is given ({})", DOC.signature, found.join(", "));
        }
        Ok(vec![DataType::Float64; 2])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = DataType::new_list(DataType::Float64, true);
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SingleGroup::new(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }
}

#[derive(Debug, Clone)]
struct PercentileGroups {
    percent: f64,
    /// Values of each group as they came.
    values: Vec<Vec<f64>>,
    kept: usize,
}

impl PercentileGroups {
    fn add(&mut self, numbers: &Float64Array, groups: &[usize], filter: Option<&BooleanArray>) -> Result<()> {
        let Self { values, kept, .. } = self;
        for_each_row(groups, numbers.nulls(), filter, |row, group| {
            let number = numbers.value(row);
            if !number.is_nan() {
                values[group].push(number);
                *kept += 1;
            }
        });
        self.check_kept()
    }

    fn check_kept(&self) -> Result<()> {
        if self.kept > PERCENTILE_VALUES_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "PercentileAggregator keeps {} values, more than {PERCENTILE_VALUES_MAX}; use ApproxPercentile or a shorter window",
                self.kept
            )));
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Vec<f64>> {
        let first = emitted(emit_to, self.values.len());
        let taken: Vec<Vec<f64>> = self.values.drain(..first).collect();
        self.kept -= taken.iter().map(Vec::len).sum::<usize>();
        taken
    }
}

/// Takes linear time: the two values at the position are selected, not all of them sorted.
fn percentile(values: &mut [f64], percent: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let position = percent * (count + 1.0) / 100.0;
    let below = if position < 1.0 { 1.0 } else { position.min(count).floor() };
    let (_, lower, above) = values.select_nth_unstable_by(below as usize - 1, f64::total_cmp);
    let lower = *lower;
    if position < 1.0 || position >= count {
        return Some(lower);
    }
    let upper = above.iter().copied().min_by(f64::total_cmp)?;
    Some(lower + (position - below) * (upper - lower))
}

impl Grouped for PercentileGroups {
    fn grow(&mut self, groups: usize) {
        if self.values.len() < groups {
            self.values.resize_with(groups, Vec::new);
        }
    }

    fn fresh(&self) -> Self {
        Self { percent: self.percent, values: Vec::new(), kept: 0 }
    }
}

impl GroupsAccumulator for PercentileGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(values[1].as_primitive::<Float64Type>(), group_indices, opt_filter)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.grow(total_num_groups);
        let lists = values[0].as_list::<i32>();
        let numbers = lists.values().as_primitive::<Float64Type>().values();
        for (bounds, &group) in lists.value_offsets().windows(2).zip(group_indices) {
            let added = &numbers[bounds[0] as usize..bounds[1] as usize];
            self.values[group].extend_from_slice(added);
            self.kept += added.len();
        }
        self.check_kept()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let percent = self.percent;
        let results: Float64Array = self.take(emit_to).iter_mut().map(|values| percentile(values, percent)).collect();
        Ok(Arc::new(results))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let taken = self.take(emit_to);
        let offsets = OffsetBuffer::from_lengths(taken.iter().map(Vec::len));
        let values = Float64Array::from_iter_values(taken.into_iter().flatten());
        let field = Arc::new(Field::new_list_field(DataType::Float64, true));
        Ok(vec![Arc::new(ListArray::try_new(field, offsets, Arc::new(values), None)?)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.rows_as_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        let values: usize = self.values.iter().map(|values| values.capacity() * size_of::<f64>()).sum();
        values + self.values.capacity() * size_of::<Vec<f64>>()
    }
}
