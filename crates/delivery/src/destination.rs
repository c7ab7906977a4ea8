//! The contract between the [`crate::Courier`] and a sink.
//!
//! What a sink promises, and what [`crate::contract`] tries:
//!
//! 1. `Ok` names every record of the batch that the sink does not have durably; all others it has. A sink that answers
//!    before it is durable cannot be a destination.
//! 2. A call ends, within a limit of its own or because the future is dropped, and leaves nothing running here.
//! 3. The class of an error is about whose fault it is, never about what should follow: that is the [`crate::Policy`]'s.
//!    [`ErrorClass::BadRecord`] and [`ErrorClass::Refused`] of a whole call mean that a record of it may be the reason.
//!    Everything that an operator could mend without touching the records is an outage.
//! 4. The same records may be given again, in other batches: after an error, after a restart, when halves are tried. A
//!    sink whose records have an identity overwrites; any other says in its documentation that there can be duplicates.
//! 5. Records are written in the order of the batch where the sink knows an order.
//! 6. Reasons are in the sink's words, without secrets, and short.

use std::time::Duration;

use async_trait::async_trait;

use crate::{EncodedBatch, ErrorClass};

#[async_trait]
pub trait Destination: Send + Sync + 'static {
    /// For messages: what it is and where, such as `InfluxDB at http://influx:8086`.
    fn name(&self) -> &str;

    /// Writes a batch of one record or more.
    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError>;
}

/// What the sink has said to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The records that it does not have, in ascending order of their index, each once.
    pub errors: Vec<RecordError>,
    /// When the sink wants to see the records again that it does not have now.
    pub retry_after: Option<Duration>,
}

impl Answer {
    pub fn delivered() -> Self {
        Self::default()
    }
}

/// Why the sink does not have one record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// In the batch.
    pub index: usize,
    pub class: ErrorClass,
    pub reason: String,
}

/// None of the batch can be taken as delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallError {
    pub class: ErrorClass,
    pub reason: String,
    /// When the sink wants to be called again.
    pub retry_after: Option<Duration>,
}

impl CallError {
    pub fn new(class: ErrorClass, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), retry_after: None }
    }

    pub fn after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

/// A record that a sink has not taken for good, on its way to the dead letters.
#[derive(Debug)]
pub struct Undelivered<'a, O> {
    /// What was given with the records.
    pub origin: &'a O,
    /// Among the records that were given with it.
    pub index: usize,
    /// As it was encoded.
    pub record: &'a [u8],
    pub class: ErrorClass,
    pub reason: &'a str,
}

/// A record could not be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepError {
    pub message: String,
    /// The same call may work later.
    pub may_pass: bool,
}

/// Keeps what cannot be delivered. Keeping the same record twice, after a restart, must be the same as once.
#[async_trait]
pub trait KeepUndelivered<O>: Send + Sync + 'static {
    /// After it returns they survive a crash.
    async fn keep(&self, records: &[Undelivered<'_, O>]) -> Result<(), KeepError>;
}
