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

fn rows(text: &str) -> Groups {
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

const SESSIONS: &str = "SELECT `key` AS k, count(1) AS n, sum(amount) AS total, \
     SESSION_START(rowtime, INTERVAL '3' SECOND) AS s, SESSION_END(rowtime, INTERVAL '3' SECOND) AS e, \
     SESSION_ROWTIME(rowtime, INTERVAL '3' SECOND) AS at \
     FROM t WHERE amount > -40 GROUP BY SESSION(rowtime, INTERVAL '3' SECOND), `key`";

type Groups = BTreeMap<(i64, i64, String), (u64, i64)>;

/// Per key: time, count and sum of each row.
type Rows = BTreeMap<String, Vec<(i64, u64, i64)>>;

/// Sessions of (time, count, amount) per key: what is no further apart than the gap belongs together.
fn chain(by_key: &Rows, gap: i64) -> Groups {
    let mut sessions = Groups::new();
    for (key, rows) in by_key {
        let mut rows = rows.clone();
        rows.sort_unstable();
        for group in rows.chunk_by(|earlier, later| later.0 <= earlier.0 + gap) {
            let (start, end) = (group[0].0, group[group.len() - 1].0 + gap);
            let sums = group.iter().fold((0, 0), |sums, row| (sums.0 + row.1, sums.1 + row.2));
            sessions.insert((end, start, key.clone()), sums);
        }
    }
    sessions
}

/// The result rows of windows as rows for the next: at one millisecond before their end.
fn as_rows(groups: &Groups) -> Rows {
    let mut by_key: Rows = BTreeMap::new();
    for ((end, _, key), (count, total)) in groups {
        by_key.entry(key.clone()).or_default().push((end - 1, *count, *total));
    }
    by_key
}

/// Partitions whose times are multiples of `grid_ms`, with what is not late of them, and the number of late records.
fn on_time(seed: u64, grid_ms: i64, delay_ms: i64) -> (Vec<Vec<Event>>, Rows, u64) {
    let mut partitions: Vec<_> = (0..1 + seed % 3).map(|part| events(seed * 10 + part, 1_500, 20_000)).collect();
    let mut by_key: Rows = BTreeMap::new();
    let mut late = 0;
    for partition in &mut partitions {
        let mut greatest = i64::MIN;
        for event in partition {
            event.time_ms = event.time_ms / grid_ms * grid_ms;
            greatest = greatest.max(event.time_ms);
            if event.amount > -40 {
                match event.time_ms < greatest - delay_ms {
                    true => late += 1,
                    false => by_key.entry(event.key.clone()).or_default().push((event.time_ms, 1, event.amount)),
                }
            }
        }
    }
    (partitions, by_key, late)
}

/// Sessions: late when behind the own watermark; the rest chained per key over all partitions. On a grid records meet the
/// exact ends of sessions and watermarks.
#[test]
fn session_windows() {
    for (seed, grid_ms) in (0..8).flat_map(|seed| [(seed, 1), (seed, 1_000)]) {
        let delay_ms = [0, 2_000, 5_000, 30_000][seed as usize % 4];
        let (partitions, by_key, late) = on_time(seed, grid_ms, delay_ms);
        for (batch_rows, threads) in [(8_192, 1), (37, 2), (1, 1)] {
            let (text, ledger) = run(SESSIONS, &partitions, delay_ms, batch_rows, threads);
            let case = format!("seed {seed} grid {grid_ms} delay {delay_ms} batch {batch_rows}");
            assert_eq!(ledger.late, late, "late, {case}");
            assert_eq!(rows(&text), chain(&by_key, 3_000), "{case}");
        }
    }
}

/// Windows over the results of windows: every result comes before the window over it has closed.
#[test]
fn windows_over_windows() {
    let over = |inner: &str, window: &str, arguments: &str| {
        format!(
            "SELECT k, sum(n) AS n, sum(total) AS total, {window}_START(at, {arguments}) AS s, \
             {window}_END(at, {arguments}) AS e, {window}_ROWTIME(at, {arguments}) AS at \
             FROM ({inner}) GROUP BY {window}(at, {arguments}), k"
        )
    };
    let tumble = SESSIONS.replace("SESSION", "TUMBLE").replace("'3' SECOND", "'2' SECOND");
    let twice = over(SESSIONS, "SESSION", "INTERVAL '4' SECOND");
    for (seed, grid_ms) in (0..6).flat_map(|seed| [(seed, 1), (seed, 1_000)]) {
        // With a delay longer than the disorder nothing is late, so that the model stays simple.
        let (partitions, by_key, late) = on_time(seed, grid_ms, 40_000);
        assert_eq!(late, 0);
        let tumbled = |rows: &Rows, size: i64| {
            let mut groups = Groups::new();
            for (key, (time, count, total)) in
                rows.iter().flat_map(|(key, rows)| rows.iter().map(move |row| (key, row)))
            {
                let start = time.div_euclid(size) * size;
                let sums = groups.entry((start + size, start, key.clone())).or_default();
                *sums = (sums.0 + count, sums.1 + total);
            }
            groups
        };
        let sessions = chain(&by_key, 3_000);
        let sessions_of_sessions = chain(&as_rows(&sessions), 4_000);
        let cases = [
            (over(SESSIONS, "TUMBLE", "INTERVAL '5' SECOND"), tumbled(&as_rows(&sessions), 5_000)),
            (twice.clone(), sessions_of_sessions.clone()),
            (over(&tumble, "SESSION", "INTERVAL '4' SECOND"), chain(&as_rows(&tumbled(&by_key, 2_000)), 4_000)),
            (over(&twice, "TUMBLE", "INTERVAL '1' SECOND"), tumbled(&as_rows(&sessions_of_sessions), 1_000)),
        ];
        for (query, expected) in &cases {
            for (batch_rows, threads) in [(8_192, 1), (37, 2), (1, 1)] {
                let (text, ledger) = run(query, &partitions, 40_000, batch_rows, threads);
                assert_eq!(rows(&text), *expected, "seed {seed} grid {grid_ms} batch {batch_rows}: {query}");
                assert_eq!((ledger.late, ledger.held), (0, 0));
            }
        }
    }
}
