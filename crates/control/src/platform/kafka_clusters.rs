//! Kafka clusters: where topics are kept. One is built in: the log of this server.

use super::{Platform, replay};
use crate::access::{Actor, Permission};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata, Resource, parse_document};
use crate::resource_db::Change;
use log::TopicLog;
use serde::Deserialize;
use serde_json::{Value, json};

/// The name of the built-in one, and the word for its type.
const EMBEDDED: &str = "embedded";

/// How its records are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KafkaClusterSpec {
    Embedded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KafkaClusterDocument {
    r#type: String,
}

impl KafkaClusterDocument {
    fn complete(self) -> Result<KafkaClusterSpec, ControlError> {
        match self.r#type.as_str() {
            EMBEDDED => Ok(KafkaClusterSpec::Embedded),
            other => Err(ControlError::invalid("kafka_cluster_invalid", format!("`spec.type` is `{other}`"))
                .with_hint(format!("the types are: {EMBEDDED}"))),
        }
    }
}

impl KafkaClusterSpec {
    fn to_json(&self) -> Value {
        match self {
            KafkaClusterSpec::Embedded => json!({ "type": EMBEDDED }),
        }
    }
}

impl Platform {
    pub(super) async fn prepare_kafka_clusters(&self, server: &Actor) -> Result<(), ControlError> {
        if self.db.get(Kind::KafkaCluster, EMBEDDED).await?.is_none() {
            let spec = KafkaClusterSpec::Embedded.to_json();
            self.db.put(server, Kind::KafkaCluster, &Metadata::named(EMBEDDED), &spec).await?;
        }
        Ok(())
    }

    /// Takes the built-in one as it is, so that what `get` has written can be applied; any other is refused.
    pub async fn apply_kafka_cluster(&self, actor: &Actor, text: &str) -> Result<(Value, Change), ControlError> {
        let (metadata, document): (Metadata, KafkaClusterDocument) = parse_document(text, Kind::KafkaCluster)?;
        actor.require(Permission::WritePlatform, &metadata.group)?;
        let spec = document.complete()?;
        if metadata.name != EMBEDDED {
            return Err(ControlError::invalid(
                "kafka_cluster_invalid",
                format!(
                    "`metadata.name` is `{}`: the only cluster of type `{EMBEDDED}` is `{EMBEDDED}`",
                    metadata.name
                ),
            )
            .with_hint("leave the document out: topics are kept in this server's own log"));
        }
        if metadata != Metadata::named(EMBEDDED) {
            return Err(built_in("cannot be changed")
                .with_hint(format!("write `metadata: {{name: {EMBEDDED}}}`, without labels and other groups")));
        }
        let _change = self.changes.lock().await;
        let (resource, change) = self.db.put(actor, Kind::KafkaCluster, &metadata, &spec.to_json()).await?;
        Ok((resource.to_json(Some(self.embedded_status().await?)), change))
    }

    pub async fn delete_kafka_cluster(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        actor.require(Permission::WritePlatform, crate::resource::GROUP_DEFAULT)?;
        match self.db.get(Kind::KafkaCluster, name).await? {
            Some(_) => Err(built_in("cannot be deleted").with_hint("delete the topics that are not needed")),
            None => Err(self.not_found(Kind::KafkaCluster, name).await),
        }
    }

    pub async fn kafka_clusters(&self) -> Result<Vec<Value>, ControlError> {
        let mut shown = Vec::new();
        for cluster in self.db.by_name(Kind::KafkaCluster).await?.values() {
            shown.push(self.shown_kafka_cluster(cluster).await?);
        }
        Ok(shown)
    }

    pub async fn kafka_cluster(&self, name: &str) -> Result<Value, ControlError> {
        match self.db.by_name(Kind::KafkaCluster).await?.get(name) {
            Some(cluster) => self.shown_kafka_cluster(cluster).await,
            None => Err(self.not_found(Kind::KafkaCluster, name).await),
        }
    }

    async fn shown_kafka_cluster(&self, cluster: &Resource) -> Result<Value, ControlError> {
        match crate::document::from_json::<KafkaClusterDocument>(cluster.spec.clone())?.complete()? {
            KafkaClusterSpec::Embedded => Ok(cluster.to_json(Some(self.embedded_status().await?))),
        }
    }

    /// What the log's catalogue knows, which is in memory; of topics that are not the server's own.
    async fn embedded_status(&self) -> Result<Value, ControlError> {
        let topics = self.log.embedded().topics().await?;
        let (mut count, mut partitions, mut records, mut bytes) = (0, 0, 0, 0);
        for topic in topics.iter().filter(|topic| !replay::is_replay_topic(&topic.name)) {
            count += 1;
            partitions += topic.partitions.len();
            records +=
                topic.partitions.iter().map(|partition| partition.end_offset - partition.start_offset).sum::<i64>();
            bytes += topic.partitions.iter().map(|partition| partition.bytes).sum::<u64>();
        }
        Ok(json!({
            // It is part of this process: who can ask has it running.
            "state": "running", "topics": count, "partitions": partitions, "records": records, "bytes": bytes,
            "diskFreeBytes": self.directory.disk_free_bytes(), "directory": self.directory.log(),
        }))
    }
}

fn built_in(what: &str) -> ControlError {
    ControlError::conflict("cluster_builtin", format!("the Kafka cluster `{EMBEDDED}` is built in and {what}"))
}
