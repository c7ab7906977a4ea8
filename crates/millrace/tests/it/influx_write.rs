//! `/ping`, `/write` and `/api/v2/write`, as InfluxDB 1.6 answers them.

use crate::server::{Answer, TOKEN, TestServer};
use serde_json::{Value, json};
use std::io::Write;

fn write(server: &TestServer, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    server.http_with_headers("POST", &format!("/write?{query}"), headers, body)
}

fn sql(server: &TestServer, sql: &str) -> Value {
    let body = json!({ "sql": sql }).to_string();
    let answer =
        server.http_with_headers("POST", "/api/v1/sql", &[("content-type", "application/json")], body.as_bytes());
    if answer.status == 200 { answer.json()["rows"].clone() } else { answer.json() }
}

fn post(server: &TestServer, path: &str, body: Value) -> Value {
    let headers = [("content-type", "application/json")];
    let answer = server.http_with_headers("POST", path, &headers, body.to_string().as_bytes());
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.json()
}

/// Somebody with a password and a role.
pub fn member(server: &TestServer, name: &str, group: &str, role: &str) {
    let made = post(server, "/api/v1/users", json!({ "name": name }));
    post(server, &format!("/api/v1/groups/{group}/members"), json!({ "user": name, "role": role }));
    let accepted = json!({ "invitation": made["invitation"], "password": format!("password of {name}") });
    post(server, "/api/v1/session/invitation", accepted);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str().unwrap_or_default()), (status, error), "{answer:?}");
    assert_eq!(answer.header("x-influxdb-version"), Some("1.6.7"));
}

#[test]
fn ping_says_the_version_to_everybody() {
    let server = TestServer::start();
    for method in ["GET", "HEAD"] {
        let answer = server.http_with_headers(method, "/ping", &[("authorization", "Basic bm9ib2R5OnRoZXJl")], b"");
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("x-influxdb-version"), Some("1.6.7"));
        assert_eq!(answer.header("x-influxdb-build"), Some("OSS"));
        assert_eq!(answer.header("request-id").map(str::len), Some(36));
    }
    let named = server.http_with_headers("GET", "/ping", &[("x-request-id", "mine")], b"");
    assert_eq!((named.header("request-id"), named.header("x-request-id")), (Some("mine"), Some("mine")));
}

#[test]
fn points_are_there_at_once_in_the_group_that_is_the_database() {
    let server = TestServer::start();
    post(&server, "/api/v1/groups", json!({ "name": "rides" }));
    let body = b"cpu,host=a value=1.5,n=3i 1700000000000000000\ncpu,host=b value=2,ok=t 1700000001000000000\n";
    check(&write(&server, "db=default", &[], body), 204, "");
    let packed = gzip(b"trips,city=Jakarta n=7i 1700000000\n");
    check(
        &write(&server, "db=rides&precision=s&rp=autogen&consistency=all", &[("content-encoding", "gzip")], &packed),
        204,
        "",
    );
    assert_eq!(
        sql(&server, "SELECT * FROM \"default\".\"cpu\" ORDER BY time"),
        json!([
            {"time": "2023-11-14T22:13:20Z", "host": "a", "value": 1.5, "n": 3, "ok": null},
            {"time": "2023-11-14T22:13:21Z", "host": "b", "value": 2.0, "n": null, "ok": true},
        ])
    );
    assert_eq!(sql(&server, "SELECT city, n FROM trips"), json!([{"city": "Jakarta", "n": 7}]));
    // The same name in two groups needs the group.
    check(&write(&server, "db=rides", &[], b"cpu,host=c value=3"), 204, "");
    assert_eq!(sql(&server, "SELECT host FROM rides.cpu"), json!([{"host": "c"}]));
    let ambiguous = sql(&server, "SELECT * FROM cpu");
    assert_eq!(ambiguous["detail"], "line 1, column 15: 2 groups have a measurement `cpu`");
    assert_eq!(ambiguous["hint"], "write which one: \"default\".\"cpu\" or \"rides\".\"cpu\"");
    assert_eq!(
        sql(
            &server,
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2"
        ),
        json!([
            {"table_schema": "default", "table_name": "cpu"},
            {"table_schema": "rides", "table_name": "cpu"},
            {"table_schema": "rides", "table_name": "trips"},
        ])
    );
    assert_eq!(
        sql(&server, "SELECT * FROM rides.other")["detail"].as_str().unwrap().split(": ").last().unwrap(),
        "there is no measurement `other` in the group `rides`"
    );
}

