//! Sinks that are servers of somebody else's: which one, where in it, and as whom. The password or token is a secret's name.

use super::document::{SinkDocument, invalid};
use super::text::{not_a_word, word};
use crate::error::ControlError;
use crate::resource::check_name;
use serde_json::{Map, Value, json};
use std::fmt;

const MEASUREMENT_BYTES_MAX: usize = 1_024;
const PLACE_BYTES_MAX: usize = 1_024;
pub const SINK_TAGS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSinkSpec {
    pub system: ExternalSystem,
    pub url: String,
    pub measurement: String,
    /// Columns that are tags besides those that their name says so of.
    pub tags: Vec<String>,
    pub username: Option<String>,
    /// The name of the secret that is the password or the token.
    pub secret: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalSystem {
    Influx1 { database: String, retention_policy: Option<String> },
    Influx2 { org: String, bucket: String },
    Influx3 { database: String },
    VictoriaMetrics,
    PrometheusRemoteWrite,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    Three,
}

impl Version {
    const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    fn as_str(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Three => "3",
        }
    }
}

impl ExternalSystem {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Influx1 { .. } | Self::Influx2 { .. } | Self::Influx3 { .. } => "influx",
            Self::VictoriaMetrics => "victoriaMetrics",
            Self::PrometheusRemoteWrite => "prometheusRemoteWrite",
        }
    }

    fn as_people_say(&self) -> &'static str {
        match self {
            Self::Influx1 { .. } | Self::Influx2 { .. } | Self::Influx3 { .. } => "InfluxDB",
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::PrometheusRemoteWrite => "Prometheus",
        }
    }
}

impl fmt::Display for ExternalSinkSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {}", self.measurement, self.system.as_people_say())
    }
}

const EVERY: [&str; 5] = ["url", "measurement", "tags", "username", "secret"];

/// The keys of a kind, for `SinkDocument`'s check; `None` for one that is none of these.
pub(super) fn keys(document: &SinkDocument) -> Option<Vec<&'static str>> {
    let own: &[&str] = match document.kind.as_str() {
        "influx" => match version_text(document).as_deref() {
            Some("2") => &["version", "org", "bucket"],
            Some("3") => &["version", "database"],
            _ => &["version", "database", "retentionPolicy"],
        },
        "victoriaMetrics" | "prometheusRemoteWrite" => &[],
        _ => return None,
    };
    Some(own.iter().chain(&EVERY).copied().collect())
}

