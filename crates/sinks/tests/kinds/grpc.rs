//! gRPC as a kind, against a real server by tonic.

use crate::grpc_server::{CA, GrpcServer, Shop};
use crate::platform::platform;
use crate::rows::{batch, encoded, encoded_of, origin, plan, print, refusal, with};
use async_trait::async_trait;
use delivery::contract::{Case, Subject, TestServer, check};
use delivery::{Answer, Destination, EncodedBatch, EncodedBatchBuilder, ErrorClass};
use serde_json::{Value, json};
use sinks::{PlannedSink, Services};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The batches of the cases have about so many records, half of them in each lane.
const CALLS_OF_BATCH: u64 = 40;

fn services() -> Option<Arc<dyn Services>> {
    Some(platform() as Arc<dyn Services>)
}

fn shop() -> Arc<Shop> {
    Shop::new(platform().schemas.message("shop.Order").unwrap(), 1)
}

fn settings(url: &str) -> Value {
    json!({ "kind": "grpc", "url": url, "method": "shop.Orders/Take", "deadline": "800ms" })
}

fn sink(url: &str, more: &Value) -> Box<dyn PlannedSink> {
    plan(with(&settings(url), more), services()).unwrap()
}

/// Orders of one city each, with keys if there are any.
fn orders(sink: &dyn PlannedSink, cities: &[&str], keys: &[u64]) -> EncodedBatch {
    let mut builder = EncodedBatchBuilder::default();
    for (n, city) in cities.iter().enumerate() {
        builder.push(&encoded_of(sink, city, n as u64));
    }
    match keys {
        [] => builder.finish(),
        keys => builder.finish().keyed(&keys.into()),
    }
}

struct Grpc {
    shop: Arc<Shop>,
    sink: Box<dyn PlannedSink>,
}

