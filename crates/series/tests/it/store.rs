//! What the tests share: a store in a directory of its own, batches from rows, rows from batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use series::{PointLayout, ScanRequest, SeriesOptions, SeriesStore, WriteSummary};
use tempfile::TempDir;

/// 2024-01-01T00:00:00Z in nanoseconds.
pub const NEW_YEAR: i64 = 1_704_067_200_000_000_000;
pub const SECOND: i64 = 1_000_000_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub fn at(nanos: i64) -> Self {
        Self(Arc::new(AtomicI64::new(nanos)))
    }

    pub fn advance(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

pub struct TestStore {
    pub dir: TempDir,
    pub store: SeriesStore,
    pub clock: HandClock,
    change: fn(&mut SeriesOptions),
}

impl TestStore {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: fn(&mut SeriesOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = HandClock::at(NEW_YEAR);
        let store = open(&dir, &clock, change);
        Self { dir, store, clock, change }
    }

    /// Closes the store and opens it again.
    pub fn reopen(self) -> Self {
        let Self { dir, store, clock, change } = self;
        drop(store);
        let store = open(&dir, &clock, change);
        Self { dir, store, clock, change }
    }
}

fn open(dir: &TempDir, clock: &HandClock, change: fn(&mut SeriesOptions)) -> SeriesStore {
    let hands = clock.0.clone();
    let mut options =
        SeriesOptions { clock: Arc::new(move || hands.load(Ordering::SeqCst)), ..SeriesOptions::default() };
    change(&mut options);
    SeriesStore::open(dir.path(), options).expect("opens")
}

/// One row: time, tag `city`, tag `kind`, field `count`, field `share`.
pub type Row<'a> = (i64, Option<&'a str>, Option<&'a str>, Option<i64>, Option<f64>);

pub fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("window_timestamp", Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("tag_city", Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>())),
        ("tag_kind", Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>())),
        ("count", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
        ("share", Arc::new(rows.iter().map(|row| row.4).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("a batch")
}

pub fn layout() -> PointLayout {
    PointLayout {
        time: 0,
        tags: vec![(1, "city".into()), (2, "kind".into())],
        fields: vec![(3, "count".into()), (4, "share".into())],
    }
}

pub fn write(store: &SeriesStore, measurement: &str, rows: &[Row<'_>]) -> WriteSummary {
    store.write(measurement, &batch(rows), &layout()).expect("writes")
}

/// Rows as text, columns separated by a bar, NULL as nothing.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default();
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options).expect("formats")).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

pub fn scan(store: &SeriesStore, measurement: &str, request: &ScanRequest) -> Vec<String> {
    let batches: Vec<RecordBatch> =
        store.scan(measurement, request).expect("scans").collect::<Result<_, _>>().expect("reads");
    lines(&batches)
}

pub fn scan_all(store: &SeriesStore, measurement: &str) -> Vec<String> {
    scan(store, measurement, &ScanRequest::default())
}
