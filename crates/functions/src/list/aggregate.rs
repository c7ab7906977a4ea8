//! `ArrayAggregate` and `ArrayOperate`: chains of operations on arrays, as in Dagger (Java's streams).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, Int64Builder, ListArray, UInt32Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, SortOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use hashbrown::HashSet;

use super::literal_text;
use crate::scalar::{Call, Definition, Evaluation, Kind, list_element};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static AGGREGATE_FUNCTIONS: &[&Definition] = &[&ARRAY_AGGREGATE, &ARRAY_OPERATE];

const PARAMETERS: &[(&str, Kind)] = &[("array", Kind::List), ("operation", Kind::Text), ("type", Kind::Text)];

static ARRAY_AGGREGATE: Definition = Definition {
    doc: FunctionDoc {
        name: "ArrayAggregate",
        kind: FunctionKind::Scalar,
        signature: "ArrayAggregate(array ARRAY, operation STRING, type STRING) -> the operation's type",
        description: "Applies an operation to the elements: average (DOUBLE), min, max, sum (BIGINT or DOUBLE), count (BIGINT), findFirst, findAny (the same as findFirst); before it, with dots, any of distinct and sorted: 'distinct.sum'. The type says what the elements are taken as: Int, Integer, Long, Bigint, Float, Double, or Other for anything else. Both texts are literals. NULL elements are skipped. Of an empty array a number is 0, as in Dagger, and Other is NULL. A sum beyond 64 bits is an error.",
        example: "ArrayAggregate(make_array(1, 1, 2), 'distinct.average', 'Integer')",
    },
    aliases: &[],
    parameters: PARAMETERS,
    optional: 0,
    returns: |types, literals| {
        let chain = planned("ArrayAggregate", types, literals)?;
        match (chain.last, chain.element) {
            (Some(Last::Average), Element::Other) | (Some(Last::Sum), Element::Other) => {
                plan_err!("ArrayAggregate: 'average' and 'sum' need a number type, not 'Other'")
            }
            (Some(Last::Average), _) => Ok(DataType::Float64),
            (Some(Last::Count), _) => Ok(DataType::Int64),
            (Some(_), Element::Other) => element_type("ArrayAggregate", types),
            (Some(_), element) => Ok(element.number_type()),
            (None, _) => plan_err!(
                "ArrayAggregate: the operation must end in one of average, min, max, sum, count, findFirst, findAny"
            ),
        }
    },
    evaluation: Evaluation::Columns(array_aggregate),
};

static ARRAY_OPERATE: Definition = Definition {
    doc: FunctionDoc {
        name: "ArrayOperate",
        kind: FunctionKind::Scalar,
        signature: "ArrayOperate(array ARRAY, operation STRING, type STRING) -> ARRAY",
        description: "Applies distinct (the first of equal elements stays), sorted, or both with a dot between: 'distinct.sorted'. The type says what the elements are taken as: Int, Integer, Long, Bigint, Float, Double, or Other. Both texts are literals. NULL elements are skipped.",
        example: "ArrayOperate(make_array(3, 1, 3), 'distinct.sorted', 'Integer')",
    },
    aliases: &[],
    parameters: PARAMETERS,
    optional: 0,
    returns: |types, literals| {
        let chain = planned("ArrayOperate", types, literals)?;
        if chain.last.is_some() {
            return plan_err!(
                "ArrayOperate: the operation must be made of distinct and sorted; ArrayAggregate takes average, min, max, sum, count"
            );
        }
        let element = match chain.element {
            Element::Other => element_type("ArrayOperate", types)?,
            number => number.number_type(),
        };
        Ok(DataType::new_list(element, true))
    },
    evaluation: Evaluation::Columns(array_operate),
};

/// What the elements are taken as.
#[derive(Clone, Copy, PartialEq)]
enum Element {
    Whole,
    Floating,
    Other,
}

impl Element {
    fn parse(function: &str, text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "int" | "integer" | "long" | "bigint" => Ok(Element::Whole),
            "float" | "double" => Ok(Element::Floating),
            "other" => Ok(Element::Other),
            _ => plan_err!(
                "{function}: type is '{text}', but must be Int, Integer, Long, Bigint, Float, Double or Other"
            ),
        }
    }

    fn number_type(self) -> DataType {
        if self == Element::Floating { DataType::Float64 } else { DataType::Int64 }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Distinct,
    Sorted,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Average,
    Min,
    Max,
    Sum,
    Count,
    FindFirst,
}

struct Chain {
    steps: Vec<Step>,
    last: Option<Last>,
    element: Element,
}

