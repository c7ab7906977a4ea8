//! What may be wrong with points, through `/write`: the line and the column are told, the good lines are there.

use crate::server::{Answer, TestServer};
use serde_json::{Value, json};

const GOOD: &str = "good,host=a v=1 1";

fn write(server: &TestServer, query: &str, body: &[u8]) -> Answer {
    server.http_with_headers("POST", &format!("/write?db=default{query}"), &[], body)
}

fn error(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap_or_default().to_owned()
}

/// The rows of a statement, times in nanoseconds.
fn rows(server: &TestServer, statement: &str) -> Value {
    let encoded: String = statement.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/query?db=default&epoch=ns&q={encoded}");
    let answer = server.http_with_headers("GET", &path, &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["results"][0]["series"][0]["values"].clone()
}

/// A wrong line between good ones, as bytes: its reason and column.
#[track_caller]
fn check(server: &TestServer, line: &[u8], reason: &str, column: usize) {
    let body = [GOOD.as_bytes(), b"\n# a comment\n", line, b"\ngood,host=a v=2 2\n"].concat();
    let answer = write(server, "", &body);
    let told = error(&answer);
    let shown = String::from_utf8_lossy(line);
    assert_eq!(answer.status, 400, "{shown}: {answer:?}");
    assert!(told.starts_with("partial write: unable to parse '"), "{shown}: {told}");
    assert!(told.ends_with(&format!("': {reason} (line 3, column {column}) dropped=0")), "{shown}: {told}");
    assert_eq!(rows(server, "SELECT v FROM good"), json!([[1, 1], [2, 2]]), "{shown}");
    assert_eq!(rows(server, "SHOW MEASUREMENTS"), json!([["good"]]), "{shown}");
}

#[test]
fn every_malformed_line_names_its_place_and_the_others_are_written() {
    let server = TestServer::start();
    for (line, reason, column) in [
        // Empty names.
        (&b",host=a v=1"[..], "missing measurement", 1),
        (b"m,=a v=1", "missing tag key", 3),
        (b"m,host= v=1", "missing tag value", 8),
        (b"m =1", "missing field key", 3),
        (b"m v=1,=2", "missing field key", 7),
        (b"m \t=1", "missing field key", 4),
        (b"m,host=a", "missing fields", 9),
        (b"m v=", "missing field value", 5),
        // Numbers that are none.
        (b"m v=NaN", "invalid number", 5),
        (b"m v=nan 1", "invalid number", 5),
        (b"m v=Inf", "invalid boolean", 5),
        (b"m v=+Inf", "invalid boolean", 5),
        (b"m v=-Inf", "invalid number", 6),
        (b"m v=Infinity", "invalid boolean", 5),
        (b"m v=1e999", "invalid float", 5),
        (b"m v=-1e400", "invalid float", 5),
        (
            b"m v=9223372036854775808i",
            "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
            5,
        ),
        // Times beyond 1677 and 2262.
        (b"m v=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806", 7),
        (b"m v=1 -9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806", 7),
        (b"m v=1 99999999999999999999", "strconv.ParseInt: parsing \"99999999999999999999\": value out of range", 7),
        (b"m v=1 2023-11-14T22:13:20Z", "bad timestamp", 11),
        (b"m v=1 1.5", "bad timestamp", 8),
        // Bytes that are no text.
        (b"\xffm v=1", "invalid UTF-8", 1),
        (b"m,\xc3=a v=1", "invalid UTF-8", 3),
        (b"m,host=\xc3\xbcber\xe4 v=1", "invalid UTF-8", 12),
        (b"m \xf0\x9f=1", "invalid UTF-8", 3),
        (b"m v=\"\xe4\" 1", "invalid UTF-8", 6),
        // Quotes.
        (b"m v=\"x\"y 1", "text behind a closing quote", 8),
        (b"m v='x' 1", "invalid boolean", 5),
    ] {
        check(&server, line, reason, column);
    }
    // An open quote takes the rest of the body.
    let open = write(&server, "", b"good,host=a v=1 1\nm v=\"open\ngood v=2 2");
    assert_eq!(open.status, 400);
    assert!(error(&open).ends_with("unbalanced quotes (line 2, column 5) dropped=0"), "{open:?}");
}

#[test]
fn keys_of_64_kb_are_malformed_and_shorter_ones_beyond_the_limits_are_left_out() {
    let server = TestServer::start();
    let long = format!("m,host={} v=1", "x".repeat(65_540));
    let body = format!("{GOOD}\n{long}\n");
    let answer = write(&server, "", body.as_bytes());
    let told = error(&answer);
    assert!(told.contains("max key length exceeded: 65547 > 65535 (line 2, column "), "{}", &told[told.len() - 200..]);
    assert!(told.len() < 2_000, "{}", told.len());
    for (line, reason) in [
        (
            format!("m,host={} v=1 1", "x".repeat(64_000)),
            "tag `host` is 64000 bytes long, the limit is 1024; make it a field (line 2)",
        ),
        (format!("m,{}=a v=1 1", "x".repeat(64_000)), "has 64000 bytes, the limit is 255"),
        (format!("m {}=1 1", "x".repeat(60_000)), "has 60000 bytes, the limit is 255"),
        (format!("{} v=1 1", "x".repeat(64_000)), "has 64000 bytes, the limit is"),
    ] {
        let answer = write(&server, "", format!("{GOOD}\n{line}\n").as_bytes());
        let told = error(&answer);
        assert!(answer.status == 400 && told.starts_with("partial write: ") && told.ends_with(" dropped=1"), "{told}");
        assert!(told.contains(reason), "{reason}: {told}");
        assert_eq!(rows(&server, "SELECT v FROM good"), json!([[1, 1]]));
    }
}

#[test]
fn times_long_ago_and_far_away_come_back() {
    let server = TestServer::start();
    for (time, nanos) in [
        ("-1", -1_000_000_000_i64),
        ("-9214560000", -9_214_560_000_000_000_000),
        ("7258118400", 7_258_118_400_000_000_000),
        ("9183110399", 9_183_110_399_000_000_000),
    ] {
        let answer = write(&server, "&precision=s", format!("far v=1 {time}").as_bytes());
        assert_eq!(answer.status, 204, "{time}: {answer:?}");
        let found = rows(&server, &format!("SELECT v FROM far WHERE time >= {nanos} AND time <= {nanos}"));
        assert_eq!(found, json!([[nanos, 1]]), "{time}");
    }
    let beyond = write(&server, "&precision=s", b"far v=1 9300000000");
    assert!(error(&beyond).contains("time outside range"), "{beyond:?}");
    assert!(error(&beyond).ends_with("(line 1, column 9)"), "{beyond:?}");
}

#[test]
fn a_field_has_one_type() {
    let server = TestServer::start();
    let conflict = |written: &str, stored: &str| {
        format!(
            "partial write: field type conflict: input field \"v\" on measurement \"m\" is type {written}, already exists as \
             type {stored} dropped=1"
        )
    };
    let mixed = write(&server, "", b"m v=1i 1\nm v=1.5 2\nm v=3i 3");
    assert_eq!((mixed.status, error(&mixed)), (400, conflict("float", "integer")));
    for (value, written) in [("1", "float"), ("t", "boolean"), ("\"x\"", "string")] {
        let answer = write(&server, "", format!("m v={value} 9\nm v=4i 4").as_bytes());
        assert_eq!((answer.status, error(&answer)), (400, conflict(written, "integer")));
    }
    assert_eq!(rows(&server, "SELECT v FROM m"), json!([[1, 1], [3, 3], [4, 4]]));
}

/// Lines of one measurement with other columns each, and many measurements: what a body needs is bounded by its size.
#[test]
fn bodies_with_many_columns_are_written() {
    let server = TestServer::start();
    let sparse: String = (0..50_000).map(|line| format!("sparse f{}={line} {line}\n", line % 1_000)).collect();
    let answer = write(&server, "", sparse.as_bytes());
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(rows(&server, "SELECT count(f7) FROM sparse"), json!([[0, 50]]));
    let wide: String = (0..300)
        .map(|measurement| {
            let fields: Vec<String> = (0..500).map(|field| format!("f{field}=1")).collect();
            format!("wide{measurement} {} 1\n", fields.join(","))
        })
        .collect();
    let answer = write(&server, "", wide.as_bytes());
    assert_eq!(answer.status, 204, "{answer:?}");
    let peak = server.memory_peak_bytes();
    assert!(peak < 800 << 20, "the server took {peak} bytes");
}
