//! CleverTap's upload API: events and profiles of users. It counts an event that is uploaded twice as two; a profile is
//! written over.

mod answer;
mod config;
mod description;
mod encode;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use delivery::{Answer, CallError, Destination, EncodedBatch};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use config::CleverTapConfig;
use description::DESCRIPTION;
use encode::{RecordEncoder, Upload};

use crate::properties::{Properties, PropertyLimits, TimeForm};
use crate::templates::template;
use crate::time_column::TimeColumn;
use crate::{
    CallLimits, Credential, Guarantee, Http, Order, PlannedSink, RowEncoder, SettingError, Settings, SinkContext,
    SinkDescription, SinkInput, SinkKind,
};

/// As it is documented.
const CALL_RECORDS_MAX: usize = 1_000;
const CALL_BYTES_MAX: usize = 8 << 20;
const LIMITS: PropertyLimits =
    PropertyLimits { count_max: 256, name_chars_max: 120, text_bytes_max: 512, is_nested: false };

/// `kind: cleverTap`
#[derive(Debug)]
pub struct CleverTapKind;

struct CleverTapSink {
    name: String,
    http: Http,
    url: Url,
    config: CleverTapConfig,
}

#[async_trait]
impl Destination for CleverTapSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let mut body = BytesMut::with_capacity(batch.size() + batch.len() + 16);
        body.put_slice(b"{\"d\":");
        for index in 0..batch.len() {
            body.put_u8(if index == 0 { b'[' } else { b',' });
            body.put_slice(batch.record(index));
        }
        body.put_slice(b"]}");
        let request = self.http.client().post(self.url.clone()).headers(self.config.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.freeze());
        answer::judge(&self.http.send(request).await?, batch)
    }
}

impl SinkKind for CleverTapKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let config = CleverTapConfig::read(settings, context)?;
        let named = |key: &str, what: &str| {
            let template = template(settings, key, input.schema)?.filter(|template| template.constant() != Some(""));
            template.ok_or_else(|| SettingError::at(key, format!("{what} is missing"), "write a text or a template"))
        };
        let upload = match settings.text("type") {
            Some("profile") => Upload::Profile,
            _ => Upload::Event { name: named("event", "the name of the event")? },
        };
        let encoder = RecordEncoder {
            upload,
            identity_type: settings.text("identityType").unwrap_or("identity").to_owned(),
            identity: named("identity", "what tells the user")?,
            time: TimeColumn::read(settings, "timeColumn", input)?,
            properties: Properties::read(settings, input.schema, &[], TimeForm::CleverTap, LIMITS)?,
        };
        Ok(Box::new(PlannedCleverTap { encoder: Arc::new(encoder), config }))
    }
}

struct PlannedCleverTap {
    encoder: Arc<RecordEncoder>,
    config: CleverTapConfig,
}

#[async_trait]
impl PlannedSink for PlannedCleverTap {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(CleverTapSink {
            name: self.config.to_string(),
            http: Http::new(&self.config.http, Credential::None)?,
            url: self.config.endpoint.with("1/upload", &[]),
            config: self.config.clone(),
        }))
    }

    fn guarantee(&self) -> Guarantee {
        match self.encoder.upload {
            Upload::Event { .. } => Guarantee::AtLeastOnce(
                "CleverTap does not know an event again, so one whose answer was lost is there twice",
            ),
            Upload::Profile => Guarantee::Overwrites,
        }
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn limits(&self) -> CallLimits {
        CallLimits { records_max: CALL_RECORDS_MAX, bytes_max: CALL_BYTES_MAX }
    }

    fn form(&self) -> String {
        match self.encoder.upload {
            Upload::Event { .. } => "CleverTap events".to_owned(),
            Upload::Profile => "CleverTap profiles".to_owned(),
        }
    }
}
