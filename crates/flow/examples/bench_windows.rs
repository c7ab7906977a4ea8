//! `bench_windows tumble|hop|session|memory`: a dagger's query over bookings of about 160 bytes from the embedded log, on one
//! thread, beside a hand-written loop over the same bytes (walk all fields, filter, S2 cell, count in a hash map). The last
//! line of stdout is one JSON object; `ratio` is ours over the limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use city::{BrokenRecords, City, CityBatch, CityOptions};
use flow::{Engine, OnBadRecord, OutputBatch, StreamSettings, TopicFormats};
use log::{BatchBuilder, Durability, EmbeddedLog, EmbeddedLogOptions, Slab, TopicConfig, TopicLog};
use sql::{RowtimeField, StreamTable};

const TUMBLE: &str = "SELECT city_id AS tag_city_id,
       S2Id(lat,long,13) AS tag_s2id,
       vehicle_type AS tag_vehicle_type,
       count(1) AS num_of_bookings,
       TUMBLE_END(rowtime,INTERVAL '60' SECOND) AS window_timestamp,
FROM `data_stream`
WHERE status='COMPLETED'
GROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND),
       city_id,
       S2Id(lat, long, 13),
       vehicle_type";

const HOP: &str = "SELECT city_id AS tag_city_id,
       S2Id(lat,long,13) AS tag_s2id,
       vehicle_type AS tag_vehicle_type,
       count(1) AS num_of_bookings,
       HOP_END(rowtime, INTERVAL '1' MINUTE, INTERVAL '1' HOUR) AS window_timestamp,
FROM `data_stream`
WHERE status='COMPLETED'
GROUP BY HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '1' HOUR), city_id, S2Id(lat, long, 13), vehicle_type";

const SESSION: &str = "SELECT city_id AS tag_city_id,
       S2Id(lat,long,13) AS tag_s2id,
       vehicle_type AS tag_vehicle_type,
       count(1) AS num_of_bookings,
       SESSION_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp,
FROM `data_stream`
WHERE status='COMPLETED'
GROUP BY SESSION(rowtime, INTERVAL '1' MINUTE), city_id, S2Id(lat, long, 13), vehicle_type";

/// Bookings per second of event time.
const EVENTS_PER_SECOND: f64 = 5_000.0;
const RECORDS: usize = 3_000_000;
const MEMORY_RECORDS: usize = 50_000_000;
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "tumble".into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let options = EmbeddedLogOptions { durability: Durability::None, ..EmbeddedLogOptions::default() };
    let log = runtime.block_on(async { EmbeddedLog::open(folder.path(), options) })?;
    let bytes = runtime.block_on(fill(&log))?;
    eprintln!("{RECORDS} bookings, {:.0} bytes each", bytes as f64 / RECORDS as f64);
    let holds = match name.as_str() {
        "tumble" | "hop" | "session" => windows(&name, &runtime, &log)?,
        "memory" => memory(&runtime, &log)?,
        other => return Err(format!("no benchmark {other}; there are tumble, hop, session, memory").into()),
    };
    std::process::exit(i32::from(!holds));
}

/// Writes the bookings of the demo city to one partition; returns their bytes.
async fn fill(log: &EmbeddedLog) -> Result<usize, Box<dyn std::error::Error>> {
    log.create_topic("bookings", TopicConfig { partitions: 1, ..TopicConfig::default() }).await?;
    let topics = city::topics();
    let rate_of_all = share_of_bookings().recip() * EVENTS_PER_SECOND;
    let mut city = City::new(CityOptions {
        seed: 7,
        records_per_second: rate_of_all.min(100_000.0),
        late_share: 0.0,
        broken_share: 0.0,
        broken: BrokenRecords::None,
        ..CityOptions::default()
    });
    let (mut batch, mut builder, mut written, mut bytes) = (CityBatch::new(), BatchBuilder::new(), 0, 0);
    while written < RECORDS {
        city.next_batch(&mut batch, i64::MAX, 20_000);
        builder.clear();
        for record in batch
            .records()
            .iter()
            .filter(|record| topics[record.topic].name.ends_with("booking-log"))
            .take(RECORDS - written)
        {
            builder.push(record.timestamp_ms, Some(batch.key(record)), Some(batch.value(record)))?;
            written += 1;
            bytes += batch.value(record).len();
        }
        if !builder.is_empty() {
            log.append_batch("bookings", 0, &builder)?;
        }
    }
    Ok(bytes)
}

