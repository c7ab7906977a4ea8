//! The topic log on a real Apache Kafka: `scripts/kafka/with_kafka.sh --secure -- cargo test ...`.

mod cluster;
mod reading;
mod writing;
