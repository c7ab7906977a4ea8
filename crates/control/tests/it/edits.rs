//! Edits of running queries: what is kept goes on, what is lost is read again, and nobody is told anything else before.

use crate::open_platform::{open, open_with_topics, publish, rows, until};
use control::access::Actor;
use control::{Change, Platform, StateFate};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Its windows close by event time alone.
const COUNTS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  streams: [{topics: [events], timestamp: at, watermark: {delay: 1s, idle: 1h}}]
  sql: |
    SELECT name AS tag_name, COUNT(*) AS n, SUM(amount) AS total, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream WHERE amount > 0
    GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name
";

/// The same windows in other words, with another column, and without the groups that are small.
fn keeping() -> String {
    COUNTS
        .replace(
            "COUNT(*) AS n, SUM(amount) AS total",
            "SUM(amount) AS total, SUM(amount) / COUNT(*) AS mean, COUNT(*) AS n",
        )
        .replace("MINUTE), name", "MINUTE), name\n    HAVING SUM(amount) > 5")
}

fn losing() -> String {
    COUNTS.replace("SUM(amount) AS total", "SUM(amount) AS total, MIN(amount) AS least")
}

async fn publish_at(platform: &Platform, name: &str, amount: i64, time: &str) {
    let record = json!({"name": name, "amount": amount, "at": format!("2026-01-05T{time}Z")});
    publish(platform, "events", &record.to_string()).await;
}

async fn ledger_until(platform: &Platform, cells: Value) -> Value {
    let has = |ledger: &Value| cells.as_object().unwrap().iter().all(|(cell, records)| ledger[cell] == *records);
    let ask = || async { platform.dagger("counts").await.unwrap()["status"]["ledger"].clone() };
    let ledger = until(ask, has).await;
    let cell = |name: &str| ledger[name].as_u64().unwrap();
    let sum = ["delivered", "filtered", "late", "dead_lettered", "held"].map(cell).iter().sum::<u64>();
    assert_eq!(sum, cell("consumed"), "{ledger}");
    ledger
}

/// A platform whose dagger is in the middle of a window.
async fn half_a_window(directory: &Path) -> Arc<Platform> {
    let platform = open_with_topics(directory, &["events"]).await;
    platform.apply_dagger(&Actor::server(), COUNTS).await.unwrap();
    for (name, amount, time) in [("a", 1, "01:00:10"), ("b", 2, "01:00:20"), ("a", 3, "01:00:30"), ("a", 0, "01:00:31")]
    {
        publish_at(&platform, name, amount, time).await;
    }
    ledger_until(&platform, json!({"consumed": 4, "held": 3, "filtered": 1})).await;
    platform
}