/// Which share of the city's records are bookings.
fn share_of_bookings() -> f64 {
    let topics = city::topics();
    let mut city = City::new(CityOptions { seed: 7, records_per_second: 20_000.0, ..CityOptions::default() });
    let mut batch = CityBatch::new();
    let (mut bookings, mut all) = (0, 0);
    for _ in 0..10 {
        city.next_batch(&mut batch, i64::MAX, 20_000);
        all += batch.records().len();
        bookings += batch.records().iter().filter(|record| topics[record.topic].name.ends_with("booking-log")).count();
    }
    bookings as f64 / all as f64
}

fn windows(
    name: &str,
    runtime: &tokio::runtime::Runtime,
    log: &EmbeddedLog,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut ratios = Vec::new();
    let (mut ours_all, mut limit_all) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let ours = RECORDS as f64 / run_query(runtime, log, query(name))?.as_secs_f64();
        // The limit of the tumble is the loop without an engine; that of the others is the tumble.
        let limit = match name {
            "tumble" => RECORDS as f64 / run_by_hand(runtime, log)?.as_secs_f64(),
            _ => RECORDS as f64 / run_query(runtime, log, TUMBLE)?.as_secs_f64(),
        };
        eprintln!("run {run}: {ours:.0} records/s, limit {limit:.0}, ratio {:.2}", ours / limit);
        ours_all.push(ours);
        limit_all.push(limit);
        ratios.push(ours / limit);
    }
    let (ours, limit, ratio) = (median(ours_all), median(limit_all), median(ratios));
    let wanted = match name {
        "tumble" | "session" => 0.5,
        _ => 0.8,
    };
    println!(
        "{{\"name\":\"{name}\",\"ours\":{ours:.0},\"limit\":{limit:.0},\"unit\":\"records/s\",\"ratio\":{ratio:.3},\"wanted\":{wanted}}}"
    );
    Ok(ratio >= wanted)
}

fn query(name: &str) -> &'static str {
    match name {
        "hop" => HOP,
        "session" => SESSION,
        _ => TUMBLE,
    }
}

/// One engine over 50 million records: the topic again and again, each time with event times that go on from the last.
fn memory(runtime: &tokio::runtime::Runtime, log: &EmbeddedLog) -> Result<bool, Box<dyn std::error::Error>> {
    let passes = MEMORY_RECORDS.div_ceil(RECORDS);
    let pass_seconds = (RECORDS as f64 / EVENTS_PER_SECOND) as u64 + 60;
    let time_field = Numbers::of(&schemas()?)?.time;
    let mut engine = engine(TUMBLE)?;
    let (mut rows, mut resident) = (0, Vec::new());
    for pass in 0..passes as u64 {
        rows += take_topic(&mut engine, runtime, log, |slab| later(slab, pass, pass_seconds, time_field))?;
        resident.push(resident_mb()?);
        eprintln!("  {} records: {:.0} MB resident", (pass + 1) * RECORDS as u64, resident[pass as usize]);
    }
    rows += rows_of(&engine.advance(i64::MAX)?);
    let ledger = engine.lanes()[0].ledger();
    assert!(ledger.balances() && ledger.held == 0 && ledger.late == 0, "{ledger:?}");
    assert_eq!(ledger.consumed, (passes * RECORDS) as u64);
    eprintln!("  {rows} result rows");
    let (ours, limit) = (resident.iter().copied().fold(0.0, f64::max), 400.0);
    println!(
        "{{\"name\":\"memory\",\"ours\":{ours:.0},\"limit\":{limit:.0},\"unit\":\"MB resident at most over {} records\",\"ratio\":{:.3}}}",
        passes * RECORDS,
        ours / limit
    );
    let flat = resident[passes - 1] < resident[1] * 1.1;
    Ok(ours < limit && flat)
}

