//! Offsets of groups, read and written by a client that is in the group.
//!
//! Not by administrative requests: when a coordinator moves or its broker dies, librdkafka 2.12 sends those for group
//! offsets again after it has let go of what waits for the answer, and the second answer ends the process (an assertion in
//! `rd_kafka_admin_coord_response_parse`; without a group it uses a null pointer before).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client_events::ClientEvents;
use crate::closed_aside::ClosedAside;
use crate::cluster_config::ClusterConfig;

/// A client that nobody has used for so long is closed.
const UNUSED_MAX: Duration = Duration::from_secs(300);

/// In a group, without partitions: it only reads and writes offsets.
pub(crate) struct GroupMember {
    consumer: ClosedAside<BaseConsumer<ClientEvents>>,
}

impl GroupMember {
    fn new(config: &ClusterConfig, events: &ClientEvents, group: &str) -> Result<Self, KafkaError> {
        let mut client = config.client();
        // What is committed within a transaction that is still open is waited for.
        client.set("group.id", group).set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        let consumer = client.create_with_context(events.for_another_client())?;
        Ok(Self { consumer: ClosedAside::new(consumer) })
    }

    /// What was written beside the offset of a partition, if there is one.
    pub(crate) fn metadata(
        &self,
        topic: &str,
        partition: i32,
        timeout: Duration,
    ) -> Result<Option<String>, KafkaError> {
        self.serve_events();
        let mut asked = TopicPartitionList::with_capacity(1);
        asked.add_partition(topic, partition);
        let found = self.consumer.committed_offsets(asked, timeout)?;
        let Some(found) = found.elements().into_iter().next() else { return Ok(None) };
        found.error()?;
        Ok(matches!(found.offset(), Offset::Offset(_)).then(|| found.metadata().to_owned()))
    }

    /// Does not wait for the answer.
    pub(crate) fn write(&self, offsets: &TopicPartitionList) -> Result<(), KafkaError> {
        self.serve_events();
        self.consumer.commit(offsets, CommitMode::Async)
    }

    /// The log, and the wish for a token.
    fn serve_events(&self) {
        while self.consumer.poll(Duration::ZERO).is_some() {}
    }
}

/// One client for each group.
#[derive(Default)]
pub(crate) struct GroupMembers {
    by_group: Mutex<HashMap<String, (Arc<GroupMember>, Instant)>>,
}

impl GroupMembers {
    /// Makes the client if it is not there.
    pub(crate) fn member(
        &self,
        (config, events): (&ClusterConfig, &ClientEvents),
        group: &str,
    ) -> Result<Arc<GroupMember>, KafkaError> {
        let mut members = self.by_group.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((member, used)) = members.get_mut(group) {
            *used = Instant::now();
            return Ok(Arc::clone(member));
        }
        let member = Arc::new(GroupMember::new(config, events, group)?);
        members.insert(group.to_owned(), (Arc::clone(&member), Instant::now()));
        Ok(member)
    }

    /// Serves all, and closes those that nobody uses.
    pub(crate) fn keep(&self) {
        let mut closed = Vec::new();
        let mut members = self.by_group.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (group, (member, used)) in members.iter() {
            member.serve_events();
            if used.elapsed() > UNUSED_MAX {
                closed.push(group.clone());
            }
        }
        for group in closed {
            members.remove(&group);
        }
    }
}
