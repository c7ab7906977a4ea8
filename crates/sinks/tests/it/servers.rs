//! The servers that the tests use, and what is in them.

use delivery::contract::CALL_TIME;
use serde_json::Value;
use sinks::{AddressPolicy, Endpoint, HttpOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A variable that the scripts set.
pub fn variable(name: &str, script: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests within `scripts/{script} -- cargo test ...`"))
}

pub fn influxdb() -> String {
    variable("MILLRACE_INFLUXDB_URL", "influxdb.sh")
}

pub fn victoria_metrics() -> String {
    variable("MILLRACE_VICTORIA_METRICS_URL", "victoria_metrics.sh")
}

pub fn prometheus() -> String {
    variable("MILLRACE_PROMETHEUS_URL", "prometheus.sh")
}

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// As an operator sets it who has servers on loopback.
pub fn http() -> HttpOptions {
    let _ = rustls::crypto::ring::default_provider().install_default();
    HttpOptions {
        call_time_max: CALL_TIME,
        connect_time_max: Duration::from_millis(300),
        ..HttpOptions::reaching(loopback())
    }
}

pub fn loopback() -> AddressPolicy {
    AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()])
}

pub fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse(url, &loopback()).unwrap()
}

/// `HOST:PORT` of an address.
pub fn host_and_port(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

async fn ask(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    text
}

/// What InfluxDB 1 answers to a statement, as the values of its first series.
pub async fn influxql(database: &str, statement: &str) -> Vec<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().post(format!("{}/query", influxdb()));
    let request = request.query(&[("db", database), ("q", statement), ("epoch", "ms")]);
    let answer: Value = serde_json::from_str(&ask(request).await).unwrap();
    let result = &answer["results"][0];
    assert!(result.get("error").is_none(), "{statement}: {result}");
    result["series"][0]["values"].as_array().cloned().unwrap_or_default()
}

/// The same as CSV.
pub async fn influxql_text(database: &str, statement: &str) -> String {
    let request = reqwest::Client::new().post(format!("{}/query", influxdb())).header("accept", "application/csv");
    ask(request.query(&[("db", database), ("q", statement)])).await
}

pub async fn new_database() -> String {
    let name = unique("db");
    influxql("", &format!("CREATE DATABASE {name}")).await;
    name
}

/// The samples of VictoriaMetrics that match, one JSON object for each series, after everything written can be found.
pub async fn exported(matching: &str) -> Vec<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (client, server) = (reqwest::Client::new(), victoria_metrics());
    ask(client.get(format!("{server}/internal/force_flush"))).await;
    let request = client.get(format!("{server}/api/v1/export")).query(&[("match[]", matching)]);
    ask(request).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The samples of one series of Prometheus within the hour before a time in seconds, as (milliseconds, value).
pub async fn samples(series: &str, until_seconds: u64) -> Vec<(i64, f64)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().get(format!("{}/api/v1/query", prometheus()));
    let request = request.query(&[("query", format!("{series}[1h]")), ("time", until_seconds.to_string())]);
    let answer: Value = serde_json::from_str(&ask(request).await).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
    values
        .map(|pair| ((pair[0].as_f64().unwrap() * 1e3).round() as i64, pair[1].as_str().unwrap().parse().unwrap()))
        .collect()
}
