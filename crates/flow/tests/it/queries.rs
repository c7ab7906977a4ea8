//! Query shapes: what runs gives the right rows, what cannot run is refused with its place.

use crate::events::{Event, message, run};
use sql::{RowtimeField, StreamTable};

fn event(key: &str, kind: u8, amount: i64, seconds: i64) -> Event {
    let items = vec![("a".to_string(), 1), ("b".to_string(), 2)];
    Event { key: key.into(), kind, amount, weight: 0.5, time_ms: seconds * 1_000, items }
}

fn few() -> Vec<Event> {
    vec![event("x", 1, 5, 1), event("y", 2, 7, 2), event("x", 1, 1, 61), event("x", 2, 9, 62), event("y", 0, 3, 130)]
}

fn check(query: &str, expected: &str) {
    let (text, _) = run(query, &[few()], 0, 100, 1);
    assert_eq!(text.trim(), expected.trim(), "{query}");
}

#[test]
fn window_table_functions_and_having() {
    check(
        "SELECT `key` AS k, window_end AS e, SUM(amount) AS total FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) \
         GROUP BY window_start, window_end, `key` HAVING SUM(amount) > 5",
        "{\"k\":\"y\",\"e\":\"1970-01-01T00:01:00Z\",\"total\":7}\n{\"k\":\"x\",\"e\":\"1970-01-01T00:02:00Z\",\"total\":10}",
    );
}

#[test]
fn with_union_case_and_enums() {
    check(
        "WITH both AS (SELECT amount, kind, rowtime FROM t WHERE kind = 'APPLE' UNION ALL SELECT amount * 10, kind, rowtime FROM t WHERE kind = 'PEAR') \
         SELECT kind, SUM(CASE WHEN amount > 50 THEN 1 ELSE 0 END) AS big, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e \
         FROM both GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), kind",
        "{\"kind\":\"APPLE\",\"big\":0,\"n\":1,\"e\":\"1970-01-01T00:01:00Z\"}\n{\"kind\":\"PEAR\",\"big\":1,\"n\":1,\"e\":\"1970-01-01T00:01:00Z\"}\n\
         {\"kind\":\"APPLE\",\"big\":0,\"n\":1,\"e\":\"1970-01-01T00:02:00Z\"}\n{\"kind\":\"PEAR\",\"big\":1,\"n\":1,\"e\":\"1970-01-01T00:02:00Z\"}",
    );
}

#[test]
fn windows_over_results_of_windows() {
    check(
        "SELECT max(n) AS busiest, TUMBLE_END(w, INTERVAL '3' MINUTE) AS e FROM \
         (SELECT count(1) AS n, TUMBLE_ROWTIME(rowtime, INTERVAL '1' MINUTE) AS w FROM t GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), `key`) \
         GROUP BY TUMBLE(w, INTERVAL '3' MINUTE)",
        "{\"busiest\":2,\"e\":\"1970-01-01T00:03:00Z\"}",
    );
}

#[test]
fn rank_within_a_window() {
    check(
        "SELECT k, total, e FROM (SELECT k, total, e, ROW_NUMBER() OVER (PARTITION BY e ORDER BY total DESC) AS place FROM \
         (SELECT `key` AS k, SUM(amount) AS total, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), `key`)) \
         WHERE place = 1",
        "{\"k\":\"y\",\"total\":7,\"e\":\"1970-01-01T00:01:00Z\"}\n{\"k\":\"x\",\"total\":10,\"e\":\"1970-01-01T00:02:00Z\"}\n\
         {\"k\":\"y\",\"total\":3,\"e\":\"1970-01-01T00:03:00Z\"}",
    );
}

#[test]
fn a_failing_expression_is_the_records_dead_letter() {
    let mut events = few();
    events[1].amount = 0;
    let (text, ledger) = run("SELECT `key` AS k, 10 / amount AS share FROM t", &[events], 0, 100, 1);
    assert_eq!(text.lines().count(), 4);
    assert_eq!((ledger.dead_lettered, ledger.delivered), (1, 4));
}

fn refused(query: &str, place: (usize, usize), words: &str) {
    let stream =
        StreamTable { table: "t".into(), message: message(), rowtime: RowtimeField::Path("event_timestamp".into()) };
    let error = match sql::plan(query, &[stream]) {
        Err(error) => error,
        Ok(_) => panic!("planned: {query}"),
    };
    assert!(error.to_string().contains(words), "{error}\n{query}");
    assert_eq!((error.line, error.column), place, "{error}\n{query}");
}

#[test]
fn what_cannot_run_is_refused_with_its_place() {
    refused("SELECT keyy FROM t", (1, 8), "key");
    refused("SELECT `key`\nFROM tt", (2, 6), "`t`");
    refused("SELECT S2Idd(amount, amount, 3) FROM t", (1, 8), "s2id");
    refused("SELECT `key`, count(1) FROM t GROUP BY `key`", (1, 31), "window");
    refused("SELECT `key` FROM t LIMIT 5", (1, 21), "LIMIT");
    refused("SELECT 1; SELECT 2", (1, 11), "one statement");
    refused("DROP TABLE t", (1, 1), "SELECT");
    refused("", (1, 1), "empty");
    refused("SELECT count(1) FROM t GROUP BY TUMBLE(event_timestamp, INTERVAL '1' MINUTE)", (1, 33), "rowtime");
    refused("SELECT count(1) FROM t GROUP BY TUMBLE(rowtime, INTERVAL '1' MONTH)", (1, 33), "month");
    refused("SELECT FROM WHERE", (1, 13), "");
}
