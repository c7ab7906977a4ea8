//! `CollectArray(x [, time])`: the values of a group as an array.
//!
//! With a time the array is ordered by it, and values of equal time stay in the order in which they came and
//! in which partials were merged. So the caller that feeds the rows of a partition in the order of their
//! offsets and merges partitions in order gets the order (time, partition, offset).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

use super::grouped::{Grouped, SingleGroup, emitted, for_each_row, plain};
use crate::{FunctionDoc, FunctionKind};

/// Elements of one array.
pub const COLLECTED_ELEMENTS_MAX: u32 = 100_000;

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "CollectArray",
    kind: FunctionKind::Aggregate,
    signature: "CollectArray(x [, time TIMESTAMP]) -> ARRAY",
    description: "The values of the group as an array, NULL values included, in order of time (in a dagger that is the row time, without asking), then partition and offset. More than 100,000 values in a group are an error. Empty where there are no rows.",
    example: "CollectArray(fare)",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CollectArray {
    signature: Signature,
}

impl CollectArray {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<CollectGroups> {
        if args.is_distinct {
            return plan_err!(
                "CollectArray: DISTINCT is not supported; use ArrayOperate(CollectArray(x), 'distinct', 'Other')"
            );
        }
        let Some(element) = args.expr_fields.first() else {
            return plan_err!("CollectArray takes {}", DOC.signature);
        };
        let time = args.expr_fields.get(1).map(|field| field.data_type().clone());
        Ok(CollectGroups::empty(plain(element.data_type()).clone(), time))
    }
}

impl AggregateUDFImpl for CollectArray {
    fn name(&self) -> &str {
        "collectarray"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [element] => Ok(vec![plain(element).clone()]),
            [element, time @ (DataType::Timestamp(_, _) | DataType::Int64 | DataType::Date64)] => {
                Ok(vec![plain(element).clone(), time.clone()])
            }
            _ => {
                let found: Vec<String> = given.iter().map(DataType::to_string).collect();
                plan_err!("CollectArray takes {}, but is given ({})", DOC.signature, found.join(", "))
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(element) => Ok(DataType::new_list(plain(element).clone(), true)),
            None => plan_err!("CollectArray takes {}", DOC.signature),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let names = ["values", "times"];
        let state = args.input_fields.iter().zip(names).map(|(field, name)| {
            let list = DataType::new_list(plain(field.data_type()).clone(), true);
            Arc::new(Field::new(format!("{}[{name}]", args.name), list, true))
        });
        Ok(state.collect())
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

/// Where a collected value lies.
#[derive(Debug, Clone, Copy)]
struct Collected {
    group: u32,
    chunk: u32,
    row: u32,
    /// The time in the unit of its type; 0 without one, NULL before all others.
    time: i64,
    has_time: bool,
}

#[derive(Debug, Clone)]
struct CollectGroups {
    element: DataType,
    time: Option<DataType>,
    /// Copies of the values that were taken of each batch.
    chunks: Vec<ArrayRef>,
    chunk_bytes: usize,
    /// In the order of coming.
    collected: Vec<Collected>,
    counts: Vec<u32>,
}

impl CollectGroups {
    fn empty(element: DataType, time: Option<DataType>) -> Self {
        Self { element, time, chunks: Vec::new(), chunk_bytes: 0, collected: Vec::new(), counts: Vec::new() }
    }

    fn add(
        &mut self,
        values: &ArrayRef,
        times: Option<&ArrayRef>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let times = times.map(|times| cast(times, &DataType::Int64)).transpose()?;
        let times = times.as_ref().map(|times| times.as_primitive::<Int64Type>());
        let chunk = self.chunks.len() as u32;
        let mut positions = Vec::with_capacity(groups.len());
        let mut too_many = false;
        let Self { collected, counts, .. } = self;
        for_each_row(groups, None, filter, |row, group| {
            let time = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            collected.push(Collected {
                group: group as u32,
                chunk,
                row: positions.len() as u32,
                time: time.unwrap_or(0),
                has_time: time.is_some(),
            });
            positions.push(row as u32);
            counts[group] += 1;
            too_many |= counts[group] > COLLECTED_ELEMENTS_MAX;
        });
        if too_many {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "CollectArray has more than {COLLECTED_ELEMENTS_MAX} values in one group; use a shorter window or more keys"
            )));
        }
        // A copy, so that a few values do not keep the buffers of the whole batch alive.
        let values =
            if values.data_type() == &self.element { Arc::clone(values) } else { cast(values, &self.element)? };
        let chunk = take(&values, &UInt32Array::from(positions), None)?;
        self.chunk_bytes += chunk.get_array_memory_size();
        self.chunks.push(chunk);
        Ok(())
    }

