use bytes::Bytes;
use millrace_log::{
    BatchBuilder, EmbeddedLog, LogError, NewRecord, RECORD_BYTES_MAX, TopicConfig, TopicLog, partition_for_key,
};
use std::time::Duration;
use tempfile::tempdir;

use crate::fixture::*;

#[tokio::test]
async fn keys_nulls_headers_and_times_come_back() {
    let dir = tempdir().unwrap();
    let (options, clock) = quick_options();
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    let headers = vec![("trace".to_owned(), Bytes::from_static(b"\x00\xff")), ("empty".to_owned(), Bytes::new())];
    let records = vec![
        NewRecord {
            key: Some("driver-1".into()),
            value: Some("picked up".into()),
            headers,
            timestamp_ms: Some(253_402_300_799_000), // the end of the year 9999
            ..NewRecord::default()
        },
        NewRecord { key: Some("driver-1".into()), value: None, timestamp_ms: Some(0), ..NewRecord::default() },
        NewRecord { key: None, value: Some(Bytes::new()), ..NewRecord::default() },
        NewRecord::default(),
    ];
    let acks = log.produce(TOPIC, records).await.unwrap();
    assert_eq!(
        acks.iter().map(|ack| (ack.partition, ack.offset)).collect::<Vec<_>>(),
        [(0, 0), (0, 1), (0, 2), (0, 3)]
    );
    let times = [253_402_300_799_000, 0, 1_000_000, 1_000_000];
    assert_eq!(acks.iter().map(|ack| ack.timestamp_ms).collect::<Vec<_>>(), times);

    clock.advance_ms(5);
    let mut reader = log.open(TOPIC, 0, 0).await.unwrap();
    let slab = poll(reader.as_mut()).await;
    assert_eq!(slab.records.offsets, [0, 1, 2, 3]);
    assert_eq!(slab.records.timestamps_ms, times);
    assert_eq!(slab.records.append_times_ms, [1_000_000; 4]);
    let keys: Vec<_> = (0..4).map(|i| slab.key(i)).collect();
    assert_eq!(keys, [Some(&b"driver-1"[..]), Some(b"driver-1"), None, None]);
    let values: Vec<_> = (0..4).map(|i| slab.value(i)).collect();
    assert_eq!(values, [Some(&b"picked up"[..]), None, Some(b""), None]);
    assert_eq!(slab.headers(0).collect::<Vec<_>>(), [("trace", &b"\x00\xff"[..]), ("empty", b"")]);
    assert_eq!(slab.headers(1).count(), 0);
    assert_eq!(slab.value_bytes(0).unwrap(), "picked up");
    assert_eq!((slab.topic.as_ref(), slab.partition), (TOPIC, 0));
    assert_eq!((slab.next_offset, slab.end_offset, slab.at_end()), (4, 4, true));
}

#[tokio::test]
async fn records_survive_a_restart_and_go_on() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    log.produce(TOPIC, vec![record("a"), record("b")]).await.unwrap();
    log.close().await;
    drop(log);
    let log = open(dir.path());
    assert!(log.tails_cut().is_empty());
    let acks = log.produce(TOPIC, vec![record("c")]).await.unwrap();
    assert_eq!(acks[0].offset, 2);
    let read = read_from(&log, 1).await.unwrap();
    assert_eq!(read, [(1, b"b".to_vec()), (2, b"c".to_vec())]);
}

#[tokio::test]
async fn keys_decide_the_partition_as_in_kafka() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::with_partitions(5)).await;
    let keys: Vec<String> = (0..200).map(|n| format!("driver-{n}")).collect();
    let records = keys.iter().map(|key| NewRecord { key: Some(key.clone().into()), ..NewRecord::default() });
    let acks = log.produce(TOPIC, records.collect()).await.unwrap();
    for (key, ack) in keys.iter().zip(&acks) {
        assert_eq!(ack.partition, partition_for_key(key.as_bytes(), 5));
        let mut reader = log.open(TOPIC, ack.partition, ack.offset).await.unwrap();
        assert_eq!(poll(reader.as_mut()).await.key(0), Some(key.as_bytes()));
    }
}

#[tokio::test]
async fn records_without_a_key_stay_together_and_calls_take_turns() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::with_partitions(3)).await;
    let mut used = Vec::new();
    for _ in 0..6 {
        let acks = log.produce(TOPIC, vec![NewRecord::default(); 4]).await.unwrap();
        assert!(acks.iter().all(|ack| ack.partition == acks[0].partition));
        used.push(acks[0].partition);
    }
    assert_eq!(used, [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn batches_are_read_from_any_offset_in_any_portion() {
    let dir = tempdir().unwrap();
    let (options, _) = quick_options();
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    let config = TopicConfig { segment_bytes: 20_000, ..TopicConfig::default() };
    log.create_topic(TOPIC, config).await.unwrap();
    let mut batch = BatchBuilder::new();
    let mut written = 0i64;
    for size in (1..60).cycle().take(300) {
        batch.clear();
        for _ in 0..size {
            batch.push(written, None, Some(format!("value {written}").as_bytes())).unwrap();
            written += 1;
        }
        assert_eq!(log.append_batch(TOPIC, 0, &batch).unwrap(), written - size);
    }
    assert!(segment_files(dir.path()).len() > 10);
    for max_bytes in [1, 5_000, 1 << 20] {
        for start in (0..=written).step_by(97).chain([written]) {
            let mut reader = log.open(TOPIC, 0, start).await.unwrap();
            let mut expected = start;
            while expected < written {
                let slab = reader.poll(max_bytes, Duration::ZERO).await.unwrap();
                assert!(!slab.is_empty());
                for i in 0..slab.len() {
                    assert_eq!((slab.offset(i), slab.timestamp_ms(i)), (expected, expected));
                    assert_eq!(slab.value(i), Some(format!("value {expected}").as_bytes()));
                    expected += 1;
                }
                assert_eq!(slab.at_end(), expected == written);
            }
            assert!(poll(reader.as_mut()).await.is_empty());
        }
    }
}

#[tokio::test]
async fn the_longest_record_passes_and_a_longer_one_is_refused_alone() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let longest = vec![7u8; RECORD_BYTES_MAX];
    log.produce(TOPIC, vec![record(longest.clone())]).await.unwrap();
    let refused = log.produce(TOPIC, vec![record("fine"), record(vec![0; RECORD_BYTES_MAX + 1])]).await;
    assert!(matches!(refused, Err(LogError::BadRecord { index: 1, .. })), "{refused:?}");
    assert_eq!(log.produce(TOPIC, vec![record("next")]).await.unwrap()[0].offset, 1);
    let read = read_from(&log, 0).await.unwrap();
    assert_eq!((read[0].1 == longest, read.len()), (true, 2));
}

#[tokio::test]
async fn a_reader_is_told_of_offsets_that_do_not_exist() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    log.produce(TOPIC, vec![record("a")]).await.unwrap();
    assert!(matches!(log.open(TOPIC, 0, 2).await.err(), Some(LogError::OffsetBeyondEnd { requested: 2, end: 1, .. })));
    assert!(matches!(log.open(TOPIC, 0, -1).await.err(), Some(LogError::OffsetGone { requested: -1, start: 0, .. })));
    assert!(matches!(log.open(TOPIC, 9, 0).await.err(), Some(LogError::UnknownPartition { partition: 9, .. })));
}