/// The slab with offsets and event times as the pass with this number would bring them.
fn later(mut slab: Slab, pass: u64, pass_seconds: u64, time_field: u32) -> Slab {
    let mut data = slab.data.to_vec();
    for (start, len) in &slab.records.values {
        let record = &mut data[*start as usize..(*start + *len) as usize];
        if let Some(at) = seconds_at(record, time_field) {
            let seconds = varint(record, &mut at.clone()) + pass * pass_seconds;
            // Seconds of this century have 31 bits: five bytes.
            for (index, byte) in record[at..at + 5].iter_mut().enumerate() {
                *byte = (seconds >> (7 * index)) as u8 & 0x7f | if index < 4 { 0x80 } else { 0 };
            }
        }
    }
    let by = pass as i64 * RECORDS as i64;
    slab.data = data.into();
    slab.records.offsets.iter_mut().for_each(|offset| *offset += by);
    slab.next_offset += by;
    slab.end_offset += by;
    slab
}

/// Where the seconds of a record's time begin.
fn seconds_at(record: &[u8], time_field: u32) -> Option<usize> {
    let mut at = 0;
    while at < record.len() {
        let tag = varint(record, &mut at);
        match tag & 7 {
            0 => _ = varint(record, &mut at),
            1 => at += 8,
            2 => {
                let len = varint(record, &mut at) as usize;
                if (tag >> 3) as u32 == time_field {
                    return (record[at] == 1 << 3).then_some(at + 1);
                }
                at += len;
            }
            _ => at += 4,
        }
    }
    None
}

fn resident_mb() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? / 1024.0)
}

/// Runs a query over the topic; returns the time of this thread's work from log to result columns.
fn run_query(
    runtime: &tokio::runtime::Runtime,
    log: &EmbeddedLog,
    query: &str,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut engine = engine(query)?;
    let started = Instant::now();
    let mut rows = take_topic(&mut engine, runtime, log, |slab| slab)?;
    rows += rows_of(&engine.advance(i64::MAX)?);
    let spent = started.elapsed();
    let ledger = engine.lanes()[0].ledger();
    assert!(ledger.balances() && ledger.held == 0, "the ledger does not balance: {ledger:?}");
    eprintln!("  {rows} result rows, {:.0} ns a record", spent.as_nanos() as f64 / RECORDS as f64);
    Ok(spent)
}

fn engine(query: &str) -> Result<Engine, Box<dyn std::error::Error>> {
    let message = schemas()?.message("city.booking.v1.BookingLog")?;
    let stream = StreamTable {
        table: "data_stream".into(),
        message: message.clone(),
        rowtime: RowtimeField::Path("event_timestamp".into()),
    };
    let plan = Arc::new(sql::plan(query, &[stream])?);
    let settings = Arc::new(StreamSettings {
        table: "data_stream".into(),
        message,
        rowtime_path: Some(vec!["event_timestamp".into()]),
        delay_ms: 10_000,
        allowed_skew_ms: None,
        on_bad_record: OnBadRecord::DeadLetter,
        keep_late: false,
        formats: TopicFormats::default(),
    });
    let mut engine = Engine::new(plan)?;
    engine.add_lane(0, &settings, "bookings", 0, 0)?;
    Ok(engine)
}

/// Takes the whole topic, each slab as `change` leaves it; returns the number of result rows.
fn take_topic(
    engine: &mut Engine,
    runtime: &tokio::runtime::Runtime,
    log: &EmbeddedLog,
    change: impl Fn(Slab) -> Slab,
) -> Result<usize, Box<dyn std::error::Error>> {
    let mut rows = 0;
    let mut reader = runtime.block_on(log.open("bookings", 0, 0))?;
    loop {
        let slab = runtime.block_on(reader.poll(1 << 20, Duration::ZERO))?;
        if slab.is_empty() {
            return Ok(rows);
        }
        engine.take(vec![(0, change(slab))], 1)?;
        let watermark = engine.lanes()[0].watermark_ms();
        rows += rows_of(&engine.advance(watermark)?);
    }
}

fn rows_of(batches: &[OutputBatch]) -> usize {
    batches.iter().map(|batch| batch.batch.num_rows()).sum()
}

