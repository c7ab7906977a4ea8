//! What the definitions say: windows, lateness and the ledger, computed the slow way.

use std::collections::BTreeMap;

use crate::events::{Event, events, run};

/// Windows (start, end) that a time belongs to.
type Assign = fn(i64) -> Vec<(i64, i64)>;

#[derive(Default, Debug, PartialEq)]
struct Expected {
    /// (end, start, key) -> count, sum.
    groups: BTreeMap<(i64, i64, String), (u64, i64)>,
    filtered: u64,
    late: u64,
    late_windows: u64,
    delivered: u64,
}

fn expect(partitions: &[Vec<Event>], delay_ms: i64, assign: Assign) -> Expected {
    let mut expected = Expected::default();
    for partition in partitions {
        let mut greatest = i64::MIN;
        for event in partition {
            greatest = greatest.max(event.time_ms);
            let watermark = greatest - delay_ms;
            if event.amount <= -40 {
                expected.filtered += 1;
                continue;
            }
            let windows = assign(event.time_ms);
            let open: Vec<_> = windows.iter().filter(|(_, end)| watermark < *end).collect();
            if windows.is_empty() {
                expected.filtered += 1;
            } else if open.is_empty() {
                expected.late += 1;
            } else {
                expected.late_windows += (windows.len() - open.len()) as u64;
                expected.delivered += 1;
            }
            for (start, end) in open {
                let group = expected.groups.entry((*end, *start, event.key.clone())).or_default();
                group.0 += 1;
                group.1 += event.amount;
            }
        }
    }
    expected
}

fn aligned(time: i64, size: i64, slide: i64) -> Vec<(i64, i64)> {
    let mut start = time.div_euclid(slide) * slide;
    let mut windows = Vec::new();
    while start + size > time {
        windows.push((start, start + size));
        start -= slide;
    }
    windows
}

fn rows(text: &str) -> BTreeMap<(i64, i64, String), (u64, i64)> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let time =
            |name: &str| chrono::DateTime::parse_from_rfc3339(row[name].as_str().unwrap()).unwrap().timestamp_millis();
        let key = (time("e"), time("s"), row["k"].as_str().unwrap().to_string());
        let known = rows.insert(key, (row["n"].as_u64().unwrap(), row["total"].as_i64().unwrap()));
        assert!(known.is_none(), "a group came twice: {line}");
    }
    rows
}

fn check(window: &str, call: &str, assign: Assign) {
    let query = format!(
        "SELECT `key` AS k, count(1) AS n, sum(amount) AS total, {window}_START{call} AS s, {window}_END{call} AS e \
         FROM t WHERE amount > -40 GROUP BY {window}{call}, `key`"
    );
    for seed in 0..8 {
        let partitions: Vec<_> =
            (0..1 + seed as usize % 3).map(|part| events(seed * 10 + part as u64, 1_500, 20_000)).collect();
        let delay_ms = [0, 2_000, 5_000, 30_000][seed as usize % 4];
        let expected = expect(&partitions, delay_ms, assign);
        for (batch_rows, threads) in [(8_192, 1), (37, 2), (1, 1)] {
            let (text, ledger) = run(&query, &partitions, delay_ms, batch_rows, threads);
            assert_eq!(rows(&text), expected.groups, "{window} seed {seed} delay {delay_ms} batch {batch_rows}");
            assert_eq!(ledger.filtered, expected.filtered, "filtered, {window} seed {seed}");
            assert_eq!(ledger.late, expected.late, "late, {window} seed {seed}");
            assert_eq!(ledger.late_windows, expected.late_windows, "late windows, {window} seed {seed}");
            assert_eq!(ledger.delivered, expected.delivered, "delivered, {window} seed {seed}");
        }
    }
}

#[test]
fn tumbling_windows() {
    check("TUMBLE", "(rowtime, INTERVAL '10' SECOND)", |time| aligned(time, 10_000, 10_000));
}

#[test]
fn hopping_windows() {
    check("HOP", "(rowtime, INTERVAL '2' SECOND, INTERVAL '30' SECOND)", |time| aligned(time, 30_000, 2_000));
}

#[test]
fn hopping_windows_whose_size_is_no_multiple_of_the_slide() {
    check("HOP", "(rowtime, INTERVAL '4' SECOND, INTERVAL '30' SECOND)", |time| aligned(time, 30_000, 4_000));
}

#[test]
fn hopping_windows_with_gaps_between_them() {
    check("HOP", "(rowtime, INTERVAL '10' SECOND, INTERVAL '3' SECOND)", |time| aligned(time, 3_000, 10_000));
}

#[test]
fn cumulating_windows() {
    check("CUMULATE", "(rowtime, INTERVAL '5' SECOND, INTERVAL '1' MINUTE)", |time| {
        let start = time.div_euclid(60_000) * 60_000;
        (1..=12).map(|step| (start, start + step * 5_000)).filter(|(_, end)| *end > time).collect()
    });
}

/// Sessions: late when behind the own watermark; the rest chained per key over all partitions.
#[test]
fn session_windows() {
    let gap = 3_000;
    let query = "SELECT `key` AS k, count(1) AS n, sum(amount) AS total, SESSION_START(rowtime, INTERVAL '3' SECOND) AS s, \
                 SESSION_END(rowtime, INTERVAL '3' SECOND) AS e FROM t WHERE amount > -40 \
                 GROUP BY SESSION(rowtime, INTERVAL '3' SECOND), `key`";
    for seed in 0..8_u64 {
        let partitions: Vec<_> = (0..1 + seed % 3).map(|part| events(seed * 10 + part, 1_500, 20_000)).collect();
        let delay_ms = [0, 2_000, 5_000, 30_000][seed as usize % 4];
        let mut by_key: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        let mut late = 0;
        for partition in &partitions {
            let mut greatest = i64::MIN;
            for event in partition {
                greatest = greatest.max(event.time_ms);
                if event.amount > -40 {
                    match event.time_ms < greatest - delay_ms {
                        true => late += 1,
                        false => by_key.entry(event.key.clone()).or_default().push((event.time_ms, event.amount)),
                    }
                }
            }
        }
        let mut expected = BTreeMap::new();
        for (key, mut times) in by_key {
            times.sort_unstable();
            let mut session: Option<(i64, i64, u64, i64)> = None;
            for (time, amount) in times {
                session = Some(match session {
                    Some((start, last, n, total)) if time <= last + gap => (start, time, n + 1, total + amount),
                    other => {
                        if let Some((start, last, n, total)) = other {
                            expected.insert((last + gap, start, key.clone()), (n, total));
                        }
                        (time, time, 1, amount)
                    }
                });
            }
            if let Some((start, last, n, total)) = session {
                expected.insert((last + gap, start, key.clone()), (n, total));
            }
        }
        for (batch_rows, threads) in [(8_192, 1), (37, 2), (1, 1)] {
            let (text, ledger) = run(query, &partitions, delay_ms, batch_rows, threads);
            assert_eq!(ledger.late, late, "late, seed {seed}");
            assert_eq!(rows(&text), expected, "seed {seed} delay {delay_ms} batch {batch_rows}");
        }
    }
}
