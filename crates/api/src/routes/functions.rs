//! The functions of the dialect, for completion and help.

use axum::Json;
use control::FunctionKind;
use serde_json::{Value, json};

pub(crate) async fn list() -> Json<Value> {
    let items: Vec<Value> = control::function_docs()
        .into_iter()
        .map(|function| {
            let kind = match function.kind {
                FunctionKind::Scalar => "scalar",
                FunctionKind::Aggregate => "aggregate",
                FunctionKind::Table => "table",
            };
            json!({
                "name": function.name, "kind": kind, "signature": function.signature,
                "description": function.description, "example": function.example,
            })
        })
        .collect();
    Json(json!({ "items": items }))
}
