//! `millrace firehose`, and nothing lost when the server is killed.

use crate::server::TestServer;
use async_trait::async_trait;
use delivery::contract::{Fault, FaultyServer, Request, Response, Upstream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The sinks of these tests are on loopback.
const LOOPBACK: [&str; 2] = ["--sink-networks", "127.0.0.0/8"];
const RECORDS_PER_ROUND: usize = 400;
const ROUNDS: usize = 5;

/// Takes lines in InfluxDB's protocol, and counts how often each comes.
#[derive(Default)]
struct Lines(Mutex<BTreeMap<String, u64>>);

#[async_trait]
impl Upstream for Lines {
    async fn answer(&self, request: Request) -> Response {
        if !request.target.starts_with("/write") {
            return Response::new(200, r#"{"results":[{"statement_id":0}]}"#);
        }
        let mut body = String::new();
        match request.header("content-encoding") {
            Some(_) => flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut body).unwrap(),
            None => (&request.body[..]).read_to_string(&mut body).unwrap(),
        };
        let mut lines = self.0.lock().unwrap();
        for line in body.lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
        Response::new(204, "")
    }
}

fn document(url: &str) -> String {
    json!({
        "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": { "name": "orders" },
        "spec": {
            "topic": "bookings",
            "columns": [{ "field": "order_number" }, { "field": "amount" }, { "field": "_timestamp", "as": "at" }],
            "sink": {
                "kind": "influx", "version": 1, "url": url, "database": "d", "measurement": "orders", "timeColumn": "at",
            },
            "delivery": { "linger": "5ms", "batchRecords": 37, "retry": { "first": "5ms", "longest": "20ms" } },
        },
    })
    .to_string()
}

fn records(round: usize) -> String {
    let record = |record| {
        let number = round * RECORDS_PER_ROUND + record;
        json!({ "orderNumber": format!("order-{number}"), "amount": number }).to_string() + "\n"
    };
    (0..RECORDS_PER_ROUND).map(record).collect()
}

fn show(server: &TestServer) -> Value {
    server.cli(&["-o", "json", "firehose", "show", "orders"]).json()
}

fn until(server: &TestServer, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = show(server);
        let ledger = &shown["status"]["ledger"];
        let cell = |name: &str| ledger[name].as_u64().unwrap_or_default();
        let cells = ["delivered", "filtered", "late", "deadLettered", "held"].map(cell);
        assert_eq!(cell("consumed"), cells.iter().sum::<u64>(), "{shown}");
        if is_so(&shown) {
            return shown;
        }
        assert!(Instant::now() < deadline, "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn kill_9_loses_no_record_and_the_ledger_balances() {
    let runtime = Runtime::new().unwrap();
    let lines = Arc::new(Lines::default());
    let receiver = runtime.block_on(FaultyServer::start(Arc::clone(&lines) as Arc<dyn Upstream>)).unwrap();
    // Answers get lost, so that there is something to be in doubt about.
    receiver.follow(|call| if call % 3 == 1 { Fault::ResetAfter } else { Fault::Slow(Duration::from_millis(5)) });
    let server = TestServer::with_bookings(2);
    let mut server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
    let file = server.file("orders.yaml", document(&receiver.url()));
    server.cli(&["apply", "-f", &file, "--wait"]).ok();
    for round in 0..ROUNDS {
        server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records(round).as_bytes()).ok();
        // Sooner and later after the records came.
        std::thread::sleep(Duration::from_millis(100 * round as u64));
        server = TestServer::start_in(server.kill(), &LOOPBACK);
    }
    let expected = (ROUNDS * RECORDS_PER_ROUND) as u64;
    let shown =
        until(&server, |shown| shown["status"]["ledger"]["delivered"] == expected && shown["status"]["lag"] == 0);
    // What was read again after a kill was counted once.
    assert_eq!(
        (&shown["status"]["ledger"]["consumed"], &shown["status"]["ledger"]["held"]),
        (&json!(expected), &json!(0))
    );
    // The same record is the same line whenever it is written, so the server has each point once.
    assert_eq!(lines.0.lock().unwrap().len() as u64, expected);
    drop(server);
    drop(runtime);
}

#[test]
fn the_commands_do_as_they_say() {
    let runtime = Runtime::new().unwrap();
    let lines = Arc::new(Lines::default());
    let receiver = runtime.block_on(FaultyServer::start(Arc::clone(&lines) as Arc<dyn Upstream>)).unwrap();
    let server = TestServer::with_bookings(1);
    let server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
    server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records(0).as_bytes()).ok();
    let kinds = server.cli(&["-o", "json", "firehose", "sinks"]).json();
    assert!(kinds.to_string().contains("influx"), "{kinds}");
    let settings = server.cli(&["firehose", "sinks", "influx"]).ok();
    assert!(settings.stdout.contains("measurement"), "{}", settings.stdout);
    server.cli(&["firehose", "sinks", "inflx"]).failed_with(3, "did you mean `influx`?");

    let file = server.file("orders.yaml", document(&receiver.url()));
    let tried = server.cli(&["firehose", "preview", "-f", &file, "-n", "3"]).ok();
    assert!(tried.stdout.contains("kept") && tried.stdout.contains("order-2"), "{}", tried.stdout);
    let sent = server.cli(&["firehose", "send-one", "-f", &file, "--offset", "7"]).ok();
    assert!(sent.stdout.contains("order-7") && sent.stderr.contains("has taken it"), "{sent:?}");
    assert_eq!(lines.0.lock().unwrap().len(), 1);
    server.cli(&["firehose", "send-one", "-f", &file, "--offset", "400"]).failed_with(3, "0 to 399");

    server.cli(&["apply", "-f", &file, "--dry-run"]).ok();
    server.cli(&["firehose", "show", "orders"]).failed_with(3, "there is no firehose `orders`");
    let diff = server.cli(&["diff", "-f", &file]).ok();
    assert!(diff.stdout.contains("+  topic: bookings"), "{}", diff.stdout);
    server.cli(&["apply", "-f", &file, "--wait"]).ok();
    until(&server, |shown| shown["status"]["ledger"]["delivered"] == RECORDS_PER_ROUND);
    // What the server shows is a document that changes nothing.
    let shown = server.cli(&["-o", "yaml", "get", "firehoses"]).ok();
    let again = server.cli_with_input(&["apply", "-f", "-"], shown.stdout.as_bytes()).ok();
    assert!(again.stderr.contains("firehose orders unchanged"), "{}", again.stderr);

    server.cli(&["firehose", "pause", "orders"]).ok();
    assert_eq!(show(&server)["status"]["state"], "paused");
    server.cli(&["firehose", "seek", "orders", "--to", "0=390"]).ok();
    assert_eq!(show(&server)["status"]["lag"], 10);
    server.cli(&["firehose", "resume", "orders"]).ok();
    until(&server, |shown| shown["status"]["ledger"]["delivered"] == RECORDS_PER_ROUND + 10);
    server.cli(&["firehose", "scale", "orders", "3"]).ok();
    server.cli(&["firehose", "scale", "orders", "65"]).failed_with(1, "it can be 1 to 64");
    let listed = server.cli(&["firehose", "list"]).ok();
    assert!(listed.stdout.contains("bookings") && listed.stdout.contains("influx"), "{}", listed.stdout);
    let history = server.cli(&["firehose", "history", "orders"]).ok();
    assert!(history.stdout.contains("paused by"), "{}", history.stdout);
    let wrong = server.file("wrong.yaml", document(&receiver.url()).replace("\"linger\"", "\"lingre\""));
    server.cli(&["apply", "-f", &wrong]).failed_with(1, "did you mean `linger`?");
    server.cli(&["delete", "topic", "bookings"]).failed_with(1, "the firehose `orders` reads the topic");
    server.cli(&["delete", "-f", &file]).ok();
    server.cli(&["firehose", "delete", "orders"]).failed_with(3, "there is no firehose");
    drop(server);
    drop(runtime);
}
