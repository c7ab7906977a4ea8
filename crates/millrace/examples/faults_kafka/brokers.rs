//! Brokers that stop, die, hang, or cannot be reached, one or all.

use crate::random::Random;
use crate::scene::{PARTITIONS, Plan, Scene};
use crate::test_cluster::{NODES, TestCluster};
use crate::{Found, Result};
use std::sync::Arc;
use std::time::Duration;

/// What people are told while a cluster is out of reach.
const TRIES_AGAIN: &str = "trying again";
const CLUSTER: &str = "Kafka cluster \"kafka\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerFault {
    Restart,
    LeaderKilled,
    Cut,
    Blackhole,
    Paused,
}

pub async fn one_broker(cluster: &Arc<TestCluster>, fault: BrokerFault, plan: Plan, found: &mut Found) -> Result<()> {
    let mut random = Random::new(plan.seed);
    let mut scene = Scene::begin(cluster, plan).await?;
    let partition = random.below(PARTITIONS as u64) as i32;
    let node = cluster.leader(&scene.plan.input(), partition)?;
    let (breaks, mends) = match fault {
        BrokerFault::Restart => ("stop", "start"),
        BrokerFault::LeaderKilled => ("kill", "start"),
        BrokerFault::Cut => ("cut", "heal"),
        BrokerFault::Blackhole => ("blackhole", "heal"),
        BrokerFault::Paused => ("pause", "resume"),
    };
    let outage = match fault {
        BrokerFault::Restart => Duration::ZERO,
        _ => Duration::from_millis(4_000 + random.below(5_000)),
    };
    scene.order(breaks, node).await?;
    let watched = scene.watch(outage).await;
    scene.order(mends, node).await?;
    watched?;
    scene.watch(Duration::from_secs(2)).await?;
    if matches!(fault, BrokerFault::LeaderKilled | BrokerFault::Cut) {
        scene.was_told(&[CLUSTER, cluster.address(node)?, TRIES_AGAIN], found);
    }
    let judged = scene.judge(found).await;
    cluster.in_sync().await?;
    judged
}

/// All brokers are killed, and come back after a while.
pub async fn all_brokers(cluster: &Arc<TestCluster>, outage: Duration, plan: Plan, found: &mut Found) -> Result<()> {
    // Shorter than the outage, which counts for nothing.
    let idle_ms = if plan.seed.is_multiple_of(2) { plan.idle_ms } else { 8_000 };
    let plan = Plan { idle_ms, ..plan };
    let mut scene = Scene::begin(cluster, plan).await?;
    for node in NODES {
        scene.order("kill", node).await?;
    }
    let watched = scene.watch(outage).await;
    // All at once: each waits for the others before it says that it has started.
    cluster.order("start", &[])?;
    watched?;
    scene.was_told(&[CLUSTER, "no broker answers", TRIES_AGAIN], found);
    let judged = scene.judge(found).await;
    cluster.in_sync().await?;
    judged
}

/// Nobody reaches the cluster for longer than it takes a partition without records to count as idle: the windows must not
/// be closed by the clock, nor when it can be reached again.
pub async fn longer_than_idle(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let is_beside = plan.seed.is_multiple_of(2);
    let plan = Plan { idle_ms: 2_000, publisher_is_beside: is_beside, ..plan };
    let mut scene = Scene::begin(cluster, plan).await?;
    // By turns the network is gone at once, or swallows everything.
    let breaks = if scene.plan.seed % 4 < 2 { "cut" } else { "blackhole" };
    for node in NODES {
        scene.order(breaks, node).await?;
    }
    let watched = scene.watch(Duration::from_secs(8)).await;
    for node in NODES {
        cluster.node("heal", node)?;
    }
    watched?;
    scene.watch(Duration::from_secs(3)).await?;
    scene.judge(found).await
}
