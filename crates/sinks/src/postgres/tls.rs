//! TLS to a server of PostgreSQL, which is asked for within its protocol.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>

use std::sync::Arc;

use delivery::{CallError, ErrorClass};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::SettingError;

/// As `sslmode` of PostgreSQL's own clients.
#[derive(Clone, Debug)]
pub enum TlsMode {
    Disable,
    /// Encrypted; whoever answers is believed.
    Require,
    /// Encrypted, with a certificate for the host by one of these authorities, or by those of the system.
    VerifyFull {
        authorities: Option<Vec<CertificateDer<'static>>>,
    },
}

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl TlsMode {
    pub(super) fn read(mode: &str, authorities: Option<&str>) -> Result<Self, SettingError> {
        let at = |detail: &str, hint: &str| SettingError::at("caCertificates", detail, hint);
        match (mode, authorities) {
            ("disable", None) => Ok(Self::Disable),
            ("require", None) => Ok(Self::Require),
            ("disable" | "require", Some(_)) => {
                Err(at("certificates are not looked at in this `sslMode`", "write `sslMode: verify-full`"))
            }
            ("verify-full", None) => Ok(Self::VerifyFull { authorities: None }),
            ("verify-full", Some(text)) => {
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
                match certificates {
                    Ok(certificates) if !certificates.is_empty() => {
                        Ok(Self::VerifyFull { authorities: Some(certificates) })
                    }
                    _ => Err(at("`caCertificates` has no certificate in PEM", "write -----BEGIN CERTIFICATE----- ...")),
                }
            }
            _ => Err(SettingError::at(
                "sslMode",
                format!("`{mode}` is no mode of TLS"),
                "write one of disable, require, verify-full",
            )),
        }
    }

    /// Encrypts a connection that nothing has been said on, if it is to be encrypted.
    pub(super) async fn wrap(&self, mut stream: TcpStream, host: &str) -> Result<Box<dyn Stream>, CallError> {
        let down = |reason: String| CallError::new(ErrorClass::Down, reason);
        if matches!(self, Self::Disable) {
            return Ok(Box::new(stream));
        }
        let broken = |error: std::io::Error| down(format!("the connection broke: {error}"));
        stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
        if stream.read_u8().await.map_err(broken)? != b'S' {
            return Err(down(
                "the server does no TLS; if that is as it should be, write `sslMode: disable`".to_owned(),
            ));
        }
        let config = self.client_config().map_err(&down)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| down(format!("`{host}` is no name of a host")))?;
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let hint = match self {
                    Self::VerifyFull { .. } => {
                        "; put the authority that the server's certificate is of in `caCertificates`"
                    }
                    _ => "",
                };
                Err(down(format!("no TLS with the server: {error}{hint}")))
            }
        }
    }

    fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let authorities = match self {
            Self::VerifyFull { authorities } => authorities,
            Self::Disable | Self::Require => {
                let verifier = Arc::new(Believing { provider });
                return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
            }
        };
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(authorities) => {
                for authority in authorities {
                    roots.add(authority.clone()).map_err(|error| format!("`caCertificates` is not usable: {error}"))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("the system has no certificates of authorities; write `caCertificates`".to_owned());
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Takes any certificate, as `sslmode=require` of PostgreSQL's own clients does.
#[derive(Debug)]
struct Believing {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
