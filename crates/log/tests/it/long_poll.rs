use std::sync::Arc;
use std::time::Duration;

use millrace_log::{LogError, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_waiting_reader_wakes_for_an_append() {
    let dir = tempdir().unwrap();
    let log = Arc::new(with_topic(&dir, TopicConfig::default()).await);
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
        waiting.push(tokio::spawn(async move { reader.poll(1 << 20, LONG).await }));
    }
    log.produce(TOPIC, vec![record("wake up")]).await.unwrap();
    for reader in waiting {
        let slab = tokio::time::timeout(LONG, reader).await.expect("the reader wakes").unwrap().unwrap();
        assert_eq!(slab.value(0), Some(&b"wake up"[..]));
    }
}

#[tokio::test]
async fn without_records_the_slab_is_empty_after_the_wait() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
    let wait = Duration::from_millis(20);
    let before = std::time::Instant::now();
    let slab = reader.poll(1 << 20, wait).await.unwrap();
    assert!(before.elapsed() >= wait);
    assert!(slab.is_empty() && slab.at_end());
    assert_eq!((slab.next_offset, slab.end_offset, reader.position()), (0, 0, 0));
}

#[tokio::test]
async fn a_dropped_poll_loses_nothing() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
    for n in 0..20 {
        {
            let poll = reader.poll(1 << 20, LONG);
            tokio::pin!(poll);
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(poll.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        log.produce(TOPIC, vec![record(n.to_string())]).await.unwrap();
        let slab = reader.poll(1 << 20, LONG).await.unwrap();
        assert_eq!((slab.offset(0), slab.value(0)), (n, Some(n.to_string().as_bytes())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_topic_and_closing_the_log_wake_readers() {
    let dir = tempdir().unwrap();
    let log = Arc::new(with_topic(&dir, TopicConfig::default()).await);
    log.create_topic("other", TopicConfig::default()).await.unwrap();
    let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
    let mut other = log.open("other", 0, 0).await.unwrap();
    let of_deleted = tokio::spawn(async move { reader.poll(1, LONG).await });
    let of_closed = tokio::spawn(async move { other.poll(1, LONG).await });
    log.delete_topic(TOPIC).await.unwrap();
    let ended = tokio::time::timeout(LONG, of_deleted).await.expect("it wakes").unwrap();
    assert!(matches!(ended, Err(LogError::UnknownTopic { .. })), "{ended:?}");
    log.close().await;
    let ended = tokio::time::timeout(LONG, of_closed).await.expect("it wakes").unwrap();
    assert!(matches!(ended, Err(LogError::Closed)), "{ended:?}");
    assert!(matches!(log.produce("other", vec![record("x")]).await, Err(LogError::Closed)));
    assert!(matches!(log.topics().await, Err(LogError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_follows_a_writer_over_many_segments() {
    let dir = tempdir().unwrap();
    let config = TopicConfig { segment_bytes: 4_096, ..TopicConfig::default() };
    let log = Arc::new(with_topic(&dir, config).await);
    const RECORDS: i64 = 600;
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for n in 0..RECORDS {
                log.produce(TOPIC, vec![record(format!("{n:0100}"))]).await.unwrap();
            }
        }
    });
    let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
    let mut expected = 0;
    while expected < RECORDS {
        let slab = reader.poll(1 << 20, LONG).await.unwrap();
        for i in 0..slab.len() {
            assert_eq!((slab.offset(i), slab.value(i)), (expected, Some(format!("{expected:0100}").as_bytes())));
            expected += 1;
        }
    }
    writer.await.unwrap();
    assert!(segment_files(dir.path()).len() > 10);
}
