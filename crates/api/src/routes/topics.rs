//! Topics as resources.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::listing::{Column, Item, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::{API_VERSION, Kind, TopicSpec, TopicStatus};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("group", "/metadata/group"),
    ("schema", "/spec/schema"),
    ("partitions", "/spec/partitions"),
    ("records", "/status/records"),
    ("size", "/status/bytes"),
];

pub(crate) async fn list(State(state): State<AppState>, Query(query): Query<ListQuery>) -> Result<Page, Problem> {
    page(state.platform.topics().await?, &query, COLUMNS)
}

impl Item for TopicStatus {
    fn value(&self, pointer: &str) -> Option<Cow<'_, Value>> {
        let metadata = &self.resource.metadata;
        match pointer {
            "/metadata/name" => Some(Cow::Owned(metadata.name.as_str().into())),
            "/metadata/group" => Some(Cow::Owned(metadata.group.as_str().into())),
            "/status/records" => Some(Cow::Owned(self.records().into())),
            "/status/bytes" => Some(Cow::Owned(self.bytes().into())),
            _ => self.resource.spec.pointer(pointer.strip_prefix("/spec")?).map(Cow::Borrowed),
        }
    }

    fn text(&self) -> String {
        let metadata = &self.resource.metadata;
        let mut text = format!("{} {} {}", metadata.name, metadata.group, self.resource.created_by);
        for (label, value) in &metadata.labels {
            text.push_str(&format!(" {label}: {value}"));
        }
        text.push_str(&format!(" {}", self.resource.spec));
        text
    }

    fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &TopicItem::of(self))
    }
}

/// A topic as [`TopicStatus::to_json`] shows it, without a copy of all that is in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicItem<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: MetadataItem<'a>,
    spec: &'a Value,
    status: StatusItem<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetadataItem<'a> {
    name: &'a str,
    group: &'a str,
    labels: &'a BTreeMap<String, String>,
    generation: i64,
    created: String,
    updated: String,
    created_by: &'a str,
    updated_by: &'a str,
}

#[derive(Serialize)]
struct StatusItem<'a> {
    records: i64,
    bytes: u64,
    partitions: PartitionItems<'a>,
}

struct PartitionItems<'a>(&'a TopicStatus);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionItem {
    partition: u32,
    start_offset: i64,
    end_offset: i64,
    bytes: u64,
}

impl<'a> TopicItem<'a> {
    fn of(topic: &'a TopicStatus) -> Self {
        let resource = &topic.resource;
        let metadata = MetadataItem {
            name: &resource.metadata.name,
            group: &resource.metadata.group,
            labels: &resource.metadata.labels,
            generation: resource.generation,
            created: control::time_text(resource.created_ms),
            updated: control::time_text(resource.updated_ms),
            created_by: &resource.created_by,
            updated_by: &resource.updated_by,
        };
        let status = StatusItem { records: topic.records(), bytes: topic.bytes(), partitions: PartitionItems(topic) };
        Self { api_version: API_VERSION, kind: Kind::Topic.as_str(), metadata, spec: &resource.spec, status }
    }
}

impl Serialize for PartitionItems<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let partitions = self.0.description.iter().flat_map(|topic| &topic.partitions);
        serializer.collect_seq(partitions.map(|partition| PartitionItem {
            partition: partition.partition,
            start_offset: partition.start_offset,
            end_offset: partition.end_offset,
            bytes: partition.bytes,
        }))
    }
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.topic(&name).await?.to_json()))
}

/// A Topic document, YAML or JSON. Unlike `apply`, one that exists is a conflict.
pub(crate) async fn create(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<(StatusCode, Shown), Problem> {
    let (metadata, spec) = TopicSpec::parse(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok((StatusCode::CREATED, Shown(state.platform.create_topic(&actor, &metadata, &spec).await?.to_json())))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_topic(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
