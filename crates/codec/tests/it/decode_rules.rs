//! Each rule of reading, on bytes written by hand.

use codec::{DecodeErrorKind, DecodeOptions, DecodeProgram, Decoded, Limits, NULL_SPAN, Projection};

use crate::{message, slab, tree};

const PROTO3: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
enum Color { BLACK = 0; RED = 1; }
message Inner { int32 a = 1; string b = 2; repeated int32 c = 3; }
message M {
  int32 number = 1;
  string text = 2;
  Inner inner = 3;
  repeated int32 list = 4;
  map<string, int32> map = 5;
  oneof choice { int32 left = 6; string right = 7; Inner middle = 8; }
  Color color = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Int32Value wrapped = 11;
  google.protobuf.Struct json = 12;
  optional int32 maybe = 13;
  double real = 14;
  M again = 15;
  repeated Inner inners = 16;
  uint64 large = 17;
  google.protobuf.Value value = 18;
  repeated google.protobuf.Timestamp times = 19;
}
"#;

const PROTO2: &str = r#"
syntax = "proto2";
package t;
enum Color { BLACK = 0; RED = 1; }
message M {
  optional int32 number = 1 [default = -7];
  optional string text = 2 [default = "a rather long default text"];
  optional Color color = 3 [default = RED];
  repeated Color colors = 4;
  map<int32, Color> by_color = 5;
  optional group Part = 6 { optional int32 a = 1; optional Color shade = 2; }
  oneof choice { Color chosen = 7; string other = 8; }
  optional int32 plain = 9;
  repeated Color packed = 10 [packed = true];
}
"#;

fn options() -> DecodeOptions {
    DecodeOptions::default()
}

fn decode_with(source: &str, paths: &[&str], options: &DecodeOptions, records: &[&[u8]]) -> Decoded {
    let records: Vec<Vec<u8>> = records.iter().map(|record| record.to_vec()).collect();
    let (data, spans) = slab(&records);
    let program = DecodeProgram::compile(&message(source, "t.M"), &Projection::paths(paths), options)
        .unwrap_or_else(|e| panic!("{e}"));
    program.decoder().decode(&data, &spans)
}

fn decode(source: &str, paths: &[&str], records: &[&[u8]]) -> Decoded {
    decode_with(source, paths, &options(), records)
}

/// One good record as text.
fn row(source: &str, paths: &[&str], record: &[u8]) -> String {
    // With bytes behind it and at the end of the slab: both loops see it.
    let decoded = decode(source, paths, &[record, &[0x0a; 0], record]);
    assert!(decoded.errors.is_empty(), "{:?}", decoded.errors);
    let padded = decode(source, paths, &[record, &[0x08, 0x01].repeat(40)]);
    let text = tree::row(&decoded.batch, 0).to_string();
    assert_eq!(text, tree::row(&decoded.batch, 2).to_string());
    assert_eq!(text, tree::row(&padded.batch, 0).to_string());
    text
}

/// The error of one broken record between two good ones that stay as they are.
fn error(source: &str, paths: &[&str], record: &[u8]) -> DecodeErrorKind {
    let alone = decode(source, paths, &[&[]]);
    let decoded = decode(source, paths, &[&[], record, &[]]);
    assert_eq!(decoded.rows, Some(vec![0, 2]));
    assert_eq!(decoded.errors.len(), 1);
    assert_eq!(decoded.errors[0].index, 1);
    for good in 0..2 {
        assert_eq!(tree::row(&decoded.batch, good), tree::row(&alone.batch, 0));
    }
    decoded.errors[0].error.kind
}

#[test]
fn the_last_scalar_wins() {
    assert_eq!(row(PROTO3, &["number"], &[0x08, 1, 0x08, 2]), "(number: 2)");
    assert_eq!(row(PROTO3, &["text"], &[0x12, 1, b'a', 0x12, 0]), "(text: \"\")");
}

