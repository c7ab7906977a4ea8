//! Kafka clusters: where topics are kept. One is built in: the log of this server. Others are of Apache Kafka.

mod last_description;
mod topics;
mod trial;

use super::{Platform, replay};
use crate::access::{Actor, Permission};
use crate::error::ControlError;
use crate::kafka_cluster_spec::{EMBEDDED, KafkaClusterSpec, KafkaSpec, Secrets, invalid};
use crate::resource::{GROUP_DEFAULT, Kind, Metadata, Resource};
use crate::resource_db::Change;
use futures::future::join_all;
use kafka::{ClusterConfig, ClusterDescription, KafkaLog};
use last_description::{Asked, LastDescription};
use log::TopicLog;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How old what is shown of a cluster may be, and how long a page waits for a cluster that does not answer.
const DESCRIPTION_AGE_MAX: Duration = Duration::from_secs(5);
const DESCRIPTION_WAIT_MAX: Duration = Duration::from_secs(2);

/// The clusters of Apache Kafka.
pub(super) struct KafkaClusters {
    connections: Mutex<HashMap<String, Connection>>,
    /// Turns for testing connections.
    trials: Semaphore,
}

#[derive(Clone)]
enum Connection {
    Made(Arc<LastDescription>),
    /// No client could be made of its spec.
    Refused(ControlError),
}

impl Default for KafkaClusters {
    fn default() -> Self {
        Self { connections: Mutex::default(), trials: Semaphore::new(trial::TRIALS_AT_ONCE_MAX) }
    }
}

