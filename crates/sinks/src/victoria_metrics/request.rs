//! How VictoriaMetrics is asked.
//!
//! <https://docs.victoriametrics.com/victoriametrics/integrations/influxdb/>

use reqwest::Url;

use super::VictoriaMetricsConfig;
use crate::Precision;

pub(super) fn write_url(config: &VictoriaMetricsConfig, precision: Precision) -> Url {
    let precision = match precision {
        Precision::Milliseconds => "ms",
        Precision::Microseconds => "u",
        Precision::Nanoseconds => "ns",
    };
    config.endpoint.with("write", &[("precision", precision)])
}

/// What tells a server's settings, those that nobody has set among them; `/flags` has the others only.
pub(super) fn metrics_url(config: &VictoriaMetricsConfig) -> Url {
    config.endpoint.with("metrics", &[])
}
