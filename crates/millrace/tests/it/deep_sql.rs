//! SQL whose tree is deeper than a stack is refused, and what is let through is answered.

use crate::server::{Answer, TestServer};
use serde_json::json;
use std::time::{Duration, Instant};

/// `depth` comparisons behind the first one.
fn chain(from: &str, depth: usize) -> String {
    format!("SELECT {from} WHERE amount = 7{}", " OR amount = 8".repeat(depth))
}

fn asked(server: &TestServer, sql: &str) -> Answer {
    let headers = [("content-type", "application/json")];
    server.http_with_headers("POST", "/api/v1/sql", &headers, json!({ "sql": sql }).to_string().as_bytes())
}

#[test]
fn deep_sql_does_not_end_the_server() {
    let server = TestServer::with_bookings(1);
    let numbers = "amount FROM (VALUES (7), (9)) AS t(amount)";
    let answer = asked(&server, &chain(numbers, 499));
    assert_eq!(answer.status, 200, "{}", answer.body);
    for depth in [500, 10_000] {
        let answer = asked(&server, &chain(numbers, depth));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("sql_invalid")), "{}", answer.body);
        assert!(answer.body.contains("operators in one expression"), "{}", answer.body);
    }
    let answer = asked(&server, &format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(200)));
    assert_eq!(answer.status, 200, "{}", answer.body);

    let dagger = |depth| {
        json!({
            "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": "deep" },
            "spec": {
                "streams": [{ "topics": ["bookings"], "timestamp": "record" }],
                "sql": chain("amount, rowtime FROM data_stream", depth),
            },
        })
        .to_string()
    };
    let file = server.file("deep.yaml", dagger(1_000));
    server.cli(&["apply", "-f", &file]).failed_with(1, "operators in one expression");
    let file = server.file("deep.yaml", dagger(499));
    server.cli(&["apply", "-f", &file]).ok();
    assert_eq!(asked(&server, "SELECT 1").status, 200);
}

/// Each table of the WITH reads the one before twice.
fn doubled(from: &str, steps: usize) -> String {
    let step = |step: usize| format!("t{step} AS (SELECT a.v FROM t{0} a JOIN t{0} b ON a.v = b.v)", step - 1);
    let steps: Vec<String> = (1..=steps).map(step).collect();
    format!("WITH t0 AS (SELECT {from}), {} SELECT count(*) AS n FROM t{}", steps.join(", "), steps.len())
}

#[test]
fn tables_that_double_do_not_hold_up_the_server() {
    let server = TestServer::with_bookings(1);
    let one = "1 AS v FROM information_schema.tables WHERE table_name = 'tables'";
    let answer = asked(&server, &doubled(one, 5));
    assert_eq!((answer.status, &answer.json()["rows"][0]["n"]), (200, &json!(1)), "{}", answer.body);
    for steps in [10, 60, 190] {
        let start = Instant::now();
        let answer = asked(&server, &doubled(one, steps));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("sql_invalid")), "{}", answer.body);
        assert!(answer.body.contains("the query reads more than 1000 tables"), "{}", answer.body);
        assert!(start.elapsed() < Duration::from_secs(10), "{steps} steps took {:?}", start.elapsed());
    }
    let dagger = json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": { "name": "doubled" },
        "spec": {
            "streams": [{ "topics": ["bookings"], "timestamp": "record" }],
            "sql": doubled("amount AS v FROM data_stream", 60),
        },
    });
    let file = server.file("doubled.yaml", dagger.to_string());
    server.cli(&["apply", "-f", &file]).failed_with(1, "the query reads more than 1000 tables");
}
