//! The routes: what they are made of, and how they become a router. [`table`] lists them.

#[cfg(test)]
mod answers;
mod apply;
mod backups;
mod clusters;
mod dagger_diff;
mod daggers;
mod dead_letters;
mod events;
mod firehoses;
mod functions;
mod grafana;
mod kafka_clusters;
mod oidc;
mod people;
#[cfg(test)]
mod policy;
mod records;
mod schemas;
mod secrets;
mod session;
mod sql;
mod table;
mod tail;
mod topics;

use crate::AppState;
use crate::access::{self, Needs};
use crate::openapi::Description;
use crate::portal;
use crate::problem::Problem;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Json, Router, middleware};
use control::ControlError;
use serde_json::{Value, json};

pub(crate) use table::table;

/// One thing that the server answers, and what it asks of the one who calls.
pub(crate) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub needs: Needs,
    handler: MethodRouter<AppState>,
    pub description: Description,
}

pub(crate) fn all(state: &AppState) -> Router<AppState> {
    let mut router = Router::new();
    for route in table() {
        let guard = middleware::from_fn_with_state((state.clone(), route.needs), access::guard);
        router = router.route(route.path, route.handler.route_layer(guard));
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are read with limits of their own, which say what the limit is.
        .layer(DefaultBodyLimit::disable())
}

async fn openapi() -> Json<Value> {
    Json(crate::openapi::document())
}

async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

async fn alive() -> &'static str {
    "ok\n"
}

/// The server listens only after everything is open, so whoever gets an answer can be served.
async fn ready() -> &'static str {
    "ready\n"
}

/// What is no route is the portal's, as far as it has such an address.
async fn unknown(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let is_api = uri.path() == "/api" || uri.path().starts_with("/api/");
    if !is_api
        && (method == Method::GET || method == Method::HEAD)
        && let Some(response) = portal::serve(&uri, &headers)
    {
        return response;
    }
    let problem: Problem = ControlError::not_found("route_not_found", format!("there is nothing at `{}`", uri.path()))
        .with_hint("the API is under /api/v1")
        .into();
    problem.into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::with_status(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        ControlError::invalid("method_not_allowed", format!("`{}` does not take {method}", uri.path())),
    )
}
