//! Daggers that write to a real InfluxDB 1, VictoriaMetrics and Prometheus, through a server that fails as it is told.

use crate::open_platform::{PROTO, publish, push, rows, until};
use crate::test_database;
use control::access::{Actor, Caller};
use control::{AddressPolicy, DeadLetterQuery, Metadata, Platform, PlatformOptions, TopicSpec};
use delivery::contract::{Fault, FaultyServer, Proxy};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn prometheus() -> String {
    variable("MILLRACE_PROMETHEUS_URL", "prometheus.sh")
}

/// A variable that a script of `scripts` sets.
fn variable(name: &str, script: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests within `scripts/{script} -- cargo test ...`"))
}

fn influxdb() -> String {
    variable("MILLRACE_INFLUXDB_URL", "influxdb.sh")
}

fn victoria_metrics() -> String {
    variable("MILLRACE_VICTORIA_METRICS_URL", "victoria_metrics.sh")
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn influxql(database: &str, statement: &str) -> Vec<Value> {
    let request = http().post(format!("{}/query", influxdb()));
    let request = request.query(&[("db", database), ("q", statement), ("epoch", "ms")]);
    let answer: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    let result = &answer["results"][0];
    assert!(result.get("error").is_none(), "{statement}: {result}");
    result["series"][0]["values"].as_array().cloned().unwrap_or_default()
}

async fn new_database() -> String {
    let name = unique("db");
    influxql("", &format!("CREATE DATABASE {name}")).await;
    name
}

async fn in_front_of(url: &str) -> FaultyServer {
    let address = url.trim_start_matches("http://").to_owned();
    FaultyServer::start(Arc::new(Proxy { address })).await.unwrap()
}

/// A platform whose operator lets sinks reach loopback, with the topic `events`.
async fn open(directory: &Path) -> Arc<Platform> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let platform = Platform::open(PlatformOptions {
        database_url: test_database::url(directory),
        sink_addresses: AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]),
        ..PlatformOptions::in_directory(directory)
    })
    .await
    .unwrap();
    push(&platform, PROTO).await;
    if platform.topic("events").await.is_err() {
        let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
        platform.create_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    }
    platform
}

/// Sums of windows of a second.
fn sums(name: &str, sinks: &Value) -> String {
    json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": name },
        "spec": {
            "streams": [{ "topics": ["events"], "timestamp": "at", "watermark": { "delay": "0s", "idle": "1h" } }],
            "sql": "SELECT name AS tag_name, COUNT(1) AS events, SUM(amount) AS amount, \
                    TUMBLE_END(rowtime, INTERVAL '1' SECOND) AS window_timestamp \
                    FROM data_stream GROUP BY TUMBLE(rowtime, INTERVAL '1' SECOND), name",
            "sinks": sinks, "checkpoint": { "interval": "200ms" },
        },
    })
    .to_string()
}

fn influx(url: &str, database: &str) -> Value {
    json!({ "kind": "influx", "version": 1, "url": url, "database": database, "measurement": "sums" })
}

/// Two names in a second of event time.
async fn publish_second(platform: &Platform, second: u32) {
    for (name, amount) in [("a b,c=d", 1), ("two", 2)] {
        let at = format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
        publish(platform, "events", &json!({ "name": name, "amount": amount * second, "at": at }).to_string()).await;
    }
}

