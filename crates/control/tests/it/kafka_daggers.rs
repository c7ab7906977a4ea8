//! Daggers on topics of a real cluster: `scripts/kafka/with_kafka.sh --secure --acl -- cargo test ...`.

use crate::kafka_clusters::{document, variable};
use crate::open_platform::{open, open_with_topics, until};
use control::access::Actor;
use control::{AcceptedLoss, Follow, Platform, Shows, TailFilter, TailFrom, TailLine, TailRequest, TopicSpec};
use kafka::{ClusterConfig, KafkaLog};
use log::TopicLog;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names that no other test and no earlier run has used on the cluster.
fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{name}-{}-{}", std::process::id(), now.as_nanos() % 1_000_000_000)
}

fn cluster() -> KafkaLog {
    KafkaLog::connect(ClusterConfig::plaintext("test", &[&variable("MILLRACE_KAFKA_BOOTSTRAP")])).unwrap()
}

/// A platform with the cluster and a topic `events` of two partitions on it.
async fn open_with_kafka(directory: &Path, on_cluster: &str) -> Arc<Platform> {
    let platform = open_with_topics(directory, &[]).await;
    let spec = json!({ "type": "kafka", "bootstrap": [variable("MILLRACE_KAFKA_BOOTSTRAP")] });
    platform.apply_kafka_cluster(&Actor::server(), &document("kafka", spec)).await.unwrap();
    attach(&platform, "events", on_cluster, (2, "forever")).await;
    platform
}

async fn attach(platform: &Platform, name: &str, on_cluster: &str, (partitions, retention): (u32, &str)) {
    let topic = json!({
        "apiVersion": "millrace/v1", "kind": "Topic", "metadata": { "name": name },
        "spec": {
            "cluster": "kafka", "topic": on_cluster, "partitions": partitions, "schema": "t.Event", "retention": retention,
        },
    });
    let (metadata, spec) = TopicSpec::parse(&topic.to_string()).unwrap();
    platform.apply_topic(&Actor::server(), &metadata, &spec).await.unwrap();
}

fn dagger(sink: &str) -> String {
    format!(
        "apiVersion: millrace/v1
kind: Dagger
metadata: {{name: counts}}
spec:
  streams: [{{topics: [events], timestamp: at, watermark: {{delay: 0s, idle: 1h}}}}]
  sql: |
    SELECT name, COUNT(1) AS events, SUM(amount) AS amount, TUMBLE_END(rowtime, INTERVAL '1' SECOND) AS window_timestamp
    FROM data_stream GROUP BY TUMBLE(rowtime, INTERVAL '1' SECOND), name
  sinks: [{sink}]
  checkpoint: {{interval: 200ms}}
"
    )
}

/// One record for each partition, in a second of event time.
async fn publish_second(platform: &Platform, second: u32) {
    for partition in 0..2 {
        let record = json!({
            "name": format!("p{partition}"), "amount": second, "at": format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60),
        });
        let draft = control::records::RecordDraft {
            value: control::records::DraftValue::JsonValue(record),
            partition: Some(partition),
            ..control::records::RecordDraft::default()
        };
        assert_eq!(platform.produce("events", vec![Ok(draft)], None).await.unwrap().acknowledged(), 1);
    }
}

/// What is in a topic, as (name, amount), sorted.
async fn results(platform: &Platform, topic: &str) -> Vec<(String, i64)> {
    let request = TailRequest {
        from: TailFrom::Earliest,
        partition: None,
        limit: Some(10_000),
        follow: Follow::No,
        filter: TailFilter::default(),
        scan: None,
        shows: Shows::default(),
    };
    let Ok(mut lines) = platform.tail(topic, request).await else { return Vec::new() };
    let mut found = Vec::new();
    while let Some(line) = lines.recv().await {
        let TailLine::Record(record) = line.unwrap() else { continue };
        let value = &record.json["value"];
        let amount = &value["amount"];
        let amount = amount.as_i64().or_else(|| amount.as_str()?.parse().ok()).unwrap();
        found.push((value["name"].as_str().unwrap().to_owned(), amount));
    }
    found.sort();
    found
}

