//! Kafka clusters, and the topics on them.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::listing::{Column, Item, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::ControlError;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::IntoParams;

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("type", "/spec/type"),
    ("state", "/status/state"),
    ("topics", "/status/topics"),
    ("records", "/status/records"),
    ("size", "/status/bytes"),
];

const TOPIC_COLUMNS: &[Column] = &[
    ("name", "/name"),
    ("partitions", "/partitions"),
    ("replicas", "/replicas"),
    ("leaderless", "/leaderless"),
    ("attachedAs", "/attachedAs"),
];

/// What the topics of a cluster can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopicsQuery {
    /// Words that must all be found, in the topic's name here or there.
    #[serde(default)]
    search: Option<String>,
    /// A column, with a leading `-` the greatest first.
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
    /// Also those that Kafka keeps for itself, whose names begin with `__`.
    #[serde(default)]
    internal: bool,
}

/// A topic on a cluster, which is no resource.
struct Topic(Value);

impl Item for Topic {
    fn value(&self, pointer: &str) -> Option<Cow<'_, Value>> {
        self.0.pointer(pointer).map(Cow::Borrowed)
    }

    fn text(&self) -> String {
        format!("{} {}", self.0["name"], self.0["attachedAs"])
    }

    fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &self.0)
    }
}

pub(crate) async fn list(State(state): State<AppState>, Query(query): Query<ListQuery>) -> Result<Page, Problem> {
    page(state.platform.kafka_clusters().await?, &query, COLUMNS)
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.kafka_cluster(&name).await?))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_kafka_cluster(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn topics(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<TopicsQuery>,
) -> Result<Page, Problem> {
    let topics = state.platform.kafka_cluster_topics(&name, query.internal).await?;
    let TopicsQuery { search, sort, limit, offset, .. } = query;
    page(topics.into_iter().map(Topic).collect(), &ListQuery::words_of(search, sort, limit, offset), TOPIC_COLUMNS)
}

pub(crate) async fn topic(
    State(state): State<AppState>,
    Path((name, topic)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(state.platform.kafka_cluster_topic(&name, &topic).await?))
}

/// Tries a cluster that was applied.
pub(crate) async fn test(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(state.platform.test_kafka_cluster(&actor, &name).await?))
}

/// Tries a document that is not applied. The path is `kafka-clusters/test`: written as a name, so that a cluster may be
/// called `test`.
pub(crate) async fn test_document(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(word): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    if word != "test" {
        return Err(ControlError::not_found(
            "route_not_found",
            format!("a Kafka cluster is not posted to as `{word}`"),
        )
        .with_hint("documents are applied with POST /api/v1/apply and tested with POST /api/v1/kafka-clusters/test")
        .into());
    }
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    Ok(Json(state.platform.test_kafka_cluster_document(&actor, &text).await?))
}