async fn status(platform: &Platform, dagger: &str) -> Value {
    platform.dagger(dagger).await.unwrap()["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_points_are_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, database, measurement) = (open(directory.path()).await, new_database().await, unique("sums"));
    let sinks = json!([
        { "kind": "series", "measurement": "sums" },
        influx(&influxdb(), &database),
        { "kind": "victoriaMetrics", "url": victoria_metrics(), "measurement": measurement },
        { "kind": "prometheusRemoteWrite", "url": format!("{}/api/v1/write", prometheus()), "measurement": measurement },
    ]);
    platform.apply_dagger(&Actor::server(), &sums("sums", &sinks)).await.unwrap();
    for second in 0..=20 {
        publish_second(&platform, second).await;
    }
    let ask = "SELECT amount, events, tag_name FROM sums ORDER BY time, tag_name";
    let found = until(|| rows(&platform, ask), |rows| rows.len() == 40).await;
    // InfluxDB orders by time only.
    let of_influx = until(
        || async {
            let mut rows = influxql(&database, "SELECT amount, events, tag_name FROM sums").await;
            rows.sort_by_key(|row| (row[0].as_i64(), row[3].to_string()));
            rows
        },
        |rows| rows.len() == 40,
    )
    .await;
    for (found, of_influx) in found.iter().zip(&of_influx) {
        assert_eq!(
            json!([found["amount"], found["events"], found["tag_name"]]),
            json!([of_influx[1], of_influx[2], of_influx[3]])
        );
    }
    assert_eq!(of_influx[0][0], json!(1_767_225_601_000i64));
    let exported = until(
        || async {
            http().get(format!("{}/internal/force_flush", victoria_metrics())).send().await.unwrap();
            let request = http().get(format!("{}/api/v1/export", victoria_metrics()));
            let request = request.query(&[("match[]", format!("{measurement}_amount"))]);
            let text = request.send().await.unwrap().text().await.unwrap();
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
        },
        |series| series.iter().map(|series| series["values"].as_array().unwrap().len()).sum::<usize>() == 40,
    )
    .await;
    let mut samples: Vec<(i64, String, i64)> = Vec::new();
    for series in &exported {
        let name = series["metric"]["tag_name"].to_string();
        let times = series["timestamps"].as_array().unwrap().iter().zip(series["values"].as_array().unwrap());
        samples.extend(times.map(|(time, value)| (time.as_i64().unwrap(), name.clone(), value.as_i64().unwrap())));
    }
    samples.sort();
    let expected: Vec<(i64, String, i64)> =
        of_influx.iter().map(|row| (row[0].as_i64().unwrap(), row[3].to_string(), row[1].as_i64().unwrap())).collect();
    assert_eq!(samples, expected);
    let of_prometheus = until(
        || async {
            let query = format!("{measurement}_amount[1m]");
            let request = http().get(format!("{}/api/v1/query", prometheus()));
            let request = request.query(&[("query", query.as_str()), ("time", "1767225630")]);
            let answer: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
            let mut samples: Vec<(i64, String, i64)> = Vec::new();
            for series in answer["data"]["result"].as_array().unwrap() {
                let name = series["metric"]["tag_name"].to_string();
                let pairs = series["values"].as_array().unwrap().iter();
                samples.extend(pairs.map(|pair| {
                    let time_ms = (pair[0].as_f64().unwrap() * 1e3).round() as i64;
                    (time_ms, name.clone(), pair[1].as_str().unwrap().parse().unwrap())
                }));
            }
            samples.sort();
            samples
        },
        |samples| samples.len() == 40,
    )
    .await;
    assert_eq!(of_prometheus, expected);
    let status = until(|| status(&platform, "sums"), |status| status["sinks"][1]["counts"]["inFlight"] == 0).await;
    for sink in [1, 2, 3] {
        let counts = &status["sinks"][sink]["counts"];
        assert_eq!(
            (&counts["taken"], &counts["delivered"], &counts["deadLettered"]),
            (&json!(40), &json!(40), &json!(0))
        );
    }
    let ledger = &status["ledger"];
    assert_eq!((&ledger["consumed"], &ledger["delivered"], &ledger["held"]), (&json!(42), &json!(40), &json!(2)));
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_the_same_time_are_points_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, database) = (open(directory.path()).await, new_database().await);
    let spec = |sinks: Value| {
        json!({
            "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": "copy" },
            "spec": {
                "streams": [{ "topics": ["events"], "timestamp": "at" }], "sinks": sinks,
                "sql": "SELECT name AS city, amount, rowtime FROM data_stream", "checkpoint": { "interval": "200ms" },
            },
        })
        .to_string()
    };
    let mut sink = influx(&influxdb(), &database);
    sink["tags"] = json!(["city"]);
    platform.apply_dagger(&Actor::server(), &spec(json!([sink]))).await.unwrap();
    for amount in 0..30 {
        let event = json!({ "name": "x", "amount": amount, "at": "2026-01-01T00:00:00Z" });
        publish(&platform, "events", &event.to_string()).await;
    }
    let found = until(|| influxql(&database, "SELECT amount, city FROM sums"), |rows| rows.len() == 30).await;
    let mut amounts: Vec<i64> = found.iter().map(|row| row[1].as_i64().unwrap()).collect();
    amounts.sort();
    assert_eq!(amounts, (0..30).collect::<Vec<_>>());
    assert!(found.iter().all(|row| row[0] == json!(1_767_225_600_000i64) && row[2] == "x"), "{found:?}");
    let sink = json!([{ "kind": "victoriaMetrics", "url": victoria_metrics() }]);
    let refused = platform.apply_dagger(&Actor::server(), &spec(sink)).await.err().unwrap();
    assert!(refused.detail.contains("keeps one value of a series for a millisecond"), "{refused}");
    platform.close().await.unwrap();
}

