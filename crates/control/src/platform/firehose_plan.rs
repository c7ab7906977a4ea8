//! What a firehose runs: its document held against the topic's message type, the secrets and the sink. Makes nothing.

use super::Platform;
use super::external_sinks::time_column;
use crate::access::Actor;
use crate::error::ControlError;
use crate::firehose_positions::FirehosePositions;
use crate::firehose_spec::{ColumnSource, FirehoseSpec};
use crate::records::RecordFormat;
use crate::resource::{Kind, Metadata};
use crate::sink_settings::setting_error;
use crate::topic_spec::TopicSpec;
use ::sinks::{PlannedSink, SinkContext, SinkInput};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::Destination;
use firehose::{OpenDestination, Pipeline, RowShape, ShapedRows};
use shape::{Shape, ShapeError, ShapeSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A side of a time window that was left out.
const NO_BOUND: Duration = Duration::from_secs(36_525 * 24 * 3_600);

/// A firehose that fits its topic and its sink.
pub(super) struct PlannedFirehose {
    pub format: RecordFormat,
    pub pipeline: Pipeline,
    pub sink: Box<dyn PlannedSink>,
    /// What the sink gets.
    pub schema: SchemaRef,
    opener: Opener,
}

impl PlannedFirehose {
    pub fn opener(&self) -> Arc<dyn OpenDestination> {
        Arc::new(self.opener.clone())
    }
}

/// Plans the sink anew for each generation of positions.
#[derive(Clone)]
struct Opener {
    spec: Arc<FirehoseSpec>,
    schema: SchemaRef,
    context: SinkContext,
}

impl Opener {
    fn plan(&self, context: &SinkContext) -> Result<Box<dyn PlannedSink>, ControlError> {
        let input = SinkInput { schema: &self.schema, key_columns: None, time_column: time_column(&self.schema) };
        let sink = &self.spec.sink;
        sink.kind.plan(&sink.settings, &input, context).map_err(|error| setting_error("spec.sink", error))
    }
}

impl OpenDestination for Opener {
    fn open(&self, generation: u64) -> Result<Arc<dyn Destination>, String> {
        let incarnation = format!("{}-{generation}", self.context.incarnation);
        let context = SinkContext { incarnation, ..self.context.clone() };
        self.plan(&context).map_err(|error| error.detail)?.destination()
    }
}

struct ShapeOf(Shape);

impl RowShape for ShapeOf {
    fn fields_used(&self) -> Vec<String> {
        self.0.fields_used()
    }

    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn apply(&self, batch: &RecordBatch) -> Result<ShapedRows, ArrowError> {
        let shape::Shaped { rows, input_rows, filtered, failed } = self.0.apply(batch)?;
        Ok(ShapedRows { rows, input_rows, filtered, failed })
    }
}

impl Platform {
    /// Everything that can be wrong with a firehose before it runs. Takes the sink's limits into the spec.
    pub(super) async fn plan_firehose(
        &self,
        metadata: &Metadata,
        spec: &mut FirehoseSpec,
    ) -> Result<PlannedFirehose, ControlError> {
        self.check_group(metadata).await?;
        let Some(topic) = self.db.get(Kind::Topic, &spec.topic).await? else {
            let error = self.not_found(Kind::Topic, &spec.topic).await;
            return Err(ControlError { detail: format!("`spec.topic`: {}", error.detail), ..error });
        };
        let topic_spec = TopicSpec::from_json(&topic.spec)?;
        let Some(message) = &topic_spec.schema else {
            let detail =
                format!("`spec.topic`: the topic `{}` has no message type, so its records have no fields", spec.topic);
            return Err(ControlError::invalid("topic_without_schema", detail)
                .with_hint("register one (`millrace schema push`) and apply the topic with `schema:`"));
        };
        let message = self.message(message)?;
        if spec.topic_written() == Some(&spec.topic) {
            let detail = format!("`spec.sink.topic`: it would write to `{}`, which it reads", spec.topic);
            return Err(ControlError::invalid("firehose_invalid", detail)
                .with_hint("choose another topic, or the records would feed themselves"));
        }
        self.check_dead_letter_topic(spec).await?;
        let secrets = self.secret_values(spec.secrets().iter().map(String::as_str), &metadata.group).await?;
        let shape =
            Shape::compile(&shape_spec(spec, &secrets), &Pipeline::input_schema(&message)).map_err(shape_error)?;
        let positions = FirehosePositions::new(self.database.clone(), &metadata.name, &spec.topic);
        let incarnation = positions.known_incarnation().await?;
        let context = self.sink_context(metadata, incarnation, spec.topic.clone(), secrets).await?;
        let opener = Opener { spec: Arc::new(spec.clone()), schema: shape.schema(), context };
        let sink = opener.plan(&opener.context)?;
        spec.delivery.fit(sink.limits())?;
        let schema = shape.schema();
        let pipeline =
            Pipeline::compile(&message, &topic_spec.encoding, Some(Arc::new(ShapeOf(shape))), sink.encoder())
                .map_err(|error| ControlError::invalid("firehose_invalid", error.to_string()))?;
        let format = RecordFormat::of_topic(&topic_spec, |schema| self.message(schema))?;
        Ok(PlannedFirehose { format, pipeline, sink, schema, opener })
    }

    async fn check_dead_letter_topic(&self, spec: &FirehoseSpec) -> Result<(), ControlError> {
        let Some(topic) = &spec.dead_letter_topic else { return Ok(()) };
        let place = "spec.deadLetters.topic";
        if *topic == spec.topic {
            let detail = format!("`{place}`: dead letters would go to the topic that they come from");
            return Err(ControlError::invalid("firehose_invalid", detail)
                .with_hint("name another topic, or leave `deadLetters` out to keep them in the built-in store"));
        }
        match self.db.get(Kind::Topic, topic).await? {
            Some(_) => Ok(()),
            None => {
                let error = self.not_found(Kind::Topic, topic).await;
                Err(ControlError { detail: format!("`{place}`: {}", error.detail), ..error })
            }
        }
    }

    /// To send records one has to be a reader of them, and a writer of where they go.
    pub(super) async fn check_firehose_topics(&self, actor: &Actor, spec: &FirehoseSpec) -> Result<(), ControlError> {
        use crate::access::Permission::{ReadRecords, WriteRecords};
        let sink_topic = (spec.sink.kind.description().kind == "topic").then(|| spec.sink.settings.text("topic"));
        let topics = [
            (Some(spec.topic.as_str()), ReadRecords),
            (spec.dead_letter_topic.as_deref(), WriteRecords),
            (sink_topic.flatten(), WriteRecords),
        ];
        for (topic, permission) in topics {
            let Some(topic) = topic else { continue };
            let Some(resource) = self.db.get(Kind::Topic, topic).await? else { continue };
            actor
                .require(permission, &resource.metadata.group)
                .map_err(|error| ControlError { detail: format!("the topic `{topic}`: {}", error.detail), ..error })?;
        }
        Ok(())
    }
}

fn shape_spec(spec: &FirehoseSpec, secrets: &BTreeMap<String, String>) -> ShapeSpec {
    let column = |column: &crate::firehose_spec::ColumnSpec| shape::ColumnSpec {
        name: column.name.clone(),
        source: match &column.source {
            ColumnSource::Field(path) => shape::ColumnSource::Field(path.clone()),
            ColumnSource::Constant(value) => shape::ColumnSource::Constant(value.clone()),
            ColumnSource::Expression { text, declared } => {
                shape::ColumnSource::Expression { text: text.clone(), declared: *declared }
            }
            ColumnSource::Hash { field, secret } => shape::ColumnSource::Hash {
                field: field.clone(),
                // All that are named have been looked up.
                key: secret.as_ref().and_then(|name| secrets.get(name)).cloned(),
            },
        },
    };
    ShapeSpec {
        filter: spec.filter.clone(),
        json_schema: spec.json_schema.clone(),
        time_window: spec.time_window.as_ref().map(|window| shape::TimeWindow {
            field: window.field.clone(),
            past: window.past.unwrap_or(NO_BOUND),
            future: window.future.unwrap_or(NO_BOUND),
        }),
        columns: spec.columns.as_ref().map(|columns| columns.iter().map(column).collect()),
    }
}

fn shape_error(error: ShapeError) -> ControlError {
    ControlError::invalid("shape_invalid", format!("`spec.{}`: {}", error.place, error.detail))
        .maybe_hint((!error.hint.is_empty()).then_some(error.hint))
}
