//! How fast the embedded log appends and reads, beside plain `write(2)` and `read(2)` of as many bytes.
//!
//! `bench_log [DIR]`: records of 200 bytes (key 8, value 192) in batches of 256 KiB, group fsync, then read back from
//! the page cache. Gigabytes (10^9) of records per second of processor time of the whole process; the time on the
//! clock, which has the disk in it, is on stderr. Median of five runs. One line of JSON on stdout: `ours` is the lower
//! of append and read, `limit` the lower of plain write and plain read in the same runs.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use millrace_log::{BatchBuilder, EmbeddedLog, EmbeddedLogOptions, TopicConfig, TopicLog};
use rustix::time::{ClockId, clock_gettime};

const TOPIC: &str = "booking-log";
const RUNS: usize = 5;
const RECORDS: usize = 2_000_000;
const KEY_BYTES: usize = 8;
const VALUE_BYTES: usize = 192;
const RECORDS_BYTES: usize = RECORDS * (KEY_BYTES + VALUE_BYTES);
const BATCH_BYTES: usize = 256 << 10;
/// Appends whose fsync is awaited only when so many are under way.
const PENDING_MAX: usize = 64;
const READ_BYTES: usize = 1 << 20;
/// The default of the log.
const SEGMENT_BYTES: usize = 64 << 20;

/// Gigabytes per second, of processor time and on the clock.
#[derive(Clone, Copy)]
struct Rate {
    cpu: f64,
    wall: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let dir = parent.join(format!("bench-log-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = run_all(&dir);
    fs::remove_dir_all(&dir)?;
    result
}

fn run_all(dir: &Path) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut rates: [Vec<Rate>; 4] = Default::default();
    for run in 0..RUNS {
        warm_up(&dir.join("warm"))?;
        let plain = dir.join("plain");
        rates[0].push(measure(|| plain_write(&plain))?);
        rates[1].push(measure(|| plain_read(&plain))?);
        fs::remove_dir_all(&plain)?;

        let log_dir = dir.join("log");
        let log = EmbeddedLog::open(&log_dir, EmbeddedLogOptions::default())?;
        runtime.block_on(log.create_topic(TOPIC, TopicConfig::default()))?;
        warm_up(&dir.join("warm"))?;
        rates[2].push(measure(|| append(&log))?);
        rates[3].push(measure(|| runtime.block_on(read(&log)))?);
        drop(log);
        fs::remove_dir_all(&log_dir)?;
        let text = ["plain write", "plain read", "append", "read"]
            .iter()
            .zip(&rates)
            .map(|(name, rates)| format!("{name} {:.2} (clock {:.2})", rates[run].cpu, rates[run].wall));
        eprintln!("run {run}, GB/s of processor time: {}", text.collect::<Vec<_>>().join(", "));
    }
    let [write, read, append_ours, read_ours] = rates.map(median);
    eprintln!(
        "median of {RUNS}, {RECORDS} records of 200 bytes: append {append_ours:.2} of {write:.2}, read {read_ours:.2} of {read:.2} GB/s"
    );
    let (ours, limit) = (append_ours.min(read_ours), write.min(read));
    println!(r#"{{"name":"log","ours":{ours:.3},"limit":{limit:.3},"unit":"GB/s","ratio":{:.3}}}"#, ours / limit);
    Ok(())
}

/// Writes and removes a quarter more than what is measured next: a virtual machine gives free memory back to its host,
/// and the first touch of a page then costs several times what copying into it does.
fn warm_up(dir: &Path) -> Result<(), Box<dyn Error>> {
    plain_write_bytes(dir, RECORDS_BYTES + RECORDS_BYTES / 4)?;
    Ok(fs::remove_dir_all(dir)?)
}

fn median(mut rates: Vec<Rate>) -> f64 {
    rates.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    rates[rates.len() / 2].cpu
}

fn measure(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Rate, Box<dyn Error>> {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (cpu_before, wall_before) = (cpu(), Instant::now());
    work()?;
    let gigabytes = RECORDS_BYTES as f64 / 1e9;
    Ok(Rate { cpu: gigabytes / (cpu() - cpu_before), wall: gigabytes / wall_before.elapsed().as_secs_f64() })
}

/// Files of a segment's size, each made durable once.
fn plain_write(dir: &Path) -> Result<(), Box<dyn Error>> {
    plain_write_bytes(dir, RECORDS_BYTES)
}

fn plain_write_bytes(dir: &Path, total: usize) -> Result<(), Box<dyn Error>> {
    let chunk = vec![7u8; BATCH_BYTES];
    fs::create_dir(dir)?;
    for (number, start) in (0..total).step_by(SEGMENT_BYTES).enumerate() {
        let mut file = File::create(dir.join(number.to_string()))?;
        let end = total.min(start + SEGMENT_BYTES);
        for position in (start..end).step_by(BATCH_BYTES) {
            file.write_all(&chunk[..BATCH_BYTES.min(end - position)])?;
        }
        file.sync_data()?;
    }
    Ok(())
}

fn plain_read(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut chunk = vec![0u8; READ_BYTES];
    let mut total = 0;
    for number in 0..RECORDS_BYTES.div_ceil(SEGMENT_BYTES) {
        let mut file = File::open(dir.join(number.to_string()))?;
        loop {
            let bytes = file.read(&mut chunk)?;
            black_box(&chunk);
            total += bytes;
            if bytes == 0 {
                break;
            }
        }
    }
    if total == RECORDS_BYTES { Ok(()) } else { Err("the plain files are short".into()) }
}

fn append(log: &EmbeddedLog) -> Result<(), Box<dyn Error>> {
    let records_per_batch = BATCH_BYTES / (KEY_BYTES + VALUE_BYTES + 20);
    let mut batch = BatchBuilder::with_capacity(records_per_batch, BATCH_BYTES);
    let mut pending = VecDeque::with_capacity(PENDING_MAX);
    let mut value = [7u8; VALUE_BYTES];
    for n in 0..RECORDS {
        value[..8].copy_from_slice(&(n as u64).to_le_bytes());
        batch.push(1_700_000_000_000 + n as i64, Some(&(n as u64).to_be_bytes()), Some(&value))?;
        if batch.len() == records_per_batch || n + 1 == RECORDS {
            pending.push_back(log.write_batch(TOPIC, 0, &batch)?);
            batch.clear();
        }
        if pending.len() == PENDING_MAX
            && let Some(oldest) = pending.pop_front()
        {
            oldest.wait()?;
        }
    }
    for appended in pending {
        appended.wait()?;
    }
    Ok(())
}

async fn read(log: &EmbeddedLog) -> Result<(), Box<dyn Error>> {
    let mut reader = log.open(TOPIC, 0, 0).await?;
    let (mut records, mut bytes) = (0, 0);
    while records < RECORDS {
        let slab = reader.poll(READ_BYTES, Duration::from_secs(10)).await?;
        for i in 0..slab.len() {
            bytes += slab.key(i).map_or(0, <[u8]>::len) + slab.value(i).map_or(0, <[u8]>::len);
        }
        records += slab.len();
        black_box(&slab);
    }
    if bytes == RECORDS_BYTES { Ok(()) } else { Err("the log is short".into()) }
}
