//! The kinds of sinks as people and forms see them.

use serde_json::{Map, Value, json};
use sinks::{Need, Setting, ValueKind};

/// `[{kind, title, what, settings: [{key, title, help, type, need, default, choices, min, max, onlyWith}]}]`
pub fn sink_kinds() -> Vec<Value> {
    let kinds = sinks::kinds().iter().map(|kind| {
        let description = kind.description();
        json!({
            "kind": description.kind, "title": description.title, "what": description.what,
            "settings": description.settings.iter().map(setting).collect::<Vec<_>>(),
        })
    });
    kinds.collect()
}

fn setting(setting: &Setting) -> Value {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    put("key", json!(setting.key));
    put("title", json!(setting.title));
    put("help", json!(setting.help));
    put("type", json!(type_of(setting.value)));
    let (need, default) = match setting.need {
        Need::Required => ("required", Value::Null),
        Need::Optional => ("optional", Value::Null),
        Need::Default(text) => ("default", serde_json::from_str(text).unwrap_or_default()),
    };
    put("need", json!(need));
    put("default", default);
    match setting.value {
        ValueKind::Integer { min, max } => {
            put("min", json!(min));
            put("max", json!(max));
        }
        ValueKind::Choice(choices) => put("choices", json!(choices)),
        _ => {}
    }
    if let Some((key, values)) = setting.only_with {
        put("onlyWith", json!({ "key": key, "values": values }));
    }
    Value::Object(shown)
}

fn type_of(value: ValueKind) -> &'static str {
    match value {
        ValueKind::Text => "text",
        ValueKind::Url => "url",
        ValueKind::Boolean => "boolean",
        ValueKind::Integer { .. } => "integer",
        ValueKind::Duration => "duration",
        ValueKind::Choice(_) => "choice",
        ValueKind::Secret => "secret",
        ValueKind::Columns => "columns",
        ValueKind::Template => "template",
        ValueKind::Templates => "templates",
        ValueKind::Texts => "texts",
        ValueKind::Secrets => "secrets",
    }
}
