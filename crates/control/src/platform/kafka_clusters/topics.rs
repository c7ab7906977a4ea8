//! The topics that a cluster has, whether they are attached here or not.

use super::{Connection, DESCRIPTION_WAIT_MAX};
use crate::error::ControlError;
use crate::kafka_cluster_spec::EMBEDDED;
use crate::platform::{Platform, replay};
use crate::resource::Kind;
use kafka::{ClusterDescription, TopicOnCluster};
use log::{PartitionStatus, TopicLog};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How old a list of topics may be: somebody who has just made one looks for it.
const LIST_AGE_MAX: Duration = Duration::from_secs(1);
/// How long somebody waits who wants to see topics and nothing else.
const LIST_WAIT_MAX: Duration = Duration::from_secs(10);
const _: () = assert!(LIST_WAIT_MAX.as_secs() >= DESCRIPTION_WAIT_MAX.as_secs());

/// Without those that Kafka keeps for itself.
pub(super) fn own(description: &ClusterDescription) -> impl Iterator<Item = &TopicOnCluster> {
    description.topics.iter().filter(|topic| !is_internal(&topic.name))
}

fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

impl Platform {
    /// The topic resources of a cluster: their names by the topic's name there.
    pub(super) async fn attached_topics(&self, cluster: &str) -> Result<HashMap<String, String>, ControlError> {
        let topics = self.db.by_name(Kind::Topic).await?;
        let attached = topics.iter().filter_map(|(name, topic)| {
            let text = |key: &str| topic.spec.get(key).and_then(Value::as_str);
            let is_here = text("cluster").unwrap_or(EMBEDDED) == cluster;
            is_here.then(|| (text("topic").unwrap_or(name).to_owned(), name.clone()))
        });
        Ok(attached.collect())
    }

    /// Every topic that the cluster shows us, from one request to it.
    pub async fn kafka_cluster_topics(&self, name: &str, internal: bool) -> Result<Vec<Value>, ControlError> {
        let attached = self.attached_topics(name).await?;
        let as_json = |topic: &str, partitions: usize, replicas: u32, leaderless: u32| {
            json!({
                "name": topic, "partitions": partitions, "replicas": replicas, "leaderless": leaderless,
                "attachedAs": attached.get(topic),
            })
        };
        if name == EMBEDDED {
            let topics = self.log.topics().await?;
            let shown = topics.iter().filter(|topic| internal || !replay::is_replay_topic(&topic.name));
            return Ok(shown.map(|topic| as_json(&topic.name, topic.partitions.len(), 1, 0)).collect());
        }
        let description = self.made_kafka_cluster(name).await?.require(LIST_AGE_MAX, LIST_WAIT_MAX).await?;
        let shown = description.topics.iter().filter(|topic| internal || !is_internal(&topic.name));
        let shown =
            shown.map(|topic| as_json(&topic.name, topic.partitions as usize, topic.replicas, topic.leaderless));
        Ok(shown.collect())
    }

    /// One of them with its settings and where its partitions stand.
    pub async fn kafka_cluster_topic(&self, name: &str, topic: &str) -> Result<Value, ControlError> {
        let attached = self.attached_topics(name).await?;
        let (description, settings) = if name == EMBEDDED {
            (self.log.topic(topic).await?, BTreeMap::new())
        } else {
            let cluster = self.made_kafka_cluster(name).await?;
            let (description, settings) = tokio::join!(cluster.log().topic(topic), cluster.log().topic_settings(topic));
            // Not everybody who may read a topic may see its settings.
            (description?, settings.unwrap_or_default())
        };
        Ok(json!({
            "name": topic, "id": description.id, "attachedAs": attached.get(topic), "settings": settings,
            "partitions": description.partitions.iter().map(standing).collect::<Vec<_>>(),
        }))
    }

    async fn made_kafka_cluster(&self, name: &str) -> Result<std::sync::Arc<super::LastDescription>, ControlError> {
        if self.db.get(Kind::KafkaCluster, name).await?.is_none() {
            return Err(self.not_found(Kind::KafkaCluster, name).await);
        }
        let unavailable = |detail: String| ControlError::unavailable("kafka_cluster_unavailable", detail);
        match self.kafka_clusters.get(name) {
            Some(Connection::Made(cluster)) => Ok(cluster),
            Some(Connection::Refused(error)) => {
                let detail = format!("the Kafka cluster `{name}` cannot be connected to: {}", error.detail);
                Err(unavailable(detail).maybe_hint(error.hint))
            }
            None => Err(unavailable(format!("the Kafka cluster `{name}` is not connected"))),
        }
    }
}

fn standing(partition: &PartitionStatus) -> Value {
    json!({
        "partition": partition.partition, "startOffset": partition.start_offset, "endOffset": partition.end_offset,
    })
}
