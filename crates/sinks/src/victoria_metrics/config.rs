//! Which VictoriaMetrics.

use std::fmt;

use crate::{Credential, Endpoint};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VictoriaMetricsConfig {
    /// A single server, or a `vminsert` with its path (`http://vminsert:8480/insert/0/influx`).
    pub endpoint: Endpoint,
    pub credential: Credential,
}

impl fmt::Display for VictoriaMetricsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VictoriaMetrics at {}", self.endpoint)
    }
}
