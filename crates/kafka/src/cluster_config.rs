//! How a cluster is reached: addresses, who we are, what else the client is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka_sys as sys;

/// Most addresses of one cluster.
pub const BOOTSTRAP_MAX: usize = 64;
/// Most properties that are passed through, and the bytes of one.
pub const PROPERTIES_MAX: usize = 64;
pub const PROPERTY_BYTES_MAX: usize = 4_096;

/// Properties that are ours to say, or that would reach beyond the client: files, plugins, commands.
const DENIED: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "transactional.id",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "enable.partition.eof",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "acks",
    "request.required.acks",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "delivery.report.only.error",
    "partitioner",
    "plugin.library.paths",
    "allow.auto.create.topics",
    "statistics.interval.ms",
    "fetch.wait.max.ms",
    "log.queue",
    "log_level",
    "check.crcs",
];
/// The beginnings of names that are denied, too; TLS and SASL have fields of their own.
const DENIED_PREFIXES: &[&str] = &["security.", "sasl.", "ssl.", "https.", "test.", "debug"];
/// Exceptions to the prefixes: how TLS behaves, not who we are.
const ALLOWED: &[&str] = &[
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "ssl.endpoint.identification.algorithm",
    "sasl.kerberos.service.name",
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no address; write the brokers' `host:port`")]
    NoAddress,
    #[error("`{0}` is no address: write `host:port`")]
    BadAddress(String),
    #[error("{what}: {actual} is over the limit of {max}")]
    TooMuch { what: &'static str, actual: usize, max: usize },
    #[error("the property `{0}` cannot be set here: {1}")]
    Denied(String, &'static str),
    /// What librdkafka says of a name or value.
    #[error("{0}")]
    Refused(String),
}

/// A cluster as a client reaches it. Secrets are in it: it is made anew from references and never shown.
#[derive(Clone)]
pub struct ClusterConfig {
    /// For messages.
    pub name: String,
    /// `host:port` of some brokers; the others are found through them.
    pub bootstrap: Vec<String>,
    pub security: Security,
    /// Passed to librdkafka as they are, after [`ClusterConfig::check`].
    pub properties: BTreeMap<String, String>,
    /// Before the names of consumer groups and transactional ids, so that a team can grant rights on it.
    pub prefix: String,
}

/// Who we are to the cluster, and how we know that it is the cluster.
#[derive(Clone, Default)]
pub struct Security {
    pub tls: bool,
    pub sasl: Option<Sasl>,
    /// PEM; `None` takes the authorities that the system trusts.
    pub authority: Option<String>,
    /// PEM of certificate chain and key for mutual TLS.
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub key_password: Option<String>,
}

#[derive(Clone)]
pub enum Sasl {
    Plain { username: String, password: String },
    Scram { hash: Scram, username: String, password: String },
    OauthBearer(Arc<dyn TokenSource>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scram {
    Sha256,
    Sha512,
}

/// A token for OAUTHBEARER.
#[derive(Clone)]
pub struct Token {
    pub value: String,
    pub principal: String,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

/// Gives tokens when the client asks for one: at first, and before the last one expires.
pub trait TokenSource: Send + Sync + 'static {
    /// May block; is called from a thread of its own kind, never from an async one.
    fn token(&self) -> Result<Token, String>;
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("name", &self.name)
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

impl ClusterConfig {
    /// A cluster without encryption or login.
    pub fn plaintext(name: impl Into<String>, bootstrap: &[&str]) -> Self {
        Self {
            name: name.into(),
            bootstrap: bootstrap.iter().map(|address| (*address).to_owned()).collect(),
            security: Security::default(),
            properties: BTreeMap::new(),
            prefix: "millrace-".to_owned(),
        }
    }

    /// Whether addresses and properties can be what they say; nothing is asked of the cluster.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.bootstrap.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        limit("addresses", self.bootstrap.len(), BOOTSTRAP_MAX)?;
        for address in &self.bootstrap {
            split_address(address).ok_or_else(|| ConfigError::BadAddress(address.clone()))?;
        }
        limit("properties", self.properties.len(), PROPERTIES_MAX)?;
        for (name, value) in &self.properties {
            limit("bytes of a property", name.len().max(value.len()), PROPERTY_BYTES_MAX)?;
            if let Some(reason) = denied(name) {
                return Err(ConfigError::Denied(name.clone(), reason));
            }
        }
        // The client itself knows names and values, and reads the certificates.
        match self.client().create_native_config() {
            Ok(_) => Ok(()),
            // Without the value, which it would repeat.
            Err(KafkaError::ClientConfig(_, reason, ..)) => Err(ConfigError::Refused(reason)),
            Err(error) => Err(ConfigError::Refused(error.to_string())),
        }
    }

    /// What every client of this cluster is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap.join(","));
        client.set("client.id", "millrace");
        client.set("socket.keepalive.enable", "true");
        client.set("reconnect.backoff.max.ms", "2000");
        client.set("topic.metadata.refresh.interval.ms", "30000");
        client.set("allow.auto.create.topics", "false");
        let security = &self.security;
        client.set(
            "security.protocol",
            match (security.tls, &security.sasl) {
                (false, None) => "plaintext",
                (true, None) => "ssl",
                (false, Some(_)) => "sasl_plaintext",
                (true, Some(_)) => "sasl_ssl",
            },
        );
        match &security.sasl {
            None => {}
            Some(Sasl::Plain { username, password }) => {
                client.set("sasl.mechanism", "PLAIN").set("sasl.username", username).set("sasl.password", password);
            }
            Some(Sasl::Scram { hash, username, password }) => {
                let mechanism = match hash {
                    Scram::Sha256 => "SCRAM-SHA-256",
                    Scram::Sha512 => "SCRAM-SHA-512",
                };
                client.set("sasl.mechanism", mechanism).set("sasl.username", username).set("sasl.password", password);
            }
            Some(Sasl::OauthBearer(_)) => {
                client.set("sasl.mechanism", "OAUTHBEARER");
            }
        }
        for (property, value) in [
            ("ssl.ca.pem", &security.authority),
            ("ssl.certificate.pem", &security.certificate),
            ("ssl.key.pem", &security.key),
            ("ssl.key.password", &security.key_password),
        ] {
            if let (true, Some(value)) = (security.tls, value) {
                client.set(property, value);
            }
        }
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        client
    }

    pub(crate) fn token_source(&self) -> Option<Arc<dyn TokenSource>> {
        match &self.security.sasl {
            Some(Sasl::OauthBearer(source)) => Some(Arc::clone(source)),
            _ => None,
        }
    }
}

/// The names of librdkafka's properties.
pub fn property_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // Sound: the dump is an array of names and values in turn, and ours until it is freed.
    unsafe {
        let config = sys::rd_kafka_conf_new();
        let mut count = 0;
        let dump = sys::rd_kafka_conf_dump(config, &mut count);
        for index in (0..count).step_by(2) {
            names.insert(CStr::from_ptr(*dump.add(index)).to_string_lossy().into_owned());
        }
        sys::rd_kafka_conf_dump_free(dump, count);
        sys::rd_kafka_conf_destroy(config);
    }
    names
}

/// Host and port of an address; a host of IPv6 is in brackets.
pub(crate) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && !host.contains(['/', ' ', ','])).then_some((host, port))
}

