//! Groups and their accumulators: one hash table of DataFusion's `GroupValues` with `GroupsAccumulator`s beside it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, EmitTo, GroupsAccumulator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use crate::{OperatorError, TextInterner};

/// How a group key is held while it is being hashed, and how its result column is made from that.
#[derive(Clone)]
pub enum KeyColumn {
    /// As it is.
    Plain,
    /// A dictionary of texts, held as interned numbers.
    Interned(TextInterner),
    /// A cheap key from which a function makes the result, such as an S2 cell number and its decimal text.
    Derived(Arc<ScalarUDF>),
}

/// One aggregate call.
#[derive(Clone)]
pub struct AggregateCall {
    /// The function with its argument types.
    pub function: Arc<AggregateFunctionExpr>,
}

/// What a table groups by and computes. Cheap to clone.
#[derive(Clone)]
pub struct AggregateSpec {
    keys: Arc<[KeyColumn]>,
    key_schema: SchemaRef,
    calls: Arc<[AggregateCall]>,
    /// Types of the state columns of each call.
    state_fields: Arc<[Vec<FieldRef>]>,
}

impl AggregateSpec {
    /// `key_types` are the types of the key columns as they are handed in (a dictionary for interned ones).
    pub fn new(keys: Vec<(KeyColumn, DataType)>, calls: Vec<AggregateCall>) -> Result<Self, OperatorError> {
        let fields: Vec<Field> = keys
            .iter()
            .enumerate()
            .map(|(index, (key, data_type))| {
                let held = match key {
                    KeyColumn::Interned(_) => DataType::UInt32,
                    _ => data_type.clone(),
                };
                Field::new(format!("key_{index}"), held, true)
            })
            .collect();
        let state_fields = calls.iter().map(|call| call.function.state_fields()).collect::<Result<Vec<_>, _>>()?;
        Ok(AggregateSpec {
            keys: keys.into_iter().map(|(key, _)| key).collect(),
            key_schema: Arc::new(Schema::new(fields)),
            calls: calls.into(),
            state_fields: state_fields.into(),
        })
    }

    /// Number of key columns.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The calls.
    pub fn calls(&self) -> &[AggregateCall] {
        &self.calls
    }

    /// Key columns in the form that tables hash.
    pub fn hold_keys(&self, columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>, OperatorError> {
        columns
            .into_iter()
            .zip(self.keys.iter())
            .map(|(column, key)| match key {
                KeyColumn::Interned(interner) => interner.encode(&column),
                _ => Ok(column),
            })
            .collect()
    }

    /// Held keys as they are written to a checkpoint: interned numbers as texts, the rest as held.
    pub fn keys_to_store(&self, keys: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        keys.iter()
            .zip(self.keys.iter())
            .map(|(column, key)| match key {
                KeyColumn::Interned(interner) => interner.decode(column),
                _ => Ok(Arc::clone(column)),
            })
            .collect()
    }

    /// The reverse of [`Self::keys_to_store`].
    pub fn keys_from_store(&self, keys: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        keys.iter()
            .zip(self.keys.iter())
            .map(|(column, key)| match key {
                KeyColumn::Interned(interner) => interner.encode_texts(column),
                _ => Ok(Arc::clone(column)),
            })
            .collect()
    }

    /// The kinds of the keys.
    pub fn keys(&self) -> &[KeyColumn] {
        &self.keys
    }

    /// Types of the key columns as they are held.
    pub fn key_types(&self) -> impl Iterator<Item = &DataType> {
        self.key_schema.fields().iter().map(|field| field.data_type())
    }

    /// Types of the state columns of each call.
    pub fn state_types(&self) -> impl Iterator<Item = impl Iterator<Item = &DataType>> {
        self.state_fields.iter().map(|fields| fields.iter().map(|field| field.data_type()))
    }

    /// Number of state columns of each call.
    pub fn state_widths(&self) -> impl Iterator<Item = usize> + '_ {
        self.state_fields.iter().map(Vec::len)
    }

    fn group_values(&self) -> Result<Option<Box<dyn GroupValues>>, OperatorError> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(new_group_values(Arc::clone(&self.key_schema), &GroupOrdering::None)?))
    }

    /// Fresh accumulators, one per call.
    pub fn accumulators(&self) -> Result<Vec<Box<dyn GroupsAccumulator>>, OperatorError> {
        self.calls
            .iter()
            .map(|call| {
                if call.function.groups_accumulator_supported() {
                    return Ok(call.function.create_groups_accumulator()?);
                }
                let function = Arc::clone(&call.function);
                let adapter = GroupsAccumulatorAdapter::new(move || function.create_accumulator());
                Ok(Box::new(adapter) as Box<dyn GroupsAccumulator>)
            })
            .collect()
    }

    /// A hash table for keys alone.
    pub(crate) fn key_table(&self) -> Result<KeyTable, OperatorError> {
        Ok(KeyTable { values: self.group_values()?, seen: false })
    }
}

/// Numbers groups; without key columns there is one group.
pub(crate) struct KeyTable {
    values: Option<Box<dyn GroupValues>>,
    seen: bool,
}

impl KeyTable {
    /// Bytes of memory, as far as the table knows.
    pub(crate) fn bytes(&self) -> usize {
        self.values.as_ref().map_or(0, |values| values.size())
    }

