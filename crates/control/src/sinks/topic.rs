//! Results as protobuf records of a topic, so that a dagger feeds another.

mod config;
mod encoder;
mod kafka_sink;
mod numbering;
mod sink;

pub use config::{TopicSinkConfig, generated_message_name, refused};
pub use encoder::{RecordColumns, RecordEncoder};
pub use kafka_sink::KafkaSink;
pub use numbering::keep_numbers;
pub use sink::TopicSink;
