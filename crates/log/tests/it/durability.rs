use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_log::{DiskFaults, Durability, EmbeddedLog, EmbeddedLogOptions, TopicConfig, TopicLog, WriteFault};
use tempfile::tempdir;

use crate::fixture::*;

/// Counts, and makes nothing fail.
#[derive(Default)]
struct Counter {
    writes: AtomicU64,
    syncs: AtomicU64,
}

impl DiskFaults for Counter {
    fn on_write(&self, _: usize) -> WriteFault {
        self.writes.fetch_add(1, Ordering::SeqCst);
        WriteFault::None
    }

    fn on_sync(&self) -> Option<io::Error> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        None
    }
}

async fn counted(dir: &std::path::Path, durability: Durability) -> (EmbeddedLog, Arc<Counter>) {
    let counter = Arc::new(Counter::default());
    let options =
        EmbeddedLogOptions { durability, disk_faults: Some(counter.clone()), ..EmbeddedLogOptions::default() };
    let log = EmbeddedLog::open(dir, options).unwrap();
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    (log, counter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_comes_after_an_fsync_that_many_share() {
    let dir = tempdir().unwrap();
    let (log, counter) = counted(dir.path(), Durability::Group).await;
    log.produce(TOPIC, vec![record("alone")]).await.unwrap();
    assert_eq!(counter.syncs.load(Ordering::SeqCst), 1);
    let log = Arc::new(log);
    let many: Vec<_> = (0..500)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.produce(TOPIC, vec![record(n.to_string())]).await.unwrap() })
        })
        .collect();
    for call in many {
        call.await.unwrap();
    }
    let syncs = counter.syncs.load(Ordering::SeqCst);
    assert!(syncs < 500, "{syncs} fsyncs for 501 calls");
    assert!(counter.writes.load(Ordering::SeqCst) < 501, "small calls are written together");
    assert_eq!(read_from(&log, 0).await.unwrap().len(), 501);
}

#[tokio::test]
async fn with_an_interval_the_fsync_comes_later_by_itself() {
    let dir = tempdir().unwrap();
    let (log, counter) = counted(dir.path(), Durability::Interval(Duration::from_millis(5))).await;
    log.produce(TOPIC, vec![record("seen at once")]).await.unwrap();
    assert_eq!(read_from(&log, 0).await.unwrap().len(), 1);
    let deadline = std::time::Instant::now() + LONG;
    while counter.syncs.load(Ordering::SeqCst) == 0 {
        assert!(std::time::Instant::now() < deadline, "no fsync came");
        tokio::task::yield_now().await;
    }
    log.produce(TOPIC, vec![record("again")]).await.unwrap();
    while counter.syncs.load(Ordering::SeqCst) == 1 {
        assert!(std::time::Instant::now() < deadline, "no second fsync came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_durability_the_fsync_comes_with_the_close() {
    let dir = tempdir().unwrap();
    let (log, counter) = counted(dir.path(), Durability::None).await;
    for n in 0..20 {
        log.produce(TOPIC, vec![record(n.to_string())]).await.unwrap();
    }
    assert_eq!(counter.syncs.load(Ordering::SeqCst), 0);
    log.close().await;
    assert_eq!(counter.syncs.load(Ordering::SeqCst), 1);
}
