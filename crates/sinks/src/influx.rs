//! InfluxDB 1, 2 and 3, by line protocol. A point that is written twice is there once.

mod answer;
mod check;
mod config;
mod field_types;
mod kind;
mod request;

pub use config::{InfluxApi, InfluxConfig};
pub use field_types::{FieldConflict, FieldTypes};
pub(crate) use kind::InfluxKind;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch};
use reqwest::Url;

use crate::{Http, HttpOptions, Precision};

/// Writes lines to one database of one server.
pub struct InfluxSink {
    name: String,
    http: Http,
    url: Url,
    api: InfluxApi,
}

impl InfluxSink {
    pub fn new(config: &InfluxConfig, precision: Precision, http: &HttpOptions) -> Result<Self, String> {
        Ok(Self {
            name: config.to_string(),
            http: Http::new(http, config.credential.clone())?,
            url: request::write_url(config, precision),
            api: config.api.clone(),
        })
    }
}

#[async_trait]
impl Destination for InfluxSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let reply = self.http.post_text(self.url.clone(), batch.bytes()).await?;
        answer::judge(&self.api, &reply, batch)
    }
}
