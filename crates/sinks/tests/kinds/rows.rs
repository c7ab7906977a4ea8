//! Rows of records, and planning sinks for them.

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use delivery::contract::{Case, Outcome};
use serde_json::Value;
use sinks::{
    AddressPolicy, HttpOptions, PlannedSink, RowOrigin, Services, SettingError, Settings, SinkContext, SinkInput, kind,
};
use std::sync::Arc;

pub const TIME_MS: i64 = 1_700_000_000_000;

/// The columns `city`, `n` and `at`, a row for each number, and a millisecond apart.
pub fn batch(numbers: &[u64]) -> RecordBatch {
    batch_of("Jakarta", numbers)
}

pub fn batch_of(city: &str, numbers: &[u64]) -> RecordBatch {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    let times: Vec<i64> = numbers.iter().map(|number| TIME_MS + number).collect();
    RecordBatch::try_from_iter([
        ("city", Arc::new(StringArray::from(vec![city; numbers.len()])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(numbers))),
        ("at", Arc::new(TimestampMillisecondArray::from(times))),
    ])
    .unwrap()
}

pub fn origin<'a>(offsets: &'a [i64], row_names: &'a [Option<String>]) -> RowOrigin<'a> {
    RowOrigin { topic: "bookings", partition: 3, offsets, row_names }
}

/// One record as a sink encodes it.
pub fn encoded(sink: &dyn PlannedSink, number: u64) -> Vec<u8> {
    encoded_of(sink, "Jakarta", number)
}

pub fn encoded_of(sink: &dyn PlannedSink, city: &str, number: u64) -> Vec<u8> {
    let encoded = sink.encoder().encode(&batch_of(city, &[number]), Some(origin(&[number as i64], &[None]))).unwrap();
    assert_eq!((encoded.rows, encoded.refused), (vec![0], vec![]));
    encoded.records.record(0).to_vec()
}

pub fn context(services: Option<Arc<dyn Services>>) -> SinkContext {
    let _ = rustls::crypto::ring::default_provider().install_default();
    SinkContext {
        http: HttpOptions {
            call_time_max: delivery::contract::CALL_TIME,
            ..HttpOptions::reaching(AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]))
        },
        owner: "owner".to_owned(),
        incarnation: "1".to_owned(),
        topic: "bookings".to_owned(),
        secrets: [("token".to_owned(), "abc\n".to_owned())].into(),
        services,
    }
}

/// A sink of records with the columns of [`batch`], `kind` among its settings.
pub fn plan(mut document: Value, services: Option<Arc<dyn Services>>) -> Result<Box<dyn PlannedSink>, SettingError> {
    let document = document.as_object_mut().unwrap();
    let name = document.shift_remove("kind").unwrap();
    let kind = kind(name.as_str().unwrap()).unwrap();
    let settings = Settings::read(kind.description(), document)?;
    let schema = batch(&[]).schema();
    let input = SinkInput { schema: &schema, key_columns: None, time_column: None };
    kind.plan(&settings, &input, &context(services))
}

/// What is wrong with the settings.
pub fn refusal(document: Value, services: Option<Arc<dyn Services>>) -> SettingError {
    match plan(document.clone(), services) {
        Ok(_) => panic!("nothing is wrong with {document}"),
        Err(error) => {
            assert!(!error.hint.is_empty(), "{error:?}");
            error
        }
    }
}

/// A document with more settings.
pub fn with(document: &Value, more: &Value) -> Value {
    let mut document = document.clone();
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

/// Shown by `cargo test -- --nocapture`.
pub fn print(sink: &str, outcomes: &[Outcome], cases: &[Case]) {
    assert_eq!(outcomes.len(), cases.len());
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
