//! The stateful operators between a dagger's decoded rows and its results: windows by slices, sessions.
//!
//! They are plain structs fed with columns. Architecture invariant: this crate does not know where batches come from,
//! where results go, which thread runs it, or what SQL is.

mod error;
mod group_table;
mod interner;
mod session;
mod slice_tree;
mod sliced;
mod window_spec;

pub use error::OperatorError;
pub use group_table::{AggregateCall, AggregateSpec, GroupTable, KeyColumn, Partial};
pub use interner::TextInterner;
pub use session::{SessionLane, SessionOperator, SessionOutput, SessionPartial};
pub use sliced::{LaneRows, SlicedLane, SlicedOperator, Verdict, WindowRows};
pub use window_spec::{WindowKind, WindowSpec, WindowSpecError};

/// A verdict of [`Verdict`]: the record belongs to no window that is still open.
pub const LATE: i64 = i64::MIN;
/// A verdict: the record lies between windows (a hop whose slide is wider than its size).
pub const NO_WINDOW: i64 = i64::MAX;
