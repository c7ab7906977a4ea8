//! What goes beyond a limit is refused and said.

use series::{PointLayout, SeriesError, SkipReason};

use crate::store::{NEW_YEAR, SECOND, TestStore, batch, layout, scan_all, write};

#[test]
fn too_many_series_name_the_tag_to_blame() {
    let test = TestStore::with(|options| options.limits.series_per_measurement_max = 100);
    let drivers: Vec<String> = (0..150).map(|driver| format!("driver-{driver}")).collect();
    let rows: Vec<_> =
        drivers.iter().map(|driver| (NEW_YEAR, Some("few"), Some(driver.as_str()), Some(1), None)).collect();
    let summary = write(&test.store, "m", &rows);
    assert_eq!((summary.written, summary.skipped, summary.new_series), (100, 50, 100));
    // Known series still take points.
    let summary = write(&test.store, "m", &rows);
    assert_eq!((summary.written, summary.skipped, summary.new_series), (100, 50, 0));
    let example = summary.examples.first().expect("an example");
    assert_eq!((example.row, example.reason), (100, SkipReason::TooManySeries));
    assert!(example.message.contains("tag `kind` has the most values, about 100"), "{}", example.message);
    assert_eq!(summary.examples.len(), 16);
    assert_eq!(scan_all(&test.store, "m").len(), 100);
}

#[test]
fn series_without_points_make_room() {
    let test = TestStore::with(|options| options.limits.series_per_measurement_max = 100);
    let drivers: Vec<String> = (0..200).map(|driver| format!("driver-{driver}")).collect();
    let row = |driver: usize, time: i64| (time, None, Some(drivers[driver].as_str()), Some(1), None);
    let week = 7 * 24 * 3600 * SECOND;
    let old: Vec<_> = (0..100).map(|driver| row(driver, NEW_YEAR)).collect();
    write(&test.store, "m", &old);
    test.clock.advance(week + 2 * SECOND);
    let kept: Vec<_> = (0..10).map(|driver| row(driver, NEW_YEAR + week)).collect();
    write(&test.store, "m", &kept);
    let summary = test.store.expire().expect("expires");
    assert_eq!((summary.expired, summary.series), (100, 90));
    assert_eq!(test.store.measurement("m").expect("is there").series, 10);
    let new: Vec<_> = (5..95).map(|driver| row(driver + 100, NEW_YEAR + week)).collect();
    let summary = write(&test.store, "m", &new);
    assert_eq!((summary.written, summary.skipped), (90, 0));
    let back = write(&test.store, "m", &old[..20]);
    assert_eq!((back.written, back.skipped), (10, 10), "one of the kept ones, and one that went");
    assert_eq!(scan_all(&test.store, "m").len(), 110);
}

#[test]
fn tags_that_tell_points_apart_are_no_series() {
    let test = TestStore::with(|options| options.limits.series_per_measurement_max = 2);
    let offsets: Vec<String> = (0..1_000).map(|offset| offset.to_string()).collect();
    let rows: Vec<_> =
        offsets.iter().map(|offset| (NEW_YEAR, Some("a"), Some(offset.as_str()), Some(1), None)).collect();
    let layout = PointLayout { tags: vec![(1, "city".into()), (2, "_offset".into())], ..layout() };
    for _ in 0..2 {
        let summary = test.store.write("m", &batch(&rows), &layout).expect("writes");
        assert_eq!(summary.written, 1_000);
    }
    assert_eq!(test.store.measurement("m").expect("is there").series, 1);
    let test = test.reopen();
    let lines = scan_all(&test.store, "m");
    assert_eq!(lines.len(), 1_000);
    assert!(lines.contains(&"2024-01-01T00:00:00|a|999|1|".to_owned()));
    let request = series::ScanRequest {
        tags: vec![series::TagFilter::equals("_offset", "17"), series::TagFilter::equals("city", "a")],
        ..series::ScanRequest::default()
    };
    assert_eq!(crate::store::scan(&test.store, "m", &request), ["2024-01-01T00:00:00|a|17|1|"]);
}

#[test]
fn long_values_refuse_their_row_only() {
    let test = TestStore::with(|options| {
        options.limits.tag_value_bytes_max = 10;
        options.limits.tags_bytes_max = 24;
    });
    let summary = write(
        &test.store,
        "m",
        &[
            (NEW_YEAR, Some("0123456789"), None, Some(1), None),
            (NEW_YEAR, Some("0123456789x"), None, Some(2), None),
            (NEW_YEAR, Some("0123456789"), Some("0123456789"), Some(3), None),
        ],
    );
    assert_eq!((summary.written, summary.skipped), (1, 2));
    assert!(summary.examples.iter().all(|row| row.reason == SkipReason::TagTooLong), "{:?}", summary.examples);
    assert!(summary.examples[0].message.contains("`city`"), "{:?}", summary.examples);
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|0123456789||1|"]);
}

#[test]
fn too_many_columns_or_measurements_are_errors() {
    let test = TestStore::with(|options| {
        options.limits.fields_per_measurement_max = 2;
        options.limits.tags_per_measurement_max = 2;
        options.limits.measurements_max = 1;
    });
    let row = batch(&[(NEW_YEAR, Some("a"), None, Some(1), Some(0.5))]);
    test.store.write("m", &row, &layout()).expect("writes");
    let more_fields = PointLayout { fields: vec![(3, "more".into())], ..layout() };
    assert!(matches!(
        test.store.write("m", &row, &more_fields),
        Err(SeriesError::LimitExceeded { found: 3, max: 2, .. })
    ));
    let more_tags = PointLayout { tags: vec![(1, "more".into())], ..layout() };
    assert!(matches!(
        test.store.write("m", &row, &more_tags),
        Err(SeriesError::LimitExceeded { found: 3, max: 2, .. })
    ));
    assert!(matches!(test.store.write("n", &row, &layout()), Err(SeriesError::LimitExceeded { found: 2, max: 1, .. })));
    assert_eq!(test.store.measurement("m").expect("is there").fields.len(), 2, "nothing of the refused ones stays");
}
