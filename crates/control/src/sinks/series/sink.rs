//! Writes results as points. The same rows written twice are the same points, so a restart needs no care.

use super::{SeriesConfig, SeriesOrigin};
use crate::sinks::{RowsOfRecord, SinkCounters};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use flow::{AfterError, OutputBatch, Sink, SinkError};
use series::{SeriesError, SeriesStore, SyncPoint};
use std::sync::Arc;
use std::time::Duration;

pub struct SeriesSink {
    store: SeriesStore,
    config: SeriesConfig,
    schema: SchemaRef,
    /// Set with the first write, which makes the measurement.
    retention: Option<Duration>,
    counters: Arc<SinkCounters>,
    /// Before the first write since the last flush.
    unflushed: SyncPoint,
}

impl SeriesSink {
    /// `result` is the schema of the dagger's rows.
    pub fn new(
        store: SeriesStore,
        config: SeriesConfig,
        result: &SchemaRef,
        retention: Duration,
        counters: Arc<SinkCounters>,
    ) -> Self {
        let retention = Some(retention);
        let schema = Arc::new(config.written_schema(result));
        let unflushed = store.sync_point();
        Self { store, config, schema, retention, counters, unflushed }
    }

    fn with_origin(&self, rows: &OutputBatch) -> Result<RecordBatch, SinkError> {
        let SeriesOrigin::Record(rows_of_record) = self.config.origin else { return Ok(rows.batch.clone()) };
        let Some(origin) = &rows.origin else {
            return Err(SinkError::new("the rows do not say which records they come from", false));
        };
        let count = rows.batch.num_rows();
        let mut columns = rows.batch.columns().to_vec();
        columns.push(Arc::new(UInt32Array::from(vec![origin.partition; count])) as ArrayRef);
        columns.push(Arc::new(Int64Array::from(origin.offsets.clone())));
        columns.push(Arc::new(StringArray::from(vec![origin.topic.as_ref(); count])));
        if rows_of_record == RowsOfRecord::Several {
            columns.push(Arc::new(StringArray::from(origin.row_names())));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| SinkError::new(error.to_string(), false))
    }
}

#[async_trait]
impl Sink for SeriesSink {
    fn name(&self) -> &str {
        "series"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.with_origin(rows)?;
        let (store, config, retention) = (self.store.clone(), self.config.clone(), self.retention);
        let summary = tokio::task::spawn_blocking(move || {
            let summary = store.write(&config.measurement, &batch, &config.layout)?;
            if let Some(retention) = retention {
                store.set_retention(&config.measurement, retention)?;
            }
            Ok::<_, SeriesError>(summary)
        })
        .await
        .map_err(|error| SinkError::new(error.to_string(), false))?
        .map_err(sink_error)?;
        self.retention = None;
        self.counters.add_written(summary.written);
        if let Some(example) = summary.examples.first() {
            tracing::warn!(
                measurement = %self.config.measurement, skipped = summary.skipped, example = %example.message,
                "rows are no points"
            );
            self.counters.add_refused(summary.skipped, example.message.clone());
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let (store, unflushed) = (self.store.clone(), self.unflushed);
        tokio::task::spawn_blocking(move || store.sync(unflushed))
            .await
            .map_err(|error| SinkError::new(error.to_string(), false))?
            // The next flush would not bring to disk what this one did not: it has to be written again.
            .map_err(|error| SinkError { then: AfterError::StartAnew, ..sink_error(error) })?;
        self.unflushed = self.store.sync_point();
        Ok(())
    }
}

fn sink_error(error: SeriesError) -> SinkError {
    SinkError::new(error.to_string(), error.is_retryable())
}
