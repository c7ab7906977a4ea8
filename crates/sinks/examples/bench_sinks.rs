//! How fast rows become lines and samples on one core, and how fast a courier brings lines to a real InfluxDB 1:
//! `scripts/influxdb.sh -- target/release/examples/bench_sinks`.

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use delivery::contract::KeptInMemory;
use delivery::{Courier, CourierOptions, Parcel};
use serde_json::json;
use sinks::influx::{InfluxApi, InfluxConfig, InfluxSink};
use sinks::line_protocol::Dialect;
use sinks::prometheus::SampleEncoder;
use sinks::{AddressPolicy, Credential, Endpoint, HttpOptions, LineEncoder, PointLayout, Precision, RowEncoder};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 8_192;
const BATCHES: usize = 100;

/// Windows of a minute of 8,192 cells: two tags, an integer and a float.
fn batch(minute: i64) -> Result<RecordBatch, Box<dyn Error>> {
    let cells: Vec<String> = (0..ROWS).map(|cell| format!("89c259{cell:05x}")).collect();
    let columns: [(&str, ArrayRef); 5] = [
        ("tag_s2id", Arc::new(StringArray::from(cells))),
        ("tag_service", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| ["GO RIDE", "GO FOOD"][row % 2])))),
        ("rides", Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row as i64 * 7 % 1_000)))),
        ("fare", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64 * 1.37)))),
        (
            "window_timestamp",
            Arc::new(TimestampMillisecondArray::from(vec![1_767_225_600_000 + minute * 60_000; ROWS])),
        ),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn rows_per_second(encoder: &dyn RowEncoder, batch: &RecordBatch) -> Result<(f64, usize), Box<dyn Error>> {
    let bytes = encoder.encode(batch, None)?.records.size();
    let began = Instant::now();
    for _ in 0..BATCHES {
        std::hint::black_box(encoder.encode(batch, None)?);
    }
    Ok(((ROWS * BATCHES) as f64 / began.elapsed().as_secs_f64(), bytes / ROWS))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("MILLRACE_INFLUXDB_URL").map_err(|_| "MILLRACE_INFLUXDB_URL is not set")?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let first = batch(0)?;
    let name = |column: usize| (column, first.schema().field(column).name().clone());
    let layout = PointLayout { time: 4, tags: vec![name(0), name(1)], fields: vec![name(2), name(3)] };
    let lines = LineEncoder::new("bench", layout.clone(), &first.schema(), Dialect::Influx, None)?;
    let samples = SampleEncoder::new("bench", layout, &first.schema())?;
    let (line_rate, line_bytes) = rows_per_second(&lines, &first)?;
    let (sample_rate, sample_bytes) = rows_per_second(&samples, &first)?;

    let database = format!("bench_{}", std::process::id());
    let request = reqwest::Client::new().post(format!("{url}/query"));
    request.query(&[("q", format!("CREATE DATABASE {database}"))]).send().await?.error_for_status()?;
    let addresses = AddressPolicy::allowing(["127.0.0.0/8".parse()?]);
    let api = InfluxApi::One { database, retention_policy: None };
    let endpoint = Endpoint::parse(&url, &addresses)?;
    let config = InfluxConfig { endpoint, api, credential: Credential::None };
    let sink = InfluxSink::new(&config, Precision::Milliseconds, &HttpOptions::reaching(addresses))?;
    let courier = Courier::start(Arc::new(sink), Arc::new(KeptInMemory::default()), CourierOptions::default());
    let began = Instant::now();
    for minute in 0..BATCHES {
        let encoded = lines.encode(&batch(minute as i64)?, None)?;
        courier.push(Parcel { records: encoded.records, keys: None, origin: Arc::new(minute as u64) }).await?;
    }
    courier.flush().await?;
    let delivered = courier.counts().delivered as f64 / began.elapsed().as_secs_f64();
    let figures = json!({
        "lines_per_second_per_core": line_rate.round(), "bytes_per_line": line_bytes,
        "sample_rows_per_second_per_core": sample_rate.round(), "bytes_per_sample_row": sample_bytes,
        "points_per_second_into_influxdb_1": delivered.round(), "counts": courier.counts(),
    });
    println!("{figures}");
    Ok(())
}
