//! Topics: making, listing, publishing to.

use super::Platform;
use crate::access::{Actor, Permission};
use crate::error::ControlError;
use crate::firehose_spec::FirehoseSpec;
use crate::records::{self, RecordDraft, RecordFormat, RecordOutcome};
use crate::resource::{Kind, Metadata, Resource, check_name};
use crate::resource_db::Change;
use crate::topic_router::TopicPlace;
use crate::topic_spec::TopicSpec;
use flow::TopicFormats;
use log::{LogError, TopicDescription, TopicLog};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How many records one call may publish, and of how many bytes together.
pub const PRODUCE_RECORDS_MAX: usize = 10_000;

/// A topic with what the log knows of it.
pub struct TopicStatus {
    pub resource: Arc<Resource>,
    pub description: Option<TopicDescription>,
}

impl TopicStatus {
    /// Records that can still be read, as far as offsets tell.
    pub fn records(&self) -> i64 {
        self.description.iter().flat_map(|topic| &topic.partitions).map(|p| p.end_offset - p.start_offset).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.description.iter().flat_map(|topic| &topic.partitions).map(|p| p.bytes).sum()
    }

    pub fn to_json(&self) -> serde_json::Value {
        let partitions: Vec<serde_json::Value> = self
            .description
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| {
                serde_json::json!({
                    "partition": p.partition, "startOffset": p.start_offset, "endOffset": p.end_offset, "bytes": p.bytes,
                })
            })
            .collect();
        self.resource.to_json(Some(serde_json::json!({
            "records": self.records(), "bytes": self.bytes(), "partitions": partitions,
        })))
    }
}

/// The outcome of every record, in the order of the drafts.
pub struct ProducedRecords {
    pub outcomes: Vec<RecordOutcome>,
}

impl ProducedRecords {
    pub fn acknowledged(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome, RecordOutcome::Acknowledged(_))).count()
    }

    pub fn refused(&self) -> usize {
        self.outcomes.len() - self.acknowledged()
    }
}

impl Platform {
    pub async fn create_topic(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &TopicSpec,
    ) -> Result<TopicStatus, ControlError> {
        let _change = self.changes.lock().await;
        actor.require(Permission::WriteTopics, &metadata.group)?;
        if self.db.get(Kind::Topic, &metadata.name).await?.is_some() {
            return Err(ControlError::conflict(
                "topic_exists",
                format!("the topic `{}` exists already", metadata.name),
            ));
        }
        let resource = self.create_topic_locked(actor, metadata, spec).await?;
        let description = self.log.topic(&metadata.name).await.ok();
        Ok(TopicStatus { resource: Arc::new(resource), description })
    }

    /// Makes a topic, or changes what can be changed of one that is there.
    pub async fn apply_topic(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &TopicSpec,
    ) -> Result<(TopicStatus, Change), ControlError> {
        let _change = self.changes.lock().await;
        actor.require(Permission::WriteTopics, &metadata.group)?;
        let (resource, change) = match self.db.get(Kind::Topic, &metadata.name).await? {
            None => (self.create_topic_locked(actor, metadata, spec).await?, Change::Created),
            Some(existing) => {
                actor.require(Permission::WriteTopics, &existing.metadata.group)?;
                let old = TopicSpec::from_json(&existing.spec)?;
                let spec = &spec.clone().adopt(old.partitions, old.retention);
                let changed = spec.clone();
                let fixed = TopicSpec {
                    schema: changed.schema,
                    encoding: changed.encoding,
                    key_schema: changed.key_schema,
                    key_encoding: changed.key_encoding,
                    description: changed.description,
                    ..old.clone()
                };
                if fixed != *spec {
                    return Err(ControlError::conflict(
                        "topic_unchangeable",
                        format!("cluster, partitions and retention of the topic `{}` cannot be changed", metadata.name),
                    )
                    .with_hint("make another topic"));
                }
                self.check_topic_schema(spec)?;
                self.check_group(metadata).await?;
                let put = self.db.put(actor, Kind::Topic, metadata, &spec.to_json()).await?;
                if !actor.is_dry_run && old.is_framed_otherwise(spec) {
                    let why = format!("the encoding of the topic `{}` has changed", metadata.name);
                    self.restart_users_of(|topic| topic == metadata.name, &why).await?;
                } else if !actor.is_dry_run && old.schema != spec.schema {
                    let why = format!("the message type of the topic `{}` has changed", metadata.name);
                    self.restart_firehoses(&why, |firehose| firehose.topic == metadata.name).await?;
                }
                put
            }
        };
        let description = self.log.topic(&metadata.name).await.ok();
        Ok((TopicStatus { resource: Arc::new(resource), description }, change))
    }