#[test]
fn messages_that_repeat_are_merged() {
    let record = [0x1a, 2, 0x08, 1, 0x1a, 3, 0x12, 1, b'x', 0x1a, 2, 0x18, 5, 0x1a, 2, 0x18, 6];
    assert_eq!(row(PROTO3, &["inner"], &record), "(inner: (a: 1, b: \"x\", c: [5, 6]))");
    assert_eq!(row(PROTO3, &["inner"], &[]), "(inner: NULL)");
    assert_eq!(row(PROTO3, &["inner"], &[0x1a, 0]), "(inner: (a: 0, b: \"\", c: []))");
}

#[test]
fn packed_and_unpacked_are_both_taken() {
    assert_eq!(row(PROTO3, &["list"], &[0x20, 1, 0x22, 3, 2, 0x80, 1, 0x20, 3]), "(list: [1, 2, 128, 3])");
    assert_eq!(
        row(PROTO2, &["colors", "packed"], &[0x22, 2, 1, 0, 0x50, 1]),
        "(colors: [\"RED\", \"BLACK\"], packed: [\"RED\"])"
    );
}

#[test]
fn unknown_fields_and_wrong_wire_types_are_skipped() {
    // Field 100 of every wire type, a group in a group among them; then `number` as text and as a 64-bit number.
    let record = [
        0xa0, 6, 1, 0xa1, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 6, 2, 9, 9, 0xa5, 6, 1, 2, 3, 4, //
        0xa3, 6, 0x0b, 0x08, 1, 0x0c, 0xa4, 6, 0x0a, 1, 7, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 5,
    ];
    assert_eq!(row(PROTO3, &["number"], &record), "(number: 5)");
}

#[test]
fn unknown_fields_can_be_kept() {
    let options = DecodeOptions { keep_unknown: true, ..options() };
    let inner_unknown = [0x1a, 5, 0x08, 1, 0xa0, 6, 1];
    let record = [&inner_unknown[..], &[0xa0, 6, 7, 0x10, 3]].concat();
    let decoded = decode_with(PROTO3, &["inner"], &options, &[&[], &record, &[0x08, 1]]);
    let rows: Vec<String> = (0..3).map(|index| tree::row(&decoded.batch, index).to_string()).collect();
    assert_eq!(rows[0], "(inner: NULL, _unknown: NULL)");
    // `text` with the wire type of a number is unknown too; `number` is known though it is not selected.
    let expected = "(inner: (a: 1, b: \"\", c: [], _unknown: opaque[160, 6, 1]), _unknown: opaque[160, 6, 7, 16, 3])";
    assert_eq!(rows[1], expected);
    assert_eq!(rows[2], "(inner: NULL, _unknown: NULL)");
}

#[test]
fn the_last_member_of_a_oneof_unsets_the_others() {
    let all = ["left", "right", "middle"];
    assert_eq!(row(PROTO3, &all, &[0x30, 1, 0x3a, 1, b'x']), "(left: NULL, right: \"x\", middle: NULL)");
    let message_again = [0x42, 2, 0x08, 1, 0x30, 0, 0x42, 3, 0x12, 1, b'y'];
    assert_eq!(row(PROTO3, &all, &message_again), "(left: NULL, right: NULL, middle: (a: 0, b: \"y\", c: []))");
    let merged = [0x42, 4, 0x08, 1, 0x18, 9, 0x42, 3, 0x12, 1, b'y'];
    assert_eq!(row(PROTO3, &all, &merged), "(left: NULL, right: NULL, middle: (a: 1, b: \"y\", c: [9]))");
    // A member that is not selected counts all the same.
    assert_eq!(row(PROTO3, &["left"], &[0x30, 1, 0x3a, 1, b'x']), "(left: NULL)");
    assert_eq!(row(PROTO3, &["left"], &[0x3a, 1, b'x', 0x30, 1]), "(left: 1)");
}

