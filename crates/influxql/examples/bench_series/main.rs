//! The series beside a real InfluxDB 1, the same points in both, per second of processor time: writing (from batches beside
//! line protocol), bytes per point on disk, a chart of the last 15 minutes, and twelve panels over a day; from InfluxQL to
//! JSON in both, InfluxDB's with HTTP.
//!
//! 44,000 series with two fields: a point every ten minutes for a day, then one every minute for 15 minutes.
//! Usage: `bench_series [SERIES]`. The last line of stdout is one JSON object. Without `influxd` in the path, or named by
//! `MILLRACE_INFLUXD`, it is told as an error.

mod influxdb;

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Float64Type, Int64Type};
use influxql::{
    Database, Databases, JsonOptions, Precision, QueryError, QueryLimits, QueryOptions, SeriesDatabase, StatementChunk,
    parse, run, write_json,
};
use rustix::time::{ClockId, clock_gettime};
use series::{PointLayout, SeriesOptions, SeriesStore};

use influxdb::{InfluxDb, directory_bytes, disk_bytes};

const SERIES_DEFAULT: usize = 44_000;
const DAY_STEPS: i64 = 144;
const CHART_STEPS: i64 = 15;
const MINUTE: i64 = 60_000_000_000;
const START: i64 = 1_704_067_200_000_000_000;
/// Lines in one request to InfluxDB.
const LINES_PER_REQUEST: usize = 5_500;
/// Each query of ours is run this many times; the median counts.
const ROUNDS: usize = 5;
/// Each query of InfluxDB's, whose processor time is told in hundredths of a second, is run until it has taken so much, or so
/// often; the mean counts. One over all points takes many seconds, and is run once.
const THEIR_SECONDS_MIN: f64 = 0.5;
const THEIR_ROUNDS_MAX: usize = 300;
/// InfluxDB gets its lines by so many connections.
const WRITERS: usize = 2;

/// Wanted: writes, bytes, panels.
const WRITES_RATIO_MIN: f64 = 20.0;
const BYTES_RATIO_MAX: f64 = 0.7;
const PANELS_RATIO_MIN: f64 = 3.0;
const CHART_MILLIS_MAX: f64 = 20.0;
/// Of the panel that compares worst.
const PANEL_RATIO_MIN: f64 = 1.0;

fn main() -> Result<(), Box<dyn Error>> {
    let series = std::env::args().nth(1).map_or(Ok(SERIES_DEFAULT), |count| count.parse())?;
    let dir = tempfile::tempdir()?;
    let points = (series as i64 * (DAY_STEPS + CHART_STEPS)) as f64;
    let ours = run_ours(&dir.path().join("ours"), series)?;
    eprintln!("ours: {ours:?}");
    let theirs_dir = dir.path().join("influxdb");
    std::fs::create_dir(&theirs_dir)?;
    let server = InfluxDb::start(&theirs_dir)?.ok_or("influxd is not installed: apt-get install influxdb")?;
    let theirs = run_influxdb(&server, series)?;
    eprintln!("InfluxDB: {theirs:?}");
    for (number, (our, their)) in ours.answers.iter().zip(&theirs.answers).enumerate() {
        if our.0 != their.0 || (our.1 - their.1).abs() > their.1.abs() * 1e-9 {
            return Err(format!("answer {number} is {our:?}, InfluxDB's is {their:?}").into());
        }
    }
    let writes = theirs.write_seconds / ours.write_seconds;
    let bytes = ours.bytes / theirs.bytes;
    let panels = theirs.panel_seconds.iter().sum::<f64>() / ours.panel_seconds.iter().sum::<f64>();
    let each = theirs.panel_seconds.iter().zip(&ours.panel_seconds).map(|(theirs, ours)| theirs / ours);
    let slowest = each.fold(f64::INFINITY, f64::min);
    println!(
        "{{\"name\":\"series\",\"ours\":{:.0},\"limit\":{:.0},\"unit\":\"points/s and core\",\"ratio\":{writes:.2},\
         \"bytes_per_point\":{:.2},\"bytes_per_point_limit\":{:.2},\"bytes_ratio\":{bytes:.2},\"chart_millis\":{:.1},\
         \"chart_millis_limit\":{:.1},\"panels_millis\":{:.0},\"panels_millis_limit\":{:.0},\"panels_ratio\":{panels:.2},\
         \"slowest_panel_ratio\":{slowest:.2}}}",
        points / ours.write_seconds,
        points / theirs.write_seconds,
        ours.bytes / points,
        theirs.bytes / points,
        ours.chart_seconds * 1e3,
        theirs.chart_seconds * 1e3,
        ours.panel_seconds.iter().sum::<f64>() * 1e3,
        theirs.panel_seconds.iter().sum::<f64>() * 1e3,
    );
    let reached = writes >= WRITES_RATIO_MIN
        && bytes <= BYTES_RATIO_MAX
        && panels >= PANELS_RATIO_MIN
        && slowest >= PANEL_RATIO_MIN
        && ours.chart_seconds * 1e3 < CHART_MILLIS_MAX;
    if reached { Ok(()) } else { Err("the ratios wanted are not reached".into()) }
}

