//! Making a dagger run: plan, sinks, state directory, engine.

use super::Platform;
use super::tags::{SeriesCount, series_max};
use crate::access::Actor;
use crate::dagger_plan::{self, FutureCheck, PlannedDagger, millis};
use crate::dagger_spec::{DaggerSpec, Delivery, SERIES_RETENTION, SinkSpec, StartFrom};
use crate::duration::format_duration;
use crate::error::ControlError;
use crate::measurement_name::stored;
use crate::operator_graph::OperatorGraph;
use crate::records::{PartFormat, RecordFormat};
use crate::refused_records::DeadLetterKeeper;
use crate::resource::{Kind, Metadata};
use crate::sinks::external::{ExternalSink, ExternalSinkConfig};
use crate::sinks::log::{LogConfig, LogSink};
use crate::sinks::series::{SeriesConfig, SeriesSink};
use crate::sinks::topic::{
    KafkaSink, RecordColumns, RecordEncoder, TopicSink, TopicSinkConfig, generated_message_name,
};
use crate::sinks::{RecordMarks, SinkCounters, topic};
use crate::topic_router::TopicPlace;
use crate::topic_spec::TopicSpec;
use checkpoint::LocalStorage;
use codec::RecordPart;
use flow::{DaggerConfig, DaggerHandle, Sink, StartPosition, StreamConfig, StreamSettings};
use kafka::WriterOptions;
use log::TopicLog;
use prost_reflect::{MessageDescriptor, prost_types};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const BATCH_ROWS_MAX: usize = 8_192;
/// A transaction may be open for so many checkpoint intervals before the cluster aborts it.
const TRANSACTION_INTERVALS: u32 = 6;
const CHECKPOINT_INTERVAL_MAX: Duration = Duration::from_secs(120);

pub struct RunningDagger {
    pub handle: DaggerHandle,
    pub sinks: Vec<SinkStatus>,
    pub(crate) graph: Arc<OperatorGraph>,
}

impl RunningDagger {
    /// It has taken its first checkpoint, which is before its first record.
    pub fn is_deployed(&self) -> bool {
        self.handle.status().checkpoint_epoch > 0
    }
}

#[derive(Clone)]
pub struct SinkStatus {
    description: Value,
    counters: Arc<SinkCounters>,
    /// Of a measurement.
    series: Option<SeriesCount>,
}

impl SinkStatus {
    pub fn notice(&self) -> Option<String> {
        self.counters.notice().or_else(|| self.series.as_ref()?.notice())
    }

    /// What keeps its results from getting on.
    pub fn delay(&self) -> Option<String> {
        self.counters.delay()
    }

    pub fn to_json(&self) -> Value {
        let mut shown = self.description.clone();
        if let Some(object) = shown.as_object_mut() {
            object.insert("rows".into(), json!(self.counters.written()));
            object.insert("refused".into(), json!(self.counters.refused()));
            object.insert("lastRefusal".into(), json!(self.counters.last_refusal()));
            if let Some(count) = &self.series {
                object.insert("series".into(), json!(count.series()));
                object.insert("seriesMax".into(), json!(series_max()));
            }
            if let Some(counts) = self.counters.delivery() {
                object.insert("counts".into(), json!(counts));
            }
        }
        shown
    }
}

/// The sinks of a running dagger, and how each is.
type OpenedSinks = (Vec<Box<dyn Sink>>, Vec<SinkStatus>);

/// A sink that has been checked against the query.
pub(super) enum PlannedSink {
    Series { config: SeriesConfig, retention: Duration },
    Topic(TopicSinkConfig),
    Kafka { cluster: String, options: WriterOptions, config: TopicSinkConfig },
    Log(LogConfig),
    External(Box<ExternalSinkConfig>),
}

