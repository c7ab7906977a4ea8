//! Records as CloudEvents 1.0 in HTTP requests, signed as Standard Webhooks are. An event that is sent again has the same id.

mod description;
mod encode;
mod sign;

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use description::DESCRIPTION;
use encode::{EventEncoder, Mode};
pub(crate) use sign::Signer;

use crate::http_sink::{Framing, HttpSink, PlannedHead, RequestConfig, Target, body_bytes, limits};
use crate::templates::template;
use crate::time_column::TimeColumn;
use crate::{
    CallLimits, Guarantee, Order, PlannedSink, RowEncoder, SettingError, Settings, SinkContext, SinkDescription,
    SinkInput, SinkKind,
};

/// `kind: webhook`
#[derive(Debug)]
pub struct WebhookKind;

impl SinkKind for WebhookKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let (mode, framing, content_type) = match settings.text("mode") {
            Some("binary") => (Mode::Binary, Framing::Single, "application/json"),
            Some("batch") => (Mode::Batch, Framing::array(), "application/cloudevents-batch+json; charset=utf-8"),
            _ => (Mode::Structured, Framing::Single, "application/cloudevents+json; charset=utf-8"),
        };
        let head = PlannedHead::read(settings, input.schema, &context.http.addresses)?;
        let signer = context.secret(settings, "signingSecret")?.map(|secret| {
            let hint = "put the secret again: `whsec_` and base64, or a text of 16 bytes or more";
            Signer::new(&secret).map_err(|detail| SettingError::at("signingSecret", detail, hint))
        });
        let signer = signer.transpose()?;
        let mut config = RequestConfig::read(settings, &head, context)?;
        config.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        // Attributes and ids in headers are of single records.
        let has_heads = head.is_of_records() || mode == Mode::Binary || (signer.is_some() && mode == Mode::Structured);
        if has_heads {
            config.target = Target::OfRecords { origin: head.origin.clone() };
        }
        let is_signed = signer.is_some();
        (config.framing, config.signer) = (framing, signer);
        let data = EventEncoder::data(input.schema).map_err(|detail| SettingError {
            key: None,
            detail,
            hint: "select a part of it, or cast it".to_owned(),
        })?;
        let event_type =
            template(settings, "type", input.schema)?.filter(|template| template.constant() != Some("")).ok_or_else(
                || SettingError::at("type", "the events have no type", "write for example `com.shop.order`"),
            )?;
        let encoder = EventEncoder {
            mode,
            owner: context.owner.clone(),
            head: has_heads.then_some(head.templates),
            is_signed,
            event_type,
            source: template(settings, "source", input.schema)?,
            subject: template(settings, "subject", input.schema)?,
            time: TimeColumn::read(settings, "timeColumn", input)?,
            data,
            bytes_max: body_bytes(settings),
        };
        let records = if has_heads { "heads and events" } else { "events" };
        let limits = limits(&config.framing, encoder.bytes_max);
        let form = format!("CloudEvents {records}, {mode:?}");
        Ok(Box::new(PlannedWebhook { encoder: Arc::new(encoder), config: Arc::new(config), form, limits }))
    }
}

struct PlannedWebhook {
    encoder: Arc<EventEncoder>,
    config: Arc<RequestConfig>,
    form: String,
    limits: CallLimits,
}

#[async_trait]
impl PlannedSink for PlannedWebhook {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(HttpSink::new(Arc::clone(&self.config))?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce(
            "an event whose answer was lost is sent again, with the same id: a receiver that keeps ids takes it once",
        )
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn limits(&self) -> CallLimits {
        self.limits
    }

    fn form(&self) -> String {
        self.form.clone()
    }

    async fn notice(&self) -> Option<String> {
        self.config.notice()
    }
}
