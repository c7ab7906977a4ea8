//! What becomes of written rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Int32Array, Int64Array, ListArray, NullArray,
    RecordBatch, StringArray, StringDictionaryBuilder, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use series::{FieldType, PointLayout, ScanRequest, SeriesError, SkipReason, TIME_MAX, TIME_MIN, TimeRange};

use crate::store::{NEW_YEAR, SECOND, TestStore, batch, layout, scan, scan_all, write};

#[test]
fn the_same_point_twice_is_one_point() {
    let test = TestStore::new();
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, Some(1), Some(0.5))]);
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, Some(2), Some(0.75))]);
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|a||2|0.75"]);
    // The tags are the same only if all of them are.
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), Some("x"), Some(3), None), (NEW_YEAR, None, None, Some(4), None)]);
    assert_eq!(
        scan_all(&test.store, "m"),
        ["2024-01-01T00:00:00|a||2|0.75", "2024-01-01T00:00:00|a|x|3|", "2024-01-01T00:00:00|||4|"]
    );
}

#[test]
fn in_one_batch_the_last_row_of_a_point_wins_field_by_field() {
    let test = TestStore::new();
    let summary = write(
        &test.store,
        "m",
        &[
            (NEW_YEAR + SECOND, Some("b"), None, Some(9), None),
            (NEW_YEAR, Some("a"), None, Some(1), Some(0.5)),
            (NEW_YEAR, Some("a"), None, None, Some(0.25)),
            (NEW_YEAR, Some("a"), None, Some(3), None),
        ],
    );
    assert_eq!((summary.rows, summary.written, summary.skipped), (4, 4, 0));
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|a||3|0.25", "2024-01-01T00:00:01|b||9|"]);
}

#[test]
fn fields_that_are_not_written_again_stay() {
    let test = TestStore::new();
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, Some(1), None)]);
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, None, Some(0.5))]);
    let more = PointLayout { fields: vec![(3, "later".into())], ..layout() };
    test.store.write("m", &batch(&[(NEW_YEAR, Some("a"), None, Some(7), None)]), &more).expect("writes");
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|a||1|0.5|7"]);
    let test = test.reopen();
    write(&test.store, "m", &[(NEW_YEAR, Some("a"), None, Some(2), None)]);
    assert_eq!(scan_all(&test.store, "m"), ["2024-01-01T00:00:00|a||2|0.5|7"]);
    assert_eq!(test.store.measurement("m").expect("is there").points_estimate, 1);
}

#[test]
fn points_written_out_of_order_are_read_in_order() {
    let test = TestStore::new();
    for second in [5, 1, 9, 3, 7, 0, 8, 2, 6, 4] {
        write(&test.store, "m", &[(NEW_YEAR + second * SECOND, Some("a"), None, Some(second), None)]);
    }
    write(
        &test.store,
        "m",
        &[(-SECOND, Some("a"), None, Some(-1), None), (series::TIME_MIN, None, None, Some(-2), None)],
    );
    let counts: Vec<String> = scan_all(&test.store, "m")
        .iter()
        .skip(1)
        .map(|line| line.split('|').nth(3).expect("a count").to_owned())
        .collect();
    assert_eq!(counts, ["-1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn rows_that_cannot_be_points_are_told_and_do_not_disturb_the_others() {
    let test = TestStore::new();
    let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(1), None, Some(i64::MAX), Some(4), Some(5)]));
    let values: ArrayRef = Arc::new(UInt64Array::from(vec![Some(1), Some(2), Some(3), None, Some(u64::MAX)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("t", times, true), ("v", values, true)]).expect("a batch");
    let layout = PointLayout { time: 0, tags: vec![], fields: vec![(1, "v".into())] };
    let summary = test.store.write("m", &batch, &layout).expect("writes");
    assert_eq!((summary.rows, summary.written, summary.skipped), (5, 1, 4));
    let reasons: Vec<(usize, SkipReason)> = summary.examples.iter().map(|row| (row.row, row.reason)).collect();
    assert_eq!(
        reasons,
        [
            (1, SkipReason::NoTime),
            (2, SkipReason::TimeOutOfRange),
            (3, SkipReason::NoField),
            (4, SkipReason::IntegerOutOfRange)
        ]
    );
    assert_eq!(scan_all(&test.store, "m"), ["1970-01-01T00:00:01|1"]);
}

#[test]
fn points_a_nanosecond_apart_are_two() {
    let test = TestStore::new();
    let row = |nanos: i64, count: i64| (NEW_YEAR + nanos, Some("a"), None, Some(count), None);
    write(&test.store, "m", &[row(0, 1), row(1, 2)]);
    let test = test.reopen();
    write(&test.store, "m", &[row(999, 3), row(1, 4)]);
    let all =
        ["2024-01-01T00:00:00|a||1|", "2024-01-01T00:00:00.000000001|a||4|", "2024-01-01T00:00:00.000000999|a||3|"];
    assert_eq!(scan_all(&test.store, "m"), all);
    let request = ScanRequest { range: TimeRange::new(NEW_YEAR + 1, NEW_YEAR + 999), ..ScanRequest::default() };
    assert_eq!(scan(&test.store, "m", &request), all[1..2]);
}