impl Chain {
    fn parse(function: &str, operation: &str, element: &str) -> Result<Self> {
        let element = Element::parse(function, element)?;
        let (mut steps, mut last) = (Vec::new(), None);
        for name in operation.split('.') {
            if last.is_some() {
                return plan_err!(
                    "{function}: operation is '{operation}', but nothing can follow average, min, max, sum, count, findFirst"
                );
            }
            match name.trim().to_ascii_lowercase().as_str() {
                "distinct" => steps.push(Step::Distinct),
                "sorted" | "sort" => steps.push(Step::Sorted),
                "average" => last = Some(Last::Average),
                "min" => last = Some(Last::Min),
                "max" => last = Some(Last::Max),
                "sum" => last = Some(Last::Sum),
                "count" => last = Some(Last::Count),
                "findfirst" | "findany" => last = Some(Last::FindFirst),
                _ => {
                    return plan_err!(
                        "{function}: operation is '{operation}', but must be made of distinct, sorted, average, min, max, sum, count, findFirst, findAny with dots between"
                    );
                }
            }
        }
        Ok(Self { steps, last, element })
    }
}

fn planned(function: &str, types: &[DataType], literals: &[Option<&ScalarValue>]) -> Result<Chain> {
    let operation = literal_text(function, "operation", literals.get(1))?;
    let element = literal_text(function, "type", literals.get(2))?;
    element_type(function, types)?;
    Chain::parse(function, operation, element)
}

fn element_type(function: &str, types: &[DataType]) -> Result<DataType> {
    match types.first().and_then(list_element) {
        Some(element) => Ok(element.data_type().clone()),
        None => plan_err!("{function}: argument 1 must be an array"),
    }
}

/// The chain of a call and the lists with their elements cast to what the chain works on.
fn prepared(call: &Call) -> Result<Option<(Chain, ListArray)>> {
    let (operations, elements) = (call.texts(1)?, call.texts(2)?);
    let (Some(operation), Some(element)) = (operations.get(0), elements.get(0)) else {
        return Ok(None);
    };
    let chain = Chain::parse(call.function, operation, element)?;
    let lists = call.lists(0)?.array;
    if chain.element == Element::Other {
        return Ok(Some((chain, lists)));
    }
    // An element that does not fit is an error, not a NULL.
    let strict = CastOptions { safe: false, ..Default::default() };
    let target = chain.element.number_type();
    let values = cast_with_options(lists.values(), &target, &strict)
        .map_err(|error| exec_datafusion_err!("{}: an element is not a {element}: {error}", call.function))?;
    let field = Arc::new(Field::new_list_field(target, true));
    let lists = ListArray::try_new(field, lists.offsets().clone(), values, lists.nulls().cloned())?;
    Ok(Some((chain, lists)))
}

/// For every list the positions (in the child array) of the elements that the steps leave, in order.
fn apply_steps(steps: &[Step], lists: &ListArray) -> Result<Vec<Vec<u32>>> {
    let values = lists.values();
    let rows = if steps.is_empty() {
        None
    } else {
        let options = SortOptions { descending: false, nulls_first: true };
        let field = SortField::new_with_options(values.data_type().clone(), options);
        let converter = RowConverter::new(vec![field])?;
        Some(converter.convert_columns(std::slice::from_ref(values))?)
    };
    let mut kept = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let (start, end) = (lists.value_offsets()[row] as u32, lists.value_offsets()[row + 1] as u32);
        if lists.is_null(row) {
            kept.push(Vec::new());
            continue;
        }
        let mut positions: Vec<u32> = (start..end).filter(|&position| values.is_valid(position as usize)).collect();
        if let Some(rows) = &rows {
            for step in steps {
                match step {
                    Step::Distinct => {
                        let mut seen = HashSet::new();
                        positions.retain(|&position| seen.insert(rows.row(position as usize)));
                    }
                    Step::Sorted => positions.sort_by_key(|&position| rows.row(position as usize)),
                }
            }
        }
        kept.push(positions);
    }
    Ok(kept)
}

fn array_operate(call: &Call) -> Result<ArrayRef> {
    let Some((chain, lists)) = prepared(call)? else {
        return Ok(new_null_array(call.returns, call.rows));
    };
    let kept = apply_steps(&chain.steps, &lists)?;
    let offsets = OffsetBuffer::from_lengths(kept.iter().map(Vec::len));
    let positions = UInt32Array::from_iter_values(kept.into_iter().flatten());
    let values = take(lists.values(), &positions, None)?;
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, lists.nulls().cloned())?))
}

