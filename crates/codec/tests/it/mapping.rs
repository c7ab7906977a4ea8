//! Which Arrow type a protobuf type is, and what a projection may ask for.

use arrow::datatypes::DataType;
use codec::{CompileError, DecodeOptions, DecodeProgram, Limits, Projection, arrow_schema};

use crate::message;

const ALL: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum E { ZERO = 0; }
message Inner { int32 x = 1; google.protobuf.Timestamp at = 2; }
message M {
  double a = 1; float b = 2; int32 c = 3; sint64 d = 4; uint32 e = 5; fixed64 f = 6; bool g = 7; string h = 8; bytes i = 9;
  E j = 10; Inner k = 11; repeated string l = 12; map<int32, Inner> m = 13; optional sfixed32 n = 14;
  google.protobuf.Timestamp o = 15; google.protobuf.Duration p = 16; google.protobuf.StringValue q = 17;
  google.protobuf.Struct r = 18; google.protobuf.Any s = 19; oneof u { int64 t = 20; } M v = 21;
}
"#;

#[test]
fn every_type_has_its_column() {
    let schema = arrow_schema(&message(ALL, "t.M"), &Limits { recursion_depth_max: 1, ..Limits::default() });
    let lines: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" }))
        .collect();
    let expected = [
        "a Float64",
        "b Float32",
        "c Int32",
        "d Int64",
        "e Int64",
        "f Decimal128(20, 0)",
        "g Boolean",
        "h Utf8View",
        "i BinaryView",
        "j Dictionary(Int32, Utf8)",
        "k Struct(\"x\": non-null Int32, \"at\": Timestamp(µs))?",
        "l List(non-null Utf8View)",
        "m Map(\"entries\": non-null Struct(\"key\": non-null Int32, \"value\": non-null Struct(\"x\": non-null Int32, \
         \"at\": Timestamp(µs))), unsorted)",
        "n Int32?",
        "o Timestamp(µs)?",
        "p Struct(\"seconds\": non-null Int64, \"nanos\": non-null Int32)?",
        "q Utf8View?",
        "r Utf8View?",
        "s Struct(\"type_url\": non-null Utf8View, \"value\": non-null BinaryView)?",
        "t Int64?",
        "v Binary?",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn recursion_is_unrolled_to_its_limit() {
    let schema = arrow_schema(&message(ALL, "t.M"), &Limits::default());
    let mut kind = schema.field_with_name("v").expect("a field").data_type().clone();
    let mut levels = 1;
    while let DataType::Struct(fields) = kind {
        levels += 1;
        kind = fields.iter().find(|field| field.name() == "v").expect("a field").data_type().clone();
    }
    assert_eq!((levels, kind), (3, DataType::Binary));
}

#[test]
fn a_wide_recursive_type_stays_within_the_columns() {
    let fields: String = (1..120).map(|number| format!("W f{number} = {number};")).collect();
    let wide = message(&format!("syntax = \"proto3\"; package t; message W {{ {fields} int32 x = 200; }}"), "t.W");
    let schema = arrow_schema(&wide, &Limits::default());
    assert!(schema.flattened_fields().len() < codec::COLUMNS_MAX);
    let options = DecodeOptions::default();
    let program = DecodeProgram::compile(&wide, &Projection::paths(["f1"]), &options).expect("compiles");
    assert_eq!(program.schema().field(0), schema.field(0), "the same type in every projection");
}

fn columns(paths: &[&str]) -> Result<String, CompileError> {
    let program = DecodeProgram::compile(&message(ALL, "t.M"), &Projection::paths(paths), &DecodeOptions::default())?;
    let fields = program.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
    Ok(fields.collect::<Vec<_>>().join(", "))
}

#[test]
fn a_projection_cuts_messages_to_size() {
    assert_eq!(columns(&["k.x", "a"]), Ok("a Float64, k Struct(\"x\": non-null Int32)".to_owned()));
    let exact = "k Struct(\"x\": non-null Int32, \"at\": Timestamp(µs), \"at.nanos\": Int32)";
    assert_eq!(columns(&["k", "k.at.nanos"]), Ok(exact.to_owned()));
    assert_eq!(columns(&["o.seconds"]), Ok("o.seconds Int64".to_owned()));
    assert_eq!(columns(&[]), Ok(String::new()));
}

#[test]
fn a_projection_that_cannot_be_is_explained() {
    let text = |paths: &[&str]| columns(paths).expect_err("cannot be compiled").to_string();
    assert_eq!(text(&["k.y"]), "`t.Inner` has no field `k.y`: did you mean `x`?");
    assert_eq!(text(&["nothing_like_it"]), "`t.M` has no field `nothing_like_it`");
    assert_eq!(text(&["a.b"]), "field `a` is of type double, it has no field `b`");
    assert_eq!(text(&["o.second"]), "`google.protobuf.Timestamp` has no field `o.second`: did you mean `seconds`?");
}
