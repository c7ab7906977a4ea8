//! Results to servers of somebody else's, by the `sinks` crate, through a courier that holds and retries them.

mod config;
mod dead_letters;
mod sink;

pub use config::{ExternalSinkConfig, Query, check_with_server};
pub use dead_letters::{has_form, has_line, is_of, is_of_sink};
pub use sink::ExternalSink;

use std::sync::Arc;

/// Where the rows of one batch come from, as far as a sink knows.
#[derive(Debug)]
pub struct BatchOrigin {
    pub window_end_ms: Option<i64>,
    pub records: Option<flow::RowOrigin>,
    /// The row of each encoded record.
    pub rows: Vec<usize>,
}

pub type RowsCourier = delivery::Courier<BatchOrigin>;
pub type RowsWatch = delivery::CourierWatch<BatchOrigin>;

impl BatchOrigin {
    /// The time of an encoded record as far as it is known, in milliseconds.
    pub fn time_ms(&self, record: usize) -> Option<i64> {
        let row = *self.rows.get(record)?;
        self.records.as_ref().and_then(|records| records.times_ms.get(row).copied()).or(self.window_end_ms)
    }

    /// Topic, partition and offset of the record that a row stands for.
    pub fn record(&self, record: usize) -> Option<(Arc<str>, u32, i64)> {
        let (row, records) = (*self.rows.get(record)?, self.records.as_ref()?);
        Some((Arc::clone(&records.topic), records.partition, *records.offsets.get(row)?))
    }
}
