//! Rows from arrays, maps and functions that make rows.

use crate::orders::{check, order, refused};

fn orders() -> Vec<String> {
    vec![
        order(
            1,
            r#""id": "x", "items": [{"name": "tea", "count": 2}, {"name": "rice", "count": 1}], "readings": [1.5, 2.5]"#,
        ),
        order(2, r#""id": "y", "labels": {"a": "1"}, "amount": 30"#),
    ]
}

#[test]
fn a_left_join_keeps_rows_without_elements() {
    let expected = [
        r#"{"id":"x","name":"tea","count":2}"#,
        r#"{"id":"x","name":"rice","count":1}"#,
        r#"{"id":"y","name":null,"count":null}"#,
    ];
    for join in
        ["LEFT JOIN UNNEST(items) AS u(name, n, at) ON TRUE", "LEFT OUTER JOIN UNNEST(o.items) u(name, n, at) ON true"]
    {
        check(&format!("SELECT id, name, n AS `count` FROM orders AS o {join}"), &orders(), &expected);
    }
    check(
        "SELECT id, u.name FROM orders CROSS JOIN UNNEST(items) AS u",
        &orders(),
        &[r#"{"id":"x","name":"tea"}"#, r#"{"id":"x","name":"rice"}"#],
    );
    check(
        "SELECT id, r FROM orders LEFT JOIN UNNEST(readings) AS u(r) ON TRUE",
        &orders(),
        &[r#"{"id":"x","r":1.5}"#, r#"{"id":"x","r":2.5}"#, r#"{"id":"y","r":null}"#],
    );
    check(
        "SELECT id, k, v FROM orders LEFT JOIN UNNEST(labels) AS u(k, v) ON TRUE",
        &orders(),
        &[r#"{"id":"x","k":null,"v":null}"#, r#"{"id":"y","k":"a","v":"1"}"#],
    );
    check(
        "SELECT count(1) AS n, count(name) AS m, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders LEFT JOIN UNNEST(items) AS u(name, c, at) ON TRUE \
           GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)",
        &orders(),
        &[r#"{"n":3,"m":2,"e":"1970-01-01T00:01:00Z"}"#],
    );
}

#[test]
fn columns_of_elements_that_are_named_like_columns_of_the_table() {
    let orders = [order(1, r#""count": 7, "items": [{"name": "tea", "count": 2}]"#)];
    check("SELECT count, u.count AS m FROM orders CROSS JOIN UNNEST(items) AS u", &orders, &[r#"{"count":7,"m":2}"#]);
    check(
        "SELECT u.count, o.count + u.count AS s FROM orders AS o CROSS JOIN UNNEST(o.items) AS u(name, count, at)",
        &orders,
        &[r#"{"count":2,"s":9}"#],
    );
    check(
        "SELECT u.amount FROM orders CROSS JOIN UNNEST(readings) AS u(amount)",
        &[order(1, r#""readings": [0.5]"#)],
        &[r#"{"amount":0.5}"#],
    );
}

#[test]
fn functions_that_make_rows() {
    let expected = [
        r#"{"id":"x","bucket":"+Inf"}"#,
        r#"{"id":"x","bucket":"10"}"#,
        r#"{"id":"x","bucket":"100"}"#,
        r#"{"id":"y","bucket":"+Inf"}"#,
        r#"{"id":"y","bucket":"100"}"#,
    ];
    for from in [
        "orders, LATERAL TABLE(HistogramBucket(amount, '10,100')) AS h(bucket)",
        "orders CROSS JOIN LATERAL TABLE(HistogramBucket(amount, '10,100')) AS h",
        "orders LEFT JOIN LATERAL TABLE(histogrambucket(orders.amount, '10,100')) AS h(bucket) ON TRUE",
    ] {
        check(&format!("SELECT id, bucket FROM {from}"), &orders(), &expected);
    }
    check(
        "SELECT bucket, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders, \
         LATERAL TABLE(HistogramBucket(amount, '10,100')) AS h(bucket) GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), bucket",
        &orders(),
        &[
            r#"{"bucket":"+Inf","n":2,"e":"1970-01-01T00:01:00Z"}"#,
            r#"{"bucket":"10","n":1,"e":"1970-01-01T00:01:00Z"}"#,
            r#"{"bucket":"100","n":2,"e":"1970-01-01T00:01:00Z"}"#,
        ],
    );
}

#[test]
fn functions_that_make_rows_from_results_of_windows() {
    let orders: Vec<String> = (0..10)
        .map(|second| order(second * 6, &format!("\"amount\": {}", if second == 9 { 99 } else { second })))
        .collect();
    let text = crate::orders::run(
        "SELECT o.`value` AS v, o.is_outlier AS strange FROM (SELECT array_agg(amount) AS vals, array_agg(rowtime) AS times, window_start \
         FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end) AS w, \
         LATERAL TABLE(OutlierMad(vals, times, window_start, 1, 1, 3, 10)) AS o(`timestamp`, `value`, upper, lower, is_outlier)",
        &orders,
    );
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(text.lines().all(|line| line.contains("\"strange\":true")), "one of ten is far away: {text}");
}

#[test]
fn what_unnest_does_not_do_is_refused() {
    refused("SELECT id FROM orders JOIN UNNEST(items) AS u(name, n, at) ON «name» = id", "WHERE");
    refused("SELECT id FROM orders RIGHT JOIN UNNEST(«items») AS u(name, n, at) ON TRUE", "LEFT JOIN");
    refused("SELECT id FROM orders CROSS JOIN UNNEST(items) WITH «ORDINALITY» AS u(name, n, at, o)", "ORDINALITY");
    refused("SELECT id FROM orders CROSS JOIN UNNEST(«items») AS u(name)", "3: name, count, at");
    refused("SELECT id, u.«nam» FROM orders CROSS JOIN UNNEST(items) AS u(name, n, at)", "name");
}
