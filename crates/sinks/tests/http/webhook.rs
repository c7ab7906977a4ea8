//! The sink `webhook` against a receiver that reads CloudEvents, checks signatures and knows events again by their id.

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use delivery::contract::{FaultyServer, Request, Response, Subject, Upstream, check};
use delivery::{CourierOptions, Destination};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sinks::PlannedSink;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::planned::{encode, plan, print, texts};

/// Events by source and id, as the specification says that they are the same.
#[derive(Default)]
struct EventReceiver {
    events: Mutex<BTreeMap<(String, String), Value>>,
    requests: Mutex<Vec<Request>>,
}

fn is_signed(request: &Request) -> bool {
    let header = |name| request.header(name).unwrap_or_default();
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&request.body);
    let now = chrono::Utc::now().timestamp();
    let sent: i64 = header("webhook-timestamp").parse().unwrap_or_default();
    header("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        && (now - sent).abs() < 300
}

#[async_trait]
impl Upstream for EventReceiver {
    async fn answer(&self, request: Request) -> Response {
        self.requests.lock().unwrap().push(request.clone());
        if !is_signed(&request) {
            return Response::new(401, "no signature");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let events = match request.header("content-type") {
            Some("application/cloudevents+json; charset=utf-8") => vec![body],
            Some("application/cloudevents-batch+json; charset=utf-8") => body.as_array().unwrap().clone(),
            Some("application/json") => {
                let header = |name| request.header(name).unwrap();
                assert_eq!(header("ce-specversion"), "1.0");
                vec![
                    json!({ "id": header("ce-id"), "source": header("ce-source"), "type": header("ce-type"), "data": body }),
                ]
            }
            _ => return Response::new(415, "what is it?"),
        };
        if let Some(poison) = events.iter().find(|event| event["data"]["note"] == "poison") {
            return Response::new(422, format!("{} is poison", poison["id"]));
        }
        let known_by = |event: &Value| ["source", "id"].map(|name| event[name].as_str().unwrap().to_owned()).into();
        self.events.lock().unwrap().extend(events.iter().map(|event| (known_by(event), event.clone())));
        Response::new(204, "")
    }
}

fn rows(records: &[(u64, &str)]) -> RecordBatch {
    let time = records.iter().map(|(n, _)| 1_767_225_600_000 + *n as i64);
    RecordBatch::try_from_iter([
        ("n", Arc::new(UInt64Array::from_iter_values(records.iter().map(|(n, _)| *n))) as ArrayRef),
        ("note", Arc::new(StringArray::from_iter_values(records.iter().map(|(_, note)| *note))) as ArrayRef),
        ("time", Arc::new(TimestampMillisecondArray::from_iter_values(time)) as ArrayRef),
    ])
    .unwrap()
}

fn sink(url: &str, mode: &str) -> Box<dyn PlannedSink> {
    let document = json!({
        "url": format!("{url}/hook"), "mode": mode, "type": "shop.order", "source": "/shop", "signingSecret": "signing", "timeout": "800ms",
    });
    plan("webhook", document, &rows(&[]).schema()).unwrap()
}

struct Webhook {
    receiver: Arc<EventReceiver>,
    mode: &'static str,
    sink: Box<dyn PlannedSink>,
}

impl Webhook {
    fn new(mode: &'static str) -> Self {
        // The address is in the records where their heads differ, and the server's is known only later.
        Self { receiver: Arc::default(), mode, sink: sink("http://127.0.0.1:1", mode) }
    }
}

#[async_trait]
impl Subject for Webhook {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.receiver) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        sink(url, self.mode).destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, "good")]), number as i64).records.record(0).to_vec()
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, "poison")]), number as i64).records.record(0).to_vec()
    }

    async fn stored(&self) -> Vec<u64> {
        self.receiver.events.lock().unwrap().values().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { batch_records_max: options.batch_records_max.min(self.sink.limits().records_max), ..options }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_events() {
    let outcomes = check(async || Webhook::new("batch")).await;
    print("Webhook, batch", &outcomes);
}

#[tokio::test]
async fn events_of_every_form_are_signed() {
    let receiver = Arc::new(EventReceiver::default());
    let server = FaultyServer::start(Arc::clone(&receiver) as _).await.unwrap();
    for (mode, first_offset) in [("structured", 0), ("binary", 10), ("batch", 20)] {
        let planned = sink(&server.url(), mode);
        let records = encode(planned.as_ref(), &rows(&[(1, "a"), (2, "poison"), (3, "c")]), first_offset).records;
        let destination = planned.destination().unwrap();
        for index in 0..3 {
            let answer = destination.deliver(&records.part(index..index + 1)).await;
            assert_eq!(answer.is_ok(), index != 1, "{mode}: {answer:?}");
        }
        // The same again is the same.
        assert!(destination.deliver(&records.part(0..1)).await.is_ok());
    }
    let events = receiver.events.lock().unwrap();
    let ids: Vec<&str> = events.keys().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids, ["orders/0/0", "orders/0/10", "orders/0/12", "orders/0/2", "orders/0/20", "orders/0/22"]);
    let requests = receiver.requests.lock().unwrap();
    let ids = requests.iter().map(|request| request.header("webhook-id").unwrap());
    assert_eq!(ids.take(4).collect::<Vec<_>>(), ["orders/0/0", "orders/0/1", "orders/0/2", "orders/0/0"]);
}

