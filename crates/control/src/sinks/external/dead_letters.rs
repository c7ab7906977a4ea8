//! Keeps the rows that a server does not take as dead letters of their dagger.
//!
//! A row of a window stands for many records, so it has no place in a topic: its letter is named after the sink and what was
//! to be written, and the same row is the same letter after a restart.

use super::{BatchOrigin, ExternalSinkConfig};
use crate::sinks::SinkCounters;
use crate::time_text::now_ms;
use async_trait::async_trait;
use delivery::{
    DeadLetter, DeadLetterKey, DeadLetterKind, DeadLetterState, DeadLetterStore, DeliveryError, ErrorClass, KeepError,
    KeepUndelivered, Undelivered,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Says which kind of sink did not take a letter's row; its value is what was to be written.
const SINK_HEADER: &str = "millrace-sink";
const CLASS_HEADER: &str = "millrace-error-class";
/// How the value is written, such as with which times.
const FORM_HEADER: &str = "millrace-form";
const TOPIC_HEADER: &str = "millrace-topic";
const PARTITION_HEADER: &str = "millrace-partition";
const OFFSET_HEADER: &str = "millrace-offset";

/// Whether it is a row that a server did not take, and no record of a topic.
pub fn is_of_sink(letter: &DeadLetter) -> bool {
    letter.kind == DeadLetterKind::Undeliverable && letter.headers.iter().any(|(name, _)| name == SINK_HEADER)
}

/// Whether it is a row that this sink did not take. Sinks change their places when a dagger is edited.
pub fn is_of(letter: &DeadLetter, sink: &ExternalSinkConfig) -> bool {
    letter.key.stream == stream_of(sink.kind) && letter.key.topic == topic_of(&sink.subject)
}

/// Whether its value is written as the sink writes now.
pub fn has_form(letter: &DeadLetter, form: &str) -> bool {
    letter.headers.iter().any(|(name, value)| name == FORM_HEADER && value == form.as_bytes())
}

fn stream_of(kind: &str) -> String {
    format!("sink.{kind}")
}

/// Ids of letters have slashes between their parts.
fn topic_of(measurement: &str) -> String {
    measurement.replace('/', "_")
}

/// Whether its value is what the server would be given; else the row could not be written in the server's form.
pub fn has_line(letter: &DeadLetter) -> bool {
    let class = letter.headers.iter().find(|(name, _)| name == CLASS_HEADER);
    class.is_some_and(|(_, class)| class != ErrorClass::BadRecord.as_str().as_bytes())
}

/// The letters of one sink of one dagger.
pub struct UndeliveredRows {
    pub store: DeadLetterStore,
    pub dagger: String,
    /// Among the sinks of the dagger.
    pub index: u32,
    pub kind: &'static str,
    pub measurement: String,
    /// How its rows are written.
    pub form: String,
    /// For messages.
    pub destination: String,
    pub counters: Arc<SinkCounters>,
}

#[async_trait]
impl KeepUndelivered<BatchOrigin> for UndeliveredRows {
    async fn keep(&self, records: &[Undelivered<'_, BatchOrigin>]) -> Result<(), KeepError> {
        let now = now_ms();
        let letters: Vec<DeadLetter> = records.iter().map(|record| self.letter(record, now)).collect();
        let Some(example) = letters.first().map(|letter| letter.error.clone()) else { return Ok(()) };
        let (store, count) = (self.store.clone(), letters.len() as u64);
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
            tracing::warn!(
                dagger = self.dagger,
                over_limit = kept.over_limit,
                message,
                "dead letters are counted but not kept"
            );
        }
        tracing::warn!(dagger = self.dagger, sink = self.kind, rows = count, example, "rows are dead letters");
        self.counters.add_refused(count, example);
        Ok(())
    }
}

impl UndeliveredRows {
    fn letter(&self, undelivered: &Undelivered<'_, BatchOrigin>, now: i64) -> DeadLetter {
        let origin = undelivered.origin;
        let class = undelivered.class;
        let by = if class == ErrorClass::BadRecord { "cannot be written to" } else { "was refused by" };
        let mut headers = vec![
            (SINK_HEADER.to_owned(), self.kind.as_bytes().to_vec()),
            (CLASS_HEADER.to_owned(), class.as_str().as_bytes().to_vec()),
            (FORM_HEADER.to_owned(), self.form.as_bytes().to_vec()),
        ];
        if let Some((topic, partition, offset)) = origin.record(undelivered.index) {
            headers.push((TOPIC_HEADER.to_owned(), topic.as_bytes().to_vec()));
            headers.push((PARTITION_HEADER.to_owned(), partition.to_string().into_bytes()));
            headers.push((OFFSET_HEADER.to_owned(), offset.to_string().into_bytes()));
        }
        let time = origin.time_ms(undelivered.index);
        DeadLetter {
            key: DeadLetterKey {
                owner: self.dagger.clone(),
                stream: stream_of(self.kind),
                topic: topic_of(&self.measurement),
                partition: self.index,
                offset: number_of(undelivered),
            },
            kind: DeadLetterKind::Undeliverable,
            error: format!("{by} {}: {}", self.destination, undelivered.reason),
            error_byte_offset: None,
            timestamp_ms: time.unwrap_or(now),
            event_time_ms: time,
            record_key: None,
            value: Some(undelivered.record.to_vec()),
            headers,
            first_seen_ms: now,
            replays: 0,
            state: DeadLetterState::Kept,
        }
    }
}

/// 63 bits of what was to be written and of the record that it stands for.
fn number_of(undelivered: &Undelivered<'_, BatchOrigin>) -> i64 {
    let mut hash = Sha256::new();
    hash.update(undelivered.record);
    if let Some((topic, partition, offset)) = undelivered.origin.record(undelivered.index) {
        hash.update(format!("\0{topic}\0{partition}\0{offset}").as_bytes());
    }
    let hash = hash.finalize();
    let first = hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    (first >> 1) as i64
}
