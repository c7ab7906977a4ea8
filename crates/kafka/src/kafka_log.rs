//! A cluster as a topic log.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use log::{
    Ack, BufferPool, LogError, NewRecord, PartitionReader, PartitionStatus, TopicConfig, TopicDescription, TopicLog,
    TopicShape, check_topic_name,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka_sys::rd_kafka_resp_err_t;

use crate::admin;
use crate::client_events::ClientEvents;
use crate::closed_aside::ClosedAside;
use crate::cluster_config::{ClusterConfig, ConfigError};
use crate::consumers::Consumers;
use crate::group_offsets::{GroupMember, GroupMembers};
use crate::problem::{Problem, ProblemKind};
use crate::reader::KafkaReader;

/// Longest wait for an answer of the cluster.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a topic or partition that the publisher or a broker does not know yet is asked for, and how often.
const PROPAGATION_TIME_MAX: Duration = Duration::from_secs(5);
const PROPAGATION_INTERVAL: Duration = Duration::from_millis(100);
/// What was asked of a topic's shape holds for so long.
const SHAPE_AGE_MAX: Duration = Duration::from_secs(2);
/// Longest time that a published record tries to be delivered before its publisher is told that it was not.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);
/// Transactions last a minute at most unless somebody has set more; then people want to know what a dagger waits for.
const HELD_BACK_TOLD: Duration = Duration::from_secs(120);
/// How often a cluster's own client is looked at, and consumers without a reader are closed.
const EVENTS_INTERVAL: Duration = Duration::from_millis(100);
const IDLE_CONSUMERS_INTERVAL: Duration = Duration::from_secs(30);

/// The topics of one cluster. Cheap to clone.
#[derive(Clone)]
pub struct KafkaLog(Arc<Shared>);

pub(crate) struct Shared {
    config: ClusterConfig,
    events: ClientEvents,
    /// Asks for what is there; reads no records.
    asking: ClosedAside<BaseConsumer<ClientEvents>>,
    consumers: Consumers,
    /// Of slabs.
    buffers: BufferPool,
    members: GroupMembers,
    admin: Mutex<Option<Arc<ClosedAside<AdminClient<ClientEvents>>>>>,
    publisher: Mutex<Option<Arc<ClosedAside<FutureProducer<ClientEvents>>>>>,
    shapes: Mutex<HashMap<String, (Instant, TopicShape)>>,
}

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    pub id: Option<String>,
    /// `host:port` by broker id.
    pub brokers: BTreeMap<i32, String>,
    pub topics: Vec<TopicOnCluster>,
}

/// A topic as the cluster's metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOnCluster {
    pub name: String,
    pub partitions: u32,
    pub replicas: u32,
    /// Partitions that have no leader just now.
    pub leaderless: u32,
}

impl KafkaLog {
    /// Makes the clients. Nothing is asked of the cluster, so that one that is down keeps nothing from starting.
    pub fn connect(config: ClusterConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let refused = |error: KafkaError| ConfigError::Refused(error.to_string());
        let events = ClientEvents::new(&config.name, config.token_source());
        let asking = config
            .client()
            .set("isolation.level", "read_committed")
            .set("statistics.interval.ms", "5000")
            .create_with_context(events.for_another_client())
            .map_err(refused)?;
        let consumers = Consumers::new(config.clone(), events.clone());
        let shared = Arc::new(Shared {
            config,
            events,
            asking: ClosedAside::new(asking),
            consumers,
            buffers: BufferPool::default(),
            members: GroupMembers::default(),
            admin: Mutex::default(),
            publisher: Mutex::default(),
            shapes: Mutex::default(),
        });
        let watched = Arc::downgrade(&shared);
        let thread = std::thread::Builder::new().name("kafka-cluster".to_owned());
        thread.spawn(move || keep_house(&watched)).map_err(|error| ConfigError::Refused(error.to_string()))?;
        Ok(Self(shared))
    }

    /// Why the cluster cannot be reached, if it cannot.
    pub fn connection_problem(&self) -> Option<Problem> {
        self.0.events.problem()
    }

    pub(crate) fn events(&self) -> &ClientEvents {
        &self.0.events
    }

