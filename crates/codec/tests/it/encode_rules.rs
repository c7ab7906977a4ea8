//! Each rule of writing: which column fills which field, what does not fit, what becomes of NULL.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int32Builder, Int64Array,
    ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use codec::{CompileError, EncodeProgram, Encoded};
use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::message;

const SOURCE: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
enum Color { BLACK = 0; RED = 1; }
message Inner { int32 a = 1; string b = 2; }
message M {
  int32 number = 1; string text = 2; Inner inner = 3; repeated int32 list = 4; map<string, int32> map = 5;
  oneof choice { int64 left = 6; string right = 7; }
  Color color = 8; google.protobuf.Timestamp at = 9; google.protobuf.Int64Value wrapped = 10; google.protobuf.Value json = 11;
  uint64 large = 12; uint32 small = 13; double real = 14; bool flag = 15; optional int64 maybe = 16;
}
"#;

fn descriptor() -> MessageDescriptor {
    message(SOURCE, "t.M")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .expect("a batch")
}

fn encode(columns: Vec<(&str, ArrayRef)>) -> Encoded {
    let batch = batch(columns);
    let program = EncodeProgram::compile(&descriptor(), &batch.schema()).unwrap_or_else(|error| panic!("{error}"));
    program.encode(&batch).expect("encodes")
}

/// The records in protobuf's text format.
fn records(encoded: &Encoded) -> Vec<String> {
    let read = |(start, len): &(u32, u32)| {
        let record = &encoded.data[*start as usize..(start + len) as usize];
        DynamicMessage::decode(descriptor(), record).expect("a record").to_string()
    };
    encoded.spans.iter().map(read).collect()
}

fn written(columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
    let encoded = encode(columns);
    assert!(encoded.errors.is_empty(), "{:?}", encoded.errors);
    records(&encoded)
}

fn refused(column: &str, kind: DataType) -> String {
    let schema = Schema::new(vec![Field::new(column, kind, true)]);
    EncodeProgram::compile(&descriptor(), &schema).expect_err("does not fit").to_string()
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn null_leaves_a_field_out_and_so_does_an_implicit_default() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(5), Some(0), None]));
    let columns = vec![("number", numbers), ("maybe", ints(&[Some(0), Some(7), None]))];
    assert_eq!(written(columns), ["number:5,maybe:0", "maybe:7", ""]);
}

#[test]
fn dotted_names_fill_nested_messages() {
    let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    assert_eq!(written(vec![("inner.a", a), ("inner.b", b)]), ["inner{a:1,b:\"x\"}", ""]);
}

#[test]
fn structs_lists_and_maps_fill_their_fields() {
    let a: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, false)]);
    let inner: ArrayRef = Arc::new(StructArray::new(fields, vec![a], Some(vec![true, false].into())));
    let list: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(0)]), None]));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(3);
    map.append(true).expect("as many keys as values");
    map.append(true).expect("as many keys as values");
    let map: ArrayRef = Arc::new(map.finish());
    let columns = vec![("inner", inner), ("list", list), ("map", map)];
    assert_eq!(written(columns), ["inner{a:1},list:[1,0],map:[{key:\"k\",value:3}]", ""]);
}

#[test]
fn enums_are_written_by_name_or_number() {
    let dictionary: DictionaryArray<Int32Type> = vec![Some("RED"), Some("7"), None].into_iter().collect();
    assert_eq!(written(vec![("color", Arc::new(dictionary))]), ["color:RED", "color:7", ""]);
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["RED", "PINK", "BLACK"]));
    let encoded = encode(vec![("color", text)]);
    assert_eq!(records(&encoded), ["color:RED", ""]);
    assert_eq!(encoded.errors[0].to_string(), "row 1: `PINK` is not a value of the enum in field `color`");
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert_eq!(written(vec![("color", numbers)]), ["color:RED"]);
}

#[test]
fn timestamps_of_any_unit_and_exact_parts() {
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(-1), Some(1_500), None]));
    let columns = vec![("at", Arc::clone(&at))];
    assert_eq!(written(columns), ["at{seconds:-1,nanos:999000000}", "at{seconds:1,nanos:500000000}", ""]);
    let nanos: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), Some(8), None]));
    assert_eq!(written(vec![("at", at), ("at.nanos", nanos)]), ["at{seconds:-1,nanos:7}", "at{seconds:1,nanos:8}", ""]);
}

#[test]
fn wrappers_and_json() {
    let json: ArrayRef = Arc::new(StringArray::from(vec![Some("{\"a\":[1,null]}"), Some("nonsense"), None]));
    let encoded = encode(vec![("wrapped", ints(&[Some(0), Some(1), None])), ("json", json)]);
    let value = "json{struct_value{fields:[{key:\"a\",value{list_value{values:[{number_value:1.0},{null_value:NULL_VALUE}]}}}]}}";
    assert_eq!(records(&encoded), [format!("wrapped{{}},{value}"), String::new()]);
    assert_eq!((encoded.errors[0].index, encoded.errors[0].field.as_str()), (1, "json"));
}

