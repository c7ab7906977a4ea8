//! The wire form of a dagger's spec: what is left out has a default, what is not known is refused.

use super::external_sink;
use super::text;
use super::*;
use crate::resource::{Kind, parse_document};
use crate::sink_settings::SinkSettings;
use crate::topic_spec::EMBEDDED;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DaggerDocument {
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    streams: Vec<StreamDocument>,
    sql: String,
    #[serde(default)]
    sinks: Option<Vec<AnySinkDocument>>,
    #[serde(default)]
    parallelism: Option<usize>,
    #[serde(default)]
    checkpoint: Option<CheckpointDocument>,
    #[serde(default)]
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StreamDocument {
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    consumer_group: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    watermark: Option<WatermarkDocument>,
    #[serde(default)]
    start_from: Option<TextOrNumber>,
    #[serde(default)]
    on_bad_record: Option<String>,
    #[serde(default)]
    late: Option<String>,
}

/// A time may be written as milliseconds, which YAML reads as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(i64),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WatermarkDocument {
    #[serde(default)]
    delay: Option<String>,
    #[serde(default)]
    interval: Option<String>,
    #[serde(default)]
    idle: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointDocument {
    #[serde(default)]
    interval: Option<String>,
}

/// The sinks that daggers have of their own, and every other kind of sink that there is.
#[derive(Debug)]
enum AnySinkDocument {
    Own(Box<SinkDocument>),
    Other(Map<String, Value>),
}

impl<'de> Deserialize<'de> for AnySinkDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Map::<String, Value>::deserialize(deserializer)?;
        let kind = written.get("kind").and_then(Value::as_str);
        if kind.is_some_and(|kind| !external_sink::OWN_KINDS.contains(&kind) && sinks::kind(kind).is_some()) {
            return Ok(Self::Other(written));
        }
        serde_json::from_value(Value::Object(written)).map(Self::Own).map_err(D::Error::custom)
    }
}

impl AnySinkDocument {
    fn complete(self, index: usize, dagger: &str) -> Result<SinkSpec, ControlError> {
        match self {
            Self::Own(own) => own.complete(index, dagger),
            Self::Other(written) => {
                SinkSettings::read(&format!("spec.sinks[{index}]"), &written).map(Box::new).map(SinkSpec::Kind)
            }
        }
    }
}

/// One struct for all of the daggers' own, so that an unknown key has its place; which key goes with which kind is checked
/// afterwards.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinkDocument {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) measurement: Option<String>,
    #[serde(default)]
    retention: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    partitions: Option<u32>,
    #[serde(default)]
    key: Option<Vec<String>>,
    #[serde(default)]
    headers: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    delivery: Option<String>,
    #[serde(default)]
    compression: Option<String>,
    #[serde(default)]
    pub(super) version: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) database: Option<String>,
    #[serde(default, rename = "retentionPolicy")]
    pub(super) retention_policy: Option<String>,
    #[serde(default)]
    pub(super) org: Option<String>,
    #[serde(default)]
    pub(super) bucket: Option<String>,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) secret: Option<String>,
}

/// The word for "the record's own timestamp" in `timestamp:`.
pub(super) const RECORD_TIMESTAMP: &str = "record";

impl DaggerDocument {
    pub fn parse(text: &str) -> Result<(Metadata, DaggerDocument), ControlError> {
        parse_document(text, Kind::Dagger)
    }

    /// A document that does not say whether the dagger runs leaves it as it is.
    pub fn or_state(mut self, state: Option<DesiredState>) -> Self {
        self.state = self.state.or_else(|| state.map(|state| state.as_str().to_owned()));
        self
    }

