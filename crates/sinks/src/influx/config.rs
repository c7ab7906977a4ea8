//! Which InfluxDB, and where in it.

use std::fmt;

use crate::{Credential, Endpoint};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfluxConfig {
    pub endpoint: Endpoint,
    pub api: InfluxApi,
    pub credential: Credential,
}

/// The versions differ in how they are asked and what they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfluxApi {
    One {
        database: String,
        /// `None` is the database's default.
        retention_policy: Option<String>,
    },
    Two {
        org: String,
        bucket: String,
    },
    Three {
        database: String,
    },
}

impl fmt::Display for InfluxConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, place) = match &self.api {
            InfluxApi::One { database, .. } => (1, database),
            InfluxApi::Two { bucket, .. } => (2, bucket),
            InfluxApi::Three { database } => (3, database),
        };
        write!(formatter, "InfluxDB {version} `{place}` at {}", self.endpoint)
    }
}
