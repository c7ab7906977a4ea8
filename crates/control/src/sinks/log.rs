//! Results as JSON lines on the server's stdout, for debugging.

mod config;
mod sink;

pub use config::LogConfig;
pub use sink::LogSink;
