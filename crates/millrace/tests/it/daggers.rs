use crate::server::TestServer;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Counts and sums per city and minute. One second of quiet closes what is open.
const COUNTS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  streams:
    - schema: shop.v1.Booking
      topics: [bookings]
      watermark: {delay: 5s, idle: 1s}
  sql: |
    SELECT city AS tag_city, count(1) AS bookings, sum(amount) AS amount,
           TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream
    WHERE amount > 0
    GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), city
";

/// (city, amount, event time on 5 January 2026)
const BOOKINGS: &[(&str, i64, &str)] = &[
    ("Jakarta", 10, "01:00:01"),
    ("Jakarta", 20, "01:00:59"),
    ("Bandung", 5, "01:00:30"),
    ("Bandung", 0, "01:00:31"),
    ("Jakarta", 7, "01:01:00"),
    ("Jakarta", 1, "01:10:00"),
    // Ten minutes after all of its windows have closed.
    ("Bandung", 9, "01:00:40"),
];

fn expected() -> Vec<Value> {
    let row = |city: &str, bookings: i64, amount: i64, end: &str| json!({"time": format!("2026-01-05T{end}Z"), "tag_city": city, "bookings": bookings, "amount": amount});
    vec![
        row("Bandung", 1, 5, "01:01:00"),
        row("Jakarta", 2, 30, "01:01:00"),
        row("Jakarta", 1, 7, "01:02:00"),
        row("Jakarta", 1, 1, "01:11:00"),
    ]
}

impl TestServer {
    fn publish(&self, bookings: &[(&str, i64, &str)]) {
        let records: Vec<Value> = bookings
            .iter()
            .map(|(city, amount, time)| {
                json!({"value": {"city": city, "amount": amount, "eventTimestamp": format!("2026-01-05T{time}Z")}})
            })
            .collect();
        let (status, answer) = self.http_json("POST", "/api/v1/topics/bookings/records", json!(records));
        assert_eq!(status, 200, "{answer}");
    }

    fn apply(&self, name: &str, yaml: &str) {
        let file = self.file(name, yaml);
        self.cli(&["dagger", "apply", "-f", &file]).ok();
    }

    fn results(&self, dagger: &str) -> Vec<Value> {
        let mut rows = self.cli(&["-o", "ndjson", "dagger", "results", dagger, "--last", "1d"]).lines();
        rows.sort_by_key(|row| (row["time"].to_string(), row["tag_city"].to_string()));
        rows
    }

    fn status(&self, dagger: &str) -> Value {
        self.cli(&["-o", "json", "dagger", "show", dagger]).json()["status"].clone()
    }

    /// Asks again until it is so; the last answer is in the panic.
    #[track_caller]
    pub fn until<T: std::fmt::Debug>(&self, ask: impl Fn() -> T, is_so: impl Fn(&T) -> bool) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = ask();
            if is_so(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "still {answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn until_results(&self, dagger: &str, expected: &[Value]) {
        self.until(|| self.results(dagger), |rows| rows == expected);
    }
}

#[test]
fn records_go_in_and_the_right_numbers_come_out() {
    let server = TestServer::with_bookings(1);
    server.publish(&BOOKINGS[..3]);
    server.apply("counts.yaml", COUNTS);
    server.publish(&BOOKINGS[3..]);
    server.until_results("counts", &expected());

    let shown = server.cli(&["-o", "json", "dagger", "show", "counts"]).json();
    assert_eq!(shown["spec"]["sinks"], json!([{"kind": "series", "measurement": "counts"}]));
    assert_eq!(shown["spec"]["streams"][0]["timestamp"], "event_timestamp");
    assert_eq!(shown["status"]["state"], "running");
    // The status is of the end of a round, the rows are visible a little before.
    let cells = || {
        let ledger = &server.status("counts")["ledger"];
        ["consumed", "filtered", "late", "held", "delivered"].map(|name| ledger[name].as_u64().unwrap_or_default())
    };
    server.until(cells, |cells| *cells == [7, 1, 1, 0, 5]);

    let sum =
        server.cli(&["-o", "ndjson", "sql", "SELECT sum(amount) AS amount, count(*) AS rows FROM counts"]).lines();
    assert_eq!(sum, [json!({"amount": 43, "rows": 4})]);
    let list = server.cli(&["dagger", "list"]).ok().stdout;
    assert!(list.lines().nth(1).unwrap().starts_with("counts"), "{list}");
}

