//! `POST /api/v1/apply`: YAML or JSON documents of any kind, made so.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use crate::routes::daggers::applied_json;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use control::access::Actor;
use control::{ControlError, GroupSpec, Kind, TopicSpec, document, document_kind};
use serde_json::{Value, json};

/// The documents are applied one after the other; the first that is wrong ends it, and what came before stays. The
/// answer has one item per document.
pub(crate) async fn apply(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    let documents = document::split(&text);
    if documents.is_empty() {
        return Err(ControlError::invalid("document_invalid", "there is no document in the request").into());
    }
    let mut items = Vec::with_capacity(documents.len());
    for (index, text) in documents.iter().enumerate() {
        let applied = apply_one(&state, &actor, text).await;
        items.push(applied.map_err(|error| in_document(error, index, documents.len()))?);
    }
    Ok(Json(json!({ "items": items, "dryRun": actor.is_dry_run })))
}

fn in_document(error: ControlError, index: usize, documents: usize) -> ControlError {
    if documents == 1 {
        return error;
    }
    let before = if index > 0 { " (those before it are applied)" } else { "" };
    let detail = format!("document {} of {documents}{before}: {}", index + 1, error.detail);
    ControlError { detail, ..error }
}

async fn apply_one(state: &AppState, actor: &Actor, text: &str) -> Result<Value, ControlError> {
    match document_kind(text)? {
        Kind::Topic => {
            let (metadata, spec) = TopicSpec::parse(text)?;
            let (topic, change) = state.platform.apply_topic(actor, &metadata, &spec).await?;
            Ok(json!({ "change": change.as_str(), "resource": topic.to_json() }))
        }
        Kind::Dagger => Ok(applied_json(state.platform.apply_dagger(actor, text).await?)),
        Kind::Firehose => Ok(applied_json(state.platform.apply_firehose(actor, text).await?)),
        Kind::DaggerCluster => {
            let (cluster, change) = state.platform.apply_cluster(actor, text).await?;
            Ok(json!({ "change": change.as_str(), "resource": cluster }))
        }
        Kind::KafkaCluster => {
            let (cluster, change) = state.platform.apply_kafka_cluster(actor, text).await?;
            Ok(json!({ "change": change.as_str(), "resource": cluster }))
        }
        Kind::Group => {
            let (metadata, spec) = control::parse_document::<GroupSpec>(text, Kind::Group)?;
            let (group, change) = state.platform.apply_group(actor, &metadata.name, &spec).await?;
            Ok(json!({ "change": change.as_str(), "resource": group }))
        }
        kind => Err(ControlError::invalid("kind_not_applicable", format!("a {} cannot be applied", kind.as_str()))),
    }
}

/// `POST /api/v1/daggers`: one Dagger document.
pub(crate) async fn apply_dagger(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Shown, Problem> {
    let text = read_text(body, DOCUMENT_BYTES_MAX).await?;
    Ok(Shown(applied_json(state.platform.apply_dagger(&actor, &text).await?)))
}
