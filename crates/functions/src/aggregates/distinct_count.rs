//! `DistinctCount(x)`: the exact number of different values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericByteBuilder, Int64Array, ListArray, make_array};
use arrow::array::{ArrayData, PrimitiveArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{BinaryType, ByteArrayType, DataType, Field, FieldRef, Float32Type, Float64Type, Utf8Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

use super::distinct_tables::{BytesTable, WordTable};
use super::grouped::{Grouped, SingleGroup, emitted, for_each_row, plain};
use crate::{FunctionDoc, FunctionKind};

/// Different values of one group; beyond it, ApproxDistinctCount.
pub const DISTINCT_VALUES_MAX: usize = 10_000_000;
/// Memory of one DistinctCount over all its groups.
pub const DISTINCT_STATE_BYTES_MAX: usize = 1 << 30;

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "DistinctCount",
    kind: FunctionKind::Aggregate,
    signature: "DistinctCount(x) -> BIGINT",
    description: "The exact number of different values that are not NULL, of any type; 0 where there are none. 0.0 and -0.0 are one value, and so are all NaN. More than 10,000,000 values in a group or 1 GiB of state is an error; ApproxDistinctCount has no such limit.",
    example: "DistinctCount(driver_id)",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DistinctCount {
    signature: Signature,
}

impl DistinctCount {
    pub fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for DistinctCount {
    fn name(&self) -> &str {
        "distinctcount"
    }

    fn signature(&self) -> &Signature {
        &self.signature
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
        let Some(input) = args.input_fields.first() else {
            return plan_err!("DistinctCount takes one argument");
        };
        let list = DataType::new_list(stored_type(input.data_type()), true);
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SingleGroup::new(DistinctGroups::new(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(DistinctGroups::new(&args)?))
    }
}

/// The type of the values in the state.
fn stored_type(data_type: &DataType) -> DataType {
    match plain(data_type) {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

#[derive(Debug)]
enum Seen {
    /// Numbers, dates and times of up to 64 bits.
    Words(WordTable),
    Texts(BytesTable),
    Binaries(BytesTable),
    /// Anything else, in Arrow's row format.
    Rows(BytesTable, Arc<RowConverter>),
}

#[derive(Debug)]
struct DistinctGroups {
    stored: DataType,
    seen: Seen,
    counts: Vec<i64>,
}

impl Clone for DistinctGroups {
    fn clone(&self) -> Self {
        let seen = match &self.seen {
            Seen::Words(table) => Seen::Words(table.clone()),
            Seen::Texts(table) => Seen::Texts(table.clone()),
            Seen::Binaries(table) => Seen::Binaries(table.clone()),
            Seen::Rows(table, converter) => Seen::Rows(table.clone(), Arc::clone(converter)),
        };
        Self { stored: self.stored.clone(), seen, counts: self.counts.clone() }
    }
}

impl DistinctGroups {
    fn new(args: &AccumulatorArgs) -> Result<Self> {
        let Some(field) = args.expr_fields.first() else {
            return plan_err!("DistinctCount takes one argument");
        };
        Self::of(stored_type(field.data_type()))
    }

    fn of(stored: DataType) -> Result<Self> {
        let seen = match &stored {
            DataType::Utf8 => Seen::Texts(BytesTable::default()),
            DataType::Binary => Seen::Binaries(BytesTable::default()),
            DataType::Float16 => Self::rows(&stored)?,
            other if matches!(other.primitive_width(), Some(1 | 2 | 4 | 8)) => Seen::Words(WordTable::default()),
            _ => Self::rows(&stored)?,
        };
        Ok(Self { stored, seen, counts: Vec::new() })
    }

    fn rows(stored: &DataType) -> Result<Seen> {
        let converter = RowConverter::new(vec![SortField::new(stored.clone())])?;
        Ok(Seen::Rows(BytesTable::default(), Arc::new(converter)))
    }

    fn insert(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>) -> Result<()> {
        let Self { stored, seen, counts } = self;
        if values.data_type().is_null() {
            return Ok(());
        }
        match seen {
            Seen::Words(table) => {
                let values = if values.data_type() == stored { Arc::clone(values) } else { cast(values, stored)? };
                let words = words(&values)?;
                for_each_row(groups, values.nulls(), filter, |row, group| {
                    counts[group] += i64::from(table.insert(group as u32, words[row]));
                });
            }
            Seen::Texts(table) => match values.data_type() {
                DataType::Dictionary(_, _) => insert_dictionary(table, counts, values, stored, groups, filter)?,
                DataType::Utf8View => {
                    let texts = values.as_string_view();
                    insert_bytes(table, counts, values, groups, filter, |row| texts.value(row).as_bytes());
                }
                DataType::LargeUtf8 => {
                    let texts = values.as_string::<i64>();
                    insert_bytes(table, counts, values, groups, filter, |row| texts.value(row).as_bytes());
                }
                _ => {
                    let values = cast(values, stored)?;
                    let texts = values.as_string::<i32>();
                    insert_bytes(table, counts, &values, groups, filter, |row| texts.value(row).as_bytes());
                }
            },
            Seen::Binaries(table) => {
                let values = cast(values, stored)?;
                let binaries = values.as_binary::<i32>();
                insert_bytes(table, counts, &values, groups, filter, |row| binaries.value(row));
            }
            Seen::Rows(table, converter) => {
                let values = if values.data_type() == stored { Arc::clone(values) } else { cast(values, stored)? };
                let rows = converter.convert_columns(std::slice::from_ref(&values))?;
                let nulls = values.logical_nulls();
                for_each_row(groups, nulls.as_ref(), filter, |row, group| {
                    let bytes = rows.row(row).data();
                    counts[group] += i64::from(table.insert(group as u32, BytesTable::hash(bytes), bytes));
                });
            }
        }
        self.check_limits()
    }

    fn check_limits(&self) -> Result<()> {
        let bytes = self.size();
        let advice = "use ApproxDistinctCount, a shorter window, or more keys";
        if bytes > DISTINCT_STATE_BYTES_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "DistinctCount holds {bytes} bytes, more than {DISTINCT_STATE_BYTES_MAX}; {advice}"
            )));
        }
        match self.counts.iter().max() {
            Some(&most) if most > DISTINCT_VALUES_MAX as i64 => Err(DataFusionError::ResourcesExhausted(format!(
                "DistinctCount has {most} values in one group, more than {DISTINCT_VALUES_MAX}; {advice}"
            ))),
            _ => Ok(()),
        }
    }

    /// Takes the values of the first groups out, group by group.
    fn take_values(&mut self, first: usize) -> Result<ArrayRef> {
        let counts = &self.counts[..first];
        let mut next = Vec::with_capacity(first);
        let mut total = 0;
        for &count in counts {
            next.push(total);
            total += count as usize;
        }
        match &mut self.seen {
            Seen::Words(table) => {
                let mut words = vec![0; total];
                for (group, word) in table.take_first(first as u32) {
                    let place = &mut next[group as usize];
                    words[*place] = word;
                    *place += 1;
                }
                from_words(words, &self.stored)
            }
            Seen::Texts(table) => {
                let values = ordered(table, first as u32, next, total);
                let mut texts = GenericByteBuilder::<Utf8Type>::new();
                for value in &values {
                    texts.append_value(String::from_utf8_lossy(value));
                }
                Ok(Arc::new(texts.finish()))
            }
            Seen::Binaries(table) => Ok(binary(ordered(table, first as u32, next, total))),
            Seen::Rows(table, converter) => {
                let values = ordered(table, first as u32, next, total);
                let parser = converter.parser();
                let rows = values.iter().map(|value| parser.parse(value));
                match converter.convert_rows(rows)?.pop() {
                    Some(column) => Ok(column),
                    None => exec_err!("DistinctCount: the row format has no column"),
                }
            }
        }
    }
}

fn insert_bytes<'a>(
    table: &mut BytesTable,
    counts: &mut [i64],
    values: &ArrayRef,
    groups: &[usize],
    filter: Option<&BooleanArray>,
    value: impl Fn(usize) -> &'a [u8],
) {
    for_each_row(groups, values.nulls(), filter, |row, group| {
        let bytes = value(row);
        counts[group] += i64::from(table.insert(group as u32, BytesTable::hash(bytes), bytes));
    });
}

/// Hashes every text of the dictionary once, not once a row.
fn insert_dictionary(
    table: &mut BytesTable,
    counts: &mut [i64],
    values: &ArrayRef,
    stored: &DataType,
    groups: &[usize],
    filter: Option<&BooleanArray>,
) -> Result<()> {
    let dictionary = values.as_any_dictionary();
    let texts = cast(dictionary.values(), stored)?;
    let texts = texts.as_string::<i32>();
    let hashes: Vec<u64> = (0..texts.len()).map(|key| BytesTable::hash(texts.value(key).as_bytes())).collect();
    if texts.is_empty() {
        return Ok(());
    }
    let keys = dictionary.normalized_keys();
    let nulls = values.logical_nulls();
    for_each_row(groups, nulls.as_ref(), filter, |row, group| {
        let key = keys[row];
        let bytes = texts.value(key).as_bytes();
        counts[group] += i64::from(table.insert(group as u32, hashes[key], bytes));
    });
    Ok(())
}

fn ordered(table: &mut BytesTable, first: u32, mut next: Vec<usize>, total: usize) -> Vec<Vec<u8>> {
    let mut values = vec![Vec::new(); total];
    table.take_first(first, |group, value| {
        let place = &mut next[group as usize];
        values[*place] = value.to_vec();
        *place += 1;
    });
    values
}

fn binary(values: Vec<Vec<u8>>) -> ArrayRef {
    let mut builder = GenericByteBuilder::<BinaryType>::new();
    for value in &values {
        let native: &<BinaryType as ByteArrayType>::Native = value;
        builder.append_value(native);
    }
    Arc::new(builder.finish())
}

/// The values as 64-bit words; equal values, equal words.
fn words(values: &ArrayRef) -> Result<Vec<u64>> {
    let canonical: ArrayRef = match values.data_type() {
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }))
        }
        DataType::Float32 => {
            let floats = values.as_primitive::<Float32Type>();
            let canonical: PrimitiveArray<Float32Type> =
                floats.unary(|value| if value.is_nan() { f32::NAN } else { value + 0.0 });
            Arc::new(canonical)
        }
        _ => Arc::clone(values),
    };
    let data = canonical.to_data();
    let (from, to) = (data.offset(), data.offset() + data.len());
    let Some(buffer) = data.buffers().first() else {
        return exec_err!("DistinctCount: {} has no values", data.data_type());
    };
    Ok(match data.data_type().primitive_width() {
        Some(1) => buffer.typed_data::<u8>()[from..to].iter().map(|&word| word.into()).collect(),
        Some(2) => buffer.typed_data::<u16>()[from..to].iter().map(|&word| word.into()).collect(),
        Some(4) => buffer.typed_data::<u32>()[from..to].iter().map(|&word| word.into()).collect(),
        Some(8) => buffer.typed_data::<u64>()[from..to].to_vec(),
        _ => return exec_err!("DistinctCount: {} is wider than 64 bits", data.data_type()),
    })
}

