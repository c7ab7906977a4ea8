//! The states that daggers go through, and why.

use crate::open_platform::{open, open_with_topics, until};
use control::access::Actor;
use control::job_state::TRANSITIONS;
use control::{Metadata, Platform, TopicSpec};
use serde_json::Value;
use std::time::Duration;

const COPY: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: copy}
spec:
  streams: [{topics: [events], schema: t.Event, timestamp: record, onBadRecord: fail}]
  sql: SELECT name, rowtime FROM data_stream WHERE amount > 0
";

/// The last of what is kept, the oldest first, as `state: reason`, once it ends so.
async fn states(platform: &Platform, last: &[&str]) {
    let ask = || async {
        let history = platform.dagger_history("copy").await.unwrap();
        let text =
            |line: &Value| format!("{}: {}", line["state"].as_str().unwrap(), line["reason"].as_str().unwrap_or("-"));
        history.iter().take(last.len()).rev().map(text).collect::<Vec<_>>()
    };
    // An error is told in words of its own.
    let is_so = |found: &Vec<String>| {
        found.len() == last.len() && found.iter().zip(last).all(|(found, wanted)| found.starts_with(wanted))
    };
    until(ask, is_so).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_has_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &[]).await;
    let server = Actor::server();
    platform.create_topic(&server, &Metadata::named("events"), &TopicSpec::new(1, None)).await.unwrap();
    platform.apply_dagger(&server, COPY).await.unwrap();
    states(&platform, &["deploying: applied by millrace", "running: -"]).await;
    platform.stop_dagger(&server, "copy").await.unwrap();
    states(&platform, &["stopping: stopped by millrace", "suspended: stopped by millrace"]).await;
    platform.start_dagger(&server, "copy").await.unwrap();
    states(&platform, &["suspended: stopped by millrace", "deploying: started by millrace", "running: -"]).await;
    // A change is one step for those who look, though the former run stops first.
    platform.apply_dagger(&server, &COPY.replace("amount > 0", "amount > 1")).await.unwrap();
    states(&platform, &["running: -", "deploying: applied by millrace", "running: -"]).await;
    let broken = control::records::RecordDraft {
        value: control::records::DraftValue::Protobuf(bytes::Bytes::from_static(b"\x0a\x09a")),
        ..Default::default()
    };
    platform.produce("events", vec![Ok(broken)], None).await.unwrap();
    states(&platform, &["running: -", "failed: "]).await;
    platform.stop_dagger(&server, "copy").await.unwrap();
    states(&platform, &["failed: ", "suspended: stopped by millrace"]).await;
    platform.close().await.unwrap();
    drop(platform);

    let platform = open(directory.path()).await;
    states(&platform, &["suspended: the server started"]).await;
    platform.delete_dagger(&server, "copy").await.unwrap();
    platform.close().await.unwrap();
}

/// What is shown leaves out what is quickly over, and never goes where a job cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_in_any_order_lead_along_the_transitions() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let server = Actor::server();
    platform.apply_dagger(&server, COPY).await.unwrap();
    let orders = (0..24).map(|turn| {
        let (platform, server) = (&platform, &server);
        let order = async move {
            match turn % 3 {
                0 => platform.stop_dagger(server, "copy").await.map(drop),
                1 => platform.start_dagger(server, "copy").await.map(drop),
                _ => {
                    let text = COPY.replace("amount > 0", &format!("amount > {turn}"));
                    platform.apply_dagger(server, &text).await.map(drop)
                }
            }
        };
        // One that is overtaken by another would wait in vain for what it has ordered.
        tokio::time::timeout(Duration::from_secs(3), order)
    });
    for outcome in futures::future::join_all(orders).await {
        outcome.unwrap_or(Ok(())).unwrap();
    }
    platform.start_dagger(&server, "copy").await.unwrap();
    let last = || async { platform.dagger_history("copy").await.unwrap() };
    let history = until(last, |history| history[0]["state"] == "running").await;
    let states: Vec<&str> = history.iter().rev().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states[..2], ["deploying", "running"]);
    for pair in states.windows(2) {
        let is_legal = |pair: &[&str]| TRANSITIONS.iter().any(|(from, to, _)| [from.as_str(), to.as_str()] == pair);
        // While one that is to start anew stops, it is shown as deploying already.
        let is_ahead = pair[1] == "deploying" || pair == ["deploying", "suspended"];
        assert!(is_legal(pair) || is_ahead, "{states:?}");
    }
    platform.close().await.unwrap();
}