/// Of a record of a partition, all have the same time and the same offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_rows_of_one_record_are_points_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, database) = (open(directory.path()).await, new_database().await);
    for (name, sql) in [
        (
            "buckets",
            "SELECT amount, bucket AS v, rowtime FROM data_stream, LATERAL TABLE(HistogramBucket(amount, '10,100')) AS h(bucket)",
        ),
        (
            "union_of_two",
            "SELECT amount, name AS v, rowtime FROM data_stream UNION ALL SELECT amount + 1000 AS amount, name AS v, rowtime FROM data_stream",
        ),
    ] {
        let mut sink = influx(&influxdb(), &database);
        sink["measurement"] = json!(name);
        let spec = json!({
            "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": name },
            "spec": {
                "streams": [{ "topics": ["events"], "timestamp": "at" }], "sql": sql,
                "sinks": [{ "kind": "series", "measurement": name }, sink], "checkpoint": { "interval": "200ms" },
            },
        });
        platform.apply_dagger(&Actor::server(), &spec.to_string()).await.unwrap();
    }
    for amount in [5, 50] {
        let event = json!({ "name": "x", "amount": amount, "at": "2026-01-01T00:00:00Z" });
        publish(&platform, "events", &event.to_string()).await;
    }
    for (name, expected) in [
        ("buckets", vec![(5, "+Inf"), (5, "10"), (5, "100"), (50, "+Inf"), (50, "100")]),
        ("union_of_two", vec![(5, "x"), (50, "x"), (1005, "x"), (1050, "x")]),
    ] {
        let sorted = |rows: Vec<(Value, Value)>| {
            let pair = |(amount, v): &(Value, Value)| (amount.as_i64().unwrap(), v.as_str().unwrap().to_owned());
            let mut rows: Vec<_> = rows.iter().map(pair).collect();
            rows.sort();
            rows
        };
        let ask = format!("SELECT amount, v FROM {name}");
        let of_influx = async || {
            let rows = influxql(&database, &ask).await;
            sorted(rows.into_iter().map(|row| (row[1].clone(), row[2].clone())).collect())
        };
        let of_series = async || {
            let rows = rows(&platform, &ask).await;
            sorted(rows.into_iter().map(|row| (row["amount"].clone(), row["v"].clone())).collect())
        };
        let expected: Vec<_> = expected.into_iter().map(|(amount, v)| (amount, v.to_owned())).collect();
        until(of_series, |rows| *rows == expected).await;
        until(of_influx, |rows| *rows == expected).await;
    }
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_waited_for_with_words_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, database) = (open(directory.path()).await, new_database().await);
    let mut server = in_front_of(&influxdb()).await;
    let document = sums("sums", &json!([influx(&server.url(), &database)]));
    platform.apply_dagger(&Actor::server(), &document).await.unwrap();
    for second in 0..5 {
        publish_second(&platform, second).await;
    }
    until(|| influxql(&database, "SELECT amount FROM sums"), |rows| rows.len() == 8).await;
    server.go_down().await;
    for second in 5..10 {
        publish_second(&platform, second).await;
    }
    let down = until(|| status(&platform, "sums"), |status| status["state"] == "degraded").await;
    let problem = down["problem"].as_str().unwrap();
    assert!(problem.contains("InfluxDB 1") && problem.contains("cannot be written to: no connection"), "{problem}");
    assert!(problem.contains("rows wait"), "{problem}");
    let epoch = down["checkpoint"]["epoch"].clone();
    // It goes on from its last checkpoint when the server of Millrace ends meanwhile.
    platform.close().await.unwrap();
    drop(platform);
    let platform = open(directory.path()).await;
    until(|| status(&platform, "sums"), |status| status["state"] == "degraded").await;
    server.come_up().await.unwrap();
    until(|| influxql(&database, "SELECT amount FROM sums"), |rows| rows.len() == 18).await;
    let well = until(
        || status(&platform, "sums"),
        |status| status["state"] == "running" && status["checkpoint"]["epoch"] != epoch,
    )
    .await;
    assert_eq!((&well["problem"], &well["sinks"][0]["refused"]), (&Value::Null, &json!(0)));
    let none = platform.dead_letters(&Caller::server(), &DeadLetterQuery::default(), None, 10).await.unwrap();
    assert_eq!(none.items, [] as [Value; 0]);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_seen_when_deploying_or_becomes_dead_letters() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, database) = (open(directory.path()).await, new_database().await);
    // In the shard of the second names, `amount` is a text already.
    let line = "sums amount=\"text\" 1767225600000000000";
    let written = http().post(format!("{}/write?db={database}", influxdb())).body(line).send().await.unwrap();
    assert_eq!(written.status(), 204);
    let refused =
        platform.apply_dagger(&Actor::server(), &sums("sums", &json!([influx(&influxdb(), &database)]))).await;
    let refused = refused.err().unwrap();
    assert!(refused.detail.contains("`spec.sinks[0]`: the field `amount` would be written as integer"), "{refused}");
    assert!(refused.detail.contains("as string"), "{refused}");
    let missing =
        platform.apply_dagger(&Actor::server(), &sums("sums", &json!([influx(&influxdb(), "nowhere")]))).await;
    assert!(missing.err().unwrap().detail.contains("no such database"));
    let mut short = influx(&influxdb(), &database);
    short["retentionPolicy"] = json!("short");
    let missing = platform.apply_dagger(&Actor::server(), &sums("sums", &json!([short]))).await.err().unwrap();
    assert!(missing.detail.contains("has no such retention policy"), "{missing}");
    // Nobody can be asked, so it is deployed.
    let mut server = in_front_of(&influxdb()).await;
    server.go_down().await;
    let document = sums("sums", &json!([influx(&server.url(), &database)]));
    platform.apply_dagger(&Actor::server(), &document).await.unwrap();
    for second in 0..=10 {
        publish_second(&platform, second).await;
    }
    server.come_up().await.unwrap();
    let seen = until(|| status(&platform, "sums"), |status| status["sinks"][0]["refused"] == 20).await;
    assert!(seen["sinks"][0]["lastRefusal"].as_str().unwrap().contains("field type conflict"), "{seen}");
    let ledger = until(|| status(&platform, "sums"), |status| status["state"] == "running").await;
    let counts = &ledger["sinks"][0]["counts"];
    assert_eq!((&counts["taken"], &counts["deadLettered"], &counts["inFlight"]), (&json!(20), &json!(20), &json!(0)));
    let query = DeadLetterQuery { dagger: Some("sums".to_owned()), ..DeadLetterQuery::default() };
    let letters = platform.dead_letters(&Caller::server(), &query, None, 100).await.unwrap().items;
    assert_eq!(letters.len(), 20);
    assert_eq!((&letters[0]["kind"], &letters[0]["stream"]), (&json!("undeliverable"), &json!("sink.influx")));
    assert!(letters[0]["error"].as_str().unwrap().contains("field type conflict"), "{}", letters[0]);
    let letter = platform.dead_letter(&Caller::server(), letters[0]["id"].as_str().unwrap()).await.unwrap();
    assert_eq!(letter["headers"]["millrace-sink"], "influx");
    // As long as nothing is mended it is refused again, and then it is written.
    let again = platform.replay_dead_letters(&Caller::server(), None, &query).await.unwrap_err();
    assert!(again.detail.contains("it is refused again: "), "{again}");
    influxql(&database, "DROP MEASUREMENT sums").await;
    // Nor is it written to another sink in its place.
    let victoria = json!({ "kind": "victoriaMetrics", "url": victoria_metrics(), "measurement": "sums" });
    platform.apply_dagger(&Actor::server(), &sums("sums", &json!([victoria]))).await.unwrap();
    let gone = platform.replay_dead_letters(&Caller::server(), None, &query).await.unwrap_err();
    assert_eq!(gone.code, "external_sink_gone", "{gone}");
    platform.apply_dagger(&Actor::server(), &document).await.unwrap();
    assert_eq!(platform.replay_dead_letters(&Caller::server(), None, &query).await.unwrap(), 20);
    assert_eq!(influxql(&database, "SELECT amount FROM sums").await.len(), 20);
    let kept = DeadLetterQuery { state: Some("kept".to_owned()), ..query };
    assert!(platform.dead_letters(&Caller::server(), &kept, None, 100).await.unwrap().items.is_empty());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_sink_may_connect_to_and_with_what_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    let apply =
        async |sink: Value| platform.apply_dagger(&Actor::server(), &sums("sums", &json!([sink]))).await.err().unwrap();
    let inside = apply(influx("http://10.1.2.3:8086", "d")).await;
    assert!(inside.detail.contains("`spec.sinks[0]`: `url`: `10.1.2.3` is a private address"), "{inside}");
    assert!(inside.detail.contains("--sink-networks 10.1.2.3"), "{inside}");
    let mut with_secret = influx(&influxdb(), "d");
    with_secret["username"] = json!("root");
    with_secret["secret"] = json!("influx-password");
    assert_eq!(apply(with_secret.clone()).await.code, "secret_not_found");
    platform.put_secret(&Actor::server(), "influx-password", None, "open sesame\n").await.unwrap();
    // The server has no users, so it takes any; the password is nowhere to be seen.
    let database = new_database().await;
    with_secret["database"] = json!(database);
    let server = in_front_of(&influxdb()).await;
    with_secret["url"] = json!(server.url());
    let shown = platform.apply_dagger(&Actor::server(), &sums("sums", &json!([with_secret]))).await.unwrap().resource;
    assert!(!shown.to_string().contains("sesame"), "{shown}");
    server.follow(|_| Fault::Answer { status: 401, retry_after_seconds: None });
    for second in 0..3 {
        publish_second(&platform, second).await;
    }
    let revoked = until(|| status(&platform, "sums"), |status| status["state"] == "degraded").await;
    assert!(revoked["problem"].as_str().unwrap().contains("does not let us in"), "{revoked}");
    // A new value is used at once.
    server.follow(|_| Fault::None);
    platform.put_secret(&Actor::server(), "influx-password", None, "another").await.unwrap();
    until(|| influxql(&database, "SELECT amount FROM sums"), |rows| rows.len() == 4).await;
    platform.close().await.unwrap();
}
