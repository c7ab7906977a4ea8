//! What a dagger is to do: the YAML that people write, and the complete form with every default filled in.
//!
//! Reading is in three steps, each pure: the document (unknown keys refused, everything optional that has a default),
//! [`DaggerSpec::complete`] (defaults that follow from names and from the schema), and [`DaggerSpec::to_json`], the form
//! that is stored and shown. Whether the SQL is right is not judged here.

mod document;
mod external_sink;
mod text;

pub use document::DaggerDocument;
pub use external_sink::{ExternalSinkSpec, ExternalSystem};

use crate::error::ControlError;
use crate::resource::Metadata;
use crate::sink_settings::SinkSettings;
use std::time::Duration;

pub const STREAMS_MAX: usize = 16;
pub const TOPICS_PER_STREAM_MAX: usize = 64;
pub const SINKS_MAX: usize = 16;
pub const SINK_HEADERS_MAX: usize = 64;
pub const SQL_BYTES_MAX: usize = 256 * 1024;
pub const PARALLELISM_MAX: usize = 64;
pub const DELAY_DEFAULT: Duration = Duration::from_secs(5);
pub const IDLE_DEFAULT: Duration = Duration::from_secs(30);
pub const WATERMARK_INTERVAL_DEFAULT: Duration = Duration::from_millis(200);
pub const WATERMARK_INTERVAL_MIN: Duration = Duration::from_millis(1);
pub const CHECKPOINT_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
pub const CHECKPOINT_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The dagger cluster that runs inside the server.
/// How long points of a dagger are kept if its sink does not say.
pub const SERIES_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Written instead of a retention.
const FOREVER: &str = "forever";
pub const CLUSTER_DEFAULT: &str = "embedded";

#[derive(Debug, Clone, PartialEq)]
pub struct DaggerSpec {
    pub cluster: String,
    pub streams: Vec<StreamSpec>,
    pub sql: String,
    pub sinks: Vec<SinkSpec>,
    pub parallelism: usize,
    pub checkpoint_interval: Duration,
    pub state: DesiredState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    pub table: String,
    /// Full name of the message type. `None` only for `dagger run`, until it is taken from the one type there is.
    pub schema: Option<String>,
    pub topics: Vec<String>,
    pub consumer_group: String,
    /// Path of the field that is the event time; `None` is the record's own timestamp.
    pub timestamp: Option<String>,
    /// Whether `timestamp` was chosen by the one who wrote the dagger, or is still to be found in the schema.
    pub timestamp_given: TimestampChoice,
    pub watermark: WatermarkSpec,
    pub start_from: StartFrom,
    pub on_bad_record: OnBadRecord,
    pub late: LatePolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampChoice {
    Given,
    FromSchema,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkSpec {
    pub delay: Duration,
    /// How often the watermark is passed on and results are looked for.
    pub interval: Duration,
    pub idle: Duration,
}

/// Where a dagger without a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// The default: a dagger over records that are there already gives results at once, and an apply that comes a
    /// moment after the first records loses none of them.
    Earliest,
    Latest,
    /// Milliseconds since 1970, compared with the records' own timestamps.
    Time(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRecord {
    DeadLetter,
    Skip,
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePolicy {
    Drop,
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesiredState {
    Running,
    Suspended,
}

impl DesiredState {
    pub fn as_str(self) -> &'static str {
        match self {
            DesiredState::Running => "running",
            DesiredState::Suspended => "suspended",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum SinkSpec {
    Series {
        measurement: String,
        /// How long points are kept: [`SERIES_RETENTION`] if it is not given, for ever if it is [`Duration::MAX`].
        retention: Option<Duration>,
    },
    Topic {
        topic: String,
        /// The message type; `None` has one made from the query's columns.
        schema: Option<String>,
        partitions: Option<u32>,
        /// The columns whose values, joined, are the record's key; none means no key.
        key: Vec<String>,
        /// In the order in which they are written.
        headers: Vec<(String, HeaderValue)>,
        /// The Kafka cluster on which a topic is made that is not there; `None` is the embedded log.
        cluster: Option<String>,
        /// On a Kafka cluster; `None` is exactly once.
        delivery: Option<Delivery>,
        /// On a Kafka cluster; `None` is lz4.
        compression: Option<kafka::Compression>,
    },
    Log,
    /// A server of somebody else's.
    External(ExternalSinkSpec),
    /// Any other kind of sink.
    Kind(Box<SinkSettings>),
}

/// What a topic on a Kafka cluster holds after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Results since the last checkpoint may be there twice; all are seen at once.
    AtLeastOnce,
    /// Results are seen when the checkpoint that they belong to is there.
    ExactlyOnce,
}

impl Delivery {
    pub const ALL: [Delivery; 2] = [Delivery::AtLeastOnce, Delivery::ExactlyOnce];

    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::AtLeastOnce => "atLeastOnce",
            Delivery::ExactlyOnce => "exactlyOnce",
        }
    }
}

/// What a header of every record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    Constant(String),
    /// The text of a column; NULL makes no header.
    Column(String),
}

impl SinkSpec {
    pub fn kind(&self) -> &'static str {
        match self {
            SinkSpec::Series { .. } => "series",
            SinkSpec::Topic { .. } => "topic",
            SinkSpec::Log => "log",
            SinkSpec::External(external) => external.system.kind(),
            SinkSpec::Kind(sink) => sink.name(),
        }
    }

    /// The names of the secrets that it refers to.
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            SinkSpec::External(external) => external.secret.as_deref().into_iter().collect(),
            SinkSpec::Kind(sink) => sink.secrets(),
            SinkSpec::Series { .. } | SinkSpec::Topic { .. } | SinkSpec::Log => Vec::new(),
        }
    }
}

impl DaggerSpec {
    /// Reads a document and fills in all defaults but those that need the schema ([`Self::choose_timestamps`]).
    pub fn parse(text: &str) -> Result<(Metadata, DaggerSpec), ControlError> {
        let (metadata, document) = DaggerDocument::parse(text)?;
        let spec = document.complete(&metadata.name)?;
        Ok((metadata, spec))
    }

    /// Reads the stored form.
    pub fn from_json(name: &str, spec: &serde_json::Value) -> Result<DaggerSpec, ControlError> {
        crate::document::from_json::<DaggerDocument>(spec.clone())?.complete(name)
    }

    /// Event times that nobody chose: `event_timestamp` if the type has one, else its first
    /// `google.protobuf.Timestamp`, else the record's own timestamp.
    pub fn choose_timestamps(
        &mut self,
        message: impl Fn(&str) -> Result<prost_reflect::MessageDescriptor, ControlError>,
    ) -> Result<(), ControlError> {
        for stream in &mut self.streams {
            if stream.timestamp_given == TimestampChoice::FromSchema
                && let Some(schema) = &stream.schema
            {
                stream.timestamp = default_timestamp(&message(schema)?);
                stream.timestamp_given = TimestampChoice::Given;
            }
        }
        Ok(())
    }
}

const TIMESTAMP_TYPE: &str = "google.protobuf.Timestamp";

fn default_timestamp(message: &prost_reflect::MessageDescriptor) -> Option<String> {
    let is_timestamp = |field: &prost_reflect::FieldDescriptor| {
        !field.is_list() && field.kind().as_message().is_some_and(|kind| kind.full_name() == TIMESTAMP_TYPE)
    };
    message
        .get_field_by_name("event_timestamp")
        .filter(is_timestamp)
        .or_else(|| message.fields().find(is_timestamp))
        .map(|field| field.name().to_owned())
}

#[cfg(test)]
mod tests;
