//! Checks a query's columns against what a server keeps, and says how to reach the server.

use crate::dagger_spec::{ExternalSinkSpec, ExternalSystem};
use crate::error::ControlError;
use crate::sinks::point_columns::{ForSink, PointColumns};
use ::sinks::influx::{FieldTypes, InfluxApi, InfluxConfig, InfluxSink};
use ::sinks::line_protocol::{Dialect, TopicTag};
use ::sinks::victoria_metrics::{VictoriaMetricsConfig, VictoriaMetricsSink};
use ::sinks::{Credential, Endpoint, HttpOptions, LineEncoder, PointLayout};
use arrow::datatypes::SchemaRef;
use delivery::Destination;
use std::sync::Arc;
use std::time::Duration;

const CODE: &str = "external_sink_refused";
/// How long deploying waits for what a server can say about a measurement.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);

/// A sink that fits its query.
pub struct ExternalSinkConfig {
    pub spec: ExternalSinkSpec,
    pub encoder: Arc<LineEncoder>,
    target: Target,
    http: HttpOptions,
}

enum Target {
    Influx(InfluxConfig),
    VictoriaMetrics(VictoriaMetricsConfig),
}

/// What a sink is checked against.
pub struct Query<'a> {
    pub schema: &'a SchemaRef,
    /// The columns that it groups by; `None` when a row stands for a record.
    pub key_columns: Option<&'a [usize]>,
    /// How many topics it reads.
    pub topics: usize,
}

impl ExternalSinkConfig {
    /// `place` is where the sink stands in the spec, `secret` the value of the spec's secret.
    pub fn new(
        spec: &ExternalSinkSpec,
        place: &str,
        query: &Query<'_>,
        secret: Option<String>,
        http: HttpOptions,
    ) -> Result<Self, ControlError> {
        let kind = spec.system.kind();
        let sink = ForSink { kind, code: CODE, tags: &spec.tags };
        let at = |detail: String| ControlError::invalid(CODE, format!("`{place}`: {detail}"));
        let endpoint = Endpoint::parse(&spec.url, &http.addresses)
            .map_err(|error| at(format!("`url`: {}", error.detail)).with_hint(error.hint))?;
        let columns = PointColumns::new(sink, query.schema, query.key_columns)?;
        let layout = PointLayout { time: columns.time, tags: columns.tags, fields: columns.fields };
        let of_records = match query.key_columns {
            Some(_) => None,
            None if query.topics > 1 => Some(TopicTag::Yes),
            None => Some(TopicTag::No),
        };
        let dialect = match spec.system {
            ExternalSystem::VictoriaMetrics => {
                if of_records.is_some() {
                    return Err(sink
                        .refused("VictoriaMetrics keeps one value of a series for a millisecond, and every record would be a row")
                        .with_hint("group by a window, for example `GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND)`"));
                }
                Dialect::Numbers
            }
            _ => Dialect::Influx,
        };
        let encoder = LineEncoder::new(&spec.measurement, layout, query.schema, dialect, of_records)
            .map_err(|error| sink.refused(format!("`{place}`: {}", error.detail)).with_hint(error.hint))?;
        let target = Target::new(&spec.system, endpoint, credential(spec, secret));
        Ok(Self { spec: spec.clone(), encoder: Arc::new(encoder), target, http })
    }

    pub fn destination(&self) -> Result<Arc<dyn Destination>, ControlError> {
        let precision = self.encoder.precision();
        let made: Result<Arc<dyn Destination>, String> = match &self.target {
            Target::Influx(config) => InfluxSink::new(config, precision, &self.http).map(|sink| Arc::new(sink) as _),
            Target::VictoriaMetrics(config) => {
                VictoriaMetricsSink::new(config, precision, &self.http).map(|sink| Arc::new(sink) as _)
            }
        };
        made.map_err(ControlError::internal)
    }

    /// What somebody who looks at the results should know of the server, as far as it says.
    pub async fn notice(&self) -> Option<String> {
        let Target::VictoriaMetrics(config) = &self.target else { return None };
        let settings = config.server_settings(&self.question()).await;
        (settings.deduplicates == Some(false)).then(|| {
            format!(
                "{config} keeps a point that is written again after a crash twice: start it with -dedup.minScrapeInterval=1ms"
            )
        })
    }

    fn question(&self) -> HttpOptions {
        HttpOptions { connect_time_max: QUESTION_TIME_MAX, call_time_max: QUESTION_TIME_MAX, ..self.http.clone() }
    }
}

/// Asks the server what types it has the fields in, and refuses what it would refuse. What cannot be seen is let through.
pub async fn check_field_types(config: &ExternalSinkConfig, place: &str) -> Result<(), ControlError> {
    let Target::Influx(influx) = &config.target else { return Ok(()) };
    let measurement = &config.spec.measurement;
    let types = influx.field_types(measurement, &config.question()).await;
    if let FieldTypes::NoDatabase(_) = &types {
        let detail = format!("`{place}`: {influx} has no such database");
        return Err(ControlError::conflict(CODE, detail).with_hint("make it there first, or correct `database`"));
    }
    let conflicts = types.conflicts(config.encoder.fields());
    let Some(first) = conflicts.first() else { return Ok(()) };
    let detail = format!(
        "`{place}`: the field `{}` would be written as {}, and {influx} has it in `{measurement}` as {}",
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
    Err(ControlError::conflict(CODE, detail).with_hint(hint))
}

impl Target {
    fn new(system: &ExternalSystem, endpoint: Endpoint, credential: Credential) -> Self {
        let api = match system {
            ExternalSystem::VictoriaMetrics => {
                return Self::VictoriaMetrics(VictoriaMetricsConfig { endpoint, credential });
            }
            ExternalSystem::Influx1 { database, retention_policy } => {
                InfluxApi::One { database: database.clone(), retention_policy: retention_policy.clone() }
            }
            ExternalSystem::Influx2 { org, bucket } => InfluxApi::Two { org: org.clone(), bucket: bucket.clone() },
            ExternalSystem::Influx3 { database } => InfluxApi::Three { database: database.clone() },
        };
        Self::Influx(InfluxConfig { endpoint, api, credential })
    }
}

fn credential(spec: &ExternalSinkSpec, secret: Option<String>) -> Credential {
    // A secret that was put from a file ends with a line feed.
    let secret = secret.map(|secret| secret.trim_end_matches(['\r', '\n']).to_owned());
    match (&spec.system, &spec.username, secret) {
        (_, _, None) => Credential::None,
        (_, Some(username), Some(password)) => Credential::Basic { username: username.clone(), password },
        (ExternalSystem::Influx2 { .. }, None, Some(token)) => Credential::Token(token),
        (_, None, Some(token)) => Credential::Bearer(token),
    }
}
