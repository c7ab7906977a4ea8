//! Windows over windows, clauses of aggregates, joins: small records with results that are worked out by hand.

use crate::orders::{check, order, run_both};

fn orders() -> Vec<String> {
    let rows = [
        (5, "a", 1, 4.0, "x"),
        (10, "b", 2, 3.0, "y"),
        (20, "a", 3, 2.0, "x"),
        (50, "a", 1, 1.0, "z"),
        (65, "a", 7, 9.0, "x"),
        (130, "b", 5, 8.0, "y"),
    ];
    rows.map(|(second, city, count, amount, id)| {
        order(second, &format!("\"city\": \"{city}\", \"count\": {count}, \"amount\": {amount}, \"id\": \"{id}\""))
    })
    .to_vec()
}

fn first_minute(call: &str, expected: &str) {
    let query =
        format!("SELECT {call} AS x FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' HOUR) HAVING count(1) > 0");
    let orders: Vec<String> = orders().into_iter().take(4).collect();
    check(&query, &orders, &[&format!("{{\"x\":{expected}}}")]);
}

#[test]
fn clauses_of_aggregates_are_honoured() {
    first_minute("count(DISTINCT city)", "2");
    first_minute("sum(DISTINCT count)", "6");
    first_minute("avg(DISTINCT count)", "2.0");
    first_minute("sum(count) FILTER (WHERE city = 'a')", "5");
    first_minute("count(1) FILTER (WHERE amount > 1.5)", "3");
    first_minute("CollectArray(count) FILTER (WHERE city = 'a')", "[1,3,1]");
    first_minute("PercentileAggregator(50, amount) FILTER (WHERE amount < 4)", "2.0");
    first_minute("array_agg(count ORDER BY amount)", "[1,3,2,1]");
    first_minute("array_agg(count ORDER BY amount DESC)", "[1,2,3,1]");
    first_minute("array_agg(id ORDER BY amount DESC, id)", "[\"x\",\"y\",\"x\",\"z\"]");
    first_minute("array_agg(DISTINCT city ORDER BY city)", "[\"a\",\"b\"]");
    first_minute("string_agg(id, '-' ORDER BY amount)", "\"z-x-y-x\"");
    first_minute("first_value(id ORDER BY amount)", "\"z\"");
    first_minute("last_value(id ORDER BY amount)", "\"x\"");
    first_minute("ElementAt(array_agg(id ORDER BY amount), 1)", "\"x\"");
    first_minute("first_value(nullif(id, 'x')) IGNORE NULLS", "\"y\"");
    first_minute("percentile_cont(0.5) WITHIN GROUP (ORDER BY amount)", "2.5");
    first_minute("median(amount)", "2.5");
    first_minute("min(amount) + max(amount)", "5.0");
    first_minute("bool_and(amount > 0)", "true");
    first_minute("stddev_pop(amount)", "1.118033988749895");
    first_minute("DistinctCount(city)", "2");
    first_minute("ApproxDistinctCount(id)", "3");
    first_minute("CollectArray(id)", "[\"x\",\"y\",\"x\",\"z\"]");
}

/// What a window merges from slices and from partitions keeps the order.
#[test]
fn ordered_aggregates_over_many_slices() {
    use crate::events::{events, run};
    let partitions: Vec<_> = (0..3).map(|part| events(700 + part, 400, 3_000)).collect();
    let (text, _) = run(
        "SELECT array_agg(weight ORDER BY weight, amount) AS up, array_agg(weight ORDER BY weight DESC) AS down, array_agg(weight) AS all_of_them, \
         first_value(amount ORDER BY weight) AS least, last_value(weight ORDER BY weight) AS most, string_agg(`key`, '' ORDER BY `key`) AS k, \
         HOP_END(rowtime, INTERVAL '2' SECOND, INTERVAL '30' SECOND) AS e FROM t GROUP BY HOP(rowtime, INTERVAL '2' SECOND, INTERVAL '30' SECOND)",
        &partitions,
        3_000,
        50,
        2,
    );
    assert!(text.lines().count() > 50);
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let numbers = |name: &str| -> Vec<f64> {
            row[name].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let mut sorted = numbers("all_of_them");
        sorted.sort_by(f64::total_cmp);
        assert_eq!(numbers("up"), sorted, "{line}");
        assert_eq!(row["most"].as_f64(), sorted.last().copied(), "{line}");
        sorted.reverse();
        assert_eq!(numbers("down"), sorted, "{line}");
        let keys = row["k"].as_str().unwrap().as_bytes();
        let pairs: Vec<&[u8]> = keys.chunks(2).collect();
        assert!(pairs.is_sorted() && pairs.len() == sorted.len(), "{line}");
    }
}

