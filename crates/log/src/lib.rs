//! Topics of records in partitions: the topic log.
//!
//! What it is for: [`TopicLog`] is what the rest of Millrace knows about where topics live, and [`Slab`] is the
//! form in which records leave it: one byte buffer and the places of keys, values and headers in it.
//! [`EmbeddedLog`] keeps topics in a local directory. Apache Kafka is the other implementation, so everything here
//! has Kafka's meaning: offsets may have gaps, the end is the last stable offset, records expire.
//!
//! What it is not: it does not know what is in a record (no schema, no protobuf, no SQL).

mod batch_builder;
mod buffer_pool;
mod clock;
mod embedded;
mod error;
mod headers;
mod limits;
mod murmur2;
mod slab;
mod topic;
mod topic_log;

pub use batch_builder::BatchBuilder;
pub use buffer_pool::{BufferPool, ReadBuffer};
pub use clock::{Clock, ManualClock, SystemClock};
#[doc(hidden)]
pub use embedded::{DiskFaults, WriteFault};
pub use embedded::{Durability, EmbeddedLog, EmbeddedLogOptions, PendingAppend, TailCut};
pub use error::LogError;
pub use headers::{Headers, encode_headers};
pub use limits::*;
pub use murmur2::partition_for_key;
pub use slab::{NULL_SPAN, RecordIndex, Slab};
pub use topic::{PartitionStatus, TopicConfig, TopicDescription, TopicShape, check_topic_name};
pub use topic_log::{Ack, NewRecord, PartitionReader, TopicLog};
