//! Looking things up in arrays and maps.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Scalar, StructArray, UInt32Array, new_null_array,
};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};

use crate::scalar::{Call, Definition, Evaluation, Kind, list_element, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static LOOKUP_FUNCTIONS: &[&Definition] = &[&MAP_GET, &LIST_CONTAINS];

static MAP_GET: Definition = Definition {
    doc: FunctionDoc {
        name: "MapGet",
        kind: FunctionKind::Scalar,
        signature: "MapGet(map MAP<K, V> or ARRAY<ROW(K, V)>, key K) -> V",
        description: "The value of the key; of several equal keys in an array of rows the first. NULL where the key is missing or an argument is NULL.",
        example: "MapGet(MAP {'a': 1, 'b': 2}, 'b')",
    },
    aliases: &[],
    parameters: &[("map", Kind::Map), ("key", Kind::Any)],
    optional: 0,
    returns: |types, _| match types.first().map(entry_types) {
        Some(Some((_, value))) => Ok(value),
        Some(None) if types[0] == DataType::Null => Ok(DataType::Null),
        _ => plan_err!("MapGet: argument 1 must be a map or an array of ROW(key, value)"),
    },
    evaluation: Evaluation::Columns(map_get),
};

static LIST_CONTAINS: Definition = Definition {
    doc: FunctionDoc {
        name: "ListContains",
        kind: FunctionKind::Scalar,
        signature: "ListContains(list ARRAY, item) -> BOOLEAN",
        description: "Whether an element of the array equals the item. FALSE for a NULL array, as in Dagger; NULL for a NULL item.",
        example: "ListContains(make_array('a', 'b'), 'b')",
    },
    aliases: &[],
    parameters: &[("list", Kind::List), ("item", Kind::Any)],
    optional: 0,
    returns: returning::boolean,
    evaluation: Evaluation::Columns(list_contains),
};

fn entry_types(map: &DataType) -> Option<(DataType, DataType)> {
    let entries = match map {
        DataType::Map(entries, _) => entries,
        other => list_element(other)?,
    };
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            Some((fields[0].data_type().clone(), fields[1].data_type().clone()))
        }
        _ => None,
    }
}

fn map_get(call: &Call) -> Result<ArrayRef> {
    let maps = call.any(0)?;
    let (offsets, entries, map_nulls): (Vec<i32>, StructArray, _) = match maps.array.data_type() {
        DataType::Map(_, _) => {
            let map = maps.array.as_map();
            (map.value_offsets().to_vec(), map.entries().clone(), map.nulls().cloned())
        }
        DataType::List(_) => {
            let list = maps.array.as_list::<i32>();
            let Some(entries) = list.values().as_struct_opt() else {
                return exec_err!("MapGet: the elements of the array must be ROW(key, value)");
            };
            (list.value_offsets().to_vec(), entries.clone(), list.nulls().cloned())
        }
        _ => return Ok(new_null_array(call.returns, call.rows)),
    };
    let ranges = |row: usize| {
        let position = maps.position(row);
        let valid = map_nulls.as_ref().is_none_or(|nulls| nulls.is_valid(position));
        valid.then(|| offsets[position] as usize..offsets[position + 1] as usize)
    };
    let matches = Matches::new(call, 1, entries.column(0), call.rows, ranges)?;
    let positions: UInt32Array = (0..call.rows)
        .map(|row| {
            let found = matches.range(row).find(|&index| matches.equal(index));
            found.map(|index| matches.position(index) as u32)
        })
        .collect();
    Ok(take(entries.column(1), &positions, None)?)
}

fn list_contains(call: &Call) -> Result<ArrayRef> {
    let lists = call.lists(0)?;
    let items = call.any(1)?;
    let offsets = lists.array.value_offsets();
    let matches = Matches::new(call, 1, lists.array.values(), call.rows, |row| {
        let position = lists.position(row);
        let valid = lists.array.is_valid(position);
        valid.then(|| offsets[position] as usize..offsets[position + 1] as usize)
    })?;
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if lists.array.is_null(lists.position(row)) {
            result.append_value(false);
        } else if items.array.data_type().is_null() || items.array.is_null(items.position(row)) {
            result.append_null();
        } else {
            result.append_value(matches.range(row).any(|index| matches.equal(index)));
        }
    }
    Ok(Arc::new(result.finish()))
}

/// Which elements of each row's list equal the row's wanted value, compared all at once.
struct Matches {
    /// One entry per compared element.
    equal: BooleanArray,
    /// Where a compared element lies in the child array; `None` when they are all compared in place.
    positions: Option<Vec<u32>>,
    ranges: Vec<std::ops::Range<usize>>,
}

impl Matches {
    /// `range` gives the positions of a row's elements in `elements`, or `None` for a NULL list.
    fn new(
        call: &Call,
        wanted_index: usize,
        elements: &ArrayRef,
        rows: usize,
        range: impl Fn(usize) -> Option<std::ops::Range<usize>>,
    ) -> Result<Self> {
        let wanted = call.any(wanted_index)?;
        if elements.data_type().is_null() {
            // There is nothing to compare with; NULL equals nothing.
            let ranges = vec![0..0; rows];
            return Ok(Self { equal: BooleanArray::new_null(0), positions: None, ranges });
        }
        // What is not of the elements' type equals none of them (a number too large, a text that is none).
        let lenient = CastOptions { safe: true, ..Default::default() };
        let values = cast_with_options(&wanted.array, elements.data_type(), &lenient)?;
        if wanted.literal {
            let equal = eq(elements, &Scalar::new(values))?;
            let ranges = (0..rows).map(|row| range(row).unwrap_or(0..0)).collect();
            return Ok(Self { equal, positions: None, ranges });
        }
        let (mut ranges, mut positions, mut wanted_rows) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let start = positions.len();
            for position in range(row).unwrap_or(0..0) {
                positions.push(position as u32);
                wanted_rows.push(row as u32);
            }
            ranges.push(start..positions.len());
        }
        let compared = take(elements, &UInt32Array::from(positions.clone()), None)?;
        let wanted = take(&values, &UInt32Array::from(wanted_rows), None)?;
        Ok(Self { equal: eq(&compared, &wanted)?, positions: Some(positions), ranges })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.ranges[row].clone()
    }

    fn equal(&self, index: usize) -> bool {
        self.equal.is_valid(index) && self.equal.value(index)
    }

    fn position(&self, index: usize) -> usize {
        match &self.positions {
            Some(positions) => positions[index] as usize,
            None => index,
        }
    }
}
