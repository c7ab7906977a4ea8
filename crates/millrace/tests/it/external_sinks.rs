//! Nothing is lost on the way to a real InfluxDB when the server is killed, and nothing is there twice.

use crate::external_servers::{ExternalServer, exported, influxql, variable};
use crate::server::TestServer;
use delivery::contract::{Fault, FaultyServer, Proxy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The sinks of these tests are on loopback.
const LOOPBACK: [&str; 2] = ["--sink-networks", "127.0.0.0/8"];

const RECORDS_PER_ROUND: usize = 400;
const ROUNDS: usize = 5;

/// `HOST:PORT`
fn influxdb() -> String {
    let url = variable("MILLRACE_INFLUXDB_URL", "influxdb.sh");
    url.trim_start_matches("http://").to_owned()
}

fn count(database: &str) -> u64 {
    let counted = influxql(&influxdb(), database, "SELECT COUNT(amount) FROM copies");
    counted.first().and_then(|row| row[1].as_u64()).unwrap_or_default()
}

#[test]
fn kill_9_loses_no_point_and_doubles_none() {
    let runtime = Runtime::new().unwrap();
    let faulty = runtime.block_on(FaultyServer::start(Arc::new(Proxy { address: influxdb() }))).unwrap();
    // Answers get lost, so that there is something to be in doubt about.
    faulty.follow(|call| if call % 3 == 1 { Fault::ResetAfter } else { Fault::Slow(Duration::from_millis(20)) });
    let database = format!("kill9_{}", std::process::id());
    influxql(&influxdb(), "", &format!("CREATE DATABASE {database}"));
    let server = TestServer::with_bookings(2);
    let mut server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
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
        server = TestServer::start_in(server.kill(), &LOOPBACK);
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
    let rows = influxql(&influxdb(), &database, "SELECT amount, order_number FROM copies");
    let mut amounts: Vec<u64> = rows.iter().filter_map(|row| row[1].as_f64()).map(|amount| amount as u64).collect();
    amounts.sort();
    assert_eq!(amounts, (0..expected).collect::<Vec<_>>());
    drop(server);
    drop(runtime);
}

const CITIES: [&str; 3] = ["Jakarta", "Bandung", "a b,c=d"];
/// 2026-01-01T00:00:00Z
const BASE_SECONDS: i64 = 1_767_225_600;

/// The sum and the number of amounts by the end of the second and the city, as each sink has them.
type Sums = BTreeMap<(String, String), (i64, i64)>;

fn time_text(second: i64) -> String {
    format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60)
}

/// What is produced, and what has to come out of it.
#[derive(Default)]
struct Input {
    sums: Sums,
    consumed: u64,
    filtered: u64,
    late: u64,
    dead_lettered: u64,
}

impl Input {
    /// Records of some seconds of event time, among them some that are filtered, too late or without a time.
    fn records(&mut self, seconds: std::ops::Range<i64>) -> String {
        let mut lines = String::new();
        let mut put = |record: Value| lines.push_str(&(record.to_string() + "\n"));
        for second in seconds.clone() {
            for number in 0..20 {
                let (city, amount) = (CITIES[number % CITIES.len()], second * 100 + number as i64 - 3);
                put(json!({ "city": city, "amount": amount, "eventTimestamp": time_text(second) }));
                self.consumed += 1;
                if amount < 0 {
                    self.filtered += 1;
                    continue;
                }
                let sum = self.sums.entry((time_text(second + 1), city.to_owned())).or_default();
                *sum = (sum.0 + amount, sum.1 + 1);
            }
            put(json!({ "city": "x", "amount": -1, "eventTimestamp": time_text(second) }));
            put(json!({ "city": "x", "amount": 1 }));
            (self.consumed, self.filtered, self.dead_lettered) =
                (self.consumed + 2, self.filtered + 1, self.dead_lettered + 1);
        }
        if seconds.start > 5 {
            put(json!({ "city": "x", "amount": 1, "eventTimestamp": time_text(seconds.start - 4) }));
            (self.consumed, self.late) = (self.consumed + 1, self.late + 1);
        }
        lines
    }

    /// What is in the last second, whose window stays open.
    fn held(&mut self, second: i64) -> u64 {
        let open: Vec<_> = self.sums.keys().filter(|(time, _)| *time == time_text(second + 1)).cloned().collect();
        open.iter().filter_map(|key| self.sums.remove(key)).map(|(_, count)| count as u64).sum()
    }
}

