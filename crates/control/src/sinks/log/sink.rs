//! One JSON line per row: `{"dagger":"NAME","row":{..}}`.

use super::LogConfig;
use crate::sinks::SinkCounters;
use async_trait::async_trait;
use flow::{OutputBatch, Sink, SinkError};
use std::io::Write;
use std::sync::Arc;

pub struct LogSink {
    /// `{"dagger":"NAME","row":`
    prefix: Vec<u8>,
    config: LogConfig,
    counters: Arc<SinkCounters>,
}

impl LogSink {
    pub fn new(config: LogConfig, counters: Arc<SinkCounters>) -> Self {
        let mut prefix = b"{\"dagger\":".to_vec();
        rows::write_string(&config.dagger, &mut prefix);
        prefix.extend_from_slice(b",\"row\":");
        Self { prefix, config, counters }
    }
}

#[async_trait]
impl Sink for LogSink {
    fn name(&self) -> &str {
        "log"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        let broken = |message: String| SinkError::new(message, false);
        let mut lines = Vec::new();
        let bound = self.config.writer.bind(&rows.batch).map_err(|error| broken(error.to_string()))?;
        for row in 0..bound.len() {
            lines.extend_from_slice(&self.prefix);
            bound.write_row(row, &mut lines);
            lines.extend_from_slice(b"}\n");
        }
        // Whoever reads stdout may be slow; that must not hold up other tasks.
        let written = tokio::task::spawn_blocking(move || std::io::stdout().lock().write_all(&lines)).await;
        if let Err(error) = written.map_err(|error| broken(error.to_string()))? {
            // A console that is gone is no reason to stop the dagger: its other sinks matter more.
            self.counters.add_refused(rows.batch.num_rows() as u64, error.to_string());
            return Ok(());
        }
        self.counters.add_written(rows.batch.num_rows() as u64);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
