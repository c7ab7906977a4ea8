//! Listening, answering, and ending in order.

use crate::oidc::{Oidc, OidcConfig};
use crate::{AppState, access, idempotency, protection, routes};
use axum::Router;
use axum::middleware;
use axum_server::tls_rustls::RustlsConfig;
use control::{ControlError, ErrorKind, Platform};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
    pub reached: Reached,
    /// The identity provider that people can log in with.
    pub oidc: Option<OidcConfig>,
}

/// How browsers come to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Without encryption; for this machine only.
    Directly,
    /// By https that this server speaks itself: certificate chain and key, as PEM files.
    ByTls { certificate: PathBuf, key: PathBuf },
    /// By https of a proxy in front.
    BehindProxy,
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
        if options.reached == Reached::Directly && !options.listen.ip().is_loopback() {
            return Err(ControlError::invalid(
                "listen_unprotected",
                format!("{} can be reached from other machines, and passwords would pass in the clear", options.listen),
            )
            .with_hint(
                "give --tls-cert FILE and --tls-key FILE, or say --behind-proxy if a proxy in front speaks https, or listen \
                 on 127.0.0.1",
            ));
        }
        let oidc = options.oidc.map(Oidc::new).transpose()?.map(Arc::new);
        let tls = match &options.reached {
            Reached::ByTls { certificate, key } => Some(tls_config(certificate, key).await?),
            _ => None,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let (stopping, stopped) = watch::channel(false);
        let secure_cookies = options.reached != Reached::Directly;
        let app = router(AppState { platform, stopping: stopped.clone(), secure_cookies, oidc });
        let mut stopped = stopped;
        let stopping_soon = async move {
            let _ = stopped.wait_for(|stopping| *stopping).await;
        };
        let serving = match tls {
            None => tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stopping_soon).await }),
            Some(tls) => {
                let listener = listener.into_std().map_err(cannot)?;
                let handle = axum_server::Handle::new();
                let ending = handle.clone();
                tokio::spawn(async move {
                    stopping_soon.await;
                    ending.graceful_shutdown(Some(DRAIN_TIME_MAX));
                });
                let server = axum_server::from_tcp_rustls(listener, tls).map_err(cannot)?.handle(handle);
                tokio::spawn(async move { server.serve(app.into_make_service()).await })
            }
        };
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

async fn tls_config(certificate: &Path, key: &Path) -> Result<RustlsConfig, ControlError> {
    RustlsConfig::from_pem_file(certificate, key).await.map_err(|error| {
        let files = format!("{} and {}", certificate.display(), key.display());
        ControlError::invalid("tls_invalid", format!("the certificate and key in {files} cannot be used: {error}"))
            .with_hint("both are PEM files; the certificate's file has the whole chain, the server's own first")
    })
}

fn router(state: AppState) -> Router {
    routes::all(&state)
        .layer(middleware::from_fn_with_state(state.clone(), idempotency::once))
        .layer(middleware::from_fn_with_state(state.clone(), access::identify))
        .layer(middleware::from_fn(protection::limit_time))
        .layer(middleware::from_fn(protection::refuse_other_origins))
        .with_state(state)
}
