//! gRPC: one unary call for each record, its message made from the columns. Any service whose `.proto` is registered can be
//! called. Calls for records with the same key are made one after the other.

mod answer;
mod condition;
mod config;
mod connect;
mod deliver;
mod encode;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;

use crate::{
    CallLimits, Guarantee, HttpOptions, Need, Order, PlannedSink, RowEncoder, Setting, SettingError, Settings,
    SinkContext, SinkDescription, SinkInput, SinkKind, ValueKind,
};
use condition::Condition;
use config::GrpcConfig;
use deliver::GrpcDestination;
use encode::CallEncoder;

pub(crate) struct GrpcKind;

/// What a server takes as one message if nobody has said otherwise is 4 MiB.
const CALL_RECORDS_MAX: usize = 5_000;
const CALL_BYTES_MAX: usize = 16 << 20;

const fn optional(key: &'static str, title: &'static str, help: &'static str, value: ValueKind) -> Setting {
    Setting { key, title, help, value, need: Need::Optional, only_with: None }
}

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "grpc",
    title: "gRPC",
    what: "A call of a unary method for each record; any registered service can be called.",
    settings: &[
        Setting {
            key: "url",
            title: "Address",
            help: "where the server is: `http://orders:50051`, or `https://` for TLS",
            value: ValueKind::Url,
            need: Need::Required,
            only_with: None,
        },
        Setting {
            key: "method",
            title: "Method",
            help: "the method that is called: `package.Service/Method`; its `.proto` has to be registered",
            value: ValueKind::Text,
            need: Need::Required,
            only_with: None,
        },
        optional("metadata", "Metadata", "names, and a template for each", ValueKind::Templates),
        optional(
            "secretMetadata",
            "Secret metadata",
            "names, and the name of a secret for each: `authorization: orders-token`",
            ValueKind::Secrets,
        ),
        Setting {
            key: "deadline",
            title: "Deadline",
            help: "how long one call may take",
            value: ValueKind::Duration,
            need: Need::Default("\"5s\""),
            only_with: None,
        },
        Setting {
            key: "inFlight",
            title: "Calls at a time",
            help: "how many calls of a batch are made at a time; records with the same key wait for each other",
            value: ValueKind::Integer { min: 1, max: 1_000 },
            need: Need::Default("32"),
            only_with: None,
        },
        optional(
            "successWhen",
            "Success when",
            "an expression over the response, such as `accepted == true`; without one every response is success",
            ValueKind::Text,
        ),
        optional(
            "caCertificate",
            "CA certificate",
            "the certificates (PEM) that the server's is checked with; without them those of the system",
            ValueKind::Text,
        ),
        optional(
            "serverName",
            "Server name",
            "the name in the server's certificate, if it is not that of the address",
            ValueKind::Text,
        ),
    ],
};

struct PlannedGrpc {
    config: GrpcConfig,
    encoder: Arc<CallEncoder>,
    condition: Option<Arc<Condition>>,
    http: HttpOptions,
}

impl SinkKind for GrpcKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let services = context.services()?;
        let name = settings.text("method").unwrap_or_default();
        let method = services.method(name).map_err(|error| SettingError::at("method", error.detail, error.hint))?;
        if method.is_client_streaming() || method.is_server_streaming() {
            let detail = format!("`{name}` is a stream, and a record is one call with one answer");
            return Err(SettingError::at("method", detail, "name a unary method"));
        }
        let config = GrpcConfig::read(settings, context, &method)?;
        let encoder = Arc::new(CallEncoder::new(settings, input.schema, &method.input())?);
        let condition = settings.text("successWhen").map(|text| Condition::compile(text, &method.output()));
        let condition = condition.transpose()?.map(Arc::new);
        Ok(Box::new(PlannedGrpc { config, encoder, condition, http: context.http.clone() }))
    }
}

#[async_trait]
impl PlannedSink for PlannedGrpc {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(GrpcDestination::new(&self.config, self.condition.clone(), &self.http)?))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce("a call whose answer was lost is made again")
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn limits(&self) -> CallLimits {
        CallLimits { records_max: CALL_RECORDS_MAX, bytes_max: CALL_BYTES_MAX }
    }

    fn form(&self) -> String {
        format!("call of {}", self.config.method)
    }
}
