//! `scripts/influxdb.sh -- target/release/examples/beside_influxdb`: the same points and the same statements
//! given to InfluxDB 1.6 and to Millrace; the answers must be equal. Words after it choose the statements that contain one.
//!
//! Numbers are compared exactly, but for means and what is made of them: InfluxDB takes the mean of each series first,
//! and their mean then. Rows at the same time are compared in any order: InfluxDB's is that of a heap. Of points with the
//! same value InfluxDB's `percentile` takes any, so its time is compared only where a window has it.

mod generated;
mod points;
mod servers;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::points::{POINTS, generate};
use crate::servers::{DATABASE, Influx, Millrace};

const SEED: u64 = 20_260_302;
const GENERATED: usize = 400;

/// A statement, and why its answers may differ.
struct Statement {
    text: String,
    difference: Option<String>,
}

/// One statement a line; `# differs: reason` before one that is answered otherwise on purpose.
fn written() -> Vec<Statement> {
    let text = include_str!("../../../../tests/influx/statements.txt");
    let mut statements = Vec::new();
    let mut difference = None;
    for line in text.lines() {
        if let Some(reason) = line.strip_prefix("# differs: ") {
            difference = Some(reason.to_owned());
        } else if !line.is_empty() && !line.starts_with('#') {
            statements.push(Statement { text: line.replace("\\n", "\n"), difference: difference.take() });
        }
    }
    statements
}

fn main() {
    let influx = Influx::connect();
    let millrace = Millrace::new();
    influx.query(&format!("DROP DATABASE {DATABASE}"));
    influx.query(&format!("CREATE DATABASE {DATABASE}"));
    let points = generate(SEED);
    assert_eq!(points.len(), POINTS);
    influx.write(&points);
    millrace.write(&points);

    let mut statements = written();
    assert!(statements.len() >= 100, "{} hand-written statements", statements.len());
    let written = statements.len();
    statements
        .extend(generated::statements(SEED, GENERATED).into_iter().map(|text| Statement { text, difference: None }));
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if !chosen.is_empty() {
        statements.retain(|statement| chosen.iter().any(|word| statement.text.contains(word)));
    }
    let (mut wrong, mut with_rows, mut differing) = (Vec::new(), 0, 0);
    let mut times = (Duration::ZERO, Duration::ZERO);
    for (place, statement) in statements.iter().enumerate() {
        let begun = Instant::now();
        let mut expected = influx.query(&statement.text);
        let between = Instant::now();
        let mut found = millrace.query(&statement.text);
        times.0 += between - begun;
        times.1 += between.elapsed();
        drop_false_partial(&mut expected);
        sort_ties(&mut expected);
        sort_ties(&mut found);
        with_rows += usize::from(expected["results"][0]["series"].is_array());
        let tolerant =
            ["mean", "stddev", "moving_average", "integral", "ln(", "log", "pow", "sqrt", "sin", "cos", "exp"];
        let tolerant = tolerant.iter().any(|word| statement.text.contains(word));
        if chooses_any(&statement.text) {
            drop_times(&mut expected);
            drop_times(&mut found);
        }
        let equal = same(&expected, &found, tolerant);
        match (&statement.difference, equal) {
            (None, true) => {}
            (Some(_), false) => differing += 1,
            (Some(reason), true) => wrong.push(format!("no longer differs ({reason}): {}", statement.text)),
            (None, false) => {
                let kind = if place < written { "written" } else { "generated" };
                wrong.push(format!("{kind}: {}\n{}", statement.text, first_difference(&expected, &found)));
            }
        }
    }
    eprintln!(
        "{} statements ({written} written), {with_rows} with rows, {differing} different on purpose, {} wrong",
        statements.len(),
        wrong.len()
    );
    eprintln!("InfluxDB took {:?}, with HTTP; Millrace {:?}", times.0, times.1);
    for one in &wrong {
        eprintln!("\n{one}");
    }
    assert!(!chosen.is_empty() || with_rows * 10 >= statements.len() * 6, "too few statements are answered with rows");
    if !wrong.is_empty() {
        std::process::exit(1);
    }
}

