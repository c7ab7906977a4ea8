//! Makes dead letters of records, and has them kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::{
    BackoffOptions, DeadLetter, DeadLetterKey, DeadLetterKind, DeadLetterState, ErrorClass, KeepError, KeepUndelivered,
    Undelivered,
};
use log::Slab;

use crate::clock::now_ms;
use crate::dead_letters::ERROR_CLASS_HEADER;
use crate::prepare::SlabOrigin;
use crate::{DeadLetters, FailedRecord, FirehoseConfig, FirehoseError};

pub(crate) struct LetterBox {
    pub owner: String,
    pub stream: String,
    pub dead_letters: Arc<dyn DeadLetters>,
    pub backoff: BackoffOptions,
    /// Why they cannot be kept just now.
    problem: Mutex<Option<String>>,
}

impl LetterBox {
    pub fn new(config: &FirehoseConfig, dead_letters: Arc<dyn DeadLetters>) -> Self {
        Self {
            owner: config.owner.clone(),
            stream: config.stream.clone(),
            dead_letters,
            backoff: config.courier.backoff,
            problem: Mutex::default(),
        }
    }

    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Tries until they are kept.
    pub async fn keep(&self, letters: &[DeadLetter]) -> Result<(), FirehoseError> {
        let mut pause = self.backoff.first;
        while let Err(error) = self.dead_letters.keep(letters).await {
            if !error.may_pass {
                return Err(FirehoseError::DeadLetters { reason: error.message });
            }
            self.set_problem(Some(format!("{}; {} records wait", error.message, letters.len())));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(Duration::from_millis(1), self.backoff.longest);
        }
        self.set_problem(None);
        Ok(())
    }

    pub fn letter(&self, slab: &Slab, failed: &FailedRecord, class: ErrorClass) -> DeadLetter {
        let record = failed.record;
        let mut headers: Vec<(String, Vec<u8>)> =
            slab.headers(record).map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        headers.push((ERROR_CLASS_HEADER.to_owned(), class.as_str().as_bytes().to_vec()));
        DeadLetter {
            key: DeadLetterKey {
                owner: self.owner.clone(),
                stream: self.stream.clone(),
                topic: slab.topic.to_string(),
                partition: slab.partition,
                offset: slab.offset(record),
            },
            kind: failed.kind,
            error: failed.reason.clone(),
            error_byte_offset: failed.byte_offset,
            timestamp_ms: slab.timestamp_ms(record),
            event_time_ms: None,
            record_key: slab.key(record).map(<[u8]>::to_vec),
            value: slab.value(record).map(<[u8]>::to_vec),
            headers,
            first_seen_ms: now_ms(),
            replays: 0,
            state: DeadLetterState::Kept,
        }
    }
}

/// Keeps what the courier cannot deliver.
pub(crate) struct UndeliveredRecords {
    pub letters: Arc<LetterBox>,
    /// For messages.
    pub destination: String,
}

#[async_trait]
impl KeepUndelivered<SlabOrigin> for UndeliveredRecords {
    async fn keep(&self, records: &[Undelivered<'_, SlabOrigin>]) -> Result<(), KeepError> {
        let mut letters: Vec<DeadLetter> = Vec::with_capacity(records.len());
        for undelivered in records {
            let origin = undelivered.origin;
            let Some(number) = origin.numbers.get(undelivered.index) else {
                let message = "a record without an origin was not delivered".to_owned();
                return Err(KeepError { message, may_pass: false });
            };
            let by = match undelivered.class {
                ErrorClass::BadRecord => "cannot be written to",
                _ => "was refused by",
            };
            let failed = FailedRecord {
                record: *number as usize,
                kind: DeadLetterKind::Undeliverable,
                reason: format!("{by} {}: {}", self.destination, undelivered.reason),
                byte_offset: None,
            };
            let letter = self.letters.letter(&origin.slab, &failed, undelivered.class);
            // A record that is encoded as several is one letter.
            if letters.last().is_none_or(|last| last.key != letter.key) {
                letters.push(letter);
            }
        }
        self.letters.dead_letters.keep(&letters).await
    }
}