fn of_series(server: &TestServer, measurement: &str) -> Sums {
    let ask = format!("SELECT time, tag_city, amount, bookings FROM {measurement}");
    let rows = server.cli(&["-o", "ndjson", "sql", &ask]).lines();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let number = |value: &Value| value.as_i64().unwrap();
    let point = |row: &Value| {
        ((text(&row["time"]), text(&row["tag_city"])), (number(&row["amount"]), number(&row["bookings"])))
    };
    let sums: Sums = rows.iter().map(point).collect();
    assert_eq!(sums.len(), rows.len(), "no point is there twice");
    sums
}

fn of_influxdb(address: &str, measurement: &str) -> Sums {
    let rows = influxql(address, "daggers", &format!("SELECT tag_city, amount, bookings FROM {measurement}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let point = |row: &Value| ((text(&row[0]), text(&row[1])), (row[2].as_i64().unwrap(), row[3].as_i64().unwrap()));
    let sums: Sums = rows.iter().map(point).collect();
    assert_eq!(sums.len(), rows.len(), "no point is there twice");
    sums
}

fn of_victoria_metrics(address: &str, measurement: &str) -> Sums {
    let mut sums = Sums::new();
    for (field, is_amount) in [("amount", true), ("bookings", false)] {
        for series in exported(address, &format!("{measurement}_{field}")) {
            let city = series["metric"]["tag_city"].as_str().unwrap();
            let (times, values) = (series["timestamps"].as_array().unwrap(), series["values"].as_array().unwrap());
            for (time, value) in times.iter().zip(values) {
                let time = time_text(time.as_i64().unwrap() / 1_000 - BASE_SECONDS);
                let (sum, value) = (sums.entry((time, city.to_owned())).or_default(), value.as_i64().unwrap());
                *(if is_amount { &mut sum.0 } else { &mut sum.1 }) += value;
            }
        }
    }
    sums
}

fn sums_dagger(name: &str, sink: Value) -> String {
    json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": name },
        "spec": {
            "streams": [{ "topics": ["bookings"], "timestamp": "event_timestamp", "watermark": { "delay": "0s", "idle": "1h" } }],
            "sql": "SELECT city AS tag_city, SUM(amount) AS amount, COUNT(1) AS bookings, \
                    TUMBLE_END(rowtime, INTERVAL '1' SECOND) AS window_timestamp FROM data_stream WHERE amount >= 0 \
                    GROUP BY TUMBLE(rowtime, INTERVAL '1' SECOND), city",
            "sinks": [{ "kind": "series", "measurement": name }, sink],
            "checkpoint": { "interval": "200ms" },
        },
    })
    .to_string()
}

fn status(server: &TestServer, dagger: &str) -> Value {
    server.cli(&["-o", "json", "dagger", "show", dagger]).json()["status"].clone()
}

#[test]
fn millrace_is_killed_and_the_servers_of_its_sinks_are_stopped_and_every_point_is_everywhere_once() {
    const SECONDS_PER_ROUND: i64 = 8;
    let (mut influxdb, mut victoria) = (ExternalServer::influxdb(), ExternalServer::victoria_metrics());
    influxql(&influxdb.address, "", "CREATE DATABASE daggers");
    let server = TestServer::with_bookings(1);
    let mut server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
    for (name, sink) in [
        ("to_influxdb", json!({ "kind": "influx", "version": 1, "url": influxdb.url(), "database": "daggers" })),
        ("to_victoria", json!({ "kind": "victoriaMetrics", "url": victoria.url() })),
    ] {
        let file = server.file(&format!("{name}.yaml"), sums_dagger(name, sink));
        server.cli(&["apply", "-f", &file]).ok();
    }
    let mut input = Input::default();
    let mut seconds = 0..SECONDS_PER_ROUND;
    // Which of the two is down while records come and Millrace is killed.
    for (influxdb_is_down, victoria_is_down) in
        [(false, false), (true, false), (false, true), (true, true), (false, false)]
    {
        if influxdb_is_down {
            influxdb.stop();
        }
        if victoria_is_down {
            victoria.stop();
        }
        let records = input.records(seconds.clone());
        server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records.as_bytes()).ok();
        // Sooner and later after the records came.
        std::thread::sleep(Duration::from_millis(100 * (seconds.start as u64 / 4)));
        server = TestServer::start_in(server.kill(), &LOOPBACK);
        if influxdb_is_down {
            server.until(|| status(&server, "to_influxdb"), |status| status["state"] == "degraded");
            influxdb.start();
        }
        if victoria_is_down {
            server.until(|| status(&server, "to_victoria"), |status| status["state"] == "degraded");
            victoria.start();
        }
        seconds = seconds.end..seconds.end + SECONDS_PER_ROUND;
    }
    let held = input.held(seconds.start - 1);
    assert!(input.late > 0 && input.filtered > 0 && input.dead_lettered > 0 && held > 0);
    for dagger in ["to_influxdb", "to_victoria"] {
        server.until(|| of_series(&server, dagger), |sums| *sums == input.sums);
        let is_settled = |status: &Value| {
            status["state"] == "running"
                && status["ledger"]["consumed"] == input.consumed
                && status["sinks"][1]["counts"]["inFlight"].as_u64().unwrap_or_default() == 0
        };
        let status = server.until(|| status(&server, dagger), is_settled);
        let ledger = &status["ledger"];
        let cell = |name: &str| ledger[name].as_u64().unwrap();
        assert_eq!(
            (cell("filtered"), cell("late"), cell("dead_lettered"), cell("held")),
            (input.filtered, input.late, input.dead_lettered, held),
            "{ledger}"
        );
        let cells = ["delivered", "filtered", "dead_lettered", "late", "held"].map(cell);
        assert_eq!(cell("consumed"), cells.iter().sum::<u64>(), "{ledger}");
        let sink = &status["sinks"][1];
        assert_eq!((&status["problem"], &sink["refused"]), (&Value::Null, &json!(0)), "{status}");
    }
    server.until(|| of_influxdb(&influxdb.address, "to_influxdb"), |sums| *sums == input.sums);
    server.until(|| of_victoria_metrics(&victoria.address, "to_victoria"), |sums| *sums == input.sums);
}

