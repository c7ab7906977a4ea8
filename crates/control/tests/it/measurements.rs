//! Measurements belong to groups: those of before, those of daggers that go to another group, and those of groups that end.

use crate::open_platform::{open, open_with_topics, publish, rows, until};
use arrow::array::{Float64Array, RecordBatch, TimestampMillisecondArray};
use control::access::{Actor, Caller};
use control::{GroupSpec, Platform};
use serde_json::{Value, json};
use series::{PointLayout, SeriesOptions, SeriesStore};
use std::path::Path;
use std::sync::Arc;

fn dagger(group: &str) -> String {
    format!(
        "apiVersion: millrace/v1\nkind: Dagger\nmetadata: {{name: counts, group: {group}}}\nspec:\n  streams: [{{topics: \
         [events], timestamp: at}}]\n  sql: SELECT name AS tag_name, amount, rowtime FROM data_stream\n  sinks: [{{kind: \
         series, measurement: events_seen}}]\n"
    )
}

async fn group(platform: &Platform, name: &str) {
    let spec = GroupSpec { description: None, open_records: false };
    platform.create_group(&Actor::server(), name, &spec).await.unwrap();
}

/// As a server from before groups had measurements left them.
fn write_old(directory: &Path, measurement: &str) {
    let store = SeriesStore::open(&directory.join("series"), SeriesOptions::default()).unwrap();
    let times: TimestampMillisecondArray = vec![1_767_571_200_000].into();
    let values: Float64Array = vec![7.0].into();
    let batch = RecordBatch::try_from_iter([("time", Arc::new(times) as _), ("v", Arc::new(values) as _)]).unwrap();
    let layout = PointLayout { time: 0, tags: Vec::new(), fields: vec![(1, "v".to_owned())] };
    store.write(measurement, &batch, &layout).unwrap();
    store.sync(store.sync_point()).unwrap();
}

async fn event(platform: &Platform, name: &str) {
    publish(platform, "events", &json!({"name": name, "amount": 1, "at": "2026-01-05T01:00:10Z"}).to_string()).await;
}

async fn names_until(platform: &Platform, sql: &str, names: &[&str]) -> Vec<Value> {
    until(
        || rows(platform, sql),
        |rows| rows.iter().map(|row| row["tag_name"].as_str().unwrap()).eq(names.iter().copied()),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_goes_to_the_group_of_its_dagger() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    group(&platform, "rides").await;
    platform
        .apply_dagger(&Actor::server(), &dagger("rides").replace("spec:\n", "spec:\n  state: suspended\n"))
        .await
        .unwrap();
    platform.close().await.unwrap();
    drop(platform);
    for measurement in ["events_seen", "nobody's", "rides/new"] {
        write_old(directory.path(), measurement);
    }
    for _ in 0..2 {
        let platform = open(directory.path()).await;
        for table in ["rides.events_seen", "\"default\".\"nobody's\"", "rides.new", "events_seen"] {
            assert_eq!(rows(&platform, &format!("SELECT v FROM {table}")).await, [json!({"v": 7.0})], "{table}");
        }
        platform.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daggers_results_go_with_it_to_another_group() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    group(&platform, "rides").await;
    platform.apply_dagger(&Actor::server(), &dagger("default")).await.unwrap();
    event(&platform, "before").await;
    names_until(&platform, "SELECT tag_name FROM \"default\".events_seen", &["before"]).await;
    let applied = platform.apply_dagger(&Actor::server(), &dagger("rides")).await.unwrap();
    assert!(applied.warnings.is_empty(), "{:?}", applied.warnings);
    event(&platform, "after").await;
    names_until(&platform, "SELECT tag_name FROM rides.events_seen ORDER BY tag_name", &["after", "before"]).await;
    assert!(rows(&platform, "SELECT * FROM \"default\".events_seen").await.is_empty());
    let gone = platform.query(&Caller::server(), "SELECT * FROM \"default\".events_seen").await.map(drop).unwrap_err();
    assert_eq!(gone.hint.as_deref(), Some("did you mean \"rides\".\"events_seen\"?"));
    // A group that has measurements stays.
    platform.delete_dagger(&Actor::server(), "counts").await.unwrap();
    let error = platform.delete_group(&Actor::server(), "rides").await.unwrap_err();
    assert_eq!(error.detail, "the group `rides` owns the measurement `events_seen`");
    platform.close().await.unwrap();
}

/// As a server leaves it that ends between the change of a dagger's group and that of its measurement's name.
fn break_off(directory: &Path, from: &str, to: &str) {
    let store = SeriesStore::open(&directory.join("series"), SeriesOptions::default()).unwrap();
    if store.measurement(&format!("{from}/events_seen")).is_none() {
        store.rename_measurement(&format!("{to}/events_seen"), &format!("{from}/events_seen")).unwrap();
        store.sync(store.sync_point()).unwrap();
    }
    let unfinished = json!({"dagger": "counts", "from": from, "to": to});
    std::fs::write(directory.join("unfinished-move.json"), unfinished.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_was_broken_off_is_finished_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join("unfinished-move.json");
    let platform = open_with_topics(directory.path(), &["events"]).await;
    group(&platform, "rides").await;
    platform.apply_dagger(&Actor::server(), &dagger("default")).await.unwrap();
    event(&platform, "before").await;
    names_until(&platform, "SELECT tag_name FROM \"default\".events_seen", &["before"]).await;
    platform.close().await.unwrap();
    drop(platform);

    // Before the dagger itself had changed: it stays where it was.
    break_off(directory.path(), "default", "rides");
    let platform = open(directory.path()).await;
    names_until(&platform, "SELECT tag_name FROM \"default\".events_seen", &["before"]).await;
    assert!(!unfinished.exists());
    platform.apply_dagger(&Actor::server(), &dagger("rides")).await.unwrap();
    names_until(&platform, "SELECT tag_name FROM rides.events_seen", &["before"]).await;
    assert!(!unfinished.exists(), "it was finished");
    platform.close().await.unwrap();
    drop(platform);

    // And after: its measurement follows it, before it writes again.
    break_off(directory.path(), "default", "rides");
    let platform = open(directory.path()).await;
    assert!(!unfinished.exists());
    event(&platform, "after").await;
    names_until(&platform, "SELECT tag_name FROM rides.events_seen ORDER BY tag_name", &["after", "before"]).await;
    assert!(rows(&platform, "SELECT * FROM \"default\".events_seen").await.is_empty());
    platform.close().await.unwrap();
    drop(platform);
    std::fs::write(&unfinished, "{").unwrap();
    open(directory.path()).await.close().await.unwrap();
    assert!(!unfinished.exists());
}
