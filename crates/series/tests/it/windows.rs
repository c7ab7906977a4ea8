//! Aggregates by windows and tags, beside the same made of the points one by one.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType};
use series::{
    PointLayout, ScanRequest, SeriesError, SeriesStore, TagFilter, TimeRange, WindowAggregate, WindowRequest, Windows,
};

use crate::store::{NEW_YEAR, Row, SECOND, TestStore, batch, layout, lines, write};

const ALL: [WindowAggregate; 8] = [
    WindowAggregate::Count,
    WindowAggregate::Sum,
    WindowAggregate::Mean,
    WindowAggregate::Min,
    WindowAggregate::Max,
    WindowAggregate::First,
    WindowAggregate::Last,
    WindowAggregate::Spread,
];
const CITIES: [Option<&str>; 4] = [Some("a"), Some("b"), None, Some("c")];

fn every_aggregate_of(fields: &[&str]) -> Vec<(String, WindowAggregate)> {
    fields.iter().flat_map(|field| ALL.map(|aggregate| (field.to_string(), aggregate))).collect()
}

/// 20 minutes of 12 series, some values missing, some written twice, in chunks of many sizes.
fn filled() -> TestStore {
    let test = TestStore::with(|options| options.limits.sealed_together_bytes = 64 * 1024);
    let row = |second: i64, series: i64| -> Row<'static> {
        let count = (series + second) % 7 > 0;
        let share = (series + second) % 3 > 0;
        (
            NEW_YEAR + second * SECOND,
            CITIES[series as usize % 4],
            ["x", "y", "z"].get(series as usize / 4).copied(),
            (count || !share).then_some((second * 31 + series * 17) % 101 - 50),
            share.then_some((second * 7 + series * 13) as f64 / 4.0),
        )
    };
    for chunk in 0..40 {
        let rows: Vec<_> =
            (chunk * 30..chunk * 30 + 30).flat_map(|at| (0..12).map(move |series| row(at, series))).collect();
        write(&test.store, "m", &rows);
        if chunk % 7 == 3 {
            let again = |at: i64| (NEW_YEAR + at * SECOND, CITIES[0], Some("x"), Some(at), None);
            write(&test.store, "m", &[again(chunk * 10), again(chunk * 10 + 1)]);
        }
    }
    test
}

#[derive(Default)]
struct Expected {
    values: Vec<(i64, f64)>,
}

impl Expected {
    fn of(&self, aggregate: WindowAggregate) -> Option<f64> {
        let values = || self.values.iter().map(|(_, value)| *value);
        if self.values.is_empty() {
            return (aggregate == WindowAggregate::Count).then_some(0.0);
        }
        let at = |time: i64| self.values.iter().filter(move |found| found.0 == time).map(|found| found.1);
        let first = self.values.iter().map(|found| found.0).min()?;
        let last = self.values.iter().map(|found| found.0).max()?;
        let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        Some(match aggregate {
            WindowAggregate::Count => self.values.len() as f64,
            WindowAggregate::Sum => values().sum(),
            WindowAggregate::Mean => values().sum::<f64>() / self.values.len() as f64,
            WindowAggregate::Min => min,
            WindowAggregate::Max => max,
            WindowAggregate::First => at(first).fold(f64::NEG_INFINITY, f64::max),
            WindowAggregate::Last => at(last).fold(f64::NEG_INFINITY, f64::max),
            WindowAggregate::Spread => max - min,
            WindowAggregate::MinTime => self.earliest(min)? as f64,
            WindowAggregate::MaxTime => self.earliest(max)? as f64,
            WindowAggregate::FirstTime => first as f64,
            WindowAggregate::LastTime => last as f64,
        })
    }
}

impl Expected {
    fn earliest(&self, value: f64) -> Option<i64> {
        self.values.iter().filter(|found| found.1 == value).map(|found| found.0).min()
    }
}

