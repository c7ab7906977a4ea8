use std::sync::Arc;
use std::time::Duration;

use millrace_log::{BatchBuilder, EmbeddedLog, LogError, ManualClock, TopicConfig, TopicLog};
use tempfile::{TempDir, tempdir};

use crate::fixture::*;

async fn small_segments(dir: &TempDir, config: TopicConfig) -> (EmbeddedLog, Arc<ManualClock>) {
    let (options, clock) = quick_options();
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    log.create_topic(TOPIC, TopicConfig { segment_bytes: 4_096, ..config }).await.unwrap();
    (log, clock)
}

/// One segment of ten records.
fn fill_segment(log: &EmbeddedLog) {
    let mut batch = BatchBuilder::new();
    for _ in 0..10 {
        batch.push(0, None, Some(&[1; 380])).unwrap();
    }
    log.append_batch(TOPIC, 0, &batch).unwrap();
}

async fn bounds(log: &EmbeddedLog) -> (i64, i64) {
    let status = log.topic(TOPIC).await.unwrap().partitions[0];
    (status.start_offset, status.end_offset)
}

#[tokio::test]
async fn old_event_times_do_not_expire_what_was_appended_just_now() {
    let dir = tempdir().unwrap();
    let (log, clock) = small_segments(&dir, TopicConfig { retention_ms: Some(1_000), ..TopicConfig::default() }).await;
    (0..3).for_each(|_| fill_segment(&log)); // event times of 1970
    clock.advance_ms(1_000);
    log.enforce_retention().unwrap();
    assert_eq!(bounds(&log).await, (0, 30));
    clock.advance_ms(1);
    log.enforce_retention().unwrap();
    assert_eq!(bounds(&log).await, (30, 30), "the last segment was closed so that it could go too");
    fill_segment(&log);
    assert_eq!(bounds(&log).await, (30, 40));
    assert_eq!(read_from(&log, 30).await.unwrap().len(), 10);
    assert_eq!(segment_files(dir.path()).len(), 1, "the files are gone");
}

#[tokio::test]
async fn size_is_kept_by_the_writers_themselves() {
    let dir = tempdir().unwrap();
    let config = TopicConfig { retention_bytes: Some(10_000), ..TopicConfig::default() };
    let (log, _) = small_segments(&dir, config).await;
    (0..50).for_each(|_| fill_segment(&log));
    let status = log.topic(TOPIC).await.unwrap().partitions[0];
    assert!((10_000..10_000 + 2 * 4_200).contains(&status.bytes), "{status:?}");
    assert_eq!(status.end_offset, 500);
    assert_eq!(read_from(&log, status.start_offset).await.unwrap().len() as i64, 500 - status.start_offset);
}

#[tokio::test]
async fn a_reader_behind_the_start_is_told_and_a_waiting_one_too() {
    let dir = tempdir().unwrap();
    let (log, clock) = small_segments(&dir, TopicConfig { retention_ms: Some(1_000), ..TopicConfig::default() }).await;
    let log = Arc::new(log);
    (0..3).for_each(|_| fill_segment(&log));
    let mut reader = log.open(TOPIC, 0, 5).await.unwrap();
    assert_eq!(reader.poll(1, Duration::ZERO).await.unwrap().next_offset, 10);
    clock.advance_ms(5_000);
    log.enforce_retention().unwrap();
    let gone = |result| matches!(result, Err(LogError::OffsetGone { requested: 10, start: 30, .. }));
    assert!(gone(reader.poll(1, Duration::ZERO).await));
    assert!(gone(reader.poll(1, LONG).await), "again, and without waiting");
    assert_eq!(reader.position(), 10);
    assert!(matches!(log.open(TOPIC, 0, 29).await.err(), Some(LogError::OffsetGone { .. })));
    assert!(log.open(TOPIC, 0, 30).await.is_ok());
}

#[tokio::test]
async fn the_start_is_kept_over_a_restart() {
    let dir = tempdir().unwrap();
    let (log, clock) = small_segments(&dir, TopicConfig { retention_ms: Some(1_000), ..TopicConfig::default() }).await;
    (0..2).for_each(|_| fill_segment(&log));
    clock.advance_ms(5_000);
    log.enforce_retention().unwrap();
    drop(log);
    let log = open(dir.path());
    assert_eq!(bounds(&log).await, (20, 20), "offsets are never given twice");
    assert_eq!(log.produce(TOPIC, vec![record("a")]).await.unwrap()[0].offset, 20);
}

#[tokio::test]
async fn retention_runs_by_itself() {
    let dir = tempdir().unwrap();
    let (mut options, clock) = quick_options();
    options.retention_interval = Duration::from_millis(1);
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    let config = TopicConfig { retention_ms: Some(1_000), ..TopicConfig::default() };
    log.create_topic(TOPIC, config).await.unwrap();
    fill_segment(&log);
    clock.advance_ms(10_000);
    let deadline = std::time::Instant::now() + LONG;
    while bounds(&log).await == (0, 10) {
        assert!(std::time::Instant::now() < deadline, "retention did not run");
        tokio::task::yield_now().await;
    }
    assert_eq!(bounds(&log).await, (10, 10));
}
