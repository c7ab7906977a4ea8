//! Connections: to checked addresses only, with TLS by rustls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::GrpcConfig;
use crate::{AddressPolicy, HttpOptions, tcp};

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A client that connects with the first call, and again when the connection is gone. Needs a runtime.
pub(super) fn channel(config: &GrpcConfig, http: &HttpOptions) -> Result<Channel, String> {
    let url = config.endpoint.with("", &[]);
    let authority = url.as_str().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let error = |error: &dyn std::fmt::Display| format!("`{authority}` is no address for gRPC: {error}");
    let origin: Uri = url.as_str().parse().map_err(|why: http::uri::InvalidUri| error(&why))?;
    // TLS is the connector's: the client itself must not ask for it.
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|why| error(&why))?;
    let endpoint = endpoint
        .origin(origin)
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .map_err(|why| error(&why))?
        .connect_timeout(http.connect_time_max)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let connector =
        Connector { config: config.clone(), addresses: http.addresses.clone(), time_max: http.connect_time_max };
    Ok(endpoint.connect_with_connector_lazy(connector))
}

struct Connector {
    config: GrpcConfig,
    addresses: AddressPolicy,
    time_max: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (config, addresses, time_max) = (self.config.clone(), self.addresses.clone(), self.time_max);
        Box::pin(async move {
            let stream = tcp::connect(&config.host, config.port, &addresses, time_max).await;
            let stream = stream.map_err(|error| io::Error::other(error.reason))?;
            let stream: Box<dyn Stream> = match config.tls {
                None => Box::new(stream),
                Some((tls, name)) => {
                    let connecting = TlsConnector::from(tls).connect(name, stream);
                    Box::new(connecting.await.map_err(|error| io::Error::other(format!("no TLS: {error}")))?)
                }
            };
            Ok(TokioIo::new(stream))
        })
    }
}

/// `certificates`: PEM. Without them the system's are trusted.
pub(super) fn tls_config(certificates: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut config = match certificates {
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| format!("it cannot be read: {error}"))?;
                roots.add(certificate).map_err(|error| format!("it is no certificate: {error}"))?;
            }
            if roots.is_empty() {
                return Err("there is no certificate in it".to_owned());
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
