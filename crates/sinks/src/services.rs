//! What some sinks need of the platform that they run in.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use codec::FrameWriter;
use delivery::{Answer, CallError, EncodedBatch};
use log::{Ack, LogError, NewRecord};
use prost_reflect::{MessageDescriptor, MethodDescriptor};

/// The platform, for the sinks of one group. What is looked up was read before, so that it can be asked while a sink is
/// planned; what is done is done when it returns. Whether somebody may write there is checked before, by whoever plans.
#[async_trait]
pub trait Services: fmt::Debug + Send + Sync + 'static {
    /// How the records of a topic are written. An error if there is no such topic, or if nothing can be written to it.
    fn topic_format(&self, topic: &str) -> Result<TopicFormat, LookupError>;

    /// A registered message type, by its full name.
    fn message(&self, full_name: &str) -> Result<MessageDescriptor, LookupError>;

    /// A method of a registered service: `package.Service/Method`.
    fn method(&self, name: &str) -> Result<MethodDescriptor, LookupError>;

    /// Appends records to a topic, wherever it is: as [`log::TopicLog::produce`].
    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError>;

    /// Whether the built-in series of the group can have this measurement.
    fn check_measurement(&self, measurement: &str) -> Result<(), LookupError>;

    /// Writes points, one line each with its time in `precision`, to the built-in series, on disk when it returns. All lines
    /// have this measurement, which keeps its points for `retention`.
    async fn write_points(&self, points: SeriesPoints<'_>) -> Result<Answer, CallError>;
}

/// Points for the built-in series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPoints<'a> {
    pub measurement: &'a str,
    pub retention: Duration,
    pub precision: crate::Precision,
    /// A line of line protocol each.
    pub lines: &'a EncodedBatch,
}

/// How values and keys of a topic are written; `None` where bytes are not looked at.
#[derive(Clone, Debug, Default)]
pub struct TopicFormat {
    pub value: Option<MessageFormat>,
    pub key: Option<MessageFormat>,
}

/// A message type, and what is around it in a record.
#[derive(Clone, Debug)]
pub struct MessageFormat {
    pub message: MessageDescriptor,
    pub frames: FrameWriter,
}

/// Something that a setting names is not there, or not for this owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct LookupError {
    pub detail: String,
    pub hint: String,
}
