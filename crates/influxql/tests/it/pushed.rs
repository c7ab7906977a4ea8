//! Functions that the store adds up give the same answers as their points do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
use influxql::{
    Batches, Database, Databases, MeasurementShape, Precision, QueryError, QueryLimits, QueryOptions, RetentionPolicy,
    SeriesDatabase, StatementChunk, TakeSeries, parse, run, write_json,
};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use series::{PointLayout, ScanRequest, SeriesOptions, SeriesStore, TagFilter, WindowRequest};

use crate::asking::START;

/// One hour of points.
const SECONDS: i64 = 3_600;

/// Counts what the store is asked to add up.
struct Counting {
    store: SeriesStore,
    aggregates: AtomicUsize,
}

struct City(Arc<Counting>);

struct CountingDatabase {
    series: SeriesDatabase,
    counting: Arc<Counting>,
}

impl Databases for City {
    fn names(&self) -> Result<Vec<String>, QueryError> {
        Ok(vec!["city".into()])
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError> {
        let series = SeriesDatabase::new(self.0.store.clone(), name);
        Ok(Some(Arc::new(CountingDatabase { series, counting: self.0.clone() })))
    }

    fn create(&self, _name: &str) -> Result<(), QueryError> {
        Ok(())
    }

    fn drop_database(&self, _name: &str) -> Result<(), QueryError> {
        Ok(())
    }
}

impl Database for CountingDatabase {
    fn measurements(&self) -> Result<Vec<String>, QueryError> {
        self.series.measurements()
    }

    fn shape(&self, measurement: &str) -> Result<Option<MeasurementShape>, QueryError> {
        self.series.shape(measurement)
    }

    fn retention_policies(&self) -> Result<Vec<RetentionPolicy>, QueryError> {
        self.series.retention_policies()
    }

    fn series(&self, measurement: &str, filters: &[TagFilter], take: TakeSeries<'_>) -> Result<(), QueryError> {
        self.series.series(measurement, filters, take)
    }

    fn tag_values(&self, measurement: &str, tag: &str) -> Result<Vec<String>, QueryError> {
        self.series.tag_values(measurement, tag)
    }

    fn scan(&self, measurement: &str, request: &ScanRequest) -> Result<Batches, QueryError> {
        self.series.scan(measurement, request)
    }

    fn aggregate(&self, measurement: &str, request: &WindowRequest) -> Result<Option<RecordBatch>, QueryError> {
        self.counting.aggregates.fetch_add(1, Ordering::Relaxed);
        self.series.aggregate(measurement, request)
    }

