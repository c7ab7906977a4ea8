//! The REST API of a server, under `/api/v1`: wire forms in and out, status codes, streaming.
//!
//! Everything is decided in `control`; this crate knows HTTP and nothing of SQL, logs or stores. Errors are
//! `application/problem+json` (RFC 9457) with the stable `code`, the detail, the hint and, where a text was wrong, line
//! and column.

mod body;
mod listing;
mod portal;
mod problem;
mod protection;
mod query;
mod routes;
mod server;
mod streaming;

pub use server::{Server, ServerOptions};

use control::Platform;
use std::sync::Arc;
use tokio::sync::watch;

/// What every handler can reach.
#[derive(Clone)]
struct AppState {
    platform: Arc<Platform>,
    /// Turns true when the server is to end: whoever streams stops.
    stopping: watch::Receiver<bool>,
}
