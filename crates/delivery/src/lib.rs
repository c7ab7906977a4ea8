//! What becomes of records that do not simply go through: the ledger that counts every record into one cell, and the
//! store of dead letters.
//!
//! It knows no sink, no topic log and no decoder: coordinates, bytes and errors are handed in.
//! Batching, retry and rate limits of firehoses belong here as well once there are firehoses.

mod dead_letter;
mod dead_letter_encoding;
mod dead_letter_store;
mod dead_letter_usage;
mod error;
mod ledger;

pub use dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterKind, DeadLetterState, DeadLetterUsage};
pub use dead_letter_store::{DeadLetterLimits, DeadLetterPage, DeadLetterStore, PutSummary};
pub use error::DeliveryError;
pub use ledger::Ledger;
