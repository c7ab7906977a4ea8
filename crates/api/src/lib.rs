//! The REST API of a server, under `/api/v1`: wire forms in and out, status codes, streaming.
//!
//! Everything is decided in `control`; this crate knows HTTP and nothing of SQL, logs or stores. Errors are
//! `application/problem+json` (RFC 9457) with the stable `code`, the detail, the hint and, where a text was wrong, line
//! and column.

mod access;
mod body;
mod idempotency;
mod influx;
mod listing;
mod oidc;
mod openapi;
mod portal;
mod problem;
mod protection;
mod query;
mod routes;
mod server;
mod shapes;
mod shown;
mod streaming;

pub use oidc::{OidcConfig, OidcGrant};
pub use server::{Reached, Server, ServerOptions};

use control::Platform;
use std::sync::Arc;
use tokio::sync::watch;

/// What every handler can reach.
#[derive(Clone)]
struct AppState {
    platform: Arc<Platform>,
    /// Turns true when the server is to end: whoever streams stops.
    stopping: watch::Receiver<bool>,
    /// Browsers reach the server by https, so cookies go only that way.
    secure_cookies: bool,
    oidc: Option<Arc<oidc::Oidc>>,
}
