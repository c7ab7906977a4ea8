//! Which log a topic is in: the embedded one, or a Kafka cluster, under whatever name it has there. Everything above reads
//! and writes topics by the names of their resources and does not know where they are.

use async_trait::async_trait;
use kafka::KafkaLog;
use log::{
    Ack, EmbeddedLog, LogError, NewRecord, PartitionReader, PartitionStatus, TopicConfig, TopicDescription, TopicLog,
    TopicShape,
};
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Where the records of a topic on a cluster are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlace {
    pub cluster: String,
    /// Its name there.
    pub topic: String,
}

pub struct TopicRouter {
    embedded: Arc<EmbeddedLog>,
    clusters: RwLock<HashMap<String, KafkaLog>>,
    /// Topics that are not in here are in the embedded log.
    places: RwLock<HashMap<String, TopicPlace>>,
}

/// The log of one topic.
enum Log {
    Embedded(Arc<EmbeddedLog>),
    Kafka(KafkaLog, String),
}

impl TopicRouter {
    pub fn new(embedded: EmbeddedLog) -> Self {
        Self { embedded: Arc::new(embedded), clusters: RwLock::default(), places: RwLock::default() }
    }

    pub fn embedded(&self) -> &EmbeddedLog {
        &self.embedded
    }

    /// Topics of this cluster are reached by this log from now on. Readers that are open go on with the former one.
    pub fn set_cluster(&self, name: &str, log: KafkaLog) {
        write(&self.clusters).insert(name.to_owned(), log);
    }

    pub fn remove_cluster(&self, name: &str) {
        write(&self.clusters).remove(name);
    }

    pub fn cluster(&self, name: &str) -> Option<KafkaLog> {
        read(&self.clusters).get(name).cloned()
    }

    /// `None`: it is in the embedded log.
    pub fn set_place(&self, topic: &str, place: Option<TopicPlace>) {
        match place {
            Some(place) => write(&self.places).insert(topic.to_owned(), place),
            None => write(&self.places).remove(topic),
        };
    }

    pub fn place(&self, topic: &str) -> Option<TopicPlace> {
        read(&self.places).get(topic).cloned()
    }

    /// Where the partitions of topics on clusters stand, in a few requests per cluster. A cluster that does not answer
    /// gives none.
    pub async fn standings(&self) -> HashMap<String, Vec<PartitionStatus>> {
        let mut by_cluster: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (name, place) in read(&self.places).iter() {
            by_cluster.entry(place.cluster.clone()).or_default().push((name.clone(), place.topic.clone()));
        }
        let asked = by_cluster.into_iter().filter_map(|(cluster, topics)| {
            let log = self.cluster(&cluster)?;
            Some(async move {
                // One that is known not to answer is not waited for.
                if log.connection_problem().is_some() {
                    return Vec::new();
                }
                let names = topics.iter().map(|(_, topic)| topic.clone()).collect();
                let mut found = log.standings(names).await.unwrap_or_default();
                topics.into_iter().filter_map(|(name, topic)| Some((name, found.remove(&topic)?))).collect()
            })
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    fn log(&self, topic: &str) -> Result<Log, LogError> {
        let Some(place) = self.place(topic) else { return Ok(Log::Embedded(Arc::clone(&self.embedded))) };
        match self.cluster(&place.cluster) {
            Some(log) => Ok(Log::Kafka(log, place.topic)),
            None => Err(LogError::Cluster {
                reason: "it is not connected; see its page for the reason".to_owned(),
                cluster: place.cluster,
                may_pass: true,
            }),
        }
    }
}

#[async_trait]
impl TopicLog for TopicRouter {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<(), LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.create_topic(name, config).await,
            Log::Kafka(log, topic) => log.create_topic(&topic, config).await,
        }
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.delete_topic(name).await,
            Log::Kafka(log, topic) => log.delete_topic(&topic).await,
        }
    }

    /// Those of the embedded log, and those of clusters that answer.
    async fn topics(&self) -> Result<Vec<TopicDescription>, LogError> {
        let mut topics = self.embedded.topics().await?;
        for (name, partitions) in self.standings().await {
            let config = TopicConfig::with_partitions(partitions.len() as u32);
            topics.push(TopicDescription { name, id: None, config, partitions });
        }
        Ok(topics)
    }

    async fn topic(&self, name: &str) -> Result<TopicDescription, LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.topic(name).await,
            Log::Kafka(log, topic) => Ok(TopicDescription { name: name.to_owned(), ..log.topic(&topic).await? }),
        }
    }

    async fn shape(&self, name: &str) -> Result<TopicShape, LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.shape(name).await,
            Log::Kafka(log, topic) => log.shape(&topic).await,
        }
    }

    async fn offset_at(&self, name: &str, partition: u32, timestamp_ms: i64) -> Result<i64, LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.offset_at(name, partition, timestamp_ms).await,
            Log::Kafka(log, topic) => log.offset_at(&topic, partition, timestamp_ms).await,
        }
    }

    async fn produce(&self, name: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.produce(name, records).await,
            Log::Kafka(log, topic) => log.produce(&topic, records).await,
        }
    }

    async fn open(&self, name: &str, partition: u32, offset: i64) -> Result<Box<dyn PartitionReader>, LogError> {
        match self.log(name)? {
            Log::Embedded(log) => log.open(name, partition, offset).await,
            Log::Kafka(log, topic) => log.open_as(name, &topic, partition, offset).await,
        }
    }

    fn problem(&self, name: &str) -> Option<String> {
        match self.log(name) {
            Ok(Log::Embedded(log)) => log.problem(name),
            Ok(Log::Kafka(log, topic)) => log.problem(&topic),
            Err(error) => Some(error.to_string()),
        }
    }

    async fn publish_positions(&self, group: &str, positions: &[(Arc<str>, u32, i64)]) -> Result<(), LogError> {
        let mut by_cluster: HashMap<String, Vec<(Arc<str>, u32, i64)>> = HashMap::new();
        for (name, partition, offset) in positions {
            if let Some(place) = self.place(name) {
                by_cluster.entry(place.cluster).or_default().push((place.topic.into(), *partition, *offset));
            }
        }
        for (cluster, positions) in by_cluster {
            if let Some(log) = self.cluster(&cluster) {
                log.publish_positions(group, &positions).await?;
            }
        }
        Ok(())
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