fn version_text(document: &SinkDocument) -> Option<String> {
    document.version.as_ref().map(|version| match version {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

pub(super) fn complete(document: SinkDocument, path: &str, dagger: &str) -> Result<ExternalSinkSpec, ControlError> {
    let system = match document.kind.as_str() {
        "victoriaMetrics" => ExternalSystem::VictoriaMetrics,
        "prometheusRemoteWrite" => ExternalSystem::PrometheusRemoteWrite,
        _ => influx(&document, path)?,
    };
    let place = |key: &str| format!("{path}.{key}");
    let Some(url) = document.url else {
        return Err(
            invalid(path, "has no `url`").with_hint("write where the server is, for example `url: http://influx:8086`")
        );
    };
    let measurement = document.measurement.unwrap_or_else(|| dagger.to_owned());
    if measurement.is_empty() || measurement.len() > MEASUREMENT_BYTES_MAX {
        return Err(invalid(&place("measurement"), format!("must have 1 to {MEASUREMENT_BYTES_MAX} bytes")));
    }
    let tags = document.tags.unwrap_or_default();
    if tags.len() > SINK_TAGS_MAX {
        return Err(invalid(&place("tags"), format!("has {} entries, the limit is {SINK_TAGS_MAX}", tags.len())));
    }
    if let Some(secret) = &document.secret {
        check_name(&format!("`{}`", place("secret")), secret)?;
    }
    match (&system, &document.username, &document.secret) {
        (_, Some(_), None) => {
            return Err(invalid(path, "has a `username` and no `secret`")
                .with_hint("name the secret that is the password: `secret: influx-password`"));
        }
        (ExternalSystem::Influx1 { .. }, None, Some(_)) => {
            return Err(invalid(path, "has a `secret` and no `username`")
                .with_hint("InfluxDB 1 takes a user and a password; write `username:` too"));
        }
        (ExternalSystem::Influx2 { .. } | ExternalSystem::Influx3 { .. }, Some(_), Some(_)) => {
            return Err(invalid(&place("username"), "does not go with this version")
                .with_hint("leave it out; `secret` names the secret that is the token"));
        }
        _ => {}
    }
    Ok(ExternalSinkSpec { system, url, measurement, tags, username: document.username, secret: document.secret })
}

fn influx(document: &SinkDocument, path: &str) -> Result<ExternalSystem, ControlError> {
    let version = word(&format!("{path}.version"), version_text(document), &Version::ALL, Version::as_str)?;
    let Some(version) = version else {
        return Err(invalid(path, "has no `version`").with_hint("write which InfluxDB it is: `version: 1`, 2 or 3"));
    };
    let needed = |key: &str, value: &Option<String>| match value {
        Some(value) if !value.is_empty() && value.len() <= PLACE_BYTES_MAX => Ok(value.clone()),
        Some(_) => Err(invalid(&format!("{path}.{key}"), format!("must have 1 to {PLACE_BYTES_MAX} bytes"))),
        None => Err(invalid(path, format!("has no `{key}`, which InfluxDB {} needs", version.as_str()))),
    };
    Ok(match version {
        Version::One => ExternalSystem::Influx1 {
            database: needed("database", &document.database)?,
            retention_policy: document.retention_policy.clone(),
        },
        Version::Two => {
            ExternalSystem::Influx2 { org: needed("org", &document.org)?, bucket: needed("bucket", &document.bucket)? }
        }
        Version::Three => ExternalSystem::Influx3 { database: needed("database", &document.database)? },
    })
}

impl ExternalSinkSpec {
    pub(super) fn put_json(&self, sink: &mut Map<String, Value>) {
        let mut put = |key: &str, value: Value| drop(sink.insert(key.to_owned(), value));
        match &self.system {
            ExternalSystem::Influx1 { database, retention_policy } => {
                put("version", json!(1));
                put("database", json!(database));
                if let Some(policy) = retention_policy {
                    put("retentionPolicy", json!(policy));
                }
            }
            ExternalSystem::Influx2 { org, bucket } => {
                put("version", json!(2));
                put("org", json!(org));
                put("bucket", json!(bucket));
            }
            ExternalSystem::Influx3 { database } => {
                put("version", json!(3));
                put("database", json!(database));
            }
            ExternalSystem::VictoriaMetrics | ExternalSystem::PrometheusRemoteWrite => {}
        }
        put("url", json!(self.url));
        put("measurement", json!(self.measurement));
        if !self.tags.is_empty() {
            put("tags", json!(self.tags));
        }
        if let Some(username) = &self.username {
            put("username", json!(username));
        }
        if let Some(secret) = &self.secret {
            put("secret", json!(secret));
        }
    }
}

/// Those that daggers have had before there were kinds: their settings are read as they always were.
pub(super) const OWN_KINDS: [&str; 6] =
    ["series", "topic", "log", "influx", "victoriaMetrics", "prometheusRemoteWrite"];

/// The kinds of sinks that there are.
pub(super) fn unknown_kind(path: &str, kind: &str) -> ControlError {
    let others = sinks::kinds().iter().map(|kind| kind.description().kind).filter(|kind| !OWN_KINDS.contains(kind));
    let known: Vec<&str> = OWN_KINDS.into_iter().chain(others).collect();
    not_a_word(&format!("{path}.kind"), kind, &known)
}
