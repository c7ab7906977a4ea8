//! What is written: batches by number, and what is there after some of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType};
use series::{PointLayout, ScanRequest, SeriesError, SeriesLimits, SeriesOptions, SeriesStore, WriteSummary};

pub const MEASUREMENT: &str = "m";
const SERIES: u64 = 50;
const NOW: i64 = 1_704_067_200_000_000_000;
/// Small, so that chunks are merged and sealed all the time.
const SEALED_TOGETHER_BYTES: usize = 256 * 1024;

/// Numbers that look random and are the same each time (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds have nothing in common (splitmix64).
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

pub struct Row {
    time: i64,
    series: String,
    count: Option<i64>,
    share: Option<f64>,
}

/// The rows of one batch: most go on where the last one ended, some come late or are written again.
pub fn rows(seed: u64, batch: u64) -> Vec<Row> {
    let mut random = Random::new(seed ^ (batch << 20));
    let count = [1, 20, 500, 3_000][random.below(4) as usize];
    let late = random.below(4) == 0;
    (0..count)
        .map(|_| {
            let ago = random.below(if late { 2_000 } else { 50 }) as i64;
            let share = (random.below(3) > 0).then(|| random.below(10_000) as f64 / 100.0);
            Row {
                time: NOW + (batch as i64 * 10 - ago) * 1_000_000_000,
                series: format!("series-{}", random.below(SERIES)),
                count: (share.is_none() || random.below(3) > 0).then_some(batch as i64),
                share,
            }
        })
        .collect()
}

pub fn open(dir: &Path) -> Result<SeriesStore, SeriesError> {
    let limits = SeriesLimits { sealed_together_bytes: SEALED_TOGETHER_BYTES, ..SeriesLimits::default() };
    // The clock stands still: nothing expires.
    SeriesStore::open(dir, SeriesOptions { limits, clock: Arc::new(|| NOW), ..SeriesOptions::default() })
}

pub fn write(store: &SeriesStore, seed: u64, batch: u64) -> Result<WriteSummary, SeriesError> {
    let rows = rows(seed, batch);
    let columns: [(&str, ArrayRef); 4] = [
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time)))),
        ("series", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.series)))),
        ("count", Arc::new(rows.iter().map(|row| row.count).collect::<Int64Array>())),
        ("share", Arc::new(rows.iter().map(|row| row.share).collect::<Float64Array>())),
    ];
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "series".into())],
        fields: vec![(2, "count".into()), (3, "share".into())],
    };
    store.write(MEASUREMENT, &RecordBatch::try_from_iter(columns)?, &layout)
}

type Values = (Option<i64>, Option<f64>);

/// What is there after some batches.
#[derive(Default)]
pub struct Model {
    points: BTreeMap<(i64, String), Values>,
    pub batches: u64,
}

/// How what was found differs from what was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub lost: u64,
    pub doubled: u64,
    pub wrong: u64,
    pub failed: u64,
}

impl Found {
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.failed += other.failed;
    }
}

impl Model {
    /// Takes batches until there are as many.
    pub fn advance(&mut self, seed: u64, batches: u64) {
        for batch in self.batches..batches {
            for row in rows(seed, batch) {
                let (count, share) = self.points.entry((row.time, row.series)).or_default();
                *count = row.count.or(*count);
                *share = row.share.or(*share);
            }
        }
        self.batches = self.batches.max(batches);
    }

    pub fn compare(&self, store: &SeriesStore) -> Result<Found, Box<dyn Error>> {
        let mut found = Found::default();
        let mut seen: BTreeMap<(i64, String), Values> = BTreeMap::new();
        for batch in store.scan(MEASUREMENT, &ScanRequest::default())? {
            let batch = batch?;
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
            let series = batch.column(1).as_string::<i32>();
            let counts = batch.column(2).as_primitive::<Int64Type>();
            let shares = batch.column(3).as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let values =
                    (counts.is_valid(row).then(|| counts.value(row)), shares.is_valid(row).then(|| shares.value(row)));
                if seen.insert((times.value(row), series.value(row).to_owned()), values).is_some() {
                    found.doubled += 1;
                }
            }
        }
        found.lost = self.points.keys().filter(|key| !seen.contains_key(*key)).count() as u64;
        found.wrong = seen.iter().filter(|(key, values)| self.points.get(*key) != Some(values)).count() as u64;
        Ok(found)
    }
}
