//! What sinks may use of the platform: its topics, its message types and the series of their group.

use super::Platform;
use crate::error::ControlError;
use crate::measurement_name::{self, stored};
use crate::records::{PartFormat, RecordFormat};
use crate::resource::Kind;
use crate::topic_router::TopicRouter;
use crate::topic_spec::TopicSpec;
use ::sinks::{LookupError, MessageFormat, Precision, SeriesPoints, Services, TopicFormat};
use async_trait::async_trait;
use delivery::{Answer, CallError, EncodedBatch, ErrorClass, RecordError};
use line_protocol::{ParseLimits, ParseOptions};
use log::{Ack, LogError, NewRecord, TopicLog};
use prost_reflect::{MessageDescriptor, MethodDescriptor};
use schema::SchemaSet;
use serde_json::Value;
use series::{SeriesError, SeriesStore};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Lines are taken apart anew when a field got another type meanwhile.
const ATTEMPTS_MAX: usize = 3;

struct SinkServices {
    group: String,
    /// The specs of all topics when this was made.
    topics: BTreeMap<String, Value>,
    schemas: Arc<SchemaSet>,
    log: Arc<TopicRouter>,
    series: SeriesStore,
}

impl fmt::Debug for SinkServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkServices").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Platform {
    /// For the sinks of a dagger or firehose of this group. Topics and message types are those that there are now. Whether
    /// somebody may write to a topic is to be checked before.
    pub(super) async fn sink_services(&self, group: &str) -> Result<Arc<dyn Services>, ControlError> {
        let topics = self.db.list(Kind::Topic).await?;
        Ok(Arc::new(SinkServices {
            group: group.to_owned(),
            topics: topics.into_iter().map(|topic| (topic.metadata.name, topic.spec)).collect(),
            schemas: self.schema_set(),
            log: Arc::clone(&self.log),
            series: self.series.clone(),
        }))
    }
}

#[async_trait]
impl Services for SinkServices {
    fn topic_format(&self, topic: &str) -> Result<TopicFormat, LookupError> {
        let Some(spec) = self.topics.get(topic) else {
            let near = crate::error::nearest(topic, self.topics.keys().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("make it first: `millrace topic create {topic}`"),
            };
            return Err(LookupError { detail: format!("there is no topic `{topic}`"), hint });
        };
        let spec = TopicSpec::from_json(spec).map_err(lookup_error)?;
        let format = RecordFormat::of_topic(&spec, |schema| Ok(self.schemas.message(schema)?));
        let RecordFormat { value, key } = format.map_err(lookup_error)?;
        let part = |part: PartFormat| -> Result<MessageFormat, LookupError> {
            let frames = part.writer().map_err(lookup_error)?.clone();
            Ok(MessageFormat { message: part.message, frames })
        };
        Ok(TopicFormat { value: value.map(part).transpose()?, key: key.map(part).transpose()? })
    }

    fn message(&self, full_name: &str) -> Result<MessageDescriptor, LookupError> {
        self.schemas.message(full_name).map_err(|error| lookup_error(error.into()))
    }

    fn method(&self, name: &str) -> Result<MethodDescriptor, LookupError> {
        self.schemas.method(name).map_err(|error| lookup_error(error.into()))
    }

    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        self.log.produce(topic, records).await
    }

    fn check_measurement(&self, measurement: &str) -> Result<(), LookupError> {
        measurement_name::check(&self.group, measurement).map_err(lookup_error)
    }

    async fn write_points(&self, points: SeriesPoints<'_>) -> Result<Answer, CallError> {
        let write = PointsWrite {
            store: self.series.clone(),
            group: self.group.clone(),
            measurement: points.measurement.to_owned(),
            retention: points.retention,
            precision: points.precision,
            lines: points.lines.clone(),
        };
        match tokio::task::spawn_blocking(move || write.run()).await {
            Ok(answer) => answer,
            Err(error) => Err(CallError::new(ErrorClass::Ours, format!("a thread that writes has ended: {error}"))),
        }
    }
}

struct PointsWrite {
    store: SeriesStore,
    group: String,
    measurement: String,
    retention: Duration,
    precision: Precision,
    lines: EncodedBatch,
}

