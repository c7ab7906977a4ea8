//! Kafka clusters.

use crate::AppState;
use crate::access::Ordered;
use crate::listing::{Column, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use axum::extract::{Path, State};
use axum::http::StatusCode;

const COLUMNS: &[Column] = &[
    ("name", "/metadata/name"),
    ("type", "/spec/type"),
    ("topics", "/status/topics"),
    ("records", "/status/records"),
    ("size", "/status/bytes"),
];

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