#[test]
fn whatever_is_wrong_is_told_and_the_rest_is_taken() {
    let server = TestServer::start();
    check(&write(&server, "", &[], b"m v=1"), 400, "database is required");
    check(&write(&server, "db=nowhere", &[], b"m v=1"), 404, "database not found: \"nowhere\"");
    check(
        &write(&server, "db=default&precision=d", &[], b"m v=1"),
        400,
        "invalid precision \"d\" (use n, u, ms, s, m or h)",
    );
    check(&write(&server, "db=default&consistency=two", &[], b"m v=1"), 400, "invalid consistency level");
    check(&write(&server, "db=default&rp=week", &[], b"m v=1"), 500, "retention policy not found: week");
    check(&write(&server, "db=default", &[("content-encoding", "gzip")], b"m v=1"), 400, "unexpected EOF");
    check(&write(&server, "db=default", &[], b"\n# nothing\n"), 204, "");
    let nothing = write(&server, "db=default", &[], b"m v=\nm v=1 x");
    check(
        &nothing,
        400,
        "unable to parse 'm v=': missing field value (line 1, column 5)\n\
         unable to parse 'm v=1 x': bad timestamp (line 2, column 7)",
    );
    assert_eq!(nothing.header("x-influxdb-error").unwrap().len(), nothing.json()["error"].as_str().unwrap().len());
    let partly = write(&server, "db=default", &[], b"m v=1 1000\nm v=1i 2000\nm v 3000\nm v=4 4000");
    check(
        &partly,
        400,
        "partial write: unable to parse 'm v 3000': invalid field format (line 3, column 3)\n\
         field type conflict: input field \"v\" on measurement \"m\" is type integer, already exists as type float dropped=1",
    );
    let conflict = write(&server, "db=default", &[], b"m v=t");
    check(
        &conflict,
        400,
        "partial write: field type conflict: input field \"v\" on measurement \"m\" is type boolean, already exists as \
         type float dropped=1",
    );
    let long = format!("m,host={} v=5 5000\nm v=6 6000", "x".repeat(60_000));
    check(
        &write(&server, "db=default", &[], long.as_bytes()),
        400,
        "partial write: tag `host` is 60000 bytes long, the limit is 1024; make it a field (line 1) dropped=1",
    );
    assert_eq!(sql(&server, "SELECT v FROM m ORDER BY time"), json!([{"v": 1.0}, {"v": 4.0}, {"v": 6.0}]));
    let refused = write(&server, "db=default", &[("accept", "application/csv")], b"m v=");
    assert_eq!(refused.body, "error\n\"unable to parse 'm v=': missing field value (line 1, column 5)\"\n");
    // More than a request may hold once it is unpacked.
    let bomb = gzip(&vec![b'#'; 70 * 1024 * 1024]);
    check(&write(&server, "db=default", &[("content-encoding", "gzip")], &bomb), 413, "Request Entity Too Large");
}

#[test]
fn a_measurement_that_takes_nothing_does_not_disturb_the_others() {
    let server = TestServer::start();
    check(&write(&server, "db=default", &[], b"bad v=1i 1000\ntaken v=1 1000"), 204, "");
    let long = "x".repeat(60_000);
    let body = format!(
        "good,host=a v=1 1000\nbad v=1 2000\nbad,host=a v=2 3000\nalso,host=b v=2 1000\ntaken,v=x w=1 2000\n\
         late,host={long} v=1 1000\ngood,host=a v=3 2000\nlate,host=c v=4 2000"
    );
    let partly = write(&server, "db=default", &[], body.as_bytes());
    check(
        &partly,
        400,
        "partial write: field type conflict: input field \"v\" on measurement \"bad\" is type float, already exists as \
         type integer\n\
         tag `host` is 60000 bytes long, the limit is 1024; make it a field (line 6) dropped=4",
    );
    let values = |measurement: &str| sql(&server, &format!("SELECT v FROM {measurement} ORDER BY time"));
    assert_eq!(values("good"), json!([{"v": 1.0}, {"v": 3.0}]));
    assert_eq!(values("also"), json!([{"v": 2.0}]));
    assert_eq!(values("late"), json!([{"v": 4.0}]));
    assert_eq!((values("bad"), values("taken")), (json!([{"v": 1}]), json!([{"v": 1.0}])));
    // Nothing of what was refused is left behind: no tag of it, no field.
    assert_eq!(sql(&server, "SELECT * FROM bad"), json!([{"time": "1970-01-01T00:00:00.000001Z", "v": 1}]));
    assert_eq!(sql(&server, "SELECT * FROM taken"), json!([{"time": "1970-01-01T00:00:00.000001Z", "v": 1.0}]));
}

