//! Reading: what is returned, and that no more is read than asked for.

use series::{ScanOrder, ScanRequest, SeriesError, TagFilter, TagTest, TimeRange};

use crate::store::{NEW_YEAR, Row, SECOND, TestStore, scan, write};

const CITIES: [&str; 4] = ["a", "b", "c", "d"];

/// 1,000 seconds with a point of each of four cities.
fn filled() -> TestStore {
    let test = TestStore::new();
    for chunk in 0..10 {
        let rows: Vec<Row<'_>> = (chunk * 100..(chunk + 1) * 100)
            .flat_map(|second| {
                CITIES.map(|city| {
                    (NEW_YEAR + second * SECOND, Some(city), (city == "a").then_some("x"), Some(second), None)
                })
            })
            .collect();
        write(&test.store, "m", &rows);
        write(&test.store, "another", &rows);
    }
    test
}

fn counts(lines: &[String]) -> Vec<i64> {
    lines.iter().map(|line| line.split('|').nth(3).and_then(|count| count.parse().ok()).expect("a count")).collect()
}

#[test]
fn a_time_range_reads_only_its_keys() {
    let test = filled();
    let request = ScanRequest {
        range: TimeRange::new(NEW_YEAR + 500 * SECOND, NEW_YEAR + 510 * SECOND),
        ..ScanRequest::default()
    };
    let mut scan = test.store.scan("m", &request).expect("scans");
    let rows: usize = scan.by_ref().map(|batch| batch.expect("reads").num_rows()).sum();
    assert_eq!(rows, 40);
    assert_eq!(scan.keys_scanned(), 40, "of 4,000 points");
    assert_eq!(test.store.keys_scanned(), 40);
    for empty in [TimeRange::new(5, 5), TimeRange::new(6, 5), TimeRange { start: None, end: Some(i64::MIN) }] {
        let mut scan = test.store.scan("m", &ScanRequest { range: empty, ..ScanRequest::default() }).expect("scans");
        assert!(scan.next().is_none());
        assert_eq!(scan.keys_scanned(), 0);
    }
    let all = test.store.scan("m", &ScanRequest::default()).expect("scans");
    assert_eq!(all.map(|batch| batch.expect("reads").num_rows()).sum::<usize>(), 4_000);
}

#[test]
fn limit_and_order() {
    let test = filled();
    let newest = ScanRequest { limit: Some(6), order: ScanOrder::Descending, ..ScanRequest::default() };
    let mut newest_scan = test.store.scan("m", &newest).expect("scans");
    let lines = crate::store::lines(&newest_scan.by_ref().collect::<Result<Vec<_>, _>>().expect("reads"));
    assert_eq!(counts(&lines), [999, 999, 999, 999, 998, 998]);
    assert_eq!(newest_scan.keys_scanned(), 6);
    let oldest = ScanRequest { limit: Some(5), batch_rows: 2, ..ScanRequest::default() };
    let batches: Vec<usize> =
        test.store.scan("m", &oldest).expect("scans").map(|batch| batch.expect("reads").num_rows()).collect();
    assert_eq!(batches, [2, 2, 1]);
    let none = ScanRequest { limit: Some(0), ..ScanRequest::default() };
    assert_eq!(scan(&test.store, "m", &none).len(), 0);
}

#[test]
fn conditions_on_tags() {
    let test = filled();
    let rows = |tags: Vec<TagFilter>| scan(&test.store, "m", &ScanRequest { tags, ..ScanRequest::default() }).len();
    let test_of = |tag: &str, test: TagTest| TagFilter { tag: tag.into(), test };
    assert_eq!(rows(vec![TagFilter::equals("city", "b")]), 1_000);
    assert_eq!(rows(vec![TagFilter::equals("city", "nowhere")]), 0);
    assert_eq!(rows(vec![TagFilter::one_of("city", vec!["b".into(), "c".into()])]), 2_000);
    assert_eq!(rows(vec![test_of("city", TagTest::NoneOf(vec!["b".into()]))]), 3_000);
    assert_eq!(rows(vec![test_of("kind", TagTest::NoneOf(vec!["y".into()]))]), 1_000, "absent is not different");
    assert_eq!(rows(vec![test_of("kind", TagTest::Absent)]), 3_000);
    assert_eq!(rows(vec![test_of("kind", TagTest::Present), TagFilter::equals("city", "a")]), 1_000);
    assert_eq!(rows(vec![test_of("kind", TagTest::Present), TagFilter::equals("city", "b")]), 0);
    let refused = |tag: &str| {
        let request = ScanRequest { tags: vec![TagFilter::equals(tag, "1")], ..ScanRequest::default() };
        test.store.scan("m", &request).err().expect("is refused")
    };
    assert!(matches!(refused("count"), SeriesError::NotATag { .. }));
    assert!(matches!(refused("town"), SeriesError::UnknownColumn { .. }));
}

#[test]
fn columns_in_the_order_asked_for() {
    let test = filled();
    let projected = |names: &[&str]| {
        let projection = Some(names.iter().map(|name| name.to_string()).collect());
        scan(&test.store, "m", &ScanRequest { projection, limit: Some(1), ..ScanRequest::default() })
    };
    assert_eq!(projected(&["share", "city", "count", "time"]), ["|a|0|2024-01-01T00:00:00"]);
    assert_eq!(projected(&["count", "count"]), ["0|0"]);
    let none = ScanRequest { projection: Some(vec![]), ..ScanRequest::default() };
    let rows: usize = test.store.scan("m", &none).expect("scans").map(|batch| batch.expect("reads").num_rows()).sum();
    assert_eq!(rows, 4_000);
    let unknown = ScanRequest { projection: Some(vec!["price".into()]), ..ScanRequest::default() };
    let error = test.store.scan("m", &unknown).err().expect("is refused").to_string();
    assert!(error.contains("price") && error.contains("time, city, kind, count, share"), "{error}");
}

#[test]
fn a_scan_sees_the_state_at_which_it_began() {
    let test = filled();
    let request = ScanRequest { batch_rows: 100, ..ScanRequest::default() };
    let mut scan = test.store.scan("m", &request).expect("scans");
    scan.next().expect("a batch").expect("reads");
    write(&test.store, "m", &[(NEW_YEAR + 5_000 * SECOND, Some("a"), None, Some(1), None)]);
    test.store.drop_measurement("m").expect("drops");
    test.store.expire().expect("expires");
    let rest: usize = scan.map(|batch| batch.expect("reads").num_rows()).sum();
    assert_eq!(rest, 3_900);
}
