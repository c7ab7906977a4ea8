//! What reading from and writing to a Kafka cluster costs, in processor time of this process (user and system, all
//! threads, the client's among them), for records of about 200 bytes: `make bench NAME=kafka`.
//!
//! The table on stderr has, from the same runs, the client alone, our reader, our reader with columns decoded, the
//! embedded log, a fetcher that parses record batches itself, and the writer beside `rd_kafka_produce_batch`. The last
//! line of stdout is one JSON object: records into columns, per second and core, the worse of lz4 and uncompressed.
//! `MILLRACE_KAFKA_BOOTSTRAP` says where the cluster is. With `source`, `sink` or `delivery` one part runs.

mod bookings;
mod fetcher;
mod sink;
mod source;

use std::error::Error;
use std::time::{Duration, Instant};

use kafka::{ClusterConfig, Compression, KafkaLog};
use log::{TopicConfig, TopicLog};
use rustix::time::{ClockId, clock_gettime};

/// The allocator of the shipped binary, for the C library of the client, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 3;
const PARTITIONS: u32 = 4;
/// Records per second and core that the source has to bring into columns.
const SOURCE_WANTED: f64 = 1_400_000.0;
/// The sink has to reach this, or that share of what `rd_kafka_produce_batch` reaches.
const SINK_WANTED: f64 = 1_000_000.0;
const SINK_SHARE_WANTED: f64 = 0.8;
/// Exactly once against at least once, checkpoints every 10 s.
const EXACTLY_ONCE_WANTED: f64 = 0.85;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Nanoseconds of processor time and on the clock, per record.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

struct Bench {
    bootstrap: String,
    log: KafkaLog,
    runtime: tokio::runtime::Runtime,
    /// Lines of the table, in the order of their first run.
    rows: Vec<(String, Vec<Cost>)>,
}

fn main() -> Outcome<()> {
    let part = std::env::args().nth(1).unwrap_or_else(|| "all".to_owned());
    let bootstrap = std::env::var("MILLRACE_KAFKA_BOOTSTRAP").map_err(|_| "MILLRACE_KAFKA_BOOTSTRAP is not set")?;
    let log = KafkaLog::connect(ClusterConfig::plaintext("bench", &[&bootstrap]))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut bench = Bench { bootstrap, log, runtime, rows: Vec::new() };
    let mut holds = true;
    let mut ours = f64::NAN;
    if matches!(part.as_str(), "all" | "source") {
        source::run(&mut bench)?;
        ours = ["none", "lz4"]
            .map(|codec| bench.rate(&format!("source {codec}: into columns")))
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        holds &= ours >= SOURCE_WANTED;
    }
    if matches!(part.as_str(), "all" | "sink") {
        sink::run(&mut bench)?;
        let rate = bench.rate("sink none: writer, with timestamps");
        let alone = bench.rate("sink none: rd_kafka_produce_batch");
        eprintln!("sink: {:.2} of rd_kafka_produce_batch, wanted {SINK_SHARE_WANTED}", rate / alone);
        holds &= rate >= SINK_WANTED || rate >= SINK_SHARE_WANTED * alone;
    }
    if matches!(part.as_str(), "all" | "delivery") {
        let ratio = sink::exactly_once(&mut bench)?;
        eprintln!(
            "exactly once against at least once, checkpoints every 10 s: {ratio:.3}, wanted {EXACTLY_ONCE_WANTED}"
        );
        holds &= ratio >= EXACTLY_ONCE_WANTED;
    }
    bench.print_table();
    if ours.is_finite() {
        let ratio = ours / SOURCE_WANTED;
        println!(
            "{{\"name\":\"kafka\",\"ours\":{ours:.0},\"limit\":{SOURCE_WANTED:.0},\"unit\":\"records/s and core\",\"ratio\":{ratio:.3},\"wanted\":1.0}}"
        );
    }
    std::process::exit(i32::from(!holds));
}

impl Bench {
    fn topic(&self, name: &str) -> Outcome<()> {
        let config = TopicConfig { partitions: PARTITIONS, retention_ms: None, ..TopicConfig::default() };
        Ok(self.runtime.block_on(self.log.create_topic(name, config))?)
    }

    fn delete(&self, name: &str) -> Outcome<()> {
        Ok(self.runtime.block_on(self.log.delete_topic(name))?)
    }

    fn note(&mut self, row: &str, cost: Cost) {
        eprintln!("{row}: {:.0} ns a record, {:.0} on the clock", cost.cpu, cost.wall);
        match self.rows.iter_mut().find(|(name, _)| name == row) {
            Some((_, costs)) => costs.push(cost),
            None => self.rows.push((row.to_owned(), vec![cost])),
        }
    }

    /// Records per second and core: the median of the runs.
    fn rate(&self, row: &str) -> f64 {
        let costs = self.rows.iter().find(|(name, _)| name == row).map(|(_, costs)| costs.as_slice());
        1e9 / median(costs.unwrap_or_default().iter().map(|cost| cost.cpu).collect())
    }

    fn print_table(&self) {
        eprintln!("{:<44} {:>9} {:>17} {:>12} {:>9}", "", "ns of CPU", "all runs", "records/s", "ns clock");
        for (name, costs) in &self.rows {
            let (cpu, wall) = (|cost: &Cost| cost.cpu, |cost: &Cost| cost.wall);
            let runs: Vec<String> = costs.iter().map(|cost| format!("{:.0}", cost.cpu)).collect();
            let ns = median(costs.iter().map(cpu).collect());
            let clock = median(costs.iter().map(wall).collect());
            eprintln!("{name:<44} {ns:>9.0} {:>17} {:>12.0} {clock:>9.0}", runs.join(" "), 1e9 / ns);
        }
    }
}

/// What `work` costs for each of the records whose number it returns.
fn measure(work: impl FnOnce() -> Outcome<usize>) -> Outcome<Cost> {
    let (cpu, wall) = (processor_time(), Instant::now());
    let records = work()?.max(1) as f64;
    let cpu = processor_time() - cpu;
    Ok(Cost { cpu: cpu.as_nanos() as f64 / records, wall: wall.elapsed().as_nanos() as f64 / records })
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn compressions() -> [(&'static str, Compression); 2] {
    [("none", Compression::None), ("lz4", Compression::Lz4)]
}