/// InfluxDB says of a series of more than 10,000 rows that it is partial, though all of it is there.
fn drop_false_partial(answer: &mut Value) {
    let Some(results) = answer["results"].as_array_mut() else { return };
    for series in results.iter_mut().filter_map(|result| result["series"].as_array_mut()).flatten() {
        if series["values"].as_array().is_some_and(|rows| rows.len() > 10_000)
            && let Some(series) = series.as_object_mut()
        {
            series.remove("partial");
        }
    }
}

/// Whether a statement is answered with the times of points that InfluxDB chooses by a sort that is not stable.
fn chooses_any(statement: &str) -> bool {
    statement.starts_with("SELECT percentile(")
        && statement.matches('(').count() == 1
        && !statement.contains(" BY time")
}

/// The first column of every series.
fn drop_times(answer: &mut Value) {
    let Some(results) = answer["results"].as_array_mut() else { return };
    let series = results.iter_mut().filter_map(|result| result["series"].as_array_mut()).flatten();
    for row in series.filter_map(|one| one["values"].as_array_mut()).flatten().filter_map(Value::as_array_mut) {
        row.drain(..1.min(row.len()));
    }
}

/// Rows of a series at the same time in the order of their text.
fn sort_ties(answer: &mut Value) {
    let Some(results) = answer["results"].as_array_mut() else { return };
    let series = results.iter_mut().filter_map(|result| result["series"].as_array_mut()).flatten();
    for one in series {
        if one["columns"][0] == "time"
            && let Some(rows) = one["values"].as_array_mut()
        {
            let mut from = 0;
            while from < rows.len() {
                let same = rows[from..].iter().take_while(|row| row[0] == rows[from][0]).count();
                rows[from..from + same].sort_by_cached_key(Value::to_string);
                from += same;
            }
        }
    }
}

fn same(expected: &Value, found: &Value, tolerant: bool) -> bool {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) if tolerant => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= 1e-11 * a.abs().max(b.abs()) || (a - b).abs() < 1e-9
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, tolerant)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((a, first), (b, second))| a == b && same(first, second, tolerant))
        }
        _ => expected == found,
    }
}

/// Where two answers part.
fn first_difference(expected: &Value, found: &Value) -> String {
    let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
    if let (Some(a), Some(b)) = (expected["results"].as_array(), found["results"].as_array())
        && a.len() == b.len()
    {
        for (a, b) in a.iter().zip(b) {
            if let (Some(a), Some(b)) = (a["series"].as_array(), b["series"].as_array()) {
                for (place, (a, b)) in a.iter().zip(b).enumerate() {
                    let rows = (a["values"].as_array(), b["values"].as_array());
                    if let (Some(first), Some(second)) = rows
                        && a["columns"] == b["columns"]
                        && a["tags"] == b["tags"]
                    {
                        let row = first.iter().zip(second).position(|(a, b)| a != b);
                        if let Some(row) = row.or((first.len() != second.len()).then(|| first.len().min(second.len())))
                        {
                            let near = |rows: &[Value]| {
                                rows.iter().skip(row.saturating_sub(1)).take(3).map(short).collect::<Vec<_>>().join(" ")
                            };
                            return format!(
                                "series {place} {} row {row} of {} and {}\n  InfluxDB: {}\n  Millrace: {}",
                                short(&a["tags"]),
                                first.len(),
                                second.len(),
                                near(first),
                                near(second)
                            );
                        }
                    } else {
                        return format!("series {place}\n  InfluxDB: {}\n  Millrace: {}", short(a), short(b));
                    }
                }
                if a.len() != b.len() {
                    return format!("{} and {} series", a.len(), b.len());
                }
            }
        }
    }
    format!("  InfluxDB: {}\n  Millrace: {}", short(expected), short(found))
}