impl Platform {
    /// Plans a dagger from its stored spec and starts it where its last checkpoint left it.
    pub async fn launch_dagger(&self, name: &str) -> Result<RunningDagger, ControlError> {
        let Some(resource) = self.db.get(Kind::Dagger, name).await? else {
            return Err(self.not_found(Kind::Dagger, name).await);
        };
        let mut spec = DaggerSpec::from_json(name, &resource.spec)?;
        let planned = dagger_plan::plan(&mut spec, &self.schema_set(), FutureCheck::AppendTime)?;
        self.prepare_sink_topics(&Actor::server(), &resource.metadata, &spec, &planned).await?;
        let sinks = self.plan_sinks(&resource.metadata, &spec, &planned).await?;
        self.fit_state(name, &spec, &planned).await?;
        let (sinks, statuses) = self.open_sinks(&resource.metadata, &spec, &planned, sinks)?;
        let config = DaggerConfig {
            name: name.to_owned(),
            plan: Arc::clone(&planned.plan),
            streams: self.stream_configs(name, &spec, &planned).await?,
            parallelism: spec.parallelism,
            checkpoint_interval: spec.checkpoint_interval,
            batch_rows_max: BATCH_ROWS_MAX,
            accepted_loss: self.take_accepted_loss(name),
            latency_max: spec.streams.iter().map(|stream| stream.watermark.interval).min().unwrap_or_default(),
        };
        let log: Arc<dyn TopicLog> = Arc::clone(&self.log) as Arc<dyn TopicLog>;
        let keeper = Arc::new(DeadLetterKeeper::new(self.dead_letters.clone()));
        let storage = Arc::new(LocalStorage::new(self.directory.checkpoints()));
        let handle = self.clusters.runtime(&spec.cluster);
        let _entered = handle.enter();
        let graph = OperatorGraph::of(&spec, &planned.plan);
        Ok(RunningDagger { handle: flow::spawn(config, log, sinks, keeper, storage), sinks: statuses, graph })
    }

