//! Which server, which method, and as whom.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost_reflect::MethodDescriptor;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};

use super::connect::tls_config;
use crate::{Endpoint, SettingError, Settings, SinkContext};

const DEADLINE_MAX: Duration = Duration::from_secs(30);
const PORT_PLAIN: u16 = 80;
const PORT_TLS: u16 = 443;

#[derive(Clone)]
pub struct GrpcConfig {
    pub endpoint: Endpoint,
    /// `package.Service/Method`
    pub method: String,
    pub(super) path: PathAndQuery,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Values of secrets; the same in every call.
    pub(super) metadata: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    pub(super) deadline: Duration,
    pub(super) in_flight: usize,
}

impl fmt::Display for GrpcConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.method, self.endpoint)
    }
}

impl GrpcConfig {
    pub(super) fn read(
        settings: &Settings,
        context: &SinkContext,
        method: &MethodDescriptor,
    ) -> Result<Self, SettingError> {
        let url = settings.text("url").unwrap_or_default();
        let endpoint = Endpoint::parse(url, &context.http.addresses)
            .map_err(|error| SettingError::at("url", error.detail, error.hint))?;
        let parsed = endpoint.with("", &[]);
        if !matches!(parsed.path(), "" | "/") {
            let detail = format!("`{url}` has a path, which gRPC does not know");
            return Err(SettingError::at("url", detail, "write the address up to the port"));
        }
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_tls = parsed.scheme() == "https";
        let port = parsed.port().unwrap_or(if is_tls { PORT_TLS } else { PORT_PLAIN });
        for key in ["caCertificate", "serverName"] {
            if !is_tls && settings.text(key).is_some() {
                let detail = format!("`{key}` is for TLS, and the address begins with `http://`");
                return Err(SettingError::at(key, detail, "write `https://` in `url`, or leave it out"));
            }
        }
        let tls = match is_tls {
            true => Some(tls(settings, &host)?),
            false => None,
        };
        let method_name = format!("{}/{}", method.parent_service().full_name(), method.name());
        let path = PathAndQuery::try_from(format!("/{method_name}"))
            .map_err(|_| SettingError::at("method", "it cannot be a path of a request", "rename it"))?;
        let mut metadata = Vec::new();
        for (name, value) in context.secret_map(settings, "secretMetadata")? {
            let key = metadata_key("secretMetadata", &name)?;
            let mut value = MetadataValue::try_from(value).map_err(|_| {
                let detail = format!("the value of the secret for `{name}` has characters that no metadata takes");
                SettingError::at("secretMetadata", detail, "put it once more, on one line and in ASCII")
            })?;
            value.set_sensitive(true);
            metadata.push((key, value));
        }
        let deadline = settings.duration("deadline").unwrap_or(DEADLINE_MAX);
        if deadline.is_zero() || deadline > DEADLINE_MAX {
            let detail = format!("a call may take up to {} s, and no less than 1 ms", DEADLINE_MAX.as_secs());
            return Err(SettingError::at("deadline", detail, "write for example `5s`"));
        }
        let in_flight = settings.integer("inFlight").and_then(|calls| usize::try_from(calls).ok()).unwrap_or(1);
        Ok(Self { endpoint, method: method_name, path, host, port, tls, metadata, deadline, in_flight })
    }
}

fn tls(settings: &Settings, host: &str) -> Result<(Arc<ClientConfig>, ServerName<'static>), SettingError> {
    let config = tls_config(settings.text("caCertificate")).map_err(|reason| {
        let hint = "write the certificates as PEM: `-----BEGIN CERTIFICATE-----` and what follows";
        SettingError::at("caCertificate", reason, hint)
    })?;
    let (key, name) = match settings.text("serverName") {
        Some(name) => ("serverName", name),
        None => ("url", host),
    };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| SettingError::at(key, format!("`{name}` is no name of a server"), "write a DNS name"))?;
    Ok((Arc::new(config), name))
}

/// A name that people may give to metadata.
pub(super) fn metadata_key(setting: &str, name: &str) -> Result<MetadataKey<Ascii>, SettingError> {
    let lower = name.to_ascii_lowercase();
    let is_own = lower.starts_with("grpc-") || ["content-type", "te", "user-agent", "host"].contains(&lower.as_str());
    match MetadataKey::from_bytes(lower.as_bytes()) {
        Ok(key) if !is_own && !lower.ends_with("-bin") => Ok(key),
        _ => {
            let detail = format!("`{name}` is no name of metadata that can be set");
            let hint = "use letters, digits, `-`, `_` and `.`, and neither begin with `grpc-` nor end with `-bin`";
            Err(SettingError::at(setting, detail, hint))
        }
    }
}
