//! How fast a courier brings rows to a real InfluxDB 1, beside loops that post bodies which are ready, and how fast rows become
//! lines and samples on one core: `scripts/influxdb.sh -- target/release/examples/bench_sinks`.

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use delivery::contract::KeptInMemory;
use delivery::{Courier, CourierOptions, Parcel};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sinks::influx::{InfluxApi, InfluxConfig, InfluxSink};
use sinks::line_protocol::Dialect;
use sinks::prometheus::SampleEncoder;
use sinks::{AddressPolicy, Credential, Endpoint, HttpOptions, LineEncoder, PointLayout, Precision, RowEncoder};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const ROWS: usize = 8_192;
const BATCHES: usize = 20;
const RUNS: usize = 5;
/// What the server takes is the limit; encoding, compressing and acknowledging may not cost much beside it.
const WANTED: f64 = 0.8;

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

/// A sink for a new database of the server, and the address to write there without it.
async fn new_database(url: &str, number: usize) -> Result<(InfluxSink, reqwest::Url), Box<dyn Error>> {
    let database = format!("bench_{}_{number}", std::process::id());
    let request = reqwest::Client::new().post(format!("{url}/query"));
    request.query(&[("q", format!("CREATE DATABASE {database}"))]).send().await?.error_for_status()?;
    let addresses = AddressPolicy::allowing(["127.0.0.0/8".parse()?]);
    let endpoint = Endpoint::parse(url, &addresses)?;
    let bare =
        reqwest::Url::parse_with_params(&format!("{url}/write"), [("db", database.as_str()), ("precision", "ms")])?;
    let api = InfluxApi::One { database, retention_policy: None };
    let config = InfluxConfig { endpoint, api, credential: Credential::None };
    Ok((InfluxSink::new(&config, Precision::Milliseconds, &HttpOptions::reaching(addresses))?, bare))
}

/// Points per second from columns through a courier into the server.
async fn delivered(sink: InfluxSink, lines: &LineEncoder, batches: &[RecordBatch]) -> Result<f64, Box<dyn Error>> {
    let courier = Courier::start(Arc::new(sink), Arc::new(KeptInMemory::default()), CourierOptions::default());
    let began = Instant::now();
    for (minute, batch) in batches.iter().enumerate() {
        let records = lines.encode(batch, None)?.records;
        courier.push(Parcel { records, keys: None, origin: Arc::new(minute as u64) }).await?;
    }
    courier.flush().await?;
    let (counts, seconds) = (courier.counts(), began.elapsed().as_secs_f64());
    if counts.delivered != (ROWS * batches.len()) as u64 || counts.retried > 0 {
        return Err(format!("not everything was delivered at once: {counts:?}").into());
    }
    Ok(counts.delivered as f64 / seconds)
}

/// Points per second of bodies that are ready, by as many loops that do nothing but post them.
async fn posted(url: reqwest::Url, bodies: Vec<Bytes>) -> Result<f64, Box<dyn Error>> {
    let (points, client) = (ROWS * BATCHES, reqwest::Client::new());
    let bodies = Arc::new(Mutex::new(bodies));
    let began = Instant::now();
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..CourierOptions::default().lanes {
        let (client, url, bodies) = (client.clone(), url.clone(), Arc::clone(&bodies));
        loops.spawn(async move {
            loop {
                let body = bodies.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
                let Some(body) = body else { return Ok::<_, reqwest::Error>(()) };
                client
                    .post(url.clone())
                    .header("content-encoding", "gzip")
                    .body(body)
                    .send()
                    .await?
                    .error_for_status()?;
            }
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(points as f64 / began.elapsed().as_secs_f64())
}

/// The lines of all batches, cut as a courier cuts them, compressed as the sink does.
fn bodies(lines: &LineEncoder, batches: &[RecordBatch]) -> Result<Vec<Bytes>, Box<dyn Error>> {
    let at_once = CourierOptions::default().batch_records_max;
    let mut bodies = Vec::new();
    for batch in batches {
        let records = lines.encode(batch, None)?.records;
        for start in (0..records.len()).step_by(at_once) {
            let part = records.part(start..records.len().min(start + at_once));
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&part.bytes())?;
            bodies.push(encoder.finish()?.into());
        }
    }
    Ok(bodies)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("MILLRACE_INFLUXDB_URL").map_err(|_| "MILLRACE_INFLUXDB_URL is not set")?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let batches: Vec<RecordBatch> = (0..BATCHES).map(|minute| batch(minute as i64)).collect::<Result<_, _>>()?;
    let schema = batches[0].schema();
    let name = |column: usize| (column, schema.field(column).name().clone());
    let layout = PointLayout { time: 4, tags: vec![name(0), name(1)], fields: vec![name(2), name(3)] };
    let lines = LineEncoder::new("bench", layout.clone(), &schema, Dialect::Influx, None)?;
    let samples = SampleEncoder::new("bench", layout, &schema)?;
    let (line_rate, line_bytes) = rows_per_second(&lines, &batches[0])?;
    let (sample_rate, sample_bytes) = rows_per_second(&samples, &batches[0])?;
    let bodies = bodies(&lines, &batches)?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (sink, _) = new_database(&url, 2 * run).await?;
        let through_courier = delivered(sink, &lines, &batches).await?;
        let (_, bare) = new_database(&url, 2 * run + 1).await?;
        let bare = posted(bare, bodies.clone()).await?;
        eprintln!("run {run}: {through_courier:.0} points/s through the courier, {bare:.0} posted");
        ours.push(through_courier);
        limit.push(bare);
    }
    let (ours, limit) = (median(ours), median(limit));
    let ratio = ours / limit;
    let figures = json!({
        "name": "sinks", "unit": "points/s into InfluxDB 1", "ours": ours.round(), "limit": limit.round(), "ratio": ratio, "wanted": WANTED,
        "lines_per_second_per_core": line_rate.round(), "bytes_per_line": line_bytes,
        "sample_rows_per_second_per_core": sample_rate.round(), "bytes_per_sample_row": sample_bytes,
    });
    println!("{figures}");
    Ok(if ratio >= WANTED { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
