//! Asks the server what types it has the fields in, and refuses what it would refuse. What cannot be seen is let through.

use std::time::Duration;

use super::{FieldTypes, InfluxConfig};
use crate::{FieldKind, HttpOptions, SettingError};

/// How long somebody who deploys waits for what a server can say about a measurement.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);

impl InfluxConfig {
    pub async fn check_fields(
        &self,
        measurement: &str,
        fields: &[(String, FieldKind)],
        http: &HttpOptions,
    ) -> Result<(), SettingError> {
        let http =
            HttpOptions { connect_time_max: QUESTION_TIME_MAX, call_time_max: QUESTION_TIME_MAX, ..http.clone() };
        let types = self.field_types(measurement, &http).await;
        match &types {
            FieldTypes::NoDatabase(_) => {
                let detail = format!("{self} has no such database");
                return Err(SettingError::at("database", detail, "make it there first, or correct `database`"));
            }
            FieldTypes::NoRetentionPolicy(_) => {
                let detail = format!("{self} has no such retention policy");
                let hint = "make it there first, or correct `retentionPolicy`";
                return Err(SettingError::at("retentionPolicy", detail, hint));
            }
            FieldTypes::Known(_) | FieldTypes::Unseen(_) => {}
        }
        let conflicts = types.conflicts(fields.iter().map(|(name, kind)| (name.as_str(), *kind)));
        let Some(first) = conflicts.first() else { return Ok(()) };
        let detail = format!(
            "the field `{}` would be written as {}, and {self} has it in `{measurement}` as {}",
            first.field,
            first.written.as_str(),
            first.stored
        );
        let hint = match first.stored.as_str() {
            "float" => format!("write `CAST(... AS DOUBLE) AS {}`, or choose another measurement", first.field),
            "integer" => format!("write `CAST(... AS BIGINT) AS {}`, or choose another measurement", first.field),
            "string" => format!("write `CAST(... AS STRING) AS {}`, or choose another measurement", first.field),
            _ => "name the column differently, or choose another measurement".to_owned(),
        };
        Err(SettingError { key: None, detail, hint })
    }
}
