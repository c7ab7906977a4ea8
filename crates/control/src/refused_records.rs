//! Keeps the records that a dagger refused as dead letters.

use crate::time_text::now_ms;
use delivery::{DeadLetter, DeadLetterKey, DeadLetterKind, DeadLetterState, DeadLetterStore, DeliveryError};
use flow::{Refusal, RefusedRecord, RefusedRecords, RefusedStoreError};

pub struct DeadLetterKeeper {
    store: DeadLetterStore,
}

impl DeadLetterKeeper {
    pub fn new(store: DeadLetterStore) -> Self {
        Self { store }
    }
}

impl RefusedRecords for DeadLetterKeeper {
    fn keep(&self, dagger: &str, records: &[RefusedRecord]) -> Result<(), RefusedStoreError> {
        let now = now_ms();
        let letters: Vec<DeadLetter> = records.iter().map(|record| letter(dagger, record, now)).collect();
        let point = self.store.sync_point();
        let kept = self.store.put_many(&letters).map_err(store_error)?;
        if let Some(message) = kept.over_limit_message {
            tracing::warn!(dagger, over_limit = kept.over_limit, message, "dead letters are counted but not kept");
        }
        self.store.sync(point).map_err(store_error)
    }
}

fn store_error(error: DeliveryError) -> RefusedStoreError {
    RefusedStoreError { retry: error.is_retryable(), message: format!("dead letters: {error}") }
}

fn letter(dagger: &str, record: &RefusedRecord, now: i64) -> DeadLetter {
    DeadLetter {
        key: DeadLetterKey {
            owner: dagger.to_owned(),
            stream: record.stream.clone(),
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
        },
        kind: match record.refusal {
            Refusal::Undecodable => DeadLetterKind::Undecodable,
            Refusal::ValueError => DeadLetterKind::ValueError,
            Refusal::NoEventTime => DeadLetterKind::NoEventTime,
            Refusal::FutureEventTime => DeadLetterKind::FutureEventTime,
            Refusal::ExpressionFailed => DeadLetterKind::ExpressionFailed,
            Refusal::Late => DeadLetterKind::Late,
        },
        error: record.error.clone(),
        error_byte_offset: record.byte_offset,
        timestamp_ms: record.timestamp_ms,
        event_time_ms: record.event_time_ms,
        record_key: record.key.as_ref().map(|key| key.to_vec()),
        value: record.value.as_ref().map(|value| value.to_vec()),
        headers: record.headers.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect(),
        first_seen_ms: now,
        replays: 0,
        state: DeadLetterState::Kept,
    }
}
