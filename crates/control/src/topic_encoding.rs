//! The wire format of a topic as people write it: a word, or a word with its settings.

use crate::document::from_json;
use crate::error::{ControlError, nearest};
use codec::{ConfluentFrame, ConfluentHeader, SchemaGuid, WireFormat};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const TYPES: [&str; 4] = ["protobuf", "confluent", "confluentHeader", "json"];
/// Versions of one schema that a topic holds.
const SCHEMAS_MAX: usize = 1_000;
const MESSAGE_INDEX_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EncodingSettings {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    schema_ids: Option<Vec<u32>>,
    #[serde(default)]
    write_schema_id: Option<u32>,
    #[serde(default)]
    schema_guids: Option<Vec<String>>,
    #[serde(default)]
    schema_guid: Option<String>,
    #[serde(default)]
    message_index: Option<Vec<u32>>,
}

/// Reads `confluent` or `{type: confluent, schemaIds: [7]}`; `path` is where it stands.
pub(crate) fn parse(path: &str, written: &Value) -> Result<WireFormat, ControlError> {
    let settings = match written {
        Value::String(kind) => json!({ "type": kind }),
        Value::Object(_) => written.clone(),
        _ => {
            return Err(invalid(path, "is neither a word nor an object")
                .with_hint("write `confluent`, or {type: confluent, schemaIds: [7], writeSchemaId: 7}"));
        }
    };
    from_json::<EncodingSettings>(settings)
        .map_err(|error| ControlError { detail: format!("`{path}`: {}", error.detail), ..error })?
        .complete(path)
}

/// The format of the same type without its settings, which are of one schema only.
pub(crate) fn without_settings(format: &WireFormat) -> WireFormat {
    match format {
        WireFormat::Confluent(_) => WireFormat::Confluent(ConfluentFrame::default()),
        WireFormat::ConfluentHeader(_) => WireFormat::ConfluentHeader(ConfluentHeader::default()),
        WireFormat::Protobuf | WireFormat::Json => format.clone(),
    }
}

pub(crate) fn to_json(format: &WireFormat) -> Value {
    let mut settings = Map::new();
    settings.insert("type".into(), format.name().into());
    let index = match format {
        WireFormat::Protobuf | WireFormat::Json => &None,
        WireFormat::Confluent(frame) => {
            if !frame.schema_ids.is_empty() {
                settings.insert("schemaIds".into(), json!(frame.schema_ids));
            }
            settings.extend(frame.write_schema_id.map(|id| ("writeSchemaId".to_owned(), json!(id))));
            &frame.message_index
        }
        WireFormat::ConfluentHeader(header) => {
            let texts: Vec<String> = header.schema_guids.iter().map(SchemaGuid::to_string).collect();
            if !texts.is_empty() {
                settings.insert("schemaGuids".into(), json!(texts));
            }
            settings.extend(header.write_schema_guid.map(|guid| ("schemaGuid".to_owned(), json!(guid.to_string()))));
            &header.message_index
        }
    };
    settings.extend(index.as_ref().map(|index| ("messageIndex".to_owned(), json!(index))));
    Value::Object(settings)
}

impl EncodingSettings {
    fn complete(self, path: &str) -> Result<WireFormat, ControlError> {
        self.check_keys(path)?;
        self.check_limits(path)?;
        match self.kind.as_str() {
            "protobuf" => Ok(WireFormat::Protobuf),
            "json" => Ok(WireFormat::Json),
            "confluent" => {
                let schema_ids = self.schema_ids.unwrap_or_default();
                if let Some(id) = self.write_schema_id.filter(|id| !schema_ids.is_empty() && !schema_ids.contains(id)) {
                    return Err(invalid(
                        &format!("{path}.writeSchemaId"),
                        format!("is {id}, which `schemaIds` does not accept"),
                    )
                    .with_hint("what is written has to be readable: add it to `schemaIds`"));
                }
                let (write_schema_id, message_index) = (self.write_schema_id, self.message_index);
                Ok(WireFormat::Confluent(ConfluentFrame { schema_ids, write_schema_id, message_index }))
            }
            "confluentHeader" => {
                let guid = |written: &String| {
                    let parsed = written.parse::<SchemaGuid>();
                    parsed.map_err(|error| ControlError::invalid("topic_invalid", format!("`{path}`: {error}")))
                };
                let schema_guids =
                    self.schema_guids.iter().flatten().map(guid).collect::<Result<Vec<SchemaGuid>, _>>()?;
                let write_schema_guid = self.schema_guid.as_ref().map(guid).transpose()?;
                if write_schema_guid.is_some_and(|guid| !schema_guids.is_empty() && !schema_guids.contains(&guid)) {
                    return Err(invalid(&format!("{path}.schemaGuid"), "is none that `schemaGuids` accepts")
                        .with_hint("what is written has to be readable: add it to `schemaGuids`"));
                }
                let message_index = self.message_index;
                Ok(WireFormat::ConfluentHeader(ConfluentHeader { schema_guids, write_schema_guid, message_index }))
            }
            other => Err(invalid(path, format!("is `{other}`, which is no encoding")).with_hint(
                match nearest(other, TYPES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the encodings are: {}", TYPES.join(", ")),
                },
            )),
        }
    }

