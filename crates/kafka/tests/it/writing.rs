use std::time::Duration;

use kafka::{Compression, Delivery, KafkaLog, Marker, WriteError, Writer, WriterOptions};
use log::TopicLog;

use crate::cluster::{connect, read_to_end, record, topic, values};

fn open(log: &KafkaLog, topic: &str, delivery: Delivery) -> Result<Writer, WriteError> {
    let options = WriterOptions { topic: topic.to_owned(), delivery, compression: Compression::Lz4 };
    let mut tries = 0;
    loop {
        match Writer::open(log, options.clone(), 1 << 20) {
            Err(WriteError::TryAgain(_)) if tries < 5 => tries += 1,
            opened => return opened,
        }
    }
}

fn exactly_once(name: &str) -> Delivery {
    Delivery::ExactlyOnce { name: name.to_owned(), timeout: Duration::from_secs(60) }
}

fn marker(checkpoint: u64) -> Marker {
    Marker { lineage: "abc".to_owned(), checkpoint }
}

async fn in_topic(log: &KafkaLog, topic: &str) -> Vec<String> {
    let mut reader = log.open(topic, 0, 0).await.unwrap();
    values(&read_to_end(reader.as_mut()).await)
}

fn write(writer: &Writer, value: &str) -> Result<usize, WriteError> {
    writer.write(&[record("k", value)], |_, reason| panic!("{reason}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_is_there_after_a_flush() {
    let log = connect();
    let topic = topic(&log, 1).await;
    let writer = open(&log, &topic, Delivery::AtLeastOnce).unwrap();
    let mut refused = Vec::new();
    let long = "x".repeat(2 << 20);
    let records = [record("k", "one"), record("k", &long), record("k", "two")];
    assert_eq!(writer.write(&records, |index, reason| refused.push((index, reason))), Ok(3));
    writer.flush().unwrap();
    assert_eq!(in_topic(&log, &topic).await, ["one", "two"]);
    assert!(refused.len() == 1 && refused[0].0 == 1 && refused[0].1.contains("limit"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_committed_is_read() {
    let log = connect();
    let topic = topic(&log, 1).await;
    let writer = open(&log, &topic, exactly_once(&topic)).unwrap();
    assert_eq!(writer.committed().unwrap(), None);
    write(&writer, "one").unwrap();
    writer.prepare(&marker(1)).unwrap();
    assert_eq!(in_topic(&log, &topic).await, Vec::<String>::new());
    writer.commit().unwrap();
    assert_eq!(in_topic(&log, &topic).await, ["one"]);
    assert_eq!(writer.committed().unwrap(), Some(marker(1)));
    // Prepared and not committed: void when another one takes over.
    write(&writer, "void").unwrap();
    writer.prepare(&marker(2)).unwrap();
    let successor = open(&log, &topic, exactly_once(&topic)).unwrap();
    assert_eq!(successor.committed().unwrap(), Some(marker(1)));
    write(&successor, "two").unwrap();
    successor.prepare(&marker(2)).unwrap();
    successor.commit().unwrap();
    assert_eq!(in_topic(&log, &topic).await, ["one", "two"]);
    // The one before it wakes up.
    let zombie = write(&writer, "zombie").and_then(|_| writer.prepare(&marker(3))).and_then(|()| writer.commit());
    assert!(matches!(zombie, Err(WriteError::Fenced { .. })), "{zombie:?}");
    assert_eq!(in_topic(&log, &topic).await, ["one", "two"]);
    // An empty transaction commits its marker, too.
    successor.prepare(&marker(3)).unwrap();
    successor.commit().unwrap();
    assert_eq!(successor.committed().unwrap(), Some(marker(3)));
}
