//! Requests to any HTTP server: one for each record, or one for many. A request whose answer was lost is sent again.

mod answer;
mod config;
mod description;
mod encode;
mod head;
mod oauth;
mod request;
mod send;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::Destination;

use config::Login;
pub(crate) use config::{Framing, RequestConfig, Target, body_bytes, timeout};
use description::DESCRIPTION;
pub(crate) use description::{
    BODY_BYTES, FOLLOW_REDIRECTS, HEADERS, IN_FLIGHT, SECRET_HEADERS, STATUSES, TIMEOUT, URL,
};
use encode::{Body, HttpEncoder, identity};
pub(crate) use head::{HeadTemplates, PlannedHead, header_value};
use oauth::Tokens;
use send::Quiet;

use crate::{
    CallLimits, Credential, Guarantee, Http, Order, PlannedSink, RowEncoder, SettingError, Settings, SinkContext,
    SinkDescription, SinkInput, SinkKind,
};

/// In a call, where every record is a request.
const SINGLE_RECORDS_MAX: usize = 1_000;
const BATCH_RECORDS_MAX: usize = 20_000;

/// `kind: http`
#[derive(Debug)]
pub struct HttpKind;

/// Sends requests as a [`RequestConfig`] says it.
pub(crate) struct HttpSink {
    http: Http,
    config: Arc<RequestConfig>,
    tokens: Option<Tokens>,
    quiet: Mutex<Option<Quiet>>,
}

impl HttpSink {
    pub fn new(config: Arc<RequestConfig>) -> Result<Self, String> {
        let tokens = match &config.login {
            Login::OAuth(tokens) => Some(Tokens::new(tokens.clone())),
            Login::Fixed(_) => None,
        };
        // Which credential a request has depends on where it goes.
        Ok(Self { http: Http::new(&config.http, Credential::None)?, config, tokens, quiet: Mutex::new(None) })
    }
}

/// Of requests with this framing.
pub(crate) fn limits(framing: &Framing, bytes_max: usize) -> CallLimits {
    let records_max = if *framing == Framing::Single { SINGLE_RECORDS_MAX } else { BATCH_RECORDS_MAX };
    CallLimits { records_max, bytes_max }
}

impl SinkKind for HttpKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let head = PlannedHead::read(settings, input.schema, &context.http.addresses)?;
        let mut config = RequestConfig::read(settings, &head, context)?;
        let body = Body::read(settings, input.schema, &config.framing)?;
        let has_heads = head.is_of_records() || identity(settings)?.is_some();
        if has_heads {
            config.target = Target::OfRecords { origin: head.origin.clone() };
        }
        let records = if has_heads { "heads and bodies" } else { "bodies" };
        let form = format!("HTTP {records}, {}, {}", config.framing, body.form());
        let limits = limits(&config.framing, body_bytes(settings));
        let head = has_heads.then_some(head.templates);
        let encoder = Arc::new(HttpEncoder::new(settings, context, head, body)?);
        Ok(Box::new(PlannedHttp { encoder, config: Arc::new(config), form, limits }))
    }
}

struct PlannedHttp {
    encoder: Arc<HttpEncoder>,
    config: Arc<RequestConfig>,
    form: String,
    limits: CallLimits,
}

#[async_trait]
impl PlannedSink for PlannedHttp {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(HttpSink::new(Arc::clone(&self.config))?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce(
            "a request whose answer was lost is sent again; the server has to know it again by what it says",
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