fn schemas() -> Result<schema::SchemaSet, Box<dyn std::error::Error>> {
    let sources: Vec<schema::SourceFile> = city::proto_sources()
        .into_iter()
        .map(|source| schema::SourceFile { path: source.path.to_string(), text: source.text.to_string() })
        .collect();
    Ok(schema::SchemaSet::from_sources(&sources)?)
}

/// The same answer without an engine: walk the fields, filter, S2 cell, count in a hash map per minute.
fn run_by_hand(runtime: &tokio::runtime::Runtime, log: &EmbeddedLog) -> Result<Duration, Box<dyn std::error::Error>> {
    let numbers = Numbers::of(&schemas()?)?;
    let mut reader = runtime.block_on(log.open("bookings", 0, 0))?;
    let mut counts: HashMap<(i64, u64, u64, u64), u64, BuildHasher> = HashMap::default();
    let started = Instant::now();
    loop {
        let slab = runtime.block_on(reader.poll(1 << 20, Duration::ZERO))?;
        if slab.is_empty() {
            break;
        }
        count_by_hand(&slab, &numbers, &mut counts);
    }
    let spent = started.elapsed();
    eprintln!("  by hand: {} groups, {:.0} ns a record", counts.len(), spent.as_nanos() as f64 / RECORDS as f64);
    Ok(spent)
}

type BuildHasher = std::hash::BuildHasherDefault<Fnv>;

/// A plain multiplicative hash, as one writes by hand.
#[derive(Default)]
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value as u64);
    }
}

/// Field numbers of the booking.
struct Numbers {
    status: u32,
    completed: u64,
    city_id: u32,
    vehicle_type: u32,
    lat: u32,
    long: u32,
    time: u32,
}

impl Numbers {
    fn of(schemas: &schema::SchemaSet) -> Result<Self, Box<dyn std::error::Error>> {
        let message = schemas.message("city.booking.v1.BookingLog")?;
        let number =
            |name: &str| message.get_field_by_name(name).map(|field| field.number()).ok_or(format!("no field {name}"));
        let status = message.get_field_by_name("status").ok_or("no status")?;
        let kind = status.kind();
        let completed =
            kind.as_enum().and_then(|kind| kind.get_value_by_name("COMPLETED")).ok_or("no COMPLETED")?.number();
        Ok(Numbers {
            status: number("status")?,
            completed: completed as u64,
            city_id: number("city_id")?,
            vehicle_type: number("vehicle_type")?,
            lat: number("lat")?,
            long: number("long")?,
            time: number("event_timestamp")?,
        })
    }
}

fn count_by_hand(slab: &Slab, numbers: &Numbers, counts: &mut HashMap<(i64, u64, u64, u64), u64, BuildHasher>) {
    for (start, len) in &slab.records.values {
        let record = &slab.data[*start as usize..(*start + *len) as usize];
        let (mut status, mut city, mut vehicle, mut lat, mut long, mut time) = (0, 0, 0, 0.0, 0.0, 0);
        let mut at = 0;
        while at < record.len() {
            let tag = varint(record, &mut at);
            let field = (tag >> 3) as u32;
            match tag & 7 {
                0 => {
                    let value = varint(record, &mut at);
                    if field == numbers.status {
                        status = value;
                    } else if field == numbers.city_id {
                        city = value;
                    } else if field == numbers.vehicle_type {
                        vehicle = value;
                    }
                }
                1 => {
                    let bytes: [u8; 8] = record[at..at + 8].try_into().unwrap_or_default();
                    if field == numbers.lat {
                        lat = f64::from_le_bytes(bytes);
                    } else if field == numbers.long {
                        long = f64::from_le_bytes(bytes);
                    }
                    at += 8;
                }
                2 => {
                    let len = varint(record, &mut at) as usize;
                    if field == numbers.time {
                        let mut inner = at;
                        while inner < at + len {
                            let tag = varint(record, &mut inner);
                            let value = varint(record, &mut inner);
                            if tag >> 3 == 1 {
                                time = value as i64;
                            }
                        }
                    }
                    at += len;
                }
                _ => at += 4,
            }
        }
        if status == numbers.completed {
            let cell = functions::s2_cell_id(lat, long, 13);
            *counts.entry((time / 60, city, cell, vehicle)).or_default() += 1;
        }
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