#[test]
fn the_last_entry_of_a_key_wins() {
    let entry = |key: u8, value: u8| vec![0x2a, 5, 0x0a, 1, key, 0x10, value];
    let record = [entry(b'a', 1), entry(b'b', 2), entry(b'a', 3)].concat();
    assert_eq!(row(PROTO3, &["map"], &record), "(map: {\"a\" => 3, \"b\" => 2})");
    // Key and value in any order, and without one of them.
    assert_eq!(row(PROTO3, &["map"], &[0x2a, 5, 0x10, 4, 0x0a, 1, b'z']), "(map: {\"z\" => 4})");
    assert_eq!(row(PROTO3, &["map"], &[0x2a, 0]), "(map: {\"\" => 0})");
}

#[test]
fn absence_is_seen_where_it_has_a_meaning() {
    assert_eq!(row(PROTO3, &["number", "maybe", "wrapped"], &[]), "(number: 0, wrapped: NULL, maybe: NULL)");
    assert_eq!(row(PROTO3, &["maybe", "wrapped"], &[0x68, 0, 0x5a, 0]), "(wrapped: 0, maybe: 0)");
    assert_eq!(row(PROTO3, &["wrapped"], &[0x5a, 2, 0x08, 5, 0x5a, 0]), "(wrapped: 5)");
}

#[test]
fn declared_defaults_stand_for_absent_fields() {
    let paths = ["number", "text", "color", "plain"];
    let expected = "(number: -7, text: \"a rather long default text\", color: \"RED\", plain: NULL)";
    assert_eq!(row(PROTO2, &paths, &[]), expected);
    let options = DecodeOptions { declared_defaults: false, ..options() };
    let decoded = decode_with(PROTO2, &paths, &options, &[&[]]);
    assert_eq!(tree::row(&decoded.batch, 0).to_string(), "(number: NULL, text: NULL, color: NULL, plain: NULL)");
}

#[test]
fn unknown_numbers_of_open_enums_are_their_text_and_counted() {
    let decoded = decode(PROTO3, &["color"], &[&[0x48, 1], &[0x48, 9], &[0x48, 9, 0x08], &[]]);
    let rows: Vec<String> = (0..3).map(|index| tree::row(&decoded.batch, index).to_string()).collect();
    assert_eq!(rows, ["(color: \"RED\")", "(color: \"9\")", "(color: \"BLACK\")"]);
    assert_eq!(decoded.unknown_enum_values, 1, "the one of the broken record is not counted");
}

#[test]
fn batches_share_the_names_of_an_enum() {
    let program =
        DecodeProgram::compile(&message(PROTO3, "t.M"), &Projection::paths(["color"]), &options()).expect("compiles");
    let mut decoder = program.decoder();
    let (data, spans) = slab(&[vec![0x48, 1]]);
    let (unknown, unknown_spans) = slab(&[vec![0x48, 77]]);
    let names = |decoded: &Decoded| {
        let column = arrow::array::AsArray::as_any_dictionary(decoded.batch.column(0));
        std::sync::Arc::clone(column.values())
    };
    let first = names(&decoder.decode(&data, &spans));
    assert_eq!(names(&decoder.decode(&unknown, &unknown_spans)).len(), 3);
    // A broken record leaves no name behind.
    let (broken, broken_spans) = slab(&[vec![0x48, 78, 0x08], vec![0x48, 79]]);
    assert_eq!(names(&decoder.decode(&broken, &broken_spans)).len(), 3);
    let third = names(&decoder.decode(&data, &spans));
    assert!(std::sync::Arc::ptr_eq(&first, &third));
}

#[test]
fn unknown_numbers_of_closed_enums_are_unknown_fields() {
    assert_eq!(row(PROTO2, &["color"], &[0x18, 0, 0x18, 9]), "(color: \"BLACK\")");
    assert_eq!(
        row(PROTO2, &["colors"], &[0x20, 1, 0x20, 9, 0x22, 3, 0, 9, 1]),
        "(colors: [\"RED\", \"BLACK\", \"RED\"])"
    );
    assert_eq!(
        row(PROTO2, &["by_color"], &[0x2a, 4, 0x08, 1, 0x10, 9, 0x2a, 4, 0x08, 2, 0x10, 1]),
        "(by_color: {2 => \"RED\"})"
    );
    let with_chosen = [0x42, 1, b'x', 0x38, 9];
    assert_eq!(row(PROTO2, &["chosen", "other"], &with_chosen), "(chosen: NULL, other: \"x\")");
    let options = DecodeOptions { keep_unknown: true, ..options() };
    let record = [0x18, 9, 0x22, 2, 1, 9, 0x2a, 4, 0x08, 1, 0x10, 9];
    let decoded = decode_with(PROTO2, &["color", "colors", "by_color"], &options, &[&record]);
    let expected = "(color: \"RED\", colors: [\"RED\"], by_color: {}, \
                    _unknown: opaque[24, 9, 32, 9, 42, 4, 8, 1, 16, 9])";
    assert_eq!(tree::row(&decoded.batch, 0).to_string(), expected);
}

