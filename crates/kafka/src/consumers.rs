//! The consumers that readers share. A consumer can read a partition at one place only, so readers of the same partition
//! need one each; readers of different partitions share one, and with it the connections and threads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use log::LogError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client_events::ClientEvents;
use crate::closed_aside::ClosedAside;
use crate::cluster_config::ClusterConfig;
use crate::kafka_log::cluster_error;
use crate::queue::PartitionQueue;
use crate::statistics::{self, HeldBack};

/// Most partitions that share a consumer.
const PARTITIONS_PER_CONSUMER: usize = 256;
/// Fetched and not taken: per partition, since each has a queue of its own.
const PREFETCH_KIBIBYTES: u32 = 4 << 10;
const PREFETCH_RECORDS: u32 = 100_000;
/// How often a consumer's events are looked at.
const EVENTS_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Consumers {
    config: ClusterConfig,
    events: ClientEvents,
    members: Mutex<Vec<Arc<Member>>>,
}

pub(crate) struct Member {
    consumer: Arc<ClosedAside<BaseConsumer<ClientEvents>>>,
    /// Each consumer has statistics of its own, and the cluster's problem in common.
    events: ClientEvents,
    assigned: Mutex<HashSet<(String, u32)>>,
}

/// A partition that one consumer reads for one reader. Dropping it ends the fetching.
pub(crate) struct Assignment {
    pub(crate) queue: PartitionQueue,
    pub(crate) events: ClientEvents,
    member: Arc<Member>,
    topic: String,
    partition: u32,
}

impl Consumers {
    pub(crate) fn new(config: ClusterConfig, events: ClientEvents) -> Self {
        Self { config, events, members: Mutex::default() }
    }

    /// Starts fetching a partition from an offset on. Blocks for as long as making a client takes, not for a broker.
    pub(crate) fn assign(&self, topic: &str, partition: u32, offset: i64) -> Result<Assignment, LogError> {
        let failed = |error: rdkafka::error::KafkaError| cluster_error(&self.config.name, error);
        let member = self.member_without(topic, partition)?;
        // On failure below, dropping this frees the partition again.
        let queue = PartitionQueue::new(Arc::clone(&member.consumer), topic, partition);
        let Some(queue) = queue else {
            lock(&member.assigned).remove(&(topic.to_owned(), partition));
            let reason = format!("there is no partition {partition} of {topic:?}");
            return Err(LogError::Cluster { cluster: self.config.name.clone(), reason, may_pass: false });
        };
        let events = member.events.clone();
        let assignment = Assignment { queue, events, member, topic: topic.to_owned(), partition };
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition as i32, Offset::Offset(offset)).map_err(failed)?;
        assignment.member.consumer.incremental_assign(&list).map_err(failed)?;
        Ok(assignment)
    }

    /// A consumer that does not read this partition yet; from now on it does.
    fn member_without(&self, topic: &str, partition: u32) -> Result<Arc<Member>, LogError> {
        let key = (topic.to_owned(), partition);
        let mut members = lock(&self.members);
        for member in members.iter() {
            let mut assigned = lock(&member.assigned);
            if assigned.len() < PARTITIONS_PER_CONSUMER && assigned.insert(key.clone()) {
                return Ok(Arc::clone(member));
            }
        }
        let member = Arc::new(self.make()?);
        lock(&member.assigned).insert(key);
        let watched = Arc::downgrade(&member);
        let thread = std::thread::Builder::new().name("kafka-events".to_owned());
        if let Err(error) = thread.spawn(move || serve_events(&watched)) {
            let reason = format!("no thread for a consumer: {error}");
            return Err(LogError::Cluster { cluster: self.config.name.clone(), reason, may_pass: true });
        }
        members.push(Arc::clone(&member));
        Ok(member)
    }

    fn make(&self) -> Result<Member, LogError> {
        let events = self.events.for_another_client();
        let mut client = self.config.client();
        client
            // Needed to assign; it has no members and decides nothing.
            .set("group.id", format!("{}readers", self.config.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", statistics::INTERVAL.as_millis().to_string());
        for (name, value) in [
            ("queued.max.messages.kbytes", PREFETCH_KIBIBYTES.to_string()),
            ("queued.min.messages", PREFETCH_RECORDS.to_string()),
            // The default of a second makes a reader pause whenever its queue was full.
            ("fetch.queue.backoff.ms", "10".to_owned()),
            // The end of a partition is noticed when a fetch comes back without records.
            ("fetch.wait.max.ms", "200".to_owned()),
            ("check.crcs", "true".to_owned()),
        ] {
            if !self.config.properties.contains_key(name) {
                client.set(name, value);
            }
        }
        let consumer = client.create_with_context(events.clone());
        let consumer = consumer.map_err(|error| cluster_error(&self.config.name, error))?;
        Ok(Member { consumer: Arc::new(ClosedAside::new(consumer)), events, assigned: Mutex::default() })
    }

    /// The partition of a topic whose records have waited longest for the end of a transaction.
    pub(crate) fn held_back(&self, topic: &str) -> Option<HeldBack> {
        let members = lock(&self.members);
        members.iter().filter_map(|member| member.events.statistics()?.held_back(topic)).max_by_key(|held| held.waits)
    }

    /// Consumers without a partition hold connections for nothing.
    pub(crate) fn close_idle(&self) {
        lock(&self.members).retain(|member| !lock(&member.assigned).is_empty());
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, self.partition as i32);
        if let Err(error) = self.member.consumer.incremental_unassign(&list) {
            // It was not assigned, because the assignment failed.
            tracing::debug!(topic = self.topic, partition = self.partition, %error, "a partition was not unassigned");
        }
        lock(&self.member.assigned).remove(&(self.topic.clone(), self.partition));
    }
}

/// Serves callbacks, the log and statistics of a consumer for as long as it is there.
fn serve_events(member: &Weak<Member>) {
    loop {
        let Some(member) = member.upgrade() else { return };
        // Records are in queues of their own; here are events only.
        while member.consumer.poll(Duration::ZERO).is_some() {}
        drop(member);
        std::thread::sleep(EVENTS_INTERVAL);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
