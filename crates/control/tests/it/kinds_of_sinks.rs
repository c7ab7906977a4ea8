//! Daggers write to every kind of sink that firehoses write to.

use crate::open_platform::{PROTO, publish, push, until};
use crate::test_database;
use async_trait::async_trait;
use control::access::{Actor, Caller};
use control::{AddressPolicy, DeadLetterQuery, Metadata, Platform, PlatformOptions, TopicSpec};
use delivery::contract::{FaultyServer, Request, Response, Upstream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Takes JSON objects, and refuses those with a name.
#[derive(Default)]
struct Receiver {
    rows: Mutex<Vec<Value>>,
    refused: Mutex<Option<String>>,
}

#[async_trait]
impl Upstream for Receiver {
    async fn answer(&self, request: Request) -> Response {
        let row: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if self.refused.lock().unwrap().as_deref() == row["name"].as_str() {
            return Response::new(400, "this name is not wanted");
        }
        self.rows.lock().unwrap().push(row);
        Response::new(200, "")
    }
}

fn dagger(sink: Value) -> String {
    json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": "copies" },
        "spec": {
            "streams": [{ "topics": ["events"], "timestamp": "at" }], "sinks": [sink],
            "sql": "SELECT name, amount FROM data_stream", "checkpoint": { "interval": "200ms" },
        },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dagger_writes_to_a_kind_that_it_does_not_know() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(PlatformOptions {
        database_url: test_database::url(directory.path()),
        sink_addresses: AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]),
        ..PlatformOptions::in_directory(directory.path())
    })
    .await
    .unwrap();
    push(&platform, PROTO).await;
    let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
    platform.create_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    let receiver = Arc::new(Receiver::default());
    *receiver.refused.lock().unwrap() = Some("unwanted".to_owned());
    let server = FaultyServer::start(Arc::clone(&receiver) as Arc<dyn Upstream>).await.unwrap();

    for (sink, detail) in [
        (json!({ "kind": "http", "ulr": "x" }), "`spec.sinks[0].ulr`"),
        (json!({ "kind": "http", "url": "http://10.1.2.3/" }), "private address"),
        (json!({ "kind": "htp", "url": "http://a/" }), "`spec.sinks[0].kind` is `htp`"),
        (json!({ "kind": "http", "url": server.url(), "secretHeaders": { "X-Key": "k" } }), "there is no secret `k`"),
    ] {
        let refused = platform.apply_dagger(&Actor::server(), &dagger(sink)).await.err().unwrap();
        assert!(refused.detail.contains(detail), "{refused}");
    }
    let applied =
        platform.apply_dagger(&Actor::server(), &dagger(json!({ "kind": "http", "url": server.url() }))).await;
    let sink = applied.unwrap().resource["spec"]["sinks"][0].clone();
    assert_eq!((&sink["kind"], &sink["method"]), (&json!("http"), &json!("POST")));
    for (name, amount) in [("one", 1), ("unwanted", 2), ("three", 3)] {
        let event = json!({ "name": name, "amount": amount, "at": "2026-01-01T00:00:00Z" });
        publish(&platform, "events", &event.to_string()).await;
    }
    let mut rows = until(|| async { receiver.rows.lock().unwrap().clone() }, |rows| rows.len() == 2).await;
    // Several requests are on their way at a time.
    rows.sort_by_key(|row| row["amount"].as_i64());
    assert_eq!(rows, [json!({ "name": "one", "amount": 1 }), json!({ "name": "three", "amount": 3 })]);
    let query = DeadLetterQuery { dagger: Some("copies".to_owned()), ..DeadLetterQuery::default() };
    let letters = until(
        || async { platform.dead_letters(&Caller::server(), &query, None, 10).await.unwrap().items },
        |letters| letters.len() == 1,
    )
    .await;
    assert_eq!((&letters[0]["stream"], &letters[0]["kind"]), (&json!("sink.http"), &json!("undeliverable")));
    let again = platform.replay_dead_letters(&Caller::server(), None, &query).await.unwrap_err();
    assert_eq!(again.code, "dead_letter_still_refused", "{again}");
    *receiver.refused.lock().unwrap() = None;
    assert_eq!(platform.replay_dead_letters(&Caller::server(), None, &query).await.unwrap(), 1);
    assert_eq!(receiver.rows.lock().unwrap().last(), Some(&json!({ "name": "unwanted", "amount": 2 })));
    platform.close().await.unwrap();
}
