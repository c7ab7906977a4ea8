//! Rows as the tuples of `COPY ... (FORMAT binary)`.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>

use arrow::array::Array;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatchBuilder;
use rows::{BoundRows, RowWriter};

use super::cells::{Cells, Refusal, end_value};
use super::column_type::{Column, ColumnType, columns};
use crate::{Encoded, RowEncoder, RowOrigin};

/// Encodes rows of one schema. Each record is a tuple, so the records of a batch are what a COPY sends.
pub struct CopyEncoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Columns that may not be NULL.
    keys: Vec<usize>,
    /// Columns that are written as JSON, and the writer of a batch of them.
    json: Vec<usize>,
    json_writer: RowWriter,
    tuple_head: [u8; 2],
}

enum Source<'a> {
    Cells(Cells<'a>),
    /// A column of the batch of those that are written as JSON.
    Json(usize, &'a dyn Array),
}

impl CopyEncoder {
    /// Errors name the column, and what is wrong with it.
    pub fn new(schema: &SchemaRef, keys: &[String]) -> Result<Self, (String, String)> {
        let columns = columns(schema)?;
        let tuple_head = match i16::try_from(columns.len()) {
            Ok(count) => count.to_be_bytes(),
            Err(_) => return Err((String::new(), format!("{} columns are too many", columns.len()))),
        };
        let find = |key: &String| {
            let found = columns.iter().position(|column| column.name == *key);
            found.ok_or_else(|| (key.clone(), "there is no such column".to_owned()))
        };
        let keys = keys.iter().map(find).collect::<Result<_, _>>()?;
        let json: Vec<usize> =
            (0..columns.len()).filter(|index| columns[*index].data_type == ColumnType::Jsonb).collect();
        let json_schema = Schema::new(json.iter().map(|index| schema.field(*index).clone()).collect::<Vec<_>>());
        Ok(Self {
            schema: SchemaRef::clone(schema),
            json_writer: RowWriter::new(&json_schema),
            columns,
            keys,
            json,
            tuple_head,
        })
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl RowEncoder for CopyEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let fits = batch.num_columns() == self.columns.len()
            && batch
                .schema_ref()
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(got, known)| got.data_type() == known.data_type() && got.name() == known.name());
        if !fits {
            return Err(ArrowError::SchemaError("the rows have other columns than the sink was made for".to_owned()));
        }
        let json_batch = batch.project(&self.json)?;
        let json = self.json_writer.bind(&json_batch).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
        let mut sources = Vec::with_capacity(self.columns.len());
        for (index, array) in batch.columns().iter().enumerate() {
            sources.push(match self.json.iter().position(|json| *json == index) {
                Some(json) => Source::Json(json, array.as_ref()),
                None => Source::Cells(Cells::of(array.as_ref()).ok_or_else(|| {
                    ArrowError::SchemaError(format!("{} has no type in PostgreSQL", array.data_type()))
                })?),
            });
        }
        let mut records = EncodedBatchBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 16 * sources.len());
        let (mut kept, mut refused) = (Vec::with_capacity(batch.num_rows()), Vec::new());
        for row in 0..batch.num_rows() {
            let start = records.size();
            match self.write_row(&sources, &json, row, records.bytes_mut()) {
                Ok(()) => {
                    records.end_record();
                    kept.push(row);
                }
                Err(reason) => {
                    records.bytes_mut().truncate(start);
                    refused.push((row, reason));
                }
            }
        }
        Ok(Encoded { records: records.finish(), rows: kept, refused })
    }
}

impl CopyEncoder {
    fn write_row(
        &self,
        sources: &[Source<'_>],
        json: &BoundRows<'_>,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        for key in &self.keys {
            if sources[*key].is_null(row) {
                return Err(format!("`{}` is NULL, and it is one of `uniqueKeys`", self.columns[*key].name));
            }
        }
        out.extend_from_slice(&self.tuple_head);
        for (source, column) in sources.iter().zip(&self.columns) {
            let written = match source {
                Source::Cells(cells) => cells.write(row, out),
                Source::Json(column, _) => write_json(source.is_null(row), json, *column, row, out),
            };
            written.map_err(|reason| format!("`{}`: {reason}", column.name))?;
        }
        Ok(())
    }
}

impl Source<'_> {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Cells(cells) => cells.is_null(row),
            Self::Json(_, array) => array.is_null(row),
        }
    }
}

fn write_json(
    is_null: bool,
    json: &BoundRows<'_>,
    column: usize,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    const VERSION: u8 = 1;
    if is_null {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    }
    let at = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, VERSION]);
    json.write_cell(column, row, out);
    if has_nul(&out[at + 5..]) {
        return Err("a text with a NUL byte does not go into PostgreSQL".to_owned());
    }
    end_value(at, out)
}

/// Whether a JSON text has a `\u0000` in it, which is not one after an escaped backslash.
fn has_nul(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, b"\\u0000")
        .any(|at| json[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field, Int32Type};
    use std::sync::Arc;

    #[test]
    fn a_nul_is_seen_behind_backslashes() {
        assert!(has_nul(br#""a\u0000""#) && has_nul(br#""\\\u0000""#));
        assert!(!has_nul(br#""\\u0000""#) && !has_nul(br#""u0000""#));
    }

    #[test]
    fn a_row_that_does_not_go_into_postgresql_is_refused_alone() {
        let inner: ArrayRef = Arc::new(StringArray::from(vec!["x", "x", "x", "x\0", "x"]));
        let object = StructArray::from(vec![(Arc::new(Field::new("in", DataType::Utf8, true)), inner)]);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec!["a", "b\0", "c", "d", "e"]))),
            ("day", Arc::new(Date32Array::from(vec![0, 0, i32::MAX, 0, 0]))),
            ("price", Arc::new(Float64Array::from(vec![f64::NAN, 1.0, 1.0, 1.0, 1.0]))),
            ("object", Arc::new(object)),
        ])
        .unwrap();
        let encoder = CopyEncoder::new(&batch.schema(), &["id".to_owned()]).unwrap();
        let encoded = encoder.encode(&batch, None).unwrap();
        assert_eq!((encoded.rows, encoded.records.len()), (vec![0], 1));
        let refused: Vec<(usize, &str)> = encoded.refused.iter().map(|(row, reason)| (*row, reason.as_str())).collect();
        assert_eq!(
            refused,
            [
                (1, "`name`: a text with a NUL byte does not go into PostgreSQL"),
                (2, "`day`: a date is outside of what PostgreSQL can hold"),
                (3, "`object`: a text with a NUL byte does not go into PostgreSQL"),
                (4, "`id` is NULL, and it is one of `uniqueKeys`"),
            ]
        );
    }

    #[test]
    fn a_tuple_is_written_as_copy_reads_it() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(7), None])]);
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![None])) as ArrayRef),
            ("list", Arc::new(list)),
            ("text", Arc::new(StringArray::from(vec!["é"]))),
        ])
        .unwrap();
        let encoder = CopyEncoder::new(&batch.schema(), &[]).unwrap();
        let records = encoder.encode(&batch, None).unwrap().records;
        let list = [0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1];
        let elements = [0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255];
        let text = [0, 0, 0, 2, 0xc3, 0xa9];
        let expected: Vec<u8> = [&[0, 3, 255, 255, 255, 255][..], &list, &elements, &text].concat();
        assert_eq!(records.record(0), expected);
    }
}
