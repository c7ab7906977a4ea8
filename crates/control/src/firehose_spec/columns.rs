//! `columns:` of a firehose: fields, constants, expressions and hashes, each with the name that it is sent by.

use super::{invalid, not_a_word};
use crate::error::ControlError;
use crate::resource::check_name;
use serde::Deserialize;
use serde_json::{Value, json};
use shape::ColumnType;

const TEXT_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSpec {
    /// What it is sent as; `None` is the field's own name.
    pub name: Option<String>,
    pub source: ColumnSource,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ColumnSource {
    /// A field by its path, such as `customer.id`.
    Field(String),
    Constant(Value),
    Expression {
        /// CEL.
        text: String,
        /// Where it does not follow from the expression and the fields.
        declared: Option<ColumnType>,
    },
    /// SHA-256 of a field's text, keyed by a secret's value if one is named.
    Hash {
        field: String,
        secret: Option<String>,
    },
}

/// One struct for all of them, so that an unknown key has its place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnDocument {
    #[serde(default, rename = "as")]
    name: Option<String>,
    #[serde(default)]
    field: Option<String>,
    /// `null` is a constant, too.
    #[serde(default, deserialize_with = "present")]
    constant: Option<Value>,
    #[serde(default)]
    expression: Option<String>,
    /// Of an expression.
    #[serde(default, rename = "type")]
    declared: Option<String>,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    secret: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl ColumnDocument {
    pub(super) fn complete(self, index: usize) -> Result<ColumnSpec, ControlError> {
        let path = format!("spec.columns[{index}]");
        let source = match (self.field, self.constant, self.expression, self.hash) {
            (Some(field), None, None, None) => ColumnSource::Field(text(&path, "field", field)?),
            (None, Some(constant), None, None) => ColumnSource::Constant(constant),
            (None, None, Some(expression), None) => ColumnSource::Expression {
                text: text(&path, "expression", expression)?,
                declared: self.declared.as_deref().map(|name| column_type(&path, name)).transpose()?,
            },
            (None, None, None, Some(field)) => {
                if let Some(secret) = &self.secret {
                    check_name(&format!("`{path}.secret`"), secret)?;
                }
                ColumnSource::Hash { field: text(&path, "hash", field)?, secret: self.secret.clone() }
            }
            _ => {
                return Err(invalid(&path, "has to have one of `field`, `constant`, `expression` and `hash`").with_hint(
                    "write for example `{field: customer.id, as: customer_id}` or `{expression: 'price * 1.1', as: gross}`",
                ));
            }
        };
        if self.declared.is_some() && !matches!(source, ColumnSource::Expression { .. }) {
            return Err(invalid(&path, "has a `type`, which goes with `expression` only"));
        }
        if self.secret.is_some() && !matches!(source, ColumnSource::Hash { .. }) {
            return Err(invalid(&path, "has a `secret`, which goes with `hash` only"));
        }
        let name = self.name.map(|name| text(&path, "as", name)).transpose()?;
        if name.is_none() && !matches!(source, ColumnSource::Field(_)) {
            return Err(invalid(&path, "has no `as`").with_hint("say what the column is called: `as: gross`"));
        }
        Ok(ColumnSpec { name, source })
    }
}

fn column_type(path: &str, name: &str) -> Result<ColumnType, ControlError> {
    ColumnType::from_name(name)
        .ok_or_else(|| not_a_word(&format!("{path}.type"), name, &ColumnType::ALL.map(ColumnType::name)))
}

fn text(path: &str, key: &str, text: String) -> Result<String, ControlError> {
    match text.len() {
        0 => Err(invalid(&format!("{path}.{key}"), "is empty")),
        length if length > TEXT_BYTES_MAX => {
            Err(invalid(&format!("{path}.{key}"), format!("has {length} bytes, the limit is {TEXT_BYTES_MAX}")))
        }
        _ => Ok(text),
    }
}

impl ColumnSpec {
    pub(super) fn to_json(&self) -> Value {
        let mut column = match &self.source {
            ColumnSource::Field(field) => json!({ "field": field }),
            ColumnSource::Constant(value) => json!({ "constant": value }),
            ColumnSource::Expression { text, declared: None } => json!({ "expression": text }),
            ColumnSource::Expression { text, declared: Some(declared) } => {
                json!({ "expression": text, "type": declared.name() })
            }
            ColumnSource::Hash { field, secret: None } => json!({ "hash": field }),
            ColumnSource::Hash { field, secret: Some(secret) } => json!({ "hash": field, "secret": secret }),
        };
        if let Some(name) = &self.name {
            column["as"] = json!(name);
        }
        column
    }
}
