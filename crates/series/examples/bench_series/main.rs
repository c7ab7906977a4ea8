//! The series store beside a real InfluxDB 1, the same points in both, per second of processor time: writing (from batches
//! beside line protocol), bytes per point on disk, a chart of the last 15 minutes, and twelve panels over a day.
//!
//! 44,000 series with two fields: a point every ten minutes for a day, then one every minute for 15 minutes.
//! Usage: `bench_series [SERIES]`. The last line of stdout is one JSON object. Without `influxd` in the path, or named by
//! `MILLRACE_INFLUXD`, it is told as an error.

mod influxdb;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use rustix::time::{ClockId, clock_gettime};
use series::{
    PointLayout, SeriesOptions, SeriesStore, TagFilter, TimeRange, WindowAggregate as A, WindowRequest, Windows,
};

use influxdb::InfluxDb;

const SERIES_DEFAULT: usize = 44_000;
const DAY_STEPS: i64 = 144;
const CHART_STEPS: i64 = 15;
const MINUTE: i64 = 60_000_000_000;
const START: i64 = 1_704_067_200_000_000_000;
/// Lines in one request to InfluxDB.
const LINES_PER_REQUEST: usize = 5_500;
/// Each query is run this many times; the median counts.
const ROUNDS: usize = 5;

