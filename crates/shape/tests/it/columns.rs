use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::*;
use arrow::datatypes::*;
use serde_json::{Value, json};
use shape::{ColumnSource, ColumnSpec, ColumnType, Shape, ShapeError, ShapeSpec, Shaped, TimeWindow};

use crate::booking;

fn column(name: &str, source: ColumnSource) -> ColumnSpec {
    ColumnSpec { name: (!name.is_empty()).then(|| name.to_owned()), source }
}

fn field(path: &str) -> ColumnSource {
    ColumnSource::Field(path.to_owned())
}

fn expression(text: &str) -> ColumnSource {
    ColumnSource::Expression { text: text.to_owned(), declared: None }
}

fn hash(field: &str, key: Option<&str>) -> ColumnSource {
    ColumnSource::Hash { field: field.to_owned(), key: key.map(str::to_owned) }
}

fn compile(spec: &ShapeSpec) -> Result<Shape, ShapeError> {
    Shape::compile(spec, booking::batch().schema_ref())
}

/// Applied to a batch that has only the columns in use.
fn apply(spec: &ShapeSpec) -> Shaped {
    let shape = compile(spec).unwrap();
    let batch = booking::batch();
    let mut wanted: Vec<usize> =
        shape.fields_used().iter().map(|name| batch.schema_ref().index_of(name).unwrap()).collect();
    wanted.reverse();
    let shaped = shape.apply(&batch.project(&wanted).unwrap()).unwrap();
    assert_eq!(shaped.rows.schema(), shape.schema());
    assert_eq!(shaped.rows.num_rows(), shaped.input_rows.len());
    let mut all: Vec<usize> = shaped.input_rows.iter().chain(&shaped.filtered).copied().collect();
    all.extend(shaped.failed.iter().map(|(row, _)| row));
    all.sort();
    assert_eq!(all, [0, 1, 2], "every row is in one list");
    shaped
}