    /// The client that reads and writes a group's offsets.
    pub(crate) fn member(&self, group: &str) -> Result<Arc<GroupMember>, KafkaError> {
        self.0.member(group)
    }

    pub fn config(&self) -> &ClusterConfig {
        &self.0.config
    }

    /// Brokers and topics: one request, whatever their number.
    pub async fn describe(&self) -> Result<ClusterDescription, LogError> {
        self.0
            .blocking(|shared| {
                let metadata =
                    shared.asking.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|error| shared.error(error))?;
                let brokers = metadata
                    .brokers()
                    .iter()
                    .map(|broker| (broker.id(), format!("{}:{}", broker.host(), broker.port())));
                let topics =
                    metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| TopicOnCluster {
                        name: topic.name().to_owned(),
                        partitions: topic.partitions().len() as u32,
                        replicas: topic.partitions().iter().map(|one| one.replicas().len()).min().unwrap_or(0) as u32,
                        leaderless: topic.partitions().iter().filter(|one| one.leader() < 0).count() as u32,
                    });
                let mut topics: Vec<TopicOnCluster> = topics.collect();
                topics.sort_by(|a, b| a.name.cmp(&b.name));
                let id = shared.asking.client().fetch_cluster_id(Duration::from_millis(200));
                shared.events.works();
                Ok(ClusterDescription { id, brokers: brokers.collect(), topics })
            })
            .await
    }

    /// Where the partitions of several topics stand, by topic, in two requests per broker. Unknown topics are left out.
    pub async fn standings(&self, topics: Vec<String>) -> Result<HashMap<String, Vec<PartitionStatus>>, LogError> {
        self.0.blocking(move |shared| shared.standings(&topics)).await
    }

    /// As [`TopicLog::open`]; the slabs have another name for the topic.
    pub async fn open_as(
        &self,
        shown: &str,
        topic: &str,
        partition: u32,
        offset: i64,
    ) -> Result<Box<dyn PartitionReader>, LogError> {
        let (shared, shown, topic) = (Arc::clone(&self.0), shown.to_owned(), topic.to_owned());
        self.0
            .blocking(move |_| {
                let standing = shared.standing(&topic, partition)?;
                if offset < standing.start_offset {
                    let start = standing.start_offset;
                    return Err(LogError::OffsetGone { topic, partition, requested: offset, start });
                }
                if offset > standing.end_offset {
                    let end = standing.end_offset;
                    return Err(LogError::OffsetBeyondEnd { topic, partition, requested: offset, end });
                }
                let assignment = shared.consumers.assign(&topic, partition, offset)?;
                let names = (shown.as_str(), topic.as_str());
                let end = standing.end_offset;
                let reader = KafkaReader::new(Arc::clone(&shared), assignment, names, partition, offset, end);
                Ok(Box::new(reader) as Box<dyn PartitionReader>)
            })
            .await
    }

    /// Settings of a topic on the cluster, by their Kafka names.
    pub async fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, LogError> {
        let admin = self.0.blocking(Shared::admin).await?;
        let resource = [ResourceSpecifier::Topic(topic)];
        let answers = admin.describe_configs(&resource, &admin_options()).await.map_err(|error| self.0.error(error))?;
        match answers.into_iter().next() {
            Some(Ok(settings)) => {
                Ok(settings.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
            }
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                Err(LogError::UnknownTopic { topic: topic.to_owned(), nearest: None })
            }
            Some(Err(code)) => Err(self.0.error(KafkaError::AdminOp(code))),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Gives a topic more partitions, `count` in all. Records of a key may lie in another one from then on.
    pub async fn add_partitions(&self, topic: &str, count: u32) -> Result<(), LogError> {
        let admin = self.0.blocking(Shared::admin).await?;
        let wanted = [NewPartitions::new(topic, count as usize)];
        let answers = admin.create_partitions(&wanted, &admin_options()).await.map_err(|error| self.0.error(error))?;
        match answers.into_iter().next() {
            None | Some(Ok(_)) => Ok(()),
            Some(Err((_, code))) => Err(self.0.error(KafkaError::AdminOp(code))),
        }
    }

    /// Makes a topic with these settings, by their Kafka names. Others, and `None` replicas, are left to the cluster.
    pub async fn create(
        &self,
        name: &str,
        partitions: u32,
        replicas: Option<u16>,
        settings: &BTreeMap<&str, String>,
    ) -> Result<(), LogError> {
        check_topic_name(name)?;
        let admin = self.0.blocking(Shared::admin).await?;
        let replication = TopicReplication::Fixed(replicas.map_or(-1, i32::from));
        let mut topic = NewTopic::new(name, i32::try_from(partitions).unwrap_or(i32::MAX), replication);
        for (setting, value) in settings {
            topic = topic.set(setting, value);
        }
        let answers = admin.create_topics([&topic], &admin_options()).await.map_err(|error| self.0.error(error))?;
        match answers.into_iter().next() {
            None | Some(Ok(_)) => Ok(()),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                Err(LogError::TopicExists { topic: name.to_owned() })
            }
            Some(Err((_, code))) => Err(self.0.error(KafkaError::AdminOp(code))),
        }
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

#[async_trait]
impl TopicLog for KafkaLog {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<(), LogError> {
        let retention_ms = config.retention_ms.map_or("-1".to_owned(), |ms| ms.to_string());
        let retention_bytes = config.retention_bytes.map_or("-1".to_owned(), |bytes| bytes.to_string());
        let settings = BTreeMap::from([("retention.ms", retention_ms), ("retention.bytes", retention_bytes)]);
        self.create(name, config.partitions, None, &settings).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let admin = self.0.blocking(Shared::admin).await?;
        let answers = admin.delete_topics(&[name], &admin_options()).await.map_err(|error| self.0.error(error))?;
        match answers.into_iter().next() {
            None | Some(Ok(_)) => Ok(()),
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))) => {
                Err(LogError::UnknownTopic { topic: name.to_owned(), nearest: None })
            }
            Some(Err((_, code))) => Err(self.0.error(KafkaError::AdminOp(code))),
        }
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, LogError> {
        let names: Vec<String> = self.describe().await?.topics.into_iter().map(|topic| topic.name).collect();
        let mut standings = self.standings(names.clone()).await?;
        let described = names.into_iter().filter_map(|name| {
            let partitions = standings.remove(&name)?;
            let config = TopicConfig::with_partitions(partitions.len() as u32);
            Some(TopicDescription { name, id: None, config, partitions })
        });
        Ok(described.collect())
    }

    async fn topic(&self, name: &str) -> Result<TopicDescription, LogError> {
        let settings = self.topic_settings(name).await;
        let settings = match settings {
            // Not everybody who may read a topic may see its settings.
            Err(LogError::Cluster { may_pass: false, .. }) => BTreeMap::new(),
            settings => settings?,
        };
        let topic = name.to_owned();
        self.0
            .blocking(move |shared| {
                let partitions = shared.standings(std::slice::from_ref(&topic))?.remove(&topic).unwrap_or_default();
                if partitions.is_empty() {
                    return Err(shared.unknown(&topic));
                }
                let id = shared.shape(&topic)?.id;
                let number = |name: &str| settings.get(name).and_then(|text| text.parse::<i64>().ok());
                let config = TopicConfig {
                    retention_ms: number("retention.ms").filter(|ms| *ms >= 0),
                    retention_bytes: number("retention.bytes").and_then(|bytes| u64::try_from(bytes).ok()),
                    ..TopicConfig::with_partitions(partitions.len() as u32)
                };
                Ok(TopicDescription { name: topic, id, config, partitions })
            })
            .await
    }

    async fn shape(&self, topic: &str) -> Result<TopicShape, LogError> {
        let topic = topic.to_owned();
        self.0.blocking(move |shared| shared.shape(&topic)).await
    }

    async fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64, LogError> {
        let topic = topic.to_owned();
        self.0
            .blocking(move |shared| {
                let found = shared.offsets(&[(topic.clone(), partition)], Offset::Offset(timestamp_ms.max(0)))?;
                match found.get(&(topic.clone(), partition)) {
                    Some(Some(offset)) => Ok(*offset),
                    // No record is as late.
                    _ => Ok(shared.standing(&topic, partition)?.end_offset),
                }
            })
            .await
    }

    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        let producer = self.0.publisher()?;
        let mut acks: Vec<Option<Ack>> = vec![None; records.len()];
        let mut failed = self.0.publish(&producer, topic, &records, &mut acks).await;
        // What was made just now is learnt by one broker after the other, and by a client when it asks again.
        let given_up = Instant::now() + PROPAGATION_TIME_MAX;
        while failed.as_ref().is_some_and(is_unknown) && Instant::now() < given_up {
            tokio::time::sleep(PROPAGATION_INTERVAL).await;
            let (asking, asked) = (producer.clone(), topic.to_owned());
            let ask = move |shared: &Shared| {
                let answer = asking.client().fetch_metadata(Some(&asked), REQUEST_TIMEOUT);
                answer.map(drop).map_err(|error| shared.error(error))
            };
            self.0.blocking(ask).await?;
            failed = self.0.publish(&producer, topic, &records, &mut acks).await;
        }
        let Some(error) = failed else {
            return Ok(acks.into_iter().flatten().collect());
        };
        let source = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                LogError::UnknownTopic { topic: topic.to_owned(), nearest: None }
            }
            // It is not said of which record it is, and those of its batch are not taken either.
            Some(code) if is_about_record(code) => {
                let index = acks.iter().position(Option::is_none).unwrap_or_default();
                LogError::BadRecord { index, reason: error.to_string() }
            }
            _ => self.0.error(error),
        };
        match acks.iter().any(Option::is_some) {
            true => Err(LogError::PartlyWritten { acks, source: Box::new(source) }),
            false => Err(source),
        }
    }

    async fn open(&self, topic: &str, partition: u32, offset: i64) -> Result<Box<dyn PartitionReader>, LogError> {
        self.open_as(topic, topic, partition, offset).await
    }

    fn problem(&self, topic: &str) -> Option<String> {
        let cluster = &self.0.config.name;
        if let Some(problem) = self.0.events.problem() {
            return Some(format!("Kafka cluster {cluster:?}: {problem}; trying again"));
        }
        let held = self.0.consumers.held_back(topic).filter(|held| held.waits >= HELD_BACK_TOLD)?;
        Some(format!(
            "Kafka cluster {cluster:?}: what {topic}/{} has from offset {} on has waited {} minutes for somebody's \
             transaction to end; if its producer is gone, end it with `kafka-transactions.sh find-hanging` and `abort`",
            held.partition,
            held.offset,
            held.waits.as_secs() / 60,
        ))
    }

    async fn publish_positions(&self, group: &str, positions: &[(Arc<str>, u32, i64)]) -> Result<(), LogError> {
        let (group, positions) = (format!("{}{group}", self.0.config.prefix), positions.to_vec());
        self.0
            .blocking(move |shared| {
                let mut list = TopicPartitionList::with_capacity(positions.len());
                for (topic, partition, offset) in &positions {
                    list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset))
                        .map_err(|error| shared.error(error))?;
                }
                let written = shared.member(&group).and_then(|member| member.write(&list));
                written.map_err(|error| shared.error(error))
            })
            .await
    }
}

