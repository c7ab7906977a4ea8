//! Copies made while the store is written to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use series::{SeriesError, SeriesOptions, SeriesStore};

use crate::store::{NEW_YEAR, Row, SECOND, TestStore, scan_all, write};

fn write_batch(store: &SeriesStore, number: i64) {
    let row = |row: i64| -> Row<'_> { (NEW_YEAR + (number * 50 + row) * SECOND, Some("a"), None, Some(number), None) };
    write(store, "m", &(0..50).map(row).collect::<Vec<_>>());
}

#[test]
fn a_backup_is_what_was_there_when_it_began() {
    let test = TestStore::with(|options| options.limits.sealed_together_bytes = 64 * 1024);
    (0..200).for_each(|number| write_batch(&test.store, number));
    write(&test.store, "other", &[(NEW_YEAR, Some("b"), None, Some(1), None)]);
    let copies = tempfile::tempdir().expect("a directory");
    let (before, copying) = (scan_all(&test.store, "m"), AtomicBool::new(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 200;
            while copying.load(Ordering::SeqCst) {
                write_batch(&test.store, number);
                number += 1;
            }
        });
        for copy in 0..5 {
            test.store.backup_to(&copies.path().join(copy.to_string())).expect("copies");
        }
        copying.store(false, Ordering::SeqCst);
    });
    for copy in 0..5 {
        let dir = copies.path().join(copy.to_string());
        let store = SeriesStore::open(&dir, SeriesOptions::default()).expect("opens");
        let found = scan_all(&store, "m");
        assert_eq!(found[..before.len()], before);
        assert_eq!(found.len() % 50, 0, "a batch is there as a whole or not at all");
        assert_eq!(found, scan_all(&test.store, "m")[..found.len()]);
        assert_eq!(scan_all(&store, "other").len(), 1);
        assert_eq!(store.measurement("m").expect("is there").points_estimate, found.len() as u64);
        write_batch(&store, 1_000_000);
        assert_eq!(scan_all(&store, "m").len(), found.len() + 50);
    }
}

#[test]
fn a_backup_overwrites_nothing() {
    let test = TestStore::new();
    let dir = tempfile::tempdir().expect("a directory");
    let error = test.store.backup_to(dir.path()).expect_err("is refused");
    assert!(matches!(&error, SeriesError::Storage { .. }) && error.to_string().contains("exists already"), "{error}");
}
