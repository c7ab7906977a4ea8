//! The topic log on a real Apache Kafka: `scripts/kafka/with_kafka.sh --secure --acl -- cargo test ...`.

mod cluster;
mod connecting;
mod reading;
mod rights;
mod writing;
