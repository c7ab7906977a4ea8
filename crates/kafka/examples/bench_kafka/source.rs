//! Reading: our reader with and without decoding, the client alone, the embedded log, the fetcher of our own.

use std::ffi::CString;
use std::time::Duration;

use codec::{DecodeOptions, DecodeProgram, Projection};
use kafka::{Delivery, Writer, WriterOptions};
use log::{
    BatchBuilder, Durability, EmbeddedLog, EmbeddedLogOptions, NewRecord, PartitionReader, TopicConfig, TopicLog,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka_sys as sys;

use crate::{Bench, Outcome, PARTITIONS, RUNS, bookings, compressions, fetcher, measure};

const RECORDS: usize = 2_000_000;
/// What a lane of a dagger asks for at once.
const SLAB_BYTES: usize = 1 << 20;
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Columns of the first query of the dialect's reference.
const COLUMNS: [&str; 6] = ["status", "city_id", "vehicle_type", "lat", "long", "event_timestamp"];

pub fn run(bench: &mut Bench) -> Outcome<()> {
    let records = bookings::bookings(RECORDS);
    for (codec, compression) in compressions() {
        let topic = format!("bench-source-{codec}");
        bench.topic(&topic)?;
        let options = WriterOptions { topic, delivery: Delivery::AtLeastOnce, compression };
        let writer = Writer::open(&bench.log, options, RECORD_BYTES_MAX)?;
        write_all(&writer, &records)?;
    }
    let folder = tempfile::tempdir()?;
    let options = EmbeddedLogOptions { durability: Durability::None, ..EmbeddedLogOptions::default() };
    let embedded = bench.runtime.block_on(async { EmbeddedLog::open(folder.path(), options) })?;
    bench.runtime.block_on(fill_embedded(&embedded, &records))?;
    drop(records);
    let columns = Projection::paths(COLUMNS);
    let program = DecodeProgram::compile(&bookings::schema()?, &columns, &DecodeOptions::default())?;
    for _ in 0..RUNS {
        for (codec, _) in compressions() {
            let topic = format!("bench-source-{codec}");
            let cost = measure(|| read(&bench.runtime, &bench.log, &topic, Some(&program)))?;
            bench.note(&format!("source {codec}: into columns"), cost);
            let cost = measure(|| read(&bench.runtime, &bench.log, &topic, None))?;
            bench.note(&format!("source {codec}: into slabs"), cost);
            let cost = measure(|| read_by_client(&bench.bootstrap, &topic))?;
            bench.note(&format!("source {codec}: the client alone"), cost);
            let cost = measure(|| fetcher::read(&bench.bootstrap, &topic, PARTITIONS, RECORDS))?;
            bench.note(&format!("source {codec}: a fetcher of our own"), cost);
        }
        let cost = measure(|| read(&bench.runtime, &embedded, "bench", Some(&program)))?;
        bench.note("embedded log: into columns", cost);
        let cost = measure(|| read(&bench.runtime, &embedded, "bench", None))?;
        bench.note("embedded log: into slabs", cost);
    }
    for (codec, _) in compressions() {
        bench.delete(&format!("bench-source-{codec}"))?;
    }
    Ok(())
}

pub fn write_all(writer: &Writer, records: &[NewRecord]) -> Outcome<()> {
    let mut start = 0;
    while start < records.len() {
        let end = records.len().min(start + 1_000);
        start += writer.write(&records[start..end], |index, reason| eprintln!("{index}: {reason}"))?;
    }
    Ok(writer.flush()?)
}

async fn fill_embedded(log: &EmbeddedLog, records: &[NewRecord]) -> Outcome<()> {
    log.create_topic("bench", TopicConfig { partitions: PARTITIONS, ..TopicConfig::default() }).await?;
    let mut builder = BatchBuilder::new();
    for (batch, records) in records.chunks(1_000).enumerate() {
        builder.clear();
        for record in records {
            builder.push(record.timestamp_ms.unwrap_or(0), record.key.as_deref(), record.value.as_deref())?;
        }
        log.append_batch("bench", batch as u32 % PARTITIONS, &builder)?;
    }
    Ok(())
}

/// Reads the whole topic, a task per partition on this one thread.
fn read(
    runtime: &tokio::runtime::Runtime,
    log: &dyn TopicLog,
    topic: &str,
    program: Option<&DecodeProgram>,
) -> Outcome<usize> {
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for partition in 0..PARTITIONS {
            let reader = log.open(topic, partition, 0).await?;
            tasks.push(tokio::spawn(read_partition(reader, program.cloned())));
        }
        let mut records = 0;
        for task in tasks {
            records += task.await??;
        }
        if records != RECORDS {
            return Err(format!("{records} records of {RECORDS} were read").into());
        }
        Ok(records)
    })
}

async fn read_partition(mut reader: Box<dyn PartitionReader>, program: Option<DecodeProgram>) -> Result<usize, String> {
    let mut decoder = program.as_ref().map(|program| program.decoder());
    let mut records = 0;
    loop {
        let slab = reader.poll(SLAB_BYTES, Duration::from_secs(5)).await.map_err(|error| error.to_string())?;
        if let Some(decoder) = &mut decoder {
            let decoded = decoder.decode(&slab.data, &slab.records.values);
            if !decoded.errors.is_empty() || decoded.batch.num_rows() != slab.len() {
                return Err("a record was not decoded".to_owned());
            }
        }
        records += slab.len();
        if slab.at_end() {
            return Ok(records);
        }
    }
}

/// The client with the settings of our reader, and nothing done with what it gives.
fn read_by_client(bootstrap: &str, topic: &str) -> Outcome<usize> {
    let mut client = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", bootstrap),
        ("group.id", "bench"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        ("queued.max.messages.kbytes", "4096"),
        ("queued.min.messages", "100000"),
        ("fetch.queue.backoff.ms", "10"),
        ("check.crcs", "true"),
    ] {
        client.set(name, value);
    }
    let consumer: BaseConsumer = client.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition as i32, Offset::Offset(0))?;
    }
    let topic = CString::new(topic)?;
    let native = consumer.client().native_ptr();
    // All partitions into one queue, as they would be into four.
    let queue = unsafe { sys::rd_kafka_queue_new(native) };
    for partition in 0..PARTITIONS {
        unsafe {
            let one = sys::rd_kafka_queue_get_partition(native, topic.as_ptr(), partition as i32);
            sys::rd_kafka_queue_forward(one, queue);
            sys::rd_kafka_queue_destroy(one);
        }
    }
    consumer.assign(&list)?;
    let (mut messages, mut records) = (Vec::with_capacity(1_000), 0);
    while records < RECORDS {
        let count = unsafe { sys::rd_kafka_consume_batch_queue(queue, 5_000, messages.as_mut_ptr(), 1_000) };
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err("the client gave nothing for 5 s".into());
        }
        unsafe { messages.set_len(count) };
        for message in messages.drain(..) {
            unsafe {
                let message: *mut sys::rd_kafka_message_t = message;
                records += usize::from((*message).err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
                sys::rd_kafka_message_destroy(message);
            }
        }
    }
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    Ok(records)
}