#[test]
fn rows_become_events() {
    let document = json!({
        "url": "http://shop.example/hook/{{ n }}", "type": "shop.order.{{ note }}", "subject": "{{ note }}", "mode": "structured",
    });
    let planned = plan("webhook", document.clone(), &rows(&[]).schema()).unwrap();
    let encoded = encode(planned.as_ref(), &rows(&[(7, "paid"), (8, "a\nb")]), 17);
    assert_eq!(
        texts(&encoded.records),
        [concat!(
            "http://shop.example/hook/7\n\n",
            r#"{"specversion":"1.0","id":"orders/0/17","source":"/millrace/test","type":"shop.order.paid","subject":"paid","#,
            r#""time":"2026-01-01T00:00:00.007Z","datacontenttype":"application/json","#,
            r#""data":{"n":7,"note":"paid","time":"2026-01-01T00:00:00.007Z"}}"#
        )]
    );
    assert_eq!(encoded.refused, [(1, "an attribute of the event has \\u{a} in it".to_owned())]);
    let mut binary = document;
    binary["mode"] = json!("binary");
    let planned = plan("webhook", binary, &rows(&[]).schema()).unwrap();
    let text = texts(&encode(planned.as_ref(), &rows(&[(7, "é \"")]), 17).records).remove(0);
    let (head, data) = text.split_once("\n\n").unwrap();
    assert_eq!(
        head.lines().collect::<Vec<_>>(),
        [
            "http://shop.example/hook/7",
            "ce-specversion: 1.0",
            "ce-id: orders/0/17",
            "ce-source: /millrace/test",
            "ce-type: shop.order.%C3%A9%20%22",
            "ce-subject: %C3%A9%20%22",
            "ce-time: 2026-01-01T00:00:00.007Z",
        ]
    );
    assert_eq!(data, r#"{"n":7,"note":"é \"","time":"2026-01-01T00:00:00.007Z"}"#);
}

#[test]
fn what_does_not_fit_is_refused_when_planned() {
    let schema = rows(&[]).schema();
    for (key, value) in [
        ("type", json!("")),
        ("type", json!("{{ nobody }}")),
        ("source", json!("{{ nobody }}")),
        ("subject", json!("{{ nobody }}")),
        ("timeColumn", json!("n")),
        ("signingSecret", json!("key")),
        ("url", json!("hook")),
        ("mode", json!("loud")),
    ] {
        let mut document = json!({ "url": "http://shop.example/hook", "type": "shop.order" });
        document[key] = value.clone();
        let error = plan("webhook", document, &schema).err().unwrap_or_else(|| panic!("{key}: {value}"));
        assert_eq!(error.key.as_deref(), Some(key), "{error:?}");
    }
}
