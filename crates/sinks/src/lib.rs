//! The outside systems that results are written to, one module each, with the same file names in each: `config` (what a
//! person says), `request` (how it is asked) and `answer` (what it says, in classes).
//!
//! It knows no retry policy: [`delivery::Courier`] calls a sink and decides what follows. It does not know daggers either.

mod address;
mod credential;
mod endpoint;
mod http;
pub mod influx;
pub mod line_protocol;
mod point_layout;
pub mod prometheus;
mod row_encoder;
pub mod victoria_metrics;

pub use address::{AddressPolicy, Network, NetworkError};
pub use credential::Credential;
pub use endpoint::{Endpoint, EndpointError};
pub use http::{Http, HttpOptions};
pub use line_protocol::LineEncoder;
pub use point_layout::{FieldKind, LayoutError, PointLayout, Precision};
pub use row_encoder::{Encoded, RowEncoder, RowOrigin};
