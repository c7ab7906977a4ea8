//! `ApproxPercentile(p, v)`, and DataFusion's approximate percentiles under their own names by the same sketch:
//! theirs (t-digest) gives other results when rows are batched or split in another way.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type, Int64Type, UInt64Type};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::grouped::{Grouped, SingleGroup, constant, emitted, for_each_row, plain};
use super::log_bins;
use crate::{FunctionDoc, FunctionKind};

/// Memory of one approximate percentile over all its groups.
const STATE_BYTES_MAX: usize = 1 << 30;

/// The names under which the sketch is called, each with its own arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// (percent, value)
    ApproxPercentile,
    /// (value, fraction [, ignored])
    PercentileCont,
    /// (value, weight, fraction [, ignored])
    PercentileContWithWeight,
    /// (value)
    Median,
}

impl Form {
    pub const ALL: &[Form] =
        &[Form::ApproxPercentile, Form::PercentileCont, Form::PercentileContWithWeight, Form::Median];

    fn name(self) -> &'static str {
        match self {
            Form::ApproxPercentile => "approxpercentile",
            Form::PercentileCont => "approx_percentile_cont",
            Form::PercentileContWithWeight => "approx_percentile_cont_with_weight",
            Form::Median => "approx_median",
        }
    }

    pub fn doc(self) -> FunctionDoc {
        let (name, signature, description, example) = match self {
            Form::ApproxPercentile => (
                "ApproxPercentile",
                "ApproxPercentile(percent DOUBLE, value DOUBLE) -> DOUBLE",
                "The percentile (percent over 0 up to 100, a literal) within 1 % of its value, by a sketch (DDSketch) that does not depend on batches or order. NULL and NaN are left out; NULL where nothing is left.",
                "ApproxPercentile(95, latency)",
            ),
            Form::PercentileCont => (
                "APPROX_PERCENTILE_CONT",
                "APPROX_PERCENTILE_CONT(fraction DOUBLE) WITHIN GROUP (ORDER BY value) -> DOUBLE; APPROX_PERCENTILE_CONT(value DOUBLE, fraction DOUBLE) -> DOUBLE",
                "As ApproxPercentile, with a fraction of 0 to 1. A third argument (DataFusion's number of centroids) is accepted and has no effect.",
                "APPROX_PERCENTILE_CONT(latency, 0.95)",
            ),
            Form::PercentileContWithWeight => (
                "APPROX_PERCENTILE_CONT_WITH_WEIGHT",
                "APPROX_PERCENTILE_CONT_WITH_WEIGHT(value DOUBLE, weight BIGINT, fraction DOUBLE) -> DOUBLE",
                "As APPROX_PERCENTILE_CONT, each value counted as often as its weight says: a whole number, not negative.",
                "APPROX_PERCENTILE_CONT_WITH_WEIGHT(latency, requests, 0.95)",
            ),
            Form::Median => (
                "APPROX_MEDIAN",
                "APPROX_MEDIAN(value DOUBLE) -> DOUBLE",
                "The median within 1 % of its value; see ApproxPercentile.",
                "APPROX_MEDIAN(latency)",
            ),
        };
        FunctionDoc { name, kind: FunctionKind::Aggregate, signature, description, example }
    }

    /// Fewest and most arguments.
    fn arity(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Form::ApproxPercentile => 2..=2,
            Form::PercentileCont => 2..=3,
            Form::PercentileContWithWeight => 3..=4,
            Form::Median => 1..=1,
        }
    }

    fn value_index(self) -> usize {
        if self == Form::ApproxPercentile { 1 } else { 0 }
    }

    fn weight_index(self) -> Option<usize> {
        (self == Form::PercentileContWithWeight).then_some(1)
    }

    fn quantile(self, args: &AccumulatorArgs) -> Result<f64> {
        let name = self.doc().name;
        let fraction = |index: usize| {
            let fraction = constant(name, "fraction", args.exprs.get(index))?;
            if !(0.0..=1.0).contains(&fraction) {
                return plan_err!("{name}: fraction is {fraction}, but must be 0 to 1");
            }
            // WITHIN GROUP (ORDER BY value DESC) counts from the greatest.
            let descending = args.order_bys.first().is_some_and(|sort| sort.options.descending);
            Ok(if descending { 1.0 - fraction } else { fraction })
        };
        match self {
            Form::Median => Ok(0.5),
            Form::PercentileCont => fraction(1),
            Form::PercentileContWithWeight => fraction(2),
            Form::ApproxPercentile => {
                let percent = constant(name, "percent", args.exprs.first())?;
                if !(percent > 0.0 && percent <= 100.0) {
                    return plan_err!("{name}: percent is {percent}, but must be over 0 and at most 100");
                }
                Ok(percent / 100.0)
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ApproxPercentile {
    form: Form,
    signature: Signature,
}

impl ApproxPercentile {
    pub fn new(form: Form) -> Self {
        Self { form, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<BinGroups> {
        if args.is_distinct {
            return plan_err!("{}: DISTINCT is not supported", self.form.doc().name);
        }
        Ok(BinGroups { form: self.form, quantile: self.form.quantile(args)?, table: HashTable::new(), groups: 0 })
    }
}

impl AggregateUDFImpl for ApproxPercentile {
    fn name(&self) -> &str {
        self.form.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let doc = self.form.doc();
        if !self.form.arity().contains(&given.len()) {
            return plan_err!("{} takes {}, but {} arguments are given", doc.name, doc.signature, given.len());
        }
        let coerce = |(index, found): (usize, &DataType)| {
            let found = plain(found);
            if !found.is_numeric() && *found != DataType::Null {
                return plan_err!(
                    "{}: argument {} must be a number, but is {found}; it takes {}",
                    doc.name,
                    index + 1,
                    doc.signature
                );
            }
            let is_weight = self.form.weight_index() == Some(index);
            Ok(if is_weight { DataType::Int64 } else { DataType::Float64 })
        };
        given.iter().enumerate().map(coerce).collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, element: DataType| {
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::new_list(element, true), true))
        };
        Ok(vec![list("bins", DataType::Int32), list("counts", DataType::UInt64)])
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

    fn supports_within_group_clause(&self) -> bool {
        matches!(self.form, Form::PercentileCont | Form::PercentileContWithWeight)
    }
}

#[derive(Debug, Clone, Copy)]
struct Bin {
    group: u32,
    bin: i32,
    count: u64,
}

/// The bins of all groups in one table.
#[derive(Debug, Clone)]
struct BinGroups {
    form: Form,
    quantile: f64,
    table: HashTable<Bin>,
    groups: usize,
}

fn hash(group: u32, bin: i32) -> u64 {
    FixedState::default().hash_one((u64::from(group) << 32) | u64::from(bin.cast_unsigned()))
}

impl BinGroups {
    #[inline]
    fn add(&mut self, group: usize, bin: i32, count: u64) {
        let group = group as u32;
        let entry = self.table.entry(
            hash(group, bin),
            |known| known.group == group && known.bin == bin,
            |known| hash(known.group, known.bin),
        );
        match entry {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(count);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Bin { group, bin, count });
            }
        }
    }

    fn check_limit(&self) -> Result<()> {
        let bytes = self.size();
        if bytes > STATE_BYTES_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} holds {bytes} bytes, more than {STATE_BYTES_MAX}; use a shorter window or fewer keys",
                self.form.doc().name
            )));
        }
        Ok(())
    }

    /// Removes the bins of the first groups, ordered by group and bin; the other groups move down.
    fn take_first(&mut self, emit_to: EmitTo) -> (usize, Vec<Bin>) {
        let first = emitted(emit_to, self.groups);
        let mut taken = Vec::new();
        for bin in std::mem::take(&mut self.table) {
            match bin.group.checked_sub(first as u32) {
                None => taken.push(bin),
                Some(group) => self.add(group as usize, bin.bin, bin.count),
            }
        }
        self.groups -= first;
        taken.sort_unstable_by_key(|bin| (bin.group, bin.bin));
        (first, taken)
    }
}

