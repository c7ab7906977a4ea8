use super::*;
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::datatypes::Int32Type;
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// `t` is the time, `tag_...` are tags, the rest are fields.
fn encoder(measurement: &str, batch: &RecordBatch, of_records: Option<TopicTag>) -> Result<LineEncoder, LayoutError> {
    let schema = batch.schema();
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    for (index, field) in schema.fields().iter().enumerate().filter(|(_, field)| field.name() != "t") {
        let list = if field.name().starts_with("tag_") { &mut tags } else { &mut fields };
        list.push((index, field.name().clone()));
    }
    let layout = PointLayout { time: schema.index_of("t").unwrap(), tags, fields };
    LineEncoder::new(measurement, layout, &schema, Dialect::Influx, of_records)
}

fn times(times: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(times))
}

fn lines(encoded: &Encoded) -> Vec<String> {
    (0..encoded.records.len()).map(|line| String::from_utf8(encoded.records.record(line).to_vec()).unwrap()).collect()
}

#[test]
fn rows_become_lines_of_all_types() {
    let batch = batch(vec![
        ("tag_z", Arc::new(StringArray::from(vec![Some("a b"), None, Some("")])) as ArrayRef),
        ("tag_a", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x,y"), Some("k=v"), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(1.0), Some(-2.5e-7), None]))),
        ("i", Arc::new(Int64Array::from(vec![Some(-3), None, Some(i64::MAX)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("s", Arc::new(StringArray::from(vec![Some("say \"hi\" \\ now\nagain"), None, None]))),
        ("t", times(vec![Some(1_700_000_000_000), Some(-1), Some(0)])),
    ]);
    let encoder = encoder("my m,x", &batch, None).unwrap();
    assert_eq!(encoder.precision(), Precision::Milliseconds);
    let encoded = encoder.encode(&batch, None).unwrap();
    assert_eq!(
        lines(&encoded),
        [
            "my\\ m\\,x,tag_a=x\\,y,tag_z=a\\ b f=1.0,i=-3i,b=t,s=\"say \\\"hi\\\" \\\\ now\nagain\" 1700000000000\n",
            "my\\ m\\,x,tag_a=k\\=v f=-2.5e-7,b=f -1\n",
            "my\\ m\\,x i=9223372036854775807i 0\n",
        ]
    );
    assert_eq!((encoded.rows, encoded.refused.len()), (vec![0, 1, 2], 0));
}

#[test]
fn what_cannot_be_said_is_refused_with_its_reason_and_the_rest_is_written() {
    let far = i64::MAX / 1_000;
    let batch = batch(vec![
        ("tag_a", Arc::new(StringArray::from(vec!["ok", "a\nb", "a\\", "ok", "ok", "ok", "ok", "ok"])) as ArrayRef),
        (
            "f",
            Arc::new(Float64Array::from(vec![
                Some(1.0),
                Some(1.0),
                Some(1.0),
                Some(f64::NAN),
                Some(f64::NEG_INFINITY),
                None,
                Some(1.0),
                Some(1.0),
            ])),
        ),
        ("t", times(vec![Some(1), Some(1), Some(1), Some(1), Some(1), Some(1), None, Some(far)])),
    ]);
    let encoded = encoder("m", &batch, None).unwrap().encode(&batch, None).unwrap();
    assert_eq!(lines(&encoded), ["m,tag_a=ok f=1.0 1\n"]);
    assert_eq!(encoded.rows, [0]);
    let reasons: Vec<&str> = encoded.refused.iter().map(|(_, reason)| reason.as_str()).collect();
    for (reason, part) in reasons.iter().zip([
        "`tag_a` has a line feed",
        "`tag_a` has a backslash before",
        "`f` is NaN",
        "`f` is -inf",
        "every field is NULL",
        "the time is NULL",
        "between the years",
    ]) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(encoded.refused.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn integers_beyond_the_sign_are_refused_not_wrapped() {
    let values = UInt64Array::from(vec![u64::MAX, 7]);
    let batch = batch(vec![("i", Arc::new(values) as ArrayRef), ("t", times(vec![Some(1), Some(1)]))]);
    let encoded = encoder("m", &batch, None).unwrap().encode(&batch, None).unwrap();
    assert_eq!(lines(&encoded), ["m i=7i 1\n"]);
    assert!(encoded.refused[0].1.contains("beyond 64 bits"));
}

#[test]
fn records_of_one_millisecond_are_points_of_their_own() {
    let batch =
        batch(vec![("i", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef), ("t", times(vec![Some(5), Some(5)]))]);
    let encoder = encoder("m", &batch, Some(TopicTag::Yes)).unwrap();
    let origin = RowOrigin { topic: "bookings", partition: 3, offsets: &[1_000_001, 2], row_names: &[None, None] };
    let encoded = encoder.encode(&batch, Some(origin)).unwrap();
    assert_eq!(
        lines(&encoded),
        ["m,_partition=3,_topic=bookings i=1i 5000001\n", "m,_partition=3,_topic=bookings i=2i 5000002\n"]
    );
    assert_eq!(encoder.precision(), Precision::Nanoseconds);
    assert!(encoder.encode(&batch, None).is_err());
    // Two rows of one record.
    let origin = RowOrigin { offsets: &[7, 7], row_names: &[None, Some("1".to_owned())], ..origin };
    assert_eq!(
        lines(&encoder.encode(&batch, Some(origin)).unwrap()),
        ["m,_partition=3,_topic=bookings i=1i 5000007\n", "m,_partition=3,_topic=bookings,_row=1 i=2i 5000007\n"]
    );
}

#[test]
fn names_that_cannot_be_said_are_refused_before_there_are_rows() {
    let one =
        |name: &str| batch(vec![(name, Arc::new(Int64Array::from(vec![1])) as ArrayRef), ("t", times(vec![Some(5)]))]);
    for (measurement, field, detail) in [
        ("", "i", "the measurement `` is empty"),
        ("m\\", "i", "the measurement `m\\\\` has a backslash before"),
        ("#m", "i", "begins with `#`"),
        ("m", "a\\,b", "has a backslash before"),
        ("\tm", "i", "the measurement `\\tm` begins with a tab"),
        ("\0m", "i", "begins with a tab or a zero byte"),
        ("m", "\ta", "the field `\\ta` begins with a tab"),
        ("m", "a\nb", "the field `a\\nb` has a line feed"),
    ] {
        let error = encoder(measurement, &one(field), None).unwrap_err();
        assert!(error.detail.contains(detail), "{error}");
    }
    assert_eq!(
        lines(&encoder("m", &one("a b=c,d"), None).unwrap().encode(&one("a b=c,d"), None).unwrap()),
        ["m a\\ b\\=c\\,d=1i 5\n"]
    );
}

#[test]
fn where_a_backslash_escapes_itself_everything_can_be_said() {
    let batch = batch(vec![
        ("tag_a", Arc::new(StringArray::from(vec!["a\\", "\\,\\", "plain"])) as ArrayRef),
        ("i", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("t", times(vec![Some(1), Some(1), Some(1)])),
    ]);
    let layout = PointLayout { time: 2, tags: vec![(0, "a".to_owned())], fields: vec![(1, "i".to_owned())] };
    for dialect in [Dialect::Influx3, Dialect::Numbers] {
        let encoder = LineEncoder::new("m", layout.clone(), &batch.schema(), dialect, None).unwrap();
        let encoded = encoder.encode(&batch, None).unwrap();
        assert_eq!(lines(&encoded), ["m,a=a\\\\ i=1i 1\n", "m,a=\\\\\\,\\\\ i=2i 1\n", "m,a=plain i=3i 1\n"]);
    }
}
