//! Templates of settings, compiled against the columns.

use arrow::datatypes::Schema;
use shape::{ShapeError, Template};

use crate::{SettingError, Settings};

/// The template of a setting, if it is given.
pub(crate) fn template(settings: &Settings, key: &str, schema: &Schema) -> Result<Option<Template>, SettingError> {
    let compile = |text| Template::compile(text, schema).map_err(|error| at(key, None, error));
    settings.text(key).map(compile).transpose()
}

/// Names and templates of a setting that has several.
pub(crate) fn templates(
    settings: &Settings,
    key: &str,
    schema: &Schema,
) -> Result<Vec<(String, Template)>, SettingError> {
    let compile = |(name, text): (&str, &str)| {
        let template = Template::compile(text, schema).map_err(|error| at(key, Some(name), error))?;
        Ok((name.to_owned(), template))
    };
    settings.map(key).into_iter().map(compile).collect()
}

fn at(key: &str, name: Option<&str>, error: ShapeError) -> SettingError {
    let detail = match name {
        Some(name) => format!("`{name}`: {}", error.detail),
        None => error.detail,
    };
    SettingError::at(key, detail, error.hint)
}

/// What is left of a template's text before the first thing in it that depends on a record.
pub(crate) fn constant_start(text: &str) -> &str {
    let end = ["{{", "{%", "{#"].iter().filter_map(|open| text.find(open)).min();
    &text[..end.unwrap_or(text.len())]
}
