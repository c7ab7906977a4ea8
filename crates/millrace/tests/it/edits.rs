//! An edit through HTTP: what it does is said before, and stays so whatever happens to the server.

use crate::server::TestServer;
use serde_json::{Value, json};

const COUNTS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  streams:
    - schema: shop.v1.Booking
      topics: [bookings]
      watermark: {delay: 1s, idle: 1h}
  checkpoint: {interval: 100ms}
  sql: |
    SELECT city AS tag_city, count(1) AS bookings, sum(amount) AS amount,
           TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream
    GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), city
";

fn with_mean() -> String {
    COUNTS.replace("sum(amount) AS amount,", "sum(amount) AS amount, sum(amount) / count(1) AS mean,")
}

impl TestServer {
    fn send_booking(&self, city: &str, amount: i64, time: &str) {
        let record =
            json!([{"value": {"city": city, "amount": amount, "eventTimestamp": format!("2026-01-05T{time}Z")}}]);
        let (status, answer) = self.http_json("POST", "/api/v1/topics/bookings/records", record);
        assert_eq!(status, 200, "{answer}");
    }

    fn ledger_of_counts_until(&self, consumed: u64, held: u64) {
        let ask = || self.cli(&["-o", "json", "dagger", "show", "counts"]).json()["status"]["ledger"].clone();
        self.until(ask, |ledger| ledger["consumed"] == consumed && ledger["held"] == held);
    }

    fn diff_of(&self, dagger: &str, yaml: &str) -> (u16, Value) {
        let (status, text) = self.http("POST", &format!("/api/v1/daggers/{dagger}/diff"), &[], yaml.as_bytes());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

#[test]
fn an_edited_window_is_whole_after_kill_9() {
    let server = TestServer::with_bookings(1);
    let apply = |server: &TestServer, yaml: &str| {
        let file = server.file("counts.yaml", yaml);
        server.cli(&["dagger", "apply", "-f", &file]).ok()
    };
    apply(&server, COUNTS);
    server.send_booking("Jakarta", 10, "01:00:01");
    server.ledger_of_counts_until(1, 1);
    let (status, diff) = server.diff_of("counts", &with_mean());
    assert_eq!((status, &diff["state"]["verdict"]), (200, &json!("kept")), "{diff}");
    assert_eq!(diff["columns"]["added"], json!([{"name": "mean", "type": "BIGINT"}]));
    let applied = apply(&server, &with_mean());
    assert!(!applied.stderr.contains("warning"), "{}", applied.stderr);
    let server = TestServer::start_in(server.kill(), &[]);
    server.ledger_of_counts_until(1, 1);
    server.send_booking("Jakarta", 20, "01:00:30");
    server.ledger_of_counts_until(2, 2);
    let server = TestServer::start_in(server.kill(), &[]);
    server.send_booking("Bandung", 1, "01:02:00");
    server.ledger_of_counts_until(3, 1);
    let rows = server.cli(&["-o", "ndjson", "dagger", "results", "counts", "--last", "1d"]).lines();
    let expected =
        json!({"time": "2026-01-05T01:01:00Z", "tag_city": "Jakarta", "bookings": 2, "amount": 30, "mean": 15});
    assert_eq!(rows, [expected]);

    // What loses the state says so, in the same words before and while it is done.
    let losing = COUNTS.replace("sum(amount) AS amount", "max(amount) AS amount");
    let (status, diff) = server.diff_of("counts", &losing);
    assert_eq!((status, &diff["state"]["verdict"]), (200, &json!("lost")), "{diff}");
    let reason = diff["state"]["reason"].as_str().unwrap();
    assert_eq!(reason, "the window of 1 minute has a new aggregate max(amount)");
    let applied = apply(&server, &losing);
    assert!(applied.stderr.contains(reason), "{}", applied.stderr);
    server.ledger_of_counts_until(3, 1);
}

#[test]
fn a_draft_that_is_wrong_is_a_problem() {
    let server = TestServer::with_bookings(1);
    let (status, diff) = server.diff_of("counts", COUNTS);
    assert_eq!(
        (status, &diff["change"], &diff["state"]["verdict"]),
        (200, &json!("created"), &json!("none")),
        "{diff}"
    );
    let (status, problem) = server.diff_of("others", COUNTS);
    assert_eq!((status, &problem["code"]), (422, &json!("dagger_invalid")), "{problem}");
    let (status, problem) = server.diff_of("counts", &COUNTS.replace("city AS", "town AS"));
    assert_eq!((status, &problem["code"]), (422, &json!("sql_invalid")), "{problem}");
    assert!(server.cli(&["-o", "json", "dagger", "list"]).json().as_array().is_some_and(Vec::is_empty));
}
