//! The topics of an embedded log: found at start, made, deleted, looked up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::partition::{Partition, Shared, Standing};
use super::recovery::{RecoveredPartition, recover_partition};
use super::topic_directory::TopicDirectories;
use crate::error::LogError;
use crate::limits::{PARTITIONS_TOTAL_MAX, TOPICS_MAX};
use crate::topic::{TopicConfig, TopicDescription, check_topic_name, nearest_topic};

/// The end of a partition that was cut off when the log was opened, because it was not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailCut {
    pub topic: String,
    pub partition: u32,
    /// The first offset that is not there.
    pub offset: i64,
    pub bytes: u64,
}

pub(crate) struct Topic {
    pub name: Arc<str>,
    config: Arc<TopicConfig>,
    pub partitions: Vec<Arc<Partition>>,
    next_without_key: AtomicU32,
}

impl Topic {
    pub fn partition(&self, partition: u32) -> Result<&Arc<Partition>, LogError> {
        self.partitions.get(partition as usize).ok_or_else(|| LogError::UnknownPartition {
            topic: self.name.to_string(),
            partition,
            partitions: self.config.partitions,
        })
    }

    /// Where the records without a key of one call go.
    pub fn partition_without_key(&self) -> u32 {
        self.next_without_key.fetch_add(1, Ordering::Relaxed) % self.config.partitions.max(1)
    }

    pub fn describe(&self) -> TopicDescription {
        TopicDescription {
            name: self.name.to_string(),
            id: None,
            config: self.config.as_ref().clone(),
            partitions: self.partitions.iter().map(|partition| partition.status()).collect(),
        }
    }
}

pub(crate) struct Catalog {
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    directories: TopicDirectories,
    /// Held while a topic is made or deleted.
    change: Mutex<()>,
    shared: Arc<Shared>,
}

impl Catalog {
    /// Finds the topics in `root` and recovers their partitions.
    pub fn open(root: &Path, shared: Arc<Shared>) -> Result<(Self, Vec<TailCut>), LogError> {
        let directories = TopicDirectories::open(root)?;
        let mut tails_cut = Vec::new();
        let mut topics = BTreeMap::new();
        for name in directories.list()? {
            let config = directories.read_config(&name)?;
            let mut recovered = Vec::new();
            for partition in 0..config.partitions {
                let found = recover_partition(&directories.partition_dir(&name, partition))?;
                if found.bytes_cut > 0 {
                    let (offset, bytes) = (found.next_offset, found.bytes_cut);
                    tracing::warn!(topic = name, partition, offset, bytes, "cut a tail that was not whole");
                    tails_cut.push(TailCut { topic: name.clone(), partition, offset, bytes });
                }
                recovered.push(found);
            }
            let topic = new_topic(&directories, &shared, &name, config, recovered);
            topics.insert(name, topic);
        }
        let catalog = Self { topics: RwLock::new(topics), directories, change: Mutex::new(()), shared };
        Ok((catalog, tails_cut))
    }

    pub fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or_else(|| LogError::UnknownTopic {
            topic: name.to_owned(),
            nearest: nearest_topic(name, topics.keys().map(String::as_str)),
        })
    }

    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Blocks for the disk.
    pub fn create(&self, name: &str, config: TopicConfig) -> Result<(), LogError> {
        check_topic_name(name)?;
        config.check(name)?;
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_room_for(name, &config)?;
        self.directories.create(name, &config)?;
        let recovered = (0..config.partitions).map(|_| RecoveredPartition::default()).collect();
        let topic = new_topic(&self.directories, &self.shared, name, config, recovered);
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), topic);
        Ok(())
    }

    fn check_room_for(&self, name: &str, config: &TopicConfig) -> Result<(), LogError> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(name) {
            return Err(LogError::TopicExists { topic: name.to_owned() });
        }
        let partitions =
            topics.values().map(|topic| topic.partitions.len()).sum::<usize>() + config.partitions as usize;
        let within = |what, actual, max: usize| {
            if actual <= max {
                return Ok(());
            }
            Err(LogError::OverLimit { what: "log", actual: actual as u64, max: max as u64, unit: what })
        };
        within("topics", topics.len() + 1, TOPICS_MAX)?;
        within("partitions", partitions, PARTITIONS_TOTAL_MAX)
    }

    /// Blocks for the disk.
    pub fn delete(&self, name: &str) -> Result<(), LogError> {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = self.topic(name)?;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        for partition in &topic.partitions {
            partition.end_with(Standing::Deleted);
        }
        self.directories.delete(name)
    }

    pub fn enforce_retention(&self) -> Result<(), LogError> {
        let mut result = Ok(());
        for topic in self.topics() {
            for partition in &topic.partitions {
                let done = match partition.enforce_retention() {
                    // Deleted or closed meanwhile: nothing is left to expire.
                    Err(LogError::UnknownTopic { .. } | LogError::Closed) => Ok(()),
                    done => done,
                };
                result = result.and(done);
            }
        }
        result
    }
}

fn new_topic(
    directories: &TopicDirectories,
    shared: &Arc<Shared>,
    name: &str,
    config: TopicConfig,
    recovered: Vec<RecoveredPartition>,
) -> Arc<Topic> {
    let (name, config): (Arc<str>, _) = (Arc::from(name), Arc::new(config));
    let partitions = (0..).zip(recovered).map(|(id, recovered)| {
        let dir = directories.partition_dir(&name, id);
        Partition::new(name.clone(), id, dir, config.clone(), shared.clone(), recovered)
    });
    let partitions = partitions.collect();
    Arc::new(Topic { name, config, partitions, next_without_key: AtomicU32::new(0) })
}
