//! A Kafka cluster as it is written.

use super::security::{Held, SecuritySpec};
use super::{EMBEDDED, KAFKA, KafkaClusterSpec, KafkaSpec, PREFIX_DEFAULT, invalid};
use crate::error::{ControlError, nearest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterDocument {
    r#type: String,
    #[serde(default)]
    bootstrap: Option<Vec<String>>,
    #[serde(default)]
    security: Option<SecurityDocument>,
    #[serde(default)]
    properties: Option<BTreeMap<String, Scalar>>,
    #[serde(default)]
    prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SecurityDocument {
    #[serde(default)]
    pub protocol: Option<String>,
    #[serde(default)]
    pub mechanism: Option<String>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Held>,
    #[serde(default)]
    pub oauth: Option<OauthDocument>,
    #[serde(default)]
    pub ca: Option<Held>,
    #[serde(default)]
    pub certificate: Option<Held>,
    #[serde(default)]
    pub key: Option<Held>,
    #[serde(default)]
    pub key_password: Option<Held>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct OauthDocument {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Held,
    #[serde(default)]
    pub scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretDocument {
    secret: String,
}

/// A text, or a number or truth value, which YAML has without quotes.
#[derive(Debug)]
struct Scalar(String);

impl ClusterDocument {
    pub fn complete(self) -> Result<KafkaClusterSpec, ControlError> {
        match self.r#type.as_str() {
            EMBEDDED => self.embedded(),
            KAFKA => self.kafka(),
            other => {
                let known = [EMBEDDED, KAFKA];
                let near = nearest(other, known).map(|near| format!("did you mean `{near}`?"));
                Err(invalid(format!("`spec.type` is `{other}`"))
                    .with_hint(format!("the types are: {}", known.join(", ")))
                    .maybe_hint(near))
            }
        }
    }

    fn embedded(self) -> Result<KafkaClusterSpec, ControlError> {
        let has = [
            ("bootstrap", self.bootstrap.is_some()),
            ("security", self.security.is_some()),
            ("properties", self.properties.is_some()),
            ("prefix", self.prefix.is_some()),
        ];
        match has.iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => Err(invalid(format!("`spec.{key}` is nothing that a cluster of type `{EMBEDDED}` has"))
                .with_hint(format!("leave it out, or write `type: {KAFKA}`"))),
            None => Ok(KafkaClusterSpec::Embedded),
        }
    }

    fn kafka(self) -> Result<KafkaClusterSpec, ControlError> {
        let bootstrap = self.bootstrap.unwrap_or_default().iter().map(|address| address.trim().to_owned()).collect();
        let properties = self.properties.unwrap_or_default();
        let spec = KafkaSpec {
            bootstrap,
            security: SecuritySpec::complete(self.security.unwrap_or_default())?,
            properties: properties.into_iter().map(|(name, Scalar(value))| (name, value)).collect(),
            prefix: self.prefix.unwrap_or_else(|| PREFIX_DEFAULT.to_owned()),
        };
        spec.check()?;
        Ok(KafkaClusterSpec::Kafka(Box::new(spec)))
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeldVisitor)
    }
}

/// Takes whatever scalar is there without repeating it in a message: it may be a password.
struct HeldVisitor;

impl<'de> Visitor<'de> for HeldVisitor {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or `{secret: NAME}`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Held, E> {
        Ok(Held::Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Held, E> {
        Ok(Held::Text(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Held, E> {
        Ok(Held::Text(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Held, E> {
        Ok(Held::Text(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Held, E> {
        Ok(Held::Text(truth.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Held, A::Error> {
        Ok(Held::Secret(SecretDocument::deserialize(MapAccessDeserializer::new(map))?.secret))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar(truth.to_string()))
    }
}
