//! `/query` with questions that are too large: refused, or answered part after part, with the server's memory bounded.

use std::fmt::Write;

use serde_json::Value;

use crate::server::{Answer, TestServer};

const POINTS: usize = 1_000_000;
const POINTS_PER_WRITE: usize = 100_000;
const LARGE_PARTS: &str = "&chunked=true&chunk_size=100000000";
/// A query may hold 512 MiB; the rest is the server's, and what it has not given back yet.
const PEAK_BYTES_MAX: u64 = 1_200 << 20;

fn query(server: &TestServer, statement: &str, more: &str) -> Answer {
    let encoded: String = statement.bytes().map(|byte| format!("%{byte:02X}")).collect();
    server.http_with_headers("GET", &format!("/query?db=default&epoch=s&q={encoded}{more}"), &[], b"")
}

/// The lines of an answer, which may come in pieces: each with its length, in hexadecimal digits, before it.
fn lines(answer: &Answer) -> Vec<Value> {
    let mut whole = String::new();
    let mut rest = answer.body.as_str();
    match answer.header("transfer-encoding") {
        Some("chunked") => {
            while let Some((length, after)) = rest.split_once("\r\n") {
                let length = usize::from_str_radix(length, 16).expect("a length");
                whole.push_str(&after[..length]);
                rest = after[length..].trim_start_matches("\r\n");
            }
        }
        _ => whole.push_str(rest),
    }
    whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn error(answer: &Answer) -> String {
    let error = lines(answer).into_iter().find_map(|line| Some(line["results"][0]["error"].as_str()?.to_owned()));
    error.unwrap_or_else(|| panic!("answered: {:.300}", answer.body))
}

#[test]
fn a_hundred_million_points_are_refused_or_streamed() {
    let server = TestServer::start();
    for first in (0..POINTS).step_by(POINTS_PER_WRITE) {
        let mut lines = String::new();
        for point in first..first + POINTS_PER_WRITE {
            writeln!(lines, "m v={point}i {}", 1_700_000_000 + point).expect("text");
        }
        let written = server.http_with_headers("POST", "/write?db=default&precision=s", &[], lines.as_bytes());
        assert_eq!(written.status, 204, "{}", written.body);
    }
    // A hundred times a million points: as much as one query may hold, and what the server has besides.
    let points = format!("SELECT v FROM {}", vec!["m"; 100].join(", "));
    let refused = "the query would hold more than";
    let text = error(&query(&server, &points, ""));
    assert!(text.starts_with(refused), "{text}");
    let peak = server.memory_peak_bytes();
    assert!(peak < PEAK_BYTES_MAX, "the server took {peak} bytes");
    // More than a hundred million windows; and both in parts that would be all of it.
    let windows = "SELECT sum(v) FROM m WHERE time >= 1700000000s AND time < 1700000200s GROUP BY time(1u)";
    for (statement, more) in [(points.as_str(), LARGE_PARTS), (windows, ""), (windows, LARGE_PARTS)] {
        let text = error(&query(&server, statement, more));
        assert!(text.starts_with(refused), "{statement:.60}{more}: {text}");
    }
    // As many are read one after the other where nothing has to be kept of them.
    let counted = query(&server, &format!("SELECT count(v) FROM {}", vec!["m"; 100].join(", ")), "");
    assert_eq!(counted.json()["results"][0]["series"][0]["values"][0][1], 100_000_000, "{}", counted.body);
    let parts = lines(&query(&server, "SELECT v FROM m", "&chunked=true&chunk_size=50000"));
    let rows = |part: &Value| part["results"][0]["series"][0]["values"].as_array().map_or(0, Vec::len);
    assert_eq!((parts.len(), parts.iter().map(rows).sum::<usize>()), (20, POINTS));
}
