//! A tag with too many values is told before its dagger is deployed, and while it runs.

use crate::server::TestServer;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const ORDERS_PER_MINUTE: usize = 700;
/// Of a million that a measurement may have.
const SERIES_NOTICED: usize = 800_000;
const SERIES_PER_WRITE: usize = 50_000;

/// A series for every order.
const ORDERS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: orders}
spec:
  streams:
    - schema: shop.v1.Booking
      topics: [bookings]
      watermark: {delay: 5s, idle: 1s}
  sql: |
    SELECT order_number AS tag_order, count(1) AS bookings, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream
    GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), order_number
";

fn status(server: &TestServer) -> Value {
    let (code, text) = server.http("GET", "/api/v1/daggers/orders", &[], b"");
    assert_eq!(code, 200, "{text}");
    serde_json::from_str::<Value>(&text).expect("JSON")["status"].clone()
}

/// Asks until it is so, and returns the dagger's state.
fn wait(server: &TestServer, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(server);
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn too_many_values_are_told_before_and_after_deploying() {
    let server = TestServer::with_bookings(1);
    for minute in 0..3 {
        let record = |order: usize| {
            let time = format!("2026-01-05T01:0{minute}:{:02}Z", order % 60);
            json!({"value": {"orderNumber": format!("o-{minute}-{order}"), "amount": 1, "eventTimestamp": time}})
        };
        let records: Vec<Value> = (0..ORDERS_PER_MINUTE).map(record).collect();
        let (code, answer) = server.http_json("POST", "/api/v1/topics/bookings/records", json!(records));
        assert_eq!(code, 200, "{answer}");
    }
    let post = |path: &str| server.http_with_headers("POST", path, &[], ORDERS.as_bytes());

    // Before: whoever checks it, and whoever looks at its rows.
    let dry = post("/api/v1/daggers?dryRun=true");
    assert_eq!(dry.status, 200, "{}", dry.body);
    let warnings = dry.json()["warnings"].to_string();
    assert!(warnings.contains("the tag `tag_order` will have too many values"), "{warnings}");
    assert!(warnings.contains("leave it out of GROUP BY"), "{warnings}");
    let preview = post("/api/v1/daggers/preview");
    assert_eq!(preview.status, 200, "{}", preview.body);
    let tags = &preview.json()["tags"];
    assert_eq!((&tags["measurement"], &tags["tags"][0]["isTooMany"]), (&json!("orders"), &json!(true)), "{tags}");
    // A tag with few values is none to warn of.
    let city = ORDERS.replace("order_number AS tag_order", "city AS tag_city").replace(", order_number\n", ", city\n");
    let quiet = server.http_with_headers("POST", "/api/v1/daggers?dryRun=true", &[], city.as_bytes());
    assert_eq!(quiet.status, 200, "{}", quiet.body);
    assert!(!quiet.body.contains("too many values"), "{}", quiet.body);

    // After: nothing while there is room.
    let file = server.file("orders.yaml", ORDERS);
    server.cli(&["apply", "-f", &file]).ok();
    let rows = |status: &Value| status["sinks"][0]["rows"].as_u64().unwrap_or(0);
    let running = wait(&server, "three minutes of orders", |status| rows(status) >= 2 * ORDERS_PER_MINUTE as u64);
    assert_eq!(running["notices"], json!([]), "{running}");
    // What others write to its measurement counts as well.
    for first in (0..SERIES_NOTICED).step_by(SERIES_PER_WRITE) {
        let mut lines = String::new();
        for order in first..first + SERIES_PER_WRITE {
            writeln!(lines, "orders,tag_order=x-{order} bookings=1i 1767574800").unwrap();
        }
        let written = server.http_with_headers("POST", "/write?db=default&precision=s", &[], lines.as_bytes());
        assert_eq!(written.status, 204, "{}", written.body);
    }
    let told = wait(&server, "a notice", |status| status["notices"].as_array().is_some_and(|all| !all.is_empty()));
    let notice = told["notices"][0].as_str().expect("a text");
    assert!(notice.contains("the measurement `") && notice.contains("series of at most 1000000"), "{notice}");
    assert!(notice.contains("A tag has too many values; take it out of GROUP BY"), "{notice}");
}
