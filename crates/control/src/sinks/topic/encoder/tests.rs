use super::*;
use arrow::array::{Int32Array, Int64Array, StringArray, TimestampMillisecondArray};
use codec::{ConfluentFrame, RecordPart, WireFormat};
use sql::{RowtimeField, StreamTable};
use std::sync::Arc;

const PROTO: &str = "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\";
message Event { string name = 1; int64 amount = 2; int32 zone = 3; }
message Total { string name = 1; uint64 total = 2; google.protobuf.Timestamp ended = 3; }
message Key { string name = 1; uint32 zone = 2; }";

fn planned(query: &str) -> (schema::SchemaSet, DaggerPlan) {
    let file = schema::SourceFile { path: "t.proto".into(), text: PROTO.into() };
    let schemas = schema::SchemaSet::from_sources(&[file]).unwrap();
    let message = schemas.message("t.Event").unwrap();
    let table = StreamTable { table: "data_stream".into(), message, rowtime: RowtimeField::Record };
    let plan = sql::plan(query, &[table]).unwrap();
    (schemas, plan)
}

fn framed(schemas: &schema::SchemaSet, name: &str, schema_id: u32, part: RecordPart) -> Option<PartFormat> {
    let frame = ConfluentFrame { schema_ids: vec![schema_id], ..ConfluentFrame::default() };
    Some(PartFormat::new(schemas.message(name).unwrap(), WireFormat::Confluent(frame), part))
}

fn output(plan: &DaggerPlan, columns: Vec<ArrayRef>) -> OutputBatch {
    let nullable = plan.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let columns = columns.into_iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(&column, field.data_type()).unwrap()).collect();
    OutputBatch { batch: RecordBatch::try_new(schema, columns).unwrap(), window_end_ms: None, origin: None }
}

#[test]
fn a_row_that_has_no_record_does_not_shift_the_others() {
    let (schemas, plan) = planned("SELECT name, amount AS total, zone FROM data_stream");
    let format = RecordFormat {
        value: framed(&schemas, "t.Total", 7, RecordPart::Value),
        key: framed(&schemas, "t.Key", 3, RecordPart::Key),
    };
    let key = ["name".to_owned(), "zone".to_owned()];
    let headers = [
        ("from".to_owned(), HeaderValue::Constant("here".to_owned())),
        ("who".to_owned(), HeaderValue::Column("name".to_owned())),
    ];
    let columns = RecordColumns { key: &key, headers: &headers };
    let encoder = RecordEncoder::new(&format, &plan, columns).unwrap();
    let rows = output(
        &plan,
        vec![
            Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("c"), None, Some("e")])),
            // The second has a value that does not fit, the third a key, and the last both.
            Arc::new(Int64Array::from(vec![1, -1, 1, 1, -1])),
            Arc::new(Int32Array::from(vec![1, 1, -1, 4, -1])),
        ],
    );
    let encoded = encoder.encode(&rows).unwrap();
    assert_eq!(encoded.refused, 3);
    assert!(encoded.example.as_deref().unwrap().contains("`total`"), "{:?}", encoded.example);
    let bytes: Vec<(&[u8], &[u8])> = encoded
        .records
        .iter()
        .map(|record| (record.key.as_deref().unwrap(), record.value.as_deref().unwrap()))
        .collect();
    let first: (&[u8], &[u8]) = (b"\0\0\0\0\x03\x02\x04\x0a\x01a\x10\x01", b"\0\0\0\0\x07\x02\x02\x0a\x01a\x10\x01");
    let fourth: (&[u8], &[u8]) = (b"\0\0\0\0\x03\x02\x04\x10\x04", b"\0\0\0\0\x07\x02\x02\x10\x01");
    assert_eq!(bytes, [first, fourth]);
    let header = |name: &str, value: &'static str| (name.to_owned(), Bytes::from(value));
    assert_eq!(encoded.records[0].headers, [header("from", "here"), header("who", "a")]);
    assert_eq!(encoded.records[1].headers, [header("from", "here")]);
}

#[test]
fn a_record_has_the_event_time_of_its_row() {
    let (schemas, plan) = planned(
        "SELECT name, sum(amount) AS total, SESSION_END(rowtime, INTERVAL '1' MINUTE) AS ended FROM data_stream \
         GROUP BY name, SESSION(rowtime, INTERVAL '1' MINUTE)",
    );
    let value = Some(PartFormat::new(schemas.message("t.Total").unwrap(), WireFormat::Protobuf, RecordPart::Value));
    let columns = RecordColumns { key: &[], headers: &[] };
    let encoder = RecordEncoder::new(&RecordFormat { value, key: None }, &plan, columns).unwrap();
    let times = |rows: &OutputBatch| -> Vec<Option<i64>> {
        encoder.encode(rows).unwrap().records.iter().map(|record| record.timestamp_ms).collect()
    };
    let sessions = output(
        &plan,
        vec![
            Arc::new(StringArray::from(vec!["a", "b", "c"])),
            Arc::new(Int64Array::from(vec![1, 1, 1])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(60_000), Some(-5), None])),
        ],
    );
    // Before 1970 there is no timestamp in the log: it takes the time of the append.
    assert_eq!(times(&sessions), [Some(59_999), None, None]);
    let window = OutputBatch { window_end_ms: Some(120_000), ..sessions.clone() };
    assert_eq!(times(&window), [Some(119_999); 3]);
    let (topic, times_ms) = ("t".into(), vec![1, 2, 3]);
    let origin = Some(flow::RowOrigin { topic, partition: 0, branch: 0, offsets: vec![7, 8, 9], times_ms });
    assert_eq!(times(&OutputBatch { origin, ..sessions }), [Some(1), Some(2), Some(3)]);
}
