//! The cluster that the tests use, and topics in it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka::{ClusterConfig, KafkaLog};
use log::{NewRecord, PartitionReader, Slab, TopicConfig, TopicLog};

/// A variable that `with_kafka.sh` sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests within `scripts/kafka/with_kafka.sh --secure --acl -- cargo test ...`")
    })
}

pub fn config() -> ClusterConfig {
    let bootstrap = variable("MILLRACE_KAFKA_BOOTSTRAP");
    ClusterConfig::plaintext("test", &bootstrap.split(',').collect::<Vec<_>>())
}

pub fn connect() -> KafkaLog {
    KafkaLog::connect(config()).unwrap()
}

/// A new topic of a name that no other test has.
pub async fn topic(log: &KafkaLog, partitions: u32) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    log.create_topic(&name, TopicConfig { retention_ms: None, ..TopicConfig::with_partitions(partitions) })
        .await
        .unwrap();
    // Brokers learn of it one after the other.
    for _ in 0..100 {
        if log.topic(&name).await.is_ok() {
            return name;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the topic {name} did not appear");
}

pub fn record(key: &str, value: &str) -> NewRecord {
    NewRecord {
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..NewRecord::default()
    }
}

/// Reads until the end of the partition.
pub async fn read_to_end(reader: &mut dyn PartitionReader) -> Vec<Slab> {
    let mut slabs = Vec::new();
    loop {
        let slab = reader.poll(1 << 20, Duration::from_secs(10)).await.unwrap();
        let at_end = slab.at_end();
        if !slab.is_empty() {
            slabs.push(slab);
        }
        if at_end {
            return slabs;
        }
    }
}

pub fn values(slabs: &[Slab]) -> Vec<String> {
    let texts = slabs.iter().flat_map(|slab| (0..slab.len()).map(|record| slab.value(record)));
    texts.map(|value| value.map_or("(null)".to_owned(), |value| String::from_utf8_lossy(value).into_owned())).collect()
}