fn json_of(shaped: &Shaped) -> Vec<Value> {
    let mut text = Vec::new();
    rows::write_rows(&shaped.rows, &mut text).unwrap();
    String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn columns(columns: Vec<ColumnSpec>) -> ShapeSpec {
    ShapeSpec { columns: Some(columns), ..ShapeSpec::default() }
}

#[test]
fn columns_are_picked_renamed_and_derived() {
    let shaped = apply(&columns(vec![
        column("", field("customer.id")),
        column("customer_name", field("customer.name")),
        column("channel", ColumnSource::Constant(json!("web"))),
        column("version", ColumnSource::Constant(json!(3))),
        column("gross", expression("price * 1.1")),
        column("is_dear", expression("price > 10.0")),
        column("label", expression(r#"status + "/" + string(count)"#)),
        column("first_tag", expression(r#"size(tags) > 0 ? tags[0] : "none""#)),
        column("next", expression(r#"event_timestamp == null ? null : event_timestamp + duration("1s")"#)),
        column("the_note", expression("note")),
        column("items", field("items")),
    ]));
    assert_eq!(
        json_of(&shaped),
        [
            json!({"id": 7, "customer_name": "Ana \"A\" Putri", "channel": "web", "version": 3, "gross": 13.750000000000002,
                "is_dear": true, "label": "CANCELLED/3", "first_tag": "new", "next": "2026-01-01T00:00:01.500Z",
                "the_note": "by\nphone", "items": [{"sku": "rice", "count": 2, "note": "brown"}, {"sku": "tea", "count": 1, "note": null}]}),
            json!({"id": null, "customer_name": null, "channel": "web", "version": 3, "gross": 0.0, "is_dear": false,
                "label": "STATUS_UNSPECIFIED/0", "first_tag": "none", "next": null, "the_note": null, "items": []}),
            json!({"id": 9, "customer_name": "Budi/Ü & Co", "channel": "web", "version": 3, "gross": 9.9,
                "is_dear": false, "label": "DONE/1", "first_tag": "old", "next": "2023-11-14T22:13:21Z", "the_note": "",
                "items": [{"sku": "salt", "count": 5, "note": null}]}),
        ]
    );
}

#[test]
fn hashes_are_sha_256_and_hmac() {
    let shaped = apply(&columns(vec![
        column("plain", hash("order_id", None)),
        column("keyed", hash("customer.name", Some("key"))),
        column("number", hash("amount", None)),
        column("bytes", hash("token", None)),
    ]));
    let rows = json_of(&shaped);
    assert_eq!(rows[0]["plain"], "d79ee69847a98813670f491ee11fad876f43ce2f559d9443388cb88e02be15aa");
    assert_eq!(rows[0]["keyed"], "e8b6df3a31560708c0b447406070e773a5069ea62848f08064633607ba6afaa3");
    assert_eq!(rows[0]["number"], "b34a1c30a715f6bf8b7243afa7fab883ce3612b7231716bdcbbdc1982e1aed29");
    assert_eq!(rows[2]["bytes"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(rows[1]["keyed"], Value::Null);
}

#[test]
fn a_row_whose_column_fails_is_left_out_with_the_reason() {
    let shaped = apply(&columns(vec![column("share", expression("10 / count")), column("", field("order_id"))]));
    assert_eq!(shaped.input_rows, [0, 2]);
    assert_eq!(json_of(&shaped), [json!({"share": 3, "order_id": "o/1"}), json!({"share": 10, "order_id": "o 3"})]);
    assert!(shaped.failed[0].0 == 1 && shaped.failed[0].1.starts_with("`share`: "), "{:?}", shaped.failed);
}

#[test]
fn a_filter_goes_before_the_columns() {
    let spec =
        ShapeSpec { filter: Some("count != 0".into()), ..columns(vec![column("share", expression("10 / count"))]) };
    let shaped = apply(&spec);
    assert_eq!((shaped.input_rows.as_slice(), shaped.filtered.as_slice()), (&[0, 2][..], &[1][..]));
    assert!(shaped.failed.is_empty());
    assert_eq!(compile(&spec).unwrap().fields_used(), ["count"]);
}

#[test]
fn without_columns_every_field_stays_but_no_metadata() {
    let batch = booking::batch();
    let mut fields: Vec<FieldRef> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_offset", DataType::Int64, false)));
    fields.push(Arc::new(Field::new("_partition", DataType::Int32, false)));
    let input = Arc::new(Schema::new(fields));
    let spec = ShapeSpec { filter: Some("_offset > 5".into()), ..ShapeSpec::default() };
    let shape = Shape::compile(&spec, &input).unwrap();
    assert_eq!(shape.schema(), batch.schema());
    let used = shape.fields_used();
    assert!(used.contains(&"_offset".to_owned()) && !used.contains(&"_partition".to_owned()), "{used:?}");
    let mut arrays = batch.columns().to_vec();
    arrays.push(Arc::new(Int64Array::from(vec![5, 6, 7])));
    let narrow = Arc::new(input.project(&(0..=batch.num_columns()).collect::<Vec<_>>()).unwrap());
    let shaped = shape.apply(&RecordBatch::try_new(narrow, arrays).unwrap()).unwrap();
    assert_eq!((shaped.input_rows, shaped.filtered), (vec![1, 2], vec![0]));
    assert_eq!(shaped.rows.schema(), batch.schema());
    let listed = columns(vec![column("at", field("_offset"))]);
    assert_eq!(Shape::compile(&listed, &input).unwrap().schema().field(0).name(), "at");
}

#[test]
fn rows_outside_of_the_window_are_filtered_and_those_without_time_fail() {
    let window = |past, future| ShapeSpec {
        time_window: Some(TimeWindow { field: "event_timestamp".into(), past, future }),
        ..ShapeSpec::default()
    };
    let hour = Duration::from_secs(3_600);
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let batch = booking::batch();
    for (past, future, now, kept) in [
        (hour, hour, 1_767_225_600, vec![0]),
        (hour, Duration::ZERO, 1_767_225_600, vec![]),
        (hour, Duration::ZERO, 1_767_225_600 + 3_600, vec![0]),
        (hour, Duration::ZERO, 1_767_225_600 + 3_601, vec![]),
        (Duration::MAX, Duration::MAX, 0, vec![0, 2]),
    ] {
        let shape = compile(&window(past, future)).unwrap();
        let shaped = shape.apply_at(&batch, at(now)).unwrap();
        assert_eq!(shaped.input_rows, kept, "{past:?} {future:?} {now}");
        assert_eq!(shaped.failed, [(1, "it has no time: `event_timestamp` is NULL".to_owned())]);
    }
    let mut wrong = window(hour, hour);
    wrong.time_window.as_mut().unwrap().field = "order_id".into();
    assert_eq!(compile(&wrong).unwrap_err().place, "timeWindow.field");
}

#[test]
fn what_is_wrong_with_a_column_is_said_with_its_place() {
    let check = |specs: Vec<ColumnSpec>, place: &str, detail: &str| {
        let error = compile(&columns(specs)).unwrap_err();
        assert!(error.place == place && error.detail.contains(detail) && !error.hint.is_empty(), "{error:?}");
    };
    check(vec![column("", field("custommer.id"))], "columns[0].field", "no field `custommer`");
    check(vec![column("", field("order_id")), column("", field("customer.id.x"))], "columns[1].field", "is no message");
    check(vec![column("", field("customer.id")), column("id", field("count"))], "columns[1]", "columns[0]");
    check(vec![column("", expression("price"))], "columns[0]", "no name");
    check(vec![column("x", expression("prise"))], "columns[0].expression", "no field `prise`");
    check(vec![column("x", expression("dyn(price)"))], "columns[0].type", "not known");
    check(vec![column("x", expression("items"))], "columns[0].type", "cannot be a column");
    check(vec![column("x", ColumnSource::Constant(json!([1])))], "columns[0].constant", "a constant is");
    check(vec![column("x", ColumnSource::Constant(json!(u64::MAX)))], "columns[0].constant", "too large");
    check(vec![column("x", hash("emial", None))], "columns[0].hash", "no field");
    check(vec![column("x", hash("order_id", Some("")))], "columns[0].secret", "empty");
    check(vec![column(&"x".repeat(300), field("count"))], "columns[0].as", "255");
    check(vec![column("a\nb", field("count"))], "columns[0].as", "control");
    check(vec![], "columns", "no columns");
    let many = (0..1_001).map(|index| column(&format!("c{index}"), field("count"))).collect();
    check(many, "columns", "1001");
    let declared = ColumnSource::Expression { text: "price".into(), declared: Some(ColumnType::String) };
    check(vec![column("x", declared)], "columns[0].type", "is a double");
}

#[test]
fn a_declared_type_is_held_for_every_row() {
    let spec = |text: &str, declared| {
        columns(vec![column("x", ColumnSource::Expression { text: text.into(), declared: Some(declared) })])
    };
    let shaped = apply(&spec("count > 0 ? dyn(count) : dyn('none')", ColumnType::Int));
    assert_eq!(shaped.input_rows, [0, 2]);
    assert!(shaped.failed[0].1.contains("gives string for this row"), "{:?}", shaped.failed);
    let shaped = apply(&spec("count", ColumnType::Double));
    assert_eq!(json_of(&shaped)[0], json!({"x": 3.0}));
    let shaped = apply(&spec("dyn(number)", ColumnType::Uint));
    assert_eq!(json_of(&shaped)[0], json!({"x": u64::MAX}));
}
