//! Any query fits.

use crate::error::ControlError;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use rows::RowWriter;

#[derive(Debug, Clone)]
pub struct LogConfig {
    pub dagger: String,
    pub writer: RowWriter,
}

impl LogConfig {
    pub fn new(dagger: &str, schema: &Schema) -> Result<Self, ControlError> {
        let writer = RowWriter::new(schema);
        // A column without a JSON form is found now and not at the first row.
        let empty = RecordBatch::new_empty(std::sync::Arc::new(schema.clone()));
        writer.bind(&empty).map_err(|error| {
            ControlError::invalid("log_sink_refused", format!("the sink `log` cannot take this query: {error}"))
        })?;
        Ok(Self { dagger: dagger.to_owned(), writer })
    }
}