#[test]
fn times_that_do_not_fit_are_told() {
    let test = TestStore::new();
    let layout = PointLayout { time: 0, tags: vec![], fields: vec![(1, "v".into())] };
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![i64::MIN + 1, TIME_MIN, TIME_MAX, i64::MAX]));
    let micros: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN / 1_000, i64::MIN / 1_000 - 1, i64::MAX, 0]));
    for (times, refused) in [(nanos, [0, 3]), (micros, [1, 2])] {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1; 4]));
        let batch = RecordBatch::try_from_iter([("t", times), ("v", values)]).expect("a batch");
        let summary = test.store.write("m", &batch, &layout).expect("writes");
        assert_eq!((summary.written, summary.skipped), (2, 2));
        for (row, example) in refused.into_iter().zip(&summary.examples) {
            assert_eq!((example.row, example.reason), (row, SkipReason::TimeOutOfRange));
            assert!(example.message.contains("1677") && example.message.contains("2262"), "{}", example.message);
        }
    }
    let times: Vec<String> =
        scan_all(&test.store, "m").iter().map(|line| line.split('|').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(
        times,
        [
            "1677-09-21T00:12:43.145224194",
            "1677-09-21T00:12:43.145225",
            "1970-01-01T00:00:00",
            "2262-04-11T23:47:16.854775806"
        ]
    );
}

#[test]
fn what_was_written_in_between_counts_when_small_writes_are_merged() {
    let test = TestStore::new();
    let point = |count: Option<i64>, share: Option<f64>| (NEW_YEAR, Some("a"), None, count, share);
    write(&test.store, "m", &[point(Some(1), None)]);
    let many: Vec<_> = (0..2_000).map(|second| (NEW_YEAR + second * SECOND, Some("a"), None, Some(5), None)).collect();
    write(&test.store, "m", &many);
    for number in 0..40 {
        write(&test.store, "m", &[point(None, Some(f64::from(number) + 0.5))]);
        let first = scan(&test.store, "m", &ScanRequest { limit: Some(1), ..ScanRequest::default() });
        assert_eq!(first, [format!("2024-01-01T00:00:00|a||5|{number}.5")]);
    }
}

#[test]
fn a_field_keeps_its_type() {
    let test = TestStore::new();
    write(&test.store, "bookings", &[(NEW_YEAR, None, None, Some(1), None)]);
    let swapped = PointLayout { fields: vec![(4, "count".into())], ..layout() };
    let row = batch(&[(NEW_YEAR, None, None, None, Some(0.5))]);
    let error = test.store.write("bookings", &row, &swapped).expect_err("is refused");
    assert!(matches!(
        &error,
        SeriesError::FieldTypeChanged { stored: FieldType::Int64, written: FieldType::Float64, .. }
    ));
    let text = error.to_string();
    for part in ["bookings", "count", "Int64", "Float64"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!error.is_retryable());
    assert_eq!(scan_all(&test.store, "bookings"), ["2024-01-01T00:00:00|||1|"]);
}

#[test]
fn a_name_is_a_tag_or_a_field_and_time_is_neither() {
    let test = TestStore::new();
    let row = batch(&[(NEW_YEAR, Some("a"), Some("b"), Some(1), Some(0.5))]);
    let refused = |layout: PointLayout| test.store.write("m", &row, &layout).expect_err("is refused").to_string();
    let same = refused(PointLayout { fields: vec![(3, "city".into())], ..layout() });
    assert!(same.contains("`city`") && same.contains("rename"), "{same}");
    let twice = refused(PointLayout { tags: vec![(1, "city".into()), (2, "city".into())], ..layout() });
    assert!(twice.contains("`city`"), "{twice}");
    let time = refused(PointLayout { fields: vec![(3, "time".into())], ..layout() });
    assert!(time.contains("`time`"), "{time}");
    let no_time = refused(PointLayout { time: 1, ..layout() });
    assert!(no_time.contains("TIMESTAMP"), "{no_time}");
    let outside = refused(PointLayout { time: 17, ..layout() });
    assert!(outside.contains("17"), "{outside}");
}