impl PointsWrite {
    /// What was written before an error is written again by the next attempt, to the same points.
    fn run(&self) -> Result<Answer, CallError> {
        let point = self.store.sync_point();
        let mut attempt = 1;
        let errors = loop {
            match self.write() {
                Err(Failure::Series(error)) if is_overtaken(&error) && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(Failure::Series(error)) => return Err(CallError::new(class(&error), error.to_string())),
                Err(Failure::Lines(error)) => return Err(error),
                Ok(errors) => break errors,
            }
        };
        let outcome = self.keep_retention().and_then(|()| self.store.sync(point));
        outcome.map_err(|error| CallError::new(class(&error), error.to_string()))?;
        Ok(Answer { errors, retry_after: None })
    }

    fn write(&self) -> Result<Vec<RecordError>, Failure> {
        let body = self.lines.bytes();
        let mut limits = ParseLimits::default();
        limits.measurement_bytes_max = limits.measurement_bytes_max.saturating_sub(self.group.len() + 1);
        let precision = match self.precision {
            Precision::Milliseconds => line_protocol::Precision::Millisecond,
            Precision::Microseconds => line_protocol::Precision::Microsecond,
            Precision::Nanoseconds => line_protocol::Precision::Nanosecond,
        };
        let known = |name: &str| self.store.measurement(&stored(&self.group, name));
        let options = ParseOptions { precision, now_nanos: 0, limits };
        let points = line_protocol::parse(&body, &options, &known).map_err(SeriesError::from)?;
        if let Some(reason) = points.malformed_text() {
            return Err(Failure::Lines(CallError::new(ErrorClass::BadRecord, reason)));
        }
        if points.refused > 0 {
            let reason = points.refusal.unwrap_or_else(|| "the measurement does not take a point".to_owned());
            return Err(Failure::Lines(CallError::new(ErrorClass::Refused, reason)));
        }
        let mut errors = BTreeMap::new();
        let starts = self.starts();
        for points in &points.measurements {
            if points.measurement != self.measurement {
                let reason = format!("a line is of the measurement `{}`", points.measurement);
                return Err(Failure::Lines(CallError::new(ErrorClass::BadRecord, reason)));
            }
            let name = stored(&self.group, &points.measurement);
            let summary = self.store.write(&name, &points.batch, &points.layout)?;
            if let Some(first) = summary.examples.first()
                && summary.skipped > summary.examples.len() as u64
            {
                // Not all are named: smaller batches will tell.
                return Err(Failure::Lines(CallError::new(ErrorClass::Refused, first.message.clone())));
            }
            for skipped in summary.examples {
                let start = points.line_start(skipped.row);
                let index = starts.partition_point(|record| *record <= start).saturating_sub(1);
                errors.insert(index, RecordError { index, class: ErrorClass::Refused, reason: skipped.message });
            }
        }
        Ok(errors.into_values().collect())
    }

    /// Where each record begins.
    fn starts(&self) -> Vec<usize> {
        let mut next = 0;
        let start = |index: usize| {
            let start = next;
            next += self.lines.record(index).len();
            start
        };
        (0..self.lines.len()).map(start).collect()
    }

    fn keep_retention(&self) -> Result<(), SeriesError> {
        let name = stored(&self.group, &self.measurement);
        let seconds = |retention: Duration| retention.as_secs().max(1);
        match self.store.measurement(&name) {
            Some(known) if seconds(known.retention) != seconds(self.retention) => {
                self.store.set_retention(&name, self.retention)
            }
            _ => Ok(()),
        }
    }
}

enum Failure {
    Series(SeriesError),
    /// A line may be the reason.
    Lines(CallError),
}

impl From<SeriesError> for Failure {
    fn from(error: SeriesError) -> Self {
        Self::Series(error)
    }
}

/// Somebody has made a tag or a field between our look and our write.
fn is_overtaken(error: &SeriesError) -> bool {
    matches!(error, SeriesError::FieldTypeChanged { .. } | SeriesError::NameTaken { .. })
}

fn class(error: &SeriesError) -> ErrorClass {
    match error {
        error if is_overtaken(error) => ErrorClass::Refused,
        SeriesError::Arrow(_) => ErrorClass::Ours,
        _ => ErrorClass::Down,
    }
}

fn lookup_error(error: ControlError) -> LookupError {
    let hint = error.hint.unwrap_or_else(|| "correct the setting, or make what it names".to_owned());
    LookupError { detail: error.detail, hint }
}
