//! Which receiver of remote write.

use std::fmt;

use crate::{Credential, Endpoint};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusConfig {
    /// With its path: `http://prometheus:9090/api/v1/write`.
    pub endpoint: Endpoint,
    pub credential: Credential,
}

impl fmt::Display for PrometheusConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Prometheus remote write at {}", self.endpoint)
    }
}