#[test]
fn bounds_of_tumbling_windows_are_values() {
    check(
        "SELECT count, window_start AS s, window_end AS e, window_time AS t FROM \
         TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '10' SECOND)) WHERE window_end > TIMESTAMP '1970-01-01 00:01:30'",
        &orders(),
        &[r#"{"count":5,"s":"1970-01-01T00:02:10Z","e":"1970-01-01T00:03:10Z","t":"1970-01-01T00:03:09.999Z"}"#],
    );
    check(
        "SELECT count, window_start AS s FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '10' SECOND)) WHERE count = 1",
        &orders(),
        &[r#"{"count":1,"s":"1969-12-31T23:59:10Z"}"#, r#"{"count":1,"s":"1970-01-01T00:00:10Z"}"#],
    );
}

#[test]
fn window_table_functions_over_results() {
    let inner = "SELECT city, sum(count) AS n, window_time AS rowtime FROM \
                 TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, window_time, city";
    let expected = [
        r#"{"n":7,"groups":2,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:01:00Z"}"#,
        r#"{"n":14,"groups":3,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:02:00Z"}"#,
        r#"{"n":12,"groups":2,"s":"1970-01-01T00:01:00Z","e":"1970-01-01T00:03:00Z"}"#,
        r#"{"n":5,"groups":1,"s":"1970-01-01T00:02:00Z","e":"1970-01-01T00:04:00Z"}"#,
    ];
    let expected_first = [r#"{"n":7,"groups":2,"s":"1969-12-31T23:59:00Z","e":"1970-01-01T00:01:00Z"}"#];
    let expected: Vec<&str> = expected_first.into_iter().chain(expected[1..].iter().copied()).collect();
    for from in [
        format!(
            "WITH w AS ({inner}) SELECT sum(n) AS n, count(1) AS `groups`, window_start AS s, window_end AS e FROM TABLE(HOP(TABLE w, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) GROUP BY window_start, window_end"
        ),
        format!(
            "WITH w AS ({inner}) SELECT sum(n) AS n, count(1) AS `groups`, window_start AS s, window_end AS e FROM (SELECT * FROM TABLE(HOP(TABLE w, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) AS x) AS y GROUP BY window_start, window_end"
        ),
        format!(
            "SELECT sum(n) AS n, count(1) AS `groups`, HOP_START(rowtime, INTERVAL '1' MINUTE, INTERVAL '2' MINUTE) AS s, HOP_END(rowtime, INTERVAL '1' MINUTE, INTERVAL '2' MINUTE) AS e FROM ({inner}) GROUP BY HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)"
        ),
    ] {
        check(&from, &orders(), &expected);
    }
    check(
        &format!(
            "WITH w AS ({inner}) SELECT city, sum(n) AS n, window_end AS e FROM TABLE(SESSION(TABLE w PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '70' SECOND)) GROUP BY window_start, window_end, city"
        ),
        &orders(),
        &[
            r#"{"city":"b","n":2,"e":"1970-01-01T00:02:09.999Z"}"#,
            r#"{"city":"a","n":12,"e":"1970-01-01T00:03:09.999Z"}"#,
            r#"{"city":"b","n":5,"e":"1970-01-01T00:04:09.999Z"}"#,
        ],
    );
}

#[test]
fn ordering_by_the_windows_end_is_what_there_is() {
    check(
        "SELECT sum(count) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE) ORDER BY e",
        &orders(),
        &[
            r#"{"n":7,"e":"1970-01-01T00:01:00Z"}"#,
            r#"{"n":7,"e":"1970-01-01T00:02:00Z"}"#,
            r#"{"n":5,"e":"1970-01-01T00:03:00Z"}"#,
        ],
    );
}

#[test]
fn ranks_within_windows() {
    let grouped = "SELECT city, sum(count) AS n, window_start, window_end FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, city";
    let expected = [r#"{"city":"a","n":5}"#, r#"{"city":"a","n":7}"#, r#"{"city":"b","n":5}"#];
    check(
        &format!(
            "SELECT city, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS r FROM ({grouped})) WHERE r <= 1"
        ),
        &orders(),
        &expected,
    );
    check(
        &format!(
            "SELECT city, n FROM ({grouped}) QUALIFY ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY n DESC) = 1"
        ),
        &orders(),
        &expected,
    );
    check(
        &format!(
            "SELECT city, n FROM (SELECT *, ROW_NUMBER() OVER w AS r FROM ({grouped}) WINDOW w AS (PARTITION BY window_end ORDER BY n DESC)) WHERE r = 1"
        ),
        &orders(),
        &expected,
    );
    check(
        &format!(
            "SELECT city, sum(n) OVER (PARTITION BY window_end ORDER BY city ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM ({grouped})"
        ),
        &orders(),
        &[r#"{"city":"a","s":5}"#, r#"{"city":"b","s":7}"#, r#"{"city":"a","s":7}"#, r#"{"city":"b","s":5}"#],
    );
    check(
        &format!("SELECT DISTINCT window_end AS e FROM ({grouped})"),
        &orders(),
        &[r#"{"e":"1970-01-01T00:01:00Z"}"#, r#"{"e":"1970-01-01T00:02:00Z"}"#, r#"{"e":"1970-01-01T00:03:00Z"}"#],
    );
}

#[test]
fn joins_of_windows() {
    let others = vec![
        order(6, "\"city\": \"a\", \"count\": 100"),
        order(7, "\"city\": \"c\", \"count\": 200"),
        order(135, "\"city\": \"b\", \"count\": 300"),
    ];
    let side = |table: &str| {
        format!(
            "(SELECT city, sum(count) AS n, window_start, window_end FROM TABLE(TUMBLE(TABLE {table}, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, city)"
        )
    };
    let joined = |join: &str| {
        let query = format!(
            "SELECT l.city AS lc, r.city AS rc, l.n AS ln, r.n AS rn FROM {} AS l {join} {} AS r ON l.window_start = r.window_start AND l.window_end = r.window_end AND l.city = r.city",
            side("orders"),
            side("others")
        );
        run_both(&query, &orders(), &others).0
    };
    let both = ["{\"lc\":\"a\",\"rc\":\"a\",\"ln\":5,\"rn\":100}", "{\"lc\":\"b\",\"rc\":\"b\",\"ln\":5,\"rn\":300}"];
    let left = ["{\"lc\":\"b\",\"rc\":null,\"ln\":2,\"rn\":null}", "{\"lc\":\"a\",\"rc\":null,\"ln\":7,\"rn\":null}"];
    let right = ["{\"lc\":null,\"rc\":\"c\",\"ln\":null,\"rn\":200}"];
    let has = |text: &str, rows: &[&[&str]]| {
        let mut found: Vec<&str> = text.lines().collect();
        let mut expected: Vec<&str> = rows.iter().flat_map(|rows| rows.iter().copied()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    };
    has(&joined("JOIN"), &[&both]);
    has(&joined("LEFT JOIN"), &[&both, &left]);
    has(&joined("RIGHT JOIN"), &[&both, &right]);
    has(&joined("FULL OUTER JOIN"), &[&both, &left, &right]);
}

#[test]
fn cumulating_windows_and_offsets() {
    check(
        "SELECT sum(count) AS n, window_start AS s, window_end AS e FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) GROUP BY window_start, window_end",
        &orders(),
        &[
            r#"{"n":7,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:01:00Z"}"#,
            r#"{"n":14,"s":"1970-01-01T00:00:00Z","e":"1970-01-01T00:02:00Z"}"#,
            r#"{"n":5,"s":"1970-01-01T00:02:00Z","e":"1970-01-01T00:03:00Z"}"#,
            r#"{"n":5,"s":"1970-01-01T00:02:00Z","e":"1970-01-01T00:04:00Z"}"#,
        ],
    );
    check(
        "SELECT sum(count) AS n, window_start AS s FROM TABLE(TUMBLE(DATA => TABLE orders, TIMECOL => DESCRIPTOR(rowtime), SIZE => INTERVAL '1' MINUTE, OFFSET => INTERVAL '30' SECOND)) GROUP BY window_start, window_end",
        &orders(),
        &[
            r#"{"n":6,"s":"1969-12-31T23:59:30Z"}"#,
            r#"{"n":8,"s":"1970-01-01T00:00:30Z"}"#,
            r#"{"n":5,"s":"1970-01-01T00:01:30Z"}"#,
        ],
    );
}
