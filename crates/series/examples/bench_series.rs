//! Points written per second, batches of 4,000 with three tags and one field, durable batch by batch; and rows scanned
//! per second. Beside it what the machine can do: the same bytes appended to one plain file, `fdatasync` per batch.
//!
//! Usage: `bench_series [BATCHES]`. The last line of stdout is one JSON object.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use series::{PointLayout, ScanRequest, SeriesOptions, SeriesStore};

const BATCH_ROWS: usize = 4_000;
const BATCHES_DEFAULT: usize = 500;
/// Rounds of which the median counts.
const ROUNDS: usize = 5;
const MINUTE_MICROS: i64 = 60_000_000;
const START_MICROS: i64 = 1_704_067_200_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let batches = std::env::args().nth(1).map_or(Ok(BATCHES_DEFAULT), |count| count.parse())?;
    let mut ours = Vec::new();
    let mut limits = Vec::new();
    let mut scans = Vec::new();
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        let points = (batches * BATCH_ROWS) as f64;
        let (written, scanned, disk_bytes) = write_and_scan(dir.path(), batches)?;
        let appended = append_plainly(dir.path(), batches)?;
        eprintln!(
            "round {round}: {:.0} points/s written, {:.0} rows/s scanned, {:.0} points/s into a plain file, {:.1} bytes a point on disk",
            points / written,
            points / scanned,
            points / appended,
            disk_bytes as f64 / points
        );
        ours.push(points / written);
        scans.push(points / scanned);
        limits.push(points / appended);
    }
    let (ours, limit, scan) = (median(ours), median(limits), median(scans));
    println!(
        "{{\"name\":\"series\",\"ours\":{ours:.0},\"limit\":{limit:.0},\"unit\":\"points/s\",\"ratio\":{:.3},\"scan_rows_per_second\":{scan:.0}}}",
        ours / limit
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One minute of 4,000 map cells: what a dagger with a one-minute window delivers.
fn batch(number: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let time = START_MICROS + number as i64 * MINUTE_MICROS;
    let rows = 0..BATCH_ROWS as i64;
    let columns: [(&str, ArrayRef); 5] = [
        ("window_timestamp", Arc::new(TimestampMicrosecondArray::from_iter_values(rows.clone().map(|_| time)))),
        ("tag_city", Arc::new(StringArray::from_iter_values(rows.clone().map(|row| format!("{}", row % 20))))),
        (
            "tag_s2id",
            Arc::new(StringArray::from_iter_values(rows.clone().map(|row| format!("33844{:014}", row * 7_919)))),
        ),
        (
            "tag_vehicle",
            Arc::new(StringArray::from_iter_values(rows.clone().map(|row| if row % 3 == 0 { "BIKE" } else { "CAR" }))),
        ),
        ("num_of_bookings", Arc::new(Int64Array::from_iter_values(rows.map(|row| row % 97 + number as i64)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Seconds for writing, seconds for scanning, bytes on disk.
fn write_and_scan(dir: &std::path::Path, batches: usize) -> Result<(f64, f64, u64), Box<dyn Error>> {
    let store = SeriesStore::open(&dir.join("series"), SeriesOptions::default())?;
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "tag_city".into()), (2, "tag_s2id".into()), (3, "tag_vehicle".into())],
        fields: vec![(4, "num_of_bookings".into())],
    };
    let mut seconds = 0.0;
    for number in 0..batches {
        let batch = batch(number)?;
        let start = Instant::now();
        store.write("bookings", &batch, &layout)?;
        store.sync()?;
        seconds += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    let mut rows = 0;
    for batch in store.scan("bookings", &ScanRequest::default())? {
        rows += batch?.num_rows();
    }
    let scan_seconds = start.elapsed().as_secs_f64();
    if rows != batches * BATCH_ROWS {
        return Err(format!("{rows} rows came back").into());
    }
    Ok((seconds, scan_seconds, store.disk_bytes()?))
}

/// Seconds for appending the points as text lines, each batch synced.
fn append_plainly(dir: &std::path::Path, batches: usize) -> Result<f64, Box<dyn Error>> {
    let mut file = File::create(dir.join("plain"))?;
    let mut seconds = 0.0;
    for number in 0..batches {
        let bytes = line_protocol(&batch(number)?)?;
        let start = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        seconds += start.elapsed().as_secs_f64();
    }
    Ok(seconds)
}

/// The same content in the form in which it would be sent to InfluxDB.
fn line_protocol(batch: &RecordBatch) -> Result<Vec<u8>, Box<dyn Error>> {
    let options = FormatOptions::default();
    let columns =
        batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options)).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    for row in 0..batch.num_rows() {
        let [time, city, cell, vehicle, count] = [0, 1, 2, 3, 4].map(|column| columns[column].value(row).to_string());
        writeln!(
            bytes,
            "bookings,tag_city={city},tag_s2id={cell},tag_vehicle={vehicle} num_of_bookings={count}i {time}"
        )?;
    }
    Ok(bytes)
}
