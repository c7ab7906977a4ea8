//! Message types.

use crate::AppState;
use crate::access::Ordered;
use crate::body::{BULK_BYTES_MAX, read_text};
use crate::listing::{Column, ListQuery, Page, page};
use crate::problem::Problem;
use crate::query::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use base64::Engine;
use control::{API_VERSION, ControlError, SchemaPush, document};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PushDocument {
    #[serde(default)]
    files: Vec<FileDocument>,
    /// Base64 of a serialised `google.protobuf.FileDescriptorSet`.
    #[serde(default)]
    descriptor_set: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileDocument {
    path: String,
    text: String,
}

pub(crate) async fn push(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let text = read_text(body, BULK_BYTES_MAX).await?;
    let pushed: PushDocument = document::parse_json(&text)?;
    let push = match (pushed.files.is_empty(), pushed.descriptor_set) {
        (false, None) => SchemaPush::Sources(
            pushed.files.into_iter().map(|file| control::SourceFile { path: file.path, text: file.text }).collect(),
        ),
        (true, Some(encoded)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|error| {
                ControlError::invalid("schema_invalid", format!("`descriptorSet` is not base64: {error}"))
            })?;
            SchemaPush::DescriptorSet(bytes)
        }
        _ => {
            return Err(
                ControlError::invalid("schema_invalid", "a push has either `files` or a `descriptorSet`").into()
            );
        }
    };
    let items: Vec<Value> = state.platform.push_schemas(&actor, push).await?.iter().map(schema_json).collect();
    Ok(Json(json!({ "items": items })))
}

const COLUMNS: &[Column] = &[("name", "/metadata/name"), ("file", "/spec/file")];

pub(crate) async fn list(State(state): State<AppState>, Query(query): Query<ListQuery>) -> Result<Page, Problem> {
    let items: Vec<Value> = state.platform.message_types().iter().map(schema_json).collect();
    page(items, &query, COLUMNS)
}

pub(crate) async fn show(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(schema_json(&state.platform.describe_message(&name)?)))
}

fn schema_json(message: &control::MessageSummary) -> Value {
    let fields: Vec<Value> = message
        .fields
        .iter()
        .map(|field| {
            let mut shown = json!({
                "name": field.name, "number": field.number, "type": field.type_name, "label": field.label.as_str(),
            });
            let mut add = |key: &str, value: Option<Value>| {
                if let (Some(value), Some(object)) = (value, shown.as_object_mut()) {
                    object.insert(key.to_owned(), value);
                }
            };
            add("oneof", field.oneof.clone().map(Value::from));
            add("comment", field.comment.clone().map(Value::from));
            add("message", field.message.clone().map(Value::from));
            add("enumValues", (!field.enum_values.is_empty()).then(|| json!(field.enum_values)));
            add("default", field.default.clone().map(Value::from));
            add("deprecated", field.deprecated.then_some(Value::Bool(true)));
            shown
        })
        .collect();
    json!({
        "apiVersion": API_VERSION,
        "kind": "Schema",
        "metadata": { "name": message.full_name },
        "spec": { "file": message.file, "comment": message.comment, "fields": fields },
    })
}
