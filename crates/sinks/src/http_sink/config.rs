//! How requests are made, as settings say it.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};

use super::answer::{PartialAnswer, StatusRules};
use super::head::{PlannedHead, header_name, header_value};
use super::oauth::TokenConfig;
use crate::webhook::Signer;
use crate::{Credential, Endpoint, HttpOptions, SettingError, Settings, SinkContext};

const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Stands for the array of a batch in its wrapper.
const RECORDS: &str = "{{ records }}";

/// All but how records become bytes.
#[derive(Debug)]
pub(crate) struct RequestConfig {
    /// For messages.
    pub name: String,
    pub method: Method,
    pub target: Target,
    /// Those that every request has.
    pub headers: HeaderMap,
    pub secret_headers: HeaderMap,
    pub login: Login,
    pub framing: Framing,
    pub is_compressed: bool,
    pub statuses: StatusRules,
    pub partial: Option<PartialAnswer>,
    pub follow_redirects: bool,
    pub in_flight: usize,
    /// With the timeout of the settings.
    pub http: HttpOptions,
    pub signer: Option<Signer>,
}

#[derive(Debug)]
pub(crate) enum Target {
    Fixed(Url),
    /// Records have heads, see [`super::head`]. Secrets are sent only to this server; without one there are none.
    OfRecords {
        origin: Option<String>,
    },
}

#[derive(Debug)]
pub(crate) enum Login {
    Fixed(Credential),
    OAuth(TokenConfig),
}

impl Login {
    fn is_none(&self) -> bool {
        matches!(self, Self::Fixed(Credential::None))
    }
}

/// How the records of a request stand in its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One record is the body.
    Single,
    Lines,
    /// A JSON array, with something before and after it.
    Array {
        before: String,
        after: String,
    },
}

impl fmt::Display for Framing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Single => "single",
            Self::Lines => "lines",
            Self::Array { .. } => "array",
        })
    }
}

impl Framing {
    pub fn array() -> Self {
        Self::Array { before: String::new(), after: String::new() }
    }

    fn read(settings: &Settings) -> Result<Self, SettingError> {
        if settings.text("mode") != Some("batch") {
            return Ok(Self::Single);
        }
        Ok(match settings.text("batchFormat") {
            Some("lines") => Self::Lines,
            Some("wrapper") => {
                let hint = format!("write for example `{{\"events\": {RECORDS}}}`");
                let wrapper = settings.text("wrapper");
                let wrapper = wrapper.ok_or_else(|| SettingError::at("wrapper", "the wrapper is missing", &hint))?;
                match wrapper.split(RECORDS).collect::<Vec<_>>()[..] {
                    [before, after] => Self::Array { before: before.to_owned(), after: after.to_owned() },
                    _ => {
                        let detail = format!("the wrapper does not have `{RECORDS}` in it exactly once");
                        return Err(SettingError::at("wrapper", detail, hint));
                    }
                }
            }
            _ => Self::array(),
        })
    }
}

impl RequestConfig {
    /// Everything that settings say about requests; the keys are those of `description`.
    pub fn read(settings: &Settings, head: &PlannedHead, context: &SinkContext) -> Result<Self, SettingError> {
        let framing = Framing::read(settings)?;
        let method = settings.text("method").unwrap_or("POST");
        let method: Method =
            method.parse().map_err(|_| SettingError::at("method", "there is no such method", "write POST"))?;
        let secret_headers = secret_headers(settings, context)?;
        let login = login(settings, context)?;
        if head.origin.is_none() && !(login.is_none() && secret_headers.is_empty()) {
            let detail = "records say which server is asked, and it would be told the secrets";
            let hint = "write the server in the address (`https://shop.example/{{ path }}`), or leave the secrets out";
            return Err(SettingError::at("url", detail, hint));
        }
        if secret_headers.contains_key("authorization") && !login.is_none() {
            let hint = "leave one of them out";
            return Err(SettingError::at("secretHeaders", "`Authorization` is there by `auth` already", hint));
        }
        let mut headers = head.headers.clone();
        if let Some(content_type) = content_type(settings, &framing)? {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION"))));
        let statuses = StatusRules::read("statuses", &settings.map("statuses"))?;
        let partial = partial(settings, &statuses)?;
        let target = match &head.url {
            Some(url) if !head.is_of_records() => Target::Fixed(url.clone()),
            _ => Target::OfRecords { origin: head.origin.clone() },
        };
        let shown = settings.text("url").unwrap_or_default();
        Ok(Self {
            name: format!("HTTP {method} {}", shown.split('?').next().unwrap_or_default()),
            method,
            target,
            headers,
            secret_headers,
            login,
            framing,
            is_compressed: settings.text("compression") == Some("gzip"),
            statuses,
            partial,
            follow_redirects: settings.boolean("followRedirects"),
            in_flight: settings.integer("inFlight").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1),
            http: HttpOptions { call_time_max: timeout(settings)?, ..context.http.clone() },
            signer: None,
        })
    }

