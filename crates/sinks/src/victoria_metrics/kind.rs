//! VictoriaMetrics as people set it up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::Destination;

use super::{VictoriaMetricsConfig, VictoriaMetricsSink};
use crate::line_protocol::Dialect;
use crate::point_settings::{
    FIELDS, MEASUREMENT, SAME_MILLISECOND, SECRET, TAGS, TIME_COLUMN, USERNAME, check_records, credential, endpoint,
    layout, measurement, refused, url,
};
use crate::{
    Credential, Guarantee, HttpOptions, LineEncoder, Order, PlannedSink, RowEncoder, SettingError, Settings,
    SinkContext, SinkDescription, SinkInput, SinkKind,
};

/// How long somebody who looks waits for what the server says of itself.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);

pub(crate) struct VictoriaMetricsKind;

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "victoriaMetrics",
    title: "VictoriaMetrics",
    what: "Samples in VictoriaMetrics: every field that is a number is the metric MEASUREMENT_FIELD.",
    settings: &[
        url("a server such as `http://victoria:8428`, or a vminsert: `http://vminsert:8480/insert/0/influx`"),
        MEASUREMENT,
        TIME_COLUMN,
        TAGS,
        FIELDS,
        SAME_MILLISECOND,
        USERNAME,
        SECRET,
    ],
};

struct PlannedVictoriaMetrics {
    config: VictoriaMetricsConfig,
    encoder: Arc<LineEncoder>,
    http: HttpOptions,
}

impl SinkKind for VictoriaMetricsKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let endpoint = endpoint(settings, context)?;
        let credential = credential(settings, context, Credential::Bearer)?;
        let (measurement, layout) = (measurement(settings, context)?, layout(settings, input)?);
        check_records(settings, input)?;
        let encoder = LineEncoder::new(measurement, layout, input.schema, Dialect::Numbers, None).map_err(refused)?;
        Ok(Box::new(PlannedVictoriaMetrics {
            config: VictoriaMetricsConfig { endpoint, credential },
            encoder: Arc::new(encoder),
            http: context.http.clone(),
        }))
    }
}

#[async_trait]
impl PlannedSink for PlannedVictoriaMetrics {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(VictoriaMetricsSink::new(&self.config, self.encoder.precision(), &self.http)?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce("the same sample is kept twice unless the server runs with -dedup.minScrapeInterval=1ms")
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn form(&self) -> String {
        format!("line protocol of numbers, {:?}", self.encoder.precision()).to_lowercase()
    }

    async fn notice(&self) -> Option<String> {
        let http =
            HttpOptions { connect_time_max: QUESTION_TIME_MAX, call_time_max: QUESTION_TIME_MAX, ..self.http.clone() };
        self.config.notice(&http).await
    }
}

impl VictoriaMetricsConfig {
    /// What somebody who looks at the samples should know of the server, as far as it says.
    pub async fn notice(&self, http: &HttpOptions) -> Option<String> {
        let settings = self.server_settings(http).await;
        (settings.deduplicates == Some(false)).then(|| {
            format!(
                "{self} keeps a point that is written again after a crash twice: start it with -dedup.minScrapeInterval=1ms"
            )
        })
    }
}
