//! Checks a query's columns against what a server keeps, and says how to reach the server.

use crate::dagger_spec::{ExternalSinkSpec, ExternalSystem};
use crate::error::ControlError;
use crate::sinks::point_columns::{ForSink, PointColumns, RecordMarks};
use ::sinks::influx::{FieldTypes, InfluxApi, InfluxConfig, InfluxSink};
use ::sinks::line_protocol::{Dialect, TopicTag};
use ::sinks::prometheus::{PrometheusConfig, PrometheusSink, SampleEncoder};
use ::sinks::victoria_metrics::{VictoriaMetricsConfig, VictoriaMetricsSink};
use ::sinks::{
    Credential, Endpoint, FieldKind, HttpOptions, LayoutError, LineEncoder, PointLayout, Precision, RowEncoder,
};
use arrow::datatypes::SchemaRef;
use delivery::{CourierOptions, Destination};
use std::sync::Arc;
use std::time::Duration;

const CODE: &str = "external_sink_refused";
/// How long deploying waits for what a server can say about a measurement.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);

/// A sink that fits its query.
pub struct ExternalSinkConfig {
    pub spec: ExternalSinkSpec,
    pub encoder: Arc<dyn RowEncoder>,
    /// The fields, and what they are written as.
    fields: Vec<(String, FieldKind)>,
    target: Target,
    http: HttpOptions,
}

enum Target {
    Influx(InfluxConfig, Precision),
    VictoriaMetrics(VictoriaMetricsConfig, Precision),
    Prometheus(PrometheusConfig),
}

/// What a sink is checked against.
pub struct Query<'a> {
    pub schema: &'a SchemaRef,
    /// The columns that it groups by; `None` when a row stands for a record.
    pub key_columns: Option<&'a [usize]>,
    /// For rows that stand for records.
    pub marks: RecordMarks,
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
        if query.key_columns.is_none() {
            columns.check_added(sink, &["_partition", "_topic", "_row"])?;
        }
        let layout = PointLayout { time: columns.time, tags: columns.tags, fields: columns.fields };
        let of_records = match query.key_columns {
            Some(_) => None,
            None if query.marks.topics > 1 => Some(TopicTag::Yes),
            None => Some(TopicTag::No),
        };
        if of_records.is_some() && influx_api(&spec.system).is_none() {
            return Err(sink
                .refused("it keeps one value of a series for a millisecond, and every record would be a row")
                .with_hint("group by a window, for example `GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND)`"));
        }
        let refused = |error: LayoutError| sink.refused(format!("`{place}`: {}", error.detail)).with_hint(error.hint);
        let kinds = layout.kinds(query.schema).map_err(refused)?;
        let fields = layout.fields.iter().map(|(_, name)| name.clone()).zip(kinds).collect();
        let credential = credential(spec, secret);
        if !credential.can_be_sent() {
            return Err(at("the value of `secret` has characters that no HTTP header takes".to_owned())
                .with_hint("put it once more, on one line and without characters beyond ASCII"));
        }
        let lines = |dialect| {
            LineEncoder::new(&spec.measurement, layout.clone(), query.schema, dialect, of_records).map_err(refused)
        };
        let (encoder, target): (Arc<dyn RowEncoder>, Target) = match influx_api(&spec.system) {
            Some(api) => {
                let is_3 = matches!(api, InfluxApi::Three { .. });
                let encoder = lines(if is_3 { Dialect::Influx3 } else { Dialect::Influx })?;
                let target = Target::Influx(InfluxConfig { endpoint, api, credential }, encoder.precision());
                (Arc::new(encoder), target)
            }
            None if spec.system == ExternalSystem::PrometheusRemoteWrite => {
                let encoder = SampleEncoder::new(&spec.measurement, layout, query.schema).map_err(refused)?;
                (Arc::new(encoder), Target::Prometheus(PrometheusConfig { endpoint, credential }))
            }
            None => {
                let encoder = lines(Dialect::Numbers)?;
                let config = VictoriaMetricsConfig { endpoint, credential };
                let target = Target::VictoriaMetrics(config, encoder.precision());
                (Arc::new(encoder), target)
            }
        };
        Ok(Self { spec: spec.clone(), encoder, fields, target, http })
    }

    pub fn destination(&self) -> Result<Arc<dyn Destination>, ControlError> {
        let made: Result<Arc<dyn Destination>, String> = match &self.target {
            Target::Influx(config, precision) => {
                InfluxSink::new(config, *precision, &self.http).map(|sink| Arc::new(sink) as _)
            }
            Target::VictoriaMetrics(config, precision) => {
                VictoriaMetricsSink::new(config, *precision, &self.http).map(|sink| Arc::new(sink) as _)
            }
            Target::Prometheus(config) => PrometheusSink::new(config, &self.http).map(|sink| Arc::new(sink) as _),
        };
        made.map_err(ControlError::internal)
    }

    /// How rows are written: what is written so can be given to no sink with another form.
    pub fn form(&self) -> String {
        match &self.target {
            Target::Influx(InfluxConfig { api: InfluxApi::Three { .. }, .. }, precision) => {
                format!("line protocol of InfluxDB 3, {precision:?}")
            }
            Target::Influx(_, precision) => format!("line protocol, {precision:?}"),
            Target::VictoriaMetrics(_, precision) => format!("line protocol of numbers, {precision:?}"),
            Target::Prometheus(_) => "remote write 1.0".to_owned(),
        }
        .to_lowercase()
    }

    /// How the rows are brought there.
    pub fn courier_options(&self) -> CourierOptions {
        let options = CourierOptions::default();
        match self.target {
            // Samples of a series have to come in the order of their times.
            Target::Prometheus(_) => CourierOptions { lanes: 1, ..options },
            Target::Influx(..) | Target::VictoriaMetrics(..) => options,
        }
    }

    /// What somebody who looks at the results should know of the server, as far as it says.
    pub async fn notice(&self) -> Option<String> {
        let Target::VictoriaMetrics(config, _) = &self.target else { return None };
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
    let Target::Influx(influx, _) = &config.target else { return Ok(()) };
    let measurement = &config.spec.measurement;
    let types = influx.field_types(measurement, &config.question()).await;
    if let FieldTypes::NoDatabase(_) = &types {
        let detail = format!("`{place}`: {influx} has no such database");
        return Err(ControlError::conflict(CODE, detail).with_hint("make it there first, or correct `database`"));
    }
    if let FieldTypes::NoRetentionPolicy(_) = &types {
        let detail = format!("`{place}`: {influx} has no such retention policy");
        return Err(ControlError::conflict(CODE, detail).with_hint("make it there first, or correct `retentionPolicy`"));
    }
    let conflicts = types.conflicts(config.fields.iter().map(|(name, kind)| (name.as_str(), *kind)));
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

fn influx_api(system: &ExternalSystem) -> Option<InfluxApi> {
    match system {
        ExternalSystem::VictoriaMetrics | ExternalSystem::PrometheusRemoteWrite => None,
        ExternalSystem::Influx1 { database, retention_policy } => {
            Some(InfluxApi::One { database: database.clone(), retention_policy: retention_policy.clone() })
        }
        ExternalSystem::Influx2 { org, bucket } => Some(InfluxApi::Two { org: org.clone(), bucket: bucket.clone() }),
        ExternalSystem::Influx3 { database } => Some(InfluxApi::Three { database: database.clone() }),
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