fn published<'a>(topic: &'a str, record: &'a NewRecord) -> FutureRecord<'a, [u8], [u8]> {
    let mut published = FutureRecord::to(topic);
    published.partition = record.partition.and_then(|partition| i32::try_from(partition).ok());
    published.key = record.key.as_deref();
    published.payload = record.value.as_deref();
    published.timestamp = record.timestamp_ms;
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value.as_ref()) });
        }
        published.headers = Some(headers);
    }
    published
}

impl Shared {
    /// Runs a call of the client that blocks where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let shared = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(_) => Err(LogError::Closed),
        }
    }

    /// Readers of the same topic share one question.
    fn shape(&self, topic: &str) -> Result<TopicShape, LogError> {
        let known = |shapes: &HashMap<String, (Instant, TopicShape)>| {
            shapes.get(topic).filter(|(asked, _)| asked.elapsed() < SHAPE_AGE_MAX).map(|(_, shape)| shape.clone())
        };
        if let Some(shape) = known(&self.shapes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) {
            return Ok(shape);
        }
        let shape = admin::topic_shape(self.asking.client().native_ptr(), topic, REQUEST_TIMEOUT);
        let shape = shape.map_err(|error| self.admin_error(&error))?.ok_or_else(|| self.unknown(topic))?;
        let mut shapes = self.shapes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        shapes.retain(|_, (asked, _)| asked.elapsed() < SHAPE_AGE_MAX);
        shapes.insert(topic.to_owned(), (Instant::now(), shape.clone()));
        Ok(shape)
    }

    fn standing(&self, topic: &str, partition: u32) -> Result<PartitionStatus, LogError> {
        let standings = self.standings(&[topic.to_owned()])?.remove(topic).unwrap_or_default();
        if standings.is_empty() {
            return Err(self.unknown(topic));
        }
        let partitions = standings.len() as u32;
        let standing = standings.into_iter().find(|standing| standing.partition == partition);
        standing.ok_or_else(|| LogError::UnknownPartition { topic: topic.to_owned(), partition, partitions })
    }

    fn standings(&self, topics: &[String]) -> Result<HashMap<String, Vec<PartitionStatus>>, LogError> {
        let only = match topics {
            [one] => Some(one.as_str()),
            _ => None,
        };
        let metadata = self.asking.fetch_metadata(only, REQUEST_TIMEOUT).map_err(|error| self.error(error))?;
        let mut partitions = Vec::new();
        for topic in metadata.topics().iter().filter(|topic| topics.iter().any(|wanted| wanted == topic.name())) {
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => continue,
                Some(code) => return Err(self.error(KafkaError::MetadataFetch(code))),
            }
            partitions
                .extend(topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id() as u32)));
        }
        let starts = self.offsets(&partitions, Offset::Beginning)?;
        let ends = self.offsets(&partitions, Offset::End)?;
        let mut standings: HashMap<String, Vec<PartitionStatus>> = HashMap::new();
        for key in partitions {
            let (Some(Some(start)), Some(Some(end))) = (starts.get(&key), ends.get(&key)) else {
                return Err(LogError::Cluster {
                    cluster: self.config.name.clone(),
                    reason: format!("partition {} of {:?} has no leader just now", key.1, key.0),
                    may_pass: true,
                });
            };
            let (topic, partition) = key;
            let status = PartitionStatus { partition, start_offset: *start, end_offset: *end, bytes: 0 };
            standings.entry(topic).or_default().push(status);
        }
        standings.values_mut().for_each(|partitions| partitions.sort_by_key(|one| one.partition));
        self.events.works();
        Ok(standings)
    }

    /// The offsets at a time, or at the beginning or end, by partition; `None` where there is none.
    fn offsets(
        &self,
        partitions: &[(String, u32)],
        at: Offset,
    ) -> Result<HashMap<(String, u32), Option<i64>>, LogError> {
        if partitions.is_empty() {
            return Ok(HashMap::new());
        }
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            asked.add_partition_offset(topic, *partition as i32, at).map_err(|error| self.error(error))?;
        }
        let found = self.offsets_for_times(&asked).map_err(|error| self.error(error))?;
        let offset_of = |offset: Offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        Ok(found
            .elements()
            .iter()
            .map(|found| ((found.topic().to_owned(), found.partition() as u32), offset_of(found.offset())))
            .collect())
    }

    /// Asks again while those who were asked do not lead yet, or any more: a topic that was just made, or leaders that move.
    fn offsets_for_times(&self, asked: &TopicPartitionList) -> Result<TopicPartitionList, KafkaError> {
        let given_up = Instant::now() + PROPAGATION_TIME_MAX;
        loop {
            let found = self.asking.offsets_for_times(asked.clone(), REQUEST_TIMEOUT);
            let is_elsewhere = |error: &KafkaError| code_of(error) == Some(RDKafkaErrorCode::NotLeaderForPartition);
            let moves = match &found {
                Ok(found) => found.elements().iter().any(|one| one.error().is_err_and(|error| is_elsewhere(&error))),
                Err(error) => is_elsewhere(error),
            };
            if !moves || Instant::now() >= given_up {
                return found;
            }
            std::thread::sleep(PROPAGATION_INTERVAL);
            self.asking.fetch_metadata(None, REQUEST_TIMEOUT)?;
        }
    }

    fn admin(&self) -> Result<Arc<ClosedAside<AdminClient<ClientEvents>>>, LogError> {
        let admin = self.made_admin()?;
        self.events.give_token(admin.inner().native_ptr()).map_err(|reason| LogError::Cluster {
            cluster: self.config.name.clone(),
            reason: format!("{} ({reason})", ProblemKind::Token.words()),
            may_pass: true,
        })?;
        Ok(admin)
    }

    fn made_admin(&self) -> Result<Arc<ClosedAside<AdminClient<ClientEvents>>>, LogError> {
        let mut admin = self.admin.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(admin) = &*admin {
            return Ok(Arc::clone(admin));
        }
        let made = self.config.client().create_with_context(self.events.for_another_client());
        let made = Arc::new(ClosedAside::new(made.map_err(|error| self.error(error))?));
        *admin = Some(Arc::clone(&made));
        Ok(made)
    }

    fn publisher(&self) -> Result<Arc<ClosedAside<FutureProducer<ClientEvents>>>, LogError> {
        let mut publisher = self.publisher.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(publisher) = &*publisher {
            return Ok(Arc::clone(publisher));
        }
        let mut client = self.config.client();
        client
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", PUBLISH_TIMEOUT.as_millis().to_string());
        for (name, value) in
            [("message.max.bytes", log::RECORD_BYTES_MAX.to_string()), ("compression.type", "lz4".to_owned())]
        {
            if !self.config.properties.contains_key(name) {
                client.set(name, value);
            }
        }
        let made = client.create_with_context(self.events.for_another_client());
        let made = Arc::new(ClosedAside::new(made.map_err(|error| self.error(error))?));
        *publisher = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Sends the records that have no acknowledgement yet and waits for each; the first failure is the answer.
    async fn publish(
        &self,
        producer: &FutureProducer<ClientEvents>,
        topic: &str,
        records: &[NewRecord],
        acks: &mut [Option<Ack>],
    ) -> Option<KafkaError> {
        let mut sent = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate().filter(|(index, _)| acks[*index].is_none()) {
            let delivery = loop {
                match producer.send_result(published(topic, record)) {
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    delivery => break delivery.map_err(|(error, _)| error),
                }
            };
            sent.push((index, delivery));
        }
        let mut failed = None;
        for (index, delivery) in sent {
            let delivered = match delivery {
                Ok(delivery) => match delivery.await {
                    Ok(delivered) => delivered.map_err(|(error, _)| error),
                    Err(_) => Err(KafkaError::Canceled),
                },
                Err(error) => Err(error),
            };
            match delivered {
                Ok(delivered) => {
                    acks[index] = Some(Ack {
                        partition: u32::try_from(delivered.partition).unwrap_or_default(),
                        offset: delivered.offset,
                        timestamp_ms: delivered.timestamp.to_millis().unwrap_or_default(),
                    });
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed
    }

    fn member(&self, group: &str) -> Result<Arc<GroupMember>, KafkaError> {
        self.members.member((&self.config, &self.events), group)
    }

    pub(crate) fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    fn unknown(&self, topic: &str) -> LogError {
        LogError::UnknownTopic { topic: topic.to_owned(), nearest: None }
    }

    /// What a reader's error means; `None` when the client goes on by itself.
    pub(crate) async fn reading_failed(
        self: &Arc<Self>,
        topic: &str,
        partition: u32,
        requested: i64,
        code: rd_kafka_resp_err_t,
        reason: String,
    ) -> Option<LogError> {
        use rd_kafka_resp_err_t as E;
        match code {
            E::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
            | E::RD_KAFKA_RESP_ERR__TRANSPORT
            | E::RD_KAFKA_RESP_ERR__RESOLVE
            | E::RD_KAFKA_RESP_ERR__TIMED_OUT
            | E::RD_KAFKA_RESP_ERR__AUTHENTICATION
            | E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
            | E::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE => None,
            E::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            | E::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
            | E::RD_KAFKA_RESP_ERR__LOG_TRUNCATION => {
                let wanted = topic.to_owned();
                let standing = self.blocking(move |shared| shared.standing(&wanted, partition)).await;
                let topic = topic.to_owned();
                Some(match standing {
                    Err(error) => error,
                    Ok(standing) if requested < standing.start_offset => {
                        LogError::OffsetGone { topic, partition, requested, start: standing.start_offset }
                    }
                    Ok(standing) => LogError::OffsetBeyondEnd { topic, partition, requested, end: standing.end_offset },
                })
            }
            E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | E::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | E::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
            | E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID => Some(self.unknown(topic)),
            _ => Some(LogError::Cluster {
                cluster: self.config.name.clone(),
                reason: format!("{topic}/{partition} cannot be read: {reason}"),
                may_pass: true,
            }),
        }
    }

    /// A call failed; the reason is what the client last logged, if it logged one.
    fn error(&self, error: KafkaError) -> LogError {
        match (self.events.problem(), code_of(&error)) {
            (
                Some(problem),
                Some(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::MessageTimedOut
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::Resolve,
                ),
            ) => LogError::Cluster {
                cluster: self.config.name.clone(),
                reason: format!("{problem}; {}", problem.kind.hint()),
                may_pass: true,
            },
            _ => cluster_error(&self.config.name, error),
        }
    }

    fn admin_error(&self, error: &admin::AdminError) -> LogError {
        let code: RDKafkaErrorCode = error.code.into();
        LogError::Cluster {
            cluster: self.config.name.clone(),
            reason: error.reason.clone(),
            may_pass: !is_refusal(code),
        }
    }
}

/// Whether it is a topic or partition that the client or a broker has not heard of.
fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Whether a record can be the reason that it is not taken.
fn is_about_record(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
    )
}

fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::InvalidReplicationFactor
            | RDKafkaErrorCode::PolicyViolation
    )
}

