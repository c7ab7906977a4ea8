//! The store: one handle for writing, scanning and keeping house.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

use crate::{FieldType, PointLayout, ScanRequest, SeriesError, SeriesOptions, WriteSummary};

/// Handle to an open store; clones share it.
#[derive(Clone)]
pub struct SeriesStore {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    pub name: String,
    pub field_type: FieldType,
}

/// What is known of a measurement without reading its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementInfo {
    pub name: String,
    pub tags: Vec<String>,
    pub fields: Vec<FieldInfo>,
    /// Points written minus points removed; points written twice count twice.
    pub points_estimate: u64,
    pub series: u64,
    /// Microseconds since 1970; `None` when nothing was written yet.
    pub last_write_micros: Option<i64>,
    pub retention: Duration,
    pub sequence: u64,
}

/// Points removed by one run of [`SeriesStore::expire`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireSummary {
    /// Points older than their measurement's retention.
    pub expired: u64,
    /// Points of measurements that had been dropped.
    pub dropped: u64,
    /// Series without a point left, taken off the measurement's series limit.
    pub series: u64,
}

/// What changed in a measurement after a sequence number.
pub struct Changes {
    pub scan: SeriesScan,
    /// Ask with this number next time: nothing is returned twice unless written again, nothing is left out.
    pub next_sequence: u64,
}

/// Batches of points in order of time; reads as it is pulled.
pub struct SeriesScan {}

impl SeriesScan {
    pub fn schema(&self) -> SchemaRef {
        unreachable!()
    }
    /// Keys read so far, also those that a filter then left out.
    pub fn keys_scanned(&self) -> u64 {
        0
    }
}

impl Iterator for SeriesScan {
    type Item = Result<RecordBatch, SeriesError>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

fn unfinished<T>() -> Result<T, SeriesError> {
    Err(SeriesError::Storage { action: "start", reason: "not built yet".into() })
}

impl SeriesStore {
    /// Opens the store in `dir`, which is made if it is missing. One process at a time.
    pub fn open(_dir: &Path, _options: SeriesOptions) -> Result<Self, SeriesError> {
        unfinished()
    }
    /// Rows of `batch` become points of `measurement`, which is made on first use.
    pub fn write(&self, _measurement: &str, _batch: &RecordBatch, _layout: &PointLayout) -> Result<WriteSummary, SeriesError> {
        unfinished()
    }
    /// Everything written so far survives `kill -9` and power loss once this has returned.
    pub fn sync(&self) -> Result<(), SeriesError> {
        unfinished()
    }
    pub fn measurements(&self) -> Vec<MeasurementInfo> {
        Vec::new()
    }
    pub fn measurement(&self, _measurement: &str) -> Option<MeasurementInfo> {
        None
    }
    pub fn scan(&self, _measurement: &str, _request: &ScanRequest) -> Result<SeriesScan, SeriesError> {
        unfinished()
    }
    /// The number of the last write to `measurement`; grows with every write.
    pub fn sequence(&self, _measurement: &str) -> Result<u64, SeriesError> {
        unfinished()
    }
    /// Points written or overwritten after `sequence`, as they are now.
    pub fn scan_since(&self, _measurement: &str, _sequence: u64, _request: &ScanRequest) -> Result<Changes, SeriesError> {
        unfinished()
    }
    /// Forgets the measurement at once; its disk space is freed by the next [`Self::expire`]. `false` if there is none.
    pub fn drop_measurement(&self, _measurement: &str) -> Result<bool, SeriesError> {
        unfinished()
    }
    pub fn set_retention(&self, _measurement: &str, _retention: Duration) -> Result<(), SeriesError> {
        unfinished()
    }
    /// Removes what is older than its retention. Meant to be called every minute or so; costs nothing when nothing is due.
    pub fn expire(&self) -> Result<ExpireSummary, SeriesError> {
        unfinished()
    }
    /// The measurement as a table of DataFusion: `time`, tags, fields.
    pub fn table_provider(&self, _measurement: &str) -> Result<Arc<dyn TableProvider>, SeriesError> {
        unfinished()
    }
}