    pub(crate) fn intern(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        groups: &mut Vec<usize>,
    ) -> Result<(), OperatorError> {
        match &mut self.values {
            Some(values) => values.intern(keys, groups)?,
            None => {
                groups.clear();
                groups.resize(rows, 0);
                self.seen |= rows > 0;
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.values.as_ref().map_or(usize::from(self.seen), |values| values.len())
    }

    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>, OperatorError> {
        self.seen = false;
        match &mut self.values {
            Some(values) => Ok(values.emit(EmitTo::All)?),
            None => Ok(Vec::new()),
        }
    }
}

/// Applies a one-argument function to a column.
pub(crate) fn apply(
    function: &Arc<ScalarUDF>,
    column: ArrayRef,
    rows: usize,
    config: &Arc<ConfigOptions>,
) -> Result<ArrayRef, OperatorError> {
    let argument: FieldRef = Arc::new(Field::new("key", column.data_type().clone(), true));
    let scalar_arguments = [None];
    let return_field = function.return_field_from_args(ReturnFieldArgs {
        arg_fields: std::slice::from_ref(&argument),
        scalar_arguments: &scalar_arguments,
    })?;
    let result = function.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Array(column)],
        arg_fields: vec![argument],
        number_rows: rows,
        return_field,
        config_options: Arc::clone(config),
    })?;
    Ok(result.into_array(rows)?)
}

/// Groups with the states of their accumulators as columns: what is merged, and what a checkpoint keeps.
#[derive(Clone)]
pub struct Partial {
    /// Number of groups.
    pub rows: usize,
    /// Key columns as held.
    pub keys: Vec<ArrayRef>,
    /// State columns of each call.
    pub states: Vec<Vec<ArrayRef>>,
}

impl Partial {
    /// Bytes of memory of the columns.
    pub fn bytes(&self) -> usize {
        self.keys.iter().chain(self.states.iter().flatten()).map(|column| column.get_array_memory_size()).sum()
    }
}

pub(crate) fn accumulator_bytes(accumulators: &[Box<dyn GroupsAccumulator>]) -> usize {
    accumulators.iter().map(|accumulator| accumulator.size()).sum()
}

/// A hash table of groups with running aggregates.
pub struct GroupTable {
    spec: AggregateSpec,
    keys: KeyTable,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    groups: Vec<usize>,
    /// Changed since the last [`GroupTable::snapshot`].
    pub dirty: bool,
}

impl GroupTable {
    /// An empty table.
    pub fn new(spec: &AggregateSpec) -> Result<Self, OperatorError> {
        Ok(GroupTable {
            keys: spec.key_table()?,
            accumulators: spec.accumulators()?,
            spec: spec.clone(),
            groups: Vec::new(),
            dirty: true,
        })
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of memory, as far as keys and accumulators know.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + accumulator_bytes(&self.accumulators)
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `rows` rows: held keys, the argument columns of each call, and each call's FILTER.
    pub fn update(
        &mut self,
        rows: usize,
        keys: &[ArrayRef],
        arguments: &[Vec<ArrayRef>],
        filters: &[Option<BooleanArray>],
    ) -> Result<(), OperatorError> {
        self.keys.intern(keys, rows, &mut self.groups)?;
        let groups = self.keys.len();
        for ((accumulator, arguments), filter) in self.accumulators.iter_mut().zip(arguments).zip(filters) {
            accumulator.update_batch(arguments, &self.groups, filter.as_ref(), groups)?;
        }
        self.dirty = true;
        Ok(())
    }

    /// Adds a partial.
    pub fn merge(&mut self, partial: &Partial) -> Result<(), OperatorError> {
        if partial.rows == 0 {
            return Ok(());
        }
        self.keys.intern(&partial.keys, partial.rows, &mut self.groups)?;
        let groups = self.keys.len();
        for (accumulator, states) in self.accumulators.iter_mut().zip(&partial.states) {
            accumulator.merge_batch(states, &self.groups, groups)?;
        }
        self.dirty = true;
        Ok(())
    }

    /// The groups and their states; the table is used up.
    pub fn into_partial(mut self) -> Result<Partial, OperatorError> {
        self.take_partial()
    }

    /// The groups and their results.
    pub fn evaluate(mut self) -> Result<(usize, Vec<ArrayRef>, Vec<ArrayRef>), OperatorError> {
        let rows = self.len();
        let keys = self.keys.take()?;
        let results = self
            .accumulators
            .iter_mut()
            .map(|accumulator| accumulator.evaluate(EmitTo::All))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((rows, keys, results))
    }

    /// The groups and their states, for a checkpoint. Reading state empties DataFusion's accumulators, so what was read is
    /// merged into fresh ones: running sums go on from exactly the same bits, whether a checkpoint happened or not.
    pub fn snapshot(&mut self) -> Result<Partial, OperatorError> {
        let partial = self.take_partial()?;
        self.keys = self.spec.key_table()?;
        self.accumulators = self.spec.accumulators()?;
        self.merge(&partial)?;
        self.dirty = false;
        Ok(partial)
    }

    fn take_partial(&mut self) -> Result<Partial, OperatorError> {
        let rows = self.len();
        let keys = self.keys.take()?;
        let states = self
            .accumulators
            .iter_mut()
            .map(|accumulator| accumulator.state(EmitTo::All))
            .collect::<Result<Vec<_>, _>>()?;
        debug_assert!(states.iter().flatten().all(|column| column.len() == rows));
        Ok(Partial { rows, keys, states })
    }
}