/// The client's code of an error, also of an administrative call's, which rdkafka leaves out.
fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

pub(crate) fn cluster_error(cluster: &str, error: KafkaError) -> LogError {
    let may_pass = !code_of(&error).is_some_and(is_refusal);
    LogError::Cluster { cluster: cluster.to_owned(), reason: error.to_string(), may_pass }
}

/// Serves the log and callbacks of the client that asks, and closes consumers that nobody uses.
fn keep_house(shared: &Weak<Shared>) {
    let mut rounds: u32 = 0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        while shared.asking.poll(Duration::ZERO).is_some() {}
        let admin = shared.admin.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        if let Some(admin) = admin {
            admin::serve_log(admin.inner().native_ptr(), &shared.events);
        }
        shared.members.keep();
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of((IDLE_CONSUMERS_INTERVAL.as_millis() / EVENTS_INTERVAL.as_millis()) as u32) {
            shared.consumers.close_idle();
        }
        drop(shared);
        std::thread::sleep(EVENTS_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaApiKey;

    use super::*;

    const NOT_LEADER: rd_kafka_resp_err_t = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;

    #[test]
    fn refusals_of_administrative_calls_do_not_pass() {
        let may_pass = |code| match cluster_error("kafka", KafkaError::AdminOp(code)) {
            LogError::Cluster { may_pass, .. } => may_pass,
            other => panic!("{other}"),
        };
        assert!(!may_pass(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(may_pass(RDKafkaErrorCode::OperationTimedOut));
    }

    #[tokio::test]
    async fn a_broker_that_does_not_lead_yet_is_asked_again() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", 1, 1).unwrap();
        cluster.request_errors(RDKafkaApiKey::ListOffsets, &[NOT_LEADER; 3]);
        let log = KafkaLog::connect(ClusterConfig::plaintext("mock", &[&cluster.bootstrap_servers()])).unwrap();
        let standings = log.standings(vec!["events".to_owned()]).await.unwrap();
        assert_eq!(standings["events"].len(), 1);
    }
}
