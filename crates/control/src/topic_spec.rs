//! What a topic is to be: partitions, the message types of its records and how they are framed, and how long they stay.

use crate::duration::{format_duration, parse_duration};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata, parse_document};
use crate::topic_encoding;
use crate::topic_router::TopicPlace;
use codec::WireFormat;
use log::TopicConfig;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

pub const DESCRIPTION_BYTES_MAX: usize = 4_000;
/// The label of the log's topic in which the message type is kept beside the records.
const SCHEMA_LABEL: &str = "schema";
/// The cluster that is built in.
pub const EMBEDDED: &str = "embedded";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The Kafka cluster that the records are in.
    pub cluster: String,
    /// The topic's name there, where it is another than here.
    pub topic: Option<String>,
    /// Of a topic that is on a cluster already: 0 until it is known.
    pub partitions: u32,
    /// Of a topic that has to be made on a cluster; `None` leaves it to the cluster.
    pub replicas: Option<u16>,
    /// Full name of the message type of every record. `None`: the bytes are not looked at.
    pub schema: Option<String>,
    /// What is around the message in a record's value.
    pub encoding: WireFormat,
    /// Full name of the message type of every key. `None`: keys are bytes.
    pub key_schema: Option<String>,
    /// What is around the message in a record's key.
    pub key_encoding: WireFormat,
    /// Counted from the append; `None` keeps records for ever. (Kafka counts from the records' own timestamps.)
    pub retention: Option<Duration>,
    /// Whether `retention` was written, or is to be what it is on the cluster.
    pub retention_given: bool,
    /// Per partition.
    pub retention_bytes: Option<u64>,
    pub description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TopicDocument {
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    replicas: Option<u16>,
    #[serde(default)]
    partitions: Option<u32>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    encoding: Option<Value>,
    #[serde(default)]
    key_schema: Option<String>,
    #[serde(default)]
    key_encoding: Option<Value>,
    #[serde(default)]
    retention: Option<String>,
    #[serde(default)]
    retention_bytes: Option<u64>,
    #[serde(default)]
    description: Option<String>,
}

const RETENTION_FOREVER: &str = "forever";

impl TopicSpec {
    pub fn new(partitions: u32, schema: Option<String>) -> Self {
        let retention = TopicConfig::default().retention_ms.and_then(|ms| u64::try_from(ms).ok());
        Self {
            cluster: EMBEDDED.to_owned(),
            topic: None,
            partitions,
            replicas: None,
            retention_given: true,
            schema,
            encoding: WireFormat::Protobuf,
            key_schema: None,
            key_encoding: WireFormat::Protobuf,
            retention: retention.map(Duration::from_millis),
            retention_bytes: None,
            description: None,
        }
    }

    pub fn parse(text: &str) -> Result<(Metadata, TopicSpec), ControlError> {
        let (metadata, document): (Metadata, TopicDocument) = parse_document(text, Kind::Topic)?;
        Ok((metadata, document.complete()?))
    }

    pub fn from_json(spec: &Value) -> Result<TopicSpec, ControlError> {
        crate::document::from_json::<TopicDocument>(spec.clone())?.complete()
    }

    pub fn to_json(&self) -> Value {
        let mut spec = Map::new();
        if self.is_on_kafka() {
            spec.insert("cluster".into(), json!(self.cluster));
        }
        if let Some(topic) = &self.topic {
            spec.insert("topic".into(), json!(topic));
        }
        spec.insert("partitions".into(), json!(self.partitions));
        if let Some(replicas) = self.replicas {
            spec.insert("replicas".into(), json!(replicas));
        }
        spec.insert("schema".into(), json!(self.schema));
        if self.encoding != WireFormat::Protobuf {
            spec.insert("encoding".into(), topic_encoding::to_json(&self.encoding));
        }
        if let Some(schema) = &self.key_schema {
            spec.insert("keySchema".into(), json!(schema));
            if self.key_encoding != topic_encoding::without_settings(&self.encoding) {
                spec.insert("keyEncoding".into(), topic_encoding::to_json(&self.key_encoding));
            }
        }
        let retention = self.retention.map_or_else(|| RETENTION_FOREVER.to_owned(), format_duration);
        spec.insert("retention".into(), json!(retention));
        if let Some(bytes) = self.retention_bytes {
            spec.insert("retentionBytes".into(), json!(bytes));
        }
        if let Some(description) = &self.description {
            spec.insert("description".into(), json!(description));
        }
        Value::Object(spec)
    }

    /// To be made on a cluster, or taken as it is there.
    pub fn on_cluster(self, cluster: &str, partitions: Option<u32>) -> Self {
        Self { cluster: cluster.to_owned(), partitions: partitions.unwrap_or(0), retention_given: false, ..self }
    }

    pub fn is_on_kafka(&self) -> bool {
        self.cluster != EMBEDDED
    }

    /// Where the records are, if not in the embedded log.
    pub fn place(&self, name: &str) -> Option<TopicPlace> {
        let topic = self.topic.clone().unwrap_or_else(|| name.to_owned());
        self.is_on_kafka().then(|| TopicPlace { cluster: self.cluster.clone(), topic })
    }

    /// Fills in what was not written by what is there.
    pub fn adopt(mut self, partitions: u32, retention: Option<Duration>) -> Self {
        if self.partitions == 0 {
            self.partitions = partitions;
        }
        if !self.retention_given {
            (self.retention, self.retention_given) = (retention, true);
        }
        self
    }

