//! The points that both are given: seeded, of several measurements, with tags and fields that are absent in places, gaps,
//! points out of order and points written twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use series::PointLayout;

/// 2026-03-02, a Monday, where InfluxDB's shards begin; nanoseconds.
pub const START: i64 = 1_772_409_600_000_000_000;
pub const POINTS: usize = 200_000;

#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    Float(f64),
    Integer(i64),
    Boolean(bool),
    Text(String),
}

#[derive(Clone, Debug)]
pub struct Point {
    pub measurement: &'static str,
    pub tags: Vec<(&'static str, String)>,
    pub fields: Vec<(&'static str, FieldValue)>,
    /// Nanoseconds.
    pub time: i64,
}

impl Point {
    /// In line protocol, the time in nanoseconds.
    pub fn line(&self) -> String {
        let escape = |text: &str| text.replace(',', "\\,").replace(' ', "\\ ").replace('=', "\\=");
        let mut line = self.measurement.replace(',', "\\,").replace(' ', "\\ ");
        for (name, value) in &self.tags {
            line.push_str(&format!(",{}={}", escape(name), escape(value)));
        }
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(name, value)| match value {
                FieldValue::Float(value) => format!("{}={value}", escape(name)),
                FieldValue::Integer(value) => format!("{}={value}i", escape(name)),
                FieldValue::Boolean(value) => format!("{}={value}", escape(name)),
                FieldValue::Text(text) => {
                    format!("{}=\"{}\"", escape(name), text.replace('\\', "\\\\").replace('"', "\\\""))
                }
            })
            .collect();
        format!("{line} {} {}", fields.join(","), self.time)
    }
}

/// Points in the order in which they are written.
pub fn generate(seed: u64) -> Vec<Point> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut points = Vec::with_capacity(POINTS);
    let mut sequence = 0;
    while points.len() < POINTS {
        sequence += 1;
        let point = match points.len() % 10 {
            0..4 => ride(&mut random, sequence),
            4..7 => load(&mut random, sequence),
            7 | 8 => odd(&mut random, sequence),
            _ => event(&mut random, sequence),
        };
        points.push(point);
        // Some are written again, with one field changed.
        if random.random_ratio(1, 50) {
            let place = random.random_range(0..points.len());
            let mut again = points[place].clone();
            if let Some((_, FieldValue::Float(value))) = again.fields.first_mut() {
                *value += 1.0;
            }
            points.push(again);
        }
    }
    points.truncate(POINTS);
    // A tenth comes late.
    for place in 0..points.len() {
        if random.random_ratio(1, 10) {
            let other = (place + random.random_range(1..500)).min(points.len() - 1);
            points.swap(place, other);
        }
    }
    points
}

/// No two of its points have the same time.
fn ride(random: &mut ChaCha8Rng, sequence: i64) -> Point {
    let driver = random.random_range(0..12);
    let city = ["jakarta", "bandung", "surabaya"][driver % 3];
    let mut tags = vec![("city", city.to_owned()), ("driver", format!("d{driver:02}"))];
    if driver % 4 != 0 {
        tags.push(("service", ["ride", "food", "send"][driver % 3].to_owned()));
    }
    let mut fields = vec![
        ("fare", FieldValue::Float(f64::from(random.random_range(-200..2_000)))),
        ("number", FieldValue::Integer(sequence)),
    ];
    if random.random_ratio(4, 5) {
        fields.push(("distance", FieldValue::Float(f64::from(random.random_range(0..400)) / 4.0)));
    }
    if random.random_ratio(1, 2) {
        fields.push(("seats", FieldValue::Integer(random.random_range(1..7))));
    }
    if random.random_ratio(1, 3) {
        fields.push(("rated", FieldValue::Boolean(random.random_ratio(2, 3))));
    }
    if random.random_ratio(1, 4) {
        fields.push((
            "note",
            FieldValue::Text(["good", "late", "no \"show\"", "très bien"][random.random_range(0..4)].into()),
        ));
    }
    Point { measurement: "ride", tags, fields, time: START + sequence * 1_000_003_001 }
}

/// All its series have points at the same times, with gaps of hours.
fn load(random: &mut ChaCha8Rng, sequence: i64) -> Point {
    let host = random.random_range(0..8);
    let mut tags = vec![("host", format!("h{host}"))];
    if host % 2 == 0 {
        tags.push(("zone", ["a", "b"][host / 2 % 2].to_owned()));
    }
    let slot = sequence / 30 * 30;
    let gap = slot / 9_000 * 7_200;
    let fields = vec![
        ("value", FieldValue::Float(f64::from(random.random_range(0..100)))),
        ("count", FieldValue::Integer(random.random_range(-50..50))),
    ];
    Point { measurement: "load", tags, fields, time: START + (slot + gap) * 1_000_000_000 }
}

