//! Mixpanel's import API. It knows an event again by its `$insert_id`, so that one which is imported twice is there once.

mod answer;
mod config;
mod description;
mod encode;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use delivery::{Answer, CallError, Destination, EncodedBatch};
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use config::MixpanelConfig;
use description::DESCRIPTION;
use encode::EventEncoder;

use crate::http::{COMPRESSED_BYTES_MIN, compressed};
use crate::properties::{Properties, PropertyLimits, TimeForm};
use crate::templates::template;
use crate::time_column::TimeColumn;
use crate::{
    CallLimits, Guarantee, Http, Order, PlannedSink, RowEncoder, SettingError, Settings, SinkContext, SinkDescription,
    SinkInput, SinkKind,
};

/// As it is documented: 2,000 events and 10 MB before they are compressed, the commas between them included.
const CALL_RECORDS_MAX: usize = 2_000;
const CALL_BYTES_MAX: usize = 10_000_000 - CALL_RECORDS_MAX - 2;
/// Without those that are written by settings of their own.
const LIMITS: PropertyLimits =
    PropertyLimits { count_max: 252, name_chars_max: 255, text_bytes_max: usize::MAX, is_nested: true };
const RESERVED: [&str; 4] = ["time", "distinct_id", "$insert_id", "token"];

/// `kind: mixpanel`
#[derive(Debug)]
pub struct MixpanelKind;

struct MixpanelSink {
    name: String,
    http: Http,
    url: Url,
}

#[async_trait]
impl Destination for MixpanelSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let mut body = BytesMut::with_capacity(batch.size() + batch.len() + 2);
        for index in 0..batch.len() {
            body.put_u8(if index == 0 { b'[' } else { b',' });
            body.put_slice(batch.record(index));
        }
        body.put_u8(b']');
        let request = self.http.client().post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = match body.len() < COMPRESSED_BYTES_MIN {
            true => request.body(body.freeze()),
            false => request.header(CONTENT_ENCODING, "gzip").body(compressed(body.freeze()).await?),
        };
        answer::judge(&self.http.send(request).await?, batch.len())
    }
}

impl SinkKind for MixpanelKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let config = MixpanelConfig::read(settings, context)?;
        let needed = |key: &str, what: &str| {
            let template = template(settings, key, input.schema)?;
            template.ok_or_else(|| SettingError::at(key, format!("{what} is missing"), "write a text or a template"))
        };
        let event = needed("event", "the name of the event")?;
        if event.constant() == Some("") {
            return Err(SettingError::at("event", "the name of the event is empty", "write a text or a template"));
        }
        let time = TimeColumn::read(settings, "timeColumn", input)?.ok_or_else(|| {
            SettingError::at("timeColumn", "an event needs a time, and there is none", "name a column with timestamps")
        })?;
        let encoder = EventEncoder {
            owner: context.owner.clone(),
            event,
            distinct_id: needed("distinctId", "what tells the user")?,
            time,
            properties: Properties::read(settings, input.schema, &RESERVED, TimeForm::Text, LIMITS)?,
        };
        Ok(Box::new(PlannedMixpanel { encoder: Arc::new(encoder), config }))
    }
}

struct PlannedMixpanel {
    encoder: Arc<EventEncoder>,
    config: MixpanelConfig,
}

#[async_trait]
impl PlannedSink for PlannedMixpanel {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(MixpanelSink {
            name: self.config.to_string(),
            http: Http::new(&self.config.http, self.config.credential.clone())?,
            url: self.config.import_url(),
        }))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Overwrites
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn limits(&self) -> CallLimits {
        CallLimits { records_max: CALL_RECORDS_MAX, bytes_max: CALL_BYTES_MAX }
    }

    fn form(&self) -> String {
        "Mixpanel events".to_owned()
    }
}