    fn check_keys(&self, path: &str) -> Result<(), ControlError> {
        let given = [
            ("schemaIds", self.schema_ids.is_some(), "confluent"),
            ("writeSchemaId", self.write_schema_id.is_some(), "confluent"),
            ("schemaGuids", self.schema_guids.is_some(), "confluentHeader"),
            ("schemaGuid", self.schema_guid.is_some(), "confluentHeader"),
        ];
        let is_confluent = matches!(self.kind.as_str(), "confluent" | "confluentHeader");
        let foreign = given.iter().find(|(_, is_given, of)| *is_given && *of != self.kind);
        match (foreign, self.message_index.is_some() && !is_confluent) {
            (Some((key, _, of)), _) => {
                Err(invalid(path, format!("is of type `{}`, which has no key `{key}`", self.kind))
                    .with_hint(format!("`{key}` belongs to the type `{of}`")))
            }
            (None, true) => Err(invalid(path, format!("is of type `{}`, which has no `messageIndex`", self.kind))),
            (None, false) => Ok(()),
        }
    }

    fn check_limits(&self, path: &str) -> Result<(), ControlError> {
        let counts = [
            ("schemaIds", self.schema_ids.as_ref().map_or(0, Vec::len), SCHEMAS_MAX),
            ("schemaGuids", self.schema_guids.as_ref().map_or(0, Vec::len), SCHEMAS_MAX),
            ("messageIndex", self.message_index.as_ref().map_or(0, Vec::len), MESSAGE_INDEX_MAX),
        ];
        match counts.iter().find(|(_, count, max)| count > max) {
            Some((key, count, max)) => Err(ControlError::too_large(
                "topic_invalid",
                format!("`{path}.{key}` has {count} entries, the limit is {max}"),
            )),
            None if self.message_index.as_ref().is_some_and(Vec::is_empty) => {
                Err(invalid(&format!("{path}.messageIndex"), "is empty").with_hint("the first type of a file is [0]"))
            }
            None => Ok(()),
        }
    }
}

fn invalid(path: &str, detail: impl std::fmt::Display) -> ControlError {
    ControlError::invalid("topic_invalid", format!("`{path}` {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_read_and_shown() {
        for (written, shown) in [
            (json!("protobuf"), json!({"type": "protobuf"})),
            (json!("json"), json!({"type": "json"})),
            (json!("confluent"), json!({"type": "confluent"})),
            (
                json!({"type": "confluent", "schemaIds": [7, 12], "writeSchemaId": 12, "messageIndex": [0]}),
                json!({"type": "confluent", "schemaIds": [7, 12], "writeSchemaId": 12, "messageIndex": [0]}),
            ),
            (
                json!({"type": "confluentHeader", "schemaGuid": "8979176223364186967 4299b90a802e2".replace(' ', "")}),
                json!({"type": "confluentHeader", "schemaGuid": "89791762-2336-4186-9674-299b90a802e2"}),
            ),
        ] {
            let format = parse("spec.encoding", &written).unwrap();
            assert_eq!(to_json(&format), shown);
            assert_eq!(parse("spec.encoding", &shown).unwrap(), format);
        }
    }

    #[test]
    fn what_is_no_encoding_is_refused_with_its_place() {
        for (written, problem) in [
            (json!("confluant"), "did you mean `confluent`?"),
            (json!(7), "neither a word nor an object"),
            (json!({"schemaIds": [7]}), "missing field `type`"),
            (json!({"type": "confluent", "schemaId": 7}), "did you mean `schemaIds`?"),
            (json!({"type": "confluent", "schemaIds": [7], "writeSchemaId": 8}), "`schemaIds` does not accept"),
            (json!({"type": "confluent", "schemaGuid": "x"}), "belongs to the type `confluentHeader`"),
            (json!({"type": "json", "messageIndex": [0]}), "has no `messageIndex`"),
            (json!({"type": "confluent", "messageIndex": []}), "is empty"),
            (json!({"type": "confluentHeader", "schemaGuid": "x"}), "`x` is not a GUID"),
        ] {
            let error = parse("spec.encoding", &written).unwrap_err();
            let text = format!("{} {}", error.detail, error.hint.unwrap_or_default());
            assert!(text.contains(problem) && text.contains("`spec.encoding"), "{text}");
        }
    }
}
