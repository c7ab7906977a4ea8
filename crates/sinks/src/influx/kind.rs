//! InfluxDB as people set it up.

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;

use super::{InfluxApi, InfluxConfig, InfluxSink};
use crate::line_protocol::{Dialect, TopicTag};
use crate::point_settings::{
    FIELDS, MEASUREMENT, SECRET, TAGS, TIME_COLUMN, USERNAME, credential, endpoint, field_kinds, layout, measurement,
    refused, url,
};
use crate::{
    Credential, FieldKind, Guarantee, HttpOptions, LineEncoder, Need, Order, PlannedSink, RowEncoder, Setting,
    SettingError, Settings, SinkContext, SinkDescription, SinkInput, SinkKind, ValueKind,
};

pub(crate) struct InfluxKind;

const fn place(key: &'static str, title: &'static str, help: &'static str, of: &'static [&'static str]) -> Setting {
    let only_with = Some(("version", of));
    Setting { key, title, help, value: ValueKind::Text, need: Need::Optional, only_with }
}

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "influx",
    title: "InfluxDB",
    what: "Points in InfluxDB 1, 2 or 3; the same record is the same point whenever it is written.",
    settings: &[
        Setting {
            key: "version",
            title: "Version",
            help: "which InfluxDB it is: 1, 2 or 3",
            value: ValueKind::Choice(&["1", "2", "3"]),
            need: Need::Required,
            only_with: None,
        },
        url("where the server is, for example `http://influx:8086`"),
        place("database", "Database", "the database, which has to be there", &["1", "3"]),
        place("retentionPolicy", "Retention policy", "if not given, the database's default", &["1"]),
        place("org", "Organization", "the organization that the bucket is of", &["2"]),
        place("bucket", "Bucket", "the bucket, which has to be there", &["2"]),
        MEASUREMENT,
        TIME_COLUMN,
        TAGS,
        FIELDS,
        Setting { only_with: Some(("version", &["1"])), ..USERNAME },
        SECRET,
    ],
};

struct PlannedInflux {
    config: InfluxConfig,
    measurement: String,
    encoder: Arc<LineEncoder>,
    fields: Vec<(String, FieldKind)>,
    http: HttpOptions,
}

impl SinkKind for InfluxKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let api = api(settings)?;
        let (endpoint, measurement, layout) =
            (endpoint(settings, context)?, measurement(settings, context)?, layout(settings, input)?);
        let credential = match api {
            InfluxApi::Two { .. } => credential(settings, context, Credential::Token)?,
            _ => credential(settings, context, Credential::Bearer)?,
        };
        match (&api, &credential) {
            (InfluxApi::One { .. }, Credential::Bearer(_)) => {
                let detail = "there is a `secret` and no `username`";
                return Err(SettingError::at("username", detail, "InfluxDB 1 takes a user and a password: write both"));
            }
            (InfluxApi::Two { .. } | InfluxApi::Three { .. }, Credential::Basic { .. }) => {
                let detail = "`username` does not go with this version";
                return Err(SettingError::at("username", detail, "leave it out; `secret` names the token's secret"));
            }
            _ => {}
        }
        let of_records = match input.key_columns {
            Some(_) => None,
            // Records of a query may be from several topics.
            None if context.topic.is_empty() => Some(TopicTag::Yes),
            None => Some(TopicTag::No),
        };
        if of_records.is_some() {
            layout.check_added(&["_partition", "_topic", "_row"]).map_err(refused)?;
        }
        let fields = field_kinds(&layout, input)?;
        let dialect = if matches!(api, InfluxApi::Three { .. }) { Dialect::Influx3 } else { Dialect::Influx };
        let encoder = LineEncoder::new(measurement, layout, input.schema, dialect, of_records).map_err(refused)?;
        Ok(Box::new(PlannedInflux {
            config: InfluxConfig { endpoint, api, credential },
            measurement: measurement.to_owned(),
            encoder: Arc::new(encoder),
            fields,
            http: context.http.clone(),
        }))
    }
}

fn api(settings: &Settings) -> Result<InfluxApi, SettingError> {
    let version = settings.text("version").unwrap_or_default();
    let needed = |key: &str| {
        settings.text(key).map(str::to_owned).ok_or_else(|| {
            let detail = format!("there is no `{key}`, which InfluxDB {version} needs");
            SettingError::at(key, detail, format!("write `{key}:`"))
        })
    };
    let (api, keys): (_, &[&str]) = match version {
        "1" => {
            let retention_policy = settings.text("retentionPolicy").map(str::to_owned);
            (InfluxApi::One { database: needed("database")?, retention_policy }, &["database", "retentionPolicy"])
        }
        "2" => (InfluxApi::Two { org: needed("org")?, bucket: needed("bucket")? }, &["org", "bucket"]),
        _ => (InfluxApi::Three { database: needed("database")? }, &["database"]),
    };
    let all = ["database", "retentionPolicy", "org", "bucket"];
    match all.iter().find(|key| !keys.contains(key) && settings.text(key).is_some()) {
        None => Ok(api),
        Some(key) => {
            let detail = format!("`{key}` does not go with InfluxDB {version}");
            Err(SettingError::at(key, detail, format!("it has {}", keys.join(" and "))))
        }
    }
}

#[async_trait]
impl PlannedSink for PlannedInflux {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(InfluxSink::new(&self.config, self.encoder.precision(), &self.http)?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Overwrites
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn form(&self) -> String {
        let of = if matches!(self.config.api, InfluxApi::Three { .. }) { " of influxdb 3" } else { "" };
        format!("line protocol{of}, {:?}", self.encoder.precision()).to_lowercase()
    }

    async fn check(&self) -> Result<(), SettingError> {
        self.config.check_fields(&self.measurement, &self.fields, &self.http).await
    }
}