/// The inverse of [`words`].
fn from_words(words: Vec<u64>, stored: &DataType) -> Result<ArrayRef> {
    let length = words.len();
    let buffer = match stored.primitive_width() {
        Some(1) => Buffer::from_vec(words.iter().map(|&word| word as u8).collect::<Vec<_>>()),
        Some(2) => Buffer::from_vec(words.iter().map(|&word| word as u16).collect::<Vec<_>>()),
        Some(4) => Buffer::from_vec(words.iter().map(|&word| word as u32).collect::<Vec<_>>()),
        _ => Buffer::from_vec(words),
    };
    let data = ArrayData::builder(stored.clone()).len(length).add_buffer(buffer).build()?;
    Ok(make_array(data))
}

impl Grouped for DistinctGroups {
    fn grow(&mut self, groups: usize) {
        if self.counts.len() < groups {
            self.counts.resize(groups, 0);
        }
    }

    fn fresh(&self) -> Self {
        let seen = match &self.seen {
            Seen::Words(_) => Seen::Words(WordTable::default()),
            Seen::Texts(_) => Seen::Texts(BytesTable::default()),
            Seen::Binaries(_) => Seen::Binaries(BytesTable::default()),
            Seen::Rows(_, converter) => Seen::Rows(BytesTable::default(), Arc::clone(converter)),
        };
        Self { stored: self.stored.clone(), seen, counts: Vec::new() }
    }
}

