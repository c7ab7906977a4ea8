//! How a connection is encrypted and who logs in through it.

use super::document::{OauthDocument, SecurityDocument};
use super::{Secrets, invalid, pem};
use crate::error::{ControlError, nearest};
use crate::resource::check_name;
use kafka::{OauthClient, OauthTokens, Sasl, Scram, Security};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A text that stands in the spec, or the name of the secret that has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Text(String),
    Secret(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecuritySpec {
    tls: Option<TlsSpec>,
    login: Option<LoginSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct TlsSpec {
    ca: Option<Held>,
    certificate: Option<Held>,
    /// Names of secrets.
    key: Option<String>,
    key_password: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LoginSpec {
    /// `password` is the name of a secret.
    Password {
        mechanism: Mechanism,
        username: String,
        password: String,
    },
    Oauth {
        token_url: String,
        client_id: String,
        client_secret: String,
        scope: Option<String>,
    },
}

/// It may be a password that was written in the wrong place.
impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Text(_) => f.write_str("Text(..)"),
            Held::Secret(name) => write!(f, "Secret({name})"),
        }
    }
}

impl Protocol {
    const ALL: [Protocol; 4] = [Protocol::Plaintext, Protocol::Ssl, Protocol::SaslPlaintext, Protocol::SaslSsl];

    fn as_str(self) -> &'static str {
        match self {
            Protocol::Plaintext => "PLAINTEXT",
            Protocol::Ssl => "SSL",
            Protocol::SaslPlaintext => "SASL_PLAINTEXT",
            Protocol::SaslSsl => "SASL_SSL",
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Protocol::Ssl | Protocol::SaslSsl)
    }

    fn has_login(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslSsl)
    }

    fn parse(text: &str) -> Result<Self, ControlError> {
        let known = Self::ALL.map(Self::as_str);
        let found = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text);
        found.ok_or_else(|| unknown("spec.security.protocol", text, &known))
    }
}

impl Mechanism {
    const ALL: [Mechanism; 4] =
        [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512, Mechanism::OauthBearer];

    fn as_str(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::OauthBearer => "OAUTHBEARER",
        }
    }

    fn parse(text: &str) -> Result<Self, ControlError> {
        let known = Self::ALL.map(Self::as_str);
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.as_str() == text);
        found.ok_or_else(|| match text {
            "GSSAPI" => invalid("`spec.security.mechanism` is `GSSAPI`: Kerberos is not built in")
                .with_hint(format!("the mechanisms are: {}", known.join(", "))),
            _ => unknown("spec.security.mechanism", text, &known),
        })
    }
}