    fn drop_measurement(&self, measurement: &str) -> Result<bool, QueryError> {
        self.series.drop_measurement(measurement)
    }
}

/// Points of two measurements in many writes: out of order, written again in part, with tags and fields missing, with
/// empty tags, and several at one time. Numbers are quarters, whose sums are exact in any order.
fn write(store: &SeriesStore, random: &mut ChaCha8Rng) {
    for _ in 0..60 {
        let measurement = ["city/ride", "city/load"].choose(random).copied().unwrap_or_default();
        let from = random.random_range(0..SECONDS);
        let rows = random.random_range(1..200);
        let times: Vec<i64> = (0..rows).map(|_| START + from + random.random_range(0..300)).collect();
        let text = |random: &mut ChaCha8Rng, values: &[Option<&'static str>]| -> ArrayRef {
            Arc::new((0..rows).map(|_| values.choose(random).copied().flatten()).collect::<StringArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampSecondArray::from(times)),
            text(random, &[Some("jakarta"), Some("bandung"), Some("medan"), None]),
            text(random, &[Some("bike"), Some("car"), Some("car"), None]),
            Arc::new(
                (0..rows)
                    .map(|_| random.random_bool(0.7).then(|| random.random_range(-50..50)))
                    .collect::<Int64Array>(),
            ),
            Arc::new(
                (0..rows)
                    .map(|_| random.random_bool(0.8).then(|| random.random_range(-400..400) as f64 / 4.0))
                    .collect::<Float64Array>(),
            ),
            Arc::new(
                (0..rows).map(|_| random.random_bool(0.3).then(|| random.random_bool(0.5))).collect::<BooleanArray>(),
            ),
            text(random, &[Some("late"), Some("on time"), None]),
        ];
        let names = ["time", "city", "kind", "seats", "fare", "paid", "note"];
        let batch = RecordBatch::try_from_iter_with_nullable(names.into_iter().zip(columns).map(|(n, c)| (n, c, true)));
        let layout = PointLayout {
            time: 0,
            tags: vec![(1, "city".into()), (2, "kind".into())],
            fields: vec![(3, "seats".into()), (4, "fare".into()), (5, "paid".into()), (6, "note".into())],
        };
        store.write(measurement, &batch.expect("a batch"), &layout).expect("writes");
    }
}

fn call(random: &mut ChaCha8Rng) -> String {
    let function = ["count", "sum", "mean", "min", "max", "first", "last", "spread"].choose(random).copied();
    let field = ["seats", "fare", "fare", "seats", "paid", "note", "*"].choose(random).copied();
    format!("{}({})", function.unwrap_or_default(), field.unwrap_or_default())
}

fn statement(random: &mut ChaCha8Rng) -> String {
    let calls: Vec<String> = (0..random.random_range(1..4)).map(|_| call(random)).collect();
    let pick =
        |random: &mut ChaCha8Rng, choices: &[&str]| choices.choose(random).copied().unwrap_or_default().to_owned();
    let from = pick(random, &["ride", "ride", "load", "/./", "ride, load", "ride, ride", "nowhere"]);
    let mut conditions = Vec::new();
    if random.random_bool(0.7) {
        let start = START + random.random_range(-100..SECONDS);
        conditions.push(format!("time >= {start}s AND time < {}s", start + random.random_range(1..2_000)));
    }
    let condition = pick(
        random,
        &[
            "",
            "",
            "city = 'jakarta'",
            "city != 'medan'",
            "kind = ''",
            "city =~ /a$/ AND kind = 'car'",
            "city = 'nowhere'",
            "(city = 'jakarta' OR kind = 'bike')",
            "fare > 3",
            "nothing = ''",
        ],
    );
    if !condition.is_empty() {
        conditions.push(condition);
    }
    let mut text = format!("SELECT {} FROM {from}", calls.join(", "));
    if !conditions.is_empty() {
        text += &format!(" WHERE {}", conditions.join(" AND "));
    }
    let time = pick(random, &["", "time(1m)", "time(7m, 13s)", "time(37s)", "time(1m, -20s)"]);
    let tags = pick(random, &["", "", "city", "kind, city", "*", "nothing"]);
    let groups: Vec<&str> = [time.as_str(), tags.as_str()].into_iter().filter(|one| !one.is_empty()).collect();
    if !groups.is_empty() {
        text += &format!(" GROUP BY {}", groups.join(", "));
    }
    if !time.is_empty() {
        text += &pick(random, &["", " fill(none)", " fill(previous)", " fill(linear)", " fill(7)"]);
    }
    text += &pick(random, &["", "", " ORDER BY time DESC"]);
    text += &pick(random, &["", "", " LIMIT 3", " LIMIT 2 OFFSET 1"]);
    text += &pick(random, &["", "", " SLIMIT 2", " SLIMIT 1 SOFFSET 1"]);
    if random.random_bool(0.1) {
        text = format!("SELECT sum(seats_2) FROM (SELECT sum(seats) AS seats_2 FROM {from} GROUP BY city)");
    }
    text
}

fn answer(city: &City, text: &str, limits: QueryLimits) -> String {
    let options = QueryOptions {
        database: Some("city".into()),
        retention_policy: None,
        epoch: Some(Precision::Seconds),
        chunk_rows: None,
        now_nanos: (START + SECONDS + 300) * 1_000_000_000,
        may_write: false,
        limits,
    };
    let statements = parse(text, &HashMap::new()).expect("a statement");
    let chunks: Vec<StatementChunk> = run(statements, options.clone(), city).collect();
    let mut out = Vec::new();
    write_json(&mut out, &chunks, influxql::JsonOptions { epoch: options.epoch, pretty: false }).expect("writes");
    String::from_utf8(out).expect("text")
}

#[test]
fn answers_are_those_of_the_points() {
    let mut pushed = 0;
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let store = SeriesStore::open(folder.path(), SeriesOptions::default()).expect("opens");
        write(&store, &mut random);
        let city = City(Arc::new(Counting { store, aggregates: AtomicUsize::new(0) }));
        for _ in 0..150 {
            let text = statement(&mut random);
            let before = city.0.aggregates.load(Ordering::Relaxed);
            let found = answer(&city, &text, QueryLimits::default());
            let asked = city.0.aggregates.load(Ordering::Relaxed);
            pushed += usize::from(asked > before);
            // Whose points are counted is not added up by the store.
            let counted = QueryLimits { select_points_max: usize::MAX, ..QueryLimits::default() };
            let expected = answer(&city, &text, counted);
            assert_eq!(city.0.aggregates.load(Ordering::Relaxed), asked, "seed {seed}: {text}");
            assert_eq!(found, expected, "seed {seed}: {text}");
        }
    }
    assert!(pushed >= 250, "{pushed} of 900 statements were added up by the store");
}
