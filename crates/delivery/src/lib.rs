//! What becomes of records on their way out: the courier that brings them to a sink, the store of dead letters for those
//! that no sink takes, and the ledger that counts every record into one cell.
//!
//! It knows no sink, no topic log and no decoder: encoded records, coordinates and errors are handed in.

mod backoff;
pub mod contract;
mod courier;
mod dead_letter;
mod dead_letter_encoding;
mod dead_letter_store;
mod dead_letter_usage;
mod destination;
mod encoded_batch;
mod error;
mod error_class;
mod ledger;

pub use backoff::BackoffOptions;
pub use courier::{
    Courier, CourierFailure, CourierOptions, CourierWatch, DeliveryCounts, DeliveryProblem, Parcel, Receipt,
};
pub use dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterKind, DeadLetterState, DeadLetterUsage};
pub use dead_letter_store::{DeadLetterLimits, DeadLetterPage, DeadLetterStore, PutSummary};
pub use destination::{Answer, CallError, Destination, KeepError, KeepUndelivered, RecordError, Undelivered};
pub use encoded_batch::{EncodedBatch, EncodedBatchBuilder, Position};
pub use error::DeliveryError;
pub use error_class::{ErrorClass, OutageRoute, Policy, RecordRoute, Route};
pub use ledger::Ledger;
pub use storage::SyncPoint;
