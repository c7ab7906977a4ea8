//! Every sink keeps the contract of delivery, whatever its server does.

use arrow::array::{ArrayRef, TimestampMillisecondArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::contract::{Case, Outcome, Proxy, Subject, Upstream, check};
use delivery::{CourierOptions, Destination, ErrorClass};
use sinks::influx::{InfluxApi, InfluxConfig, InfluxSink};
use sinks::prometheus::{PrometheusConfig, PrometheusSink, SampleEncoder};
use sinks::victoria_metrics::{VictoriaMetricsConfig, VictoriaMetricsSink};
use sinks::{Credential, PointLayout, Precision, RowEncoder};
use std::sync::Arc;

use crate::influx_2::InfluxDouble;
use crate::influx_3::Influx3Double;
use crate::servers::{
    endpoint, exported, host_and_port, http, influxdb, influxql, new_database, prometheus, samples, unique,
    victoria_metrics,
};

/// Shown by `cargo test -- --nocapture contract`.
fn print(sink: &str, outcomes: &[Outcome]) {
    assert_eq!(outcomes.len(), Case::ALL.len());
    for Outcome { case, counts, duplicates, took } in outcomes {
        println!(
            "{sink:<20} {:<18} taken {:>5}, delivered {:>5}, dead letters {}, retried {:>5}, calls {:>4}, doubled {duplicates}, {took:?}",
            format!("{case:?}"),
            counts.taken,
            counts.delivered,
            counts.dead_lettered,
            counts.retried,
            counts.calls
        );
    }
}

/// Number n is the point at n milliseconds with the value n.
fn line(measurement: &str, number: u64) -> Vec<u8> {
    format!("{measurement},kind=a n={number}i {}\n", 1_700_000_000_000 + number).into_bytes()
}

fn influx(url: &str, api: InfluxApi) -> Arc<dyn Destination> {
    let config = InfluxConfig { endpoint: endpoint(url), api, credential: Credential::None };
    Arc::new(InfluxSink::new(&config, Precision::Milliseconds, &http()).unwrap())
}

/// A real InfluxDB 1.
struct InfluxDb {
    database: String,
}

#[async_trait]
impl Subject for InfluxDb {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::new(Proxy { address: host_and_port(&influxdb()) })
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        influx(url, InfluxApi::One { database: self.database.clone(), retention_policy: None })
    }

    fn record(&self, number: u64) -> Vec<u8> {
        line("m", number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        format!("m,kind=a n=\"text\" {}\n", 1_700_000_000_000 + number).into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        influxql(&self.database, "SELECT n FROM m").await.iter().map(|row| row[1].as_u64().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_1() {
    let outcomes = check(async || {
        let database = new_database().await;
        // The first point makes the type of the field.
        let subject = InfluxDb { database };
        let first = subject.destination(&influxdb());
        let mut builder = delivery::EncodedBatchBuilder::default();
        builder.push(&subject.record(0));
        assert_eq!(first.deliver(&builder.finish()).await.unwrap().errors, []);
        subject
    })
    .await;
    print("InfluxDB 1.6", &outcomes);
}

/// A real VictoriaMetrics.
struct VictoriaMetrics {
    measurement: String,
}

#[async_trait]
impl Subject for VictoriaMetrics {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::new(Proxy { address: host_and_port(&victoria_metrics()) })
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        let config = VictoriaMetricsConfig { endpoint: endpoint(url), credential: Credential::None };
        Arc::new(VictoriaMetricsSink::new(&config, Precision::Milliseconds, &http()).unwrap())
    }

    fn record(&self, number: u64) -> Vec<u8> {
        line(&self.measurement, number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        format!("{},kind=a n= {number}\n", self.measurement).into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        let series = exported(&format!("{}_n", self.measurement)).await;
        let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        values.map(|value| value.as_f64().unwrap() as u64).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_metrics_1_110() {
    let outcomes = check(async || VictoriaMetrics { measurement: unique("m") }).await;
    print("VictoriaMetrics", &outcomes);
}

/// A double of InfluxDB 2, which cannot be installed here.
struct Influx2 {
    double: Arc<InfluxDouble>,
}

#[async_trait]
impl Subject for Influx2 {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.double) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        influx(url, InfluxApi::Two { org: "o".into(), bucket: "b".into() })
    }

    fn record(&self, number: u64) -> Vec<u8> {
        line("m", number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        format!("m,kind=a n=\"text\" {}\n", 1_700_000_000_000 + number).into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        self.double.numbers()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_2_double() {
    let outcomes = check(async || Influx2 { double: Arc::default() }).await;
    print("InfluxDB 2 (double)", &outcomes);
}

/// A double of InfluxDB 3, which cannot be installed here.
struct Influx3 {
    double: Arc<Influx3Double>,
}

#[async_trait]
impl Subject for Influx3 {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.double) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        influx(url, InfluxApi::Three { database: "d".into() })
    }

    fn record(&self, number: u64) -> Vec<u8> {
        line("m", number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        format!("m,kind=a n=\"text\" {}\n", 1_700_000_000_000 + number).into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        self.double.numbers()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_3_double() {
    let outcomes = check(async || Influx3 { double: Arc::default() }).await;
    print("InfluxDB 3 (double)", &outcomes);
    let poison = outcomes.iter().find(|outcome| outcome.case == Case::Poison).unwrap();
    // It names the line, so nothing is halved.
    assert_eq!(poison.counts.calls, 1);
}

/// The same hour as in all tests that share the server: it takes samples an hour behind its newest.
const TIME_MS: i64 = 1_767_225_600_000;

/// A real Prometheus.
struct Prometheus {
    measurement: String,
}

impl Prometheus {
    /// One sample as a request has it.
    fn sample(&self, value: u64, time_ms: i64) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(UInt64Array::from(vec![value])) as ArrayRef),
            ("time", Arc::new(TimestampMillisecondArray::from(vec![time_ms]))),
        ])
        .unwrap();
        let layout = PointLayout { time: 1, tags: Vec::new(), fields: vec![(0, "n".to_owned())] };
        let encoder = SampleEncoder::new(&self.measurement, layout, &batch.schema()).unwrap();
        encoder.encode(&batch, None).unwrap().records.record(0).to_vec()
    }
}

#[async_trait]
impl Subject for Prometheus {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::new(Proxy { address: host_and_port(&prometheus()) })
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        let config =
            PrometheusConfig { endpoint: endpoint(&format!("{url}/api/v1/write")), credential: Credential::None };
        Arc::new(PrometheusSink::new(&config, &http()).unwrap())
    }

    fn record(&self, number: u64) -> Vec<u8> {
        self.sample(number, TIME_MS + number as i64)
    }

    /// Further back than the server takes samples.
    fn poison(&self, number: u64) -> Vec<u8> {
        self.sample(number, 1_600_000_000_000)
    }

    async fn stored(&self) -> Vec<u64> {
        samples(&format!("{}_n", self.measurement), TIME_MS as u64 / 1_000 + 10)
            .await
            .iter()
            .map(|(_, value)| *value as u64)
            .collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { lanes: 1, ..options }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_2_42() {
    let outcomes = check(async || Prometheus { measurement: unique("m") }).await;
    print("Prometheus", &outcomes);
}

#[tokio::test]
async fn an_address_inside_is_not_connected_to() {
    let options = sinks::HttpOptions::reaching(sinks::AddressPolicy::default());
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A name, whose address is known only when it is resolved.
    let endpoint = sinks::Endpoint::parse("http://localhost:8086", &sinks::AddressPolicy::default()).unwrap();
    let api = InfluxApi::One { database: "d".into(), retention_policy: None };
    let config = InfluxConfig { endpoint, api, credential: Credential::None };
    let sink = InfluxSink::new(&config, Precision::Milliseconds, &options).unwrap();
    let mut builder = delivery::EncodedBatchBuilder::default();
    builder.push(&line("m", 1));
    let error = sink.deliver(&builder.finish()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Down);
    assert!(error.reason.contains("a loopback address, which sinks may not reach"), "{}", error.reason);
}
