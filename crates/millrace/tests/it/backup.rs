//! A backup that is made while points are written, and a server that is started from it.

use crate::server::TestServer;
use std::path::Path;

fn write(server: &TestServer, points: std::ops::Range<i64>) {
    let lines: String = points.map(|point| format!("readings,place=a value={point}i {point}\n")).collect();
    let answer = server.http("POST", "/write?db=default", &[], lines.as_bytes());
    assert_eq!(answer.0, 204, "{answer:?}");
}

fn counted(server: &TestServer) -> u64 {
    let rows =
        server.cli(&["-o", "ndjson", "sql", "SELECT count(value) AS n, count(DISTINCT time) AS times FROM readings"]);
    let rows = rows.lines();
    assert_eq!(rows[0]["n"], rows[0]["times"]);
    rows[0]["n"].as_u64().unwrap()
}

#[test]
fn a_backup_has_what_was_there_and_opens_in_its_place() {
    let server = TestServer::start();
    write(&server, 0..5_000);
    let backup = server.cli(&["-o", "json", "backup"]).json();
    let backup = backup.as_array().map_or(backup.clone(), |rows| rows[0].clone());
    assert!(backup["bytes"].as_u64() > Some(1_000), "{backup}");
    write(&server, 5_000..6_000);
    assert_eq!(counted(&server), 6_000);
    let copy = Path::new(backup["directory"].as_str().unwrap()).to_owned();

    let (_, directory) = server.stop("TERM");
    let series = directory.path().join("data/series");
    std::fs::remove_dir_all(&series).unwrap();
    std::fs::rename(copy, &series).unwrap();
    let server = TestServer::start_in(directory, &[]);
    assert_eq!(counted(&server), 5_000);
}
