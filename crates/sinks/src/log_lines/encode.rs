//! Rows as JSON objects.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatchBuilder;
use rows::RowWriter;

use crate::{Encoded, RowEncoder, RowOrigin, SettingError};

/// Of the JSON of a row, as a guess.
const ROW_BYTES: usize = 256;

pub(super) struct JsonEncoder {
    writer: RowWriter,
}

impl JsonEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self, SettingError> {
        let writer = RowWriter::new(schema);
        // A column without a JSON form is found now and not at the first row.
        let empty = RecordBatch::new_empty(Arc::clone(schema));
        writer.bind(&empty).map_err(|error| SettingError {
            key: None,
            detail: error.to_string(),
            hint: "leave the column out".to_owned(),
        })?;
        Ok(Self { writer })
    }
}

impl RowEncoder for JsonEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let bound = self.writer.bind(batch).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
        let mut records = EncodedBatchBuilder::with_capacity(bound.len(), bound.len() * ROW_BYTES);
        for row in 0..bound.len() {
            bound.write_row(row, records.bytes_mut());
            records.end_record();
        }
        Ok(Encoded { records: records.finish(), rows: (0..bound.len()).collect(), refused: Vec::new() })
    }
}
