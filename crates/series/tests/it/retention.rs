//! What is removed, and when.

use std::time::Duration;

use crate::store::{NEW_YEAR, SECOND, TestStore, scan_all, write};

const DAY: i64 = 24 * 3600 * SECOND;

#[test]
fn a_point_expires_a_retention_after_its_time() {
    let test = TestStore::new();
    write(
        &test.store,
        "m",
        &[(NEW_YEAR, Some("a"), None, Some(1), None), (NEW_YEAR + DAY, Some("a"), None, Some(2), None)],
    );
    assert_eq!(test.store.expire().expect("expires").expired, 0);
    test.clock.advance(7 * DAY + SECOND);
    assert_eq!(test.store.expire().expect("expires").expired, 1);
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-02T00:00:00|a||2|"]);
    test.clock.advance(DAY);
    assert_eq!(test.store.expire().expect("expires").expired, 1);
    assert_eq!(scan_all(&test.store, "m").len(), 0);
    let info = test.store.measurement("m").expect("stays");
    assert_eq!((info.points_estimate, info.series), (0, 0));
}

#[test]
fn the_past_that_is_replayed_is_kept_from_when_it_was_written() {
    let test = TestStore::new();
    let year_2013 = NEW_YEAR - 11 * 365 * DAY;
    for day in 0..100 {
        write(&test.store, "flights", &[(year_2013 + day * DAY, Some("JFK"), None, Some(day), None)]);
    }
    for _ in 0..6 {
        test.clock.advance(DAY);
        assert_eq!(test.store.expire().expect("expires").expired, 0);
    }
    assert_eq!(scan_all(&test.store, "flights").len(), 100);
    // Writing a point again keeps it for longer.
    write(&test.store, "flights", &[(year_2013, Some("JFK"), None, Some(7), None)]);
    let test = test.reopen();
    test.clock.advance(DAY + 2 * SECOND);
    assert_eq!(test.store.expire().expect("expires").expired, 99);
    assert_eq!(scan_all(&test.store, "flights"), ["2013-01-03T00:00:00|JFK||7|"]);
    test.clock.advance(6 * DAY);
    assert_eq!(test.store.expire().expect("expires").expired, 1);
}

#[test]
fn the_future_is_kept_from_its_time() {
    let test = TestStore::new();
    write(&test.store, "m", &[(NEW_YEAR + 100 * DAY, None, None, Some(1), None)]);
    test.clock.advance(100 * DAY);
    assert_eq!(test.store.expire().expect("expires").expired, 0);
    test.clock.advance(8 * DAY);
    assert_eq!(test.store.expire().expect("expires").expired, 1);
}

#[test]
fn a_measurement_can_have_its_own_retention() {
    let test = TestStore::new();
    write(&test.store, "short", &[(NEW_YEAR, None, None, Some(1), None)]);
    write(&test.store, "long", &[(NEW_YEAR, None, None, Some(1), None)]);
    test.store.expire().expect("expires");
    test.store.set_retention("short", Duration::from_secs(3600)).expect("is set");
    test.store.set_retention("long", Duration::from_secs(100 * 24 * 3600)).expect("is set");
    let test = test.reopen();
    assert_eq!(test.store.measurement("short").expect("is there").retention, Duration::from_secs(3600));
    test.clock.advance(3601 * SECOND);
    assert_eq!(test.store.expire().expect("expires").expired, 1);
    assert_eq!(scan_all(&test.store, "short").len(), 0);
    test.clock.advance(50 * DAY);
    assert_eq!(test.store.expire().expect("expires").expired, 0);
    assert_eq!(scan_all(&test.store, "long").len(), 1);
}

#[test]
fn looking_costs_nothing_when_nothing_is_due() {
    let test = TestStore::new();
    let rows: Vec<_> = (0..1_000).map(|second| (second, Some("a"), None, Some(second), None)).collect();
    write(&test.store, "m", &rows);
    test.store.expire().expect("expires");
    let bytes = test.store.disk_bytes().expect("is measured");
    for _ in 0..100 {
        test.clock.advance(SECOND);
        assert_eq!(test.store.expire().expect("expires").expired, 0);
    }
    assert_eq!(test.store.disk_bytes().expect("is measured"), bytes, "nothing is written");
}

#[test]
fn many_points_expire_in_steps() {
    let test = TestStore::new();
    let rows: Vec<_> = (0..25_000).map(|second| (second, Some("a"), None, Some(second), None)).collect();
    write(&test.store, "m", &rows);
    test.clock.advance(7 * DAY + SECOND);
    write(&test.store, "m", &[(5, Some("a"), None, Some(-5), None)]);
    let summary = test.store.expire().expect("expires");
    assert_eq!(summary.expired, 24_999);
    assert_eq!(scan_all(&test.store, "m"), ["1970-01-01T00:00:00.000000005|a||-5|"]);
    assert_eq!(test.store.measurement("m").expect("is there").points_estimate, 1);
}

#[test]
fn a_dropped_measurement_is_gone_at_once_and_its_points_with_the_next_expiry() {
    let test = TestStore::new();
    let rows: Vec<_> = (0..25_000).map(|second| (second, Some("a"), None, Some(second), None)).collect();
    write(&test.store, "m", &rows);
    write(&test.store, "n", &rows[..10]);
    assert!(test.store.drop_measurement("m").expect("drops"));
    assert!(!test.store.drop_measurement("m").expect("is gone"));
    assert_eq!(test.store.measurements().len(), 1);
    let sequence = write(&test.store, "m", &[(7, None, None, Some(1), None)]).sequence;
    assert!(sequence > 1, "a follower of the dropped one does not miss it");
    let test = test.reopen();
    assert_eq!(test.store.expire().expect("expires").dropped, 25_000);
    assert_eq!(test.store.expire().expect("expires").dropped, 0);
    assert_eq!(scan_all(&test.store, "m").len(), 1);
    assert_eq!(scan_all(&test.store, "n").len(), 10);
    test.store.drop_measurement("m").expect("drops");
    test.store.expire().expect("expires");
    let test = test.reopen();
    let again = write(&test.store, "m", &[(7, None, None, Some(1), None)]).sequence;
    assert!(again > sequence, "{again} after {sequence}");
}
