//! Following a measurement by sequence numbers.

use arrow::array::RecordBatch;
use series::{ScanRequest, SeriesStore};

use crate::store::{NEW_YEAR, SECOND, TestStore, lines, write};

fn changes(store: &SeriesStore, since: u64) -> (Vec<String>, u64) {
    let changes = store.scan_since("m", since, &ScanRequest::default()).expect("scans");
    let batches: Vec<RecordBatch> = changes.scan.collect::<Result<_, _>>().expect("reads");
    (lines(&batches), changes.next_sequence)
}

#[test]
fn each_change_is_seen_once() {
    let test = TestStore::new();
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, Some(1), None), (NEW_YEAR, Some("b"), None, Some(1), None)]);
    let (first, next) = changes(&test.store, 0);
    assert_eq!(first.len(), 2);
    assert_eq!(changes(&test.store, next), (vec![], next));
    write(&test.store, "m", &[(NEW_YEAR + SECOND, Some("a"), None, Some(2), None)]);
    write(&test.store, "m", &[(NEW_YEAR, Some("b"), None, Some(3), None)]);
    assert_eq!(test.store.sequence("m").expect("is there"), next + 2);
    let (second, next) = changes(&test.store, next);
    assert_eq!(second, ["2024-01-01T00:00:00|b||3|", "2024-01-01T00:00:01|a||2|"]);
    // Over a restart as well.
    let test = test.reopen();
    assert_eq!(changes(&test.store, next), (vec![], next));
    write(&test.store, "m", &[(NEW_YEAR, Some("c"), None, Some(4), None)]);
    assert_eq!(changes(&test.store, next).0, ["2024-01-01T00:00:00|c||4|"]);
}

#[test]
fn a_follower_reads_what_was_touched_and_not_the_rest() {
    let test = TestStore::new();
    for second in 0..2_000 {
        write(&test.store, "m", &[(NEW_YEAR + second * SECOND, Some("a"), None, Some(second), None)]);
    }
    let since = test.store.sequence("m").expect("is there") - 3;
    let mut changes = test.store.scan_since("m", since, &ScanRequest::default()).expect("scans");
    assert_eq!(changes.scan.by_ref().map(|batch| batch.expect("reads").num_rows()).sum::<usize>(), 3);
    assert_eq!(changes.scan.keys_scanned(), 3);
    // One who is far behind gets everything as well.
    let (all, _) = self::changes(&test.store, 1);
    assert_eq!(all.len(), 1_999);
}
