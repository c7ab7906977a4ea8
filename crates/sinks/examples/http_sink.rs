//! How many records a second the sink `http` brings to a receiver on the same cores, a request each and in batches, from columns
//! through encoder and courier, beside loops that post bodies which are ready: `target/release/examples/http_sink`.

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use delivery::contract::KeptInMemory;
use delivery::{Courier, CourierOptions, Parcel};
use serde_json::{Value, json};
use sinks::{AddressPolicy, HttpOptions, PlannedSink, Settings, SinkContext, SinkInput, kind};
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROWS: usize = 1_000;
const SINGLE_BATCHES: usize = 30;
const BATCHED_BATCHES: usize = 300;
const RUNS: usize = 5;
const SINGLE_WANTED: f64 = 5_000.0;
const BATCHED_WANTED: f64 = 20_000.0;
const IN_FLIGHT: usize = 32;

/// Counts requests, and answers each with 200.
#[derive(Default)]
struct Receiver {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Receiver {
    async fn listen(self: Arc<Self>) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = Arc::clone(&self);
                tokio::spawn(async move { receiver.serve(stream).await });
            }
        });
        Ok(url)
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let end = loop {
                if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
            while buffer.len() < end + length {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            buffer.drain(..end + length);
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
        }
    }
}

/// Orders of about 150 bytes as JSON.
fn batch(number: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let ids = (0..ROWS).map(|row| format!("order-{:08}", number * ROWS + row));
    let columns: [(&str, ArrayRef); 5] = [
        ("order_id", Arc::new(StringArray::from_iter_values(ids))),
        (
            "city",
            Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| ["Jakarta", "Bandung", "Surabaya"][row % 3]))),
        ),
        ("status", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| ["PAID", "CANCELLED"][row % 2])))),
        ("price", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64 * 1.37)))),
        ("event_timestamp", Arc::new(TimestampMillisecondArray::from(vec![1_767_225_600_000; ROWS]))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn planned(mut document: Value, url: &str, schema: &SchemaRef) -> Result<Box<dyn PlannedSink>, Box<dyn Error>> {
    document["url"] = json!(format!("{url}/orders"));
    let kind = kind("http").ok_or("there is no sink `http`")?;
    let settings = Settings::read(kind.description(), document.as_object().ok_or("no object")?)?;
    let context = SinkContext {
        http: HttpOptions::reaching(AddressPolicy::allowing(["127.0.0.0/8".parse()?])),
        owner: "bench".into(),
        incarnation: "1".into(),
        topic: "orders".into(),
        secrets: BTreeMap::new(),
        services: None,
    };
    let input = SinkInput { schema, key_columns: None, time_column: Some(4) };
    Ok(kind.plan(&settings, &input, &context)?)
}

/// Records per second from columns through a courier into the receiver.
async fn delivered(sink: &dyn PlannedSink, batches: &[RecordBatch]) -> Result<f64, Box<dyn Error>> {
    let options = CourierOptions { batch_records_max: ROWS, ..CourierOptions::default() };
    let courier = Courier::start(sink.destination()?, Arc::new(KeptInMemory::default()), options);
    let encoder = sink.encoder();
    let began = Instant::now();
    for (number, batch) in batches.iter().enumerate() {
        let records = encoder.encode(batch, None)?.records;
        courier.push(Parcel { records, keys: None, origin: Arc::new(number as u64) }).await?;
    }
    courier.flush().await?;
    let (counts, seconds) = (courier.counts(), began.elapsed().as_secs_f64());
    if counts.delivered != (ROWS * batches.len()) as u64 || counts.retried > 0 {
        return Err(format!("not everything was delivered at once: {counts:?}").into());
    }
    Ok(counts.delivered as f64 / seconds)
}

/// Requests per second of bodies that are ready, by as many loops that do nothing but post them.
async fn posted(url: &str, bodies: Vec<Bytes>) -> Result<f64, Box<dyn Error>> {
    let (count, client) = (bodies.len(), reqwest::Client::new());
    let began = Instant::now();
    let mut loops = tokio::task::JoinSet::new();
    for part in bodies.chunks(bodies.len().div_ceil(2 * IN_FLIGHT)) {
        let (client, url, part) = (client.clone(), format!("{url}/orders"), part.to_vec());
        loops.spawn(async move {
            for body in part {
                client
                    .post(&url)
                    .header("content-type", "application/json")
                    .body(body)
                    .send()
                    .await?
                    .error_for_status()?;
            }
            Ok::<_, reqwest::Error>(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let receiver = Arc::new(Receiver::default());
    let url = Arc::clone(&receiver).listen().await?;
    let batches: Vec<RecordBatch> = (0..BATCHED_BATCHES).map(batch).collect::<Result<_, _>>()?;
    let schema = batches[0].schema();
    let single = planned(json!({ "inFlight": IN_FLIGHT }), &url, &schema)?;
    let batched = planned(json!({ "mode": "batch" }), &url, &schema)?;
    let records = single.encoder().encode(&batches[0], None)?.records;
    let bodies: Vec<Bytes> =
        (0..SINGLE_BATCHES * ROWS).map(|n| Bytes::copy_from_slice(records.record(n % ROWS))).collect();
    let (mut singles, mut batcheds, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let before = receiver.requests.load(Ordering::Relaxed);
        singles.push(delivered(single.as_ref(), &batches[..SINGLE_BATCHES]).await?);
        let requests = receiver.requests.load(Ordering::Relaxed) - before;
        if requests != (SINGLE_BATCHES * ROWS) as u64 {
            return Err(format!("{requests} requests came").into());
        }
        bare.push(posted(&url, bodies.clone()).await?);
        batcheds.push(delivered(batched.as_ref(), &batches).await?);
        eprintln!(
            "run {run}: {:.0} single requests/s, {:.0} posted by bare loops, {:.0} records/s in batches",
            singles[run], bare[run], batcheds[run]
        );
    }
    let (single, batched, bare) = (median(singles), median(batcheds), median(bare));
    let ratio = (single / SINGLE_WANTED).min(batched / BATCHED_WANTED);
    let figures = json!({
        "name": "http_sink", "unit": "records/s into a receiver on the same cores, the worse of single requests and batches by what is wanted",
        "ours": if single / SINGLE_WANTED < batched / BATCHED_WANTED { single.round() } else { batched.round() },
        "ratio": ratio, "wanted": 1.0, "single_requests_per_second": single.round(), "single_wanted": SINGLE_WANTED,
        "bare_loops_per_second": bare.round(), "batched_records_per_second": batched.round(), "batched_wanted": BATCHED_WANTED,
        "bytes_per_record": records.size() / ROWS,
    });
    println!("{figures}");
    Ok(if ratio >= 1.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
