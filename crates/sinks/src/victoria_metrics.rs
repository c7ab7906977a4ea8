//! VictoriaMetrics, by InfluxDB's line protocol: `MEASUREMENT_FIELD` is the metric, tags are labels. It keeps numbers, to the
//! millisecond, as floating point.

mod answer;
mod config;
mod request;
mod settings;

pub use config::VictoriaMetricsConfig;
pub use settings::ServerSettings;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch};
use reqwest::Url;

use crate::{Http, HttpOptions, Precision};

/// Writes lines to one server.
pub struct VictoriaMetricsSink {
    name: String,
    http: Http,
    url: Url,
}

impl VictoriaMetricsSink {
    pub fn new(config: &VictoriaMetricsConfig, precision: Precision, http: &HttpOptions) -> Result<Self, String> {
        Ok(Self {
            name: config.to_string(),
            http: Http::new(http, config.credential.clone())?,
            url: request::write_url(config, precision),
        })
    }
}

#[async_trait]
impl Destination for VictoriaMetricsSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let reply = self.http.post_text(self.url.clone(), batch.bytes()).await?;
        answer::judge(&reply)
    }
}
