//! Writes records until it is killed, and prints each acknowledgement: partition, offset, value.
//!
//! `log_writer DIR RUN`: two partitions by `produce` with calls of one to five records, one by bulk appends.
//! The value of the record at offset N is `RUN-N`. For tests that kill a writer and look at what is left.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use millrace_log::{BatchBuilder, EmbeddedLog, EmbeddedLogOptions, LogError, NewRecord, TopicConfig, TopicLog};

const TOPIC: &str = "booking-log";
const PARTITIONS: u32 = 3;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(run)) = (args.next().map(PathBuf::from), args.next()) else {
        return Err("usage: log_writer DIR RUN".into());
    };
    let log = Arc::new(EmbeddedLog::open(&dir, EmbeddedLogOptions::default())?);
    if log.topics().await?.is_empty() {
        let config = TopicConfig { segment_bytes: 8 << 10, ..TopicConfig::with_partitions(PARTITIONS) };
        log.create_topic(TOPIC, config).await?;
    }
    let partitions = log.topic(TOPIC).await?.partitions;
    let bulk = tokio::task::spawn_blocking({
        let (log, run, next) = (log.clone(), run.clone(), partitions[2].end_offset);
        move || append_in_bulk(&log, &run, next)
    });
    let first = produce(&log, &run, 0, partitions[0].end_offset);
    let second = produce(&log, &run, 1, partitions[1].end_offset);
    tokio::try_join!(first, second)?;
    bulk.await??;
    Ok(())
}

async fn produce(log: &EmbeddedLog, run: &str, partition: u32, mut next: i64) -> Result<(), Box<dyn Error>> {
    loop {
        let records = (next..next + 1 + next % 5).map(|n| NewRecord {
            partition: Some(partition),
            key: Some(Bytes::from("key")),
            value: Some(format!("{run}-{n}").into()),
            ..NewRecord::default()
        });
        for ack in log.produce(TOPIC, records.collect()).await? {
            print_ack(ack.partition, ack.offset, &format!("{run}-{next}"))?;
            next += 1;
        }
    }
}

fn append_in_bulk(log: &EmbeddedLog, run: &str, mut next: i64) -> Result<(), LogError> {
    let mut batch = BatchBuilder::new();
    loop {
        batch.clear();
        for n in next..next + 20 {
            batch.push(0, None, Some(format!("{run}-{n}").as_bytes()))?;
        }
        let first = log.append_batch(TOPIC, 2, &batch)?;
        for (offset, n) in (first..).zip(next..next + 20) {
            if print_ack(2, offset, &format!("{run}-{n}")).is_err() {
                return Ok(()); // nobody listens any more
            }
        }
        next += 20;
    }
}

/// One line, written as a whole, so that a kill leaves no half of it.
fn print_ack(partition: u32, offset: i64, value: &str) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(format!("{partition} {offset} {value}\n").as_bytes())
}
