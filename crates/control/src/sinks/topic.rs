//! Results as protobuf records of a topic, so that a dagger feeds another.

mod config;
mod encoder;
mod numbering;
mod sink;

pub use config::{TopicSinkConfig, generated_message_name, refused};
pub use encoder::{RecordColumns, RecordEncoder};
pub use numbering::keep_numbers;
pub use sink::TopicSink;
