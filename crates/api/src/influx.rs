//! InfluxDB 1's HTTP API: `/ping`, `/write`, `/query`, and `/api/v2/write` for newer client libraries. Each group is a
//! database.
//!
//! Answers, headers and status codes are those of InfluxDB 1.6 (`services/httpd/handler.go`), so that its clients need not
//! know where they are. What they are made of is decided in `control` and `influxql`.

mod answer;
mod answer_writer;
mod credentials;
mod query;
mod write;

pub(crate) use credentials::identify;
pub(crate) use query::query;
pub(crate) use write::{write, write_v2};

use crate::problem::status_of;
use answer::Form;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use control::{ControlError, ErrorKind};
use utoipa::IntoParams;

/// The version that clients take us for.
const VERSION: &str = "1.6.7";

pub(crate) const PATHS: [&str; 4] = ["/ping", "/query", "/write", "/api/v2/write"];

/// Whether a request is answered as InfluxDB answers it, errors included.
pub(crate) fn answers(path: &str) -> bool {
    PATHS.contains(&path)
}

/// What a guard says, in InfluxDB's shape.
pub(crate) fn refuse(headers: &HeaderMap, uri: &Uri, error: &ControlError) -> Response {
    let form = Form::of(headers, uri);
    match error.kind {
        ErrorKind::Unauthenticated => form.unauthorized(headers, "unable to parse authentication credentials"),
        kind => form.error(status_of(kind), &error.detail),
    }
}

pub(crate) async fn ping() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// How a name or a text is quoted in InfluxDB's messages.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// What every request can bring.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the OpenAPI document is made of it; the parameters are read as InfluxDB reads them")]
pub(crate) struct WriteQuery {
    /// The database, which is a group.
    db: String,
    /// The retention policy: `autogen`, or none.
    rp: Option<String>,
    /// The unit of times: `n`, `u`, `ms`, `s`, `m` or `h`.
    precision: Option<String>,
    /// `any`, `one`, `quorum` or `all`: checked, and all the same to one server.
    consistency: Option<String>,
    /// A user.
    u: Option<String>,
    /// The user's password or one of their tokens.
    p: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the OpenAPI document is made of it; the parameters are read as InfluxDB reads them")]
pub(crate) struct QueryQuery {
    /// Statements of InfluxQL, with `;` between them.
    q: String,
    /// The database of statements that name none, which is a group.
    db: Option<String>,
    /// The retention policy: `autogen`, or none.
    rp: Option<String>,
    /// Times as numbers of this unit: `ns`, `u`, `ms`, `s`, `m` or `h`; without it as text.
    epoch: Option<String>,
    /// `true`: one object per chunk of rows, as they come.
    chunked: Option<String>,
    /// Rows of a chunk.
    chunk_size: Option<String>,
    /// `true`: with line breaks.
    pretty: Option<String>,
    /// A JSON object with the values of `$name` in `q`.
    params: Option<String>,
    /// A user.
    u: Option<String>,
    /// The user's password or one of their tokens.
    p: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the OpenAPI document is made of it; the parameters are read as InfluxDB reads them")]
pub(crate) struct WriteV2Query {
    /// The database, which is a group, or `database/autogen`.
    bucket: String,
    /// Not looked at.
    org: Option<String>,
    /// The unit of times: `ns`, `us`, `ms` or `s`.
    precision: Option<String>,
}
