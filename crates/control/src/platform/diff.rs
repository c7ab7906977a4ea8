//! What an apply would change, before anybody applies it.

use super::Platform;
use super::validate::type_name;
use crate::dagger_plan::{self, FutureCheck};
use crate::dagger_spec::{DaggerDocument, DaggerSpec};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata, Resource};
use crate::resource_db::Change;
use crate::state_identity::StateVerdict;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A draft against what is deployed under its name.
pub struct DaggerDiff {
    pub name: String,
    pub change: Change,
    pub sql_changed: bool,
    pub columns: ColumnsDiff,
    /// Everything but the SQL.
    pub settings: Vec<SettingChange>,
    pub state: StateVerdict,
    pub warnings: Vec<String>,
}

/// The result's columns; types in the words of the dialect.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ColumnsDiff {
    /// Name and type.
    pub added: Vec<(String, String)>,
    pub removed: Vec<(String, String)>,
    /// Name, type before, type after.
    pub changed: Vec<(String, String, String)>,
}

/// One value of the document; `None` where there is none.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// Such as `streams[0].watermark.delay`.
    pub path: String,
    pub from: Option<Value>,
    pub to: Option<Value>,
}

impl Platform {
    /// Checks a draft as `apply` does and tells what applying it would change. Makes nothing.
    pub async fn diff_dagger(&self, text: &str) -> Result<DaggerDiff, ControlError> {
        let (metadata, document) = DaggerDocument::parse(text)?;
        let mut spec = self.complete(&metadata, document).await?;
        let planned = self.check_dagger(&metadata, &mut spec).await?;
        let state = self.state_verdict(&metadata.name, &spec, &planned).await?;
        let mut warnings = self.warnings(&metadata, &spec, &planned).await?;
        let after = columns(&planned.plan.schema);
        let before = self.db.get(Kind::Dagger, &metadata.name).await?;
        let Some(before) = before else {
            return Ok(DaggerDiff {
                name: metadata.name,
                change: Change::Created,
                sql_changed: true,
                columns: ColumnsDiff { added: after, ..ColumnsDiff::default() },
                settings: Vec::new(),
                state,
                warnings,
            });
        };
        let settings = settings((&before.metadata, &before.spec), (&metadata, &spec.to_json()));
        let sql_changed = before.spec.get("sql").and_then(Value::as_str) != Some(spec.sql.as_str());
        let columns = match self.columns_of(&before) {
            Ok(known) => ColumnsDiff::between(&known, &after),
            Err(error) => {
                warnings.push(format!(
                    "the columns of the former query are not known, it can no longer be planned: {error}"
                ));
                ColumnsDiff::default()
            }
        };
        let is_same = !sql_changed && settings.is_empty();
        let change = if is_same { Change::Unchanged } else { Change::Updated };
        Ok(DaggerDiff { name: metadata.name, change, sql_changed, columns, settings, state, warnings })
    }

    fn columns_of(&self, resource: &Resource) -> Result<Vec<(String, String)>, ControlError> {
        let mut spec = DaggerSpec::from_json(&resource.metadata.name, &resource.spec)?;
        let planned = dagger_plan::plan(&mut spec, &self.schema_set(), FutureCheck::AppendTime)?;
        Ok(columns(&planned.plan.schema))
    }
}

fn columns(schema: &arrow::datatypes::Schema) -> Vec<(String, String)> {
    schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect()
}

impl ColumnsDiff {
    fn between(before: &[(String, String)], after: &[(String, String)]) -> Self {
        let without = |these: &[(String, String)], those: &[(String, String)]| {
            these.iter().filter(|(name, _)| those.iter().all(|(other, _)| other != name)).cloned().collect()
        };
        let changed = after.iter().filter_map(|(name, to)| {
            let (_, from) = before.iter().find(|(known, _)| known == name)?;
            (from != to).then(|| (name.clone(), from.clone(), to.clone()))
        });
        Self { added: without(after, before), removed: without(before, after), changed: changed.collect() }
    }

    fn to_json(&self) -> Value {
        let named = |columns: &[(String, String)]| -> Vec<Value> {
            columns.iter().map(|(name, data_type)| json!({ "name": name, "type": data_type })).collect()
        };
        let changed: Vec<Value> =
            self.changed.iter().map(|(name, from, to)| json!({ "name": name, "from": from, "to": to })).collect();
        json!({ "added": named(&self.added), "removed": named(&self.removed), "changed": changed })
    }
}

impl DaggerDiff {
    pub fn to_json(&self) -> Value {
        let settings: Vec<Value> = self
            .settings
            .iter()
            .map(|setting| json!({ "path": setting.path, "from": setting.from, "to": setting.to }))
            .collect();
        json!({
            "change": self.change.as_str(), "sqlChanged": self.sql_changed, "columns": self.columns.to_json(),
            "settings": settings, "state": self.state.to_json(), "warnings": self.warnings,
        })
    }
}

/// What differs beside the SQL, between two pairs of metadata and spec.
fn settings(before: (&Metadata, &Value), after: (&Metadata, &Value)) -> Vec<SettingChange> {
    let flat = |(metadata, spec): (&Metadata, &Value)| {
        let mut values = BTreeMap::new();
        flatten("metadata", &json!({ "group": metadata.group, "labels": metadata.labels }), &mut values);
        flatten("", spec, &mut values);
        values
    };
    let (mut former, mut latter) = (flat(before), flat(after));
    former.remove("sql");
    latter.remove("sql");
    let mut changes = Vec::new();
    for (path, from) in &former {
        let to = latter.get(path);
        if to != Some(from) {
            changes.push(SettingChange { path: path.clone(), from: Some(from.clone()), to: to.cloned() });
        }
    }
    for (path, to) in latter.into_iter().filter(|(path, _)| !former.contains_key(path)) {
        changes.push(SettingChange { path, from: None, to: Some(to) });
    }
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

/// Every value by its path. What is null is not there.
fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, out);
            }
        }
        value => drop(out.insert(path.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_by_their_paths() {
        let before =
            json!({"sql": "a", "streams": [{"topics": ["x"], "watermark": {"delay": "5s"}}], "parallelism": 1});
        let after = json!({"sql": "b", "streams": [{"topics": ["x", "y"], "watermark": {"delay": "9s"}}]});
        let mut labelled = Metadata::named("d");
        labelled.labels.insert("team".into(), "maps".into());
        let found = settings((&Metadata::named("d"), &before), (&labelled, &after));
        let found: Vec<String> =
            found.iter().map(|change| format!("{} {} {}", change.path, json!(change.from), json!(change.to))).collect();
        assert_eq!(
            found,
            [
                "metadata.labels.team null \"maps\"",
                "parallelism 1 null",
                "streams[0].topics[1] null \"y\"",
                "streams[0].watermark.delay \"5s\" \"9s\"",
            ]
        );
    }

    #[test]
    fn columns_by_their_names() {
        let columns = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            all.iter().map(|(name, data_type)| (name.to_string(), data_type.to_string())).collect()
        };
        let diff = ColumnsDiff::between(
            &columns(&[("a", "INT"), ("b", "INT"), ("c", "INT")]),
            &columns(&[("c", "BIGINT"), ("a", "INT"), ("d", "STRING")]),
        );
        assert_eq!(
            diff.to_json(),
            json!({
                "added": [{"name": "d", "type": "STRING"}], "removed": [{"name": "b", "type": "INT"}],
                "changed": [{"name": "c", "from": "INT", "to": "BIGINT"}],
            })
        );
    }
}
