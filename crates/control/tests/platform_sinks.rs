//! Firehoses into the platform itself: from a topic to another topic, from there to the series, and to the log.

#[path = "it/open_platform.rs"]
#[allow(dead_code)]
mod open_platform;
#[path = "it/test_database.rs"]
mod test_database;

use control::access::Actor;
use control::{ControlError, Platform};
use open_platform::{open_with_topics, publish, rows, until};
use serde_json::{Value, json};
use std::sync::Arc;

fn document(name: &str, topic: &str, sink: &Value) -> Value {
    json!({
        "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": { "name": name },
        "spec": { "topic": topic, "sink": sink, "delivery": { "linger": "5ms" } },
    })
}

async fn apply(platform: &Arc<Platform>, document: &Value) -> Result<(), ControlError> {
    platform.apply_firehose(&Actor::server(), &document.to_string()).await.map(drop)
}

async fn refusal(platform: &Arc<Platform>, sink: &Value) -> ControlError {
    apply(platform, &document("refused", "events", sink)).await.unwrap_err()
}

async fn publish_amounts(platform: &Platform, amounts: std::ops::Range<i64>) {
    for amount in amounts {
        let event = json!({ "name": "a", "amount": amount, "at": "2026-01-01T00:00:00Z" });
        publish(platform, "events", &event.to_string()).await;
    }
}

async fn delivered(platform: &Platform, name: &str, records: u64) {
    let ask = || async { platform.firehose(name).await.unwrap()["status"].clone() };
    until(ask, |status| status["ledger"]["delivered"] == records).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_come_by_a_topic_into_the_series() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events", "copies"]).await;
    publish_amounts(&platform, 0..30).await;
    let series = json!({ "kind": "series", "measurement": "copied", "timeColumn": "at", "tags": ["name"] });
    apply(&platform, &document("to-series", "copies", &series)).await.unwrap();
    let topic = json!({ "kind": "topic", "topic": "copies", "timestampColumn": "at" });
    apply(&platform, &document("to-topic", "events", &topic)).await.unwrap();
    apply(&platform, &document("to-log", "events", &json!({ "kind": "log", "linesPerSecond": 1 }))).await.unwrap();
    for name in ["to-topic", "to-series", "to-log"] {
        delivered(&platform, name, 30).await;
    }
    let sums = "SELECT count(1) AS points, sum(amount) AS amounts FROM copied";
    assert_eq!(rows(&platform, sums).await, [json!({ "points": 30, "amounts": 435 })]);
    // From the beginning once more: the same points.
    platform.seek_firehose(&Actor::server(), "to-series", control::SeekTo::Earliest).await.unwrap();
    delivered(&platform, "to-series", 60).await;
    assert_eq!(rows(&platform, sums).await, [json!({ "points": 30, "amounts": 435 })]);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_platform_does_not_have_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events", "copies"]).await;
    for (sink, detail, hint) in [
        (json!({ "kind": "topic", "topic": "copie" }), "no topic `copie`", "did you mean `copies`?"),
        (json!({ "kind": "topic", "topic": "events" }), "which it reads", "another topic"),
        (json!({ "kind": "topic", "topic": "copies", "schema": "t.Other" }), "are t.Event", "leave it out"),
        (json!({ "kind": "series", "measurement": "m".repeat(300), "timeColumn": "at" }), "too long", "measurement"),
        (json!({ "kind": "grpc", "url": "http://orders.example", "method": "t.A/B" }), "no method", "no service"),
    ] {
        let error = refusal(&platform, &sink).await;
        assert!(error.detail.contains(detail), "{sink}: {error:?}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{sink}: {error:?}");
    }
    platform.close().await.unwrap();
}
