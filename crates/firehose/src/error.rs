//! Why a firehose has ended before it was told to. Its committed positions are safe in every case.

use codec::CompileError;
use delivery::CourierFailure;
use log::LogError;

use crate::PositionError;

#[derive(Debug, thiserror::Error)]
pub enum FirehoseError {
    /// Also when records are gone unread: somebody has to choose where to go on.
    #[error(transparent)]
    Log(#[from] LogError),

    #[error("{topic}: records cannot be decoded into columns: {source}")]
    Decode {
        topic: String,
        #[source]
        source: Box<CompileError>,
    },

    /// What came out of a step of the pipeline does not fit the next one.
    #[error("{topic}/{partition}: records from offset {offset} on cannot be prepared for the sink: {reason}")]
    Pipeline { topic: String, partition: u32, offset: i64, reason: String },

    #[error("the sink cannot be opened: {reason}")]
    Destination { reason: String },

    /// As was asked for with the routes of errors, or because of a defect.
    #[error(transparent)]
    Courier(#[from] CourierFailure),

    #[error(
        "{topic}/{partition}: the record at offset {offset} cannot be written: {reason}; mend the topic's schema or the \
         firehose, seek past it, or let bad records become dead letters"
    )]
    BadRecord { topic: String, partition: u32, offset: i64, reason: String },

    #[error("dead letters cannot be kept: {reason}")]
    DeadLetters { reason: String },

    #[error(transparent)]
    Positions(#[from] PositionError),

    #[error("a task of the firehose has ended unexpectedly")]
    Task,

    #[error("the firehose has ended")]
    Ended,
}
