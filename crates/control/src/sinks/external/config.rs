//! Checks a query's columns against what a server keeps, and says how to reach the server.

use crate::dagger_spec::{ExternalSinkSpec, ExternalSystem};
use crate::error::ControlError;
use crate::sink_settings::setting_error;
use crate::sinks::point_columns::{ForSink, RecordMarks};
use ::sinks::influx::{InfluxApi, InfluxConfig, InfluxSink};
use ::sinks::line_protocol::{Dialect, TopicTag};
use ::sinks::prometheus::{PrometheusConfig, PrometheusSink, SampleEncoder};
use ::sinks::victoria_metrics::{VictoriaMetricsConfig, VictoriaMetricsSink};
use ::sinks::{
    CallLimits, Credential, Endpoint, FieldKind, HttpOptions, LayoutError, LineEncoder, PlannedSink, Precision,
    RowEncoder,
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
    pub kind: &'static str,
    /// What it writes to, as far as that tells its rows from those of another sink of the kind.
    pub subject: String,
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
    Kind(Box<dyn PlannedSink>),
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
        let layout = sink.layout(query.schema, query.key_columns, &["_partition", "_topic", "_row"])?;
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
        Ok(Self { kind, subject: spec.measurement.clone(), encoder, fields, target, http })
    }

    /// Any kind of sink, planned for the query.
    pub fn of_kind(kind: &'static str, planned: Box<dyn PlannedSink>, http: HttpOptions) -> Self {
        let (encoder, target) = (planned.encoder(), Target::Kind(planned));
        Self { kind, subject: kind.to_owned(), encoder, fields: Vec::new(), target, http }
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
            Target::Kind(planned) => planned.destination(),
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
            Target::Kind(planned) => return planned.form(),
        }
        .to_lowercase()
    }

    /// How the rows are brought there.
    pub fn courier_options(&self) -> CourierOptions {
        let options = CourierOptions::default();
        match &self.target {
            // Samples of a series have to come in the order of their times.
            Target::Prometheus(_) => CourierOptions { lanes: 1, ..options },
            Target::Influx(..) | Target::VictoriaMetrics(..) => options,
            // Rows have no keys here that would keep their order in several.
            Target::Kind(planned) => {
                let CallLimits { records_max, bytes_max } = planned.limits();
                CourierOptions {
                    lanes: 1,
                    batch_records_max: options.batch_records_max.min(records_max),
                    batch_bytes_max: options.batch_bytes_max.min(bytes_max),
                    ..options
                }
            }
        }
    }

    /// What somebody who looks at the results should know of the server, as far as it says.
    pub async fn notice(&self) -> Option<String> {
        let config = match &self.target {
            Target::VictoriaMetrics(config, _) => config,
            Target::Kind(planned) => return planned.notice().await,
            Target::Influx(..) | Target::Prometheus(_) => return None,
        };
        let http =
            HttpOptions { connect_time_max: QUESTION_TIME_MAX, call_time_max: QUESTION_TIME_MAX, ..self.http.clone() };
        config.notice(&http).await
    }
}

/// Asks the server what it would refuse, such as fields of another type. What cannot be seen is let through.
pub async fn check_with_server(config: &ExternalSinkConfig, place: &str) -> Result<(), ControlError> {
    let influx = match &config.target {
        Target::Influx(influx, _) => influx,
        Target::Kind(planned) => return planned.check().await.map_err(|error| setting_error(place, error)),
        Target::VictoriaMetrics(..) | Target::Prometheus(_) => return Ok(()),
    };
    let checked = influx.check_fields(&config.subject, &config.fields, &config.http).await;
    checked.map_err(|error| ControlError::conflict(CODE, format!("`{place}`: {}", error.detail)).with_hint(error.hint))
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