/// What was measured of one of the two: seconds of processor time, of all threads.
#[derive(Debug)]
struct Measured {
    write_seconds: f64,
    bytes: f64,
    chart_seconds: f64,
    panel_seconds: Vec<f64>,
    /// Of the chart and each panel: number of values, and their sum.
    answers: Vec<(usize, f64)>,
}

fn processor_seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn times() -> impl Iterator<Item = i64> {
    let day = (0..DAY_STEPS).map(|step| START + step * 10 * MINUTE);
    day.chain((0..CHART_STEPS).map(|step| START + DAY_STEPS * 10 * MINUTE + step * MINUTE))
}

fn end() -> i64 {
    START + DAY_STEPS * 10 * MINUTE + CHART_STEPS * MINUTE
}

/// Numbers that look random and are the same each time.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A count of orders, and a speed that goes up and down by hundredths.
struct Generator {
    drivers: Vec<String>,
    cities: Vec<String>,
    speeds: Vec<i64>,
}

impl Generator {
    fn new(series: usize) -> Self {
        Self {
            drivers: (0..series).map(|driver| format!("driver-{driver:05}")).collect(),
            cities: (0..series).map(|driver| format!("city-{}", driver % 20)).collect(),
            speeds: (0..series).map(|driver| 2_000 + (mixed(driver as u64) % 4_000) as i64).collect(),
        }
    }

    fn batch(&mut self, time: i64) -> Result<RecordBatch, Box<dyn Error>> {
        let rows = self.drivers.len();
        let random = |row: usize| mixed(time as u64 ^ ((row as u64) << 40));
        for (row, speed) in self.speeds.iter_mut().enumerate() {
            *speed += (random(row) % 101) as i64 - 50;
        }
        let vehicle = |row: usize| ["BIKE", "CAR", "TRUCK"][row % 3];
        let columns: [(&str, ArrayRef); 6] = [
            ("time", Arc::new(TimestampNanosecondArray::from(vec![time; rows]))),
            ("driver", Arc::new(StringArray::from_iter_values(&self.drivers))),
            ("city", Arc::new(StringArray::from_iter_values(&self.cities))),
            ("vehicle", Arc::new(StringArray::from_iter_values((0..rows).map(vehicle)))),
            ("orders", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| (random(row) >> 20) as i64 % 97)))),
            ("speed", Arc::new(Float64Array::from_iter_values(self.speeds.iter().map(|speed| *speed as f64 / 100.0)))),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

/// A dashboard over the day.
fn panels() -> Vec<String> {
    let day = |calls: &str, condition: &str, group_by: &str| {
        let group_by = if group_by.is_empty() { String::new() } else { format!(" GROUP BY {group_by}") };
        let fill = if group_by.contains("time(") { " fill(none)" } else { "" };
        let until = end();
        format!("SELECT {calls} FROM m WHERE time >= {START} AND time < {until}{condition}{group_by}{fill}")
    };
    vec![
        day("mean(speed)", "", "time(10m)"),
        day("sum(orders)", "", "time(10m)"),
        day("count(speed)", "", "time(1h)"),
        day("max(speed)", "", "time(1h), city"),
        day("mean(speed)", "", "time(1h), vehicle"),
        day("sum(orders)", "", "time(1h), city"),
        day("min(speed), max(speed), mean(speed)", "", "time(1h)"),
        // All drivers have points at one time: only by windows InfluxDB says which of them is the last.
        day("last(orders)", "", "time(1d), city"),
        day("first(speed)", "", "time(1d), vehicle"),
        day("mean(speed)", " AND city = 'city-7'", "time(10m)"),
        day("sum(orders)", " AND driver = 'driver-00042'", "time(10m)"),
        day("spread(speed)", " AND vehicle = 'CAR'", "time(1h)"),
    ]
}

