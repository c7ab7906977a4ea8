//! `/query` where not all goes well: answers that break off, readers that do not read, somebody who asks too much at once.

use crate::influx_write::member;
use crate::server::{TOKEN, TestServer};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const POINTS: usize = 400_000;
const POINTS_PER_WRITE: usize = 100_000;
/// Of a user, as the server has it.
const QUERIES_OF_ONE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(90);
/// An answer that waits for a turn has none after so long.
const NOT_YET: Duration = Duration::from_secs(3);
/// `rani:password of rani`
const RANI: &str = "Basic cmFuaTpwYXNzd29yZCBvZiByYW5p";

fn encoded(statement: &str) -> String {
    statement.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Asks for an answer in parts, and reads nothing of it.
fn ask(server: &TestServer, authorization: &str, database: &str, statement: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let q = encoded(statement);
    write!(
        stream,
        "GET /query?db={database}&epoch=ns&chunked=true&chunk_size=10000&q={q} HTTP/1.1\r\nhost: {address}\r\n\
         connection: close\r\nauthorization: {authorization}\r\n\r\n"
    )
    .unwrap();
    stream
}

/// The status, and the parts of an answer that is then read to its end; an answer that HTTP does not end properly is told as
/// an error.
fn parts(mut stream: TcpStream) -> (u16, Result<Vec<Value>, String>) {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status =
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
    let whole = || {
        read.map_err(|error| error.to_string())?;
        let (head, mut rest) = answer.split_once("\r\n\r\n").ok_or("no head")?;
        if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return rest.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect();
        }
        let mut body = String::new();
        loop {
            let (length, after) = rest.split_once("\r\n").ok_or("cut off")?;
            let length = usize::from_str_radix(length, 16).map_err(|error| error.to_string())?;
            if length == 0 {
                break;
            }
            body.push_str(after.get(..length).ok_or("cut off")?);
            rest = after[length..].strip_prefix("\r\n").ok_or("cut off")?;
        }
        body.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
    };
    (status, whole())
}

fn write(server: &TestServer, database: &str, lines: &str) {
    let answer = server.http_with_headers("POST", &format!("/write?db={database}&precision=s"), &[], lines.as_bytes());
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// A measurement whose answer is larger than what the system keeps of a connection that nobody reads.
fn fill(server: &TestServer, database: &str) {
    for first in (0..POINTS).step_by(POINTS_PER_WRITE) {
        let mut lines = String::new();
        for point in first..first + POINTS_PER_WRITE {
            writeln!(lines, "large v={point}i {}", 1_700_000_000 + point).unwrap();
        }
        write(server, database, &lines);
    }
}

const LARGE: &str = "SELECT v, v AS a, v AS b, v AS c, v AS d FROM large";

#[test]
fn an_answer_that_breaks_off_shows_as_broken() {
    let server = TestServer::start();
    for group in ["rides", "hidden"] {
        let (code, made) = server.http_json("POST", "/api/v1/groups", json!({ "name": group }));
        assert!(code < 300, "{made}");
    }
    member(&server, "rani", "rides", "viewer");
    write(&server, "rides", "m v=1 1700000000\nm v=2 1700000001");
    write(&server, "hidden", "secret v=3 1700000000");
    // The second statement asks for what rani may not see: what came before it is there, and how it ended.
    let broken = "SELECT v FROM m; SELECT v FROM hidden..secret; SELECT v FROM m";
    let (status, parts_found) = parts(ask(&server, RANI, "rides", broken));
    let found = parts_found.expect("ends properly");
    assert_eq!((status, found.len()), (200, 2), "{found:?}");
    assert_eq!(found[0]["results"][0]["series"][0]["values"][1][1], 2, "{found:?}");
    let error = found[1]["results"][0]["error"].as_str().expect("an error");
    assert!(error.contains("not authorized") && error.contains("hidden"), "{error}");
    assert!(!found.iter().any(|part| part.to_string().contains("secret\",\"columns")), "{found:?}");
    // In one piece it is refused as a whole.
    let path = format!("/query?db=rides&q={}", encoded(broken));
    let whole = server.http_with_headers("GET", &path, &[("authorization", RANI)], b"");
    assert_eq!((whole.status, whole.json()["error"].as_str()), (403, Some(error)), "{}", whole.body);
    assert!(whole.json()["results"].is_null(), "{}", whole.body);
}

#[test]
fn who_does_not_read_holds_up_nobody_else_and_not_for_long() {
    let server = TestServer::start();
    member(&server, "rani", "default", "viewer");
    fill(&server, "default");
    let admin = format!("Bearer {TOKEN}");
    let unread: Vec<TcpStream> = (0..QUERIES_OF_ONE).map(|_| ask(&server, &admin, "default", LARGE)).collect();
    std::thread::sleep(NOT_YET);
    let count = || "SELECT count(v) FROM large";
    let counted = |stream: TcpStream| {
        let (status, found) = parts(stream);
        assert_eq!(status, 200, "{found:?}");
        assert_eq!(found.expect("whole")[0]["results"][0]["series"][0]["values"][0][1], POINTS);
    };
    // Somebody else is answered at once.
    let start = Instant::now();
    counted(ask(&server, RANI, "default", count()));
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?}", start.elapsed());
    // The one who does not read has all turns that one may have.
    let fifth = ask(&server, &admin, "default", count());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            counted(fifth);
            sender.send(()).unwrap();
        });
        assert_eq!(receiver.recv_timeout(NOT_YET), Err(RecvTimeoutError::Timeout), "a fifth query had a turn");
        // Until the server gives up waiting for a reader.
        receiver.recv_timeout(PATIENCE).expect("turns come back");
    });
    // The first of them has given its turn back, the others do so as soon.
    std::thread::sleep(NOT_YET);
    for stream in unread {
        let (status, found) = parts(stream);
        let found = found.expect("ends properly");
        let last = found.last().expect("a part");
        assert_eq!(status, 200);
        let error = last["results"][0]["error"].as_str().unwrap_or_else(|| panic!("{} parts, no error", found.len()));
        assert!(error.contains("nobody read its answer for 30 s"), "{error}");
    }
}
