//! Writing: our writer beside `rd_kafka_produce_batch`, and transactions beside none.

use std::ffi::{CString, c_void};
use std::time::{Duration, Instant};

use kafka::{Compression, Delivery, Marker, Writer, WriterOptions};
use log::NewRecord;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys as sys;

use crate::{Bench, Outcome, bookings, compressions, measure, median, source};

const RECORDS: usize = 500_000;
/// A multiple of three, so that everybody is first as often.
const SINK_RUNS: usize = 6;
/// What a sink gives at once: the rows of a batch.
const CALL_RECORDS: usize = 1_000;
const RECORD_BYTES_MAX: usize = 1 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// Longer than any run here.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(300);

pub fn run(bench: &mut Bench) -> Outcome<()> {
    let stamped = bookings::bookings(RECORDS);
    let plain: Vec<NewRecord> =
        stamped.iter().map(|record| NewRecord { timestamp_ms: None, ..record.clone() }).collect();
    for run in 0..SINK_RUNS {
        for (codec, compression) in compressions() {
            let topic = format!("bench-sink-{codec}-{run}");
            bench.topic(&topic)?;
            // Whoever is first pays for memory that the process did not have yet.
            for turn in 0..3 {
                match (run + turn) % 3 {
                    0 => {
                        let cost = measure(|| write_by_batches(&bench.bootstrap, &topic, compression, &plain))?;
                        bench.note(&format!("sink {codec}: rd_kafka_produce_batch"), cost);
                    }
                    variant => {
                        let (what, records) =
                            if variant == 1 { ("with timestamps", &stamped) } else { ("without timestamps", &plain) };
                        let options =
                            WriterOptions { topic: topic.clone(), delivery: Delivery::AtLeastOnce, compression };
                        let cost = measure(|| {
                            let writer = Writer::open(&bench.log, options, RECORD_BYTES_MAX)?;
                            source::write_all(&writer, records)?;
                            Ok(records.len())
                        })?;
                        bench.note(&format!("sink {codec}: writer, {what}"), cost);
                    }
                }
            }
            bench.delete(&topic)?;
        }
    }
    Ok(())
}

/// `rd_kafka_produce_batch` with the settings of our writer, and nothing around it.
fn write_by_batches(bootstrap: &str, topic: &str, compression: Compression, records: &[NewRecord]) -> Outcome<usize> {
    let mut client = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", bootstrap),
        ("enable.idempotence", "true"),
        ("partitioner", "murmur2_random"),
        ("compression.type", compression.as_str()),
        ("delivery.report.only.error", "true"),
        ("message.max.bytes", "1048576"),
        ("batch.size", "1048576"),
        ("linger.ms", "20"),
        ("message.timeout.ms", "0"),
        ("queue.buffering.max.kbytes", "65536"),
        ("queue.buffering.max.messages", "500000"),
    ] {
        client.set(name, value);
    }
    let producer: BaseProducer = client.create()?;
    let name = CString::new(topic)?;
    let topic = unsafe { sys::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
    let mut messages: Vec<sys::rd_kafka_message_t> = Vec::with_capacity(CALL_RECORDS);
    for records in records.chunks(CALL_RECORDS) {
        messages.clear();
        messages.extend(records.iter().map(message));
        let mut start = 0;
        while start < messages.len() {
            let rest = &mut messages[start..];
            let (flags, unassigned) = (sys::RD_KAFKA_MSG_F_COPY, -1);
            // Sound: the client copies key and value before it returns.
            let count =
                unsafe { sys::rd_kafka_produce_batch(topic, unassigned, flags, rest.as_mut_ptr(), rest.len() as i32) };
            start += usize::try_from(count).unwrap_or(0);
            producer.poll(if start < messages.len() { Duration::from_millis(50) } else { Duration::ZERO });
        }
    }
    producer.flush(Duration::from_secs(60))?;
    unsafe { sys::rd_kafka_topic_destroy(topic) };
    Ok(records.len())
}

fn message(record: &NewRecord) -> sys::rd_kafka_message_t {
    let (key, value) = (record.key.as_deref().unwrap_or_default(), record.value.as_deref().unwrap_or_default());
    // Sound: all zero is what the client's own examples start from.
    let mut message: sys::rd_kafka_message_t = unsafe { std::mem::zeroed() };
    message.key = key.as_ptr() as *mut c_void;
    message.key_len = key.len();
    message.payload = value.as_ptr() as *mut c_void;
    message.len = value.len();
    message
}

/// Records per second on the clock with transactions, over those without: written for one checkpoint's interval, and
/// the checkpoint done.
pub fn exactly_once(bench: &mut Bench) -> Outcome<f64> {
    let records = bookings::bookings(CALL_RECORDS * 100);
    let mut ratios = Vec::new();
    for run in 0..SINK_RUNS {
        let mut clock = [0.0; 2];
        // In turn first and second, so that a machine that gets slower does not decide.
        for which in [run % 2, 1 - run % 2] {
            let (row, delivery) = match which {
                0 => ("delivery: at least once", Delivery::AtLeastOnce),
                _ => {
                    let name = format!("bench-{run}");
                    ("delivery: exactly once", Delivery::ExactlyOnce { name, timeout: TRANSACTION_TIMEOUT })
                }
            };
            let topic = format!("bench-delivery-{run}-{which}");
            bench.topic(&topic)?;
            let options = WriterOptions { topic: topic.clone(), delivery, compression: Compression::Lz4 };
            let writer = Writer::open(&bench.log, options, RECORD_BYTES_MAX)?;
            let cost = measure(|| one_checkpoint(&writer, &records))?;
            drop(writer);
            bench.delete(&topic)?;
            bench.note(row, cost);
            clock[which] = cost.wall;
        }
        ratios.push(clock[0] / clock[1]);
    }
    Ok(median(ratios))
}

/// Writes for one interval and ends it; returns how many records it was.
fn one_checkpoint(writer: &Writer, records: &[NewRecord]) -> Outcome<usize> {
    let (started, mut written) = (Instant::now(), 0);
    for records in records.chunks(CALL_RECORDS).cycle() {
        let mut start = 0;
        while start < records.len() {
            start += writer.write(&records[start..], |index, reason| eprintln!("{index}: {reason}"))?;
        }
        written += records.len();
        if started.elapsed() >= CHECKPOINT_INTERVAL {
            break;
        }
    }
    // What waits in memory is written first, either way; after it comes what only transactions have.
    writer.flush()?;
    let flushed = Instant::now();
    if writer.is_transactional() {
        writer.prepare(&Marker { lineage: "bench".to_owned(), checkpoint: 1 })?;
        writer.commit()?;
        eprintln!("prepared and committed in {} ms", flushed.elapsed().as_millis());
    }
    Ok(written)
}