    /// The same for the log.
    pub fn to_log(&self) -> TopicConfig {
        let mut config = TopicConfig::with_partitions(self.partitions);
        config.retention_ms = self.retention.map(|retention| i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        config.retention_bytes = self.retention_bytes;
        if let Some(schema) = &self.schema {
            config.labels.insert(SCHEMA_LABEL.to_owned(), schema.clone());
        }
        config
    }

    /// Whether who reads or writes records of the one would misread, or miswrite, those of the other.
    pub(crate) fn is_framed_otherwise(&self, other: &TopicSpec) -> bool {
        (&self.encoding, &self.key_schema, &self.key_encoding)
            != (&other.encoding, &other.key_schema, &other.key_encoding)
    }

    /// What has a frame has a message in it.
    fn check_encodings(&self) -> Result<(), ControlError> {
        for (encoding, format, schema, is_named) in [
            ("encoding", &self.encoding, "schema", self.schema.is_some()),
            ("keyEncoding", &self.key_encoding, "keySchema", self.key_schema.is_some()),
        ] {
            if *format != WireFormat::Protobuf && !is_named {
                let detail = format!("`spec.{encoding}` is `{}`, and there is no `spec.{schema}`", format.name());
                return Err(ControlError::invalid("topic_invalid", detail)
                    .with_hint(format!("name the message type: `{schema}: my.package.Booking`")));
            }
        }
        Ok(())
    }

    /// What a topic is that only the log knows of.
    pub fn from_log(config: &TopicConfig) -> Self {
        Self {
            cluster: EMBEDDED.to_owned(),
            topic: None,
            partitions: config.partitions,
            replicas: None,
            retention_given: true,
            schema: config.labels.get(SCHEMA_LABEL).cloned(),
            retention: config.retention_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
            retention_bytes: config.retention_bytes,
            ..Self::new(config.partitions, None)
        }
    }
}

impl TopicDocument {
    fn complete(self) -> Result<TopicSpec, ControlError> {
        let cluster = self.cluster.unwrap_or_else(|| EMBEDDED.to_owned());
        let is_on_kafka = cluster != EMBEDDED;
        if let (false, Some(what)) =
            (is_on_kafka, self.topic.as_ref().map(|_| "topic").or(self.replicas.map(|_| "replicas")))
        {
            let detail =
                format!("`spec.{what}` is for topics on a Kafka cluster, and this one has none in `spec.cluster`");
            return Err(ControlError::invalid("topic_invalid", detail).with_hint("name the cluster, or leave it out"));
        }
        // What is on a cluster already is taken as it is.
        let partitions = self.partitions.unwrap_or(if is_on_kafka { 0 } else { 1 });
        let mut spec = TopicSpec::new(partitions, self.schema);
        spec.retention_given = !is_on_kafka || self.retention.is_some();
        (spec.cluster, spec.topic, spec.replicas) = (cluster, self.topic, self.replicas);
        if let Some(written) = &self.encoding {
            spec.encoding = topic_encoding::parse("spec.encoding", written)?;
        }
        // A key has a schema of its own, with ids of its own.
        spec.key_encoding = match &self.key_encoding {
            Some(written) => topic_encoding::parse("spec.keyEncoding", written)?,
            None if self.key_schema.is_some() => topic_encoding::without_settings(&spec.encoding),
            None => WireFormat::Protobuf,
        };
        spec.key_schema = self.key_schema;
        spec.check_encodings()?;
        if let Some(written) = self.retention {
            spec.retention = match written.as_str() {
                RETENTION_FOREVER => None,
                text => Some(parse_duration(text).map_err(|error| {
                    ControlError::invalid("topic_invalid", format!("`spec.retention` is wrong: {error}"))
                        .with_hint("write a duration such as 7d, or `forever`")
                })?),
            };
        }
        spec.retention_bytes = self.retention_bytes;
        spec.description = self.description;
        if spec.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
            return Err(ControlError::too_large(
                "topic_invalid",
                format!("`spec.description` is longer than {DESCRIPTION_BYTES_MAX} bytes"),
            ));
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_read_shown_and_read_again() {
        let yaml = "apiVersion: millrace/v1\nkind: Topic\nmetadata: {name: t}\nspec: {partitions: 3, schema: a.B, retention: forever}\n";
        let (metadata, spec) = TopicSpec::parse(yaml).unwrap();
        assert_eq!((metadata.name.as_str(), spec.partitions, spec.retention), ("t", 3, None));
        assert_eq!(TopicSpec::from_json(&spec.to_json()).unwrap(), spec);
        assert_eq!(TopicSpec::from_log(&spec.to_log()), spec);
        let framed =
            yaml.replace("schema: a.B", "schema: a.B, keySchema: a.K, encoding: {type: confluent, schemaIds: [7]}");
        let (_, spec) = TopicSpec::parse(&framed).unwrap();
        let any = WireFormat::Confluent(codec::ConfluentFrame::default());
        assert_eq!((spec.key_schema.as_deref(), &spec.key_encoding), (Some("a.K"), &any));
        assert_eq!(TopicSpec::from_json(&spec.to_json()).unwrap(), spec);
        let bytes = yaml.replace("schema: a.B", "encoding: json");
        assert!(TopicSpec::parse(&bytes).unwrap_err().detail.contains("there is no `spec.schema`"));
        let error = TopicSpec::parse(&yaml.replace("partitions", "partition")).unwrap_err();
        assert!(error.hint.unwrap_or_default().contains("`partitions`"));
    }
}
