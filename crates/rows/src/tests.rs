use super::*;
use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::datatypes::*;
use std::sync::Arc;

/// One column called `c`, one JSON value a row.
fn check(array: ArrayRef, expected: &[&str]) {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap();
    let mut out = Vec::new();
    write_rows(&batch, &mut out).unwrap();
    let lines: Vec<String> = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    let expected: Vec<String> = expected.iter().map(|value| format!("{{\"c\":{value}}}")).collect();
    assert_eq!(lines, expected);
    for line in &lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn numbers() {
    check(Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), &["-9223372036854775808", "null"]);
    check(Arc::new(UInt64Array::from(vec![u64::MAX])), &["18446744073709551615"]);
    check(
        Arc::new(Float64Array::from(vec![1.0, 0.1, 1e300, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        &["1.0", "0.1", "1e+300", "-0.0", "\"NaN\"", "\"Infinity\"", "\"-Infinity\""],
    );
    check(Arc::new(Float32Array::from(vec![0.1_f32])), &["0.1"]);
    let id =
        Decimal128Array::from(vec![Some(18_446_744_073_709_551_615_i128)]).with_precision_and_scale(20, 0).unwrap();
    check(Arc::new(id), &["18446744073709551615"]);
    let price = Decimal128Array::from(vec![1_250, -5]).with_precision_and_scale(10, 2).unwrap();
    check(Arc::new(price), &["12.50", "-0.05"]);
}

#[test]
fn text_and_bytes() {
    check(Arc::new(StringArray::from(vec!["a\"b\\\n\u{1}é"])), &["\"a\\\"b\\\\\\n\\u0001é\""]);
    check(
        Arc::new(StringViewArray::from(vec![Some("a view longer than twelve"), None])),
        &["\"a view longer than twelve\"", "null"],
    );
    check(Arc::new(BinaryArray::from(vec![&b""[..], b"\x00\xff", b"abc"])), &["\"\"", "\"AP8=\"", "\"YWJj\""]);
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("x")].into_iter().collect();
    check(Arc::new(words), &["\"x\"", "null", "\"x\""]);
    let nothing: DictionaryArray<Int32Type> = vec![None::<&str>].into_iter().collect();
    check(Arc::new(nothing), &["null"]);
}

#[test]
fn points_in_time() {
    check(
        Arc::new(TimestampMillisecondArray::from(vec![0, 1_500, -1, 253_402_300_799_999, 253_402_300_800_000])),
        &[
            "\"1970-01-01T00:00:00Z\"",
            "\"1970-01-01T00:00:01.500Z\"",
            "\"1969-12-31T23:59:59.999Z\"",
            "\"9999-12-31T23:59:59.999Z\"",
            "\"+10000-01-01T00:00:00Z\"",
        ],
    );
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![1_356_998_400_000_001]).with_timezone("+07:00")),
        &["\"2013-01-01T00:00:00.000001Z\""],
    );
    check(
        Arc::new(TimestampNanosecondArray::from(vec![951_782_400_000_000_001])),
        &["\"2000-02-29T00:00:00.000000001Z\""],
    );
    check(Arc::new(Date32Array::from(vec![0, -1, 11_016])), &["\"1970-01-01\"", "\"1969-12-31\"", "\"2000-02-29\""]);
    check(Arc::new(Time64MicrosecondArray::from(vec![86_399_000_001])), &["\"23:59:59.000001\""]);
}

#[test]
fn spans_of_time() {
    check(Arc::new(DurationMillisecondArray::from(vec![1_500, -1_500, 0])), &["\"1.500s\"", "\"-1.500s\"", "\"0s\""]);
    check(
        Arc::new(IntervalMonthDayNanoArray::from(vec![
            IntervalMonthDayNano::new(1, -2, 3_500_000_000),
            IntervalMonthDayNano::new(0, 0, 0),
        ])),
        &["\"P1M-2DT3.500S\"", "\"PT0S\""],
    );
}

#[test]
fn nested() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    check(Arc::new(list.clone()), &["[1,null]", "null", "[]"]);
    check(Arc::new(list.slice(2, 1)), &["[]"]);

    let fields =
        Fields::from(vec![Field::new("lat", DataType::Float64, true), Field::new("q\"", DataType::Utf8, true)]);
    let rows = StructArray::new(
        fields,
        vec![
            Arc::new(Float64Array::from(vec![Some(-6.2), None, None])),
            Arc::new(StringArray::from(vec![Some("x"), None, Some("hidden")])),
        ],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    check(Arc::new(rows), &["{\"lat\":-6.2,\"q\\\"\":\"x\"}", "{\"lat\":null,\"q\\\"\":null}", "null"]);

    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_value("seven");
    map.append(true).unwrap();
    map.append(true).unwrap();
    check(Arc::new(map.finish()), &["{\"7\":\"seven\"}", "{}"]);
}

#[test]
fn a_type_without_json_form_is_named() {
    let array = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2]), &StringArray::from(vec!["a"])).unwrap();
    let batch = RecordBatch::try_from_iter([("runs", Arc::new(array) as ArrayRef)]).unwrap();
    let error = write_rows(&batch, &mut Vec::new()).unwrap_err();
    assert_eq!(error.column, "runs");
}
