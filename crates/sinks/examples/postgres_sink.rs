//! How fast a courier brings rows to PostgreSQL 15 and 18, beside a COPY of tuples that are ready, into a table of the same
//! form: `MILLRACE_POSTGRES_FSYNC=on scripts/postgres.sh -- target/release/examples/postgres_sink`.
//!
//! Ours: columns, encoded, in batches of 20,000, each a transaction that notes its positions; four calls at a time, of a
//! partition each. Raw: as many connections, each with one COPY of its part of the rows, from memory. Both durable, if the
//! server is. Other numbers of rows and calls: `postgres_sink 5000 2`.

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use delivery::contract::KeptInMemory;
use delivery::{Courier, CourierOptions, EncodedBatch, Parcel, Position};
use futures::SinkExt;
use serde_json::{Map, Value, json};
use sinks::{AddressPolicy, HttpOptions, PlannedSink, Settings, SinkContext, SinkInput, SinkKind};
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio_postgres::{Client, NoTls};

/// The columns of rows as they come.
const BATCH_ROWS: usize = 5_000;
const BATCHES: usize = 120;
const CALL_ROWS: usize = 20_000;
const LANES: usize = 4;
const RUNS: usize = 5;
const APPEND_WANTED: f64 = 0.8;
const UPSERT_WANTED: f64 = 0.5;
const COLUMNS: &str =
    "id bigint, customer text, city text, status text, amount double precision, created_at timestamptz, note text";

/// Rows of about 130 bytes.
fn batch(number: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let ids = || (number * BATCH_ROWS..(number + 1) * BATCH_ROWS).map(|row| row as i64);
    let texts = |text: fn(i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(ids().map(text))) };
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("customer", texts(|id| format!("customer-{:08}", id * 7_919 % 1_000_003))),
        ("city", texts(|id| ["Jakarta", "Bandung", "Surabaya", "Medan"][id as usize % 4].to_owned())),
        ("status", texts(|id| ["COMPLETED", "CANCELLED"][id as usize % 2].to_owned())),
        ("amount", Arc::new(Float64Array::from_iter_values(ids().map(|id| id as f64 * 1.37)))),
        (
            "created_at",
            Arc::new(
                TimestampMillisecondArray::from_iter_values(ids().map(|id| 1_767_225_600_000 + id))
                    .with_timezone("UTC"),
            ),
        ),
        ("note", texts(|id| format!("order {id} was placed in the application, two items"))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

struct Server {
    name: String,
    host: String,
    port: u16,
    client: Client,
}

async fn connect(host: &str, port: u16) -> Result<Client, Box<dyn Error>> {
    let stream = tokio::net::TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let mut config = tokio_postgres::Config::new();
    config.user("millrace").dbname("postgres").ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Server {
    async fn find(version: u32) -> Result<Self, Box<dyn Error>> {
        let name = format!("MILLRACE_POSTGRES_{version}_URL");
        let url = std::env::var(&name).map_err(|_| format!("{name} is not set; run it within scripts/postgres.sh"))?;
        let url = reqwest::Url::parse(&url)?;
        let (host, port) = (url.host_str().unwrap_or_default().to_owned(), url.port().unwrap_or(5432));
        let client = connect(&host, port).await?;
        Ok(Self { name: format!("PostgreSQL {version}"), host, port, client })
    }

    async fn new_table(&self, key: &str) -> Result<(), Box<dyn Error>> {
        Ok(self
            .client
            .batch_execute(&format!("DROP TABLE IF EXISTS bench; CREATE TABLE bench ({COLUMNS}{key})"))
            .await?)
    }

    fn plan(&self, more: &Value, batch: &RecordBatch, run: usize) -> Result<Box<dyn PlannedSink>, Box<dyn Error>> {
        let mut document = json!({
            "host": self.host, "port": self.port, "database": "postgres", "user": "millrace", "sslMode": "disable",
            "table": "bench",
        });
        if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
            document.extend(more.clone());
        }
        let kind = &sinks::postgres::POSTGRES;
        let settings = Settings::read(kind.description(), document.as_object().unwrap_or(&Map::new()))?;
        let context = SinkContext {
            http: HttpOptions::reaching(AddressPolicy::allowing(["127.0.0.0/8".parse()?])),
            owner: "bench".to_owned(),
            incarnation: format!("{} {run} {more}", std::process::id()),
            topic: "orders".to_owned(),
            secrets: BTreeMap::new(),
            services: None,
        };
        let input = SinkInput { schema: &batch.schema(), key_columns: None, time_column: None };
        Ok(kind.plan(&settings, &input, &context)?)
    }
}

/// Seconds of processor time of this process so far.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(ticks as f64 / 100.0)
}

#[derive(Clone, Copy)]
struct Measured {
    rows_per_second: f64,
    /// Of the client alone.
    rows_per_core_second: f64,
}

