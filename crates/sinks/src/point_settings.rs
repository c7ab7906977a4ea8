//! The settings that all sinks of points have.

use crate::columns::known_columns;
use crate::{
    Credential, Endpoint, FieldKind, LayoutError, Need, PointLayout, PointRule, Setting, SettingError, Settings,
    SinkContext, SinkInput, ValueKind,
};

const MEASUREMENT_BYTES_MAX: usize = 1_024;
const TAGS_MAX: usize = 64;

pub(crate) const MEASUREMENT: Setting = Setting {
    key: "measurement",
    title: "Measurement",
    help: "the name that the points are written under; if not given, that of the firehose or dagger",
    value: ValueKind::Text,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const TIME_COLUMN: Setting = Setting {
    key: "timeColumn",
    title: "Time",
    help: "the column with the time of a point; if not given, `window_timestamp` or `rowtime`, or the event time of a record",
    value: ValueKind::Text,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const TAGS: Setting = Setting {
    key: "tags",
    title: "Tags",
    help: "columns that are tags, besides those that are named `tag_...` or `label_...`",
    value: ValueKind::Columns,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const FIELDS: Setting = Setting {
    key: "fields",
    title: "Fields",
    help: "columns that are fields; if not given, all that are neither time nor tag",
    value: ValueKind::Columns,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const SAME_MILLISECOND: Setting = Setting {
    key: "sameMillisecond",
    title: "Records of one millisecond",
    help: "two records with equal tags in one millisecond are one sample here: `last` says that this is wanted",
    value: ValueKind::Choice(&["last"]),
    need: Need::Optional,
    only_with: None,
};

pub(crate) const SECRET: Setting = Setting {
    key: "secret",
    title: "Secret",
    help: "the name of the secret that is the password, or the token",
    value: ValueKind::Secret,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const USERNAME: Setting = Setting {
    key: "username",
    title: "User",
    help: "the user whose password `secret` names; without one, the secret is a token",
    value: ValueKind::Text,
    need: Need::Optional,
    only_with: None,
};

/// An address of a server.
pub(crate) const fn url(help: &'static str) -> Setting {
    Setting { key: "url", title: "Address", help, value: ValueKind::Url, need: Need::Required, only_with: None }
}

pub(crate) fn endpoint(settings: &Settings, context: &SinkContext) -> Result<Endpoint, SettingError> {
    let url = settings.text("url").unwrap_or_default();
    Endpoint::parse(url, &context.http.addresses).map_err(|error| SettingError::at("url", error.detail, error.hint))
}

pub(crate) fn measurement<'a>(settings: &'a Settings, context: &'a SinkContext) -> Result<&'a str, SettingError> {
    let measurement = settings.text("measurement").unwrap_or(&context.owner);
    match measurement.len() {
        1..=MEASUREMENT_BYTES_MAX => Ok(measurement),
        _ => {
            let detail = format!("the measurement must have 1 to {MEASUREMENT_BYTES_MAX} bytes");
            Err(SettingError::at("measurement", detail, "choose a shorter name"))
        }
    }
}

pub(crate) fn layout(settings: &Settings, input: &SinkInput<'_>) -> Result<PointLayout, SettingError> {
    let (tags, fields) = (settings.list("tags"), settings.list("fields"));
    if tags.len() > TAGS_MAX {
        let detail = format!("`tags` has {} entries, the limit is {TAGS_MAX}", tags.len());
        return Err(SettingError::at("tags", detail, "leave out those that no question asks for"));
    }
    for (key, names) in [("tags", &tags), ("fields", &fields)] {
        if let Some(missing) = names.iter().find(|name| input.schema.index_of(name).is_err()) {
            let detail = format!("`{key}` names `{missing}`, which is no column");
            return Err(SettingError::at(key, detail, known_columns(missing, input.schema)));
        }
    }
    let time = match settings.text("timeColumn") {
        None => input.time_column,
        Some(name) => Some(input.schema.index_of(name).map_err(|_| {
            let detail = format!("`timeColumn` names `{name}`, which is no column");
            SettingError::at("timeColumn", detail, known_columns(name, input.schema))
        })?),
    };
    let rule = PointRule { time, tags: &tags, fields: &fields, key_columns: input.key_columns };
    PointLayout::of(input.schema, &rule).map_err(refused)
}

/// Samples have no place for what tells records of one millisecond apart.
pub(crate) fn check_records(settings: &Settings, input: &SinkInput<'_>) -> Result<(), SettingError> {
    if input.key_columns.is_some() || settings.text(SAME_MILLISECOND.key).is_some() {
        return Ok(());
    }
    Err(SettingError::at(
        SAME_MILLISECOND.key,
        "this sink keeps one value of a series for a millisecond, and rows here are records, of which there can be several",
        "write `sameMillisecond: last` if the last one is enough, or let a dagger group them by a window first",
    ))
}

pub(crate) fn refused(error: LayoutError) -> SettingError {
    SettingError { key: None, detail: error.detail, hint: error.hint }
}

/// Names of the fields, and what they are written as.
pub(crate) fn field_kinds(
    layout: &PointLayout,
    input: &SinkInput<'_>,
) -> Result<Vec<(String, FieldKind)>, SettingError> {
    let kinds = layout.kinds(input.schema).map_err(refused)?;
    Ok(layout.fields.iter().map(|(_, name)| name.clone()).zip(kinds).collect())
}

/// User and password, or a token as `token` makes it.
pub(crate) fn credential(
    settings: &Settings,
    context: &SinkContext,
    token: fn(String) -> Credential,
) -> Result<Credential, SettingError> {
    let credential = match (settings.text("username"), context.secret(settings, "secret")?) {
        (None, None) => Credential::None,
        (Some(username), Some(password)) => Credential::Basic { username: username.to_owned(), password },
        (None, Some(value)) => token(value),
        (Some(_), None) => {
            return Err(SettingError::at(
                "secret",
                "there is a `username` and no `secret`",
                "name the secret that is the password",
            ));
        }
    };
    match credential.can_be_sent() {
        true => Ok(credential),
        false => Err(SettingError::at(
            "secret",
            "the value of `secret` has characters that no HTTP header takes",
            "put it once more, on one line and without characters beyond ASCII",
        )),
    }
}