    /// Fills in the defaults and checks every value by itself.
    pub fn complete(self, name: &str) -> Result<DaggerSpec, ControlError> {
        limit("streams", self.streams.len(), STREAMS_MAX)?;
        limit("bytes of sql", self.sql.len(), SQL_BYTES_MAX)?;
        if self.streams.is_empty() {
            return Err(invalid("spec.streams", "is empty: a dagger reads at least one stream").with_hint(
                "add for example:\n  streams:\n    - schema: my.package.Booking\n      topics: [booking-log]",
            ));
        }
        if self.sql.trim().is_empty() {
            return Err(invalid("spec.sql", "is empty"));
        }
        let cluster = self.cluster.unwrap_or_else(|| CLUSTER_DEFAULT.to_owned());
        let streams = self
            .streams
            .into_iter()
            .enumerate()
            .map(|(index, stream)| stream.complete(index, name))
            .collect::<Result<Vec<_>, _>>()?;
        check_tables(&streams)?;
        let sinks = match self.sinks {
            None => vec![SinkSpec::Series { measurement: name.to_owned(), retention: None }],
            Some(sinks) => sinks
                .into_iter()
                .enumerate()
                .map(|(index, sink)| sink.complete(index, name))
                .collect::<Result<Vec<_>, _>>()?,
        };
        check_sinks(&sinks, &streams)?;
        let parallelism = self.parallelism.unwrap_or(1);
        if !(1..=PARALLELISM_MAX).contains(&parallelism) {
            return Err(invalid("spec.parallelism", format!("is {parallelism}, it can be 1 to {PARALLELISM_MAX}")));
        }
        let interval = self.checkpoint.and_then(|checkpoint| checkpoint.interval);
        let checkpoint_interval = duration("spec.checkpoint.interval", interval, CHECKPOINT_INTERVAL_DEFAULT)?;
        if checkpoint_interval < CHECKPOINT_INTERVAL_MIN {
            return Err(invalid("spec.checkpoint.interval", "is shorter than 100ms"));
        }
        let state = match self.state {
            None => DesiredState::Running,
            Some(word) => text::choose("spec.state", &word, text::STATES)?,
        };
        Ok(DaggerSpec { cluster, streams, sql: self.sql, sinks, parallelism, checkpoint_interval, state })
    }
}

impl StreamDocument {
    fn complete(self, index: usize, dagger: &str) -> Result<StreamSpec, ControlError> {
        let path = |key: &str| format!("spec.streams[{index}].{key}");
        limit("topics of a stream", self.topics.len(), TOPICS_PER_STREAM_MAX)?;
        let table = self.table.unwrap_or_else(|| match index {
            0 => "data_stream".to_owned(),
            _ => format!("data_stream_{index}"),
        });
        if table.is_empty() || table.len() > crate::resource::NAME_BYTES_MAX {
            return Err(invalid(&path("table"), "must have 1 to 200 characters"));
        }
        if let Some(twice) = (1..self.topics.len()).find(|at| self.topics[..*at].contains(&self.topics[*at])) {
            return Err(invalid(&path("topics"), format!("names `{}` twice", self.topics[twice])));
        }
        let watermark = self.watermark.unwrap_or_default();
        let watermark = WatermarkSpec {
            delay: duration(&path("watermark.delay"), watermark.delay, DELAY_DEFAULT)?,
            interval: duration(&path("watermark.interval"), watermark.interval, WATERMARK_INTERVAL_DEFAULT)?
                .max(WATERMARK_INTERVAL_MIN),
            idle: duration(&path("watermark.idle"), watermark.idle, IDLE_DEFAULT)?,
        };
        let (timestamp, timestamp_given) = match self.timestamp {
            None => (None, TimestampChoice::FromSchema),
            Some(word) if word == RECORD_TIMESTAMP => (None, TimestampChoice::Given),
            Some(field) => (Some(field), TimestampChoice::Given),
        };
        let start_from = match self.start_from {
            None => StartFrom::Earliest,
            Some(TextOrNumber::Number(ms)) => StartFrom::Time(ms),
            Some(TextOrNumber::Text(word)) => text::start_from(&path("startFrom"), &word)?,
        };
        let on_bad_record = match self.on_bad_record {
            None => OnBadRecord::DeadLetter,
            Some(word) => text::choose(&path("onBadRecord"), &word, text::ON_BAD_RECORD)?,
        };
        let late = match self.late {
            None => LatePolicy::Drop,
            Some(word) => text::choose(&path("late"), &word, text::LATE)?,
        };
        Ok(StreamSpec {
            table,
            schema: self.schema,
            topics: self.topics,
            consumer_group: self.consumer_group.unwrap_or_else(|| dagger.to_owned()),
            timestamp,
            timestamp_given,
            watermark,
            start_from,
            on_bad_record,
            late,
        })
    }
}

