//! Checkpoints: which one is valid, who may write the next, and where they lie.
//!
//! A checkpoint is a record of an epoch plus data files that it names. The record is created only if no record of that epoch
//! exists: whoever creates it owns the epoch. A process that takes over creates the next epoch first, so a former owner that
//! wakes up fails at its next record and must stop. The decisions are pure ([`protocol`]); storage is at the edge.
//! Architecture invariant: this crate does not know what the state means.

mod local;
pub mod protocol;
mod store;

pub use local::LocalStorage;
pub use protocol::Commit;
pub use store::{CheckpointError, CheckpointStore, Part, PartRef, Restored, Storage};