/// What a dagger's page opens with.
fn chart() -> String {
    let (from, until) = (end() - CHART_STEPS * MINUTE, end());
    format!("SELECT sum(*) FROM m WHERE time >= {from} AND time < {until} GROUP BY time(30s) fill(null)")
}

fn run_ours(dir: &Path, series: usize) -> Result<Measured, Box<dyn Error>> {
    let options = SeriesOptions { clock: Arc::new(end), ..SeriesOptions::default() };
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "driver".into()), (2, "city".into()), (3, "vehicle".into())],
        fields: vec![(4, "orders".into()), (5, "speed".into())],
    };
    let mut generator = Generator::new(series);
    let (mut generated, mut slowest, start) = (0.0, 0.0f64, processor_seconds(ClockId::ProcessCPUTime));
    let store = SeriesStore::open(dir, options.clone())?;
    for time in times() {
        let before = processor_seconds(ClockId::ThreadCPUTime);
        let batch = generator.batch(time)?;
        generated += processor_seconds(ClockId::ThreadCPUTime) - before;
        let before = Instant::now();
        let point = store.sync_point();
        store.write("bench/m", &batch, &layout)?;
        store.sync(point)?;
        slowest = slowest.max(before.elapsed().as_secs_f64());
    }
    store.expire()?;
    drop(store);
    let write_seconds = processor_seconds(ClockId::ProcessCPUTime) - start - generated;
    eprintln!("ours: {write_seconds:.2} s for writing; the slowest write took {slowest:.3} s");
    let store = SeriesStore::open(dir, options)?;
    let bytes = directory_bytes(dir) as f64;
    eprintln!("ours: {bytes} bytes, {} of them journals", journal_bytes(dir)?);
    let (chart_seconds, answer) = measure_ours(&store, &chart())?;
    let (mut panel_seconds, mut answers) = (Vec::new(), vec![answer]);
    for statement in panels() {
        let (seconds, answer) = measure_ours(&store, &statement)?;
        panel_seconds.push(seconds);
        answers.push(answer);
    }
    Ok(Measured { write_seconds, bytes, chart_seconds, panel_seconds, answers })
}

/// Of what the storage engine does not know to be in its sorted files yet.
fn journal_bytes(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "jnl") {
            bytes += disk_bytes(&entry.metadata()?);
        }
    }
    Ok(bytes)
}

/// The databases of the one who asks.
struct Bench(SeriesStore);

impl Databases for Bench {
    fn names(&self) -> Result<Vec<String>, QueryError> {
        Ok(vec!["bench".into()])
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError> {
        Ok(Some(Arc::new(SeriesDatabase::new(self.0.clone(), name))))
    }

    fn create(&self, name: &str) -> Result<(), QueryError> {
        Err(QueryError::new(format!("{name} is not made here")))
    }

    fn drop_database(&self, name: &str) -> Result<(), QueryError> {
        self.create(name)
    }
}

/// From the statement's text to the answer's JSON.
fn measure_ours(store: &SeriesStore, statement: &str) -> Result<(f64, (usize, f64)), Box<dyn Error>> {
    let bench = Bench(store.clone());
    let epoch = Some(Precision::Nanoseconds);
    let (mut seconds, mut json) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = processor_seconds(ClockId::ProcessCPUTime);
        let options = QueryOptions {
            database: Some("bench".into()),
            retention_policy: None,
            epoch,
            chunk_rows: None,
            now_nanos: end(),
            may_write: false,
            limits: QueryLimits::default(),
        };
        let answer: Vec<StatementChunk> = run(parse(statement, &HashMap::new())?, options, &bench).collect();
        json.clear();
        write_json(&mut json, &answer, JsonOptions { epoch, pretty: false })?;
        seconds.push(processor_seconds(ClockId::ProcessCPUTime) - start);
    }
    eprintln!("{:7.1} ms  {statement}", median(seconds.clone()) * 1e3);
    Ok((median(seconds), totals(&serde_json::from_slice(&json)?)))
}