impl SinkDocument {
    fn complete(self, index: usize, dagger: &str) -> Result<SinkSpec, ControlError> {
        let path = format!("spec.sinks[{index}]");
        let given = [
            ("measurement", self.measurement.is_some()),
            ("retention", self.retention.is_some()),
            ("topic", self.topic.is_some()),
            ("schema", self.schema.is_some()),
            ("partitions", self.partitions.is_some()),
            ("key", self.key.is_some()),
            ("headers", self.headers.is_some()),
            ("cluster", self.cluster.is_some()),
            ("delivery", self.delivery.is_some()),
            ("compression", self.compression.is_some()),
            ("version", self.version.is_some()),
            ("url", self.url.is_some()),
            ("database", self.database.is_some()),
            ("retentionPolicy", self.retention_policy.is_some()),
            ("org", self.org.is_some()),
            ("bucket", self.bucket.is_some()),
            ("tags", self.tags.is_some()),
            ("username", self.username.is_some()),
            ("secret", self.secret.is_some()),
        ];
        let only = |known: &[&str]| match given.iter().find(|(key, is_given)| *is_given && !known.contains(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let hint = match known {
                    [] => format!("a sink of kind `{}` has no other keys", self.kind),
                    known => format!("its keys are: kind, {}", known.join(", ")),
                };
                Err(invalid(&path, format!("a sink of kind `{}` has no key `{key}`", self.kind)).with_hint(hint))
            }
        };
        if let Some(keys) = external_sink::keys(&self) {
            only(&keys)?;
            return external_sink::complete(self, &path, dagger).map(SinkSpec::External);
        }
        match self.kind.as_str() {
            "series" => {
                only(&["measurement", "retention"])?;
                let retention = match self.retention {
                    None => None,
                    Some(written) if written == FOREVER => Some(Duration::MAX),
                    Some(written) => Some(text::duration(&format!("{path}.retention"), &written)?),
                };
                if retention.is_some_and(|retention| retention.is_zero()) {
                    return Err(invalid(&format!("{path}.retention"), "is zero, so nothing would be kept"));
                }
                Ok(SinkSpec::Series { measurement: self.measurement.unwrap_or_else(|| dagger.to_owned()), retention })
            }
            "topic" => {
                only(&["topic", "schema", "partitions", "key", "headers", "cluster", "delivery", "compression"])?;
                let topic = self.topic.unwrap_or_else(|| dagger.to_owned());
                log::check_topic_name(&topic).map_err(|error| invalid(&format!("{path}.topic"), error.to_string()))?;
                Ok(SinkSpec::Topic {
                    topic,
                    schema: self.schema,
                    partitions: self.partitions,
                    key: self.key.unwrap_or_default(),
                    headers: text::headers(&format!("{path}.headers"), self.headers.unwrap_or_default())?,
                    cluster: self.cluster.filter(|cluster| cluster != EMBEDDED),
                    delivery: text::word(&format!("{path}.delivery"), self.delivery, &Delivery::ALL, Delivery::as_str)?,
                    compression: text::word(
                        &format!("{path}.compression"),
                        self.compression,
                        &kafka::Compression::ALL,
                        kafka::Compression::as_str,
                    )?,
                })
            }
            "log" => {
                only(&[])?;
                Ok(SinkSpec::Log)
            }
            other => Err(external_sink::unknown_kind(&path, other)),
        }
    }
}

fn check_tables(streams: &[StreamSpec]) -> Result<(), ControlError> {
    for (index, stream) in streams.iter().enumerate() {
        if streams[..index].iter().any(|earlier| earlier.table.eq_ignore_ascii_case(&stream.table)) {
            return Err(invalid(&format!("spec.streams[{index}].table"), format!("`{}` is used twice", stream.table))
                .with_hint("give every stream a table name of its own"));
        }
    }
    Ok(())
}

fn check_sinks(sinks: &[SinkSpec], streams: &[StreamSpec]) -> Result<(), ControlError> {
    limit("sinks", sinks.len(), SINKS_MAX)?;
    if sinks.is_empty() {
        return Err(invalid("spec.sinks", "is empty: the results would go nowhere")
            .with_hint("leave `sinks` out to get the sink `series`"));
    }
    for (index, sink) in sinks.iter().enumerate() {
        let path = format!("spec.sinks[{index}]");
        if sinks[..index].contains(sink) {
            return Err(invalid(&path, "is there twice"));
        }
        if let SinkSpec::Topic { topic, .. } = sink
            && streams.iter().any(|stream| stream.topics.contains(topic))
        {
            return Err(invalid(&path, format!("writes to `{topic}`, which this dagger reads"))
                .with_hint("choose another topic, or the results would feed themselves"));
        }
    }
    Ok(())
}

fn duration(path: &str, written: Option<String>, default: Duration) -> Result<Duration, ControlError> {
    written.map_or(Ok(default), |written| text::duration(path, &written))
}

fn limit(what: &str, count: usize, max: usize) -> Result<(), ControlError> {
    if count <= max {
        return Ok(());
    }
    Err(ControlError::too_large("dagger_too_large", format!("{count} {what}, the limit is {max}")))
}

pub(super) fn invalid(path: &str, detail: impl std::fmt::Display) -> ControlError {
    ControlError::invalid("dagger_invalid", format!("`{path}` {detail}"))
}
