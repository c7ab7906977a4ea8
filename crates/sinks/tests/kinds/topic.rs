//! Another topic as a kind, before a double of the platform.

use crate::platform::{PlatformServer, Shared, platform};
use crate::rows::{TIME_MS, batch, encoded, encoded_of, origin, plan, print, refusal, with};
use async_trait::async_trait;
use bytes::Bytes;
use delivery::contract::{CALL_TIME, Case, Subject, TestServer, check_in};
use delivery::{CourierOptions, Destination, ErrorClass};
use log::NewRecord;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use sinks::{PlannedSink, Services};
use std::io;
use std::sync::Arc;

/// A log has no word for that there are too many calls.
const CASES: [Case; 8] = [
    Case::Well,
    Case::Down,
    Case::Slow,
    Case::Reset,
    Case::OneOfHundredFails,
    Case::AuthRevoked,
    Case::Poison,
    Case::Restart,
];

fn settings() -> Value {
    json!({ "kind": "topic", "topic": "orders", "timestampColumn": "at" })
}

fn services(platform: &Arc<Shared>) -> Option<Arc<dyn Services>> {
    Some(Arc::clone(platform) as Arc<dyn Services>)
}

struct Topic {
    platform: Arc<Shared>,
    sink: Box<dyn PlannedSink>,
}

#[async_trait]
impl Subject for Topic {
    async fn server(&self) -> io::Result<Box<dyn TestServer>> {
        Ok(Box::new(PlatformServer(Arc::clone(&self.platform))))
    }

    fn destination(&self, _: &str) -> Arc<dyn Destination> {
        self.sink.destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encoded(self.sink.as_ref(), number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        encoded_of(self.sink.as_ref(), "poison", number)
    }

    async fn stored(&self) -> Vec<u64> {
        let records = self.platform.records.lock().unwrap();
        records
            .iter()
            .map(|(_, record)| order(&self.platform, record).get_field_by_name("n").unwrap().as_i64().unwrap() as u64)
            .collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { call_time_max: CALL_TIME, ..options }
    }

    fn is_idempotent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_double() {
    let outcomes = check_in(&CASES, async || {
        let platform = platform();
        let sink = plan(settings(), services(&platform)).unwrap();
        Topic { platform, sink }
    });
    let outcomes = outcomes.await;
    print("topic (double)", &outcomes, &CASES);
    let poison = outcomes.iter().find(|outcome| outcome.case == Case::Poison).unwrap();
    assert_eq!((poison.counts.calls, poison.duplicates), (1, 0));
}

fn order(platform: &Shared, record: &NewRecord) -> DynamicMessage {
    let order = platform.schemas.message("shop.Order").unwrap();
    DynamicMessage::decode(order, record.value.clone().unwrap()).unwrap()
}

/// What a sink with these settings writes of one row.
async fn written(document: Value) -> NewRecord {
    let platform = platform();
    let sink = plan(document, services(&platform)).unwrap();
    let encoded = sink.encoder().encode(&batch(&[7]), Some(origin(&[1], &[None]))).unwrap();
    assert_eq!(encoded.refused, []);
    sink.destination().unwrap().deliver(&encoded.records).await.unwrap();
    platform.records.lock().unwrap().remove(0).1
}

#[tokio::test]
async fn records_have_value_key_headers_and_time() {
    let more = json!({ "key": "{{ n }}", "headers": { "from": "{{ city | lower }}", "by": "millrace" } });
    let record = written(with(&settings(), &more)).await;
    assert_eq!((record.key.as_deref(), record.timestamp_ms), (Some(&b"7"[..]), Some(TIME_MS + 7)));
    let header = |name: &str, value: &'static str| (name.to_owned(), Bytes::from(value));
    assert_eq!(record.headers, [header("from", "jakarta"), header("by", "millrace")]);
    let decoded = order(&platform(), &record);
    assert_eq!(decoded.get_field_by_name("n").unwrap().as_i64(), Some(7));
    assert_eq!(decoded.get_field_by_name("city").unwrap().as_str(), Some("Jakarta"));
}

#[tokio::test]
async fn values_can_be_copied_and_keys_can_be_messages() {
    let copied = written(json!({ "kind": "topic", "topic": "bytes", "valueColumn": "city" })).await;
    assert_eq!((copied.key, copied.value.as_deref()), (None, Some(&b"Jakarta"[..])));
    let keyed = written(json!({ "kind": "topic", "topic": "keyed", "keyColumns": ["n"] })).await;
    assert_eq!(keyed.key.as_deref(), Some(&[8, 7][..]));
    let named = written(json!({ "kind": "topic", "topic": "bytes", "schema": "shop.Order" })).await;
    assert!(named.value.is_some());
}

#[tokio::test]
async fn what_is_no_record_of_this_sink_is_a_bad_record() {
    let sink = plan(settings(), services(&platform())).unwrap();
    let mut records = delivery::EncodedBatchBuilder::default();
    records.push(b"\xff\xff");
    let error = sink.destination().unwrap().deliver(&records.finish()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::BadRecord);
}

#[test]
fn what_does_not_fit_is_named() {
    for (more, key, detail) in [
        (json!({ "topic": "bookings" }), "topic", "is the topic that is read"),
        (json!({ "topic": "other" }), "topic", "no topic `other`"),
        (json!({ "topic": "bytes" }), "schema", "no message type"),
        (json!({ "schema": "shop.Receipt" }), "schema", "are shop.Order"),
        (json!({ "topic": "bytes", "schema": "shop.Receipt" }), "schema", "city"),
        (json!({ "topic": "keyed", "key": "k" }), "key", "are messages"),
        (json!({ "keyColumns": ["n"] }), "keyColumns", "no messages"),
        (json!({ "topic": "keyed", "keyColumns": ["m"] }), "keyColumns", "no column"),
        (json!({ "valueColumn": "n" }), "valueColumn", "has the type Int64"),
        (json!({ "valueColumn": "city", "schema": "shop.Order" }), "schema", "copied"),
        (json!({ "timestampColumn": "n" }), "timestampColumn", "has the type Int64"),
        (json!({ "key": "{{ m }}" }), "key", "m"),
        (json!({ "headers": { "a": "{{" } }), "headers", ""),
    ] {
        let error = refusal(with(&settings(), &more), services(&platform()));
        assert_eq!(error.key.as_deref(), Some(key), "{more}: {error:?}");
        assert!(error.detail.contains(detail), "{more}: {error:?}");
    }
}
