//! VictoriaMetrics, by InfluxDB's line protocol: `MEASUREMENT_FIELD` is the metric, tags are labels. It keeps numbers, to the
//! millisecond, as floating point. What it would drop without a word is refused here.

mod answer;
mod config;
mod dropped;
mod kind;
mod request;
mod settings;

pub use config::VictoriaMetricsConfig;
pub(crate) use kind::VictoriaMetricsKind;
pub use settings::ServerSettings;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch, EncodedBatchBuilder};
use reqwest::Url;
use tokio::sync::Mutex;

use crate::{Http, HttpOptions, Precision};

/// A server that is started anew may have other settings.
const SETTINGS_AGE_MAX: Duration = Duration::from_secs(60);
/// One that has not said them is asked again after this.
const QUESTION_INTERVAL: Duration = Duration::from_secs(5);

/// Writes lines to one server.
pub struct VictoriaMetricsSink {
    name: String,
    http: Http,
    url: Url,
    config: VictoriaMetricsConfig,
    precision: Precision,
    settings: Mutex<KnownSettings>,
}

/// What the server has said of itself, and when it is asked again.
#[derive(Default)]
struct KnownSettings {
    said: ServerSettings,
    ask_at: Option<Instant>,
}

impl VictoriaMetricsSink {
    pub fn new(config: &VictoriaMetricsConfig, precision: Precision, http: &HttpOptions) -> Result<Self, String> {
        Ok(Self {
            name: config.to_string(),
            http: Http::new(http, config.credential.clone())?,
            url: request::write_url(config, precision),
            config: config.clone(),
            precision,
            settings: Mutex::default(),
        })
    }

    async fn settings(&self) -> Result<ServerSettings, CallError> {
        let mut known = self.settings.lock().await;
        if known.ask_at.is_none_or(|ask_at| ask_at <= Instant::now()) {
            let said = settings::ask(&self.http, &self.config).await?;
            let wait = if said.is_some() { SETTINGS_AGE_MAX } else { QUESTION_INTERVAL };
            known.said = said.unwrap_or(known.said);
            known.ask_at = Some(Instant::now() + wait);
        }
        Ok(known.said)
    }
}

#[async_trait]
impl Destination for VictoriaMetricsSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let settings = self.settings().await?;
        let errors = dropped::dropped(batch, &settings, self.precision, chrono::Utc::now().timestamp_millis());
        let lines = match errors.is_empty() {
            true => batch.bytes(),
            false if errors.len() == batch.len() => return Ok(Answer { errors, retry_after: None }),
            false => {
                let mut kept = EncodedBatchBuilder::with_capacity(batch.len(), batch.size());
                let is_kept = |index: &usize| errors.binary_search_by_key(index, |error| error.index).is_err();
                (0..batch.len()).filter(is_kept).for_each(|index| kept.push(batch.record(index)));
                kept.finish().bytes()
            }
        };
        let reply = self.http.post_text(self.url.clone(), lines).await?;
        answer::judge(&reply).map(|answer| Answer { errors, ..answer })
    }
}
