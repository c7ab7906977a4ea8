//! Encodes rows and appends them to a topic, durable before it returns.
//!
//! After a crash the rows since the last checkpoint are appended again: at least once. (A topic of Kafka will be written
//! in transactions.)

use super::TopicSinkConfig;
use crate::sinks::SinkCounters;
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use bytes::Bytes;
use flow::{OutputBatch, Sink, SinkError};
use log::{LogError, NewRecord, TopicLog};
use std::sync::Arc;

const KEY_SEPARATOR: &str = "|";

pub struct TopicSink {
    log: Arc<dyn TopicLog>,
    config: TopicSinkConfig,
    counters: Arc<SinkCounters>,
    /// What is left of a batch of which the log took a part only.
    left: Option<Vec<NewRecord>>,
}

impl TopicSink {
    pub fn new(log: Arc<dyn TopicLog>, config: TopicSinkConfig, counters: Arc<SinkCounters>) -> Self {
        Self { log, config, counters, left: None }
    }

    fn records(&self, batch: &RecordBatch) -> Result<Vec<NewRecord>, SinkError> {
        let broken = |message: String| SinkError::new(message, false);
        let encoded = self.config.program.encode(batch).map_err(|error| broken(error.to_string()))?;
        if let Some(example) = encoded.errors.first() {
            tracing::warn!(topic = %self.config.topic, refused = encoded.errors.len(), example = %example, "rows have no record");
            self.counters.add_refused(encoded.errors.len() as u64, example.to_string());
        }
        let options = FormatOptions::default();
        let keys = self
            .config
            .key
            .iter()
            .map(|column| ArrayFormatter::try_new(batch.column(*column).as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| broken(error.to_string()))?;
        let mut refused = encoded.errors.iter().map(|error| error.index as usize).peekable();
        let rows = (0..batch.num_rows()).filter(|row| refused.next_if_eq(row).is_none());
        Ok(rows
            .zip(&encoded.spans)
            .map(|(row, (start, length))| NewRecord {
                key: key_of(&keys, row),
                value: Some(encoded.data.slice(*start as usize..(*start + *length) as usize)),
                ..NewRecord::default()
            })
            .collect())
    }
}

fn key_of(columns: &[ArrayFormatter<'_>], row: usize) -> Option<Bytes> {
    if columns.is_empty() {
        return None;
    }
    let parts: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
    Some(Bytes::from(parts.join(KEY_SEPARATOR)))
}

#[async_trait]
impl Sink for TopicSink {
    fn name(&self) -> &str {
        "topic"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        let records = match self.left.take() {
            Some(left) => left,
            None => self.records(&rows.batch)?,
        };
        if records.is_empty() {
            return Ok(());
        }
        let count = records.len() as u64;
        match self.log.produce(&self.config.topic, records.clone()).await {
            Ok(_) => {
                self.counters.add_written(count);
                Ok(())
            }
            Err(LogError::PartlyWritten { acks, source }) => {
                let left: Vec<NewRecord> =
                    records.into_iter().zip(&acks).filter(|(_, ack)| ack.is_none()).map(|(record, _)| record).collect();
                self.counters.add_written(count - left.len() as u64);
                self.left = Some(left);
                Err(SinkError::new(source.to_string(), source.is_retryable()))
            }
            Err(error) => {
                self.left = Some(records);
                Err(SinkError::new(error.to_string(), error.is_retryable()))
            }
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