fn limit(what: &'static str, actual: usize, max: usize) -> Result<(), ConfigError> {
    if actual > max {
        return Err(ConfigError::TooMuch { what, actual, max });
    }
    Ok(())
}

fn denied(name: &str) -> Option<&'static str> {
    if ALLOWED.contains(&name) {
        return None;
    }
    if DENIED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some("encryption and login have fields of their own under `security`");
    }
    if name.ends_with("_cb") || name == "opaque" || name.starts_with("interceptors") {
        return Some("it is not text");
    }
    DENIED.contains(&name).then_some("Millrace's guarantees rest on it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        assert_eq!(split_address("kafka-1.example:9092"), Some(("kafka-1.example", 9092)));
        assert_eq!(split_address("[::1]:9092"), Some(("::1", 9092)));
        for wrong in ["", "kafka", "kafka:", ":9092", "kafka:0", "kafka:70000", "a,b:1", "http://kafka:9092/"] {
            assert_eq!(split_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn properties_that_guarantees_rest_on_are_refused() {
        let with = |name: &str, value: &str| {
            let mut config = ClusterConfig::plaintext("k", &["localhost:9092"]);
            config.properties.insert(name.to_owned(), value.to_owned());
            config.check()
        };
        assert_eq!(with("fetch.max.bytes", "1000000"), Ok(()));
        assert_eq!(with("ssl.endpoint.identification.algorithm", "none"), Ok(()));
        for denied in [
            "isolation.level",
            "fetch.wait.max.ms",
            "group.id",
            "plugin.library.paths",
            "ssl.ca.location",
            "sasl.kerberos.kinit.cmd",
        ] {
            assert!(matches!(with(denied, "x"), Err(ConfigError::Denied(..))), "{denied}");
        }
        assert!(
            matches!(with("fetch.max.byte", "1"), Err(ConfigError::Refused(text)) if text.contains("fetch.max.byte"))
        );
        assert!(matches!(with("fetch.max.bytes", "many"), Err(ConfigError::Refused(_))));
    }
}
