//! Dead letters: listing, looking into, replaying.

use crate::AppState;
use crate::access::By;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use crate::query::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use control::{DeadLetterQuery, document};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[serde(default)]
    dagger: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(default)]
    after: Option<String>,
}

pub(crate) async fn list(
    State(state): State<AppState>,
    By(caller): By,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let filter = DeadLetterQuery { dagger: query.dagger, topic: query.topic, kind: query.kind, state: query.state };
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    let page = state.platform.dead_letters(&caller, &filter, query.after, limit).await?;
    Ok(Json(json!({ "items": page.items, "next": page.next })))
}

pub(crate) async fn show(
    State(state): State<AppState>,
    By(caller): By,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(state.platform.dead_letter(&caller, &id).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayDocument {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    dagger: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    kind: Option<String>,
}

/// Gives one dead letter (`id`) or all kept ones that match to their daggers once more.
pub(crate) async fn replay(State(state): State<AppState>, By(caller): By, body: Body) -> Result<Json<Value>, Problem> {
    let asked: ReplayDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let filter =
        DeadLetterQuery { dagger: asked.dagger, topic: asked.topic, kind: asked.kind, state: Some("kept".to_owned()) };
    let replayed = state.platform.replay_dead_letters(&caller, asked.id.as_deref(), &filter).await?;
    Ok(Json(json!({ "replayed": replayed })))
}
