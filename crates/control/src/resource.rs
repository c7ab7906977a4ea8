//! A resource: the form that everything has which a person makes.
//!
//! The inner type; its JSON and YAML form is written by [`Resource::to_json`] and read by [`ResourceDocument`].

use crate::document;
use crate::error::ControlError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub const API_VERSION: &str = "millrace/v1";
pub const GROUP_DEFAULT: &str = "default";
pub const NAME_BYTES_MAX: usize = 200;
pub const LABELS_MAX: usize = 64;
pub const LABEL_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Group,
    Schema,
    Topic,
    Dagger,
    DaggerCluster,
    KafkaCluster,
    Firehose,
}

impl Kind {
    pub const ALL: [Kind; 7] =
        [Kind::Group, Kind::Schema, Kind::Topic, Kind::Dagger, Kind::DaggerCluster, Kind::KafkaCluster, Kind::Firehose];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Group => "Group",
            Kind::Schema => "Schema",
            Kind::Topic => "Topic",
            Kind::Dagger => "Dagger",
            Kind::DaggerCluster => "DaggerCluster",
            Kind::KafkaCluster => "KafkaCluster",
            Kind::Firehose => "Firehose",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// `dagger_not_found` and its like.
    pub fn not_found_code(self) -> &'static str {
        match self {
            Kind::Group => "group_not_found",
            Kind::Schema => "schema_not_found",
            Kind::Topic => "topic_not_found",
            Kind::Dagger => "dagger_not_found",
            Kind::DaggerCluster => "dagger_cluster_not_found",
            Kind::KafkaCluster => "kafka_cluster_not_found",
            Kind::Firehose => "firehose_not_found",
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Kind::Group => "group",
            Kind::Schema => "schema",
            Kind::Topic => "topic",
            Kind::Dagger => "dagger",
            Kind::DaggerCluster => "dagger cluster",
            Kind::KafkaCluster => "Kafka cluster",
            Kind::Firehose => "firehose",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    pub group: String,
    pub labels: BTreeMap<String, String>,
}

impl Metadata {
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), group: GROUP_DEFAULT.to_owned(), labels: BTreeMap::new() }
    }
}

/// What is stored. `spec` is complete: every default is written out in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    pub kind: Kind,
    pub metadata: Metadata,
    pub spec: Value,
    pub generation: i64,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub created_by: String,
    pub updated_by: String,
    /// As [`crate::access::ChangeOrigin`] says it; empty for what was made before this was kept.
    pub updated_from: String,
}

impl Resource {
    /// The resource as it is shown, with the status that the caller knows.
    pub fn to_json(&self, status: Option<Value>) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".into(), json!(self.metadata.name));
        metadata.insert("group".into(), json!(self.metadata.group));
        metadata.insert("labels".into(), json!(self.metadata.labels));
        metadata.insert("generation".into(), json!(self.generation));
        metadata.insert("created".into(), json!(crate::time_text::millis(self.created_ms)));
        metadata.insert("updated".into(), json!(crate::time_text::millis(self.updated_ms)));
        metadata.insert("createdBy".into(), json!(self.created_by));
        metadata.insert("updatedBy".into(), json!(self.updated_by));
        metadata.insert("updatedFrom".into(), json!(self.updated_from));
        let mut resource = Map::new();
        resource.insert("apiVersion".into(), json!(API_VERSION));
        resource.insert("kind".into(), json!(self.kind.as_str()));
        resource.insert("metadata".into(), Value::Object(metadata));
        resource.insert("spec".into(), self.spec.clone());
        if let Some(status) = status {
            resource.insert("status".into(), status);
        }
        Value::Object(resource)
    }
}

