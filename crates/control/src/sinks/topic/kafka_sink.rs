//! Writes results to a topic on a Kafka cluster: at least once, or within transactions exactly once.

use super::TopicSinkConfig;
use crate::sinks::SinkCounters;
use async_trait::async_trait;
use flow::{AfterError, OutputBatch, Sink, SinkError, TransactionalSink};
use kafka::{KafkaLog, Marker, WriteError, Writer, WriterOptions};
use log::NewRecord;
use std::sync::Arc;

/// What a broker takes when nobody has said otherwise.
const RECORD_BYTES_DEFAULT: usize = 1_048_588;

pub struct KafkaSink {
    cluster: KafkaLog,
    options: WriterOptions,
    config: TopicSinkConfig,
    counters: Arc<SinkCounters>,
    /// Absent until it is needed.
    writer: Option<Arc<Writer>>,
    /// What is left of a batch that did not fit into the writer's memory.
    left: Option<Vec<NewRecord>>,
}

impl KafkaSink {
    pub fn new(
        cluster: KafkaLog,
        options: WriterOptions,
        config: TopicSinkConfig,
        counters: Arc<SinkCounters>,
    ) -> Self {
        Self { cluster, options, config, counters, writer: None, left: None }
    }

    fn is_transactional(&self) -> bool {
        self.options.delivery != kafka::Delivery::AtLeastOnce
    }

    async fn writer(&mut self) -> Result<Arc<Writer>, SinkError> {
        if let Some(writer) = &self.writer {
            return Ok(Arc::clone(writer));
        }
        let settings = self.cluster.topic_settings(&self.options.topic).await;
        let settings = settings.map_err(|error| SinkError::new(error.to_string(), error.is_retryable()))?;
        let limit = settings.get("max.message.bytes").and_then(|bytes| bytes.parse().ok());
        let (cluster, options) = (self.cluster.clone(), self.options.clone());
        let opened = blocking(move || Writer::open(&cluster, options, limit.unwrap_or(RECORD_BYTES_DEFAULT))).await?;
        let writer = Arc::new(opened);
        self.writer = Some(Arc::clone(&writer));
        Ok(writer)
    }

    fn records(&self, rows: &OutputBatch) -> Result<Vec<NewRecord>, SinkError> {
        let encoded = self.config.encoder.encode(rows);
        let encoded = encoded.map_err(|error| SinkError::new(error.to_string(), false))?;
        if let Some(example) = encoded.example {
            tracing::warn!(topic = %self.config.topic, refused = encoded.refused, %example, "rows have no record");
            self.counters.add_refused(encoded.refused, example);
        }
        Ok(encoded.records)
    }

    async fn in_writer<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&Writer) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let writer = self.writer().await?;
        blocking(move || call(&writer)).await
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn name(&self) -> &str {
        "topic"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        let records = match self.left.take() {
            Some(left) => left,
            None => self.records(rows)?,
        };
        if records.is_empty() {
            return Ok(());
        }
        let records = Arc::new(records);
        let mut start = 0;
        while start < records.len() {
            let given = Arc::clone(&records);
            let mut refused = Vec::new();
            let written = self
                .in_writer(move |writer| {
                    let taken = writer.write(&given[start..], |_, reason| refused.push(reason))?;
                    Ok((taken, refused))
                })
                .await;
            match written {
                Ok((taken, refused)) => {
                    self.counters.add_written((taken - refused.len()) as u64);
                    if let Some(reason) = refused.last() {
                        tracing::warn!(topic = %self.config.topic, refused = refused.len(), reason, "records refused");
                        self.counters.add_refused(refused.len() as u64, reason.clone());
                    }
                    start += taken;
                }
                Err(error) => {
                    self.left = Some(records[start..].to_vec());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        match self.is_transactional() || self.writer.is_none() {
            true => Ok(()),
            false => self.in_writer(Writer::flush).await,
        }
    }

    fn transactional(&mut self) -> Option<&mut dyn TransactionalSink> {
        if self.is_transactional() { Some(self) } else { None }
    }
}

#[async_trait]
impl TransactionalSink for KafkaSink {
    async fn take_over(&mut self, lineage: &str) -> Result<Option<u64>, SinkError> {
        let committed = self.in_writer(Writer::committed).await?;
        Ok(committed.filter(|marker| marker.lineage == lineage).map(|marker| marker.checkpoint))
    }

    async fn prepare(&mut self, lineage: &str, checkpoint: u64) -> Result<(), SinkError> {
        let marker = Marker { lineage: lineage.to_owned(), checkpoint };
        self.in_writer(move |writer| writer.prepare(&marker)).await
    }

    async fn commit(&mut self) -> Result<(), SinkError> {
        self.in_writer(Writer::commit).await
    }
}

/// Runs a call that waits for the cluster where blocking is allowed.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, SinkError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|error| {
            let then = match &error {
                WriteError::TryAgain(_) => AfterError::TryAgain,
                WriteError::StartAnew(_) => AfterError::StartAnew,
                WriteError::Fenced { .. } | WriteError::Refused(_) => AfterError::Stop,
            };
            SinkError { message: error.to_string(), then }
        }),
        Err(_) => Err(SinkError::new("a thread that wrote to Kafka ended unexpectedly", true)),
    }
}
