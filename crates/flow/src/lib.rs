//! Runs a dagger's graph: reads slabs, keeps event time, closes windows, hands results to sinks, keeps the ledger.
//!
//! A dagger advances in rounds. In a round each lane (one partition of one stream) takes at most one slab through decode,
//! filters and window tables, lanes in parallel; then windows that every lane has passed are closed. Between two rounds the
//! state is at rest, which is where checkpoints are taken: no barrier has to be aligned, because nothing is under way.
//! Architecture invariant: this crate does not know how SQL was planned, what a schema registry is, or any one sink.

mod bounded;
mod carry_over;
mod checkpoints;
mod engine;
mod error;
mod event_time;
mod lane;
mod live;
mod metadata;
mod record_file;
mod refused;
mod rows_step;
mod state_batches;
mod step_counts;
mod stored_window;
mod topic_formats;

pub use checkpoints::Snapshots;

pub use bounded::{BoundedOptions, TableInput, run_bounded};
pub use engine::{Engine, OutputBatch, RowOrigin, StreamSettings};
pub use error::FlowError;
pub use live::{
    AcceptedLoss, AfterError, DaggerConfig, DaggerHandle, DaggerStatus, LaneStatus, Sink, SinkError, StartPosition,
    StreamConfig, TransactionalSink, spawn,
};
pub use record_file::{DelimitedFile, NdjsonFile, RecordFile};
pub use refused::{OnBadRecord, Refusal, RefusedRecord, RefusedRecords, RefusedStoreError};
pub use step_counts::{StepCounts, Steps, WindowStateSize};
pub use stored_window::StoredWindow;
pub use topic_formats::{ORIGIN_HEADER, TopicFormats};
