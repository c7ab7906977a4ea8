//! Sinks as somebody asks for them: from a document, for rows of a schema.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatch;
use delivery::contract::{CALL_TIME, Case, Outcome, Request};
use flate2::read::GzDecoder;
use serde_json::Value;
use sinks::{
    AddressPolicy, Encoded, HttpOptions, PlannedSink, RowOrigin, SettingError, Settings, SinkContext, SinkInput, kind,
};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

pub const TOPIC: &str = "orders";

/// Shown by `cargo test -- --nocapture`.
pub fn print(sink: &str, outcomes: &[Outcome]) {
    assert_eq!(outcomes.len(), Case::ALL.len());
    for Outcome { case, counts, duplicates, took } in outcomes {
        println!(
            "{sink:<20} {:<18} taken {:>5}, delivered {:>5}, dead letters {}, retried {:>5}, calls {:>4}, doubled {duplicates}, {took:?}",
            format!("{case:?}"),
            counts.taken,
            counts.delivered,
            counts.dead_lettered,
            counts.retried,
            counts.calls
        );
    }
}

/// As an operator sets it who has servers on loopback.
fn http() -> HttpOptions {
    let _ = rustls::crypto::ring::default_provider().install_default();
    HttpOptions {
        call_time_max: CALL_TIME,
        connect_time_max: Duration::from_millis(300),
        ..HttpOptions::reaching(AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]))
    }
}

/// The documents name these.
pub fn secrets() -> BTreeMap<String, String> {
    let secrets = [
        ("password", "open sesame"),
        ("token", "t0ken"),
        ("key", "k3y"),
        ("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("passcode", "pass-code\n"),
        ("lines", "a\nb"),
    ];
    secrets.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// For records of a topic whose time is the column `time`, if there is one.
pub fn plan(kind_name: &str, document: Value, schema: &SchemaRef) -> Result<Box<dyn PlannedSink>, SettingError> {
    let kind = kind(kind_name).unwrap();
    let settings = Settings::read(kind.description(), document.as_object().unwrap())?;
    let time_column = schema.column_with_name("time").map(|(index, _)| index);
    let input = SinkInput { schema, key_columns: None, time_column };
    let context = SinkContext {
        http: http(),
        owner: "test".into(),
        incarnation: "1".into(),
        topic: TOPIC.into(),
        secrets: secrets(),
        services: None,
    };
    kind.plan(&settings, &input, &context)
}

/// The rows as records of partition 0 from an offset on.
pub fn encode(sink: &dyn PlannedSink, rows: &RecordBatch, first_offset: i64) -> Encoded {
    let offsets: Vec<i64> = (first_offset..).take(rows.num_rows()).collect();
    let row_names = vec![None; rows.num_rows()];
    let origin = RowOrigin { topic: TOPIC, partition: 0, offsets: &offsets, row_names: &row_names };
    sink.encoder().encode(rows, Some(origin)).unwrap()
}

pub fn texts(records: &EncodedBatch) -> Vec<String> {
    (0..records.len()).map(|index| String::from_utf8(records.record(index).to_vec()).unwrap()).collect()
}

/// The body of a request as it was before it was compressed.
pub fn body(request: &Request) -> Vec<u8> {
    if request.header("content-encoding") != Some("gzip") {
        return request.body.clone();
    }
    let mut body = Vec::new();
    GzDecoder::new(request.body.as_slice()).read_to_end(&mut body).unwrap();
    body
}

pub fn json(request: &Request) -> Value {
    serde_json::from_slice(&body(request)).unwrap()
}