    /// For [`crate::PlannedSink::notice`].
    pub fn notice(&self) -> Option<String> {
        let url = match &self.target {
            Target::Fixed(url) => url.as_str(),
            Target::OfRecords { origin } => origin.as_deref()?,
        };
        let has_secrets = !self.login.is_none() || !self.secret_headers.is_empty();
        let is_plain = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
        (has_secrets && is_plain).then(|| "the secrets go to a server without encryption; write `https://`".to_owned())
    }
}

pub(crate) fn timeout(settings: &Settings) -> Result<Duration, SettingError> {
    let timeout = settings.duration("timeout").unwrap_or(TIMEOUT_MAX);
    match (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
        true => Ok(timeout),
        false => Err(SettingError::at("timeout", "the time for a request is not within limits", "write 100ms to 30s")),
    }
}

pub(crate) fn body_bytes(settings: &Settings) -> usize {
    settings.integer("bodyBytes").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(4 << 20)
}

fn secret_headers(settings: &Settings, context: &SinkContext) -> Result<HeaderMap, SettingError> {
    let mut headers = HeaderMap::new();
    for (name, secret) in context.secret_map(settings, "secretHeaders")? {
        let name: HeaderName = header_name("secretHeaders", &name)?;
        let mut value = header_value(&secret).map_err(|reason| {
            let detail = format!("the secret of `{name}` {reason}");
            SettingError::at("secretHeaders", detail, "put the secret again, in one line of text")
        })?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn content_type(settings: &Settings, framing: &Framing) -> Result<Option<HeaderValue>, SettingError> {
    let text = match (settings.text("contentType"), settings.text("body"), framing) {
        (Some(text), ..) => text,
        (None, Some("none"), _) => return Ok(None),
        (None, _, Framing::Lines) => "application/x-ndjson",
        (None, Some("template"), Framing::Single) => "text/plain; charset=utf-8",
        _ => "application/json",
    };
    let value = header_value(text);
    let wrong =
        |reason| SettingError::at("contentType", format!("it {reason}"), "write for example `application/json`");
    value.map(Some).map_err(wrong)
}

fn login(settings: &Settings, context: &SinkContext) -> Result<Login, SettingError> {
    let needed = |key: &str, auth: &str| {
        let detail = format!("`auth: {auth}` needs `{key}`");
        SettingError::at(key, detail, "write it, or choose another `auth`")
    };
    let text = |key: &str, auth: &str| settings.text(key).map(str::to_owned).ok_or_else(|| needed(key, auth));
    let secret = |auth: &str| context.secret(settings, "secret")?.ok_or_else(|| needed("secret", auth));
    let credential = match settings.text("auth").unwrap_or("none") {
        auth @ "basic" => Credential::Basic { username: text("username", auth)?, password: secret(auth)? },
        auth @ "bearer" => Credential::Bearer(secret(auth)?),
        auth @ "oauth2" => {
            let endpoint = Endpoint::parse(&text("tokenUrl", auth)?, &context.http.addresses);
            let endpoint = endpoint.map_err(|error| SettingError::at("tokenUrl", error.detail, error.hint))?;
            return Ok(Login::OAuth(TokenConfig {
                endpoint,
                client_id: text("clientId", auth)?,
                client_secret: secret(auth)?,
                scope: settings.text("scope").map(str::to_owned),
                audience: settings.text("audience").map(str::to_owned),
                in_body: settings.text("clientAuth") == Some("body"),
            }));
        }
        _ => Credential::None,
    };
    if !credential.can_be_sent() {
        let detail = "the secret has something in it that a header cannot say";
        return Err(SettingError::at("secret", detail, "put the secret again, in one line of plain letters"));
    }
    Ok(Login::Fixed(credential))
}

fn partial(settings: &Settings, statuses: &StatusRules) -> Result<Option<PartialAnswer>, SettingError> {
    let pointer = |key: &str| match settings.text(key) {
        Some(text) if !text.starts_with('/') => {
            Err(SettingError::at(key, format!("`{text}` is no JSON pointer"), "write for example `/errors`"))
        }
        text => Ok(text.map(str::to_owned)),
    };
    let (items, index, reason) = (pointer("failedItems")?, pointer("failedIndex")?, pointer("failedReason")?);
    let Some(items) = items else {
        let key = match (index, reason) {
            (Some(_), _) => Some("failedIndex"),
            (None, Some(_)) => Some("failedReason"),
            (None, None) if statuses.names_parts() => Some("statuses"),
            (None, None) => None,
        };
        let missing =
            |key| SettingError::at(key, "`failedItems` is missing", "say where an answer names failed records");
        return key.map_or(Ok(None), |key| Err(missing(key)));
    };
    Ok(Some(PartialAnswer { items, index: index.unwrap_or_default(), reason }))
}
