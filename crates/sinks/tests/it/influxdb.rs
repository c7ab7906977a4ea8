//! What the encoder writes is what InfluxDB 1 reads.

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use delivery::{Destination, EncodedBatchBuilder, ErrorClass};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use sinks::influx::{FieldTypes, InfluxApi, InfluxConfig, InfluxSink};
use sinks::line_protocol::Dialect;
use sinks::{Credential, FieldKind, LineEncoder, PointLayout, Precision, RowEncoder};
use std::sync::Arc;

use crate::servers::{endpoint, http, influxdb, influxql, influxql_text, new_database};

fn config(database: &str) -> InfluxConfig {
    let api = InfluxApi::One { database: database.to_owned(), retention_policy: None };
    InfluxConfig { endpoint: endpoint(&influxdb()), api, credential: Credential::None }
}

fn sink(database: &str) -> InfluxSink {
    InfluxSink::new(&config(database), Precision::Milliseconds, &http()).unwrap()
}

/// Texts with everything in them that means something in a line.
fn texts() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!['a', 'b', ' ', ',', '=', '"', '\\', '\'', '#', 'é', '\t', '日']), 1..8)
        .prop_map(|characters| characters.into_iter().collect())
}

/// A backslash before a special character or the end cannot be said to InfluxDB 1.
fn is_sayable(name: &str) -> bool {
    !name.ends_with('\\') && ["\\,", "\\=", "\\ "].iter().all(|pair| !name.contains(pair))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_comes_back_as_it_was() {
    let database = new_database().await;
    let sink = sink(&database);
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    let names = (texts(), texts(), texts(), texts(), texts());
    let number = std::sync::atomic::AtomicU32::new(0);
    tokio::task::block_in_place(|| {
        let ran = runner.run(&names, |(measurement, tag, value, field, string)| {
            prop_assume!(tag != field);
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // Each in a measurement of its own.
            let measurement = format!("m{number}{measurement}");
            let batch = RecordBatch::try_from_iter([
                ("tag", Arc::new(StringArray::from(vec![value.as_str()])) as ArrayRef),
                ("string", Arc::new(StringArray::from(vec![string.as_str()]))),
                ("time", Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000]))),
            ])
            .unwrap();
            let layout = PointLayout { time: 2, tags: vec![(0, tag.clone())], fields: vec![(1, field.clone())] };
            let encoder = LineEncoder::new(&measurement, layout, &batch.schema(), Dialect::Influx, None);
            let is_name = |name: &&String| is_sayable(name) && !name.contains("\\\"");
            let all_names = [&measurement, &tag, &field].iter().all(is_name);
            // Blanks before the first field are left out.
            prop_assert_eq!(encoder.is_ok(), all_names && !field.starts_with('\t'));
            let Ok(encoder) = encoder else { return Ok(()) };
            let encoded = encoder.encode(&batch, None).unwrap();
            prop_assert_eq!(encoded.refused.is_empty(), is_sayable(&value));
            if !is_sayable(&value) {
                return Ok(());
            }
            let answer = handle.block_on(sink.deliver(&encoded.records));
            prop_assert!(answer.as_ref().is_ok_and(|answer| answer.errors.is_empty()), "{answer:?}");
            let quote = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
            let ask = format!("SELECT \"{}\", \"{}\" FROM \"{}\"", quote(&field), quote(&tag), quote(&measurement));
            let rows = handle.block_on(influxql(&database, &ask));
            prop_assert_eq!(rows, vec![json!([1_700_000_000_000i64, string, value])], "{}", ask);
            Ok(())
        });
        ran.map_err(Box::new)
    })
    .unwrap();
}

#[tokio::test]
async fn values_of_all_types_come_back() {
    let database = new_database().await;
    let floats = vec![0.1, -0.0, 1e300, 5e-324, 123_456_789.123_456_79];
    let batch = RecordBatch::try_from_iter([
        ("f", Arc::new(Float64Array::from(floats.clone())) as ArrayRef),
        ("i", Arc::new(Int64Array::from(vec![0, -1, i64::MAX, i64::MIN, 7]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false, true, false, true]))),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![-1, 0, 1, 4_102_444_800_000, -6_000_000_000_000]))),
    ])
    .unwrap();
    let fields = vec![(0, "f".to_owned()), (1, "i".to_owned()), (2, "b".to_owned())];
    let layout = PointLayout { time: 3, tags: Vec::new(), fields };
    let encoder = LineEncoder::new("m", layout, &batch.schema(), Dialect::Influx, None).unwrap();
    let encoded = encoder.encode(&batch, None).unwrap();
    for _ in 0..2 {
        assert_eq!(sink(&database).deliver(&encoded.records).await.unwrap().errors, []);
    }
    // Written twice, there once.
    let rows = influxql(&database, "SELECT f, i, b FROM m ORDER BY time").await;
    let order = [4, 0, 1, 2, 3];
    assert_eq!(rows.len(), order.len());
    // Read as text: a JSON reader may round.
    let text = influxql_text(&database, "SELECT f FROM m ORDER BY time").await;
    let read: Vec<f64> = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(read, order.map(|index| floats[index]));
    assert_eq!((rows[3][2].as_i64(), rows[4][2].as_i64()), (Some(i64::MAX), Some(i64::MIN)));
    let types = config(&database).field_types("m", &http()).await;
    let written =
        [("f", FieldKind::Float), ("i", FieldKind::Float), ("b", FieldKind::Boolean), ("new", FieldKind::Text)];
    let conflicts = types.conflicts(written.into_iter());
    assert_eq!(conflicts.len(), 1);
    assert_eq!((conflicts[0].field.as_str(), conflicts[0].stored.as_str()), ("i", "integer"));
    assert!(matches!(config("nowhere").field_types("m", &http()).await, FieldTypes::NoDatabase(_)));
}

#[tokio::test]
async fn a_missing_database_is_an_outage_and_a_conflict_is_not() {
    let mut builder = EncodedBatchBuilder::default();
    builder.push(b"m n=1i 1\n");
    let batch = builder.finish();
    assert_eq!(sink("nowhere").deliver(&batch).await.unwrap_err().class, ErrorClass::Down);
    let database = new_database().await;
    assert_eq!(sink(&database).deliver(&batch).await.unwrap().errors, []);
    let mut builder = EncodedBatchBuilder::default();
    builder.push(b"m n=1.5 2\n");
    builder.push(b"m n=2.5 3\n");
    let answer = sink(&database).deliver(&builder.finish()).await.unwrap();
    let classes: Vec<ErrorClass> = answer.errors.iter().map(|error| error.class).collect();
    assert_eq!(classes, [ErrorClass::Refused; 2]);
    assert!(answer.errors[0].reason.contains("already exists as type integer"), "{:?}", answer.errors);
}
