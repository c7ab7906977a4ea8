//! Encodes rows and appends them to a topic, durable before it returns.
//!
//! After a crash the rows since the last checkpoint are appended again: at least once.

use super::TopicSinkConfig;
use crate::sinks::SinkCounters;
use async_trait::async_trait;
use flow::{OutputBatch, Sink, SinkError};
use log::{LogError, NewRecord, TopicLog};
use std::sync::Arc;

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
}

#[async_trait]
impl Sink for TopicSink {
    fn name(&self) -> &str {
        "topic"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        let records = match self.left.take() {
            Some(left) => left,
            None => self.config.records(rows, &self.counters)?,
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
