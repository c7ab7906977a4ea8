//! The kinds of sinks that there are.

use crate::SinkKind;
use crate::clever_tap::CleverTapKind;
use crate::grpc::GrpcKind;
use crate::http_sink::HttpKind;
use crate::influx::InfluxKind;
use crate::log_lines::LogKind;
use crate::mixpanel::MixpanelKind;
use crate::prometheus::PrometheusKind;
use crate::series::SeriesKind;
use crate::topic::TopicKind;
use crate::victoria_metrics::VictoriaMetricsKind;
use crate::webhook::WebhookKind;

/// In the order in which people are shown them.
pub fn kinds() -> &'static [&'static dyn SinkKind] {
    KINDS
}

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static dyn SinkKind> {
    KINDS.iter().copied().find(|kind| kind.description().kind == name)
}

static KINDS: &[&dyn SinkKind] = &[
    &crate::postgres::POSTGRES,
    &HttpKind,
    &WebhookKind,
    &CleverTapKind,
    &MixpanelKind,
    &SeriesKind,
    &TopicKind,
    &GrpcKind,
    &InfluxKind,
    &VictoriaMetricsKind,
    &PrometheusKind,
    &LogKind,
];
