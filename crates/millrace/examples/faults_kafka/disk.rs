//! A broker whose disk is full stops; given room and started, it goes on, and so do the daggers.

use crate::scene::{Plan, Scene};
use crate::test_cluster::TestCluster;
use crate::{Found, Result};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const SMALL: [&str; 2] = ["--small-disk", "1=160m"];
const JUNK_BYTES: usize = 900_000;
/// A record that waits so long is not taken.
const GIVEN_UP: Duration = Duration::from_secs(4);
const JUNK_RECORDS_MAX: usize = 400;

/// The only broker.
pub async fn full(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let mut scene = Scene::begin(cluster, plan).await?;
    let junk = format!("{}-junk", scene.plan.name);
    cluster.create_topic(&junk, 1, &[]).await?;
    let client = cluster.client()?;
    let filling = tokio::task::spawn_blocking(move || fill(client, &junk).map_err(|error| error.to_string()));
    while !filling.is_finished() {
        scene.watch(Duration::from_millis(100)).await?;
    }
    filling.await??;
    scene.watch(Duration::from_secs(4)).await?;
    scene.was_told(&["Kafka cluster \"kafka\"", "no broker answers", "trying again"], found);
    cluster.order("grow", &["1", "1g"])?;
    cluster.node("start", 1)?;
    scene.judge(found).await
}

/// Until the broker takes no more.
fn fill(mut client: rdkafka::ClientConfig, topic: &str) -> Result<()> {
    let producer: BaseProducer = client.set("message.timeout.ms", GIVEN_UP.as_millis().to_string()).create()?;
    let junk = vec![7u8; JUNK_BYTES];
    for _ in 0..JUNK_RECORDS_MAX {
        let began = Instant::now();
        let sent = producer.send(BaseRecord::<(), [u8]>::to(topic).payload(&junk));
        // What is given up counts as flushed, so the time tells.
        if sent.is_err() || producer.flush(2 * GIVEN_UP).is_err() || began.elapsed() >= GIVEN_UP {
            return Ok(());
        }
    }
    Ok(())
}
