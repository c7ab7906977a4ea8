//! Apache Kafka behind the topic log's trait, on librdkafka.
//!
//! What it is for: [`KafkaLog`] lets everything that reads or writes topics work on a cluster that a team already has;
//! [`Writer`] takes the results of a dagger, within transactions if they are to be there exactly once;
//! [`test_connection`] tells at which step a connection fails.
//!
//! Partitions are assigned by hand and positions belong to checkpoints: no consumer group decides anything. Records
//! are fetched with `read_committed`. Nothing is done per record but the copy into the slab.
//!
//! What it is not: it does not know what is in a record, nor what a dagger is.

mod admin;
mod client_events;
mod closed_aside;
mod cluster_config;
mod connection_test;
mod consumers;
mod group_offsets;
mod kafka_log;
mod oauth_tokens;
mod problem;
mod queue;
mod reader;
mod rights;
mod statistics;
mod writer;

pub use cluster_config::{ClusterConfig, ConfigError, Sasl, Scram, Security, Token, TokenSource, property_names};
pub use connection_test::{Outcome, Step, StepOutcome, TEST_TIME_MAX, test_connection};
pub use kafka_log::{ClusterDescription, KafkaLog, TopicOnCluster};
pub use oauth_tokens::{OauthClient, OauthTokens};
pub use problem::{Problem, ProblemKind};
pub use writer::{Compression, Delivery, Marker, WriteError, Writer, WriterOptions};
