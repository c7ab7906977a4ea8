//! Which series and tag values there are, and measurements that get another name.

use series::{PointLayout, ScanRequest, SeriesError, SeriesStore, TagFilter, TagTest};

use crate::store::{NEW_YEAR, SECOND, TestStore, batch, layout, scan_all, write};

fn series(store: &SeriesStore, filters: &[TagFilter]) -> Vec<String> {
    let sets = store.series("m", filters).expect("lists").collect::<Result<Vec<_>, _>>().expect("reads");
    let text = |tags: Vec<(String, String)>| {
        tags.into_iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>().join(",")
    };
    sets.into_iter().map(text).collect()
}

fn filled() -> TestStore {
    let test = TestStore::new();
    for second in 0..3 {
        let row = |city, kind| (NEW_YEAR + second * SECOND, city, kind, Some(second), None);
        write(
            &test.store,
            "m",
            &[row(Some("b"), Some("x")), row(Some("a"), None), row(None, None), row(Some("a"), Some("y"))],
        );
    }
    write(&test.store, "other", &[(NEW_YEAR, Some("elsewhere"), None, Some(1), None)]);
    test
}

#[test]
fn series_are_listed_without_reading_points() {
    let test = filled();
    let all = ["city=b,kind=x", "city=a", "", "city=a,kind=y"];
    assert_eq!(series(&test.store, &[]), all);
    let test = test.reopen();
    assert_eq!(series(&test.store, &[]), all);
    assert_eq!(series(&test.store, &[TagFilter::equals("city", "a")]), ["city=a", "city=a,kind=y"]);
    let absent = TagFilter { tag: "kind".into(), test: TagTest::Absent };
    assert_eq!(series(&test.store, &[TagFilter::equals("city", "a"), absent]), ["city=a"]);
    assert_eq!(test.store.tag_values("m", "city").expect("lists"), ["a", "b"]);
    assert_eq!(test.store.tag_values("m", "kind").expect("lists"), ["x", "y"]);
    assert_eq!(test.store.keys_scanned(), 0);
}

#[test]
fn tags_are_in_the_order_of_their_names() {
    let test = TestStore::new();
    let swapped = PointLayout { tags: vec![(1, "z".into()), (2, "a".into())], ..layout() };
    test.store.write("m", &batch(&[(NEW_YEAR, Some("1"), Some("2"), Some(1), None)]), &swapped).expect("writes");
    assert_eq!(series(&test.store, &[]), ["a=2,z=1"]);
}

#[test]
fn what_names_no_series_is_refused_or_read_from_points() {
    let test = filled();
    let refused = |tag: &str| test.store.series("m", &[TagFilter::equals(tag, "1")]).err().expect("is refused");
    assert!(matches!(refused("count"), SeriesError::NotATag { .. }));
    assert!(matches!(refused("town"), SeriesError::UnknownColumn { .. }));
    assert!(matches!(test.store.tag_values("m", "count"), Err(SeriesError::NotATag { .. })));
    assert!(matches!(test.store.tag_values("nowhere", "city"), Err(SeriesError::UnknownMeasurement { .. })));
    let layout = PointLayout { tags: vec![(1, "city".into()), (2, "_offset".into())], ..layout() };
    let rows = ["2", "1", "2"].map(|offset| (NEW_YEAR, Some("a"), Some(offset), Some(1), None));
    test.store.write("m", &batch(&rows), &layout).expect("writes");
    assert!(matches!(refused("_offset"), SeriesError::TagOfPoints { .. }));
    assert_eq!(test.store.tag_values("m", "_offset").expect("lists"), ["1", "2"]);
}

#[test]
fn a_renamed_measurement_keeps_what_it_has() {
    let test = filled();
    let (points, before) = (scan_all(&test.store, "m"), test.store.measurement("m").expect("is there"));
    let mut scan = test.store.scan("m", &ScanRequest { batch_rows: 4, ..ScanRequest::default() }).expect("scans");
    scan.next().expect("a batch").expect("reads");
    test.store.rename_measurement("m", "n").expect("renames");
    assert_eq!(scan.map(|batch| batch.expect("reads").num_rows()).sum::<usize>(), 8, "a scan goes on");
    assert_eq!(test.store.measurement("m"), None);
    assert_eq!(test.store.measurements().len(), 2);
    let again = write(&test.store, "m", &[(NEW_YEAR, Some("new"), None, Some(7), None)]);
    assert!(again.sequence > before.sequence, "a follower of the old name does not miss it");
    let test = test.reopen();
    assert_eq!(scan_all(&test.store, "n"), points);
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|new||7|"]);
    let after = test.store.measurement("n").expect("is there");
    assert_eq!(series::MeasurementInfo { name: "m".into(), ..after }, before);
    write(&test.store, "n", &[(NEW_YEAR + 9 * SECOND, None, None, Some(9), None)]);
    assert_eq!(scan_all(&test.store, "n").len(), points.len() + 1);
}

#[test]
fn names_that_are_taken_or_cannot_be_are_refused() {
    let test = filled();
    let refused = |from: &str, to: &str| test.store.rename_measurement(from, to).expect_err("is refused");
    assert!(matches!(refused("m", "other"), SeriesError::MeasurementExists { .. }));
    assert!(matches!(refused("nowhere", "n"), SeriesError::UnknownMeasurement { .. }));
    assert!(matches!(refused("m", ""), SeriesError::InvalidName { .. }));
    test.store.rename_measurement("m", "m").expect("nothing to do");
    assert_eq!(series(&test.store, &[]).len(), 4);
    test.store.drop_measurement("other").expect("drops");
    test.store.rename_measurement("m", "other").expect("the name is free");
    test.store.drop_measurement("other").expect("drops");
    assert_eq!(test.store.measurements(), []);
}