fn expected(seconds: std::ops::Range<u32>) -> Vec<(String, i64)> {
    let mut all: Vec<_> =
        seconds.flat_map(|second| (0..2).map(move |p| (format!("p{p}"), i64::from(second)))).collect();
    all.sort();
    all
}

async fn status(platform: &Platform) -> Value {
    platform.dagger("counts").await.unwrap()["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_in_a_topic_of_the_cluster_exactly_once_whoever_wrote_them() {
    let (directory, events, counts) = (tempfile::tempdir().unwrap(), unique("events"), unique("counts"));
    let platform = open_with_kafka(directory.path(), &events).await;
    let sink = format!("{{kind: topic, topic: {counts}, cluster: kafka}}");
    let applied = platform.apply_dagger(&Actor::server(), &dagger(&sink)).await.unwrap();
    assert_eq!(applied.resource["status"]["state"], "running", "{}", applied.resource);
    let described = &applied.resource["status"]["sinks"][0];
    assert_eq!((&described["delivery"], &described["visibleEvery"]), (&json!("exactlyOnce"), &json!("200ms")));
    for second in 0..10 {
        publish_second(&platform, second).await;
    }
    until(|| results(&platform, &counts), |found| *found == expected(0..9)).await;
    // Stopped and started, and once more in another process.
    platform.stop_dagger(&Actor::server(), "counts").await.unwrap();
    publish_second(&platform, 10).await;
    platform.start_dagger(&Actor::server(), "counts").await.unwrap();
    until(|| results(&platform, &counts), |found| *found == expected(0..10)).await;
    platform.close().await.unwrap();
    drop(platform);
    let platform = open(directory.path()).await;
    for second in 11..14 {
        publish_second(&platform, second).await;
    }
    until(|| results(&platform, &counts), |found| *found == expected(0..13)).await;
    let ledger = status(&platform).await["ledger"].clone();
    assert_eq!(
        (&ledger["consumed"], &ledger["delivered"], &ledger["held"]),
        (&json!(28), &json!(26), &json!(2)),
        "{ledger}"
    );
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_stops_its_dagger_until_somebody_decides() {
    let (directory, events) = (tempfile::tempdir().unwrap(), unique("events"));
    let platform = open_with_kafka(directory.path(), &events).await;
    platform.apply_dagger(&Actor::server(), &dagger("{kind: log}")).await.unwrap();
    publish_second(&platform, 0).await;
    until(|| status(&platform), |status| status["ledger"]["consumed"] == 2).await;
    let cluster = cluster();
    cluster.delete_topic(&events).await.unwrap();
    let gone = until(|| status(&platform), |status| status["state"] == "failing" || status["state"] == "failed").await;
    assert!(
        gone["problem"].as_str().is_some_and(|problem| problem.contains(&events) || problem.contains("events")),
        "{gone}"
    );
    until(
        || async { cluster.create_topic(&events, log::TopicConfig::with_partitions(2)).await.is_ok() },
        |created| *created,
    )
    .await;
    let asking = until(|| status(&platform), |status| status["asksAboutLoss"] == true).await;
    assert!(asking["problem"].as_str().is_some_and(|problem| problem.contains("made anew")), "{asking}");
    publish_second(&platform, 1).await;
    // Starting alone decides nothing.
    platform.start_dagger(&Actor::server(), "counts").await.unwrap();
    until(|| status(&platform), |status| status["asksAboutLoss"] == true).await;
    platform.start_dagger_accepting(&Actor::server(), "counts", Some(AcceptedLoss::Earliest)).await.unwrap();
    let running = until(|| status(&platform), |status| status["ledger"]["consumed"] == 4).await;
    assert_eq!((&running["state"], &running["asksAboutLoss"]), (&json!("running"), &json!(false)), "{running}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_read_from_their_beginning() {
    let (directory, events) = (tempfile::tempdir().unwrap(), unique("events"));
    let platform = open_with_kafka(directory.path(), &events).await;
    let from_latest = dagger("{kind: log}").replace("timestamp: at", "timestamp: at, startFrom: latest");
    platform.apply_dagger(&Actor::server(), &from_latest).await.unwrap();
    publish_second(&platform, 0).await;
    until(|| status(&platform), |status| status["ledger"]["consumed"] == 2).await;
    let cluster = cluster();
    cluster.add_partitions(&events, 3).await.unwrap();
    // Before the dagger knows of it.
    until(|| async { cluster.topic(&events).await.map_or(0, |topic| topic.partitions.len()) }, |count| *count == 3)
        .await;
    let record = json!({ "name": "p2", "amount": 1, "at": "2026-01-01T00:00:00Z" });
    let draft = control::records::RecordDraft {
        value: control::records::DraftValue::JsonValue(record),
        partition: Some(2),
        ..control::records::RecordDraft::default()
    };
    let produced = platform.produce("events", vec![Ok(draft)], None).await.unwrap();
    assert_eq!(produced.acknowledged(), 1);
    let status = until(|| status(&platform), |status| status["ledger"]["consumed"] == 3).await;
    assert_eq!(status["partitions"].as_array().map(Vec::len), Some(3));
    platform.close().await.unwrap();
}

/// Also one that does nothing but read, which an outage does not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_dagger_goes_on_at_the_new_address_of_its_cluster() {
    let (directory, events) = (tempfile::tempdir().unwrap(), unique("events"));
    let platform = open_with_kafka(directory.path(), &events).await;
    platform.apply_dagger(&Actor::server(), &dagger("{kind: log}")).await.unwrap();
    publish_second(&platform, 0).await;
    until(|| status(&platform), |status| status["ledger"]["consumed"] == 2).await;
    let at = |address: String| document("kafka", json!({ "type": "kafka", "bootstrap": [address] }));
    platform.apply_kafka_cluster(&Actor::server(), &at("127.0.0.1:1".to_owned())).await.unwrap();
    let lost = until(|| status(&platform), |status| status["problem"].is_string()).await;
    assert!(lost["problem"].as_str().unwrap_or_default().contains("no broker answers"), "{lost}");
    platform.apply_kafka_cluster(&Actor::server(), &at(variable("MILLRACE_KAFKA_BOOTSTRAP"))).await.unwrap();
    publish_second(&platform, 1).await;
    let well = until(|| status(&platform), |status| status["ledger"]["consumed"] == 4).await;
    assert_eq!(well["state"], "running", "{well}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_retention_will_remove_soon_are_noticed() {
    let (directory, events, counts) = (tempfile::tempdir().unwrap(), unique("events"), unique("counts"));
    let platform = open_with_kafka(directory.path(), &events).await;
    let described = platform.topic("events").await.unwrap().to_json();
    assert_eq!(described["spec"]["retention"], "forever");
    attach(&platform, "counts", &counts, (1, "1h")).await;
    let sink = "{kind: topic, topic: counts, schema: t.Event, delivery: atLeastOnce}";
    let yaml = dagger(sink).replace("COUNT(1) AS events, ", "").replace("AS window_timestamp", "AS at");
    platform.apply_dagger(&Actor::server(), &yaml).await.unwrap();
    for second in 0..3 {
        publish_second(&platform, second).await;
    }
    let noticed = until(|| status(&platform), |status| status["notices"][0].is_string()).await;
    let notice = noticed["notices"][0].as_str().unwrap_or_default().to_owned();
    assert!(notice.contains("keeps records for 1h") && notice.contains(&counts), "{notice}");
    platform.close().await.unwrap();
}
