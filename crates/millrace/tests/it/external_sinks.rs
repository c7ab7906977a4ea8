//! Nothing is lost on the way to a real InfluxDB when the server is killed, and nothing is there twice.

use crate::server::TestServer;
use delivery::contract::{Fault, FaultyServer, Proxy};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const RECORDS_PER_ROUND: usize = 400;
const ROUNDS: usize = 5;

/// `HOST:PORT`
fn influxdb() -> String {
    let url = std::env::var("MILLRACE_INFLUXDB_URL")
        .expect("MILLRACE_INFLUXDB_URL is not set: run the tests within `scripts/influxdb.sh -- cargo test ...`");
    url.trim_start_matches("http://").to_owned()
}

/// The values of the first series that InfluxDB answers with.
fn influxql(database: &str, statement: &str) -> Vec<Value> {
    let address = influxdb();
    let mut stream = TcpStream::connect(&address).unwrap();
    let query: String = statement.bytes().map(|byte| format!("%{byte:02X}")).collect();
    write!(stream, "POST /query?db={database}&q={query} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    body["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default()
}

fn count(database: &str) -> u64 {
    let counted = influxql(database, "SELECT COUNT(amount) FROM copies");
    counted.first().and_then(|row| row[1].as_u64()).unwrap_or_default()
}

#[test]
fn kill_9_loses_no_point_and_doubles_none() {
    let runtime = Runtime::new().unwrap();
    let faulty = runtime.block_on(FaultyServer::start(Arc::new(Proxy { address: influxdb() }))).unwrap();
    // Answers get lost, so that there is something to be in doubt about.
    faulty.follow(|call| if call % 3 == 1 { Fault::ResetAfter } else { Fault::Slow(Duration::from_millis(20)) });
    let database = format!("kill9_{}", std::process::id());
    influxql("", &format!("CREATE DATABASE {database}"));
    let networks = ["--sink-networks", "127.0.0.0/8"];
    let server = TestServer::with_bookings(2);
    let mut server = TestServer::start_in(server.stop("TERM").1, &networks);
    let dagger = json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": "copies" },
        "spec": {
            "streams": [{ "topics": ["bookings"], "timestamp": "record" }],
            "sql": "SELECT amount, order_number, rowtime FROM data_stream",
            "sinks": [{ "kind": "influx", "version": 1, "url": faulty.url(), "database": database }],
            "checkpoint": { "interval": "100ms" },
        },
    });
    let file = server.file("copies.yaml", dagger.to_string());
    server.cli(&["apply", "-f", &file]).ok();
    for round in 0..ROUNDS {
        let records: String = (0..RECORDS_PER_ROUND)
            .map(|record| {
                let number = round * RECORDS_PER_ROUND + record;
                json!({ "orderNumber": format!("order-{number}"), "amount": number }).to_string() + "\n"
            })
            .collect();
        server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records.as_bytes()).ok();
        // Sooner and later after the records came.
        std::thread::sleep(Duration::from_millis(150 * round as u64));
        server = TestServer::start_in(server.kill(), &networks);
    }
    let expected = (ROUNDS * RECORDS_PER_ROUND) as u64;
    let deadline = Instant::now() + Duration::from_secs(60);
    while count(&database) < expected {
        assert!(Instant::now() < deadline, "{} of {expected} points", count(&database));
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is written once more after the last start has come as well.
    loop {
        let status = server.cli(&["-o", "json", "dagger", "show", "copies"]).json()["status"].clone();
        let counts = &status["sinks"][0]["counts"];
        if status["ledger"]["delivered"] == expected && (counts.is_null() || counts["inFlight"] == 0) {
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let rows = influxql(&database, "SELECT amount, order_number FROM copies");
    let mut amounts: Vec<u64> = rows.iter().filter_map(|row| row[1].as_f64()).map(|amount| amount as u64).collect();
    amounts.sort();
    assert_eq!(amounts, (0..expected).collect::<Vec<_>>());
    drop(server);
    drop(runtime);
}
