//! What types a measurement's fields have already, so that a conflict is seen before anything is written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{InfluxApi, InfluxConfig, request};
use crate::{FieldKind, Http, HttpOptions};

/// A field that has another type at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    pub field: String,
    pub written: FieldKind,
    /// In the server's words.
    pub stored: String,
}

/// What the server knows of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTypes {
    /// Nothing for a measurement that is not there. A field can have different types at different times.
    Known(BTreeMap<String, Vec<String>>),
    /// The server has answered, and says that there is no such database.
    NoDatabase(String),
    NoRetentionPolicy(String),
    /// It cannot be seen: the server is down, or does not let us ask.
    Unseen(String),
}

impl InfluxConfig {
    pub async fn field_types(&self, measurement: &str, http: &HttpOptions) -> FieldTypes {
        let http = match Http::new(http, self.credential.clone()) {
            Ok(http) => http,
            Err(reason) => return FieldTypes::Unseen(reason),
        };
        match http.get(request::field_types_url(self, measurement)).await {
            Ok(reply) if reply.status.is_success() => match serde_json::from_slice(&reply.body) {
                Ok(body) => read(&self.api, &body),
                Err(_) => FieldTypes::Unseen("the answer is not JSON".to_owned()),
            },
            Ok(reply) => FieldTypes::Unseen(reply.error().reason),
            Err(error) => FieldTypes::Unseen(error.reason),
        }
    }
}

impl FieldTypes {
    /// The fields that the server would refuse.
    pub fn conflicts<'a>(&self, fields: impl Iterator<Item = (&'a str, FieldKind)>) -> Vec<FieldConflict> {
        let Self::Known(known) = self else { return Vec::new() };
        let conflict = |(field, written): (&str, FieldKind)| {
            let stored = known.get(field)?;
            let fits = stored.iter().any(|stored| stored == written.as_str());
            (!fits).then(|| FieldConflict { field: field.to_owned(), written, stored: stored.join(" and ") })
        };
        fields.filter_map(conflict).collect()
    }
}

fn read(api: &InfluxApi, body: &Value) -> FieldTypes {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match api {
        InfluxApi::Three { .. } => {
            for column in body.as_array().into_iter().flatten() {
                let (Some(name), Some(data_type)) = (text(column, "column_name"), text(column, "data_type")) else {
                    continue;
                };
                known.entry(name.to_owned()).or_default().push(type_of_arrow(data_type).to_owned());
            }
        }
        InfluxApi::One { .. } | InfluxApi::Two { .. } => {
            let result = &body["results"][0];
            match result["error"].as_str().or(body["error"].as_str()) {
                Some(error) if error.starts_with("database not found") => {
                    return FieldTypes::NoDatabase(error.to_owned());
                }
                Some(error) if error.starts_with("retention policy not found") => {
                    return FieldTypes::NoRetentionPolicy(error.to_owned());
                }
                Some(error) => return FieldTypes::Unseen(error.to_owned()),
                None => {}
            }
            let values =
                result["series"].as_array().into_iter().flatten().filter_map(|series| series["values"].as_array());
            for pair in values.flatten() {
                let (Some(name), Some(data_type)) = (pair[0].as_str(), pair[1].as_str()) else { continue };
                known.entry(name.to_owned()).or_default().push(data_type.to_owned());
            }
        }
    }
    FieldTypes::Known(known)
}

fn text<'a>(column: &'a Value, key: &str) -> Option<&'a str> {
    column.get(key)?.as_str()
}

fn type_of_arrow(data_type: &str) -> &str {
    match data_type {
        "Float64" => "float",
        "Int64" => "integer",
        "UInt64" => "unsigned integer",
        "Boolean" => "boolean",
        "Utf8" => "string",
        tag if tag.starts_with("Dictionary") => "tag",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_type_that_the_server_would_refuse_is_a_conflict() {
        let one = InfluxApi::One { database: "d".into(), retention_policy: None };
        let body = json!({"results": [{"statement_id": 0, "series": [{
            "name": "m", "columns": ["fieldKey", "fieldType"],
            "values": [["n", "integer"], ["v", "float"], ["both", "float"], ["both", "integer"]],
        }]}]});
        let known = read(&one, &body);
        let written =
            [("n", FieldKind::Float), ("v", FieldKind::Float), ("both", FieldKind::Integer), ("new", FieldKind::Text)];
        assert_eq!(
            known.conflicts(written.into_iter()),
            [FieldConflict { field: "n".into(), written: FieldKind::Float, stored: "integer".into() }]
        );
        assert_eq!(read(&one, &json!({"results": [{"statement_id": 0}]})), FieldTypes::Known(BTreeMap::new()));
        let missing = json!({"results": [{"statement_id": 0, "error": "database not found: d"}]});
        assert!(matches!(read(&one, &missing), FieldTypes::NoDatabase(_)));
    }

    #[test]
    fn version_3_tells_tags_too() {
        let body = json!([
            {"column_name": "n", "data_type": "Int64"}, {"column_name": "city", "data_type": "Dictionary(Int32, Utf8)"},
        ]);
        let known = read(&InfluxApi::Three { database: "d".into() }, &body);
        let written = [("n", FieldKind::Integer), ("city", FieldKind::Text)];
        let conflicts = known.conflicts(written.into_iter());
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].stored, "tag");
    }
}
