//! Random writes beside a model in memory: whatever is merged and sealed in between, what is read is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use series::{PointLayout, ScanOrder, ScanRequest, SeriesStore, TagFilter, TimeRange};

use crate::store::{NEW_YEAR, SECOND, TestStore, lines};

/// Numbers that look random and are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[derive(Clone, Default)]
struct ModelPoint {
    sequence: u64,
    count: Option<i64>,
    share: Option<f64>,
    note: Option<String>,
}

/// Time, number of the series as it was first written, own tag.
type ModelKey = (i64, usize, String);

#[derive(Default)]
struct Model {
    cities: Vec<String>,
    points: BTreeMap<ModelKey, ModelPoint>,
}

impl Model {
    fn line(&self, (time, series, own): &ModelKey, point: &ModelPoint) -> String {
        let text = |value: Option<String>| value.unwrap_or_default();
        format!(
            "{}|{}|{own}|{}|{}|{}",
            (time - NEW_YEAR) / SECOND,
            self.cities[*series],
            text(point.count.map(|count| count.to_string())),
            text(point.share.map(|share| format!("{share:?}"))),
            text(point.note.clone())
        )
    }

    fn lines(&self, wanted: impl Fn(&ModelKey, &ModelPoint) -> bool) -> Vec<String> {
        let points = self.points.iter().filter(|(key, point)| wanted(key, point));
        points.map(|(key, point)| self.line(key, point)).collect()
    }
}

fn write_some(random: &mut Random, store: &SeriesStore, model: &mut Model, clock: i64) {
    let rows = [1, 1, 2, 20, 300][random.below(5) as usize];
    let (mut times, mut cities, mut owns) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut shares, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    // Most are near the present, some are late.
    let late = random.below(5) == 0;
    let with_shares = random.below(3) > 0;
    for _ in 0..rows {
        let ago = if late { random.below(2_000) } else { random.below(20) } as i64;
        times.push(NEW_YEAR + (clock - ago) * SECOND);
        cities.push(format!("city-{}", random.below(30)));
        owns.push((random.below(10) == 0).then(|| random.below(3).to_string()));
        counts.push(Some(random.below(1_000) as i64 - 500).filter(|_| random.below(4) > 0));
        shares.push(Some(random.below(1_000) as f64 / 8.0).filter(|_| with_shares && random.below(4) > 0));
        notes.push(Some(format!("note {}", random.below(5))).filter(|_| random.below(4) == 0));
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from(times.clone()))),
        ("city", Arc::new(StringArray::from_iter_values(&cities))),
        ("own", Arc::new(StringArray::from_iter(owns.iter().map(Option::as_deref)))),
        ("count", Arc::new(Int64Array::from(counts.clone()))),
        ("share", Arc::new(Float64Array::from(shares.clone()))),
        ("note", Arc::new(StringArray::from_iter(notes.iter().map(Option::as_deref)))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "city".into()), (2, "_own".into())],
        fields: vec![(3, "count".into()), (4, "share".into()), (5, "note".into())],
    };
    let summary = store.write("m", &batch.expect("a batch"), &layout).expect("writes");
    for row in 0..rows {
        if counts[row].is_none() && shares[row].is_none() && notes[row].is_none() {
            continue;
        }
        let series = model.cities.iter().position(|city| *city == cities[row]).unwrap_or_else(|| {
            model.cities.push(cities[row].clone());
            model.cities.len() - 1
        });
        let point = model.points.entry((times[row], series, owns[row].clone().unwrap_or_default())).or_default();
        point.sequence = summary.sequence;
        point.count = counts[row].or(point.count);
        point.share = shares[row].or(point.share);
        point.note = notes[row].clone().or(point.note.take());
    }
}

fn read(store: &SeriesStore, request: &ScanRequest) -> Vec<String> {
    let projection = ["time", "city", "_own", "count", "share", "note"].map(str::to_owned).to_vec();
    let request = ScanRequest { projection: Some(projection), ..request.clone() };
    let batches: Vec<RecordBatch> = store.scan("m", &request).expect("scans").collect::<Result<_, _>>().expect("reads");
    as_model_lines(&batches)
}

fn as_model_lines(batches: &[RecordBatch]) -> Vec<String> {
    let in_model_terms = |line: String| {
        let (time, rest) = line.split_once('|').expect("columns");
        let time = chrono::DateTime::parse_from_rfc3339(&format!("{time}Z"))
            .expect("a time")
            .timestamp_nanos_opt()
            .expect("is in range");
        format!("{}|{rest}", (time - NEW_YEAR) / SECOND)
    };
    lines(batches).into_iter().map(in_model_terms).collect()
}

fn compare(random: &mut Random, store: &SeriesStore, model: &Model, clock: i64) {
    assert_eq!(read(store, &ScanRequest::default()), model.lines(|_, _| true));
    let mut newest_first = model.lines(|_, _| true);
    newest_first.reverse();
    assert_eq!(read(store, &ScanRequest { order: ScanOrder::Descending, ..ScanRequest::default() }), newest_first);
    let start = NEW_YEAR + (clock - random.below(2_000) as i64) * SECOND;
    let range = TimeRange::new(start, start + random.below(300) as i64 * SECOND);
    let within = |time: i64| range.start.is_some_and(|start| time >= start) && range.end.is_some_and(|end| time < end);
    let city = format!("city-{}", random.below(30));
    let request = ScanRequest { range, tags: vec![TagFilter::equals("city", &city)], ..ScanRequest::default() };
    let expected = model.lines(|(time, series, _), _| within(*time) && model.cities[*series] == city);
    assert_eq!(read(store, &request), expected);
    let request = ScanRequest { range, tags: vec![TagFilter::equals("_own", "1")], ..ScanRequest::default() };
    assert_eq!(read(store, &request), model.lines(|(time, _, own), _| within(*time) && own == "1"));
    let last = store.sequence("m").expect("is there");
    let since = random.below(last + 1);
    let projection = ["time", "city", "_own", "count", "share", "note"].map(str::to_owned).to_vec();
    let request = ScanRequest { projection: Some(projection), ..ScanRequest::default() };
    let changes = store.scan_since("m", since, &request).expect("scans");
    assert_eq!(changes.next_sequence, last);
    let changed: Vec<RecordBatch> = changes.scan.collect::<Result<_, _>>().expect("reads");
    assert_eq!(as_model_lines(&changed), model.lines(|_, point| point.sequence > since), "since {since}");
}

#[test]
fn random_writes_are_read_as_they_were_written() {
    for seed in 1..=4u64 {
        // Small, so that points are sealed and blocks are cut.
        let mut test = TestStore::with(|options| options.limits.sealed_together_bytes = 64 * 1024);
        let mut random = Random(seed * 0x9E37_79B9_7F4A_7C15);
        let mut model = Model::default();
        for round in 0..40 {
            for _ in 0..random.below(40) + 1 {
                let clock = round * 50 + random.below(50) as i64;
                write_some(&mut random, &test.store, &mut model, clock);
            }
            compare(&mut random, &test.store, &model, round * 50);
            if random.below(8) == 0 {
                test = test.reopen();
            }
            if random.below(8) == 0 {
                assert_eq!(test.store.expire().expect("expires").expired, 0);
            }
        }
        assert!(model.points.len() > 5_000, "{} points", model.points.len());
    }
}