    /// Takes the first groups out, ordered by group and, if asked, time; the other groups move down.
    fn take_first(&mut self, emit_to: EmitTo, by_time: bool) -> Result<(OffsetBuffer<i32>, ArrayRef, Vec<Collected>)> {
        let first = emitted(emit_to, self.counts.len());
        let all = std::mem::take(&mut self.collected);
        let (mut taken, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|collected| (collected.group as usize) < first);
        // Stable: equal groups and times stay in the order of coming.
        if by_time {
            taken.sort_by_key(|collected| (collected.group, collected.has_time, collected.time));
        } else {
            taken.sort_by_key(|collected| collected.group);
        }
        let lengths: Vec<usize> = self.counts.drain(..first).map(|count| count as usize).collect();
        let values = self.gather(&taken)?;
        self.keep(kept, first as u32)?;
        Ok((OffsetBuffer::from_lengths(lengths), values, taken))
    }

    fn gather(&self, collected: &[Collected]) -> Result<ArrayRef> {
        if collected.is_empty() {
            return Ok(new_empty_array(&self.element));
        }
        let chunks: Vec<&dyn Array> = self.chunks.iter().map(AsRef::as_ref).collect();
        let places: Vec<(usize, usize)> =
            collected.iter().map(|place| (place.chunk as usize, place.row as usize)).collect();
        Ok(interleave(&chunks, &places)?)
    }

    /// Goes on with what was not emitted, in one chunk.
    fn keep(&mut self, mut kept: Vec<Collected>, first: u32) -> Result<()> {
        let chunk = if kept.is_empty() { None } else { Some(self.gather(&kept)?) };
        for (row, collected) in kept.iter_mut().enumerate() {
            collected.group -= first;
            (collected.chunk, collected.row) = (0, row as u32);
        }
        self.chunk_bytes = chunk.as_ref().map_or(0, |chunk| chunk.get_array_memory_size());
        self.chunks = chunk.into_iter().collect();
        self.collected = kept;
        Ok(())
    }
}

fn list(offsets: OffsetBuffer<i32>, values: ArrayRef) -> Result<ArrayRef> {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

impl Grouped for CollectGroups {
    fn grow(&mut self, groups: usize) {
        if self.counts.len() < groups {
            self.counts.resize(groups, 0);
        }
    }

    fn fresh(&self) -> Self {
        Self::empty(self.element.clone(), self.time.clone())
    }
}

impl GroupsAccumulator for CollectGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(&values[0], values.get(1), group_indices, opt_filter)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.grow(total_num_groups);
        let lists = values[0].as_list::<i32>();
        let times = values.get(1).map(|times| times.as_list::<i32>());
        for (row, &group) in group_indices.iter().enumerate() {
            let elements = lists.value(row);
            let groups = vec![group; elements.len()];
            let times = times.map(|times| times.value(row));
            self.add(&elements, times.as_ref(), &groups, None)?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (offsets, values, _) = self.take_first(emit_to, self.time.is_some())?;
        list(offsets, values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (offsets, values, collected) = self.take_first(emit_to, false)?;
        let mut state = vec![list(offsets.clone(), values)?];
        if let Some(time) = &self.time {
            let times: Int64Array = collected.iter().map(|place| place.has_time.then_some(place.time)).collect();
            state.push(list(offsets, cast(&times, time)?)?);
        }
        Ok(state)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.rows_as_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.chunk_bytes
            + self.collected.capacity() * size_of::<Collected>()
            + self.counts.capacity() * size_of::<u32>()
    }
}
