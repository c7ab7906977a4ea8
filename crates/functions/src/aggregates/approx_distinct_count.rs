//! `ApproxDistinctCount(x)`: DataFusion's HyperLogLog (`approx_distinct`, 2^14 registers, standard error 0.8 %)
//! as BIGINT and for every type. Registers only grow and hashes have a fixed seed, so the order of rows and
//! partials does not matter.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::approx_distinct::approx_distinct_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::plain;
use crate::{FunctionDoc, FunctionKind};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "ApproxDistinctCount",
    kind: FunctionKind::Aggregate,
    signature: "ApproxDistinctCount(x) -> BIGINT",
    description: "The number of different values that are not NULL, with a standard error of 0.8 % (HyperLogLog, at most 16 KiB a group); 0 where there are none.",
    example: "ApproxDistinctCount(customer_id)",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ApproxDistinctCount {
    signature: Signature,
    inner: Arc<AggregateUDF>,
}

impl ApproxDistinctCount {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), inner: approx_distinct_udaf() }
    }
}

/// The inner function counts into UInt64.
fn inner_args<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    let return_field = Arc::new(Field::new(args.name, DataType::UInt64, false));
    AccumulatorArgs { return_field, ..args.clone() }
}

impl AggregateUDFImpl for ApproxDistinctCount {
    fn name(&self) -> &str {
        "approxdistinctcount"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [given] = given else {
            return plan_err!("ApproxDistinctCount takes one argument, but {} are given", given.len());
        };
        // The inner function keeps small types in bitmaps without groups, and has no floating point.
        Ok(vec![match plain(given) {
            DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => {
                DataType::Int32
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Utf8,
            other => other.clone(),
        }])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Signed { inner: self.inner.accumulator(inner_args(&args))? }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(inner_args(&args))
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(SignedGroups { inner: self.inner.create_groups_accumulator(inner_args(&args))? }))
    }
}

/// The inner accumulator, its result as BIGINT.
#[derive(Debug)]
struct Signed {
    inner: Box<dyn Accumulator>,
}

impl Accumulator for Signed {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()?.cast_to(&DataType::Int64)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

/// The inner grouped accumulator, its result as BIGINT.
struct SignedGroups {
    inner: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for SignedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(cast(&self.inner.evaluate(emit_to)?, &DataType::Int64)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
