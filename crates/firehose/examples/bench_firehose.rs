//! `bench_firehose [partition|key|all]`: records of 200 bytes from the embedded log through decode and a simple encoder to a
//! sink that takes all and keeps nothing. The last line of stdout is one JSON object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use async_trait::async_trait;
use codec::WireFormat;
use delivery::{Answer, CallError, DeadLetter, Destination, EncodedBatch, EncodedBatchBuilder, KeepError};
use firehose::{DeadLetters, FirehoseConfig, FirehoseParts, MemoryPositions, OpenDestination, Pipeline, StopAt, spawn};
use log::{BatchBuilder, Durability, EmbeddedLog, EmbeddedLogOptions, TopicConfig, TopicLog};
use prost_reflect::MessageDescriptor;
use sinks::{Encoded, Order, RowEncoder, RowOrigin};

const RECORDS: usize = 6_000_000;
const PARTITIONS: u32 = 4;
const BATCH_RECORDS: usize = 5_000;
const PROTO: &str = r#"
syntax = "proto3";
package bench;
message Order { string id = 1; int64 number = 2; string customer = 3; string note = 4; }
"#;

/// Writes each row as four fields with tabs between them.
struct Lines;

impl RowEncoder for Lines {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let [id, number, customer, note] = [0, 1, 2, 3].map(|index| batch.column(index));
        let (id, customer, note) = (id.as_string_view(), customer.as_string_view(), note.as_string_view());
        let number = number.as_primitive::<Int64Type>();
        let rows = batch.num_rows();
        let mut records = EncodedBatchBuilder::with_capacity(rows, rows * 220);
        for row in 0..rows {
            let bytes = records.bytes_mut();
            bytes.extend_from_slice(id.value(row).as_bytes());
            bytes.push(b'\t');
            let mut value = number.value(row).unsigned_abs();
            let start = bytes.len();
            loop {
                bytes.push(b'0' + (value % 10) as u8);
                value /= 10;
                if value == 0 {
                    break;
                }
            }
            bytes[start..].reverse();
            for text in [customer.value(row), note.value(row)] {
                bytes.push(b'\t');
                bytes.extend_from_slice(text.as_bytes());
            }
            records.end_record();
        }
        Ok(Encoded { records: records.finish(), rows: (0..rows).collect(), refused: Vec::new() })
    }
}

struct Nowhere;

#[async_trait]
impl Destination for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        std::hint::black_box(batch.bytes());
        Ok(Answer::delivered())
    }
}

impl OpenDestination for Nowhere {
    fn open(&self, _: u64) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(Self))
    }
}

struct NoLetters;

#[async_trait]
impl DeadLetters for NoLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), KeepError> {
        Err(KeepError { message: format!("{} records are dead letters", letters.len()), may_pass: false })
    }
}

fn message() -> Result<MessageDescriptor, Box<dyn std::error::Error>> {
    let source = schema::SourceFile { path: "bench.proto".into(), text: PROTO.into() };
    Ok(schema::SchemaSet::from_sources(&[source])?.message("bench.Order")?)
}

fn field(out: &mut Vec<u8>, number: u8, text: &str) {
    out.extend([number << 3 | 2, text.len() as u8]);
    out.extend_from_slice(text.as_bytes());
}

fn fill(log: &EmbeddedLog) -> Result<usize, Box<dyn std::error::Error>> {
    let (mut builder, mut value, mut bytes) = (BatchBuilder::new(), Vec::new(), 0);
    for first in (0..RECORDS).step_by(BATCH_RECORDS) {
        builder.clear();
        for number in first..first + BATCH_RECORDS {
            value.clear();
            field(&mut value, 1, &format!("order-{number:030}"));
            value.push(2 << 3);
            value.extend([number as u8 | 0x80, (number >> 7) as u8 | 0x80, (number >> 14) as u8 & 0x7f]);
            field(&mut value, 3, &format!("customer-{:020}", number % 10_007));
            field(&mut value, 4, &"please ring the bell twice and wait ".repeat(4)[..118]);
            bytes += value.len();
            builder.push(1_700_000_000_000 + number as i64, Some(&number.to_le_bytes()), Some(&value))?;
        }
        log.append_batch("orders", (first / BATCH_RECORDS) as u32 % PARTITIONS, &builder)?;
    }
    Ok(bytes)
}

/// Seconds of this process on processors.
fn busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn memory_peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let order = match std::env::args().nth(1).as_deref() {
        None | Some("partition") => Order::Partition,
        Some("key") => Order::Key,
        Some("all") => Order::All,
        Some(other) => return Err(format!("no order {other}; there are partition, key, all").into()),
    };
    let folder = tempfile::tempdir()?;
    let options = EmbeddedLogOptions { durability: Durability::None, ..EmbeddedLogOptions::default() };
    let log = Arc::new(EmbeddedLog::open(folder.path(), options)?);
    log.create_topic("orders", TopicConfig::with_partitions(PARTITIONS)).await?;
    let bytes = fill(&log)?;
    let memory_before = memory_peak_mb();
    let pipeline = Pipeline::compile(&message()?, &WireFormat::Protobuf, None, Arc::new(Lines))?;
    let mut best: Option<(f64, f64)> = None;
    for _ in 0..3 {
        let config = FirehoseConfig {
            stop_at: Some(StopAt::End),
            order,
            commit_interval: Duration::from_millis(200),
            ..FirehoseConfig::new("bench", "orders")
        };
        let parts = FirehoseParts {
            log: Arc::clone(&log) as _,
            pipeline: pipeline.clone(),
            destination: Arc::new(Nowhere),
            positions: Arc::new(MemoryPositions::default()),
            dead_letters: Arc::new(NoLetters),
        };
        let (began, busy) = (Instant::now(), busy_seconds());
        let handle = spawn(config, parts);
        let status = handle.watch_status();
        handle.ended().await?;
        let (took, busy) = (began.elapsed().as_secs_f64(), busy_seconds() - busy);
        let ledger = status.borrow().ledger();
        if !(ledger.balances() && ledger.delivered == RECORDS as u64) {
            return Err(format!("{ledger:?}").into());
        }
        let rates = (RECORDS as f64 / took, RECORDS as f64 / busy);
        eprintln!("{:.0} records/s, {:.0} records/s and core", rates.0, rates.1);
        best = Some(best.map_or(rates, |best| if rates.1 > best.1 { rates } else { best }));
    }
    let (rate, rate_per_core) = best.unwrap_or_default();
    println!(
        "{{\"name\":\"firehose\",\"record_bytes\":{},\"records_per_second\":{rate:.0},\"records_per_second_and_core\":{rate_per_core:.0},\"memory_mb\":{:.1}}}",
        bytes / RECORDS,
        memory_peak_mb() - memory_before
    );
    Ok(())
}
