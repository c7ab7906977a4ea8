use std::time::Duration;

use bytes::Bytes;
use log::{LogError, NewRecord, TopicLog};

use crate::cluster::{connect, read_to_end, record, topic, values};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_read() {
    let log = connect();
    let topic = topic(&log, 1).await;
    let mut records = vec![record("a", "one"), record("b", "two")];
    records.push(NewRecord { key: Some(Bytes::from("a")), ..NewRecord::default() });
    records.push(NewRecord {
        value: Some(Bytes::new()),
        headers: vec![("source".into(), Bytes::from("app")), ("empty".into(), Bytes::new())],
        timestamp_ms: Some(1_700_000_000_123),
        ..NewRecord::default()
    });
    let acks = log.produce(&topic, records).await.unwrap();
    assert_eq!(acks.iter().map(|ack| ack.offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let mut reader = log.open(&topic, 0, 0).await.unwrap();
    let slabs = read_to_end(reader.as_mut()).await;
    assert_eq!(values(&slabs), ["one", "two", "(null)", ""]);
    let last = slabs.last().unwrap();
    let index = last.len() - 1;
    assert_eq!((last.key(index), last.timestamp_ms(index)), (None, 1_700_000_000_123));
    let headers: Vec<_> = last.headers(index).collect();
    assert_eq!(headers, [("source", &b"app"[..]), ("empty", &b""[..])]);
    assert_eq!(reader.position(), 4);
    // It waits for what comes, and is woken by it.
    let waiting = tokio::spawn(async move { reader.poll(1 << 20, Duration::from_secs(20)).await });
    log.produce(&topic, vec![record("c", "three")]).await.unwrap();
    assert_eq!(values(&[waiting.await.unwrap().unwrap()]), ["three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_the_same_partition_do_not_disturb_each_other() {
    let log = connect();
    let topic = topic(&log, 2).await;
    let records = (0..1_000).map(|n| NewRecord { partition: Some(n % 2), ..record("k", &n.to_string()) }).collect();
    log.produce(&topic, records).await.unwrap();
    let mut first = log.open(&topic, 0, 0).await.unwrap();
    let mut second = log.open(&topic, 0, 400).await.unwrap();
    let mut other = log.open(&topic, 1, 0).await.unwrap();
    assert_eq!(values(&read_to_end(first.as_mut()).await).len(), 500);
    assert_eq!(values(&read_to_end(second.as_mut()).await)[0], "800");
    assert_eq!(values(&read_to_end(other.as_mut()).await)[499], "999");
    // A reader that is dropped gives its place to another one, wherever that begins.
    drop(first);
    let mut again = log.open(&topic, 0, 499).await.unwrap();
    assert_eq!(values(&read_to_end(again.as_mut()).await), ["998"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_tell_where_partitions_stand() {
    let log = connect();
    let name = topic(&log, 2).await;
    let records =
        (0..10).map(|n| NewRecord { partition: Some(1), timestamp_ms: Some(1_000 + n * 10), ..record("k", "v") });
    log.produce(&name, records.collect()).await.unwrap();
    let described = log.topic(&name).await.unwrap();
    assert_eq!(
        described.partitions.iter().map(|p| (p.start_offset, p.end_offset)).collect::<Vec<_>>(),
        [(0, 0), (0, 10)]
    );
    assert_eq!(described.config.retention_ms, None);
    assert!(described.id.is_some());
    assert_eq!(log.offset_at(&name, 1, 1_045).await.unwrap(), 5);
    assert_eq!(log.offset_at(&name, 1, 9_999).await.unwrap(), 10);
    assert!(matches!(log.open(&name, 1, 11).await, Err(LogError::OffsetBeyondEnd { end: 10, .. })));
    assert!(matches!(log.open(&name, 2, 0).await, Err(LogError::UnknownPartition { .. })));
    assert!(matches!(log.topic("no-such-topic").await, Err(LogError::UnknownTopic { .. })));
    let cluster = log.describe().await.unwrap();
    assert!(cluster.topics.iter().any(|topic| topic.name == name && topic.partitions == 2));
    // The same name is another topic after it was deleted.
    log.delete_topic(&name).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    log.create_topic(&name, log::TopicConfig::with_partitions(2)).await.unwrap();
    // Longer than what was asked before holds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_ne!(log.topic(&name).await.unwrap().id, described.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_knows_whether_its_end_is_the_end() {
    let log = connect();
    let topic = topic(&log, 1).await;
    log.produce(&topic, vec![record("a", "one")]).await.unwrap();
    let mut reader = log.open(&topic, 0, 0).await.unwrap();
    read_to_end(reader.as_mut()).await;
    for _ in 0..50 {
        if reader.at_rest_until().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the leader answers, and the reader does not know");
}