    /// Checks every sink against the query, without making anything. A topic that is to be made has to have been made.
    pub(super) async fn plan_sinks(
        &self,
        of: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<Vec<PlannedSink>, ControlError> {
        let name = of.name.as_str();
        let schema = &planned.plan.schema;
        let marks = RecordMarks::of(spec, &planned.plan);
        let mut sinks = Vec::with_capacity(spec.sinks.len());
        for (index, sink) in spec.sinks.iter().enumerate() {
            sinks.push(match sink {
                SinkSpec::Series { measurement, retention } => {
                    let keys = planned.plan.key_columns.as_deref();
                    let config = SeriesConfig::new(measurement, schema, keys, marks)?;
                    PlannedSink::Series { config, retention: retention.unwrap_or(SERIES_RETENTION) }
                }
                SinkSpec::Topic { topic, schema: message, key, headers, cluster, delivery, compression, .. } => {
                    let message_name = message.clone().unwrap_or_else(|| generated_message_name(topic));
                    let message = match message {
                        Some(message) => self.message(message)?,
                        None => schema::SchemaSet::empty()
                            .with_file(self.generated_file(&message_name, schema)?)?
                            .message(&message_name)?,
                    };
                    let format = self.sink_format(topic, message).await?;
                    let encoder = RecordEncoder::new(&format, &planned.plan, RecordColumns { key, headers })?;
                    let config = TopicSinkConfig { topic: topic.clone(), encoder };
                    match self.sink_place(topic, cluster.as_deref()).await? {
                        None if delivery.is_some() || compression.is_some() => return Err(not_on_kafka(topic)),
                        None => PlannedSink::Topic(config),
                        Some(place) => PlannedSink::Kafka {
                            cluster: place.cluster,
                            options: WriterOptions {
                                topic: place.topic,
                                delivery: match delivery.unwrap_or(Delivery::ExactlyOnce) {
                                    Delivery::AtLeastOnce => kafka::Delivery::AtLeastOnce,
                                    Delivery::ExactlyOnce => kafka::Delivery::ExactlyOnce {
                                        name: name.to_owned(),
                                        timeout: spec.checkpoint_interval * TRANSACTION_INTERVALS,
                                    },
                                },
                                compression: compression.unwrap_or_default(),
                            },
                            config,
                        },
                    }
                }
                SinkSpec::Log => PlannedSink::Log(LogConfig::new(name, schema)?),
                SinkSpec::External(external) => {
                    PlannedSink::External(Box::new(self.plan_external_sink(of, index, external, planned, marks).await?))
                }
                SinkSpec::Kind(sink) => {
                    PlannedSink::External(Box::new(self.plan_kind_sink(of, index, sink, planned).await?))
                }
            });
        }
        check_transactions(&sinks, spec)?;
        Ok(sinks)
    }

    /// Where the topic of a sink is, or will be when it is made, if it is on a Kafka cluster.
    async fn sink_place(&self, topic: &str, cluster: Option<&str>) -> Result<Option<TopicPlace>, ControlError> {
        if let Some(existing) = self.db.get(Kind::Topic, topic).await? {
            return Ok(TopicSpec::from_json(&existing.spec)?.place(topic));
        }
        let Some(cluster) = cluster else { return Ok(None) };
        match self.db.get(Kind::KafkaCluster, cluster).await? {
            Some(_) => Ok(Some(TopicPlace { cluster: cluster.to_owned(), topic: topic.to_owned() })),
            None => Err(self.not_found(Kind::KafkaCluster, cluster).await),
        }
    }

    /// How records of this message type are written to a topic. One that is to be made yet is bare protobuf.
    async fn sink_format(&self, topic: &str, message: MessageDescriptor) -> Result<RecordFormat, ControlError> {
        let spec = match self.db.get(Kind::Topic, topic).await? {
            Some(resource) => TopicSpec::from_json(&resource.spec)?,
            None => TopicSpec::new(1, None),
        };
        let format =
            RecordFormat::of_topic(&TopicSpec { schema: None, ..spec.clone() }, |schema| self.message(schema))?;
        Ok(RecordFormat { value: Some(PartFormat::new(message, spec.encoding, RecordPart::Value)), ..format })
    }

    /// A type that is made from one query cannot be made from another one, too: each would take the fields of the other.
    pub(super) async fn check_generated_types(
        &self,
        dagger: &str,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        let own: Vec<(&str, String)> = generated_types(spec).collect();
        if own.is_empty() {
            return Ok(());
        }
        for resource in self.db.list(Kind::Dagger).await? {
            let other = &resource.metadata.name;
            let Ok(theirs) = DaggerSpec::from_json(other, &resource.spec) else { continue };
            let shared = own.iter().find(|(_, name)| generated_types(&theirs).any(|(_, theirs)| theirs == *name));
            if other != dagger
                && let Some((topic, name)) = shared
                && !self.is_registered(name, &self.generated_file(name, &planned.plan.schema)?)?
            {
                let detail = format!(
                    "the sink `topic` would make the type {name} for `{topic}` from this query, and the dagger `{other}` has \
                     made it from its own, which has other columns"
                );
                return Err(ControlError::conflict("topic_sink_refused", detail).with_hint(
                    "give the columns the same names and types, name a type with `schema:`, or write to another topic",
                ));
            }
        }
        Ok(())
    }

    /// Compares what a set makes of the file, which has more in it than the file (such as names for JSON).
    fn is_registered(&self, name: &str, file: &prost_types::FileDescriptorProto) -> Result<bool, ControlError> {
        let wanted = schema::SchemaSet::empty().with_file(file.clone())?.message(name)?;
        let registered = self.schema_set().message(name);
        Ok(registered.is_ok_and(|registered| registered.descriptor_proto() == wanted.descriptor_proto()))
    }

    /// Makes the topics and message types that the sinks need and that are not there.
    pub(super) async fn prepare_sink_topics(
        &self,
        actor: &Actor,
        of: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        for sink in &spec.sinks {
            let SinkSpec::Topic { topic, schema, partitions, cluster, .. } = sink else { continue };
            let message = match schema {
                Some(schema) => schema.clone(),
                None => self.register_generated(actor, topic, planned).await?,
            };
            match self.db.get(Kind::Topic, topic).await? {
                None => {
                    let mut wanted = TopicSpec::new(partitions.unwrap_or(1), Some(message));
                    if let Some(cluster) = cluster {
                        wanted = wanted.on_cluster(cluster, *partitions);
                    }
                    let metadata = Metadata { group: of.group.clone(), ..Metadata::named(topic.clone()) };
                    self.create_topic_locked(actor, &metadata, &wanted).await?;
                }
                Some(existing) => {
                    let existing = TopicSpec::from_json(&existing.spec)?;
                    if existing.schema.as_ref().is_some_and(|schema| *schema != message) {
                        let detail = format!(
                            "the sink `topic` would write {message} to `{topic}`, whose records are {}",
                            existing.schema.unwrap_or_default()
                        );
                        return Err(ControlError::conflict("topic_sink_refused", detail)
                            .with_hint("name that type in the sink (`schema:`), or write to another topic"));
                    }
                }
            }
        }
        Ok(())
    }

    async fn register_generated(
        &self,
        actor: &Actor,
        topic: &str,
        planned: &PlannedDagger,
    ) -> Result<String, ControlError> {
        let name = generated_message_name(topic);
        let file = self.generated_file(&name, &planned.plan.schema)?;
        let current = self.schema_set();
        if !self.is_registered(&name, &file)? {
            let merged = current.with_file(file.clone())?;
            use prost::Message as _;
            self.store_schema_set(actor, &file.encode_to_vec(), std::slice::from_ref(&name), merged).await?;
        }
        Ok(name)
    }

    /// The file of the type that a query's columns make, with the field numbers that it has had so far.
    fn generated_file(
        &self,
        name: &str,
        columns: &arrow::datatypes::Schema,
    ) -> Result<prost_types::FileDescriptorProto, ControlError> {
        let mut file = codec::message_from_columns(name, columns).map_err(topic::refused)?;
        if let Ok(before) = self.schema_set().message(name) {
            for message in &mut file.message_type {
                topic::keep_numbers(before.descriptor_proto(), message);
            }
        }
        Ok(file)
    }

    async fn stream_configs(
        &self,
        name: &str,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<Vec<StreamConfig>, ControlError> {
        let mut configs = Vec::with_capacity(spec.streams.len());
        for (stream, settings) in spec.streams.iter().zip(&planned.streams) {
            let mut topics = stream.topics.clone();
            let replay = super::replay::replay_topic(name, &stream.table);
            let formats = self.wire_formats(&topics).await?.with_replayed(replay.clone());
            if self.log.topic(&replay).await.is_ok() {
                topics.push(replay);
            }
            configs.push(StreamConfig {
                settings: Arc::new(StreamSettings { formats, ..settings.as_ref().clone() }),
                topics,
                start: match stream.start_from {
                    StartFrom::Earliest => StartPosition::Earliest,
                    StartFrom::Latest => StartPosition::Latest,
                    StartFrom::Time(ms) => StartPosition::Timestamp(ms),
                },
                idle_ms: millis(stream.watermark.idle),
                group: stream.consumer_group.clone(),
            });
        }
        Ok(configs)
    }

    fn open_sinks(
        &self,
        of: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
        sinks: Vec<PlannedSink>,
    ) -> Result<OpenedSinks, ControlError> {
        let mut opened: Vec<Box<dyn Sink>> = Vec::with_capacity(sinks.len());
        let mut statuses = Vec::with_capacity(sinks.len());
        for (index, (sink_spec, sink)) in spec.sinks.iter().zip(sinks).enumerate() {
            let counters = Arc::new(SinkCounters::default());
            let mut description = sink_spec.to_json();
            if let PlannedSink::Kafka { cluster, options, .. } = &sink {
                describe_kafka(&mut description, cluster, options, spec);
            }
            let (status_counters, mut series) = (Arc::clone(&counters), None);
            opened.push(match sink {
                PlannedSink::Series { config, retention } => {
                    let config = SeriesConfig { measurement: stored(&of.group, &config.measurement), ..config };
                    series = Some(SeriesCount::of(&self.series, &config));
                    Box::new(SeriesSink::new(self.series.clone(), config, &planned.plan.schema, retention, counters))
                }
                PlannedSink::Topic(config) => {
                    Box::new(TopicSink::new(Arc::clone(&self.log) as Arc<dyn TopicLog>, config, counters))
                }
                PlannedSink::Kafka { cluster, options, config } => {
                    let Some(log) = self.log.cluster(&cluster) else { return Err(not_connected(&cluster)) };
                    Box::new(KafkaSink::new(log, options, config, counters))
                }
                PlannedSink::Log(config) => Box::new(LogSink::new(config, counters)),
                PlannedSink::External(config) => {
                    Box::new(ExternalSink::new(*config, &of.name, index, self.dead_letters.clone(), counters)?)
                }
            });
            statuses.push(SinkStatus { description, counters: status_counters, series });
        }
        Ok((opened, statuses))
    }
}

pub(super) fn not_connected(cluster: &str) -> ControlError {
    let detail = format!("the Kafka cluster `{cluster}` is not connected");
    ControlError::unavailable("kafka_cluster_not_connected", detail).with_hint("its page says why")
}

fn not_on_kafka(topic: &str) -> ControlError {
    let detail =
        format!("`delivery` and `compression` are for topics on a Kafka cluster, and `{topic}` is in the embedded log");
    ControlError::invalid("topic_sink_refused", detail)
        .with_hint("leave them out, or name the cluster on which the topic is to be made (`cluster:`)")
}

/// A checkpoint can depend on one transaction only, and a transaction must outlive the time between two checkpoints.
fn check_transactions(sinks: &[PlannedSink], spec: &DaggerSpec) -> Result<(), ControlError> {
    let is_transactional = |sink: &&PlannedSink| matches!(sink, PlannedSink::Kafka { options, .. } if options.delivery != kafka::Delivery::AtLeastOnce);
    let count = sinks.iter().filter(is_transactional).count();
    if count > 1 {
        return Err(ControlError::invalid(
            "topic_sink_refused",
            format!("{count} sinks write exactly once; a dagger can have one of them"),
        )
        .with_hint("write `delivery: atLeastOnce` in the others, or fork the dagger"));
    }
    if count == 1 && spec.checkpoint_interval > CHECKPOINT_INTERVAL_MAX {
        return Err(ControlError::invalid(
            "topic_sink_refused",
            format!(
                "with a checkpoint every {} a transaction would be open for longer than Kafka allows",
                format_duration(spec.checkpoint_interval)
            ),
        )
        .with_hint(format!("write at most {}", format_duration(CHECKPOINT_INTERVAL_MAX))));
    }
    Ok(())
}

/// What somebody who waits for results should know.
fn describe_kafka(description: &mut Value, cluster: &str, options: &WriterOptions, spec: &DaggerSpec) {
    let Some(description) = description.as_object_mut() else { return };
    let delivery = match options.delivery {
        kafka::Delivery::AtLeastOnce => Delivery::AtLeastOnce,
        kafka::Delivery::ExactlyOnce { .. } => {
            description.insert("visibleEvery".into(), json!(format_duration(spec.checkpoint_interval)));
            Delivery::ExactlyOnce
        }
    };
    description.insert("cluster".into(), json!(cluster));
    description.insert("delivery".into(), json!(delivery.as_str()));
}

/// The topics of the sinks that name no type, and the types that are made for them.
fn generated_types(spec: &DaggerSpec) -> impl Iterator<Item = (&str, String)> {
    spec.sinks.iter().filter_map(|sink| match sink {
        SinkSpec::Topic { topic, schema: None, .. } => Some((topic.as_str(), generated_message_name(topic))),
        _ => None,
    })
}
