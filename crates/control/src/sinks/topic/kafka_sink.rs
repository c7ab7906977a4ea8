//! Writes results to a topic on a Kafka cluster: at least once, or within transactions exactly once.

use super::TopicSinkConfig;
use crate::duration::format_duration;
use crate::sinks::{Awaiting, SinkCounters};
use crate::time_text::{self, now_ms};
use async_trait::async_trait;
use flow::{AfterError, OutputBatch, Sink, SinkError, TransactionalSink};
use kafka::{KafkaLog, Marker, WriteError, Writer, WriterOptions};
use log::NewRecord;
use std::sync::Arc;
use std::time::Duration;

/// What a broker takes when nobody has said otherwise.
const RECORD_BYTES_DEFAULT: usize = 1_048_588;

/// Longer than any limit that the writer gives its client.
const CALL_TIME_MAX: Duration = Duration::from_secs(45);

pub struct KafkaSink {
    cluster: KafkaLog,
    options: WriterOptions,
    config: TopicSinkConfig,
    counters: Arc<SinkCounters>,
    /// How long the cluster keeps records after their own timestamps.
    retention: Option<Duration>,
    /// Absent until it is needed.
    writer: Option<Arc<Writer>>,
    /// The last checkpoint that this sink has prepared, or found.
    prepared: Option<Marker>,
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
        Self { cluster, options, config, counters, retention: None, writer: None, prepared: None, left: None }
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
        let retention = settings.get("retention.ms").and_then(|ms| ms.parse().ok());
        self.retention = retention.map(Duration::from_millis);
        let (cluster, options) = (self.cluster.clone(), self.options.clone());
        let open = move || Writer::open(&cluster, options, limit.unwrap_or(RECORD_BYTES_DEFAULT));
        let _awaiting = self.awaiting();
        // Nothing was written with it yet.
        let writer = Arc::new(within_limit(AfterError::TryAgain, open).await?);
        self.writer = Some(Arc::clone(&writer));
        Ok(writer)
    }

    fn awaiting(&self) -> Awaiting {
        self.counters.awaiting(format!("Kafka cluster {:?}", self.cluster.config().name))
    }

    /// Kafka counts retention from records' own timestamps, so results about long ago would vanish without a word.
    fn notice_retention(&self, records: &[NewRecord]) {
        let (Some(retention), Some(oldest)) =
            (self.retention, records.iter().filter_map(|record| record.timestamp_ms).min())
        else {
            return;
        };
        let age = Duration::from_millis(u64::try_from(now_ms().saturating_sub(oldest)).unwrap_or_default());
        if age > retention {
            self.counters.set_notice(format!(
                "the topic {} keeps records for {} after their own time, and results of {} are written to it: Kafka removes \
                 them soon; give the topic a longer `retention.ms`",
                self.options.topic,
                format_duration(retention),
                time_text::millis(oldest),
            ));
        }
    }

    async fn in_writer<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&Writer) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let writer = self.writer().await?;
        let (again, expected) = (Arc::clone(&writer), self.prepared.clone());
        let judge = move |error| match error {
            WriteError::Fenced { name } => judge_fence(&again, expected.as_ref(), name),
            error => error,
        };
        let _awaiting = self.awaiting();
        // What a client that is given up had taken since the last checkpoint is lost with it.
        let result = within_limit(AfterError::StartAnew, move || call(&writer).map_err(judge)).await;
        if result.as_ref().is_err_and(|error| error.then == AfterError::StartAnew) {
            self.writer = None;
        }
        result
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
            None => {
                let records = self.config.records(rows, &self.counters)?;
                self.notice_retention(&records);
                records
            }
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
        let none = || Marker { lineage: lineage.to_owned(), checkpoint: 0 };
        self.prepared = Some(committed.clone().filter(|marker| marker.lineage == lineage).unwrap_or_else(none));
        Ok(committed.filter(|marker| marker.lineage == lineage).map(|marker| marker.checkpoint))
    }

    async fn prepare(&mut self, lineage: &str, checkpoint: u64) -> Result<(), SinkError> {
        let marker = Marker { lineage: lineage.to_owned(), checkpoint };
        self.prepared = Some(marker.clone());
        self.in_writer(move |writer| writer.prepare(&marker)).await
    }

    async fn commit(&mut self) -> Result<(), SinkError> {
        self.in_writer(Writer::commit).await
    }
}

/// A transaction that was open for too long is ended by the cluster itself, and the client tells that in the same words as
/// that somebody else has taken over. Whoever has done so and gone on has left a later checkpoint.
fn judge_fence(writer: &Writer, prepared: Option<&Marker>, name: String) -> WriteError {
    match (writer.committed(), prepared) {
        (Ok(Some(committed)), Some(prepared))
            if committed.lineage == prepared.lineage && committed.checkpoint <= prepared.checkpoint =>
        {
            WriteError::StartAnew("the cluster has ended the transaction, which was open for too long".to_owned())
        }
        // Nothing was ever committed.
        (Ok(None), Some(_)) => WriteError::StartAnew("the cluster has ended the first transaction".to_owned()),
        (Err(error), _) => error,
        _ => WriteError::Fenced { name },
    }
}

/// Runs a call that waits for the cluster where blocking is allowed. The client does not always keep to its own limits
/// (when its coordinator dies): then it is left to itself, and `given_up` says what helps.
async fn within_limit<T: Send + 'static>(
    given_up: AfterError,
    call: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, SinkError> {
    let called = tokio::task::spawn_blocking(call);
    match tokio::time::timeout(CALL_TIME_MAX, called).await {
        Ok(Ok(result)) => result.map_err(|error| {
            let then = match &error {
                WriteError::TryAgain(_) => AfterError::TryAgain,
                WriteError::StartAnew(_) => AfterError::StartAnew,
                WriteError::Fenced { .. } | WriteError::Refused(_) => AfterError::Stop,
            };
            SinkError { message: error.to_string(), then }
        }),
        Ok(Err(_)) => Err(SinkError::new("a thread that wrote to Kafka ended unexpectedly", true)),
        Err(_) => {
            let message = format!("the Kafka client did not come back within {CALL_TIME_MAX:?}");
            Err(SinkError { message, then: given_up })
        }
    }
}
