//! Rows as JSON objects for servers that read JSON strictly: what it has no numbers for is found before it is written.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rows::{BoundRows, RowWriter};

/// Some columns of a schema as JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonRows {
    writer: RowWriter,
    columns: Vec<usize>,
}

/// The columns of a batch that are written.
pub(crate) struct JsonColumns {
    batch: RecordBatch,
    /// Why rows cannot be written.
    refused: BTreeMap<usize, String>,
}

/// Ready to be written row by row.
pub(crate) struct BoundJson<'a> {
    rows: BoundRows<'a>,
    refused: &'a BTreeMap<usize, String>,
}

impl JsonRows {
    /// Of these columns of the schema, in this order. `Err`: a column has no JSON form.
    pub fn new(schema: &Schema, columns: Vec<usize>) -> Result<Self, String> {
        let picked = schema.project(&columns).map_err(|error| error.to_string())?;
        let writer = RowWriter::new(&picked);
        writer.bind(&RecordBatch::new_empty(picked.into())).map_err(|error| error.to_string())?;
        Ok(Self { writer, columns })
    }

    pub fn pick(&self, batch: &RecordBatch) -> Result<JsonColumns, ArrowError> {
        let batch = batch.project(&self.columns)?;
        let mut refused = BTreeMap::new();
        for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
            for row in non_finite(column)? {
                refused
                    .entry(row)
                    .or_insert_with(|| format!("`{}` is not a finite number, which JSON cannot say", field.name()));
            }
        }
        Ok(JsonColumns { batch, refused })
    }

    pub fn bind<'a>(&'a self, columns: &'a JsonColumns) -> Result<BoundJson<'a>, ArrowError> {
        let rows = self.writer.bind(&columns.batch).map_err(|error| ArrowError::CastError(error.to_string()))?;
        Ok(BoundJson { rows, refused: &columns.refused })
    }
}

impl JsonColumns {
    pub fn column(&self, column: usize) -> &ArrayRef {
        self.batch.column(column)
    }
}

impl BoundJson<'_> {
    /// Appends the object of a row, or says why there is none.
    pub fn write_row(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        self.check(row)?;
        self.rows.write_row(row, out);
        Ok(())
    }

    /// Whether the row can be written.
    pub fn check(&self, row: usize) -> Result<(), String> {
        self.refused.get(&row).map_or(Ok(()), |reason| Err(reason.clone()))
    }

    /// Appends one value, by the number of its column among those that were picked.
    pub fn write_cell(&self, column: usize, row: usize, out: &mut Vec<u8>) {
        self.rows.write_cell(column, row, out);
    }
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_floats(field.data_type()),
        DataType::Dictionary(_, values) => has_floats(values),
        _ => false,
    }
}

/// The places of an array that have NaN or an infinity in them, at any depth, in ascending order; some may be named twice.
fn non_finite(array: &ArrayRef) -> Result<Vec<usize>, ArrowError> {
    if !has_floats(array.data_type()) {
        return Ok(Vec::new());
    }
    let found: Vec<usize> = match array.data_type() {
        DataType::Float16 => {
            let values = array.as_primitive::<Float16Type>();
            (0..values.len()).filter(|row| !values.value(*row).is_finite()).collect()
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            (0..values.len()).filter(|row| !values.value(*row).is_finite()).collect()
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            (0..values.len()).filter(|row| !values.value(*row).is_finite()).collect()
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter().map(non_finite);
            columns.collect::<Result<Vec<_>, _>>()?.concat()
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            owners(list.value_offsets(), &non_finite(list.values())?)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            owners(list.value_offsets(), &non_finite(list.values())?)
        }
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(list.value_length()).unwrap_or_default().max(1);
            non_finite(list.values())?.into_iter().map(|value| value / length).collect()
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let mut inside = non_finite(map.keys())?;
            inside.extend(non_finite(map.values())?);
            owners(map.value_offsets(), &inside)
        }
        DataType::Dictionary(_, values) => non_finite(&cast(array, values)?)?,
        _ => Vec::new(),
    };
    let mut found: Vec<usize> = found.into_iter().filter(|row| *row < array.len() && array.is_valid(*row)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The lists that values lie in.
fn owners<Offset: Copy + Into<i64>>(offsets: &[Offset], values: &[usize]) -> Vec<usize> {
    let owner = |value: &usize| {
        let value = i64::try_from(*value).ok()?;
        offsets.partition_point(|offset| (*offset).into() <= value).checked_sub(1)
    };
    values.iter().filter_map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, ListArray, StructArray};
    use arrow::datatypes::Float64Type;
    use std::sync::Arc;

    #[test]
    fn rows_with_what_json_cannot_say_are_refused_and_no_others() {
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(0.0), Some(2.0)]));
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(1.0)]),
            Some(vec![]),
            None,
            Some(vec![Some(1.0), Some(f64::INFINITY)]),
            Some(vec![Some(3.0)]),
        ]);
        let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]));
        let structs = StructArray::try_from(vec![("n", inner), ("x", Arc::clone(&floats))]).unwrap();
        let batch = RecordBatch::try_from_iter([
            ("a", floats),
            ("b", Arc::new(lists) as ArrayRef),
            ("c", Arc::new(structs) as ArrayRef),
        ])
        .unwrap();
        let json = JsonRows::new(batch.schema_ref(), vec![2, 1]).unwrap();
        for (batch, expected) in [(batch.clone(), vec![0, 2, 4]), (batch.slice(3, 2), vec![1])] {
            let columns = json.pick(&batch).unwrap();
            let bound = json.bind(&columns).unwrap();
            let written: Vec<usize> =
                (0..batch.num_rows()).filter(|row| bound.write_row(*row, &mut Vec::new()).is_ok()).collect();
            assert_eq!(written, expected);
        }
        let columns = json.pick(&batch).unwrap();
        let mut out = Vec::new();
        json.bind(&columns).unwrap().write_row(4, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"c":{"n":5,"x":2.0},"b":[3.0]}"#);
        assert!(json.bind(&columns).unwrap().check(3).unwrap_err().contains("`b` is not a finite number"));
    }
}
