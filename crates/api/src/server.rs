//! Listening, answering, and ending in order.

use crate::{AppState, protection, routes};
use axum::Router;
use axum::middleware;
use control::{ControlError, ErrorKind, Platform};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long answers that are under way may take once the server is to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

pub struct ServerOptions {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A server that accepts connections.
pub struct Server {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Returns when connections are accepted.
    pub async fn start(platform: Arc<Platform>, options: ServerOptions) -> Result<Self, ControlError> {
        let cannot = |error: std::io::Error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another program listens there; choose a free port with --listen 127.0.0.1:0"
                }
                _ => "choose another address with --listen",
            };
            ControlError::new(
                ErrorKind::Unavailable,
                "cannot_listen",
                format!("cannot listen on {}: {error}", options.listen),
            )
            .with_hint(hint)
        };
        let listener = TcpListener::bind(options.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let (stopping, stopped) = watch::channel(false);
        let app = router(AppState { platform, stopping: stopped.clone() });
        let mut stopped = stopped;
        let serving = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.wait_for(|stopping| *stopping).await;
            };
            axum::serve(listener, app).with_graceful_shutdown(shutdown).await
        });
        Ok(Self { address, stopping, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, lets answers end, and cuts those that do not.
    pub async fn stop(self) -> Result<(), ControlError> {
        // A receiver that is gone has stopped already.
        let _ = self.stopping.send(true);
        let aborter = self.serving.abort_handle();
        match tokio::time::timeout(DRAIN_TIME_MAX, self.serving).await {
            Ok(ended) => ended?.map_err(|error| ControlError::internal(format!("the server failed: {error}"))),
            Err(_) => {
                aborter.abort();
                tracing::warn!("cut connections that did not end in time");
                Ok(())
            }
        }
    }
}

fn router(state: AppState) -> Router {
    routes::all()
        .layer(middleware::from_fn(protection::limit_time))
        .layer(middleware::from_fn(protection::refuse_other_origins))
        .with_state(state)
}