fn array_aggregate(call: &Call) -> Result<ArrayRef> {
    let Some((chain, lists)) = prepared(call)? else {
        return Ok(new_null_array(call.returns, call.rows));
    };
    let mut kept = apply_steps(&chain.steps, &lists)?;
    let nulls = lists.nulls().cloned();
    match (chain.last, chain.element) {
        (Some(Last::Count), _) => {
            let mut counts = Int64Builder::with_capacity(kept.len());
            for (row, positions) in kept.iter().enumerate() {
                counts.append_option(lists.is_valid(row).then_some(positions.len() as i64));
            }
            Ok(Arc::new(counts.finish()))
        }
        (Some(last), Element::Whole) => whole(call, last, &lists, &kept),
        (Some(last), Element::Floating) => Ok(floating(last, &lists, &kept)),
        (Some(last), Element::Other) => {
            if matches!(last, Last::Min | Last::Max) {
                kept = apply_steps(&[Step::Sorted], &lists)?;
            }
            other(last, &lists, &kept, nulls)
        }
        (None, _) => exec_err!("{}: the operation has no aggregate", call.function),
    }
}

fn whole(call: &Call, last: Last, lists: &ListArray, kept: &[Vec<u32>]) -> Result<ArrayRef> {
    let values = lists.values().as_primitive::<Int64Type>();
    let of =
        |positions: &[u32]| -> Vec<i64> { positions.iter().map(|&position| values.value(position as usize)).collect() };
    if last == Last::Average {
        let mut averages = Float64Builder::with_capacity(kept.len());
        for (row, positions) in kept.iter().enumerate() {
            let sum: i128 = of(positions).iter().map(|&value| i128::from(value)).sum();
            let average = if positions.is_empty() { 0.0 } else { sum as f64 / positions.len() as f64 };
            averages.append_option(lists.is_valid(row).then_some(average));
        }
        return Ok(Arc::new(averages.finish()));
    }
    let mut results = Int64Builder::with_capacity(kept.len());
    for (row, positions) in kept.iter().enumerate() {
        let numbers = of(positions);
        let result = match last {
            Last::Min => numbers.iter().min().copied(),
            Last::Max => numbers.iter().max().copied(),
            Last::FindFirst => numbers.first().copied(),
            _ => {
                let sum: i128 = numbers.iter().map(|&value| i128::from(value)).sum();
                Some(
                    i64::try_from(sum)
                        .map_err(|_| call.refuse("the sum", sum, "within 64 bits; take the type Double for more"))?,
                )
            }
        };
        results.append_option(lists.is_valid(row).then_some(result.unwrap_or(0)));
    }
    Ok(Arc::new(results.finish()))
}

fn floating(last: Last, lists: &ListArray, kept: &[Vec<u32>]) -> ArrayRef {
    let values = lists.values().as_primitive::<Float64Type>();
    let mut results = Float64Builder::with_capacity(kept.len());
    for (row, positions) in kept.iter().enumerate() {
        let numbers: Vec<f64> = positions.iter().map(|&position| values.value(position as usize)).collect();
        let result = match last {
            Last::Min => numbers.iter().copied().min_by(f64::total_cmp),
            Last::Max => numbers.iter().copied().max_by(f64::total_cmp),
            Last::FindFirst => numbers.first().copied(),
            Last::Average if numbers.is_empty() => None,
            Last::Average => Some(compensated_sum(&numbers) / numbers.len() as f64),
            _ => Some(compensated_sum(&numbers)),
        };
        results.append_option(lists.is_valid(row).then_some(result.unwrap_or(0.0)));
    }
    Arc::new(results.finish())
}

/// Kahan's summation, as in Java's streams of doubles.
fn compensated_sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut lost, mut plain) = (0.0f64, 0.0f64, 0.0f64);
    for &number in numbers {
        plain += number;
        let corrected = number - lost;
        let next = sum + corrected;
        lost = (next - sum) - corrected;
        sum = next;
    }
    // With infinities the correction is NaN where the plain sum is right.
    if sum.is_nan() { plain } else { sum - lost }
}

/// The first or, of the sorted positions, the least or greatest element; NULL of an empty list.
fn other(last: Last, lists: &ListArray, kept: &[Vec<u32>], nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let chosen = |row: usize, positions: &[u32]| {
        let position = if last == Last::Max { positions.last() } else { positions.first() };
        position.copied().filter(|_| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)))
    };
    let positions: UInt32Array = kept.iter().enumerate().map(|(row, positions)| chosen(row, positions)).collect();
    Ok(take(lists.values(), &positions, None)?)
}
