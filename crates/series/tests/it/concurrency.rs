//! Several threads at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use series::{ScanRequest, TimeRange};

use crate::store::{NEW_YEAR, Row, SECOND, TestStore, scan_all, write};

const BATCHES: i64 = 200;
const ROWS: i64 = 50;

#[test]
fn writers_and_readers_do_not_disturb_each_other() {
    let test = TestStore::new();
    let writing = AtomicBool::new(true);
    // The reader needs something to find.
    write_batch(&test, "shared", 0, 0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let test = &test;
                scope.spawn(move || {
                    for number in 0..BATCHES {
                        write_batch(test, "shared", writer, number);
                        write_batch(test, &format!("own-{writer}"), writer, number);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut scans = 0u64;
            while writing.load(Ordering::SeqCst) || scans == 0 {
                // A batch is there as a whole or not at all.
                let lines = scan_all(&test.store, "shared");
                assert_eq!(lines.len() as i64 % ROWS, 0, "{} points", lines.len());
                assert!(lines.is_sorted_by_key(|line| &line[..19]), "in order of time");
                scans += 1;
            }
            scans
        });
        for writer in writers {
            writer.join().expect("writes");
        }
        writing.store(false, Ordering::SeqCst);
        assert!(reader.join().expect("reads") > 0);
    });
    let test = test.reopen();
    assert_eq!(scan_all(&test.store, "shared").len() as i64, 3 * BATCHES * ROWS);
    for writer in 0..3 {
        assert_eq!(scan_all(&test.store, &format!("own-{writer}")).len() as i64, BATCHES * ROWS);
    }
    assert_eq!(test.store.measurement("shared").expect("is there").sequence, 1 + 3 * BATCHES as u64);
}

fn write_batch(test: &TestStore, measurement: &str, writer: i64, number: i64) {
    let city = format!("city-{writer}");
    let rows: Vec<Row<'_>> = (0..ROWS)
        .map(|row| (NEW_YEAR + (number * ROWS + row) * SECOND, Some(city.as_str()), None, Some(row), None))
        .collect();
    assert_eq!(write(&test.store, measurement, &rows).written as i64, ROWS);
}

#[test]
fn followers_of_a_busy_measurement_miss_nothing() {
    let test = TestStore::new();
    write_batch(&test, "m", 0, 0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..BATCHES {
                write_batch(&test, "m", 0, number);
            }
        });
        let (mut seen, mut since) = (0, 0);
        while seen < BATCHES * ROWS {
            let changes = test.store.scan_since("m", since, &ScanRequest::default()).expect("scans");
            since = changes.next_sequence;
            seen += changes.scan.map(|batch| batch.expect("reads").num_rows() as i64).sum::<i64>();
        }
        writer.join().expect("writes");
        assert_eq!(seen, BATCHES * ROWS, "each point was written once and is seen once");
    });
}

#[test]
fn expiring_while_writing_keeps_what_is_written_again() {
    let test = TestStore::new();
    let rows: Vec<Row<'_>> = (0..30_000).map(|second| (second, Some("a"), None, Some(0), None)).collect();
    write(&test.store, "m", &rows);
    test.clock.advance(8 * 24 * 3600 * SECOND);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for chunk in rows.chunks(1_000) {
                let again: Vec<Row<'_>> = chunk.iter().map(|row| (row.0, row.1, row.2, Some(1), None)).collect();
                write(&test.store, "m", &again);
            }
        });
        test.store.expire().expect("expires");
        writer.join().expect("writes");
    });
    let lines = scan_all(&test.store, "m");
    assert_eq!(lines.len(), 30_000);
    assert!(lines.iter().all(|line| line.ends_with("|a||1|")));
    let range = TimeRange::new(0, 10);
    assert_eq!(crate::store::scan(&test.store, "m", &ScanRequest { range, ..ScanRequest::default() }).len(), 10);
}
