//! Where records go that cannot be decoded or written, or that the sink does not take.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use delivery::{DeadLetter, DeadLetterStore, DeliveryError, KeepError};
use log::{LogError, NewRecord, TopicLog};

/// The class of the error, with the record's own headers.
pub const ERROR_CLASS_HEADER: &str = "millrace-error-class";

/// Keeps dead letters. Keeping one with the same key twice, after a restart, should be the same as once.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// After it returns they survive a crash.
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), KeepError>;
}

/// The built-in store: the same record again, after a restart, is the same letter.
pub struct StoredDeadLetters {
    store: DeadLetterStore,
}

impl StoredDeadLetters {
    pub fn new(store: DeadLetterStore) -> Self {
        Self { store }
    }
}

#[async_trait]
impl DeadLetters for StoredDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), KeepError> {
        let (store, letters) = (self.store.clone(), letters.to_vec());
        let kept = tokio::task::spawn_blocking(move || {
            let point = store.sync_point();
            let kept = store.put_many(&letters)?;
            store.sync(point)?;
            Ok::<_, DeliveryError>(kept)
        })
        .await
        .map_err(|error| KeepError { message: format!("dead letters: {error}"), may_pass: false })?
        .map_err(|error| KeepError { message: format!("dead letters: {error}"), may_pass: error.is_retryable() })?;
        if let Some(message) = kept.over_limit_message {
            tracing::warn!(over_limit = kept.over_limit, message, "dead letters are counted but not kept");
        }
        Ok(())
    }
}

/// A topic of dead letters: records as they were, with where they came from and why as headers. After a crash a letter can be
/// there twice, with the same origin.
pub struct TopicDeadLetters {
    log: Arc<dyn TopicLog>,
    topic: String,
}

impl TopicDeadLetters {
    pub fn new(log: Arc<dyn TopicLog>, topic: impl Into<String>) -> Self {
        Self { log, topic: topic.into() }
    }
}

#[async_trait]
impl DeadLetters for TopicDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), KeepError> {
        let mut left: Vec<NewRecord> = letters.iter().map(record).collect();
        while !left.is_empty() {
            match self.log.produce(&self.topic, left.clone()).await {
                Ok(_) => return Ok(()),
                // What was written is not written again.
                Err(LogError::PartlyWritten { acks, source }) if acks.iter().any(Option::is_some) => {
                    let mut acks = acks.into_iter();
                    left.retain(|_| acks.next().flatten().is_none());
                    if !source.is_retryable() {
                        return Err(self.error(&source));
                    }
                }
                Err(error) => return Err(self.error(&error)),
            }
        }
        Ok(())
    }
}

impl TopicDeadLetters {
    fn error(&self, error: &LogError) -> KeepError {
        let message = format!("the topic of dead letters `{}`: {error}", self.topic);
        KeepError { message, may_pass: error.is_retryable() }
    }
}

fn record(letter: &DeadLetter) -> NewRecord {
    let mut headers: Vec<(String, Bytes)> =
        letter.headers.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value))).collect();
    let mut add = |name: &str, value: String| headers.push((format!("millrace-{name}"), Bytes::from(value)));
    add("origin-topic", letter.key.topic.clone());
    add("origin-partition", letter.key.partition.to_string());
    add("origin-offset", letter.key.offset.to_string());
    add("origin-timestamp", letter.timestamp_ms.to_string());
    add("owner", letter.key.owner.clone());
    add("error-kind", letter.kind.as_str().to_owned());
    add("error", letter.error.clone());
    if let Some(offset) = letter.error_byte_offset {
        add("error-byte-offset", offset.to_string());
    }
    NewRecord {
        partition: None,
        key: letter.record_key.clone().map(Bytes::from),
        value: letter.value.clone().map(Bytes::from),
        headers,
        timestamp_ms: None,
    }
}
