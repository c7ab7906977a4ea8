//! How InfluxDB is asked.
//!
//! 1: <https://docs.influxdata.com/influxdb/v1/tools/api/>,
//! 2: <https://docs.influxdata.com/influxdb/v2/api/v2/>,
//! 3: <https://docs.influxdata.com/influxdb3/core/api/v3/>

use reqwest::Url;

use super::{InfluxApi, InfluxConfig};
use crate::Precision;

pub(super) fn write_url(config: &InfluxConfig, precision: Precision) -> Url {
    let precision = precision_word(&config.api, precision);
    match &config.api {
        InfluxApi::One { database, retention_policy } => {
            let mut query = vec![("db", database.as_str()), ("precision", precision)];
            query.extend(retention_policy.as_deref().map(|policy| ("rp", policy)));
            config.endpoint.with("write", &query)
        }
        InfluxApi::Two { org, bucket } => {
            let query = [("org", org.as_str()), ("bucket", bucket.as_str()), ("precision", precision)];
            config.endpoint.with("api/v2/write", &query)
        }
        InfluxApi::Three { database } => {
            let query = [("db", database.as_str()), ("precision", precision), ("accept_partial", "true")];
            config.endpoint.with("api/v3/write_lp", &query)
        }
    }
}

/// Each version spells them differently.
fn precision_word(api: &InfluxApi, precision: Precision) -> &'static str {
    match (api, precision) {
        (InfluxApi::One { .. }, Precision::Microseconds) => "u",
        (InfluxApi::Two { .. }, Precision::Microseconds) => "us",
        (InfluxApi::One { .. } | InfluxApi::Two { .. }, Precision::Milliseconds) => "ms",
        (InfluxApi::One { .. } | InfluxApi::Two { .. }, Precision::Nanoseconds) => "ns",
        (InfluxApi::Three { .. }, Precision::Milliseconds) => "millisecond",
        (InfluxApi::Three { .. }, Precision::Microseconds) => "microsecond",
        (InfluxApi::Three { .. }, Precision::Nanoseconds) => "nanosecond",
    }
}

/// What asks for the types of a measurement's fields. 2 understands the question of 1 where a bucket has a name of a database,
/// which it has by default.
pub(super) fn field_types_url(config: &InfluxConfig, measurement: &str) -> Url {
    let show = |policy: Option<&String>| {
        let policy = policy.map(|policy| format!("{}.", quoted(policy))).unwrap_or_default();
        format!("SHOW FIELD KEYS FROM {policy}{}", quoted(measurement))
    };
    match &config.api {
        InfluxApi::One { database, retention_policy } => {
            let ask = show(retention_policy.as_ref());
            config.endpoint.with("query", &[("db", database.as_str()), ("q", ask.as_str())])
        }
        InfluxApi::Two { bucket, .. } => {
            config.endpoint.with("query", &[("db", bucket.as_str()), ("q", show(None).as_str())])
        }
        InfluxApi::Three { database } => {
            let ask = format!(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{}'",
                measurement.replace('\'', "''")
            );
            let query = [("db", database.as_str()), ("q", ask.as_str()), ("format", "json")];
            config.endpoint.with("api/v3/query_sql", &query)
        }
    }
}

/// An identifier of InfluxQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressPolicy, Credential, Endpoint};

    fn urls(api: InfluxApi) -> (String, String) {
        let endpoint = Endpoint::parse("http://influx.example:8086/base", &AddressPolicy::default()).unwrap();
        let config = InfluxConfig { endpoint, api, credential: Credential::None };
        let url = |url: Url| url.as_str().replace("http://influx.example:8086/base/", "");
        (url(write_url(&config, Precision::Microseconds)), url(field_types_url(&config, "a \"b'")))
    }

    #[test]
    fn each_version_is_asked_in_its_way() {
        let one = InfluxApi::One { database: "d b".into(), retention_policy: Some("a&b".into()) };
        assert_eq!(
            urls(one),
            (
                "write?db=d+b&precision=u&rp=a%26b".into(),
                "query?db=d+b&q=SHOW+FIELD+KEYS+FROM+%22a%26b%22.%22a+%5C%22b%27%22".into(),
            )
        );
        let two = InfluxApi::Two { org: "o".into(), bucket: "b".into() };
        assert_eq!(urls(two).0, "api/v2/write?org=o&bucket=b&precision=us");
        let (write, ask) = urls(InfluxApi::Three { database: "d".into() });
        assert_eq!(write, "api/v3/write_lp?db=d&precision=microsecond&accept_partial=true");
        assert!(ask.contains("table_name+%3D+%27a+%22b%27%27%27&format=json"), "{ask}");
    }
}
