//! What a person can say about a sink, as data: forms, checks and the reference are made from it.

use std::time::Duration;

use serde_json::{Map, Value};

/// One kind of sink, for people.
#[derive(Clone, Copy, Debug)]
pub struct SinkDescription {
    /// As it is written in `kind:`.
    pub kind: &'static str,
    pub title: &'static str,
    /// One sentence.
    pub what: &'static str,
    pub settings: &'static [Setting],
}

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub title: &'static str,
    pub help: &'static str,
    pub value: ValueKind,
    pub need: Need,
    /// Shown by forms only when another setting has one of these values: its key, and the values as text.
    pub only_with: Option<(&'static str, &'static [&'static str])>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Need {
    Required,
    Optional,
    /// As it would be written in JSON.
    Default(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueKind {
    Text,
    /// Of a server.
    Url,
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    /// `500ms`, `10s`, `5m`, `1h`, `7d`.
    Duration,
    Choice(&'static [&'static str]),
    /// The name of a secret.
    Secret,
    /// Names of columns.
    Columns,
    /// Text with fields of the record in it.
    Template,
    /// Names, and a template for each.
    Templates,
    /// Names, and a text for each.
    Texts,
    /// Names, and the name of a secret for each.
    Secrets,
}

/// Settings that have been read: known, of the right form, within limits, and with their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    values: Map<String, Value>,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SettingError {
    /// `None` for something that is about all of them.
    pub key: Option<String>,
    pub detail: String,
    pub hint: String,
}

impl SettingError {
    pub fn at(key: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), detail: detail.into(), hint: hint.into() }
    }
}

const TEXT_BYTES_MAX: usize = 64 << 10;
const ENTRIES_MAX: usize = 1_000;

impl Settings {
    /// Reads what a document says, all but its `kind`.
    pub fn read(description: &SinkDescription, document: &Map<String, Value>) -> Result<Self, SettingError> {
        if let Some(key) = document.keys().find(|key| !description.settings.iter().any(|setting| setting.key == **key))
        {
            let known: Vec<&str> = description.settings.iter().map(|setting| setting.key).collect();
            let detail = format!("a sink of the kind `{}` has no `{key}`", description.kind);
            return Err(SettingError::at(key, detail, format!("it has {}", known.join(", "))));
        }
        let mut values = Map::new();
        for setting in description.settings {
            let value = match (document.get(setting.key), setting.need) {
                (Some(value), _) if !value.is_null() => {
                    let value = plain(setting, value);
                    check(setting, &value)?;
                    value
                }
                (_, Need::Required) => {
                    let detail = format!("a sink of the kind `{}` needs `{}`", description.kind, setting.key);
                    return Err(SettingError::at(setting.key, detail, setting.help));
                }
                (_, Need::Optional) => continue,
                (_, Need::Default(text)) => serde_json::from_str(text).map_err(|error| {
                    SettingError::at(setting.key, format!("the default `{text}` is broken: {error}"), "report it")
                })?,
            };
            values.insert(setting.key.to_owned(), value);
        }
        Ok(Self { values })
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }

    pub fn boolean(&self, key: &str) -> bool {
        self.values.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        self.values.get(key)?.as_i64()
    }

    pub fn duration(&self, key: &str) -> Option<Duration> {
        duration(self.text(key)?)
    }

