//! What Grafana needs to show daggers: a data source per group, and a dashboard per dagger.
//!
//! Pure: it knows the columns of a measurement and nothing of how they were found. The dashboards are Grafana's classic
//! JSON model, the rest are files of its provisioning (`apiVersion: 1`).

mod dashboard;
mod provisioning;

pub(crate) use dashboard::dashboard;
pub(crate) use provisioning::files;

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Grafana refuses a `uid` that is longer.
const UID_BYTES_MAX: usize = 40;

/// The environment variable that Grafana puts into the data source in place of a token.
pub const TOKEN_VARIABLE: &str = "MILLRACE_TOKEN";

/// Where Grafana finds things.
#[derive(Debug, Clone)]
pub struct GrafanaPlace {
    /// Address of this server as Grafana reaches it, without a slash at the end.
    pub millrace_url: String,
    /// The folder of the dashboards on Grafana's machine.
    pub dashboards_path: String,
}

/// One file, with `/` between folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrafanaFile {
    pub path: String,
    pub text: String,
}

/// A dagger's measurement as a dashboard shows it.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    pub dagger: String,
    pub group: String,
    pub measurement: String,
    /// How far apart its points are; `None` when there is one per record or per session.
    pub step_ms: Option<i64>,
    pub tags: Vec<String>,
    pub measures: Vec<Measure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measure {
    pub field: String,
    pub kind: MeasureKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeasureKind {
    /// Whole numbers are counts, which are added up.
    Count,
    /// Everything else that is a number is averaged.
    Level,
}

impl MeasureKind {
    fn function(self) -> &'static str {
        match self {
            MeasureKind::Count => "sum",
            MeasureKind::Level => "mean",
        }
    }
}

pub(crate) fn datasource_uid(group: &str) -> String {
    uid(&format!("millrace-{group}"))
}

fn dashboard_uid(dagger: &str) -> String {
    uid(&format!("millrace-dagger-{dagger}"))
}

/// The same for the same name, so that links to a dashboard outlive an export.
fn uid(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.len() <= UID_BYTES_MAX && name.chars().all(is_legal) {
        return name.to_owned();
    }
    let mut uid: String = name.chars().filter(|c| is_legal(*c)).take(UID_BYTES_MAX - 13).collect();
    uid.push('-');
    for byte in &Sha256::digest(name.as_bytes())[..6] {
        // Writing to a string cannot fail.
        let _ = write!(uid, "{byte:02x}");
    }
    uid
}

/// A name as InfluxQL quotes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_legal_and_tells_names_apart() {
        assert_eq!(uid("millrace-default"), "millrace-default");
        let long = "x".repeat(200);
        for name in ["rides.eu", "rides_eu", long.as_str(), "é"] {
            let uid = datasource_uid(name);
            assert!(uid.len() <= UID_BYTES_MAX, "{uid}");
            assert!(uid.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{uid}");
        }
        assert_ne!(datasource_uid("rides.eu"), datasource_uid("rideseu"));
        assert_ne!(dashboard_uid(&long), dashboard_uid(&"x".repeat(199)));
    }

    #[test]
    fn a_quote_ends_no_name() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
