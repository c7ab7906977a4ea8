//! What the form asks while someone types: is this dagger right, and what does it have to work with.

use super::Platform;
use crate::dagger_plan;
use crate::dagger_spec::{DaggerDocument, DaggerSpec, SinkSpec};
use crate::error::ControlError;
use crate::resource::Kind;
use crate::topic_spec::TopicSpec;
use crate::window_words::windows_of;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use serde_json::{Value, json};

/// Nested messages are described this deep; a type can hold itself.
const NESTING_SHOWN_MAX: usize = 8;

/// What is known of a dagger that nobody has deployed. Every part is as complete as the errors allow.
pub struct Validation {
    /// The dagger with its defaults, once the document can be read.
    pub dagger: Option<Value>,
    /// Tables and columns that the query can name.
    pub tables: Vec<Value>,
    /// The result's columns, once the query can be planned.
    pub columns: Vec<Value>,
    /// What it does, to be read aloud.
    pub sentence: Option<String>,
    pub warnings: Vec<String>,
    pub errors: Vec<ControlError>,
}

impl Platform {
    /// Judges without making anything. Everything that `apply` would refuse is an error here.
    pub async fn validate_dagger(&self, text: &str) -> Validation {
        let mut validation = Validation {
            dagger: None,
            tables: Vec::new(),
            columns: Vec::new(),
            sentence: None,
            warnings: Vec::new(),
            errors: Vec::new(),
        };
        let read = async {
            let (metadata, document) = DaggerDocument::parse(text)?;
            let spec = self.complete(&metadata, document).await?;
            Ok::<_, ControlError>((metadata, spec))
        };
        let (metadata, mut spec) = match read.await {
            Ok(read) => read,
            Err(error) => {
                validation.errors.push(error);
                return validation;
            }
        };
        validation.tables = self.tables(&mut spec).await;
        let judged = async {
            let planned = self.check_dagger(&metadata, &mut spec).await?;
            let warnings = self.warnings(&metadata, &spec, &planned).await?;
            Ok::<_, ControlError>((planned, warnings))
        };
        match judged.await {
            Ok((planned, warnings)) => {
                validation.columns = planned.plan.schema.fields().iter().map(|field| column(field, 0)).collect();
                validation.sentence = Some(sentence(&spec, &planned.plan));
                validation.warnings = warnings;
            }
            Err(error) => validation.errors.push(error),
        }
        validation.dagger = Some(json!({
            "apiVersion": crate::resource::API_VERSION, "kind": "Dagger",
            "metadata": { "name": metadata.name, "group": metadata.group, "labels": metadata.labels },
            "spec": spec.to_json(),
        }));
        validation
    }

    /// The tables of the streams whose schema is known, so that completion works before the query does.
    async fn tables(&self, spec: &mut DaggerSpec) -> Vec<Value> {
        let mut tables = Vec::new();
        for stream in &mut spec.streams {
            if stream.schema.is_none()
                && let Some(topic) = stream.topics.first()
                && let Ok(Some(resource)) = self.db.get(Kind::Topic, topic).await
                && let Ok(topic) = TopicSpec::from_json(&resource.spec)
            {
                stream.schema = topic.schema;
            }
            let Some(message) = stream.schema.as_ref().and_then(|name| self.message(name).ok()) else { continue };
            let comments = self.describe_message(message.full_name()).map(|summary| summary.fields).unwrap_or_default();
            let schema = dagger_plan::table(stream, message).schema();
            let columns: Vec<Value> = schema
                .fields()
                .iter()
                .map(|field| {
                    let mut shown = column(field, 0);
                    let comment = comments.iter().find(|known| known.name == *field.name());
                    if let (Some(comment), Some(shown)) =
                        (comment.and_then(|known| known.comment.as_ref()), shown.as_object_mut())
                    {
                        shown.insert("comment".into(), json!(comment));
                    }
                    shown
                })
                .collect();
            tables.push(json!({ "name": stream.table, "columns": columns }));
        }
        tables
    }
}

fn column(field: &Field, depth: usize) -> Value {
    let mut shown = json!({ "name": field.name(), "type": type_name(field.data_type()) });
    let children = match field.data_type() {
        DataType::Struct(children) => Some(children),
        DataType::List(item) => struct_of(item),
        _ => None,
    };
    if let (Some(children), Some(shown)) = (children, shown.as_object_mut())
        && depth < NESTING_SHOWN_MAX
    {
        let children: Vec<Value> = children.iter().map(|child| column(child, depth + 1)).collect();
        shown.insert("children".into(), Value::Array(children));
    }
    shown
}

fn struct_of(item: &FieldRef) -> Option<&Fields> {
    match item.data_type() {
        DataType::Struct(children) => Some(children),
        _ => None,
    }
}

/// The names that the reference of the dialect uses.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 | DataType::UInt32 => "BIGINT".into(),
        DataType::UInt64 => "DECIMAL(20, 0)".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(unit, _) => match unit {
            arrow::datatypes::TimeUnit::Second => "TIMESTAMP(0)".into(),
            arrow::datatypes::TimeUnit::Millisecond => "TIMESTAMP(3)".into(),
            arrow::datatypes::TimeUnit::Microsecond => "TIMESTAMP(6)".into(),
            arrow::datatypes::TimeUnit::Nanosecond => "TIMESTAMP(9)".into(),
        },
        DataType::List(item) | DataType::LargeList(item) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("MAP<{}, {}>", type_name(fields[0].data_type()), type_name(fields[1].data_type()))
            }
            _ => "MAP".into(),
        },
        DataType::Struct(_) => "ROW".into(),
        DataType::Dictionary(_, value) => type_name(value),
        other => other.to_string().to_uppercase(),
    }
}

fn sentence(spec: &DaggerSpec, plan: &sql::DaggerPlan) -> String {
    let topics: Vec<&str> = spec.streams.iter().flat_map(|stream| &stream.topics).map(String::as_str).collect();
    let windows: Vec<String> = plan.windows.iter().map(|window| windows_of(window.spec.kind())).collect();
    let sinks: Vec<String> = spec
        .sinks
        .iter()
        .map(|sink| match sink {
            SinkSpec::Series { measurement, .. } => format!("the measurement {measurement}"),
            SinkSpec::Topic { topic, .. } => format!("the topic {topic}"),
            SinkSpec::Log => "the console".to_owned(),
            SinkSpec::External(external) => external.to_string(),
            SinkSpec::Kind(sink) => sink.kind.description().title.to_owned(),
        })
        .collect();
    let how = match windows.first() {
        None => "takes record by record".to_owned(),
        Some(first) if windows.iter().all(|window| window == first) => format!("groups by {first}"),
        Some(_) => format!("groups by {}", windows.join(", then by ")),
    };
    let sinks: Vec<&str> = sinks.iter().map(String::as_str).collect();
    let columns = plan.schema.fields().len();
    format!("Reads {}, {how}, and writes {columns} columns to {}.", list(&topics), list(&sinks))
}

fn list(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
