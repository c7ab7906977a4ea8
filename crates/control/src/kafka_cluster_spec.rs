//! What a Kafka cluster is: the log that is built in, or one of Apache Kafka with its addresses and how we log in there.
//!
//! A spec names secrets and never has their values; [`KafkaSpec::config`] puts them in when a client is made.

mod document;
mod pem;
mod security;

pub(crate) use security::SecuritySpec;

use crate::error::{ControlError, nearest};
use crate::resource::{Kind, Metadata, parse_document};
use document::ClusterDocument;
use kafka::{ClusterConfig, ConfigError};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the built-in cluster, and the word for its type.
pub const EMBEDDED: &str = "embedded";
const KAFKA: &str = "kafka";
const PREFIX_DEFAULT: &str = "millrace-";
const PREFIX_BYTES_MAX: usize = 100;

/// Values of secrets by name.
pub(crate) type Secrets = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaClusterSpec {
    Embedded,
    Kafka(Box<KafkaSpec>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSpec {
    pub bootstrap: Vec<String>,
    pub(crate) security: SecuritySpec,
    /// For librdkafka, as they are.
    pub properties: BTreeMap<String, String>,
    /// Before the names of groups and transactional ids.
    pub prefix: String,
}

impl KafkaClusterSpec {
    pub fn parse(text: &str) -> Result<(Metadata, Self), ControlError> {
        let (metadata, document): (Metadata, ClusterDocument) = parse_document(text, Kind::KafkaCluster)?;
        Ok((metadata, document.complete()?))
    }

    pub fn from_json(spec: &Value) -> Result<Self, ControlError> {
        crate::document::from_json::<ClusterDocument>(spec.clone())?.complete()
    }

    /// Complete, and without the value of any secret.
    pub fn to_json(&self) -> Value {
        let KafkaClusterSpec::Kafka(kafka) = self else { return json!({ "type": EMBEDDED }) };
        let mut spec = Map::new();
        spec.insert("type".into(), json!(KAFKA));
        spec.insert("bootstrap".into(), json!(kafka.bootstrap));
        spec.insert("security".into(), kafka.security.to_json());
        if !kafka.properties.is_empty() {
            spec.insert("properties".into(), json!(kafka.properties));
        }
        spec.insert("prefix".into(), json!(kafka.prefix));
        Value::Object(spec)
    }
}

impl KafkaSpec {
    /// The secrets that it names.
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.security.secrets()
    }

    /// What a client is made of; `secrets` has the value of each of [`Self::secrets`].
    pub(crate) fn config(&self, name: &str, secrets: &Secrets) -> Result<ClusterConfig, ControlError> {
        Ok(ClusterConfig {
            name: name.to_owned(),
            bootstrap: self.bootstrap.clone(),
            security: self.security.resolve(secrets)?,
            properties: self.properties.clone(),
            prefix: self.prefix.clone(),
        })
    }

    /// What needs no secret to be judged.
    fn check(&self) -> Result<(), ControlError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.len() > PREFIX_BYTES_MAX || !self.prefix.chars().all(is_legal) {
            return Err(invalid(format!("`spec.prefix` is `{}`", self.prefix))
                .with_hint(format!("use up to {PREFIX_BYTES_MAX} of a-z, A-Z, 0-9, `_`, `-` and `.`")));
        }
        let open = ClusterConfig {
            bootstrap: self.bootstrap.clone(),
            properties: self.properties.clone(),
            ..ClusterConfig::plaintext(String::new(), &[])
        };
        open.check().map_err(|error| self.explain(error))
    }

    fn explain(&self, error: ConfigError) -> ControlError {
        match &error {
            ConfigError::NoAddress | ConfigError::BadAddress(_) => invalid(format!("`spec.bootstrap`: {error}"))
                .with_hint("write it as a list: bootstrap: [kafka-1.example:9092, kafka-2.example:9092]"),
            ConfigError::TooMuch { .. } => invalid(format!("`spec`: {error}")),
            ConfigError::Denied(..) => {
                invalid(format!("`spec.properties`: {error}")).with_hint("leave it out; all others are passed on")
            }
            ConfigError::Refused(_) => {
                let known = kafka::property_names();
                let unknown = self.properties.keys().find(|name| !known.contains(name.as_str()));
                let near = unknown.and_then(|name| nearest(name, known.iter().map(String::as_str)));
                invalid(format!("`spec.properties`: {error}"))
                    .with_hint("the properties are those of librdkafka")
                    .maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
            }
        }
    }
}

pub(crate) fn invalid(detail: impl Into<String>) -> ControlError {
    ControlError::invalid("kafka_cluster_invalid", detail)
}

#[cfg(test)]
mod tests;