/// Wanted: writes, bytes, panels.
const WRITES_RATIO_MIN: f64 = 20.0;
const BYTES_RATIO_MAX: f64 = 0.7;
const PANELS_RATIO_MIN: f64 = 3.0;
const CHART_MILLIS_MAX: f64 = 20.0;

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
    println!(
        "{{\"name\":\"series\",\"ours\":{:.0},\"limit\":{:.0},\"unit\":\"points/s and core\",\"ratio\":{writes:.2},\
         \"bytes_per_point\":{:.2},\"bytes_per_point_limit\":{:.2},\"bytes_ratio\":{bytes:.2},\"chart_millis\":{:.1},\
         \"chart_millis_limit\":{:.1},\"panels_millis\":{:.0},\"panels_millis_limit\":{:.0},\"panels_ratio\":{panels:.2}}}",
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

/// Statement for InfluxDB and the same for the store.
fn panels() -> Vec<(String, WindowRequest)> {
    let day = |aggregates: &[(&str, A)], minutes: Option<i64>, group_by: &[&str], filter: Option<(&str, &str)>| {
        request(TimeRange::new(START, end()), aggregates, minutes.map(|minutes| minutes * MINUTE), group_by, filter)
    };
    vec![
        day(&[("speed", A::Mean)], Some(10), &[], None),
        day(&[("orders", A::Sum)], Some(10), &[], None),
        day(&[("speed", A::Count)], Some(60), &[], None),
        day(&[("speed", A::Max)], Some(60), &["city"], None),
        day(&[("speed", A::Mean)], Some(60), &["vehicle"], None),
        day(&[("orders", A::Sum)], Some(60), &["city"], None),
        day(&[("speed", A::Min), ("speed", A::Max), ("speed", A::Mean)], Some(60), &[], None),
        day(&[("orders", A::Last)], None, &["city"], None),
        day(&[("speed", A::First)], None, &["vehicle"], None),
        day(&[("speed", A::Mean)], Some(10), &[], Some(("city", "city-7"))),
        day(&[("orders", A::Sum)], Some(10), &[], Some(("driver", "driver-00042"))),
        day(&[("speed", A::Spread)], Some(60), &[], Some(("vehicle", "CAR"))),
    ]
}

fn chart() -> (String, WindowRequest) {
    let range = TimeRange::new(end() - CHART_STEPS * MINUTE, end());
    request(range, &[("orders", A::Sum), ("speed", A::Sum)], Some(MINUTE / 2), &[], None)
}

fn request(
    range: TimeRange,
    aggregates: &[(&str, A)],
    width_nanos: Option<i64>,
    group_by: &[&str],
    filter: Option<(&str, &str)>,
) -> (String, WindowRequest) {
    let calls: Vec<String> =
        aggregates.iter().map(|(field, aggregate)| format!("{aggregate:?}({field})").to_lowercase()).collect();
    let (start, end) = (range.start.unwrap_or(0), range.end.unwrap_or(0));
    let mut statement = format!("SELECT {} FROM m WHERE time >= {start} AND time < {end}", calls.join(", "));
    if let Some((tag, value)) = filter {
        statement += &format!(" AND {tag} = '{value}'");
    }
    let time = width_nanos.map(|width| format!("time({}s)", width / 1_000_000_000));
    let groups: Vec<String> = time.into_iter().chain(group_by.iter().map(|tag| tag.to_string())).collect();
    if !groups.is_empty() {
        statement += &format!(" GROUP BY {}", groups.join(", "));
    }
    if width_nanos.is_some() {
        statement += " fill(none)";
    }
    let request = WindowRequest {
        range,
        tags: filter.map(|(tag, value)| TagFilter::equals(tag, value)).into_iter().collect(),
        windows: width_nanos.map(|width_nanos| Windows { width_nanos, offset_nanos: 0 }),
        group_by: group_by.iter().map(|tag| tag.to_string()).collect(),
        aggregates: aggregates.iter().map(|(field, aggregate)| (field.to_string(), *aggregate)).collect(),
    };
    (statement, request)
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
        store.write("m", &batch, &layout)?;
        store.sync(store.sync_point())?;
        slowest = slowest.max(before.elapsed().as_secs_f64());
    }
    store.expire()?;
    drop(store);
    let write_seconds = processor_seconds(ClockId::ProcessCPUTime) - start - generated;
    eprintln!("ours: {write_seconds:.2} s for writing; the slowest write took {slowest:.3} s");
    let store = SeriesStore::open(dir, options)?;
    let bytes = store.disk_bytes()? as f64;
    eprintln!("ours: {bytes} bytes, {} of them journals", journal_bytes(dir)?);
    let (chart_seconds, answer) = measure_ours(&store, &chart().1)?;
    let (mut panel_seconds, mut answers) = (Vec::new(), vec![answer]);
    for (_, request) in panels() {
        let (seconds, answer) = measure_ours(&store, &request)?;
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
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn measure_ours(store: &SeriesStore, request: &WindowRequest) -> Result<(f64, (usize, f64)), Box<dyn Error>> {
    let (mut seconds, mut answer) = (Vec::new(), (0, 0.0));
    for _ in 0..ROUNDS {
        let start = processor_seconds(ClockId::ProcessCPUTime);
        let found = store.aggregate("m", request)?;
        seconds.push(processor_seconds(ClockId::ProcessCPUTime) - start);
        answer = (0, 0.0);
        for column in found.columns() {
            let values: Vec<f64> = match column.data_type() {
                DataType::Int64 => {
                    column.as_primitive::<Int64Type>().iter().flatten().map(|value| value as f64).collect()
                }
                DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().collect(),
                _ => continue,
            };
            answer = (answer.0 + values.len(), answer.1 + values.iter().sum::<f64>());
        }
    }
    Ok((median(seconds), answer))
}

fn run_influxdb(server: &InfluxDb, series: usize) -> Result<Measured, Box<dyn Error>> {
    let mut generator = Generator::new(series);
    let start = server.processor_seconds()?;
    for time in times() {
        for lines in line_protocol(&generator.batch(time)?)? {
            server.write(&lines)?;
        }
    }
    // What it still does by itself belongs to writing, as merging does for the store.
    server.settle(120)?;
    let write_seconds = server.processor_seconds()? - start;
    let (data, log) = server.disk_bytes();
    eprintln!("InfluxDB: {write_seconds:.2} s for writing; {data} bytes of data, {log} bytes of write-ahead log");
    let (chart_seconds, answer) = measure_influxdb(server, &chart().0)?;
    let (mut panel_seconds, mut answers) = (Vec::new(), vec![answer]);
    for (statement, _) in panels() {
        let (seconds, answer) = measure_influxdb(server, &statement)?;
        panel_seconds.push(seconds);
        answers.push(answer);
    }
    Ok(Measured { write_seconds, bytes: (data + log) as f64, chart_seconds, panel_seconds, answers })
}

fn measure_influxdb(server: &InfluxDb, statement: &str) -> Result<(f64, (usize, f64)), Box<dyn Error>> {
    // Processor time is told in hundredths of a second only: of all rounds together.
    let start = server.processor_seconds()?;
    let mut answer = (0, 0.0);
    for _ in 0..ROUNDS {
        answer = (0, 0.0);
        let found = server.query(statement)?;
        let series =
            found.pointer("/results/0/series").and_then(|series| series.as_array()).cloned().unwrap_or_default();
        for row in series.iter().filter_map(|series| series.get("values")?.as_array()).flatten() {
            let values = row.as_array().into_iter().flatten().skip(1).filter_map(serde_json::Value::as_f64);
            for value in values {
                answer = (answer.0 + 1, answer.1 + value);
            }
        }
    }
    Ok(((server.processor_seconds()? - start) / ROUNDS as f64, answer))
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
