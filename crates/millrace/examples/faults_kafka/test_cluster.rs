//! A cluster of real Kafka brokers that can be broken, by `scripts/kafka/cluster.sh`.

use crate::Result;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const NODES: [i32; 3] = [1, 2, 3];
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that a broker that was down needs to have what the others have.
const IN_SYNC_TIMEOUT: Duration = Duration::from_secs(90);

/// Taken down when dropped.
pub struct TestCluster {
    folder: TempDir,
    env: HashMap<String, String>,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka")
}

impl TestCluster {
    pub fn up(options: &[&str]) -> Result<Self> {
        let mut cluster = Self { folder: crate::folder()?, env: HashMap::new() };
        let pid = std::process::id().to_string();
        cluster.order("up", &[options, &["--while", &pid]].concat())?;
        let env = std::fs::read_to_string(cluster.folder.path().join("kafka/env"))?;
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        cluster.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(cluster)
    }

    /// One of the commands of `cluster.sh`, to its end.
    pub fn order(&self, command: &str, arguments: &[&str]) -> Result<()> {
        let mut script = Command::new(scripts().join("cluster.sh"));
        let output = script.arg(command).arg(self.folder.path().join("kafka")).args(arguments).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("cluster.sh {command} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// One of Kafka's own tools.
    pub fn console(&self, tool: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(scripts().join("console.sh")).arg(tool).args(arguments).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    pub fn node(&self, command: &str, node: i32) -> Result<()> {
        self.order(command, &[&node.to_string()])
    }

    pub fn value(&self, name: &str) -> Result<&str> {
        Ok(self.env.get(name).ok_or_else(|| format!("the cluster has no {name}"))?)
    }

    /// Without encryption and login.
    pub fn bootstrap(&self) -> Result<&str> {
        self.value("BOOTSTRAP")
    }

    /// Where clients reach one broker.
    pub fn address(&self, node: i32) -> Result<&str> {
        let index = usize::try_from(node - 1)?;
        self.bootstrap()?.split(',').nth(index).ok_or_else(|| format!("there is no node {node}").into())
    }

    pub fn client(&self) -> Result<ClientConfig> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap()?).set("log_level", "0").set("reconnect.backoff.max.ms", "500");
        Ok(client)
    }

    /// For somebody whom no cut reaches: by the listener that the brokers have among themselves.
    pub fn client_beside_the_proxy(&self) -> Result<ClientConfig> {
        let settings = std::fs::read_to_string(self.folder.path().join("kafka/cluster.json"))?;
        let settings: serde_json::Value = serde_json::from_str(&settings)?;
        let ports = settings["nodes"].as_array().into_iter().flatten().map(|node| &node["ports"]["INTERNAL"]);
        let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        let mut client = self.client()?;
        client.set("bootstrap.servers", addresses.join(","));
        Ok(client)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client()?.create()?)
    }

    /// On all brokers: one that has just come back may not count yet.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let deadline = Instant::now() + IN_SYNC_TIMEOUT;
        loop {
            let answers = self.admin()?.create_topics([&topic], &AdminOptions::new()).await?;
            match answers.into_iter().next().ok_or("no answer")? {
                Err((_, RDKafkaErrorCode::InvalidReplicationFactor)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                made => return Ok(made.map(drop).map_err(|(name, code)| format!("{name}: {code}"))?),
            }
        }
    }

    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let answers = self.admin()?.delete_topics(&[name], &AdminOptions::new()).await?;
        answers.into_iter().next().ok_or("no answer")?.map_err(|(name, code)| format!("{name}: {code}"))?;
        Ok(())
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32> {
        let consumer: BaseConsumer = self.client()?.create()?;
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let found = partitions.filter(|one| one.id() == partition && one.leader() > 0).map(|one| one.leader()).next();
        found.ok_or_else(|| format!("{topic}/{partition} has no leader").into())
    }

    /// Waits until every partition is on as many brokers as it should be, so that the next fault finds a whole cluster.
    pub async fn in_sync(&self) -> Result<()> {
        let deadline = Instant::now() + IN_SYNC_TIMEOUT;
        let consumer: BaseConsumer = self.client()?.create()?;
        loop {
            let whole = consumer.fetch_metadata(None, METADATA_TIMEOUT).is_ok_and(|metadata| {
                let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
                partitions.all(|one| one.leader() > 0 && one.isr().len() == one.replicas().len())
            });
            if whole {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("the brokers did not get in step again".into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if let Err(error) = self.order("down", &["--now"]) {
            eprintln!("{error}");
        }
    }
}