impl KafkaClusters {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        // Held for map operations only, so a poisoned one is still whole.
        self.connections.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn get(&self, name: &str) -> Option<Connection> {
        self.lock().get(name).cloned()
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

    /// At the start: a client for each cluster. None is asked anything, and one whose spec cannot be used any more keeps
    /// nothing else from starting: its state says why.
    pub(super) async fn connect_kafka_clusters(&self) -> Result<(), ControlError> {
        for cluster in self.db.list(Kind::KafkaCluster).await? {
            let Metadata { name, group, .. } = &cluster.metadata;
            let made = match KafkaClusterSpec::from_json(&cluster.spec) {
                Ok(KafkaClusterSpec::Embedded) => continue,
                Ok(KafkaClusterSpec::Kafka(spec)) => self.make_client(name, group, &spec).await,
                Err(error) => Err(error),
            };
            self.keep_connection(name, made);
        }
        Ok(())
    }

    /// Takes another value of a secret into use.
    pub(super) async fn reconnect_kafka_clusters_with(&self, secret: &str) -> Result<(), ControlError> {
        for cluster in self.db.by_name(Kind::KafkaCluster).await?.values() {
            let Metadata { name, group, .. } = &cluster.metadata;
            if let Ok(KafkaClusterSpec::Kafka(spec)) = KafkaClusterSpec::from_json(&cluster.spec)
                && spec.secrets().contains(secret)
            {
                let made = self.make_client(name, group, &spec).await;
                self.keep_connection(name, made);
                self.restart_users_of_cluster(name).await?;
            }
        }
        Ok(())
    }

    /// Running daggers have the former client.
    async fn restart_users_of_cluster(&self, name: &str) -> Result<(), ControlError> {
        let is_there = |topic: &str| self.log.place(topic).is_some_and(|place| place.cluster == name);
        self.restart_users_of(is_there, &format!("the Kafka cluster `{name}` has changed")).await
    }

    fn keep_connection(&self, name: &str, made: Result<KafkaLog, ControlError>) {
        let connection = match made {
            Ok(log) => {
                self.log.set_cluster(name, log.clone());
                Connection::Made(Arc::new(LastDescription::new(log)))
            }
            Err(error) => {
                tracing::warn!(cluster = name, %error, "the Kafka cluster cannot be connected to");
                self.log.remove_cluster(name);
                Connection::Refused(error)
            }
        };
        self.kafka_clusters.lock().insert(name.to_owned(), connection);
    }

    /// Asks nothing of the cluster, which may be down.
    async fn make_client(&self, name: &str, group: &str, spec: &KafkaSpec) -> Result<KafkaLog, ControlError> {
        let config = self.kafka_config(name, group, spec).await?;
        let connected = tokio::task::spawn_blocking(move || KafkaLog::connect(config)).await?;
        connected.map_err(|error| invalid(format!("`spec`: {error}")))
    }

    /// With the values of the secrets that it names, which are those of its group.
    async fn kafka_config(&self, name: &str, group: &str, spec: &KafkaSpec) -> Result<ClusterConfig, ControlError> {
        let mut secrets = Secrets::new();
        for secret in spec.secrets() {
            secrets.insert(secret.to_owned(), self.secret_value(secret, group).await?);
        }
        spec.config(name, &secrets)
    }

    /// Makes or changes a cluster. The built-in one is taken as it is, so that what `get` has written can be applied.
    pub async fn apply_kafka_cluster(&self, actor: &Actor, text: &str) -> Result<(Value, Change), ControlError> {
        let (metadata, spec) = KafkaClusterSpec::parse(text)?;
        actor.require(Permission::WritePlatform, &metadata.group)?;
        let _change = self.changes.lock().await;
        let client = match &spec {
            KafkaClusterSpec::Embedded => {
                check_built_in(&metadata)?;
                None
            }
            KafkaClusterSpec::Kafka(spec) => {
                if metadata.name == EMBEDDED {
                    return Err(built_in("cannot be changed").with_hint("give the cluster another name"));
                }
                self.check_group(&metadata).await?;
                Some(self.make_client(&metadata.name, &metadata.group, spec).await?)
            }
        };
        let (resource, change) = self.db.put(actor, Kind::KafkaCluster, &metadata, &spec.to_json()).await?;
        if let (Some(client), false) = (client, actor.is_dry_run) {
            let is_connected = matches!(self.kafka_clusters.get(&metadata.name), Some(Connection::Made(_)));
            if change != Change::Unchanged || !is_connected {
                self.keep_connection(&metadata.name, Ok(client));
            }
            if change == Change::Updated {
                self.restart_users_of_cluster(&metadata.name).await?;
            }
        }
        let status = match actor.is_dry_run && spec != KafkaClusterSpec::Embedded {
            true => None,
            false => Some(self.kafka_cluster_status(&resource).await?),
        };
        Ok((resource.to_json(status), change))
    }

    pub async fn delete_kafka_cluster(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        actor.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        let _change = self.changes.lock().await;
        let Some(resource) = self.db.get(Kind::KafkaCluster, name).await? else {
            return Err(self.not_found(Kind::KafkaCluster, name).await);
        };
        if name == EMBEDDED {
            return Err(built_in("cannot be deleted").with_hint("delete the topics that are not needed"));
        }
        actor.check_generation(&format!("the Kafka cluster `{name}`"), Some(resource.generation))?;
        let attached = self.attached_topics(name).await?;
        if !attached.is_empty() {
            let mut names: Vec<&str> = attached.values().map(String::as_str).collect();
            names.sort_unstable();
            return Err(ControlError::conflict(
                "kafka_cluster_in_use",
                format!("topics are attached to the Kafka cluster `{name}`: {}", names.join(", ")),
            )
            .with_hint("delete these topics here first"));
        }
        self.db.delete(actor, Kind::KafkaCluster, name).await?;
        if !actor.is_dry_run {
            self.log.remove_cluster(name);
            self.kafka_clusters.lock().remove(name);
        }
        Ok(())
    }

    /// All of them, asked at once: one that does not answer makes nobody wait for longer than it does alone.
    pub async fn kafka_clusters(&self) -> Result<Vec<Value>, ControlError> {
        let clusters = self.db.by_name(Kind::KafkaCluster).await?;
        let shown = join_all(clusters.values().map(|cluster| self.shown_kafka_cluster(cluster))).await;
        shown.into_iter().collect()
    }

    pub async fn kafka_cluster(&self, name: &str) -> Result<Value, ControlError> {
        match self.db.by_name(Kind::KafkaCluster).await?.get(name) {
            Some(cluster) => self.shown_kafka_cluster(cluster).await,
            None => Err(self.not_found(Kind::KafkaCluster, name).await),
        }
    }

    async fn shown_kafka_cluster(&self, cluster: &Resource) -> Result<Value, ControlError> {
        Ok(cluster.to_json(Some(self.kafka_cluster_status(cluster).await?)))
    }

    async fn kafka_cluster_status(&self, cluster: &Resource) -> Result<Value, ControlError> {
        let name = &cluster.metadata.name;
        if name == EMBEDDED {
            return self.embedded_status().await;
        }
        let attached = self.attached_topics(name).await?.len();
        let asked = match self.kafka_clusters.get(name) {
            Some(Connection::Made(last)) => last.get(DESCRIPTION_AGE_MAX, DESCRIPTION_WAIT_MAX).await,
            Some(Connection::Refused(error)) => Asked::Misconfigured { problem: error.detail, hint: error.hint },
            None => Asked::Unknown,
        };
        Ok(status(&asked, attached))
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

/// Of a cluster of Apache Kafka.
fn status(asked: &Asked, attached: usize) -> Value {
    let (state, problem, hint) = match asked {
        Asked::Answered(_) => ("running", None, None),
        Asked::Unreachable { problem, hint } => ("unreachable", Some(problem), hint.as_ref()),
        Asked::Misconfigured { problem, hint } => ("misconfigured", Some(problem), hint.as_ref()),
        Asked::Unknown => ("unknown", None, None),
    };
    let (brokers, topics) = match asked {
        Asked::Answered(description) => (brokers(description), Some(topics::own(description).count())),
        _ => (Vec::new(), None),
    };
    json!({
        "state": state, "problem": problem, "hint": hint, "brokers": brokers, "topics": topics,
        "attachedTopics": attached,
    })
}

fn brokers(description: &ClusterDescription) -> Vec<Value> {
    description.brokers.iter().map(|(id, address)| json!({ "id": id, "address": address })).collect()
}

fn check_built_in(metadata: &Metadata) -> Result<(), ControlError> {
    if metadata.name != EMBEDDED {
        return Err(invalid(format!(
            "`metadata.name` is `{}`: the only cluster of type `{EMBEDDED}` is `{EMBEDDED}`",
            metadata.name
        ))
        .with_hint("leave the document out, or write `type: kafka` with the addresses of brokers in `bootstrap`"));
    }
    if *metadata != Metadata::named(EMBEDDED) {
        return Err(built_in("cannot be changed")
            .with_hint(format!("write `metadata: {{name: {EMBEDDED}}}`, without labels and other groups")));
    }
    Ok(())
}

fn built_in(what: &str) -> ControlError {
    ControlError::conflict("cluster_builtin", format!("the Kafka cluster `{EMBEDDED}` is built in and {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PlatformOptions;

    #[tokio::test]
    async fn a_cluster_with_attached_topics_stays() {
        let directory = tempfile::tempdir().unwrap();
        let platform = Platform::open(PlatformOptions::in_directory(directory.path())).await.unwrap();
        let actor = Actor::server();
        let cluster = "apiVersion: millrace/v1\nkind: KafkaCluster\nmetadata: {name: kafka}\nspec: {type: kafka, bootstrap: ['127.0.0.1:1']}";
        platform.apply_kafka_cluster(&actor, cluster).await.unwrap();
        for (name, spec) in [
            ("bookings", json!({ "cluster": "kafka", "topic": "bookings.v1" })),
            ("drivers", json!({ "cluster": "kafka" })),
            ("others", json!({ "partitions": 1 })),
        ] {
            platform.db.put(&actor, Kind::Topic, &Metadata::named(name), &spec).await.unwrap();
        }
        let attached = platform.attached_topics("kafka").await.unwrap();
        assert_eq!(attached.get("bookings.v1").map(String::as_str), Some("bookings"));
        assert_eq!((attached.len(), platform.attached_topics(EMBEDDED).await.unwrap().len()), (2, 1));
        let error = platform.delete_kafka_cluster(&actor, "kafka").await.unwrap_err();
        assert_eq!(error.code, "kafka_cluster_in_use");
        assert!(error.detail.ends_with(": bookings, drivers"), "{error}");
        for topic in ["bookings", "drivers"] {
            platform.db.delete(&actor, Kind::Topic, topic).await.unwrap();
        }
        platform.delete_kafka_cluster(&actor, "kafka").await.unwrap();
        platform.close().await.unwrap();
    }
}