impl Grouped for BinGroups {
    fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    fn fresh(&self) -> Self {
        Self { form: self.form, quantile: self.quantile, table: HashTable::new(), groups: 0 }
    }
}

impl GroupsAccumulator for BinGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let numbers = values[self.form.value_index()].as_primitive::<Float64Type>();
        let weights = self.form.weight_index().map(|index| values[index].as_primitive::<Int64Type>());
        let mut refused = None;
        for_each_row(group_indices, numbers.nulls(), opt_filter, |row, group| {
            let Some(bin) = log_bins::bin(numbers.value(row)) else {
                return;
            };
            match weights {
                None => self.add(group, bin, 1),
                Some(weights) if weights.is_null(row) => {}
                Some(weights) => match u64::try_from(weights.value(row)) {
                    Ok(0) => {}
                    Ok(weight) => self.add(group, bin, weight),
                    Err(_) => refused = Some(weights.value(row)),
                },
            }
        });
        if let Some(weight) = refused {
            return exec_err!("{}: weight is {weight}, but must not be negative", self.form.doc().name);
        }
        self.check_limit()
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.grow(total_num_groups);
        let (bins, counts) = (values[0].as_list::<i32>(), values[1].as_list::<i32>());
        let (bin_offsets, count_offsets) = (bins.value_offsets(), counts.value_offsets());
        let bins = bins.values().as_primitive::<Int32Type>();
        let counts = counts.values().as_primitive::<UInt64Type>();
        for (row, &group) in group_indices.iter().enumerate() {
            let bin_range = bin_offsets[row]..bin_offsets[row + 1];
            let count_range = count_offsets[row]..count_offsets[row + 1];
            for (bin, count) in bin_range.zip(count_range) {
                self.add(group, bins.value(bin as usize), counts.value(count as usize));
            }
        }
        self.check_limit()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let quantile = self.quantile;
        let (groups, bins) = self.take_first(emit_to);
        let mut rest = bins.as_slice();
        let mut of_group = Vec::new();
        let results: Float64Array = (0..groups)
            .map(|group| {
                let (mine, others) = rest.split_at(rest.partition_point(|bin| bin.group as usize <= group));
                rest = others;
                of_group.clear();
                of_group.extend(mine.iter().map(|bin| (bin.bin, bin.count)));
                log_bins::quantile(&of_group, quantile)
            })
            .collect();
        Ok(Arc::new(results))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (groups, bins) = self.take_first(emit_to);
        let mut lengths = vec![0usize; groups];
        for bin in &bins {
            lengths[bin.group as usize] += 1;
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list = |values: ArrayRef| -> Result<ArrayRef> {
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            Ok(Arc::new(ListArray::try_new(field, offsets.clone(), values, None)?))
        };
        let numbers = Int32Array::from_iter_values(bins.iter().map(|bin| bin.bin));
        let counts = UInt64Array::from_iter_values(bins.iter().map(|bin| bin.count));
        Ok(vec![list(Arc::new(numbers))?, list(Arc::new(counts))?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.rows_as_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.table.allocation_size()
    }
}
