//! Why a dagger stops.

/// A failure of a dagger as a whole; failures of single records are dead letters.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("decoding program for `{table}`: {source}")]
    Decode { table: String, source: Box<codec::CompileError> },
    #[error(transparent)]
    Operator(#[from] operators::OperatorError),
    #[error("running the query: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    #[error("column operation failed: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(
        "the stream `{table}` takes its time from `{path}`, which is {found}; use a google.protobuf.Timestamp or an integer of milliseconds"
    )]
    RowtimeType { table: String, path: String, found: String },
    #[error(
        "bad record at {topic}, partition {partition}, offset {offset}: {message}; the stream says onBadRecord: fail"
    )]
    BadRecord { topic: String, partition: u32, offset: i64, message: String },
    #[error("reading {what}: {message}")]
    Input { what: String, message: String },
    #[error("writing results: {0}")]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    Log(#[from] log::LogError),
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] checkpoint::CheckpointError),
    #[error(
        "the checkpoint does not fit this query: {0}; restore the former query, or delete the dagger and apply it again"
    )]
    StateMismatch(String),
    #[error("sink `{sink}`: {message}")]
    Sink { sink: String, message: String },
    #[error("sink `{sink}`: {message}")]
    SinkStartsAnew { sink: String, message: String },
    #[error("the topic {topic} has {now} partitions now, {before} before")]
    MorePartitions { topic: String, before: u32, now: u32 },
    #[error("keeping refused records: {0}")]
    Refused(#[from] refused_error::RefusedStoreError),
    #[error("a worker thread stopped unexpectedly")]
    Worker,
}

use crate::refused as refused_error;