async fn the_other_half(platform: &Platform) {
    for (name, amount, time) in [("a", 5, "01:00:40"), ("b", 1, "01:00:50"), ("c", 9, "01:02:00")] {
        publish_at(platform, name, amount, time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_goes_on_through_an_edit_that_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let platform = half_a_window(directory.path()).await;
    let diff = platform.diff_dagger(&keeping()).await.unwrap();
    assert_eq!((diff.change, diff.sql_changed, diff.state.fate), (Change::Updated, true, StateFate::Kept));
    assert_eq!(
        diff.to_json(),
        json!({
            "change": "updated", "sqlChanged": true, "settings": [], "warnings": [],
            "columns": {"added": [{"name": "mean", "type": "BIGINT"}], "removed": [], "changed": []},
            "state": {
                "verdict": "kept", "lost": [], "reason": null,
                "kept": ["sum(amount), count(1) per name in windows of 1m"],
            },
        })
    );
    // To ask makes nothing.
    assert_eq!(platform.dagger_revisions("counts").await.unwrap().len(), 1);

    let applied = platform.apply_dagger(&Actor::server(), &keeping()).await.unwrap();
    assert_eq!((applied.change, applied.warnings.len()), (Change::Updated, 0), "{:?}", applied.warnings);
    ledger_until(&platform, json!({"consumed": 4, "held": 3})).await;
    the_other_half(&platform).await;
    // `b` has a sum of 3, which HAVING leaves out.
    let found = until(|| rows(&platform, "SELECT tag_name, n, total, mean FROM counts"), |rows| !rows.is_empty()).await;
    assert_eq!(found, [json!({"tag_name": "a", "n": 3, "total": 9, "mean": 3})]);
    ledger_until(&platform, json!({"consumed": 7, "delivered": 5, "filtered": 1, "held": 1})).await;
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_goes_on_through_edits_and_restarts_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let platform = half_a_window(directory.path()).await;
    platform.apply_dagger(&Actor::server(), &keeping()).await.unwrap();
    platform.close().await.unwrap();
    drop(platform);

    let platform = open(directory.path()).await;
    publish_at(&platform, "a", 4, "01:00:35").await;
    ledger_until(&platform, json!({"consumed": 5, "held": 4})).await;
    // Edited while it sleeps, and back to the first.
    platform.stop_dagger(&Actor::server(), "counts").await.unwrap();
    platform.apply_dagger(&Actor::server(), &COUNTS.replace("spec:", "spec:\n  state: suspended")).await.unwrap();
    platform.start_dagger(&Actor::server(), "counts").await.unwrap();
    the_other_half(&platform).await;
    let found =
        until(|| rows(&platform, "SELECT tag_name, n, total FROM counts ORDER BY tag_name"), |rows| !rows.is_empty())
            .await;
    assert_eq!(found, [json!({"tag_name": "a", "n": 4, "total": 13}), json!({"tag_name": "b", "n": 2, "total": 3})]);
    ledger_until(&platform, json!({"consumed": 8, "delivered": 6, "filtered": 1, "held": 1})).await;
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_needs_more_reads_again_and_gives_whole_windows() {
    let directory = tempfile::tempdir().unwrap();
    let platform = half_a_window(directory.path()).await;
    let diff = platform.diff_dagger(&losing()).await.unwrap().to_json();
    let reason = "the window of 1 minute has a new aggregate min(amount)";
    assert_eq!(
        diff["state"],
        json!({
            "verdict": "lost", "kept": [], "reason": reason,
            "lost": ["count(1), sum(amount) per name in windows of 1m"],
        })
    );
    let applied = platform.apply_dagger(&Actor::server(), &losing()).await.unwrap();
    assert_eq!(diff["warnings"], json!(applied.warnings));
    assert!(applied.warnings[0].starts_with(reason), "{:?}", applied.warnings);
    assert!(applied.warnings[0].contains("state of the former one is dropped"), "{:?}", applied.warnings);
    ledger_until(&platform, json!({"consumed": 4, "held": 3, "filtered": 1})).await;
    the_other_half(&platform).await;
    let found = until(
        || rows(&platform, "SELECT tag_name, n, total, least FROM counts ORDER BY tag_name"),
        |rows| !rows.is_empty(),
    )
    .await;
    let expected = [
        json!({"tag_name": "a", "n": 3, "total": 9, "least": 1}),
        json!({"tag_name": "b", "n": 2, "total": 3, "least": 1}),
    ];
    assert_eq!(found, expected);
    ledger_until(&platform, json!({"consumed": 7, "delivered": 5, "filtered": 1, "held": 1})).await;
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_has_no_state_and_what_is_the_same_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events", "more"]).await;
    let diff = platform.diff_dagger(COUNTS).await.unwrap();
    assert_eq!((diff.change, diff.state.fate), (Change::Created, StateFate::None));
    assert_eq!(diff.columns.added.len(), 4);
    assert!(platform.daggers().await.unwrap().is_empty());
    // One that has never run has no state either.
    platform.apply_dagger(&Actor::server(), &COUNTS.replace("spec:", "spec:\n  state: suspended")).await.unwrap();
    assert_eq!(platform.diff_dagger(&losing()).await.unwrap().state.fate, StateFate::None);

    platform.start_dagger(&Actor::server(), "counts").await.unwrap();
    let diff = platform.diff_dagger(COUNTS).await.unwrap();
    assert_eq!((diff.change, diff.sql_changed, diff.state.fate), (Change::Unchanged, false, StateFate::Kept));
    let diff = platform.diff_dagger(&COUNTS.replace("[events]", "[more, events]").replace("1s", "2s")).await.unwrap();
    assert_eq!((diff.change, diff.sql_changed, diff.state.fate), (Change::Updated, false, StateFate::Kept));
    assert_eq!(
        diff.to_json()["settings"],
        json!([
            {"path": "streams[0].topics[0]", "from": "events", "to": "more"},
            {"path": "streams[0].topics[1]", "from": null, "to": "events"},
            {"path": "streams[0].watermark.delay", "from": "1s", "to": "2s"},
        ])
    );
    let refused = platform.diff_dagger(&COUNTS.replace("amount > 0", "amont > 0")).await.err().unwrap();
    assert_eq!(refused.code, "sql_invalid");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_does_not_say_what_it_is_of_is_dropped_with_a_reason() {
    for damaged in ["{}", "", "{\"query\": \"x\", \"windows\": [\"k0 Utf8\"], \"streams\": []}"] {
        let directory = tempfile::tempdir().unwrap();
        let platform = half_a_window(directory.path()).await;
        platform.stop_dagger(&Actor::server(), "counts").await.unwrap();
        let file = platform.directory().checkpoints().join("daggers/counts/identity.json");
        assert!(file.exists());
        std::fs::write(&file, damaged).unwrap();
        let diff = platform.diff_dagger(COUNTS).await.unwrap();
        assert_eq!(diff.state.fate, StateFate::Lost);
        assert!(diff.state.reason.is_some_and(|reason| reason.contains("state")));
        platform.start_dagger(&Actor::server(), "counts").await.unwrap();
        ledger_until(&platform, json!({"consumed": 4, "held": 3})).await;
        the_other_half(&platform).await;
        let found =
            until(|| rows(&platform, "SELECT n FROM counts WHERE tag_name = 'a'"), |rows| !rows.is_empty()).await;
        assert_eq!(found, [json!({"n": 3})]);
        platform.close().await.unwrap();
    }
}
