//! What several tests need: a log in a directory of its own, records, and reading all there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::{
    Durability, EmbeddedLog, EmbeddedLogOptions, LogError, ManualClock, NewRecord, PartitionReader, Slab, TopicConfig,
    TopicLog,
};
use tempfile::TempDir;

pub const TOPIC: &str = "booking-log";
/// No test waits this long when all is well.
pub const LONG: Duration = Duration::from_secs(60);

pub fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, EmbeddedLogOptions::default()).expect("the log opens")
}

/// A log without fsync and with a clock that stands at 1,000,000 ms.
pub fn quick_options() -> (EmbeddedLogOptions, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at_ms(1_000_000));
    let options = EmbeddedLogOptions {
        durability: Durability::None,
        clock: clock.clone(),
        retention_interval: Duration::from_secs(3_600),
        ..EmbeddedLogOptions::default()
    };
    (options, clock)
}

pub async fn with_topic(dir: &TempDir, config: TopicConfig) -> EmbeddedLog {
    let log = open(dir.path());
    log.create_topic(TOPIC, config).await.expect("the topic is made");
    log
}

pub fn record(value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord { partition: Some(0), value: Some(Bytes::from(value.into())), ..NewRecord::default() }
}

pub async fn poll(reader: &mut dyn PartitionReader) -> Slab {
    reader.poll(1 << 20, Duration::ZERO).await.expect("there is no error")
}

/// Offsets and values from `offset` to the end.
pub async fn read_from(log: &EmbeddedLog, offset: i64) -> Result<Vec<(i64, Vec<u8>)>, LogError> {
    read_partition(log, 0, offset).await
}

pub async fn read_partition(log: &EmbeddedLog, partition: u32, offset: i64) -> Result<Vec<(i64, Vec<u8>)>, LogError> {
    let mut reader = log.open(TOPIC, partition, offset).await?;
    let mut read = Vec::new();
    loop {
        let slab = reader.poll(64 << 10, Duration::ZERO).await?;
        if slab.is_empty() {
            assert!(slab.at_end());
            return Ok(read);
        }
        assert_eq!(reader.position(), slab.next_offset);
        read.extend((0..slab.len()).map(|i| (slab.offset(i), slab.value(i).unwrap_or_default().to_vec())));
    }
}

pub fn partition_dir(dir: &Path) -> PathBuf {
    dir.join("topics").join(TOPIC).join("0")
}

/// The segments of partition 0, oldest first.
pub fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(partition_dir(dir))
        .expect("the directory is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory is made");
    for entry in fs::read_dir(from).expect("the directory is there") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file is copied");
        }
    }
}
