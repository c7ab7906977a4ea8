//! Keeps dead letters on disk.

use std::path::Path;

use crate::{DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterUsage, DeliveryError};

/// How much is kept of each dagger. What goes beyond is counted by [`PutSummary::over_limit`] and not stored.
#[derive(Clone, Debug)]
pub struct DeadLetterLimits {
    pub letters_per_owner_max: u64,
    pub bytes_per_owner_max: u64,
    /// Key, value and headers of one record.
    pub record_bytes_max: usize,
    pub error_bytes_max: usize,
    pub name_bytes_max: usize,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self {
            letters_per_owner_max: 1_000_000,
            bytes_per_owner_max: 1024 * 1024 * 1024,
            record_bytes_max: 16 * 1024 * 1024,
            error_bytes_max: 4 * 1024,
            name_bytes_max: 1_024,
        }
    }
}

/// What became of the dead letters of one call: their number is the sum of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutSummary {
    pub stored: u64,
    pub already_there: u64,
    pub over_limit: u64,
    /// Which limit was reached by whom, and what to do; set when `over_limit` is not 0.
    pub over_limit_message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterPage {
    pub letters: Vec<DeadLetter>,
    /// Pass it to get the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Handle to the store; clones share it.
#[derive(Clone)]
pub struct DeadLetterStore {}

fn unfinished<T>() -> Result<T, DeliveryError> {
    Err(DeliveryError::Storage { action: "start", reason: "not built yet".into() })
}

impl DeadLetterStore {
    /// Opens the store in `dir`, which is made if it is missing. One process at a time.
    pub fn open(_dir: &Path, _limits: DeadLetterLimits) -> Result<Self, DeliveryError> {
        unfinished()
    }
    /// Keeps dead letters; atomic per call. Durable after [`Self::sync`].
    pub fn put_many(&self, _letters: &[DeadLetter]) -> Result<PutSummary, DeliveryError> {
        unfinished()
    }
    /// A page in the order of (owner, stream, topic, partition, offset).
    pub fn list(&self, _filter: &DeadLetterFilter, _after: Option<&str>, _limit: usize) -> Result<DeadLetterPage, DeliveryError> {
        unfinished()
    }
    pub fn get(&self, _key: &DeadLetterKey) -> Result<Option<DeadLetter>, DeliveryError> {
        unfinished()
    }
    /// Counts per owner and kind, in their order.
    pub fn usage(&self) -> Vec<DeadLetterUsage> {
        Vec::new()
    }
    /// Notes one more replay. `false` if there is no such dead letter.
    pub fn mark_replayed(&self, _key: &DeadLetterKey) -> Result<bool, DeliveryError> {
        unfinished()
    }
    /// Removes what matches and tells how many that were.
    pub fn delete(&self, _filter: &DeadLetterFilter) -> Result<u64, DeliveryError> {
        unfinished()
    }
    /// Everything put so far survives `kill -9` and power loss once this has returned.
    pub fn sync(&self) -> Result<(), DeliveryError> {
        unfinished()
    }
}
