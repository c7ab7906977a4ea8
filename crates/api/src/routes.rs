//! Every route, in one table.

mod apply;
mod dagger_diff;
mod daggers;
mod dead_letters;
mod functions;
mod records;
mod schemas;
mod sql;
mod tail;
mod topics;

use crate::AppState;
use crate::portal;
use crate::problem::Problem;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use control::ControlError;

pub(crate) fn all() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/api/v1/apply", post(apply::apply))
        .route("/api/v1/schemas", get(schemas::list).post(schemas::push))
        .route("/api/v1/schemas/{name}", get(schemas::show))
        .route("/api/v1/topics", get(topics::list).post(topics::create))
        .route("/api/v1/topics/{name}", get(topics::show).delete(topics::delete))
        .route("/api/v1/topics/{name}/records", get(tail::tail).post(records::publish))
        .route("/api/v1/daggers", get(daggers::list).post(apply::apply_dagger))
        .route("/api/v1/daggers/preview", post(daggers::preview))
        .route("/api/v1/daggers/validate", post(daggers::validate))
        .route("/api/v1/daggers/{name}", get(daggers::show).delete(daggers::delete))
        .route("/api/v1/daggers/{name}/diff", post(dagger_diff::diff))
        .route("/api/v1/daggers/{name}/stop", post(daggers::stop))
        .route("/api/v1/daggers/{name}/start", post(daggers::start))
        .route("/api/v1/daggers/{name}/results", get(daggers::results))
        .route("/api/v1/daggers/{name}/revisions", get(daggers::revisions))
        .route("/api/v1/daggers/{name}/rollback", post(daggers::roll_back))
        .route("/api/v1/dead-letters", get(dead_letters::list))
        .route("/api/v1/dead-letters/replay", post(dead_letters::replay))
        .route("/api/v1/dead-letters/{id}", get(dead_letters::show))
        .route("/api/v1/sql", post(sql::query))
        .route("/api/v1/sql/functions", get(functions::list))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are read with limits of their own, which say what the limit is.
        .layer(DefaultBodyLimit::disable())
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