#[test]
fn a_dagger_is_stopped_started_and_deleted() {
    let server = TestServer::with_bookings(2);
    server.apply("counts.yaml", COUNTS);
    server.publish(&BOOKINGS[..3]);
    server.until(|| server.status("counts"), |status| status["ledger"]["consumed"] == 3);
    let stopped = server.cli(&["-o", "json", "dagger", "stop", "counts"]).json();
    assert_eq!(stopped[0]["status"]["state"], "suspended");
    server.publish(&BOOKINGS[4..6]);
    let started = server.cli(&["-o", "json", "dagger", "start", "counts"]).json();
    assert_eq!(started[0]["status"]["state"], "running");
    server.until(|| server.status("counts"), |status| status["ledger"]["consumed"] == 5);
    server.until_results("counts", &expected());
    server.cli(&["dagger", "delete", "counts"]).ok();
    server.cli(&["dagger", "show", "counts"]).failed_with(3, "there is no dagger `counts`");
    // Its results stay.
    assert_eq!(server.cli(&["-o", "ndjson", "sql", "SELECT bookings FROM counts"]).lines().len(), 4);
}

#[test]
fn after_kill_9_it_goes_on_and_nothing_is_lost_or_doubled() {
    let mut server = TestServer::with_bookings(1);
    server.apply("counts.yaml", &COUNTS.replace("sql: |", "checkpoint: {interval: 100ms}\n  sql: |"));
    for booking in BOOKINGS {
        server.publish(std::slice::from_ref(booking));
        server = TestServer::start_in(server.kill(), &[]);
    }
    server.until_results("counts", &expected());
    let status = server.until(|| server.status("counts"), |status| status["ledger"]["held"] == 0);
    let cell = |name: &str| status["ledger"][name].as_u64().unwrap_or_default();
    assert_eq!(cell("consumed"), 7, "{status}");
    assert_eq!(cell("consumed"), cell("delivered") + cell("filtered") + cell("late") + cell("dead_lettered"));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_deployed() {
    let server = TestServer::with_bookings(1);
    let apply = |yaml: &str| server.cli(&["dagger", "apply", "-f", &server.file("wrong.yaml", yaml)]);
    apply(&COUNTS.replace("sum(amount)", "sum(amunt)")).failed_with(1, "line 1, column ").failed_with(1, "amount");
    apply(&COUNTS.replace("FROM data_stream", "FROM data_strem"))
        .failed_with(1, "line 3, column ")
        .failed_with(1, "data_stream");
    apply(&COUNTS.replace("idle: 1s", "idel: 1s"))
        .failed_with(1, "line 8, column ")
        .failed_with(1, "did you mean `idle`?");
    apply(&COUNTS.replace("[bookings]", "[booking]")).failed_with(3, "did you mean `bookings`?");
    apply(&COUNTS.replace("shop.v1.Booking", "shop.v1.Boking")).failed_with(3, "did you mean `shop.v1.Booking`?");
    apply(&COUNTS.replace("AS tag_city", "")).failed_with(1, "groups by `city`").failed_with(1, "tag_city");
    apply(&COUNTS.replace("AS window_timestamp", "AS ended")).failed_with(1, "window_timestamp");
    let sink = COUNTS.replace("  sql: |", "  sinks: [{kind: topic, topic: out, schema: shop.v1.Booking}]\n  sql: |");
    apply(&sink).failed_with(1, "has no field `tag_city`");
    server.cli(&["dagger", "show", "counts"]).failed_with(3, "there is no dagger");
    assert_eq!(server.cli(&["-o", "ndjson", "topic", "list"]).lines().len(), 1);
    let two =
        format!("{COUNTS}---\n{}", COUNTS.replace("name: counts", "name: second").replace("sum(amount)", "sum(amunt)"));
    apply(&two)
        .failed_with(1, "wrong.yaml, line 25, in the SQL: line 1, column ")
        .failed_with(1, "(1 before it are applied)");
    server.cli(&["dagger", "show", "counts"]).ok();
    server.cli(&["dagger", "show", "second"]).failed_with(3, "there is no dagger");
}

#[test]
fn a_dagger_feeds_another_by_a_type_that_nobody_wrote() {
    let server = TestServer::with_bookings(1);
    server.apply(
        "counts.yaml",
        &COUNTS.replace("  sql: |", "  sinks: [{kind: topic, topic: per-minute, key: [tag_city]}]\n  sql: |"),
    );
    server.apply(
        "second.yaml",
        "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: second}
spec:
  streams: [{topics: [per-minute], watermark: {idle: 1s}}]
  sql: |
    SELECT sum(bookings) AS bookings, count(1) AS rows, TUMBLE_END(rowtime, INTERVAL '1' HOUR) AS window_timestamp
    FROM data_stream GROUP BY TUMBLE(rowtime, INTERVAL '1' HOUR)
",
    );
    server.publish(BOOKINGS);
    let expected = json!({"time": "2026-01-05T02:00:00Z", "bookings": 5, "rows": 4});
    server.until_results("second", &[expected]);
    let records = server.cli(&["-o", "ndjson", "topic", "tail", "per-minute"]).lines();
    assert_eq!(records[0]["key"], records[0]["value"]["tag_city"]);
    server.cli(&["schema", "show", "millrace.daggers.PerMinute"]).ok();
    server.cli(&["dagger", "results", "counts"]).failed_with(1, "millrace topic tail per-minute");
}

#[test]
fn broken_records_are_kept_shown_and_replayed() {
    let server = TestServer::with_bookings(1);
    // A topic without a schema takes what the dagger then cannot read.
    server.cli(&["topic", "create", "raw"]).ok();
    server.apply(
        "rows.yaml",
        "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: rows}
spec:
  streams: [{schema: shop.v1.Booking, topics: [raw], timestamp: record, watermark: {idle: 1s}}]
  sql: SELECT order_number, amount, rowtime FROM data_stream
",
    );
    let publish = |base64: &str| {
        let (status, _) =
            server.http_json("POST", "/api/v1/topics/raw/records", json!({"valueBase64": base64, "key": "k"}));
        assert_eq!(status, 200);
    };
    publish("CgFhEAE="); // {order_number: "a", amount: 1}
    publish("CgFhEA=="); // ends within the amount
    publish("CgH/EAI="); // text that is no UTF-8
    publish("CgFiEAM=");
    server.until(|| server.results("rows").len(), |rows| *rows == 2);
    let letters = server
        .until(|| server.cli(&["-o", "json", "dead-letter", "list"]).json(), |l| l.as_array().map(Vec::len) == Some(2));
    assert_eq!(letters[0]["id"], "rows/data_stream/raw/0/1");
    assert_eq!((&letters[0]["kind"], &letters[1]["kind"]), (&"undecodable".into(), &"value_error".into()));
    let shown = server.cli(&["-o", "json", "dead-letter", "show", "rows/data_stream/raw/0/1"]).json();
    assert_eq!((&shown["valueBase64"], &shown["key"]), (&"CgFhEA==".into(), &"k".into()));
    assert!(shown["decoded"].as_str().unwrap_or_default().contains("order_number"), "{shown}");
    server.cli(&["dead-letter", "show", "rows/data_stream/raw/0/0"]).failed_with(3, "no dead letter");
    server.cli(&["dead-letter", "replay"]).failed_with(2, "--dagger");

    // The schema is mended: what was no text is bytes now.
    let mended = crate::server::BOOKING_PROTO.replace("string order_number", "bytes order_number");
    let proto = server.file("protos/shop/v1/booking.proto", mended);
    server.cli(&["schema", "push", &proto]).ok();
    let answer = server.cli(&["-o", "json", "dead-letter", "replay", "rows/data_stream/raw/0/2"]).json();
    assert_eq!(answer["replayed"], 1);
    server.until(|| server.results("rows").len(), |rows| *rows == 3);
    let letters = server.cli(&["-o", "json", "dead-letter", "list", "--state", "replayed"]).json();
    assert_eq!(letters.as_array().map(Vec::len), Some(1));
    // Only its dagger has seen it: the topic is as it was.
    assert_eq!(server.cli(&["-o", "ndjson", "topic", "tail", "raw"]).lines().len(), 4);
}

#[test]
fn a_preview_shows_rows_and_writes_nothing() {
    let server = TestServer::with_bookings(1);
    server.publish(BOOKINGS);
    let file = server.file("counts.yaml", COUNTS);
    let preview = server.cli(&["-o", "json", "dagger", "preview", "-f", &file]).json();
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(4), "{preview}");
    assert_eq!(preview["ledger"]["consumed"], 7);
    server.cli(&["dagger", "show", "counts"]).failed_with(3, "there is no dagger");
    server.cli(&["sql", "SELECT * FROM counts"]).failed_with(1, "counts");
}

#[test]
fn a_follower_sees_windows_as_they_close() {
    let server = TestServer::with_bookings(1);
    server.apply("counts.yaml", COUNTS);
    let (status, body) = std::thread::scope(|scope| {
        let follower = scope.spawn(|| server.first_rows("/api/v1/daggers/counts/results?follow=true", 2));
        server.publish(BOOKINGS);
        follower.join().unwrap()
    });
    assert_eq!(status, 200);
    assert!(body.contains("\"tag_city\":\"Jakarta\""), "{body}");
}
