//! Dead letters: listing, looking into, replaying.

use crate::AppState;
use crate::access::By;
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use crate::query::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use base64::Engine;
use control::{ControlError, DeadLetterQuery, EditedValue, document};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Or the firehose of this name, if there is no such dagger.
    #[serde(default)]
    dagger: Option<String>,
    #[serde(default)]
    firehose: Option<String>,
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
    let filter = DeadLetterQuery {
        dagger: query.dagger,
        firehose: query.firehose,
        topic: query.topic,
        kind: query.kind,
        state: query.state,
    };
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
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ReplayDocument {
    #[serde(default)]
    id: Option<String>,
    /// With `id`: the record as somebody has mended it, in the protobuf JSON mapping.
    #[serde(default)]
    value: Option<Value>,
    /// With `id`: the same as bytes, in the topic's encoding.
    #[serde(default)]
    value_base64: Option<String>,
    /// Or the firehose of this name, if there is no such dagger.
    #[serde(default)]
    dagger: Option<String>,
    #[serde(default)]
    firehose: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    kind: Option<String>,
}

/// Gives one dead letter (`id`) or all kept ones that match to their daggers once more.
pub(crate) async fn replay(State(state): State<AppState>, By(caller): By, body: Body) -> Result<Json<Value>, Problem> {
    let asked: ReplayDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let edited = edited(asked.value, asked.value_base64)?;
    let replayed = match (asked.id, edited) {
        (Some(id), Some(value)) => state.platform.replay_edited_letter(&caller, &id, value).await?,
        (None, Some(_)) => {
            return Err(ControlError::invalid("replay_invalid", "`value` goes with the `id` of one dead letter").into());
        }
        (id, None) => {
            let filter = DeadLetterQuery {
                dagger: asked.dagger,
                firehose: asked.firehose,
                topic: asked.topic,
                kind: asked.kind,
                state: Some("kept".to_owned()),
            };
            state.platform.replay_dead_letters(&caller, id.as_deref(), &filter).await?
        }
    };
    Ok(Json(json!({ "replayed": replayed })))
}

fn edited(json: Option<Value>, base64: Option<String>) -> Result<Option<EditedValue>, ControlError> {
    match (json, base64) {
        (None, None) => Ok(None),
        (Some(json), None) => Ok(Some(EditedValue::Json(json))),
        (None, Some(text)) => match base64::engine::general_purpose::STANDARD.decode(&text) {
            Ok(bytes) => Ok(Some(EditedValue::Bytes(bytes.into()))),
            Err(error) => Err(ControlError::invalid("replay_invalid", format!("`valueBase64` is no base64: {error}"))),
        },
        (Some(_), Some(_)) => {
            Err(ControlError::invalid("replay_invalid", "`value` and `valueBase64` are both given")
                .with_hint("give one"))
        }
    }
}
