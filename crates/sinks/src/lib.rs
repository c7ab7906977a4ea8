//! The systems that results and records are written to, one module each, with the same file names in each: `config` or `kind`
//! (what a person says), `request` (how it is asked) and `answer` (what it says, in classes). What some need of the platform that
//! they run in is [`Services`].
//!
//! It knows no retry policy: [`delivery::Courier`] calls a sink and decides what follows. It does not know daggers either.

mod address;
mod clever_tap;
mod columns;
mod credential;
mod endpoint;
mod grpc;
mod http;
mod http_sink;
pub mod influx;
mod json_rows;
mod kind;
mod kinds;
pub mod line_protocol;
mod log_lines;
mod mixpanel;
mod point_layout;
mod point_rule;
mod point_settings;
pub mod postgres;
pub mod prometheus;
mod properties;
mod row_encoder;
mod row_identity;
mod series;
mod services;
mod settings;
mod tcp;
mod templates;
mod time_column;
mod topic;
pub mod victoria_metrics;
mod webhook;

pub use address::{AddressPolicy, Network, NetworkError};
pub use credential::Credential;
pub use endpoint::{Endpoint, EndpointError};
pub use http::{Http, HttpOptions};
pub use kind::{CallLimits, Guarantee, Order, PlannedSink, SinkContext, SinkInput, SinkKind};
pub use kinds::{kind, kinds};
pub use line_protocol::LineEncoder;
pub use point_layout::{FieldKind, LayoutError, PointLayout, Precision};
pub use point_rule::{PointRule, TIME_COLUMNS};
pub use row_encoder::{Encoded, RowEncoder, RowOrigin};
pub use services::{LookupError, MessageFormat, SeriesPoints, Services, TopicFormat};
pub use settings::{Need, Setting, SettingError, Settings, SinkDescription, ValueKind};