#[test]
fn what_the_server_would_refuse_is_said_when_deploying() {
    let influxdb = ExternalServer::influxdb();
    influxql(&influxdb.address, "", "CREATE DATABASE daggers");
    let server = TestServer::with_bookings(1);
    let server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
    let sink = |database: &str| json!({ "kind": "influx", "version": 1, "url": influxdb.url(), "database": database });
    let apply = |name: &str, database: &str| {
        let file = server.file("dagger.yaml", sums_dagger(name, sink(database)));
        server.cli(&["apply", "-f", &file])
    };
    apply("nowhere", "nothing")
        .failed_with(1, "`spec.sinks[1]`: InfluxDB 1 `nothing` at http://127.0.0.1:")
        .failed_with(1, "has no such database")
        .failed_with(1, "make it there first");
    // What a former dagger has written.
    let mut stream = std::net::TcpStream::connect(&influxdb.address).unwrap();
    let line = "rides,tag_city=x amount=1.5,bookings=1i 1767225600000000000";
    let head = format!("POST /write?db=daggers HTTP/1.0\r\nContent-Length: {}\r\n\r\n{line}", line.len());
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains(" 204 "), "{answer}");
    apply("rides", "daggers")
        .failed_with(1, "`spec.sinks[1]`: the field `amount` would be written as integer")
        .failed_with(1, "has it in `rides` as float")
        .failed_with(1, "CAST(... AS DOUBLE) AS amount");
    server.cli(&["get", "dagger", "rides"]).failed_with(3, "there is no dagger");
    apply("others", "daggers").ok();
}

#[test]
fn what_victoria_metrics_would_drop_without_a_word_is_told() {
    // It keeps a month, and doubles.
    let victoria = ExternalServer::victoria_metrics_with(&[]);
    let server = TestServer::with_bookings(1);
    let server = TestServer::start_in(server.stop("TERM").1, &LOOPBACK);
    let sink = json!({ "kind": "victoriaMetrics", "url": victoria.url() });
    let file = server.file("dagger.yaml", sums_dagger("to_victoria", sink));
    server.cli(&["apply", "-f", &file]).ok();
    let mut input = Input::default();
    let records = input.records(0..3);
    input.held(2);
    server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records.as_bytes()).ok();
    let rows = input.sums.len() as u64;
    let status = server.until(|| status(&server, "to_victoria"), |status| status["sinks"][1]["refused"] == rows);
    let reason = status["sinks"][1]["lastRefusal"].as_str().unwrap();
    assert!(reason.contains("further back than the 31 days for which the server keeps points"), "{reason}");
    assert!(status.to_string().contains("start it with -dedup.minScrapeInterval=1ms"), "{status}");
    assert_eq!(of_victoria_metrics(&victoria.address, "to_victoria"), Sums::new());
}