#[test]
fn every_kind_of_column_finds_a_type() {
    let test = TestStore::new();
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None, Some(3)])]);
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    dictionary.append_value("shared");
    let sum = Decimal128Array::from(vec![12_345]).with_precision_and_scale(20, 0).expect("a decimal");
    let price = Decimal128Array::from(vec![12_345]).with_precision_and_scale(20, 2).expect("a decimal");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(TimestampNanosecondArray::from(vec![NEW_YEAR + 1]))),
        ("tag_number", Arc::new(Int32Array::from(vec![-7]))),
        ("tag_flag", Arc::new(BooleanArray::from(vec![true]))),
        ("tag_day", Arc::new(TimestampMillisecondArray::from(vec![NEW_YEAR / 1_000_000]).with_timezone("+02:00"))),
        ("int", Arc::new(Int32Array::from(vec![i32::MIN]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![i64::MAX as u64]))),
        ("sum", Arc::new(sum)),
        ("price", Arc::new(price)),
        ("float", Arc::new(Float32Array::from(vec![0.5]))),
        ("flag", Arc::new(BooleanArray::from(vec![false]))),
        ("text", Arc::new(StringArray::from(vec!["ü \"x\""]))),
        ("shared", Arc::new(dictionary.finish())),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![b"\xff\x00"]))),
        ("list", Arc::new(list)),
        ("until", Arc::new(TimestampSecondArray::from(vec![1]))),
        ("nothing", Arc::new(NullArray::new(1))),
        ("none", Arc::new(Int64Array::from(vec![None]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("a batch");
    let named = |from: usize, to: usize| {
        (from..to).map(|column| (column, batch.schema().field(column).name().clone())).collect()
    };
    let layout = PointLayout { time: 0, tags: named(1, 4), fields: named(4, 17) };
    let summary = test.store.write("kinds", &batch, &layout).expect("writes");
    assert_eq!(summary.written, 1);
    assert_eq!(
        scan_all(&test.store, "kinds"),
        [
            "2024-01-01T00:00:00.000000001|-7|true|2024-01-01T00:00:00Z|-2147483648|9223372036854775807|12345|123.45|0.5|false|\
          ü \"x\"|shared|/wA=|[1,null,3]|1970-01-01T00:00:01Z|"
        ]
    );
    let info = test.store.measurement("kinds").expect("is there");
    let types: Vec<(&str, FieldType)> =
        info.fields.iter().map(|field| (field.name.as_str(), field.field_type)).collect();
    assert!(types.contains(&("price", FieldType::Float64)) && types.contains(&("none", FieldType::Int64)), "{types:?}");
    assert!(types.iter().all(|(name, _)| *name != "nothing"), "{types:?}");
    let nested = PointLayout { time: 0, tags: vec![(13, "list".into())], fields: named(4, 5) };
    assert!(matches!(test.store.write("kinds", &batch, &nested), Err(SeriesError::InvalidColumn { .. })));
}

#[test]
fn measurements_and_columns_with_odd_names() {
    let test = TestStore::new();
    let names = [
        "a b",
        "Bookings",
        "bookings",
        "../../etc/passwd",
        "quote\"s and 'ticks'`",
        "日本 🚕",
        "a\0b",
        "\n",
        "select",
        ".",
    ];
    for (index, name) in names.iter().enumerate() {
        let layout =
            PointLayout { tags: vec![(1, format!("{name} tag"))], fields: vec![(3, name.to_string())], ..layout() };
        let row = batch(&[(NEW_YEAR, Some(name), None, Some(index as i64), None)]);
        test.store.write(name, &row, &layout).expect("writes");
    }
    let test = test.reopen();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let found: Vec<String> = test.store.measurements().into_iter().map(|info| info.name).collect();
    assert_eq!(found, sorted);
    for (index, name) in names.iter().enumerate() {
        assert_eq!(scan_all(&test.store, name), [format!("2024-01-01T00:00:00|{name}|{index}")]);
    }
    let row = batch(&[(NEW_YEAR, None, None, Some(1), None)]);
    assert!(matches!(test.store.write("", &row, &layout()), Err(SeriesError::InvalidName { .. })));
    assert!(matches!(test.store.write(&"x".repeat(256), &row, &layout()), Err(SeriesError::InvalidName { .. })));
}

#[test]
fn what_is_known_of_a_measurement() {
    let test = TestStore::new();
    assert_eq!(test.store.measurements(), []);
    assert!(matches!(
        test.store.scan("m", &series::ScanRequest::default()).err(),
        Some(SeriesError::UnknownMeasurement { .. })
    ));
    write(&test.store, "m", &[(0, Some("a"), None, Some(1), None), (1, Some("b"), None, Some(1), None)]);
    test.clock.advance(SECOND);
    write(&test.store, "m", &[(2, Some("a"), None, Some(1), None)]);
    let before = test.store.measurement("m").expect("is there");
    assert_eq!((before.points_estimate, before.series, before.sequence), (3, 2, 2));
    assert_eq!(before.last_write_nanos, Some(NEW_YEAR + SECOND));
    assert_eq!(before.tags, ["city", "kind"]);
    let test = test.reopen();
    assert_eq!(test.store.measurement("m"), Some(before));
}
