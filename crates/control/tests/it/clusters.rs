//! Dagger clusters: who may run daggers there, how many, and with how much memory.

use crate::open_platform::{open_with_topics, publish, until};
use control::access::Actor;
use control::{Change, GroupSpec, Platform};
use serde_json::Value;
use std::sync::Arc;

const CLUSTER: &str = "
apiVersion: millrace/v1
kind: DaggerCluster
metadata: {name: small}
spec: {cores: 1, memory: 1KiB, daggersMax: 1, groups: [default]}
";

const COUNTS: &str = "
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  cluster: small
  streams: [{topics: [events], table: events, timestamp: at, watermark: {idle: 1h}}]
  sql: SELECT name AS tag_name, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM events GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name
";

async fn refused(platform: &Arc<Platform>, yaml: &str) -> &'static str {
    platform.apply_dagger(&Actor::server(), yaml).await.err().map(|error| error.code).unwrap_or("nothing")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_given_to_groups_and_has_room_for_so_many() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let server = Actor::server();
    assert_eq!(refused(&platform, COUNTS).await, "dagger_cluster_not_found");
    let roomy = CLUSTER.replace("1KiB", "1GiB");
    assert_eq!(platform.apply_cluster(&server, &roomy).await.unwrap().1, Change::Created);
    assert_eq!(platform.apply_cluster(&server, &roomy).await.unwrap().1, Change::Unchanged);
    platform.apply_dagger(&server, COUNTS).await.unwrap();
    let second = COUNTS.replace("name: counts", "name: second");
    assert_eq!(refused(&platform, &second).await, "dagger_cluster_full");
    // One that sleeps takes no room.
    platform.apply_dagger(&server, &second.replace("  cluster:", "  state: suspended\n  cluster:")).await.unwrap();
    platform.create_group(&server, "rides", &GroupSpec { description: None, open_records: false }).await.unwrap();
    let of_others = second.replace("name: second", "name: third, group: rides");
    assert_eq!(refused(&platform, &of_others).await, "dagger_cluster_refused");
    let in_use = platform.delete_cluster(&server, "small").await.unwrap_err();
    assert_eq!(in_use.code, "dagger_cluster_in_use");
    for name in ["counts", "second"] {
        platform.delete_dagger(&server, name).await.unwrap();
    }
    platform.delete_cluster(&server, "small").await.unwrap();
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_out_of_memory_stops_its_largest_dagger_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let server = Actor::server();
    platform.apply_cluster(&server, CLUSTER).await.unwrap();
    platform.apply_dagger(&server, COUNTS).await.unwrap();
    let elsewhere = COUNTS.replace("name: counts", "name: elsewhere").replace("cluster: small", "cluster: embedded");
    platform.apply_dagger(&server, &elsewhere).await.unwrap();
    for name in 0..100 {
        publish(
            &platform,
            "events",
            &format!("{{\"name\": \"somebody number {name}\", \"at\": \"2026-01-05T01:00:{:02}Z\"}}", name % 60),
        )
        .await;
    }
    let status = |name: &'static str| {
        let platform = Arc::clone(&platform);
        async move { platform.dagger(name).await.unwrap()["status"].clone() }
    };
    let failed = until(|| status("counts"), |status: &Value| status["state"] == "failed").await;
    assert!(failed["problem"].as_str().unwrap().contains("may hold 1KiB"), "{failed}");
    let other = until(|| status("elsewhere"), |status| status["ledger"]["held"] == 100).await;
    assert_eq!(other["state"], "running");
    assert!(other["stateBytes"].as_u64().unwrap() > 1_024, "{other}");
    // With room it goes on from where it was.
    platform.apply_cluster(&server, &CLUSTER.replace("1KiB", "1GiB")).await.unwrap();
    platform.start_dagger(&server, "counts").await.unwrap();
    let running = until(|| status("counts"), |status| status["ledger"]["held"] == 100).await;
    assert_eq!((&running["state"], &running["ledger"]["consumed"]), (&"running".into(), &100.into()));
    platform.close().await.unwrap();
}