#[test]
fn numbers_in_json_keep_their_last_bit() {
    let text = " [ 1.2338789709326767e-178 , {\"a\\\"\" : -0.0 } ] ";
    let encoded = encode(vec![("json", Arc::new(StringArray::from(vec![text])))]);
    let has = |number: f64| encoded.data.windows(8).any(|bytes| bytes == number.to_le_bytes());
    assert!(has(1.2338789709326767e-178) && has(-0.0), "{:?}", encoded.data);
    assert!(encoded.data.windows(3).any(|bytes| bytes == b"\x02a\""), "the key without its escape");
}

#[test]
fn numbers_that_do_not_fit_are_errors_of_their_row() {
    let large: ArrayRef =
        Arc::new(Decimal128Array::from(vec![u64::MAX as i128, -1]).with_precision_and_scale(20, 0).expect("a decimal"));
    let encoded = encode(vec![("large", large)]);
    assert_eq!(records(&encoded), ["large:18446744073709551615"]);
    assert_eq!(encoded.errors[0].to_string(), "row 1: -1 does not fit in field `large`");
    let encoded = encode(vec![("small", ints(&[Some(4_294_967_295), Some(4_294_967_296)]))]);
    assert_eq!((records(&encoded).len(), encoded.errors.len()), (1, 1));
    let counts: ArrayRef = Arc::new(UInt64Array::from(vec![5, u64::MAX]));
    let encoded = encode(vec![("maybe", counts)]);
    assert_eq!((records(&encoded), encoded.errors.len()), (vec!["maybe:5".to_owned()], 1));
}

#[test]
fn one_member_of_a_oneof_a_row() {
    let right: ArrayRef = Arc::new(StringArray::from(vec![None, Some("x"), Some("y")]));
    let encoded = encode(vec![("left", ints(&[Some(0), None, Some(1)])), ("right", right)]);
    assert_eq!(records(&encoded), ["left:0", "right:\"x\""]);
    assert_eq!(encoded.errors[0].to_string(), "row 2: two members of one oneof are set in field `right`");
}

#[test]
fn null_items_are_errors_of_their_row() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]));
    assert_eq!(
        encode(vec![("list", list)]).errors[0].to_string(),
        "row 0: a list item or map entry is NULL in field `list`"
    );
}

#[test]
fn scalars_widen_without_a_cast() {
    let real: ArrayRef = Arc::new(arrow::array::Float32Array::from(vec![2.5]));
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let maybe: ArrayRef = Arc::new(Int32Array::from(vec![3]));
    assert_eq!(written(vec![("real", real), ("flag", flag), ("maybe", maybe)]), ["real:2.5,flag:true,maybe:3"]);
    // Minus zero is not the default.
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
    let lengths: Vec<u32> = encode(vec![("real", zeros)]).spans.iter().map(|(_, len)| *len).collect();
    assert_eq!(lengths, [0, 9]);
}

#[test]
fn columns_that_do_not_fit_are_refused_with_what_to_do() {
    let int =
        "column `number` of type Int64 does not fit field `number` of type int32: write CAST(... AS INT) AS `number`";
    assert_eq!(refused("number", DataType::Int64), int);
    assert_eq!(refused("nummber", DataType::Int32), "`t.M` has no field `nummber`: did you mean `number`?");
    assert_eq!(refused("inner.c", DataType::Int32), "`t.Inner` has no field `inner.c`: did you mean `a`?");
    assert_eq!(refused("number.x", DataType::Int32), "field `number` is int32, it has no field `x`");
    let list = "column `list` of type Int32 does not fit field `list` of type repeated int32: a list is needed, for example \
                `CollectArray(x)`";
    assert_eq!(refused("list", DataType::Int32), list);
    let at = "column `at` of type Int64 does not fit field `at` of type TIMESTAMP: write CAST(at AS TIMESTAMP)";
    assert_eq!(refused("at", DataType::Int64), at);
    let schema = Schema::new(vec![
        Field::new("inner", DataType::Struct(Fields::empty()), true),
        Field::new("inner.a", DataType::Int32, true),
    ]);
    let twice = EncodeProgram::compile(&descriptor(), &schema);
    assert!(matches!(twice, Err(CompileError::FilledTwice { .. })));
}

#[test]
fn a_required_field_must_be_filled() {
    let descriptor =
        message("syntax = \"proto2\"; package t; message R { required int32 a = 1; optional int32 b = 2; }", "t.R");
    let only_b = Schema::new(vec![Field::new("b", DataType::Int32, true)]);
    assert!(matches!(EncodeProgram::compile(&descriptor, &only_b), Err(CompileError::RequiredNotFilled { .. })));
    let batch = batch(vec![("a", Arc::new(Int32Array::from(vec![None, Some(0)])))]);
    let program = EncodeProgram::compile(&descriptor, &batch.schema()).expect("compiles");
    let encoded = program.encode(&batch).expect("encodes");
    assert_eq!((encoded.spans.len(), encoded.errors.len()), (1, 1));
}

#[test]
fn another_batch_than_compiled_for_is_refused() {
    let program =
        EncodeProgram::compile(&descriptor(), &Schema::new(vec![Field::new("number", DataType::Int32, true)]));
    let error = program.expect("compiles").encode(&batch(vec![("text", Arc::new(StringArray::from(vec!["x"])))]));
    assert!(error.expect_err("other columns").to_string().contains("column 0 is `text` Utf8, expected `number` Int32"));
}
