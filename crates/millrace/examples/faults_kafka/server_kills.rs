//! The server that dies, or is replaced while it sleeps.

use crate::random::Random;
use crate::scene::{Plan, Scene};
use crate::server::Server;
use crate::test_cluster::TestCluster;
use crate::{Found, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of so many kills one comes while the server starts.
const ONE_IN_RECOVERY: usize = 3;
/// Of so many kills one comes as soon as a transaction is seen to be committed, which the disk does not say yet.
const ONE_AIMED: usize = 2;
/// Of the disk of every other seed, in microseconds: most kills then meet a checkpoint that is being taken.
const SYNC_US: u64 = 150_000;
const AIM_TIME: Duration = Duration::from_secs(5);
const MARKER_TIMEOUT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// In which phase of a checkpoint a server was killed, as told by what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The last checkpoint has been settled.
    Between,
    /// The next one is on the disk, and its transaction was not committed.
    Prepared,
    /// Its transaction was committed, and the disk does not say so yet.
    Committed,
    /// It had taken over, and taken no checkpoint yet.
    TakenOver,
}

/// Kills it at random moments, now and then while it starts, and right after commits.
pub async fn killed(cluster: &Arc<TestCluster>, kills: usize, plan: Plan, found: &mut Found) -> Result<()> {
    let mut random = Random::new(plan.seed);
    let is_transactional = plan.delivery == "exactlyOnce";
    let sync_us = plan.seed.is_multiple_of(2).then_some(SYNC_US);
    let mut scene = Scene::begin(cluster, Plan { sync_us, ..plan }).await?;
    let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
    for kill in 0..kills {
        if kill % ONE_IN_RECOVERY != 0 {
            scene.until("running dagger", |status| status["state"] == "running").await?;
        }
        tokio::time::sleep(Duration::from_millis(random.below(800))).await;
        if is_transactional && kill % ONE_AIMED == 0 {
            let marker = CommittedMarker::of(&scene, &scene.plan.daggers()[0])?;
            tokio::task::spawn_blocking(move || marker.wait_for_next()).await?;
        }
        scene.kill()?;
        for dagger in scene.plan.daggers() {
            *phases.entry(phase(&scene, &dagger)?).or_default() += 1;
        }
        scene.restart().await?;
    }
    found.notes.push(format!("{phases:?}"));
    scene.judge(found).await
}

fn phase(scene: &Scene, dagger: &str) -> Result<Phase> {
    let record = last_record(&scene.data, dagger)?;
    if record["otherwise"].is_null() {
        // A take-over has a generation, and no checkpoint of it yet.
        let is_taken_over = record["parts"].as_array().into_iter().flatten().all(|part| {
            let generation = record["generation"].to_string();
            part["file"].as_str().is_some_and(|file| !file.ends_with(&format!("-{generation}.state")))
        });
        return Ok(if is_taken_over { Phase::TakenOver } else { Phase::Between });
    }
    let committed = CommittedMarker::of(scene, dagger)?.number();
    Ok(if committed == record["number"].as_u64() { Phase::Committed } else { Phase::Prepared })
}

fn last_record(data: &Path, dagger: &str) -> Result<Value> {
    let folder = data.join("checkpoints/daggers").join(dagger).join("epochs");
    let mut names: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    let bytes = std::fs::read(names.last().ok_or("no checkpoint")?)?;
    // Before it, a line with its checksum.
    let start = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    Ok(serde_json::from_slice(&bytes[start..])?)
}

/// What the cluster says of a dagger's last commit.
struct CommittedMarker {
    consumer: BaseConsumer,
    topic: String,
}

impl CommittedMarker {
    fn of(scene: &Scene, dagger: &str) -> Result<Self> {
        let mut client = scene.cluster.client()?;
        client.set("group.id", format!("millrace-{dagger}")).set("isolation.level", "read_committed");
        // While the end of a transaction is on its way the client asks again by itself.
        client.set("retry.backoff.ms", "2").set("retry.backoff.max.ms", "5");
        Ok(Self { consumer: client.create()?, topic: dagger.to_owned() })
    }

    /// The checkpoint whose results are committed; `None` while that is not decided.
    fn number(&self) -> Option<u64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, 0);
        let found = self.consumer.committed_offsets(asked, MARKER_TIMEOUT).ok()?;
        match found.elements().first()?.offset() {
            Offset::Offset(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// Asks as fast as the cluster answers.
    fn wait_for_next(&self) {
        let (first, deadline) = (self.number(), Instant::now() + AIM_TIME);
        while Instant::now() < deadline && self.number().is_none_or(|number| Some(number) == first) {}
    }
}

/// The server sleeps, another one takes over on a copy of its data, and it wakes up again.
pub async fn zombie(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let mut random = Random::new(plan.seed);
    let mut scene = Scene::begin(cluster, plan).await?;
    tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
    let zombie = scene.server.take().ok_or("no server")?;
    zombie.signal("STOP")?;
    let copy = scene.folder.path().join("copy");
    scene.copy_data(&copy)?;
    scene.data = copy;
    scene.server = Some(Server::start(&scene.binary, &scene.data)?);
    scene.until("results of the second server", |status| status["rows"].as_u64() > Some(0)).await?;
    zombie.signal("CONT")?;
    let words = wait_for_end(&zombie, &scene.plan.daggers()).await?;
    // Refused by the cluster, or by its own state when it tries to go on from it.
    let is_told = words.contains("another process has taken over") || words.contains("an older copy of the state");
    found.check(is_told, || format!("the first server says: {words}"));
    scene.watch(Duration::from_secs(2)).await?;
    // It must not come back by itself either.
    let again = wait_for_end(&zombie, &scene.plan.daggers()).await?;
    found.check(again == words, || format!("the first server then says: {again}"));
    drop(zombie);
    scene.judge(found).await
}

/// Why each dagger has failed for good.
async fn wait_for_end(server: &Server, daggers: &[String]) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = Vec::new();
    while Instant::now() < deadline {
        last.clear();
        for dagger in daggers {
            last.push(server.get(&format!("/daggers/{dagger}")).await?.success()?["status"].clone());
        }
        if last.iter().all(|status| status["state"] == "failed") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let words: Vec<String> = last.iter().map(|status| format!("{}: {}", status["state"], status["problem"])).collect();
    Ok(words.join("; "))
}

/// A data directory is put back as it was a while ago: results that were published since must not be published again.
pub async fn old_data(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let mut scene = Scene::begin(cluster, plan).await?;
    scene.kill()?;
    let old = scene.folder.path().join("old");
    scene.copy_data(&old)?;
    scene.restart().await?;
    scene.until("more results", |status| status["rows"].as_u64() > Some(0)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.kill()?;
    let server = Server::start(&scene.binary, &old)?;
    let words = wait_for_end(&server, &scene.plan.daggers()).await?;
    found.check(words.contains("older copy of the state"), || format!("on old data it says: {words}"));
    drop(server);
    scene.restart().await?;
    let daggers = scene.plan.daggers();
    for dagger in daggers {
        // Its own data are as good as before.
        scene.server()?.post(&format!("/daggers/{dagger}/start"), json!({})).await?;
    }
    scene.judge(found).await
}