/// Names and values that must be escaped.
fn odd(random: &mut ChaCha8Rng, sequence: i64) -> Point {
    let values = ["a b", "x,y", "k=v", "it's", "ü", "plain", "back\\slash", "0"];
    let mut tags = Vec::new();
    if random.random_ratio(9, 10) {
        tags.push(("the tag", values[random.random_range(0..values.len())].to_owned()));
    }
    let mut fields = vec![("a field", FieldValue::Float(f64::from(random.random_range(0..1_000))))];
    if random.random_ratio(1, 10) {
        fields = vec![("select", FieldValue::Text(values[random.random_range(0..values.len())].to_owned()))];
    }
    Point { measurement: "odd one", tags, fields, time: START + sequence * 1_000_000_000 + 17 }
}

/// Without tags, in bursts of points a nanosecond apart.
fn event(random: &mut ChaCha8Rng, sequence: i64) -> Point {
    let burst = sequence / 1_000 * 1_000;
    let fields = match random.random_range(0..3) {
        0 => vec![("size", FieldValue::Integer(random.random_range(0..1_000_000)))],
        1 => vec![("size", FieldValue::Integer(random.random_range(0..10))), ("open", FieldValue::Boolean(true))],
        _ => vec![("open", FieldValue::Boolean(random.random_ratio(1, 2)))],
    };
    Point { measurement: "event", tags: Vec::new(), fields, time: START + burst * 1_000_000_000 + sequence % 1_000 }
}

/// The points as batches, one of each measurement.
pub fn batches(points: &[Point]) -> Vec<(&'static str, RecordBatch, PointLayout)> {
    let mut by_measurement: BTreeMap<&'static str, Vec<&Point>> = BTreeMap::new();
    for point in points {
        by_measurement.entry(point.measurement).or_default().push(point);
    }
    by_measurement.into_iter().map(|(measurement, points)| batch(measurement, &points)).collect()
}

fn batch(measurement: &'static str, points: &[&Point]) -> (&'static str, RecordBatch, PointLayout) {
    let (mut tags, mut fields) = (Vec::<&str>::new(), Vec::<&str>::new());
    for point in points {
        for (name, _) in &point.tags {
            if !tags.contains(name) {
                tags.push(name);
            }
        }
        for (name, _) in &point.fields {
            if !fields.contains(name) {
                fields.push(name);
            }
        }
    }
    let times: ArrayRef = Arc::new(points.iter().map(|point| Some(point.time)).collect::<TimestampNanosecondArray>());
    let mut columns = vec![times];
    for tag in &tags {
        let value = |point: &&Point| point.tags.iter().find(|(name, _)| name == tag).map(|(_, value)| value.clone());
        columns.push(Arc::new(points.iter().map(value).collect::<StringArray>()));
    }
    for field in &fields {
        let values: Vec<Option<&FieldValue>> =
            points.iter().map(|point| point.fields.iter().find(|(name, _)| name == field).map(|(_, v)| v)).collect();
        columns.push(column(&values));
    }
    let named = columns
        .iter()
        .enumerate()
        .map(|(place, column)| Field::new(format!("c{place}"), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(named.collect::<Vec<_>>()));
    let layout = PointLayout {
        time: 0,
        tags: tags.iter().enumerate().map(|(place, name)| (1 + place, (*name).to_owned())).collect(),
        fields: fields.iter().enumerate().map(|(place, name)| (1 + tags.len() + place, (*name).to_owned())).collect(),
    };
    (measurement, RecordBatch::try_new(schema, columns).unwrap(), layout)
}

fn column(values: &[Option<&FieldValue>]) -> ArrayRef {
    match values.iter().flatten().next() {
        Some(FieldValue::Integer(_)) => {
            let value = |value: &Option<&FieldValue>| match value {
                Some(FieldValue::Integer(value)) => Some(*value),
                _ => None,
            };
            Arc::new(values.iter().map(value).collect::<Int64Array>())
        }
        Some(FieldValue::Boolean(_)) => {
            let value = |value: &Option<&FieldValue>| match value {
                Some(FieldValue::Boolean(value)) => Some(*value),
                _ => None,
            };
            Arc::new(values.iter().map(value).collect::<BooleanArray>())
        }
        Some(FieldValue::Text(_)) => {
            let value = |value: &Option<&FieldValue>| match value {
                Some(FieldValue::Text(value)) => Some(value.clone()),
                _ => None,
            };
            Arc::new(values.iter().map(value).collect::<StringArray>())
        }
        _ => {
            let value = |value: &Option<&FieldValue>| match value {
                Some(FieldValue::Float(value)) => Some(*value),
                _ => None,
            };
            Arc::new(values.iter().map(value).collect::<Float64Array>())
        }
    }
}
