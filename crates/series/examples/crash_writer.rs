//! Writes numbered batches into a series store until it is killed, and tells on stdout which ones are safe. For the tests.
//!
//! Usage: `crash_writer DIR FIRST_BATCH`

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use series::{PointLayout, SeriesOptions, SeriesStore};

/// Points of one batch; all of them are there or none.
const ROWS: i64 = 100;
/// Batches between two syncs.
const BATCHES_PER_SYNC: i64 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir: PathBuf = arguments.next().ok_or("a directory is missing")?.into();
    let first: i64 = arguments.next().ok_or("the first batch is missing")?.parse()?;
    let store = SeriesStore::open(&dir, SeriesOptions::default())?;
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "series".into())],
        fields: vec![(2, "batch".into()), (3, "text".into())],
    };
    let (mut stdout, mut point) = (std::io::stdout(), store.sync_point());
    for number in first.. {
        let rows = || number * ROWS..(number + 1) * ROWS;
        let columns: [(&str, ArrayRef); 4] = [
            ("time", Arc::new(TimestampNanosecondArray::from_iter_values(rows()))),
            ("series", Arc::new(StringArray::from_iter_values(rows().map(|row| format!("series-{}", row % 1_000))))),
            ("batch", Arc::new(Int64Array::from_iter_values(rows().map(|_| number)))),
            ("text", Arc::new(StringArray::from_iter_values(rows().map(|row| "x".repeat((row % 200) as usize))))),
        ];
        store.write("m", &RecordBatch::try_from_iter(columns)?, &layout)?;
        if number % BATCHES_PER_SYNC == 0 {
            store.sync(point)?;
            point = store.sync_point();
            writeln!(stdout, "{number}")?;
            stdout.flush()?;
        }
    }
    Ok(())
}