#[async_trait]
impl Subject for Grpc {
    async fn server(&self) -> io::Result<Box<dyn TestServer>> {
        Ok(Box::new(GrpcServer::start(Arc::clone(&self.shop), false).await))
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        sink(url, &json!({})).destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encoded(self.sink.as_ref(), number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        encoded_of(self.sink.as_ref(), "poison", number)
    }

    async fn stored(&self) -> Vec<u64> {
        self.shop.orders().iter().map(|order| order.n).collect()
    }

    fn is_idempotent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_by_tonic() {
    let outcomes = check(async || {
        let order = platform().schemas.message("shop.Order").unwrap();
        Grpc { shop: Shop::new(order, CALLS_OF_BATCH), sink: sink("http://127.0.0.1:1", &json!({})) }
    })
    .await;
    print("gRPC", &outcomes, &Case::ALL);
    // The server says which call it refuses, so nothing is halved.
    let poison = outcomes.iter().find(|outcome| outcome.case == Case::Poison).unwrap();
    assert_eq!(poison.counts.calls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_with_the_same_key_wait_for_each_other() {
    let server = GrpcServer::start(shop(), false).await;
    *server.shop.think.lock().unwrap() = Duration::from_millis(20);
    let sink = sink(&server.url(), &json!({ "inFlight": 4 }));
    let keys: Vec<u64> = (0..40).map(|n| n % 2).collect();
    let records = orders(sink.as_ref(), &["Jakarta"; 40], &keys);
    assert_eq!(sink.destination().unwrap().deliver(&records).await, Ok(Answer::delivered()));
    let of_key =
        |key: u64| server.shop.orders().iter().map(|order| order.n).filter(|n| n % 2 == key).collect::<Vec<_>>();
    assert!(of_key(0).is_sorted() && of_key(1).is_sorted());
    assert_eq!(server.shop.at_once_max.load(Ordering::SeqCst), 2);
    // Without keys there is no order, but a limit.
    let records = orders(sink.as_ref(), &["Jakarta"; 40], &[]);
    assert_eq!(sink.destination().unwrap().deliver(&records).await, Ok(Answer::delivered()));
    assert_eq!(server.shop.at_once_max.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_stands_in_nobodys_way() {
    let server = GrpcServer::start(shop(), false).await;
    let sink = sink(&server.url(), &json!({}));
    let records = orders(sink.as_ref(), &["Jakarta", "poison", "Jakarta"], &[7, 7, 7]);
    let answer = sink.destination().unwrap().deliver(&records).await.unwrap();
    let errors: Vec<(usize, ErrorClass)> = answer.errors.iter().map(|error| (error.index, error.class)).collect();
    assert_eq!(errors, [(1, ErrorClass::Refused)]);
    assert_eq!(answer.errors[0].reason, "it answers InvalidArgument: nobody lives there");
    assert_eq!(server.shop.orders().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_can_say_no() {
    let server = GrpcServer::start(shop(), false).await;
    let sink = sink(&server.url(), &json!({ "successWhen": "accepted == true" }));
    let records = orders(sink.as_ref(), &["Jakarta", "closed", "poison", "Jakarta"], &[]);
    let answer = sink.destination().unwrap().deliver(&records).await.unwrap();
    let errors: Vec<(usize, ErrorClass)> = answer.errors.iter().map(|error| (error.index, error.class)).collect();
    assert_eq!(errors, [(1, ErrorClass::Refused), (2, ErrorClass::Refused)]);
    let reason = &answer.errors[0].reason;
    assert!(reason.contains("`accepted == true`") && reason.contains(r#""reason":"closed""#), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_ends_the_calls_of_a_batch() {
    let server = GrpcServer::start(shop(), false).await;
    server.follow(Box::new(|call| match call {
        2 => delivery::contract::Fault::Answer { status: 429, retry_after_seconds: Some(3) },
        _ => delivery::contract::Fault::None,
    }));
    let sink = sink(&server.url(), &json!({ "inFlight": 1 }));
    let records = orders(sink.as_ref(), &["Jakarta"; 5], &[]);
    let answer = sink.destination().unwrap().deliver(&records).await.unwrap();
    assert_eq!(answer.retry_after, Some(Duration::from_secs(3)));
    let errors: Vec<(usize, ErrorClass)> = answer.errors.iter().map(|error| (error.index, error.class)).collect();
    assert_eq!(errors, [2, 3, 4].map(|index| (index, ErrorClass::Throttled)));
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_come_from_templates_and_secrets() {
    let server = GrpcServer::start(shop(), false).await;
    let more = json!({ "metadata": { "X-Source": "{{ city }}" }, "secretMetadata": { "authorization": "token" } });
    let sink = sink(&server.url(), &more);
    let records = orders(sink.as_ref(), &["Jakarta"], &[]);
    assert_eq!(sink.destination().unwrap().deliver(&records).await, Ok(Answer::delivered()));
    let metadata = &server.shop.orders()[0].metadata;
    let value = |name: &str| metadata.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((value("x-source"), value("authorization")), ("Jakarta".to_owned(), "abc".to_owned()));
    assert!(value("grpc-timeout").ends_with('u') || value("grpc-timeout").ends_with('n'));
    // What waits to be sent has no secret in it.
    assert!(!records.bytes().windows(3).any(|part| part == b"abc"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_checks_the_server() {
    let server = GrpcServer::start(shop(), true).await;
    let one = async |more: Value| {
        let sink = sink(&server.url(), &more);
        let records = orders(sink.as_ref(), &["Jakarta"], &[]);
        sink.destination().unwrap().deliver(&records).await
    };
    assert_eq!(one(json!({ "caCertificate": CA, "serverName": "orders.test" })).await, Ok(Answer::delivered()));
    for (more, words) in [
        (json!({ "caCertificate": CA, "serverName": "other.test" }), "not valid for name"),
        (json!({ "serverName": "orders.test" }), "no TLS"),
    ] {
        let error = one(more.clone()).await.unwrap_err();
        assert!(error.class == ErrorClass::Down && error.reason.contains(words), "{more}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_checked_addresses_are_connected_to() {
    let server = GrpcServer::start(shop(), false).await;
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let mut context = crate::rows::context(services());
    context.http.addresses = sinks::AddressPolicy::default();
    let kind = sinks::kind("grpc").unwrap();
    let mut document = settings(&format!("http://localhost:{port}"));
    document.as_object_mut().unwrap().shift_remove("kind");
    let settings = sinks::Settings::read(kind.description(), document.as_object().unwrap()).unwrap();
    let schema = batch(&[]).schema();
    let input = sinks::SinkInput { schema: &schema, key_columns: None, time_column: None };
    let sink = kind.plan(&settings, &input, &context).unwrap();
    let records = orders(sink.as_ref(), &["Jakarta"], &[]);
    let error = sink.destination().unwrap().deliver(&records).await.unwrap_err();
    assert!(error.reason.contains("a loopback address, which sinks may not reach"), "{error:?}");
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn what_does_not_fit_is_named() {
    for (more, key, detail) in [
        (json!({ "url": "http://127.0.0.1:1/path" }), Some("url"), "has a path"),
        (json!({ "url": "http://10.0.0.1:50051" }), Some("url"), "a private address"),
        (json!({ "method": "shop.Orders/Tak" }), Some("method"), "no method"),
        (json!({ "method": "shop.Orders/Follow" }), Some("method"), "is a stream"),
        (json!({ "deadline": "0ms" }), Some("deadline"), "no less"),
        (json!({ "deadline": "31s" }), Some("deadline"), "up to 30 s"),
        (json!({ "caCertificate": CA }), Some("caCertificate"), "is for TLS"),
        (json!({ "url": "https://127.0.0.1:1", "caCertificate": "x" }), Some("caCertificate"), "no certificate"),
        (json!({ "metadata": { "grpc-timeout": "1" } }), Some("metadata"), "no name of metadata"),
        (json!({ "metadata": { "a b": "1" } }), Some("metadata"), "no name of metadata"),
        (json!({ "metadata": { "a-bin": "1" } }), Some("metadata"), "no name of metadata"),
        (json!({ "metadata": { "a": "{{" } }), Some("metadata"), "`a`"),
        (json!({ "secretMetadata": { "a": "nothing" } }), Some("secretMetadata"), "no secret"),
        (json!({ "successWhen": "(" }), Some("successWhen"), ""),
        (json!({ "successWhen": "taken == true" }), Some("successWhen"), "taken"),
        (json!({ "metadata": { "a": "{{ m }}" } }), Some("metadata"), "`a`"),
    ] {
        let error = refusal(with(&settings("http://127.0.0.1:1"), &more), services());
        assert_eq!(error.key.as_deref(), key, "{more}: {error:?}");
        assert!(error.detail.contains(detail), "{more}: {error:?}");
    }
    assert!(refusal(settings("http://127.0.0.1:1"), None).detail.contains("is not there"));
}

#[test]
fn metadata_that_cannot_be_sent_refuse_their_row() {
    let sink = sink("http://127.0.0.1:1", &json!({ "metadata": { "city": "Straße" } }));
    let encoded = sink.encoder().encode(&batch(&[1]), Some(origin(&[1], &[None]))).unwrap();
    assert_eq!(encoded.refused.len(), 1);
    assert!(encoded.refused[0].1.contains("`city`"));
}
