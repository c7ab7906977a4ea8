//! `kill -9` of a process that writes.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use series::{ScanRequest, SeriesOptions, SeriesStore};

/// As in the example.
const ROWS: i64 = 100;

fn writer_program() -> PathBuf {
    let test = std::env::current_exe().expect("its own path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("the target directory");
    target.join("examples").join("crash_writer")
}

/// Lets the writer begin at batch `first`, kills it after some syncs, and returns the last batch known to be safe.
fn write_and_kill(dir: &std::path::Path, first: i64, syncs: usize) -> i64 {
    let mut writer = Command::new(writer_program())
        .arg(dir)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example is built by `cargo test`");
    let stdout = writer.stdout.take().expect("its output");
    let mut safe = None;
    for (count, line) in BufReader::new(stdout).lines().enumerate() {
        safe = Some(line.expect("a line").parse().expect("a number"));
        if count + 1 == syncs {
            // SIGKILL by its process id; the lines that it had written already are still read.
            writer.kill().expect("is killed");
        }
    }
    writer.wait().expect("has ended");
    safe.expect("at least one sync")
}

#[test]
fn what_was_synced_survives_and_no_batch_is_torn() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut batches = 0;
    for round in 0..12 {
        let safe = write_and_kill(dir.path(), batches, 1 + round * 5);
        let store = SeriesStore::open(dir.path(), SeriesOptions::default()).expect("opens again");
        let found = check_content(&store);
        assert!(found > safe, "batch {safe} was safe, {found} batches are there");
        assert_eq!(store.measurement("m").expect("is there").points_estimate as i64, found * ROWS);
        batches = found;
    }
    assert!(batches > 12);
}

/// Every point has to be as it was written, without a gap; returns the number of batches.
fn check_content(store: &SeriesStore) -> i64 {
    let mut next = 0;
    for batch in store.scan("m", &ScanRequest::default()).expect("scans") {
        let batch: RecordBatch = batch.expect("reads");
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let series = batch.column(1).as_string::<i32>();
        let numbers = batch.column(2).as_primitive::<Int64Type>();
        let texts = batch.column(3).as_string::<i32>();
        for row in 0..batch.num_rows() {
            assert_eq!(times.value(row), next);
            assert_eq!(series.value(row), format!("series-{}", next % 1_000));
            assert_eq!(numbers.value(row), next / ROWS);
            assert_eq!(texts.value(row).len() as i64, next % 200);
            next += 1;
        }
    }
    assert_eq!(next % ROWS, 0, "the last batch is torn");
    next / ROWS
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SeriesStore::open(dir.path(), SeriesOptions::default()).expect("opens");
    let error = SeriesStore::open(dir.path(), SeriesOptions::default()).err().expect("is refused");
    assert!(matches!(error, series::SeriesError::InUse), "{error}");
    drop(store);
    SeriesStore::open(dir.path(), SeriesOptions::default()).expect("opens when the other has gone");
}
