//! Records that cannot be taken, and topics that go away.

use crate::events::Breakage;
use crate::publisher::{EndWindows, Frame};
use crate::scene::PARTITIONS;
use crate::scene::{Plan, Scene, next_offsets};
use crate::test_cluster::TestCluster;
use crate::{Found, Result, events};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const LONG_KEY: &str = "key-0-0";

/// Rows that are over the limit of the output's topic are refused and counted; the others are published.
pub async fn too_large(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let key_sql = "CASE WHEN key = 'key-0-0' THEN repeat('long', 1000) ELSE key END";
    let plan = Plan { key_sql, output_settings: vec![("max.message.bytes", "2000")], ..plan };
    let mut scene = Scene::begin(cluster, plan).await?;
    scene.watch(Duration::from_secs(3)).await?;
    let all = scene.end_publishing(EndWindows::Yes).await?;
    scene.judge_events(&all, &all, |(_, key)| key != LONG_KEY, found).await?;
    let statuses = scene.look().await?;
    for (window, status) in scene.plan.windows.iter().zip(statuses) {
        let long = events::expected(&all, *window).keys().filter(|(_, key)| key == LONG_KEY).count() as u64;
        let sink = &status["sinks"][0];
        let says_why = sink["lastRefusal"].as_str().is_some_and(|why| why.contains("limit of 2000"));
        found.check(sink["refused"].as_u64() == Some(long) && says_why, || format!("{long} rows are too long: {sink}"));
    }
    Ok(())
}

/// Values with an unknown first byte or the id of an unknown schema are dead letters that say so.
pub async fn unknown_frames(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let plan = Plan { frame: Frame::Confluent(7), ..plan };
    let mut scene = Scene::begin(cluster, plan).await?;
    scene.watch(Duration::from_secs(4)).await?;
    let all = scene.end_publishing(EndWindows::Yes).await?;
    scene.judge_events(&all, &all, |_| true, found).await?;
    let dagger = scene.plan.daggers().remove(0);
    let letters = scene.server()?.get(&format!("/dead-letters?dagger={dagger}&limit=1000")).await?.success()?;
    let texts: Vec<String> = letters["items"].as_array().into_iter().flatten().map(Value::to_string).collect();
    for (words, breakage) in [(["0x7b", "0x00"], Breakage::FirstByte), (["schema id", "is 8,"], Breakage::SchemaId)] {
        let count = all.iter().filter(|event| event.breakage() == Some(breakage)).count();
        let told = texts.iter().filter(|text| words.iter().all(|word| text.contains(word))).count();
        found.check(told == count, || {
            format!("{told} of {count} dead letters say {words:?}; one is {:?}", texts.first())
        });
    }
    Ok(())
}

/// The topic is deleted under the dagger and made anew: it stops and asks, and goes on when somebody has decided.
pub async fn deleted(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let mut scene = Scene::begin(cluster, plan).await?;
    scene.watch(Duration::from_secs(1)).await?;
    let first = scene.end_publishing(EndWindows::No).await?;
    let ends = events::counts(&first, PARTITIONS).per_partition;
    scene.until("end of the first topic", |status| next_offsets(status) == ends).await?;
    // What has been read is in a checkpoint before the topic goes.
    scene.watch(Duration::from_millis(2 * scene.plan.checkpoint_ms)).await?;
    let input = scene.plan.input();
    cluster.delete_topic(&input).await?;
    scene.until("word of the topic's end", |status| status["problem"].is_string()).await?;
    scene.was_told(&["topic", &input], found);
    cluster.create_topic(&input, PARTITIONS, &[]).await?;
    scene.until("question what to do", |status| status["asksAboutLoss"] == true).await?;
    scene.was_told(&["failed", &input, "made anew", "choose where"], found);
    for dagger in scene.plan.daggers() {
        scene.start_dagger(&dagger, Some("earliest")).await?.success()?;
    }
    scene.until("running dagger", |status| status["state"] == "running").await?;
    scene.publish(first.iter().map(|event| event.time_ms).max())?;
    scene.watch(Duration::from_secs(3)).await?;
    let second = scene.end_publishing(EndWindows::Yes).await?;
    let both = [first, second.clone()].concat();
    scene.judge_events(&both, &second, |_| true, found).await
}
