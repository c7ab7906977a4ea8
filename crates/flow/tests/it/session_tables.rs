//! SESSION as a window table function: sessions of the keys that PARTITION BY names, and of no others.

use crate::orders::{check, order, refused};

fn orders() -> Vec<String> {
    // Of a: 0, 8 and 30; of b: 4, 12. Together: 0 4 8 12, and 30.
    [(0, "a", 1), (4, "b", 10), (8, "a", 2), (12, "b", 20), (30, "a", 3)]
        .map(|(second, city, count)| order(second, &format!("\"city\": \"{city}\", \"count\": {count}")))
        .to_vec()
}

const OF_EACH: [&str; 4] = [
    r#"{"city":"a","n":1,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:00:05Z"}"#,
    r#"{"city":"b","n":1,"s":"1970-01-01T00:00:04Z","e":"1970-01-01T00:00:09Z"}"#,
    r#"{"city":"a","n":1,"s":"1970-01-01T00:00:08Z","e":"1970-01-01T00:00:13Z"}"#,
    r#"{"city":"b","n":1,"s":"1970-01-01T00:00:12Z","e":"1970-01-01T00:00:17Z"}"#,
];

#[test]
fn sessions_are_of_the_partition_keys() {
    let last = r#"{"city":"a","n":1,"s":"1970-01-01T00:00:30Z","e":"1970-01-01T00:00:35Z"}"#;
    let expected: Vec<&str> = OF_EACH.into_iter().chain([last]).collect();
    for table in [
        "TABLE(SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND))",
        "TABLE(SESSION(DATA => TABLE orders PARTITION BY city, TIMECOL => DESCRIPTOR(rowtime), GAP => INTERVAL '5' SECOND))",
        "TABLE(SESSION(TABLE orders partition by orders.city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) AS w",
        "SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)",
        "(SELECT * FROM TABLE(SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)))",
    ] {
        let query = format!(
            "SELECT city, count(1) AS n, window_start AS s, window_end AS e FROM {table} GROUP BY window_start, window_end, city"
        );
        check(&query, &orders(), &expected);
    }
    check(
        "SELECT city, sum(count) AS n, window_start AS s, window_end AS e FROM \
         TABLE(SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '9' SECOND)) GROUP BY city, window_end, window_start",
        &orders(),
        &[
            r#"{"city":"a","n":3,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:00:17Z"}"#,
            r#"{"city":"b","n":30,"s":"1970-01-01T00:00:04Z","e":"1970-01-01T00:00:21Z"}"#,
            r#"{"city":"a","n":3,"s":"1970-01-01T00:00:30Z","e":"1970-01-01T00:00:39Z"}"#,
        ],
    );
}

#[test]
fn keys_that_are_expressions() {
    check(
        "SELECT upper(city) AS c, sum(count) AS n, window_end AS e FROM \
         TABLE(SESSION(TABLE orders PARTITION BY upper(city), DESCRIPTOR(rowtime), INTERVAL '9' SECOND)) \
         GROUP BY window_start, window_end, upper(city)",
        &orders(),
        &[
            r#"{"c":"A","n":3,"e":"1970-01-01T00:00:17Z"}"#,
            r#"{"c":"B","n":30,"e":"1970-01-01T00:00:21Z"}"#,
            r#"{"c":"A","n":3,"e":"1970-01-01T00:00:39Z"}"#,
        ],
    );
}

#[test]
fn sessions_of_all_rows_together() {
    check(
        "SELECT sum(count) AS n, window_start AS s, window_end AS e FROM \
         TABLE(SESSION(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) GROUP BY window_start, window_end",
        &orders(),
        &[
            r#"{"n":33,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:00:17Z"}"#,
            r#"{"n":3,"s":"1970-01-01T00:00:30Z","e":"1970-01-01T00:00:35Z"}"#,
        ],
    );
}

#[test]
fn groups_that_are_not_the_sessions_keys_are_refused() {
    refused(
        "SELECT city, count(1) FROM TABLE(«SESSION»(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) \
         GROUP BY window_start, window_end, city",
        "PARTITION BY city",
    );
    refused(
        "SELECT city, kind, count(1) FROM TABLE(SESSION(TABLE orders «PARTITION» BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) \
         GROUP BY window_start, window_end, city, kind",
        "the sessions are per city, and the query groups by city, kind",
    );
    refused(
        "SELECT count(1) FROM TABLE(SESSION(TABLE orders «PARTITION» BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) \
         GROUP BY window_start, window_end",
        "the sessions are per city, and the query groups by the window alone",
    );
    refused(
        "SELECT city, «window_start» FROM TABLE(SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND))",
        "GROUP BY window_start, window_end",
    );
    refused(
        "SELECT count(1) FROM TABLE(«TUMBLE»(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) GROUP BY window_start, window_end",
        "leave it out",
    );
}
