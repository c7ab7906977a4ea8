//! Prometheus and whatever else takes its remote write: `MEASUREMENT_FIELD` is the metric, tags are labels.
//!
//! A receiver takes the samples of a series in the order of their times. So one call goes out after the other, rows are
//! brought into order, and a sample that is behind its series' last is the receiver's to take or refuse.

mod answer;
mod config;
mod encode;
mod kind;
mod request;

pub use config::PrometheusConfig;
pub use encode::SampleEncoder;
pub(crate) use kind::PrometheusKind;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch};
use reqwest::Url;

use crate::{Http, HttpOptions};

/// Writes samples to one receiver.
pub struct PrometheusSink {
    name: String,
    http: Http,
    url: Url,
}

impl PrometheusSink {
    pub fn new(config: &PrometheusConfig, http: &HttpOptions) -> Result<Self, String> {
        Ok(Self {
            name: config.to_string(),
            http: Http::new(http, config.credential.clone())?,
            url: config.endpoint.with("", &[]),
        })
    }
}

#[async_trait]
impl Destination for PrometheusSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let request = request::write(self.http.client(), self.url.clone(), &batch.bytes())?;
        answer::judge(&self.http.send(request).await?)
    }
}
