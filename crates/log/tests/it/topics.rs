use std::collections::BTreeMap;

use millrace_log::{LogError, PartitionStatus, TOPICS_MAX, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

#[tokio::test]
async fn topics_are_kept_with_their_configuration() {
    let dir = tempdir().unwrap();
    let config = TopicConfig {
        partitions: 3,
        retention_ms: None,
        retention_bytes: Some(1 << 30),
        segment_bytes: 1 << 20,
        labels: BTreeMap::from([("schema".to_owned(), "gojek.Booking \"v1\"".to_owned())]),
    };
    let log = with_topic(&dir, config.clone()).await;
    log.create_topic("a", TopicConfig::default()).await.unwrap();
    log.produce(TOPIC, vec![record("x")]).await.unwrap();
    drop(log);
    let log = open(dir.path());
    let topics = log.topics().await.unwrap();
    assert_eq!(topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a", TOPIC]);
    assert_eq!(topics[1], log.topic(TOPIC).await.unwrap());
    assert_eq!(topics[1].config, config);
    let statuses = &topics[1].partitions;
    assert!(
        matches!(statuses[0], PartitionStatus { partition: 0, start_offset: 0, end_offset: 1, bytes: 85 }),
        "{statuses:?}"
    );
    assert!(matches!(statuses[2], PartitionStatus { partition: 2, start_offset: 0, end_offset: 0, bytes: 0 }));
    assert_eq!(topics[0].config.retention_ms, Some(7 * 24 * 3_600_000));
}

#[tokio::test]
async fn unknown_topics_name_the_nearest() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let unknown = log.topic("booking-logs").await.unwrap_err();
    assert_eq!(unknown.to_string(), r#"topic "booking-logs" does not exist; did you mean "booking-log"?"#);
    assert!(matches!(log.produce("zzz", vec![record("x")]).await, Err(LogError::UnknownTopic { nearest: None, .. })));
    assert!(matches!(log.delete_topic("zzz").await, Err(LogError::UnknownTopic { .. })));
}

#[tokio::test]
async fn wrong_names_and_settings_are_refused() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    for name in ["", ".", "..", "a/b", "../x", &"x".repeat(250)] {
        let refused = log.create_topic(name, TopicConfig::default()).await;
        assert!(matches!(refused, Err(LogError::InvalidTopicName { .. })), "{name:?}");
    }
    assert!(log.create_topic(&"x".repeat(249), TopicConfig::default()).await.is_ok());
    assert!(matches!(log.create_topic(TOPIC, TopicConfig::default()).await, Err(LogError::TopicExists { .. })));
    let wrong = [
        TopicConfig::with_partitions(0),
        TopicConfig::with_partitions(1_025),
        TopicConfig { segment_bytes: 1, ..TopicConfig::default() },
        TopicConfig { retention_ms: Some(-1), ..TopicConfig::default() },
        TopicConfig { retention_bytes: Some(0), ..TopicConfig::default() },
        TopicConfig { labels: (0..65).map(|n| (n.to_string(), String::new())).collect(), ..TopicConfig::default() },
    ];
    for config in wrong {
        let refused = log.create_topic("wrong", config.clone()).await;
        assert!(matches!(refused, Err(LogError::InvalidConfig { .. })), "{config:?}");
    }
    assert!(log.topics().await.unwrap().len() <= TOPICS_MAX);
}

#[tokio::test]
async fn a_topic_made_anew_after_deletion_begins_at_zero() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    log.produce(TOPIC, vec![record("old")]).await.unwrap();
    let mut old_reader = log.open(TOPIC, 0, 0).await.unwrap();
    log.delete_topic(TOPIC).await.unwrap();
    assert!(log.topics().await.unwrap().is_empty());
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    let acks = log.produce(TOPIC, vec![record("new")]).await.unwrap();
    assert_eq!(acks[0].offset, 0);
    let ended = old_reader.poll(1, LONG).await;
    assert!(matches!(ended, Err(LogError::UnknownTopic { .. })), "a reader of the old topic never sees the new one");
    drop(log);
    let log = open(dir.path());
    assert_eq!(read_from(&log, 0).await.unwrap(), [(0, b"new".to_vec())]);
}
