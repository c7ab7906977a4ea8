//! Arrow rows as JSON lines: the one form in which results leave Millrace (command line, REST, files, the `log` sink).
//!
//! The rules: integers as numbers, decimals as numbers with all their digits, timestamps as RFC 3339 in UTC with 0, 3, 6
//! or 9 digits of a second, bytes as base64, NaN and the infinities as strings, NULL as null, keys in column order.
//! Nothing is allocated per row: a [`RowWriter`] is made once for a schema, bound once to a batch, and then appends
//! bytes. This crate does not read JSON and knows nothing of where the rows come from.

mod column;
mod time;

use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use column::Column;

pub use time::{write_date_days, write_timestamp_micros, write_timestamp_millis};

/// A column whose type has no JSON form (unions and run-end encoded arrays are never results of a query).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} has the type {data_type}, which has no JSON form; cast it to a supported type")]
pub struct UnsupportedType {
    pub column: String,
    pub data_type: DataType,
}

/// The prepared form of a schema: every key already escaped and followed by its colon.
#[derive(Debug, Clone)]
pub struct RowWriter {
    keys: Vec<Vec<u8>>,
}

impl RowWriter {
    pub fn new(schema: &Schema) -> Self {
        Self { keys: column::object_keys(schema.fields()) }
    }

    /// Looks up the arrays of `batch` once, so that writing a row costs no downcast. The batch must have the columns of
    /// the schema that this writer was made for.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundRows<'a>, UnsupportedType> {
        let schema = batch.schema_ref();
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| {
                Column::new(array.as_ref())
                    .map_err(|data_type| UnsupportedType { column: field.name().clone(), data_type })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(BoundRows { keys: &self.keys, columns, rows: batch.num_rows() })
    }
}

/// A batch ready to be written row by row, in any order.
pub struct BoundRows<'a> {
    keys: &'a [Vec<u8>],
    columns: Vec<Column<'a>>,
    rows: usize,
}

impl BoundRows<'_> {
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends the JSON object of one row, without a line end.
    pub fn write_row(&self, row: usize, out: &mut Vec<u8>) {
        column::write_object(self.keys, &self.columns, row, out);
    }

    /// Appends the JSON value of one cell.
    pub fn write_cell(&self, column: usize, row: usize, out: &mut Vec<u8>) {
        self.columns[column].write(row, out);
    }
}

/// Appends all rows of a batch, one JSON object a line, each line ended by `\n`.
pub fn write_rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), UnsupportedType> {
    let writer = RowWriter::new(batch.schema_ref());
    let rows = writer.bind(batch)?;
    for row in 0..rows.len() {
        rows.write_row(row, out);
        out.push(b'\n');
    }
    Ok(())
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    column::write_string(text, out);
}

#[cfg(test)]
mod tests;
