//! Making a dagger of another one: a fork in a group of one's own, and a topic as one more sink.

use super::{Applied, Platform};
use crate::access::Actor;
use crate::error::ControlError;
use crate::resource::{API_VERSION, Kind, Resource, check_name};
use serde_json::{Value, json};
use std::sync::Arc;

/// What `publish` adds to a dagger.
#[derive(Debug, Clone, Default)]
pub struct PublishTo {
    pub topic: String,
    /// The message type; without one it is made from the query's columns.
    pub schema: Option<String>,
    pub key: Vec<String>,
    pub partitions: Option<u32>,
    /// The Kafka cluster on which a topic is made that is not there.
    pub cluster: Option<String>,
    pub delivery: Option<String>,
    pub compression: Option<String>,
}

impl Platform {
    /// A suspended copy in another group, with a measurement of its own. Topics are left out: what the original writes to
    /// them is written once. One that writes nothing but topics is copied with the sink `log`.
    pub async fn fork_dagger(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        copy: &str,
        group: &str,
    ) -> Result<Applied, ControlError> {
        check_name("the copy's name", copy)?;
        let original = self.dagger_resource(name).await?;
        if self.db.get(Kind::Dagger, copy).await?.is_some() {
            return Err(ControlError::conflict("dagger_exists", format!("there is a dagger `{copy}` already"))
                .with_hint("choose another name for the copy"));
        }
        let mut spec = original.spec.clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("state".into(), json!("suspended"));
            spec.insert("sinks".into(), Value::Array(sinks_of_copy(&original.spec, copy)));
            for stream in spec.get_mut("streams").and_then(Value::as_array_mut).into_iter().flatten() {
                // The original's name stands in it; the copy has its own.
                stream.as_object_mut().map(|stream| stream.remove("consumerGroup"));
            }
        }
        let mut labels = original.metadata.labels.clone();
        labels.remove("demo");
        labels.insert("forked-from".to_owned(), name.to_owned());
        let document = json!({
            "apiVersion": API_VERSION, "kind": Kind::Dagger.as_str(),
            "metadata": { "name": copy, "group": group, "labels": labels }, "spec": spec,
        });
        self.apply_dagger(actor, &document.to_string()).await
    }

    /// One more sink: a topic with the dagger's results. Its state and its other sinks stay.
    pub async fn publish_dagger(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        publish: PublishTo,
    ) -> Result<Applied, ControlError> {
        let dagger = self.dagger_resource(name).await?;
        let mut spec = dagger.spec.clone();
        let mut sink = json!({ "kind": "topic", "topic": publish.topic });
        if let Some(sink) = sink.as_object_mut() {
            for (key, value) in [
                ("schema", publish.schema),
                ("cluster", publish.cluster),
                ("delivery", publish.delivery),
                ("compression", publish.compression),
            ] {
                if let Some(value) = value {
                    sink.insert(key.into(), json!(value));
                }
            }
            if let Some(partitions) = publish.partitions {
                sink.insert("partitions".into(), json!(partitions));
            }
            if !publish.key.is_empty() {
                sink.insert("key".into(), json!(publish.key));
            }
        }
        let sinks = spec.get_mut("sinks").and_then(Value::as_array_mut);
        let Some(sinks) = sinks else { return Err(ControlError::internal("the stored dagger has no sinks")) };
        if sinks.iter().any(|sink| sink.get("topic").and_then(Value::as_str) == Some(publish.topic.as_str())) {
            return Err(ControlError::conflict(
                "published_already",
                format!("the dagger `{name}` writes the topic `{}` already", publish.topic),
            ));
        }
        sinks.push(sink);
        self.apply_dagger(actor, &document_of(&dagger, &spec)).await
    }
}

fn sinks_of_copy(original: &Value, copy: &str) -> Vec<Value> {
    let sinks = original.get("sinks").and_then(Value::as_array).into_iter().flatten();
    let mut kept: Vec<Value> = Vec::new();
    for sink in sinks {
        match sink.get("kind").and_then(Value::as_str) {
            Some("series") => {
                let mut sink = sink.clone();
                // Several measurements of one dagger stay several.
                let count = kept.iter().filter(|sink| sink.get("measurement").is_some()).count();
                let name = if count == 0 { copy.to_owned() } else { format!("{copy}_{}", count + 1) };
                if let Some(sink) = sink.as_object_mut() {
                    sink.insert("measurement".into(), json!(name));
                }
                kept.push(sink);
            }
            Some("log") => kept.push(sink.clone()),
            _ => {}
        }
    }
    if kept.is_empty() { vec![json!({ "kind": "log" })] } else { kept }
}

fn document_of(dagger: &Resource, spec: &Value) -> String {
    let metadata = &dagger.metadata;
    json!({
        "apiVersion": API_VERSION, "kind": Kind::Dagger.as_str(),
        "metadata": { "name": metadata.name, "group": metadata.group, "labels": metadata.labels }, "spec": spec,
    })
    .to_string()
}
