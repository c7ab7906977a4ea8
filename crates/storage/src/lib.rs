//! The embedded key-value engine beneath the series store and the dead letters: ordered keys in named spaces, atomic
//! batches, snapshots.
//!
//! It wraps fjall (an LSM tree) with what a server needs around it: a store whose disk was full goes on when there is
//! room again, and a journal whose tail was torn by a power loss opens at the last whole batch. It knows nothing of
//! what is in keys and values, and it is not a cache: a write is in the operating system's hands when it returns.

mod journal;
mod storage;

pub use fjall::{Guard, Iter, Slice};
pub use storage::{Batch, Space, Storage, StorageError, StorageOptions, SyncPoint};