/// The outer form of any document; the spec is read by the kind's own type, from the same text, so that mistakes in it
/// have their line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceDocument<Spec> {
    pub api_version: String,
    pub kind: String,
    pub metadata: MetadataDocument,
    pub spec: Spec,
    /// What a server once said; reading it back is no mistake, but it has no effect.
    #[serde(default)]
    #[allow(dead_code)]
    status: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MetadataDocument {
    pub name: String,
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    #[allow(dead_code)]
    generation: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    #[allow(dead_code)]
    created: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    #[allow(dead_code)]
    updated: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    #[allow(dead_code)]
    created_by: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    #[allow(dead_code)]
    updated_by: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    #[allow(dead_code)]
    updated_from: Option<serde::de::IgnoredAny>,
}

/// Only as much of a document as tells which kind reads it.
#[derive(Debug, Deserialize)]
struct KindProbe {
    #[serde(default)]
    kind: Option<String>,
}

/// The kind that a document says it is.
pub fn document_kind(text: &str) -> Result<Kind, ControlError> {
    let probe: KindProbe = document::parse(text)?;
    let Some(written) = probe.kind else {
        return Err(ControlError::invalid("document_invalid", "the document has no `kind`")
            .with_hint("begin it with:\napiVersion: millrace/v1\nkind: Dagger"));
    };
    Kind::parse(&written).ok_or_else(|| unknown_kind(&written))
}

fn unknown_kind(written: &str) -> ControlError {
    let known = Kind::ALL.map(Kind::as_str);
    let hint = match crate::error::nearest(written, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the kinds are: {}", known.join(", ")),
    };
    ControlError::invalid("document_invalid", format!("`{written}` is not a kind")).with_hint(hint)
}

/// Reads a whole document of one kind and checks what all kinds share.
pub fn parse_document<Spec: serde::de::DeserializeOwned>(
    text: &str,
    kind: Kind,
) -> Result<(Metadata, Spec), ControlError> {
    let document: ResourceDocument<Spec> = document::parse(text)?;
    if document.api_version != API_VERSION {
        return Err(ControlError::invalid(
            "document_invalid",
            format!("apiVersion is `{}`, this server speaks `{API_VERSION}`", document.api_version),
        )
        .with_hint(format!("write `apiVersion: {API_VERSION}`")));
    }
    match Kind::parse(&document.kind) {
        Some(found) if found == kind => {}
        Some(found) => {
            return Err(ControlError::invalid(
                "document_invalid",
                format!("the document is a {}, expected was a {}", found.as_str(), kind.as_str()),
            ));
        }
        None => return Err(unknown_kind(&document.kind)),
    }
    let metadata = Metadata {
        name: document.metadata.name,
        group: document.metadata.group.unwrap_or_else(|| GROUP_DEFAULT.to_owned()),
        labels: document.metadata.labels,
    };
    check_metadata(&metadata)?;
    Ok((metadata, document.spec))
}

fn check_metadata(metadata: &Metadata) -> Result<(), ControlError> {
    check_name("metadata.name", &metadata.name)?;
    check_name("metadata.group", &metadata.group)?;
    if metadata.labels.len() > LABELS_MAX {
        return Err(ControlError::too_large(
            "too_many_labels",
            format!("{} labels, the limit is {LABELS_MAX}", metadata.labels.len()),
        ));
    }
    for (key, value) in &metadata.labels {
        if key.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX {
            return Err(ControlError::too_large(
                "label_too_long",
                format!(
                    "the label `{}` is longer than {LABEL_BYTES_MAX} bytes",
                    key.chars().take(40).collect::<String>()
                ),
            ));
        }
    }
    Ok(())
}

/// Names are used in paths, measurements and consumer groups, so they keep to letters, digits, `_`, `-` and `.`.
pub fn check_name(what: &str, name: &str) -> Result<(), ControlError> {
    let hint = "use 1 to 200 of a-z, A-Z, 0-9, `_`, `-` and `.`, beginning with a letter or digit";
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && name.len() <= NAME_BYTES_MAX && name.chars().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().take(60).collect();
    Err(ControlError::invalid("name_invalid", format!("{what} `{shown}` is not a name")).with_hint(hint))
}
