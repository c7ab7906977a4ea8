//! Moves the records of a topic to a sink: reads, decodes, filters and shapes, encodes, gives to the courier, and commits
//! how far it is.
//!
//! A record is counted, and its position committed, when the sink has it, the filter has left it out, or the dead letters
//! have it; position and counts are committed in one step, so that after a crash neither is ahead of the other. What comes
//! after the committed position is read again.
//!
//! Architecture invariant: this crate does not know any one sink, where positions are kept, or what a schema registry is.

mod clock;
mod config;
mod dead_letters;
mod error;
mod handle;
mod intake;
mod letter_box;
mod measures;
mod metadata;
mod orders;
mod partition;
mod pipeline;
mod position_store;
mod prepare;
mod report;
mod run;
mod start;
mod status;

pub use config::{AcceptedLoss, FirehoseConfig, SeekTo, StartPosition, StopAt};
pub use dead_letters::{DeadLetters, ERROR_CLASS_HEADER, StoredDeadLetters, TopicDeadLetters};
pub use error::FirehoseError;
pub use handle::{FirehoseHandle, FirehoseParts, OpenDestination, Seeked, spawn};
pub use metadata::MetadataColumn;
pub use pipeline::{
    DecodedRecords, EncodedRecords, FailedRecord, Pipeline, PipelineWorker, RowShape, ShapedRows, slab_of_record,
};
pub use position_store::{MemoryPositions, PartitionPosition, PositionError, PositionStore, Positions, PositionsTaken};
pub use status::{Ended, FirehoseState, FirehoseStatus, LatencyStatus, PartitionStatus};