impl GroupsAccumulator for DistinctGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.insert(&values[0], group_indices, opt_filter)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.grow(total_num_groups);
        let lists = values[0].as_list::<i32>();
        let offsets = lists.value_offsets();
        let (start, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
        let mut groups = Vec::with_capacity(end - start);
        for (row, &group) in group_indices.iter().enumerate() {
            let length = (offsets[row + 1] - offsets[row]) as usize;
            groups.extend(std::iter::repeat_n(group, length));
        }
        self.insert(&lists.values().slice(start, end - start), &groups, None)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let first = emitted(emit_to, self.counts.len()) as u32;
        match (emit_to, &mut self.seen) {
            (EmitTo::All, Seen::Words(table)) => *table = WordTable::default(),
            (EmitTo::All, Seen::Texts(table) | Seen::Binaries(table) | Seen::Rows(table, _)) => {
                *table = BytesTable::default();
            }
            (EmitTo::First(_), Seen::Words(table)) => drop(table.take_first(first)),
            (EmitTo::First(_), Seen::Texts(table) | Seen::Binaries(table) | Seen::Rows(table, _)) => {
                table.take_first(first, |_, _| {});
            }
        }
        Ok(Arc::new(Int64Array::from(emit_to.take_needed(&mut self.counts))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let first = emitted(emit_to, self.counts.len());
        let values = self.take_values(first)?;
        let counts = emit_to.take_needed(&mut self.counts);
        let offsets = OffsetBuffer::from_lengths(counts.iter().map(|&count| count as usize));
        let field = Arc::new(Field::new_list_field(self.stored.clone(), true));
        Ok(vec![Arc::new(ListArray::try_new(field, offsets, values, None)?)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.rows_as_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        let table = match &self.seen {
            Seen::Words(table) => table.bytes(),
            Seen::Texts(table) | Seen::Binaries(table) | Seen::Rows(table, _) => table.bytes(),
        };
        table + self.counts.capacity() * size_of::<i64>()
    }
}
