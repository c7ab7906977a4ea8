//! `ElementAt`: one element of an array as text, or a field of one element of an array of rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};

use super::literal_text;
use crate::scalar::{Call, Definition, Evaluation, Kind, list_element};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static ELEMENT_FUNCTIONS: &[&Definition] = &[&ELEMENT_AT];

static ELEMENT_AT: Definition = Definition {
    doc: FunctionDoc {
        name: "ElementAt",
        kind: FunctionKind::Scalar,
        signature: "ElementAt(array ARRAY, index INT) -> STRING; ElementAt(array ARRAY<ROW>, arrayPath STRING, index INT, fieldPath STRING [, table STRING]) -> STRING",
        description: "The element at the index as text; negative indices count from the end; NULL out of range. The long form takes a field of an element that is a row: fieldPath names it, with dots for nested rows, and is a literal; arrayPath and table are accepted for Dagger's sake and not needed. Where Dagger gives an empty text on any error, this gives NULL for what is not there, and a field that does not exist is an error when the query is planned.",
        example: "ElementAt(make_array('a', 'b', 'c'), -1)",
    },
    aliases: &[],
    parameters: &[
        ("array", Kind::List),
        ("index or arrayPath", Kind::Any),
        ("index", Kind::Integer),
        ("fieldPath", Kind::Text),
        ("table", Kind::Text),
    ],
    optional: 3,
    returns: |types, literals| {
        let Some(element) = types.first().and_then(list_element) else {
            return plan_err!("ElementAt: argument 1 must be an array");
        };
        match types.len() {
            2 if !(types[1].is_integer() || types[1] == DataType::Null) => {
                plan_err!("ElementAt: argument 2 (index) must be a whole number, but is {}", types[1])
            }
            2 if element.data_type().is_nested() => plan_err!(
                "ElementAt: the elements are {}; name a field of them with ElementAt(array, arrayPath, index, fieldPath)",
                element.data_type()
            ),
            2 => Ok(DataType::Utf8),
            3 => plan_err!("ElementAt takes 2, 4 or 5 arguments, but 3 are given"),
            _ => {
                let path = literal_text("ElementAt", "fieldPath", literals.get(3))?;
                find_field(element, path)?;
                Ok(DataType::Utf8)
            }
        }
    },
    evaluation: Evaluation::Columns(element_at),
};

/// Positions of the fields on the way from an element to the named field.
fn find_field(element: &FieldRef, path: &str) -> Result<Vec<usize>> {
    let mut way = Vec::new();
    let mut field = element;
    for name in path.split('.') {
        let DataType::Struct(fields) = field.data_type() else {
            return plan_err!("ElementAt: '{name}' of '{path}' is asked of {}, which has no fields", field.data_type());
        };
        let Some((index, found)) = fields.iter().enumerate().find(|(_, field)| field.name() == name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            return plan_err!("ElementAt: there is no field '{name}' of '{path}'; there are {}", known.join(", "));
        };
        way.push(index);
        field = found;
    }
    if field.data_type().is_nested() {
        return plan_err!("ElementAt: '{path}' is {}; name a field within it", field.data_type());
    }
    Ok(way)
}

fn element_at(call: &Call) -> Result<ArrayRef> {
    let lists = call.lists(0)?;
    let index_argument = if call.given() == 2 { 1 } else { 2 };
    let indices = call.any(index_argument)?;
    let index_values = cast(&indices.array, &DataType::Int64)?;
    let index_values = index_values.as_primitive::<arrow::datatypes::Int64Type>();

    let offsets = lists.array.value_offsets();
    let positions: UInt32Array = (0..call.rows)
        .map(|row| {
            let (list, index) = (lists.position(row), indices.position(row));
            if lists.array.is_null(list) || index_values.is_null(index) {
                return None;
            }
            let (start, end) = (i64::from(offsets[list]), i64::from(offsets[list + 1]));
            let wanted = index_values.value(index);
            let position = if wanted < 0 { end.checked_add(wanted)? } else { start.checked_add(wanted)? };
            if (start..end).contains(&position) { u32::try_from(position).ok() } else { None }
        })
        .collect();

    let mut elements = Arc::clone(lists.array.values());
    if call.given() > 2 {
        let paths = call.texts(3)?;
        let (Some(path), Some(element)) = (paths.get(0), list_element(lists.array.data_type())) else {
            return Ok(new_null_array(&DataType::Utf8, call.rows));
        };
        let mut taken = take(&elements, &positions, None)?;
        for index in find_field(element, path)? {
            taken = field_of(&taken, index)?;
        }
        return Ok(cast(&taken, &DataType::Utf8)?);
    }
    if *elements.data_type() == DataType::Null {
        elements = new_null_array(&DataType::Utf8, elements.len());
    }
    Ok(cast(&take(&elements, &positions, None)?, &DataType::Utf8)?)
}

/// A child of a column of rows, NULL where the row is.
fn field_of(rows: &ArrayRef, index: usize) -> Result<ArrayRef> {
    let Some(rows) = rows.as_struct_opt() else {
        return exec_err!("ElementAt: a field is asked of {}", rows.data_type());
    };
    let child = rows.column(index);
    match rows.nulls() {
        None => Ok(Arc::clone(child)),
        Some(nulls) => {
            let kept: UInt32Array = (0..rows.len()).map(|row| nulls.is_valid(row).then_some(row as u32)).collect();
            Ok(take(child, &kept, None)?)
        }
    }
}