#[test]
fn groups_are_messages() {
    let record = [0x33, 0x08, 3, 0x34, 0x33, 0x10, 1, 0x34];
    assert_eq!(row(PROTO2, &["part"], &record), "(part: (a: 3, shade: \"RED\"))");
    assert_eq!(error(PROTO2, &["part"], &[0x33, 0x08, 3]), DecodeErrorKind::Truncated);
    assert_eq!(error(PROTO2, &["part"], &[0x33, 0x08, 3, 0x2c]), DecodeErrorKind::GroupUnbalanced);
    assert_eq!(error(PROTO2, &["part"], &[0x34]), DecodeErrorKind::GroupUnbalanced);
    assert_eq!(error(PROTO2, &["plain"], &[0x33, 0x08, 3, 0x2c]), DecodeErrorKind::GroupUnbalanced);
}

#[test]
fn timestamps_are_microseconds_with_exact_parts_on_request() {
    let stamp = [0x52, 6, 0x08, 5, 0x10, 0xc1, 0x84, 0x3d];
    assert_eq!(row(PROTO3, &["at"], &stamp), "(at: 5001000)");
    assert_eq!(row(PROTO3, &["at", "at.nanos"], &stamp), "(at: 5001000, at.nanos: 1000001)");
    assert_eq!(row(PROTO3, &["at.seconds"], &stamp), "(at.seconds: 5)");
    assert_eq!(row(PROTO3, &["at", "at.seconds", "at.nanos"], &[]), "(at: NULL, at.seconds: NULL, at.nanos: NULL)");
    let in_parts = [0x52, 2, 0x10, 7, 0x52, 2, 0x08, 1];
    assert_eq!(row(PROTO3, &["at", "at.nanos"], &in_parts), "(at: 1000000, at.nanos: 7)");
    // Before 1970 the nanos still count forwards.
    let before = [&[0x52, 14, 0x08][..], &[0xff; 9], &[0x01, 0x10, 0xe8, 0x07]].concat();
    assert_eq!(row(PROTO3, &["at"], &before), "(at: -999999)");
}

#[test]
fn timestamps_out_of_range_are_errors_where_they_are_used() {
    // The second after the end of the year 9999.
    let late = [0x52, 7, 0x08, 0x80, 0x83, 0xd1, 0xff, 0xaf, 0x07];
    assert_eq!(error(PROTO3, &["at"], &late), DecodeErrorKind::TimestampRange);
    assert_eq!(row(PROTO3, &["number"], &late), "(number: 0)");
    assert_eq!(row(PROTO3, &["at.seconds"], &late), "(at.seconds: 253402300800)");
    let nanos = [0x52, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03];
    assert_eq!(error(PROTO3, &["at"], &nanos), DecodeErrorKind::TimestampRange);
    // A later occurrence may set it right; in a list there is none.
    assert_eq!(row(PROTO3, &["at"], &[&late[..], &[0x52, 2, 0x08, 1]].concat()), "(at: 1000000)");
    let mut item = vec![0x9a, 1];
    item.extend(&late[1..]);
    assert_eq!(error(PROTO3, &["times"], &item), DecodeErrorKind::TimestampRange);
}