    /// The row first: if the process ends in between, [`Self::reconcile_topics`] makes the topic at the next start.
    pub(super) async fn create_topic_locked(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &TopicSpec,
    ) -> Result<Resource, ControlError> {
        log::check_topic_name(&metadata.name)?;
        check_name("the topic's name", &metadata.name)?;
        self.check_group(metadata).await?;
        self.check_topic_schema(spec)?;
        if let Some(place) = spec.place(&metadata.name) {
            return self.attach_topic_locked(actor, metadata, spec, place).await;
        }
        let (resource, _) = self.db.put(actor, Kind::Topic, metadata, &spec.to_json()).await?;
        if actor.is_dry_run {
            return Ok(resource);
        }
        let created = match self.log.create_topic(&metadata.name, spec.to_log()).await {
            // Records of a topic whose deletion the disk has refused.
            Err(LogError::TopicExists { .. }) => {
                self.delete_records(&metadata.name).await?;
                self.log.create_topic(&metadata.name, spec.to_log()).await
            }
            created => created,
        };
        match created {
            Ok(()) => Ok(resource),
            Err(error) => {
                self.db.delete(&actor.unconditional(), Kind::Topic, &metadata.name).await?;
                Err(error.into())
            }
        }
    }

    /// A topic on a cluster: taken as it is if it is there, made there if it is not.
    async fn attach_topic_locked(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &TopicSpec,
        place: TopicPlace,
    ) -> Result<Resource, ControlError> {
        if self.db.get(Kind::KafkaCluster, &place.cluster).await?.is_none() {
            return Err(self.not_found(Kind::KafkaCluster, &place.cluster).await);
        }
        let Some(cluster) = self.log.cluster(&place.cluster) else {
            return Err(super::launch::not_connected(&place.cluster));
        };
        let spec = match cluster.topic(&place.topic).await {
            Ok(found) => {
                let partitions = found.partitions.len() as u32;
                if spec.partitions != 0 && spec.partitions != partitions {
                    let detail = format!(
                        "the topic `{}` on `{}` has {partitions} partitions, not {}",
                        place.topic, place.cluster, spec.partitions
                    );
                    return Err(ControlError::conflict("topic_exists", detail)
                        .with_hint("leave `partitions` out to take it as it is, or name another `topic`"));
                }
                let retention = found.config.retention_ms.and_then(|ms| u64::try_from(ms).ok());
                spec.clone().adopt(partitions, retention.map(Duration::from_millis))
            }
            Err(LogError::UnknownTopic { .. }) => {
                let partitions = spec.partitions.max(1);
                if !actor.is_dry_run {
                    cluster.create(&place.topic, partitions, spec.replicas, &spec.to_kafka()).await?;
                }
                // What was not written is the cluster's to say.
                let made = cluster.topic(&place.topic).await.ok();
                let retention = made.and_then(|made| made.config.retention_ms).and_then(|ms| u64::try_from(ms).ok());
                spec.clone().adopt(partitions, retention.map(Duration::from_millis))
            }
            Err(error) => return Err(error.into()),
        };
        let (resource, _) = self.db.put(actor, Kind::Topic, metadata, &spec.to_json()).await?;
        if !actor.is_dry_run {
            self.log.set_place(&metadata.name, Some(place));
        }
        Ok(resource)
    }

    /// Daggers and firehoses find out when they start how the records of a topic are framed and where they are.
    pub(super) async fn restart_users_of(
        &self,
        has_changed: impl Fn(&str) -> bool,
        why: &str,
    ) -> Result<(), ControlError> {
        for (dagger, resource) in self.db.by_name(Kind::Dagger).await?.iter() {
            let sinks = resource.spec.get("sinks").and_then(Value::as_array).into_iter().flatten();
            let mut written = sinks.filter_map(|sink| sink.get("topic")?.as_str());
            let mut read = topics_read(&resource.spec).filter_map(Value::as_str);
            if read.any(&has_changed) || written.any(&has_changed) {
                self.supervisor.restart(dagger, why);
            }
        }
        let sink_topic = |spec: &FirehoseSpec| spec.topic_written().is_some_and(&has_changed);
        let letters = |spec: &FirehoseSpec| spec.dead_letter_topic.as_deref().is_some_and(&has_changed);
        self.restart_firehoses(why, |spec| has_changed(&spec.topic) || sink_topic(spec) || letters(spec)).await
    }