#[test]
fn who_may_write_is_found_out_in_all_of_influxdbs_ways() {
    let server = TestServer::start();
    post(&server, "/api/v1/groups", json!({ "name": "rides" }));
    member(&server, "rani", "rides", "editor");
    member(&server, "budi", "rides", "viewer");
    let nobody = ("authorization", "");
    let refused = write(&server, "db=rides", &[nobody], b"m v=1");
    check(&refused, 401, "unable to parse authentication credentials");
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"InfluxDB\""));
    check(&write(&server, "db=rides&u=rani&p=guess", &[nobody], b"m v=1"), 401, "authorization failed");
    check(&write(&server, "db=rides", &[("authorization", "Bearer guess")], b"m v=1"), 401, "authorization failed");
    check(&write(&server, "db=rides&u=rani&p=password+of+rani", &[nobody], b"m v=1 1000000"), 204, "");
    // `rani:password of rani`
    let basic = ("authorization", "Basic cmFuaTpwYXNzd29yZCBvZiByYW5p");
    check(&write(&server, "db=rides", &[basic], b"m v=2 2000000"), 204, "");
    check(&write(&server, "db=rides", &[("authorization", "Token rani:password of rani")], b"m v=3 3000000"), 204, "");
    let token = format!("Token {TOKEN}");
    check(&write(&server, "db=rides", &[("authorization", &token)], b"m v=4 4000000"), 204, "");
    // A token is a password, of its owner.
    check(&write(&server, &format!("db=rides&u=admin&p={TOKEN}"), &[nobody], b"m v=5 5000000"), 204, "");
    check(
        &write(&server, &format!("db=rides&u=rani&p={TOKEN}"), &[nobody], b"m v=5 5000000"),
        401,
        "authorization failed",
    );
    let viewer = write(&server, "db=rides&u=budi&p=password+of+budi", &[nobody], b"m v=1");
    check(&viewer, 403, "\"budi\" user is not authorized to write to database \"rides\"");
    let stranger = write(&server, "db=default&u=rani&p=password+of+rani", &[nobody], b"m v=1");
    check(&stranger, 403, "\"rani\" user is not authorized to write to database \"default\"");
    assert_eq!(sql(&server, "SELECT count(*) AS n FROM rides.m"), json!([{"n": 5}]));
}

#[test]
fn libraries_for_influxdb_2_write_to_buckets() {
    let server = TestServer::start();
    let send =
        |query: &str, body: &[u8]| server.http_with_headers("POST", &format!("/api/v2/write?{query}"), &[], body);
    check(&send("org=any&bucket=default&precision=ms", b"m v=1 1700000000000"), 204, "");
    check(&send("bucket=default/autogen", b"m v=2 1700000001000000000"), 204, "");
    check(&send("bucket=default&precision=m", b"m v=2"), 400, "invalid precision \"m\" (use ns, us, ms or s)");
    check(&send("", b"m v=2"), 404, "bucket name \"\" is missing a slash; not in \"database/retention-policy\" format");
    check(&send("bucket=/x", b"m v=2"), 404, "bucket name \"/x\" is in db/rp form but has an empty database");
    check(&send("bucket=x", b"m v=2"), 404, "database not found: \"x\"");
    assert_eq!(
        sql(&server, "SELECT time, v FROM m ORDER BY time"),
        json!([{"time": "2023-11-14T22:13:20Z", "v": 1.0}, {"time": "2023-11-14T22:13:21Z", "v": 2.0}])
    );
}
