//! The control plane of one server: resources and their desired state, and what makes it so.
//!
//! [`Platform`] is the composition root: it opens the data directory, and everything that the REST API, the command line
//! and the tests can do is a method of it. The inside knows no HTTP and no terminal; errors are [`ControlError`]s with
//! what, detail, hint and place, for whichever edge shows them.

pub mod access;
mod cardinality;
pub mod dagger_plan;
pub mod dagger_spec;
mod data_directory;
mod database;
pub mod document;
mod duration;
mod error;
mod events;
mod firehose_manager;
mod firehose_positions;
mod firehose_spec;
mod grafana;
mod kafka_cluster_spec;
mod measurement_name;
mod operator_graph;
mod platform;
pub mod records;
mod refused_records;
mod resource;
mod resource_db;
mod resource_lists;
mod sink_kinds;
mod sink_settings;
mod sinks;
mod state_identity;
mod supervisor;
#[cfg(test)]
#[path = "../tests/it/test_database.rs"]
mod test_database;
mod time_text;
mod topic_encoding;
mod topic_router;
mod topic_spec;
mod window_words;

pub use ::sinks::{AddressPolicy, Network as SinkNetwork};
pub use cardinality::{Count as TagValueCount, TagCount, TagSample};
pub use data_directory::DataDirectory;
pub use duration::{DurationError, format_duration, parse_duration};
pub use error::{ControlError, ErrorKind, Position, nearest};
pub use events::{Event, Events};
pub use firehose::SeekTo;
pub use flow::AcceptedLoss;
pub use functions::{FunctionDoc, FunctionKind, docs as function_docs};
pub use grafana::{GrafanaFile, GrafanaPlace, TOKEN_VARIABLE as GRAFANA_TOKEN_VARIABLE};
pub use line_protocol::Precision as WritePrecision;
pub use platform::{
    Answer, Applied, ClusterSpec, ColumnsDiff, DaggerDiff, DeadLetterQuery, DeadLetters, DemoOptions, EditedValue,
    FirstAnswer, Follow, GrafanaExport, GroupSpec, IdempotencyKey, InfluxRefusal, InfluxWriter, Invited, Platform,
    PlatformOptions, Preview, ProducedRecords, PublishTo, QueryResult, RecordPlace, RecordRate, Revision, ScanEnd,
    ScanProgress, SchemaPush, SettingChange, Shows, SkippedDagger, TailFilter, TailFrom, TailLine, TailRequest,
    TopicStatus, Validation, idempotency_key,
};
pub use resource::{API_VERSION, GROUP_DEFAULT, Kind, Metadata, Resource, document_kind, parse_document};
pub use resource_db::Change;
pub use schema::{MessageSummary, SourceFile};
pub use sink_kinds::sink_kinds;
pub use state_identity::{StateFate, StateVerdict};
pub use supervisor::job_state;
pub use time_text::{millis as time_text, now_ms, parse_time};
pub use topic_spec::TopicSpec;
