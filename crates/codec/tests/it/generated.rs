//! Message types that are made from columns, and records that are shown though they are broken.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use codec::{
    CompileError, DecodeOptions, DecodeProgram, EncodeProgram, Projection, decode_as_far_as_possible,
    message_from_columns,
};
use schema::SchemaSet;

use crate::message;

fn columns() -> Schema {
    let map_entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Struct(Fields::from(vec![Field::new("x", DataType::Float64, false)])), true),
    ]);
    Schema::new(vec![
        Field::new("tag_city_id", DataType::Int32, false),
        Field::new("tag_s2id", DataType::Utf8View, true),
        Field::new("num_of_bookings", DataType::Int64, false),
        Field::new("large", DataType::Decimal128(20, 0), true),
        Field::new("window_timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("drivers", DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))), true),
        Field::new(
            "place",
            DataType::Struct(Fields::from(vec![
                Field::new("lat", DataType::Float64, true),
                Field::new(
                    "times",
                    DataType::List(Arc::new(Field::new(
                        "item",
                        DataType::Timestamp(TimeUnit::Microsecond, None),
                        true,
                    ))),
                    true,
                ),
            ])),
            true,
        ),
        Field::new(
            "by_name",
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(map_entries), false)), false),
            true,
        ),
        Field::new("status", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true),
        Field::new("raw", DataType::BinaryView, false),
    ])
}

#[test]
fn columns_become_a_message_type_that_takes_them() {
    let file = message_from_columns("city.jakarta.Surge", &columns()).expect("has counterparts");
    assert_eq!(file.name(), "city/jakarta/Surge.proto");
    let set = SchemaSet::empty().with_file(file).expect("a valid file");
    let summary = set.describe("city.jakarta.Surge").expect("is there");
    let lines: Vec<String> = summary
        .fields
        .iter()
        .map(|field| {
            format!("{} {} {} = {}", field.label.as_str(), field.type_name, field.name, field.number).trim().to_owned()
        })
        .collect();
    let expected = [
        "int32 tag_city_id = 1",
        "optional string tag_s2id = 2",
        "int64 num_of_bookings = 3",
        "optional uint64 large = 4",
        "optional google.protobuf.Timestamp window_timestamp = 5",
        "repeated string drivers = 6",
        "optional city.jakarta.Surge.Place place = 7",
        "map map<string, city.jakarta.Surge.ByNameValue> by_name = 8",
        "optional string status = 9",
        "bytes raw = 10",
    ];
    assert_eq!(lines, expected);
    let message = set.message("city.jakarta.Surge").expect("is there");
    EncodeProgram::compile(&message, &columns()).expect("every column fits");
    let program = DecodeProgram::compile(&message, &Projection::all(), &DecodeOptions::default()).expect("compiles");
    assert_eq!(program.schema().fields().len(), columns().fields().len());
}

#[test]
fn columns_without_counterpart_are_refused() {
    let refused = |name: &str, kind: DataType| {
        message_from_columns("t.M", &Schema::new(vec![Field::new(name, kind, true)]))
            .expect_err("cannot be")
            .to_string()
    };
    assert_eq!(
        refused("a b", DataType::Int32),
        "`a b` cannot be the name of a field: use letters, digits and `_`, not beginning with a digit"
    );
    let time = "column `at` of type Time64(ns) has no protobuf counterpart: cast it or leave it out";
    assert_eq!(refused("at", DataType::Time64(TimeUnit::Nanosecond)), time);
    let same = Schema::new(vec![Field::new("a_b", DataType::Int32, true), Field::new("aB", DataType::Int32, true)]);
    assert!(matches!(message_from_columns("t.M", &same), Err(CompileError::DuplicateField { .. })));
    assert!(matches!(message_from_columns("t.3", &same), Err(CompileError::BadName { .. })));
}

#[test]
fn a_broken_record_is_shown_up_to_the_fault() {
    let source = r#"syntax = "proto3"; package t; enum E { ZERO = 0; ONE = 1; }
        message Inner { string b = 2; } message M { int32 a = 1; Inner inner = 2; E e = 3; repeated int32 l = 4; string s = 5; }"#;
    let descriptor = message(source, "t.M");
    let record = [
        0x08, 0x05, 0x12, 0x03, 0x12, 0x01, b'x', 0x18, 0x01, 0x22, 2, 1, 2, 0x2a, 2, b'a', 0xff, 0x50, 9, 0x2a, 9,
        b'z',
    ];
    let expected = "a: 5\ninner {\n  b: \"x\"\n}\ne: ONE\nl: [1, 2]\ns: \"a\u{fffd}\" (not valid UTF-8 at its byte 1)\n10: 9\ns: ?\n\
                    ! a length points behind the end of its message at byte 20 of 22\n";
    assert_eq!(decode_as_far_as_possible(&descriptor, &record), expected);
    assert_eq!(decode_as_far_as_possible(&descriptor, &record[..2]), "a: 5\n");
}
