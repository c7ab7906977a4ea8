//! Prometheus as people set it up.

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;

use super::{PrometheusConfig, PrometheusSink, SampleEncoder};
use crate::point_settings::{
    FIELDS, MEASUREMENT, SAME_MILLISECOND, SECRET, TAGS, TIME_COLUMN, USERNAME, check_records, credential, endpoint,
    layout, measurement, refused, url,
};
use crate::{
    Credential, Guarantee, HttpOptions, Order, PlannedSink, RowEncoder, SettingError, Settings, SinkContext,
    SinkDescription, SinkInput, SinkKind,
};

pub(crate) struct PrometheusKind;

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "prometheusRemoteWrite",
    title: "Prometheus remote write",
    what: "Samples in Prometheus, or in what takes its remote write: the metrics are MEASUREMENT_FIELD.",
    settings: &[
        url("with the path, for example `http://prometheus:9090/api/v1/write`"),
        MEASUREMENT,
        TIME_COLUMN,
        TAGS,
        FIELDS,
        SAME_MILLISECOND,
        USERNAME,
        SECRET,
    ],
};

struct PlannedPrometheus {
    config: PrometheusConfig,
    encoder: Arc<SampleEncoder>,
    http: HttpOptions,
}

impl SinkKind for PrometheusKind {
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
        let encoder = SampleEncoder::new(measurement, layout, input.schema).map_err(refused)?;
        Ok(Box::new(PlannedPrometheus {
            config: PrometheusConfig { endpoint, credential },
            encoder: Arc::new(encoder),
            http: context.http.clone(),
        }))
    }
}

#[async_trait]
impl PlannedSink for PlannedPrometheus {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(PrometheusSink::new(&self.config, &self.http)?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Overwrites
    }

    /// Samples of a series have to come in the order of their times.
    fn order(&self) -> Order {
        Order::All
    }

    fn form(&self) -> String {
        "remote write 1.0".to_owned()
    }

    async fn notice(&self) -> Option<String> {
        let notice = "samples that are behind the last one of their series become dead letters unless the receiver takes \
                      them: `storage: {tsdb: {out_of_order_time_window: 1h}}`";
        Some(notice.to_owned())
    }
}