async fn measured(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<Measured, Box<dyn Error>> {
    let (began, processor) = (Instant::now(), processor_seconds()?);
    work.await?;
    let rows = (BATCHES * BATCH_ROWS) as f64;
    let processor = (processor_seconds()? - processor).max(0.01);
    Ok(Measured { rows_per_second: rows / began.elapsed().as_secs_f64(), rows_per_core_second: rows / processor })
}

/// How rows are put into calls.
#[derive(Clone, Copy)]
struct Calls {
    rows: usize,
    lanes: usize,
}

/// From columns through a courier.
async fn delivered(planned: &dyn PlannedSink, batches: &[RecordBatch], calls: Calls) -> Result<(), Box<dyn Error>> {
    let options = CourierOptions { lanes: calls.lanes, batch_records_max: calls.rows, ..CourierOptions::default() };
    let courier = Courier::start(planned.destination()?, Arc::new(KeptInMemory::default()), options);
    let encoder = planned.encoder();
    for (number, batch) in batches.iter().enumerate() {
        let records = encoder.encode(batch, None)?.records;
        let partition = number % calls.lanes;
        let positions = (0..records.len())
            .map(|row| Position { partition: partition as u32, offset: (number * BATCH_ROWS + row) as i64 });
        let keys = vec![partition as u64; records.len()];
        let records = records.at(positions.collect());
        courier.push(Parcel { records, keys: Some(keys.into()), origin: Arc::new(number as u64) }).await?;
    }
    courier.flush().await?;
    let counts = courier.counts();
    if counts.delivered != (BATCHES * BATCH_ROWS) as u64 || counts.retried > 0 {
        return Err(format!("not everything was delivered at once: {counts:?}").into());
    }
    Ok(())
}

/// One COPY for each connection.
async fn copied(clients: &[Client], ready: &[EncodedBatch]) -> Result<(), Box<dyn Error>> {
    let copies = clients.iter().enumerate().map(|(lane, client)| async move {
        let mut sink = pin!(client.copy_in::<_, Bytes>("COPY bench FROM STDIN (FORMAT binary)").await?);
        sink.feed(Bytes::from_static(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0")).await?;
        for records in ready.iter().skip(lane).step_by(clients.len()) {
            let mut bytes = records.bytes();
            while !bytes.is_empty() {
                sink.feed(bytes.split_to(bytes.len().min(128 << 10))).await?;
            }
        }
        sink.feed(Bytes::from_static(&[0xff, 0xff])).await?;
        sink.finish().await
    });
    let rows: u64 = futures::future::try_join_all(copies).await?.iter().sum();
    if rows != (BATCHES * BATCH_ROWS) as u64 { Err("not every row was copied".into()) } else { Ok(()) }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Ours and raw in turns; the medians as a line.
async fn compare(
    server: &Server,
    mode: &str,
    more: &Value,
    key: &str,
    wanted: f64,
    batches: &[RecordBatch],
    calls: Calls,
) -> Result<bool, Box<dyn Error>> {
    let encoder = server.plan(more, &batches[0], 0)?.encoder();
    let ready: Vec<EncodedBatch> =
        batches.iter().map(|batch| Ok(encoder.encode(batch, None)?.records)).collect::<Result<_, Box<dyn Error>>>()?;
    let bytes = ready.iter().map(EncodedBatch::size).sum::<usize>() / (BATCHES * BATCH_ROWS);
    let began = Instant::now();
    for batch in batches {
        std::hint::black_box(encoder.encode(batch, None)?);
    }
    let encoded = (BATCHES * BATCH_ROWS) as f64 / began.elapsed().as_secs_f64();
    let mut clients = Vec::new();
    for _ in 0..calls.lanes {
        clients.push(connect(&server.host, server.port).await?);
    }
    let (mut ours, mut raw, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        server.new_table(key).await?;
        let planned = server.plan(more, &batches[0], run)?;
        ours.push(measured(delivered(planned.as_ref(), batches, calls)).await?);
        if mode == "upsert" {
            // Every row once more, over the one that is there.
            let planned = server.plan(more, &batches[0], RUNS + run)?;
            again.push(measured(delivered(planned.as_ref(), batches, calls)).await?);
        }
        server.new_table(key).await?;
        raw.push(measured(copied(&clients, &ready)).await?);
        eprintln!(
            "{}, {mode}, run {run}: {:.0} rows/s, raw COPY {:.0}",
            server.name, ours[run].rows_per_second, raw[run].rows_per_second
        );
    }
    let rate = |runs: &[Measured]| median(runs.iter().map(|run| run.rows_per_second).collect()).round();
    let core = |runs: &[Measured]| median(runs.iter().map(|run| run.rows_per_core_second).collect()).round();
    let ratio = rate(&ours) / rate(&raw);
    let mut figures = json!({
        "name": format!("postgres_{mode}"), "unit": format!("rows/s into {}, beside raw COPY", server.name),
        "rows_a_call": calls.rows, "calls_at_a_time": calls.lanes,
        "ours": rate(&ours), "limit": rate(&raw), "ratio": ratio, "wanted": wanted,
        "rows_per_second_of_client_core": core(&ours), "raw_rows_per_second_of_client_core": core(&raw),
        "encoded_rows_per_second_per_core": encoded.round(), "bytes_per_row": bytes,
    });
    if !again.is_empty() {
        figures["overwriting_rows_per_second"] = json!(rate(&again));
    }
    println!("{figures}");
    Ok(ratio >= wanted)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let batches: Vec<RecordBatch> = (0..BATCHES).map(batch).collect::<Result<_, _>>()?;
    let argument = |place: usize| std::env::args().nth(place).and_then(|argument| argument.parse().ok());
    let calls = Calls { rows: argument(1).unwrap_or(CALL_ROWS), lanes: argument(2).unwrap_or(LANES) };
    let upsert = json!({ "mode": "upsert", "uniqueKeys": ["id"] });
    let mut is_reached = true;
    for version in [15, 18] {
        let server = Server::find(version).await?;
        is_reached &= compare(&server, "append", &json!({}), "", APPEND_WANTED, &batches, calls).await?;
        is_reached &= compare(&server, "upsert", &upsert, ", PRIMARY KEY (id)", UPSERT_WANTED, &batches, calls).await?;
    }
    Ok(if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
