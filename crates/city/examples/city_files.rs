//! Writes the first records of the demo city to files, one per topic, for `millrace dagger run`.
//!
//! ```text
//! cargo run --release -p city --example city_files -- --records 1000000 --out DIR
//! ```
//!
//! Each `TOPIC.pb` holds varint-delimited messages in the order of their arrival; `proto/` the schemas,
//! `daggers/` the demo daggers, `ledger.json` the counts of each topic, and `broken.ndjson` one line for
//! each broken record.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use city::{BrokenRecords, City, CityBatch, CityOptions, CityTopic};
use serde_json::json;

const USAGE: &str = "usage: city_files --out DIR [--records N of each topic] [--records-total N] \
[--topics A,B] [--seed N] [--rate RECORDS_PER_SECOND] [--start-ms N] [--late-share X] \
[--broken-share X] [--broken none|undecodable|all]";

/// Records asked of the city at a time.
const BATCH_RECORDS: usize = 16_384;

struct Request {
    out: PathBuf,
    records_per_topic: u64,
    records_total: u64,
    topics: Option<Vec<String>>,
    city: CityOptions,
}

/// One topic's file and what has been written to it.
struct TopicFile {
    topic: CityTopic,
    file: Option<BufWriter<File>>,
    records: u64,
    broken: u64,
    value_bytes: u64,
    first_event_ms: i64,
    last_event_ms: i64,
}

fn main() -> ExitCode {
    let request = match parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match write_files(&request) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write to {}: {error}", request.out.display());
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut out = None;
    let mut request = Request {
        out: PathBuf::new(),
        records_per_topic: u64::MAX,
        records_total: u64::MAX,
        topics: None,
        city: CityOptions { records_per_second: 5_000.0, ..CityOptions::default() },
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let wrong = || format!("{name} cannot be {value:?}");
        match name.as_str() {
            "--out" => out = Some(PathBuf::from(&value)),
            "--records" => request.records_per_topic = value.parse().map_err(|_| wrong())?,
            "--records-total" => request.records_total = value.parse().map_err(|_| wrong())?,
            "--topics" => request.topics = Some(value.split(',').map(str::to_owned).collect()),
            "--seed" => request.city.seed = value.parse().map_err(|_| wrong())?,
            "--rate" => request.city.records_per_second = value.parse().map_err(|_| wrong())?,
            "--start-ms" => request.city.start_ms = value.parse().map_err(|_| wrong())?,
            "--late-share" => request.city.late_share = value.parse().map_err(|_| wrong())?,
            "--broken-share" => request.city.broken_share = value.parse().map_err(|_| wrong())?,
            "--broken" => {
                request.city.broken = match value.as_str() {
                    "none" => BrokenRecords::None,
                    "undecodable" => BrokenRecords::Undecodable,
                    "all" => BrokenRecords::All,
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(format!("{name} is not an option")),
        }
    }
    if let Some(names) = &request.topics {
        let known = city::topics();
        if let Some(name) = names.iter().find(|name| known.iter().all(|topic| topic.name != *name)) {
            return Err(format!("{name} is not a topic of the city"));
        }
    }
    if request.records_per_topic == u64::MAX && request.records_total == u64::MAX {
        request.records_per_topic = 1_000_000;
    }
    request.out = out.ok_or("--out is missing")?;
    Ok(request)
}

fn write_files(request: &Request) -> io::Result<serde_json::Value> {
    write_sources(&request.out)?;
    let mut files = open(request)?;
    let mut broken = BufWriter::new(File::create(request.out.join("broken.ndjson"))?);
    let mut city = City::new(request.city.clone());
    let mut batch = CityBatch::new();
    let mut seen = 0;
    let mut unfinished = files.iter().filter(|file| file.file.is_some()).count();
    while unfinished > 0 && seen < request.records_total {
        city.next_batch(&mut batch, i64::MAX, BATCH_RECORDS);
        for record in batch.records() {
            if seen >= request.records_total {
                break;
            }
            seen += 1;
            let topic_file = &mut files[record.topic];
            if topic_file.records >= request.records_per_topic {
                continue;
            }
            let Some(file) = &mut topic_file.file else { continue };
            let value = batch.value(record);
            write_delimited(file, value)?;
            if let Some(kind) = record.broken {
                topic_file.broken += 1;
                let line = json!({
                    "topic": topic_file.topic.name,
                    "record": topic_file.records,
                    "kind": kind.name(),
                });
                writeln!(broken, "{line}")?;
            }
            if topic_file.records == 0 {
                topic_file.first_event_ms = record.event_ms;
            }
            topic_file.first_event_ms = topic_file.first_event_ms.min(record.event_ms);
            topic_file.last_event_ms = topic_file.last_event_ms.max(record.event_ms);
            topic_file.records += 1;
            topic_file.value_bytes += value.len() as u64;
            if topic_file.records == request.records_per_topic {
                unfinished -= 1;
            }
        }
    }
    broken.flush()?;
    let ledger = finish(files, request)?;
    fs::write(request.out.join("ledger.json"), format!("{ledger:#}\n"))?;
    Ok(ledger)
}

fn write_sources(out: &Path) -> io::Result<()> {
    for source in city::proto_sources() {
        let path = out.join("proto").join(source.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, source.text)?;
    }
    fs::create_dir_all(out.join("daggers"))?;
    for dagger in city::daggers() {
        fs::write(out.join("daggers").join(format!("{}.yaml", dagger.name)), dagger.yaml)?;
    }
    Ok(())
}

fn open(request: &Request) -> io::Result<Vec<TopicFile>> {
    let is_wanted = |name: &str| request.topics.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name));
    city::topics()
        .into_iter()
        .map(|topic| {
            let file = if is_wanted(topic.name) {
                let file = File::create(request.out.join(format!("{}.pb", topic.name)))?;
                Some(BufWriter::with_capacity(1 << 20, file))
            } else {
                None
            };
            Ok(TopicFile { topic, file, records: 0, broken: 0, value_bytes: 0, first_event_ms: 0, last_event_ms: 0 })
        })
        .collect()
}

/// A message with its length in front, as protobuf's `writeDelimitedTo` does it.
fn write_delimited(file: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let mut length = message.len();
    while length >= 0x80 {
        file.write_all(&[length as u8 | 0x80])?;
        length >>= 7;
    }
    file.write_all(&[length as u8])?;
    file.write_all(message)
}

fn finish(files: Vec<TopicFile>, request: &Request) -> io::Result<serde_json::Value> {
    let mut topics = serde_json::Map::new();
    for mut topic_file in files {
        let Some(file) = &mut topic_file.file else { continue };
        file.flush()?;
        topics.insert(
            topic_file.topic.name.to_owned(),
            json!({
                "records": topic_file.records,
                "broken": topic_file.broken,
                "bytes_per_record": topic_file.value_bytes as f64 / topic_file.records.max(1) as f64,
                "first_event_ms": topic_file.first_event_ms,
                "last_event_ms": topic_file.last_event_ms,
            }),
        );
    }
    Ok(json!({
        "seed": request.city.seed,
        "records_per_second": request.city.records_per_second,
        "start_ms": request.city.start_ms,
        "topics": topics,
    }))
}