/// The answer as text, made of the points of a scan.
fn made_of_points(store: &SeriesStore, request: &WindowRequest) -> Vec<String> {
    let scan = ScanRequest { range: request.range, tags: request.tags.clone(), ..ScanRequest::default() };
    let mut found: BTreeMap<(Vec<Option<String>>, i64), [Expected; 2]> = BTreeMap::new();
    for points in store.scan("m", &scan).expect("scans") {
        let points = points.expect("reads");
        for row in 0..points.num_rows() {
            let time = points.column(0).as_primitive::<TimestampNanosecondType>().value(row);
            let window = match request.windows {
                Some(Windows { width_nanos, offset_nanos }) => {
                    (time - offset_nanos).div_euclid(width_nanos) * width_nanos + offset_nanos
                }
                None => request.range.start.unwrap_or(0),
            };
            let tag = |name: &String| {
                let column = points.column_by_name(name).expect("a tag").as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let expected = found.entry((request.group_by.iter().map(tag).collect(), window)).or_default();
            let counts = points.column_by_name("count").expect("a field").as_primitive::<Int64Type>();
            if counts.is_valid(row) {
                expected[0].values.push((time, counts.value(row) as f64));
            }
            let shares = points.column_by_name("share").expect("a field").as_primitive::<Float64Type>();
            if shares.is_valid(row) {
                expected[1].values.push((time, shares.value(row)));
            }
        }
    }
    let line = |((names, window), expected): (&(Vec<Option<String>>, i64), &[Expected; 2])| {
        let mut cells: Vec<String> = names.iter().map(|name| name.clone().unwrap_or_default()).collect();
        cells.push(((window - NEW_YEAR) / SECOND).to_string());
        for (field, aggregate) in &request.aggregates {
            let value = expected[usize::from(field == "share")].of(*aggregate);
            cells.push(value.map_or(String::new(), |value| format!("{value:.6}")));
        }
        cells.join("|")
    };
    found.iter().map(line).collect()
}

fn aggregated(store: &SeriesStore, request: &WindowRequest) -> Vec<String> {
    let found = store.aggregate("m", request).expect("adds up");
    let line = |row: usize| {
        let mut cells = Vec::new();
        for column in found.columns() {
            cells.push(match column.data_type() {
                _ if column.is_null(row) => String::new(),
                arrow::datatypes::DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                arrow::datatypes::DataType::Int64 => {
                    format!("{:.6}", column.as_primitive::<Int64Type>().value(row) as f64)
                }
                arrow::datatypes::DataType::Float64 => {
                    format!("{:.6}", column.as_primitive::<Float64Type>().value(row))
                }
                _ => {
                    let time = column.as_primitive::<TimestampNanosecondType>().value(row);
                    ((time - NEW_YEAR) / SECOND).to_string()
                }
            });
        }
        cells.join("|")
    };
    (0..found.num_rows()).map(line).collect()
}

#[test]
fn aggregates_are_those_of_the_points() {
    let test = filled();
    let ranges = [
        TimeRange::ALL,
        TimeRange::new(NEW_YEAR + 100 * SECOND, NEW_YEAR + 777 * SECOND),
        TimeRange::new(NEW_YEAR + 5 * SECOND, NEW_YEAR + 6 * SECOND),
        TimeRange::new(NEW_YEAR - 10 * SECOND, NEW_YEAR),
    ];
    let windows = [
        None,
        Some(Windows { width_nanos: 60 * SECOND, offset_nanos: 0 }),
        Some(Windows { width_nanos: 77 * SECOND, offset_nanos: 13 * SECOND }),
    ];
    let filters = [vec![], vec![TagFilter::equals("city", "b")], vec![TagFilter::equals("city", "nowhere")]];
    let groups = [vec![], vec!["kind".to_owned()], vec!["city".to_owned(), "kind".to_owned()]];
    for range in ranges {
        for windows in windows {
            for tags in &filters {
                for group_by in &groups {
                    let request = WindowRequest {
                        range,
                        tags: tags.clone(),
                        windows,
                        group_by: group_by.clone(),
                        aggregates: every_aggregate_of(&["share", "count"]),
                    };
                    let expected = made_of_points(&test.store, &request);
                    assert_eq!(aggregated(&test.store, &request), expected, "{request:?}");
                }
            }
        }
    }
}

#[test]
fn text_is_counted_and_has_a_first_and_a_last() {
    let test = TestStore::new();
    let text = PointLayout { tags: vec![(1, "city".into())], fields: vec![(2, "note".into())], ..layout() };
    let rows = [("b", 2), ("a", 1), ("c", 2), ("d", 9)];
    let rows = rows.map(|(note, second)| (NEW_YEAR + second * SECOND, Some(note), Some(note), None, None));
    test.store.write("m", &batch(&rows), &text).expect("writes");
    let of = |aggregate| ("note".to_owned(), aggregate);
    let request = WindowRequest {
        aggregates: vec![of(WindowAggregate::Count), of(WindowAggregate::First), of(WindowAggregate::Last)],
        range: TimeRange::new(NEW_YEAR, NEW_YEAR + 3 * SECOND),
        ..WindowRequest::default()
    };
    assert_eq!(lines(&[test.store.aggregate("m", &request).expect("adds up")]), ["2024-01-01T00:00:00|3|a|c"]);
}

#[test]
fn what_cannot_be_added_up_is_refused() {
    let test = filled();
    let text = PointLayout { fields: vec![(1, "note".into())], tags: vec![(2, "_own".into())], ..layout() };
    test.store.write("m", &batch(&[(NEW_YEAR, Some("a"), None, None, None)]), &text).expect("writes");
    let refused = |request: WindowRequest| test.store.aggregate("m", &request).expect_err("is refused");
    let of = |field: &str, aggregate| vec![(field.to_owned(), aggregate)];
    let sum = || WindowRequest { aggregates: of("count", WindowAggregate::Sum), ..WindowRequest::default() };
    let error = refused(WindowRequest { aggregates: of("note", WindowAggregate::Sum), ..sum() });
    assert!(matches!(error, SeriesError::InvalidAggregate { .. }), "{error}");
    let error = refused(WindowRequest { aggregates: of("price", WindowAggregate::Sum), ..sum() });
    assert!(matches!(error, SeriesError::UnknownColumn { .. }), "{error}");
    let error = refused(WindowRequest { group_by: vec!["_own".into()], ..sum() });
    assert!(matches!(error, SeriesError::TagOfPoints { .. }), "{error}");
    let error = refused(WindowRequest { group_by: vec!["count".into()], ..sum() });
    assert!(matches!(error, SeriesError::NotATag { .. }), "{error}");
    let nothing = Some(Windows { width_nanos: 0, offset_nanos: 0 });
    let error = refused(WindowRequest { windows: nothing, ..sum() });
    assert!(matches!(error, SeriesError::InvalidWindows { .. }), "{error}");
}