    fn check_topic_schema(&self, spec: &TopicSpec) -> Result<(), ControlError> {
        for schema in spec.schema.iter().chain(&spec.key_schema) {
            self.message(schema)?;
        }
        Ok(())
    }

    pub async fn delete_topic(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        let _change = self.changes.lock().await;
        let Some(resource) = self.db.get(Kind::Topic, name).await? else {
            return Err(self.not_found(Kind::Topic, name).await);
        };
        actor.require(Permission::WriteTopics, &resource.metadata.group)?;
        actor.check_generation(&format!("the topic `{name}`"), Some(resource.generation))?;
        self.check_topic_unused(name).await?;
        // The row decides: if the process ends before the records are gone, the next start removes them.
        self.db.delete(actor, Kind::Topic, name).await?;
        if actor.is_dry_run {
            return Ok(());
        }
        if self.log.place(name).is_some() {
            // What is on a cluster belongs to those who run it, and stays there.
            self.log.set_place(name, None);
            return Ok(());
        }
        self.delete_records(name).await
    }

    async fn delete_records(&self, topic: &str) -> Result<(), ControlError> {
        match self.log.delete_topic(topic).await {
            Ok(()) | Err(LogError::UnknownTopic { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_topic_unused(&self, name: &str) -> Result<(), ControlError> {
        for (dagger, resource) in self.db.by_name(Kind::Dagger).await?.iter() {
            if topics_read(&resource.spec).any(|topic| topic == name) {
                return Err(ControlError::conflict(
                    "topic_in_use",
                    format!("the dagger `{dagger}` reads the topic `{name}`"),
                )
                .with_hint("delete the dagger first"));
            }
        }
        for (firehose, resource) in self.db.by_name(Kind::Firehose).await?.iter() {
            let uses = [("reads", "/topic"), ("keeps its dead letters in", "/deadLetters/topic")];
            let used = uses.iter().find(|(_, at)| resource.spec.pointer(at).is_some_and(|topic| topic == name));
            if let Some((how, _)) = used {
                let detail = format!("the firehose `{firehose}` {how} the topic `{name}`");
                return Err(ControlError::conflict("topic_in_use", detail).with_hint("delete the firehose first"));
            }
        }
        Ok(())
    }

    pub async fn topics(&self) -> Result<Vec<TopicStatus>, ControlError> {
        let mut descriptions: HashMap<String, TopicDescription> =
            self.log.topics().await?.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        let resources = self.db.by_name(Kind::Topic).await?;
        let topics = resources.iter().map(|(name, resource)| TopicStatus {
            resource: Arc::clone(resource),
            description: descriptions.remove(name),
        });
        Ok(topics.collect())
    }

    pub async fn topic(&self, name: &str) -> Result<TopicStatus, ControlError> {
        let Some(resource) = self.db.by_name(Kind::Topic).await?.get(name).cloned() else {
            return Err(self.not_found(Kind::Topic, name).await);
        };
        let description = self.log.topic(name).await.ok();
        Ok(TopicStatus { resource, description })
    }

    /// How a topic's records are read and written.
    pub(super) async fn topic_format(&self, name: &str) -> Result<RecordFormat, ControlError> {
        let Some(resource) = self.db.get(Kind::Topic, name).await? else {
            return Err(self.not_found(Kind::Topic, name).await);
        };
        RecordFormat::of_topic(&TopicSpec::from_json(&resource.spec)?, |schema| self.message(schema))
    }

    /// The wire formats of topics, for a dagger that reads them.
    pub(super) async fn wire_formats(&self, topics: &[String]) -> Result<TopicFormats, ControlError> {
        let mut formats = Vec::with_capacity(topics.len());
        for name in topics {
            if let Some(resource) = self.db.get(Kind::Topic, name).await? {
                formats.push((name.clone(), TopicSpec::from_json(&resource.spec)?.encoding));
            }
        }
        Ok(TopicFormats::new(formats))
    }

    /// Publishes records. Each is refused or acknowledged by itself; one that is wrong does not disturb the others.
    /// An error of the whole call means that none was written.
    pub async fn produce(
        &self,
        topic: &str,
        drafts: Vec<Result<RecordDraft, ControlError>>,
        key_field: Option<&str>,
    ) -> Result<ProducedRecords, ControlError> {
        if drafts.len() > PRODUCE_RECORDS_MAX {
            return Err(ControlError::too_large(
                "too_many_records",
                format!("{} records in one request, the limit is {PRODUCE_RECORDS_MAX}", drafts.len()),
            )
            .with_hint("send them in several requests"));
        }
        let format = self.topic_format(topic).await?;
        let partitions = self.log.topic(topic).await?.config.partitions;
        let mut outcomes: Vec<Option<RecordOutcome>> = Vec::with_capacity(drafts.len());
        let mut accepted: Vec<(usize, log::NewRecord)> = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            let encoded = draft
                .and_then(|draft| records::encode(draft, &format, key_field))
                .and_then(|record| check_record(record, topic, partitions));
            match encoded {
                Ok(record) => {
                    accepted.push((index, record));
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(RecordOutcome::Refused(error))),
            }
        }
        self.write_records(topic, accepted, &mut outcomes).await?;
        let missing = || RecordOutcome::Refused(ControlError::internal("the log gave no answer for this record"));
        Ok(ProducedRecords { outcomes: outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect() })
    }

    async fn write_records(
        &self,
        topic: &str,
        mut accepted: Vec<(usize, log::NewRecord)>,
        outcomes: &mut [Option<RecordOutcome>],
    ) -> Result<(), ControlError> {
        while !accepted.is_empty() {
            let records = accepted.iter().map(|(_, record)| record.clone()).collect();
            match self.log.produce(topic, records).await {
                Ok(acks) => {
                    for ((index, _), ack) in accepted.iter().zip(acks) {
                        outcomes[*index] = Some(RecordOutcome::Acknowledged(ack));
                    }
                    return Ok(());
                }
                // The log refuses the whole call for one record: take that one out and send the others.
                Err(LogError::BadRecord { index, reason }) if index < accepted.len() => {
                    let (index, _) = accepted.remove(index);
                    outcomes[index] = Some(RecordOutcome::Refused(ControlError::invalid("record_invalid", reason)));
                }
                Err(LogError::PartlyWritten { acks, source }) => {
                    let error = ControlError::from(*source);
                    for ((index, _), ack) in accepted.iter().zip(acks) {
                        outcomes[*index] = Some(match ack {
                            Some(ack) => RecordOutcome::Acknowledged(ack),
                            None => RecordOutcome::Refused(error.clone()),
                        });
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Brings log and database together after a start: a topic that was being made is made, one that was being deleted is
    /// deleted, and another one that only the log has is taken in.
    pub(super) async fn reconcile_topics(&self) -> Result<(), ControlError> {
        let mut in_log: HashMap<String, TopicDescription> =
            self.log.embedded().topics().await?.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        for resource in self.db.list(Kind::Topic).await? {
            let spec = TopicSpec::from_json(&resource.spec)?;
            if let Some(place) = spec.place(&resource.metadata.name) {
                self.log.set_place(&resource.metadata.name, Some(place));
                continue;
            }
            if in_log.remove(&resource.metadata.name).is_none() {
                self.log.create_topic(&resource.metadata.name, spec.to_log()).await?;
            }
        }
        in_log.retain(|name, _| !super::replay::is_replay_topic(name));
        for (name, description) in in_log {
            if self.db.was_deleted(Kind::Topic, &name).await? {
                self.delete_records(&name).await?;
                continue;
            }
            let spec = TopicSpec::from_log(&description.config).to_json();
            self.db.put(&Actor::server(), Kind::Topic, &Metadata::named(name), &spec).await?;
        }
        Ok(())
    }
}

/// Of a stored dagger, whose spec is complete.
fn topics_read(dagger: &Value) -> impl Iterator<Item = &Value> {
    let streams = dagger.get("streams").and_then(Value::as_array).into_iter().flatten();
    streams.filter_map(|stream| stream.get("topics")?.as_array()).flatten()
}

fn check_record(record: log::NewRecord, topic: &str, partitions: u32) -> Result<log::NewRecord, ControlError> {
    let bytes = record.value.as_ref().map_or(0, |value| value.len())
        + record.key.as_ref().map_or(0, |key| key.len())
        + record.headers.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    if bytes > log::RECORD_BYTES_MAX {
        return Err(ControlError::too_large(
            "record_too_large",
            format!("the record has {bytes} bytes, the limit is {}", log::RECORD_BYTES_MAX),
        ));
    }
    match record.partition {
        Some(partition) if partition >= partitions => Err(ControlError::invalid(
            "partition_not_found",
            format!("the topic `{topic}` has no partition {partition}: it has {partitions}, counted from 0"),
        )),
        _ => Ok(record),
    }
}