fn unknown(place: &str, text: &str, known: &[&str]) -> ControlError {
    let near = nearest(text, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    invalid(format!("`{place}` is `{text}`")).with_hint(format!("write one of: {}", known.join(", "))).maybe_hint(near)
}

impl SecuritySpec {
    pub(super) fn complete(written: SecurityDocument) -> Result<Self, ControlError> {
        let protocol = match &written.protocol {
            Some(text) => Protocol::parse(text)?,
            None => likely_protocol(&written),
        };
        let login = match protocol.has_login() {
            true => Some(LoginSpec::complete(protocol, &written)?),
            false => {
                let login = [
                    ("mechanism", written.mechanism.is_some()),
                    ("username", written.username.is_some()),
                    ("password", written.password.is_some()),
                    ("oauth", written.oauth.is_some()),
                ];
                refuse_written(&login, protocol, "logs nobody in", "SASL_SSL (or SASL_PLAINTEXT)")?;
                None
            }
        };
        let tls = match protocol.has_tls() {
            true => Some(TlsSpec::complete(written)?),
            false => {
                let tls = [
                    ("ca", written.ca.is_some()),
                    ("certificate", written.certificate.is_some()),
                    ("key", written.key.is_some()),
                    ("keyPassword", written.key_password.is_some()),
                ];
                refuse_written(&tls, protocol, "is not encrypted", "SSL or SASL_SSL")?;
                None
            }
        };
        Ok(Self { tls, login })
    }

    fn protocol(&self) -> Protocol {
        match (self.tls.is_some(), self.login.is_some()) {
            (false, false) => Protocol::Plaintext,
            (true, false) => Protocol::Ssl,
            (false, true) => Protocol::SaslPlaintext,
            (true, true) => Protocol::SaslSsl,
        }
    }

    pub(super) fn secrets(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        if let Some(tls) = &self.tls {
            for held in [&tls.ca, &tls.certificate] {
                if let Some(Held::Secret(name)) = held {
                    names.insert(name.as_str());
                }
            }
            names.extend([&tls.key, &tls.key_password].into_iter().flatten().map(String::as_str));
        }
        match &self.login {
            Some(LoginSpec::Password { password: name, .. } | LoginSpec::Oauth { client_secret: name, .. }) => {
                names.insert(name.as_str());
            }
            None => {}
        }
        names
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("protocol".into(), json!(self.protocol().as_str()));
        let secret = |name: &String| json!({ "secret": name });
        match &self.login {
            None => {}
            Some(LoginSpec::Password { mechanism, username, password }) => {
                json.insert("mechanism".into(), json!(mechanism.as_str()));
                json.insert("username".into(), json!(username));
                json.insert("password".into(), secret(password));
            }
            Some(LoginSpec::Oauth { token_url, client_id, client_secret, scope }) => {
                json.insert("mechanism".into(), json!(Mechanism::OauthBearer.as_str()));
                let mut oauth = Map::new();
                oauth.insert("tokenUrl".into(), json!(token_url));
                oauth.insert("clientId".into(), json!(client_id));
                oauth.insert("clientSecret".into(), secret(client_secret));
                oauth.extend(scope.as_ref().map(|scope| ("scope".to_owned(), json!(scope))));
                json.insert("oauth".into(), Value::Object(oauth));
            }
        }
        if let Some(tls) = &self.tls {
            let held = |held: &Held| match held {
                Held::Text(text) => json!(text),
                Held::Secret(name) => secret(name),
            };
            let members = [
                ("ca", tls.ca.as_ref().map(held)),
                ("certificate", tls.certificate.as_ref().map(held)),
                ("key", tls.key.as_ref().map(secret)),
                ("keyPassword", tls.key_password.as_ref().map(secret)),
            ];
            json.extend(members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        }
        Value::Object(json)
    }

    /// With the values of secrets in it.
    pub(super) fn resolve(&self, secrets: &Secrets) -> Result<Security, ControlError> {
        let mut security = Security { tls: self.tls.is_some(), ..Security::default() };
        if let Some(tls) = &self.tls {
            use pem::Part::{Certificates, Key};
            security.authority = held_pem("spec.security.ca", Certificates, tls.ca.as_ref(), secrets)?;
            security.certificate =
                held_pem("spec.security.certificate", Certificates, tls.certificate.as_ref(), secrets)?;
            let key = tls.key.clone().map(Held::Secret);
            security.key = held_pem("spec.security.key", Key, key.as_ref(), secrets)?;
            security.key_password = tls.key_password.as_ref().map(|name| secret(secrets, name)).transpose()?;
        }
        security.sasl = match &self.login {
            None => None,
            Some(LoginSpec::Password { mechanism, username, password }) => {
                let (username, password) = (username.clone(), secret(secrets, password)?);
                Some(match mechanism {
                    Mechanism::ScramSha256 => Sasl::Scram { hash: Scram::Sha256, username, password },
                    Mechanism::ScramSha512 => Sasl::Scram { hash: Scram::Sha512, username, password },
                    Mechanism::Plain | Mechanism::OauthBearer => Sasl::Plain { username, password },
                })
            }
            Some(LoginSpec::Oauth { token_url, client_id, client_secret, scope }) => {
                let client = OauthClient {
                    token_url: token_url.clone(),
                    id: client_id.clone(),
                    secret: secret(secrets, client_secret)?,
                    scope: scope.clone(),
                };
                Some(Sasl::OauthBearer(Arc::new(OauthTokens::new(client).map_err(|error| invalid(error.to_string()))?)))
            }
        };
        Ok(security)
    }
}

/// The safe one that has room for what is written.
fn likely_protocol(written: &SecurityDocument) -> Protocol {
    let has_login = written.mechanism.is_some()
        || written.username.is_some()
        || written.password.is_some()
        || written.oauth.is_some();
    let has_tls = written.ca.is_some() || written.certificate.is_some() || written.key.is_some();
    match (has_login, has_tls) {
        (true, _) => Protocol::SaslSsl,
        (false, true) => Protocol::Ssl,
        (false, false) => Protocol::Plaintext,
    }
}

fn refuse_written(
    written: &[(&str, bool)],
    protocol: Protocol,
    because: &str,
    instead: &str,
) -> Result<(), ControlError> {
    match written.iter().find(|(_, is_written)| *is_written) {
        None => Ok(()),
        Some((key, _)) => {
            let protocol = protocol.as_str();
            Err(invalid(format!("`spec.security.{key}` has no use with the protocol `{protocol}`, which {because}"))
                .with_hint(format!("write `protocol: {instead}`, or leave `{key}` out")))
        }
    }
}

impl LoginSpec {
    fn complete(protocol: Protocol, written: &SecurityDocument) -> Result<Self, ControlError> {
        let mechanism = match (&written.mechanism, &written.oauth) {
            (Some(text), _) => Mechanism::parse(text)?,
            (None, Some(_)) => Mechanism::OauthBearer,
            (None, None) => {
                let known = Mechanism::ALL.map(Mechanism::as_str).join(", ");
                let protocol = protocol.as_str();
                return Err(invalid(format!("`spec.security.mechanism` is missing: `{protocol}` logs somebody in"))
                    .with_hint(format!("write one of: {known}")));
            }
        };
        let name = mechanism.as_str();
        let no_use = |key: &str, instead: &str| {
            Err(invalid(format!("`spec.security.{key}` has no use with the mechanism `{name}`"))
                .with_hint(format!("leave it out; `{name}` takes {instead}")))
        };
        match (mechanism, &written.oauth) {
            (Mechanism::OauthBearer, None) => {
                Err(invalid("`spec.security.oauth` is missing: it says where tokens come from")
                    .with_hint("write oauth: {tokenUrl: https://..., clientId: ..., clientSecret: {secret: NAME}}"))
            }
            (Mechanism::OauthBearer, Some(_)) if written.username.is_some() => no_use("username", "`oauth`"),
            (Mechanism::OauthBearer, Some(_)) if written.password.is_some() => no_use("password", "`oauth`"),
            (Mechanism::OauthBearer, Some(oauth)) => Self::oauth(oauth),
            (_, Some(_)) => no_use("oauth", "`username` and `password`"),
            (_, None) => Self::password(mechanism, written),
        }
    }

    fn password(mechanism: Mechanism, written: &SecurityDocument) -> Result<Self, ControlError> {
        let name = mechanism.as_str();
        let username = written.username.clone().filter(|username| !username.is_empty());
        let username = username
            .ok_or_else(|| invalid(format!("`spec.security.username` is missing: `{name}` logs in with a password")))?;
        let password = secret_name("spec.security.password", written.password.as_ref())?.ok_or_else(|| {
            invalid(format!("`spec.security.password` is missing: `{name}` logs in with one"))
                .with_hint("write password: {secret: NAME}; `millrace secret set NAME` writes the secret")
        })?;
        Ok(LoginSpec::Password { mechanism, username, password })
    }

    fn oauth(written: &OauthDocument) -> Result<Self, ControlError> {
        let place = "spec.security.oauth";
        OauthClient::check_url(&written.token_url)
            .map_err(|what| invalid(format!("`{place}.tokenUrl` is `{}`: {what}", written.token_url)))?;
        if written.client_id.is_empty() {
            return Err(invalid(format!("`{place}.clientId` is empty")));
        }
        let client_secret = secret_name(&format!("{place}.clientSecret"), Some(&written.client_secret))?;
        let client_secret = client_secret.ok_or_else(|| invalid(format!("`{place}.clientSecret` is missing")))?;
        let scope = written.scope.clone().filter(|scope| !scope.is_empty());
        let (token_url, client_id) = (written.token_url.clone(), written.client_id.clone());
        Ok(LoginSpec::Oauth { token_url, client_id, client_secret, scope })
    }
}

impl TlsSpec {
    fn complete(written: SecurityDocument) -> Result<Self, ControlError> {
        let place = |key: &str| format!("spec.security.{key}");
        let tls = Self {
            key: secret_name(&place("key"), written.key.as_ref())?,
            key_password: secret_name(&place("keyPassword"), written.key_password.as_ref())?,
            ca: written.ca,
            certificate: written.certificate,
        };
        for (key, held) in [("ca", &tls.ca), ("certificate", &tls.certificate)] {
            match held {
                None => {}
                Some(Held::Text(text)) => pem::check(&format!("`{}`", place(key)), pem::Part::Certificates, text)?,
                Some(Held::Secret(name)) => check_name(&format!("the secret of `{}`", place(key)), name)?,
            }
        }
        let missing = |key: &str, of: &str| Err(invalid(format!("`{}` is missing: `{of}` needs it", place(key))));
        match (&tls.certificate, &tls.key, &tls.key_password) {
            (Some(_), None, _) => missing("key", "certificate"),
            (None, Some(_), _) => missing("certificate", "key"),
            (_, None, Some(_)) => missing("key", "keyPassword"),
            _ => Ok(tls),
        }
    }
}

/// What only a secret may hold. A value that was written out is not repeated.
fn secret_name(place: &str, held: Option<&Held>) -> Result<Option<String>, ControlError> {
    match held {
        None => Ok(None),
        Some(Held::Secret(name)) => {
            check_name(&format!("the secret of `{place}`"), name)?;
            Ok(Some(name.clone()))
        }
        Some(Held::Text(_)) => Err(invalid(format!("`{place}` is written out, where everybody could read it"))
            .with_hint("write it with `millrace secret set NAME`, and here {secret: NAME}")),
    }
}

fn held_pem(
    place: &str,
    part: pem::Part,
    held: Option<&Held>,
    secrets: &Secrets,
) -> Result<Option<String>, ControlError> {
    let (what, text) = match held {
        None => return Ok(None),
        Some(Held::Text(text)) => (format!("`{place}`"), text.clone()),
        Some(Held::Secret(name)) => (format!("the secret `{name}` of `{place}`"), secret(secrets, name)?),
    };
    pem::check(&what, part, &text)?;
    Ok(Some(text))
}

fn secret(secrets: &Secrets, name: &str) -> Result<String, ControlError> {
    // A file's last line break is not part of a password.
    let value = secrets.get(name).map(|value| value.trim_end_matches(['\r', '\n']).to_owned());
    value.ok_or_else(|| ControlError::not_found("secret_not_found", format!("there is no secret `{name}`")))
}