/// The number of values in an answer, and their sum.
fn totals(answer: &serde_json::Value) -> (usize, f64) {
    let series = answer.pointer("/results/0/series").and_then(|series| series.as_array());
    let rows = series.into_iter().flatten().filter_map(|series| series.get("values")?.as_array()).flatten();
    let values = rows.flat_map(|row| row.as_array().into_iter().flatten().skip(1));
    values.filter_map(serde_json::Value::as_f64).fold((0, 0.0), |(count, sum), value| (count + 1, sum + value))
}

fn run_influxdb(server: &InfluxDb, series: usize) -> Result<Measured, Box<dyn Error>> {
    let start = server.processor_seconds()?;
    write_influxdb(server, series)?;
    // What it still does by itself belongs to writing, as merging does for the store.
    server.settle(120)?;
    let write_seconds = server.processor_seconds()? - start;
    let (data, log) = server.disk_bytes();
    eprintln!("InfluxDB: {write_seconds:.2} s for writing; {data} bytes of data, {log} bytes of write-ahead log");
    let (chart_seconds, answer) = measure_influxdb(server, &chart())?;
    let (mut panel_seconds, mut answers) = (Vec::new(), vec![answer]);
    for statement in panels() {
        let (seconds, answer) = measure_influxdb(server, &statement)?;
        panel_seconds.push(seconds);
        answers.push(answer);
    }
    Ok(Measured { write_seconds, bytes: (data + log) as f64, chart_seconds, panel_seconds, answers })
}

/// Makes the lines beside sending them; no processor time but the server's counts.
fn write_influxdb(server: &InfluxDb, series: usize) -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = sync_channel::<Vec<u8>>(2 * WRITERS);
    let receiver = Arc::new(Mutex::new(receiver));
    let write = |receiver: Arc<Mutex<Receiver<Vec<u8>>>>| -> Result<(), String> {
        loop {
            let next = receiver.lock().map_err(|error| error.to_string())?.recv();
            let Ok(lines) = next else { return Ok(()) };
            server.write(&lines).map_err(|error| error.to_string())?;
        }
    };
    std::thread::scope(|scope| {
        let spawn = |_| {
            let receiver = receiver.clone();
            scope.spawn(move || write(receiver))
        };
        let writers: Vec<_> = (0..WRITERS).map(spawn).collect();
        // When all writers have failed, sending fails.
        drop(receiver);
        let mut generator = Generator::new(series);
        for time in times() {
            for lines in line_protocol(&generator.batch(time)?)? {
                sender.send(lines).map_err(|_| "nobody writes any more")?;
            }
        }
        drop(sender);
        for writer in writers {
            writer.join().map_err(|_| "a writer has panicked")??;
        }
        Ok(())
    })
}

fn measure_influxdb(server: &InfluxDb, statement: &str) -> Result<(f64, (usize, f64)), Box<dyn Error>> {
    let start = server.processor_seconds()?;
    let (mut taken, mut rounds, mut answer) = (0.0, 0, (0, 0.0));
    while taken < THEIR_SECONDS_MIN && rounds < THEIR_ROUNDS_MAX {
        answer = totals(&server.query(statement)?);
        taken = server.processor_seconds()? - start;
        rounds += 1;
    }
    let seconds = taken / rounds as f64;
    eprintln!("{:7.1} ms  {statement}", seconds * 1e3);
    Ok((seconds, answer))
}

/// The points of a batch in the form in which they are sent to InfluxDB, some in each request.
fn line_protocol(batch: &RecordBatch) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let times = batch.column(0).as_primitive::<arrow::datatypes::TimestampNanosecondType>();
    let orders = batch.column(4).as_primitive::<Int64Type>();
    let speeds = batch.column(5).as_primitive::<Float64Type>();
    let mut requests = Vec::new();
    for first in (0..batch.num_rows()).step_by(LINES_PER_REQUEST) {
        let mut lines = Vec::new();
        for row in first..(first + LINES_PER_REQUEST).min(batch.num_rows()) {
            let [driver, city, vehicle] = [1, 2, 3].map(|column| text(column).value(row));
            let (orders, speed, time) = (orders.value(row), speeds.value(row), times.value(row));
            writeln!(lines, "m,city={city},driver={driver},vehicle={vehicle} orders={orders}i,speed={speed} {time}")?;
        }
        requests.push(lines);
    }
    Ok(requests)
}
