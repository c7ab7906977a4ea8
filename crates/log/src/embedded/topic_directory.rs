//! The directory of a topic: `topic.json` and one directory per partition.
//!
//! A topic appears and vanishes by one rename: it is made in `unfinished/`, lives in `topics/`, and goes to `trash/`
//! before its files are removed. What a crash leaves in the first and the last is removed at the next start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::disk::{sync_dir, write_atomically};
use crate::error::LogError;
use crate::topic::{TopicConfig, check_topic_name};

pub(crate) struct TopicDirectories {
    root: PathBuf,
    /// Makes names in `trash/` differ.
    trashed: AtomicU64,
}

/// What is in `topic.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTopic {
    version: u32,
    partitions: u32,
    retention_ms: Option<i64>,
    retention_bytes: Option<u64>,
    segment_bytes: u64,
    labels: BTreeMap<String, String>,
}

const VERSION: u32 = 1;
const METADATA_FILE: &str = "topic.json";

impl TopicDirectories {
    pub fn open(root: &Path) -> Result<Self, LogError> {
        for name in ["unfinished", "trash"] {
            remove_tree(&root.join(name))?;
        }
        for name in ["topics", "unfinished", "trash"] {
            let dir = root.join(name);
            fs::create_dir_all(&dir).map_err(|error| LogError::io("cannot create", &dir, error))?;
        }
        sync_dir(root)?;
        Ok(Self { root: root.to_owned(), trashed: AtomicU64::new(0) })
    }

    fn topics(&self) -> PathBuf {
        self.root.join("topics")
    }

    pub fn partition_dir(&self, topic: &str, partition: u32) -> PathBuf {
        self.topics().join(topic).join(partition.to_string())
    }

    /// Names of all topics, in order.
    pub fn list(&self) -> Result<Vec<String>, LogError> {
        let dir = self.topics();
        let list =
            || fs::read_dir(&dir)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>();
        let found = list().map_err(|error| LogError::io("cannot list", &dir, error))?;
        let mut names: Vec<String> = found
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter(|name| check_topic_name(name).is_ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub fn read_config(&self, topic: &str) -> Result<TopicConfig, LogError> {
        let path = self.topics().join(topic).join(METADATA_FILE);
        let bytes = fs::read(&path).map_err(|error| LogError::io("cannot read", &path, error))?;
        let bad = |detail: String| LogError::BadMetadata { path: path.clone(), detail };
        let stored: StoredTopic = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if stored.version != VERSION {
            return Err(bad(format!("it has version {}, this program knows {VERSION}", stored.version)));
        }
        let config = TopicConfig {
            partitions: stored.partitions,
            retention_ms: stored.retention_ms,
            retention_bytes: stored.retention_bytes,
            segment_bytes: stored.segment_bytes,
            labels: stored.labels,
        };
        config.check(topic).map_err(|error| bad(error.to_string()))?;
        Ok(config)
    }

    pub fn create(&self, topic: &str, config: &TopicConfig) -> Result<(), LogError> {
        let unfinished = self.root.join("unfinished").join(topic);
        remove_tree(&unfinished)?; // of an attempt that failed
        for partition in 0..config.partitions {
            let dir = unfinished.join(partition.to_string());
            fs::create_dir_all(&dir).map_err(|error| LogError::io("cannot create", &dir, error))?;
        }
        let stored = StoredTopic {
            version: VERSION,
            partitions: config.partitions,
            retention_ms: config.retention_ms,
            retention_bytes: config.retention_bytes,
            segment_bytes: config.segment_bytes,
            labels: config.labels.clone(),
        };
        let path = unfinished.join(METADATA_FILE);
        let json = serde_json::to_vec_pretty(&stored)
            .map_err(|error| LogError::BadMetadata { path: path.clone(), detail: error.to_string() })?;
        write_atomically(&path, &json)?; // syncs the directory too
        let place = self.topics().join(topic);
        fs::rename(&unfinished, &place).map_err(|error| LogError::io("cannot create", &place, error))?;
        sync_dir(&self.topics())
    }

    pub fn delete(&self, topic: &str) -> Result<(), LogError> {
        let place = self.topics().join(topic);
        let trash = self.root.join("trash").join(self.trashed.fetch_add(1, Ordering::Relaxed).to_string());
        fs::rename(&place, &trash).map_err(|error| LogError::io("cannot delete", &place, error))?;
        sync_dir(&self.topics())?;
        if let Err(error) = remove_tree(&trash) {
            tracing::warn!(%error, "the files of a deleted topic stay until the next start");
        }
        Ok(())
    }
}

fn remove_tree(dir: &Path) -> Result<(), LogError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io("cannot remove", dir, error)),
        _ => Ok(()),
    }
}