    pub fn list(&self, key: &str) -> Vec<&str> {
        self.values.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Names and texts, in the order that they were written in.
    pub fn map(&self, key: &str) -> Vec<(&str, &str)> {
        let entries = self.values.get(key).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
    }

    /// The names of the secrets that are referred to.
    pub fn secrets(&self, description: &SinkDescription) -> Vec<&str> {
        let of_setting = |setting: &Setting| match setting.value {
            ValueKind::Secret => self.text(setting.key).into_iter().collect(),
            ValueKind::Secrets => self.map(setting.key).into_iter().map(|(_, secret)| secret).collect(),
            _ => Vec::new(),
        };
        description.settings.iter().flat_map(of_setting).collect()
    }

    pub fn to_json(&self) -> &Map<String, Value> {
        &self.values
    }
}

/// A choice between numbers, such as a version, may be written as one.
fn plain(setting: &Setting, value: &Value) -> Value {
    match (setting.value, value) {
        (ValueKind::Choice(_), Value::Number(number)) => Value::String(number.to_string()),
        _ => value.clone(),
    }
}

fn check(setting: &Setting, value: &Value) -> Result<(), SettingError> {
    let key = setting.key;
    let is_not = |what: &str| Err(SettingError::at(key, format!("`{key}` is not {what}"), setting.help));
    let is_text = |value: &Value| value.as_str().is_some_and(|text| text.len() <= TEXT_BYTES_MAX);
    match setting.value {
        ValueKind::Boolean if !value.is_boolean() => is_not("true or false"),
        ValueKind::Integer { min, max } if !value.as_i64().is_some_and(|value| (min..=max).contains(&value)) => {
            is_not(&format!("a whole number from {min} to {max}"))
        }
        ValueKind::Duration if value.as_str().and_then(duration).is_none() => {
            is_not("a duration such as `500ms`, `10s`, `5m`, `1h` or `7d`")
        }
        ValueKind::Choice(choices) if !value.as_str().is_some_and(|text| choices.contains(&text)) => {
            is_not(&format!("one of {}", choices.join(", ")))
        }
        ValueKind::Columns
            if !value.as_array().is_some_and(|names| names.len() <= ENTRIES_MAX && names.iter().all(is_text)) =>
        {
            is_not("a list of columns")
        }
        ValueKind::Templates | ValueKind::Texts | ValueKind::Secrets
            if !value.as_object().is_some_and(|map| map.len() <= ENTRIES_MAX && map.values().all(is_text)) =>
        {
            is_not("a map of names to texts")
        }
        ValueKind::Text | ValueKind::Url | ValueKind::Secret | ValueKind::Template if !is_text(value) => {
            is_not(&format!("a text of at most {TEXT_BYTES_MAX} bytes"))
        }
        ValueKind::Text | ValueKind::Url | ValueKind::Secret if value.as_str() == Some("") => {
            is_not("there: it is empty")
        }
        _ => Ok(()),
    }
}

pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    Some(match &text[digits..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        "d" => Duration::from_secs(number.checked_mul(86_400)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SETTINGS: &[Setting] = &[
        setting("url", ValueKind::Url, Need::Required),
        setting("batch", ValueKind::Integer { min: 1, max: 10 }, Need::Default("5")),
        setting("mode", ValueKind::Choice(&["append", "upsert"]), Need::Optional),
        setting("timeout", ValueKind::Duration, Need::Default("\"10s\"")),
        setting("headers", ValueKind::Templates, Need::Optional),
        setting("secret", ValueKind::Secret, Need::Optional),
        setting("secretHeaders", ValueKind::Secrets, Need::Optional),
        setting("version", ValueKind::Choice(&["1", "2"]), Need::Optional),
    ];
    const SINK: SinkDescription = SinkDescription { kind: "test", title: "Test", what: "", settings: SETTINGS };

    const fn setting(key: &'static str, value: ValueKind, need: Need) -> Setting {
        Setting { key, title: "", help: "write it as it is", value, need, only_with: None }
    }

    fn read(document: Value) -> Result<Settings, SettingError> {
        Settings::read(&SINK, document.as_object().unwrap())
    }

    #[test]
    fn defaults_are_filled_in() {
        let settings = read(json!({
            "url": "http://a", "headers": { "b": "1", "a": "{{ x }}" }, "secret": "s", "secretHeaders": { "X-Key": "k" },
            "version": 2,
        }))
        .unwrap();
        assert_eq!(settings.text("version"), Some("2"));
        assert_eq!((settings.integer("batch"), settings.text("mode")), (Some(5), None));
        assert_eq!(settings.duration("timeout"), Some(Duration::from_secs(10)));
        assert_eq!(settings.map("headers"), [("b", "1"), ("a", "{{ x }}")]);
        assert_eq!(settings.secrets(&SINK), ["s", "k"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (document, key, detail) in [
            (json!({}), "url", "needs `url`"),
            (json!({ "url": "" }), "url", "is empty"),
            (json!({ "url": 1 }), "url", "is not a text"),
            (json!({ "url": "a", "color": 1 }), "color", "has no `color`"),
            (json!({ "url": "a", "batch": 11 }), "batch", "from 1 to 10"),
            (json!({ "url": "a", "mode": "x" }), "mode", "one of append, upsert"),
            (json!({ "url": "a", "version": 3 }), "version", "one of 1, 2"),
            (json!({ "url": "a", "timeout": "10" }), "timeout", "is not a duration"),
            (json!({ "url": "a", "timeout": "99999999999999999999s" }), "timeout", "is not a duration"),
            (json!({ "url": "a", "headers": { "a": 1 } }), "headers", "is not a map"),
            (json!({ "url": "a", "secretHeaders": ["k"] }), "secretHeaders", "is not a map"),
        ] {
            let error = read(document).unwrap_err();
            assert!(error.key.as_deref() == Some(key) && error.detail.contains(detail), "{error:?}");
        }
    }
}