#[test]
fn dynamic_types_are_json() {
    // {"a": 1, "b": [null, "x"]}
    let record = [
        0x62, 16, 0x0a, 14, 0x0a, 1, b'a', 0x12, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, //
        0x62, 18, 0x0a, 16, 0x0a, 1, b'b', 0x12, 11, 0x32, 9, 0x0a, 2, 0x08, 0, 0x0a, 3, 0x1a, 1, b'x',
    ];
    assert_eq!(row(PROTO3, &["json"], &record), r#"(json: "{\"a\":1,\"b\":[null,\"x\"]}")"#);
    assert_eq!(row(PROTO3, &["json", "value"], &[0x62, 0]), r#"(json: "{}", value: NULL)"#);
    assert_eq!(row(PROTO3, &["value"], &[0x92, 1, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]), r#"(value: "\"NaN\"")"#);
    assert_eq!(error(PROTO3, &["json"], &[0x62, 5, 0x0a, 3, 0x0a, 1, 0xff]), DecodeErrorKind::Utf8);
}

#[test]
fn varints_may_be_long_but_not_longer_than_ten_bytes() {
    assert_eq!(row(PROTO3, &["number"], &[0x08, 0x85, 0x80, 0x80, 0]), "(number: 5)");
    assert_eq!(row(PROTO3, &["number"], &[0x88, 0x80, 0, 5]), "(number: 5)");
    let minus_one = [&[0x08][..], &[0xff; 9], &[1]].concat();
    assert_eq!(row(PROTO3, &["number"], &minus_one), "(number: -1)");
    let eleven = [&[0x08][..], &[0xff; 10], &[1]].concat();
    assert_eq!(error(PROTO3, &["number"], &eleven), DecodeErrorKind::VarintTooLong);
    assert_eq!(error(PROTO3, &["text"], &eleven), DecodeErrorKind::VarintTooLong);
    assert_eq!(row(PROTO3, &["large"], &[&[0x88, 1][..], &[0xff; 9], &[1]].concat()), "(large: 18446744073709551615)");
}

#[test]
fn framing_is_checked_in_every_record() {
    for paths in [&["number"][..], &["text", "inner", "real"], &[]] {
        assert_eq!(error(PROTO3, paths, &[0x08]), DecodeErrorKind::Truncated);
        assert_eq!(error(PROTO3, paths, &[0x71, 1, 2]), DecodeErrorKind::Truncated);
        assert_eq!(error(PROTO3, paths, &[0xa5, 6, 1]), DecodeErrorKind::Truncated);
        assert_eq!(error(PROTO3, paths, &[0x12, 5, b'a']), DecodeErrorKind::LengthOverrun);
        assert_eq!(error(PROTO3, paths, &[0x1a, 5, 1]), DecodeErrorKind::LengthOverrun);
        assert_eq!(error(PROTO3, paths, &[0x0e, 1]), DecodeErrorKind::WireType(6));
        assert_eq!(error(PROTO3, paths, &[0x0f, 1]), DecodeErrorKind::WireType(7));
        assert_eq!(error(PROTO3, paths, &[0x00, 1]), DecodeErrorKind::FieldNumber);
        assert_eq!(error(PROTO3, paths, &[0x0c]), DecodeErrorKind::GroupUnbalanced);
        assert_eq!(error(PROTO3, paths, &[0xa3, 6, 0x08]), DecodeErrorKind::Truncated);
    }
    // In a nested message only where it is read.
    assert_eq!(error(PROTO3, &["inner"], &[0x1a, 1, 0x08]), DecodeErrorKind::Truncated);
    assert_eq!(row(PROTO3, &["number"], &[0x1a, 1, 0x08]), "(number: 0)");
}

#[test]
fn text_must_be_utf8_where_it_is_used() {
    let record = [0x12, 2, 0xc3, 0x28];
    assert_eq!(error(PROTO3, &["text"], &record), DecodeErrorKind::Utf8);
    assert_eq!(row(PROTO3, &["number"], &record), "(number: 0)");
    let decoded = decode(PROTO3, &["inner.b"], &[&[0x1a, 3, 0x12, 1, 0xff]]);
    assert_eq!(decoded.errors[0].error.to_string(), "text is not valid UTF-8 at byte 4 in `inner.b`");
}

#[test]
fn limits_are_errors_of_the_record() {
    let limits = Limits { depth_max: 3, record_bytes_max: 64, elements_max: 4, recursion_depth_max: 2 };
    let options = DecodeOptions { limits, ..options() };
    let kind = |paths: &[&str], record: &[u8]| {
        decode_with(PROTO3, paths, &options, &[record]).errors.first().map(|error| error.error.kind)
    };
    assert_eq!(kind(&["list"], &[0x22, 4, 1, 2, 3, 4]), None);
    assert_eq!(kind(&["list"], &[0x22, 5, 1, 2, 3, 4, 5]), Some(DecodeErrorKind::TooManyElements(4)));
    assert_eq!(kind(&["number"], &[0x08, 1].repeat(33)), Some(DecodeErrorKind::RecordTooLarge(66)));
    let groups = |depth: usize| [[0xa3, 6].repeat(depth), [0xa4, 6].repeat(depth)].concat();
    assert_eq!(kind(&["number"], &groups(3)), None);
    assert!(matches!(kind(&["number"], &groups(4)), Some(DecodeErrorKind::TooDeep(_))));
}

#[test]
fn what_is_nested_deeper_than_the_type_is_kept_as_bytes() {
    let options = DecodeOptions { limits: Limits { recursion_depth_max: 2, ..Limits::default() }, ..options() };
    // again { again { number: 1 } again { text: "x" } }
    let record = [0x7a, 9, 0x7a, 2, 0x08, 1, 0x7a, 3, 0x12, 1, b'x'];
    let decoded = decode_with(PROTO3, &["again.again", "again.number"], &options, &[&record]);
    assert_eq!(tree::row(&decoded.batch, 0).to_string(), "(again: (number: 0, again: opaque[8, 1, 18, 1, 120]))");
}

#[test]
fn tombstones_are_neither_rows_nor_errors() {
    let program =
        DecodeProgram::compile(&message(PROTO3, "t.M"), &Projection::paths(["number"]), &options()).expect("compiles");
    let data = bytes::Bytes::from_static(&[0x08, 1, 0x08, 2]);
    let decoded = program.decoder().decode(&data, &[(0, 2), (0, NULL_SPAN), (2, 2), (3, 9)]);
    assert_eq!(decoded.rows, Some(vec![0, 2]));
    assert_eq!(decoded.errors.len(), 1);
    assert_eq!((decoded.errors[0].index, decoded.errors[0].error.kind), (3, DecodeErrorKind::SpanOutside));
}

#[test]
fn text_points_into_the_slab() {
    let record = [&[0x12, 20][..], &[b'x'; 20]].concat();
    let (data, spans) = slab(&[record]);
    let program =
        DecodeProgram::compile(&message(PROTO3, "t.M"), &Projection::paths(["text"]), &options()).expect("compiles");
    let batch = program.decoder().decode(&data, &spans).batch;
    let column = arrow::array::AsArray::as_string_view(batch.column(0));
    assert_eq!(column.data_buffers()[0].as_ptr(), data.as_ptr());
}

#[test]
fn a_broken_record_takes_back_what_it_wrote() {
    // A list, a map, a oneof, unknown enum numbers and nested lists, then the fault.
    let started = [
        0x20, 1, 0x20, 2, 0x2a, 3, 0x0a, 1, b'k', 0x30, 5, 0x48, 44, 0x68, 3, 0x82, 1, 4, 0x18, 1, 0x18, 2, 0x62, 0,
        0x12, 1, b't',
    ];
    let paths = ["list", "map", "left", "color", "maybe", "inners", "json", "text"];
    let broken = [&started[..], &[0x08]].concat();
    let decoded = decode(PROTO3, &paths, &[&started, &broken, &[], &broken, &started]);
    assert_eq!(decoded.rows, Some(vec![0, 2, 4]));
    assert_eq!(tree::row(&decoded.batch, 0), tree::row(&decoded.batch, 2));
    let empty = decode(PROTO3, &paths, &[&[]]);
    assert_eq!(tree::row(&decoded.batch, 1), tree::row(&empty.batch, 0));
}
