//! A measurement as a table of DataFusion.

use std::sync::Arc;

use datafusion::prelude::{SessionConfig, SessionContext};
use series::{FarTimes, SeriesStore};

use crate::store::{NEW_YEAR, Row, SECOND, TestStore, lines, write};

async fn query(store: &SeriesStore, sql: &str) -> Vec<String> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    context.add_analyzer_rule(Arc::new(FarTimes));
    for info in store.measurements() {
        context
            .register_table(info.name.as_str(), store.table_provider(&info.name).expect("a table"))
            .expect("registers");
    }
    let batches = context.sql(sql).await.expect("plans").collect().await.expect("runs");
    lines(&batches)
}

/// 600 seconds with a point of each of three cities.
fn filled() -> TestStore {
    let test = TestStore::new();
    let rows: Vec<Row<'_>> = (0..600)
        .flat_map(|second| {
            ["a", "b", "c"].map(|city| {
                (
                    NEW_YEAR + second * SECOND,
                    Some(city),
                    (city == "c").then_some("x"),
                    Some(second),
                    Some(second as f64 / 2.0),
                )
            })
        })
        .collect();
    write(&test.store, "m", &rows);
    test
}

/// Runs a query; the answer has to be right and no more than `keys` keys be read for it.
async fn check(test: &TestStore, sql: &str, keys: u64, expected: &[&str]) {
    let before = test.store.keys_scanned();
    assert_eq!(query(&test.store, sql).await, expected, "{sql}");
    assert_eq!(test.store.keys_scanned() - before, keys, "keys read for {sql}");
}

#[tokio::test]
async fn time_ranges_are_pushed_down() {
    let test = filled();
    check(&test, "SELECT count(*) FROM m", 1_800, &["1800"]).await;
    check(&test, "SELECT count(*) FROM m WHERE time > TIMESTAMP '2024-01-01T00:09:49'", 30, &["30"]).await;
    check(
        &test,
        "SELECT count(*) FROM m WHERE time >= '2024-01-01T00:09:50' AND time < '2024-01-01T00:09:55'",
        15,
        &["15"],
    )
    .await;
    check(
        &test,
        "SELECT count(*) FROM m WHERE time BETWEEN '2024-01-01T00:00:00' AND '2024-01-01T00:00:01'",
        6,
        &["6"],
    )
    .await;
    check(&test, "SELECT count(*) FROM m WHERE time = TIMESTAMP '2024-01-01T00:00:07'", 3, &["3"]).await;
    check(&test, "SELECT count(*) FROM m WHERE time > TIMESTAMP '2024-01-01T00:09:58.999999999'", 3, &["3"]).await;
    check(&test, "SELECT count(*) FROM m WHERE time = TIMESTAMP '2024-01-01T00:00:07.000000001'", 0, &["0"]).await;
    check(&test, "SELECT count(*) FROM m WHERE time > now() - INTERVAL '15 minutes'", 0, &["0"]).await;
    check(&test, "SELECT count(*) FROM m WHERE time < TIMESTAMP '2023-01-01T00:00:00'", 0, &["0"]).await;
}

#[tokio::test]
async fn times_that_no_point_can_have_are_compared() {
    let test = filled();
    for (condition, keys, count) in [
        ("time < '9999-12-31'", 1_800, "1800"),
        ("time <= TIMESTAMP '9999-12-31 23:59:59'", 1_800, "1800"),
        ("time > '0001-01-01' AND time < DATE '9999-12-31'", 1_800, "1800"),
        ("time > '2262-04-12'", 0, "0"),
        ("time < '1677-01-01'", 0, "0"),
        ("'1000-01-01' <= time", 1_800, "1800"),
        ("time BETWEEN '0001-01-01' AND '2024-01-01T00:00:01'", 6, "6"),
        ("time BETWEEN '2024-01-01T00:09:59' AND CAST('9999-12-31' AS DATE)", 3, "3"),
        ("time = '9999-12-31'", 0, "0"),
        ("time <> '9999-12-31'", 1_800, "1800"),
    ] {
        check(&test, &format!("SELECT count(*) FROM m WHERE {condition}"), keys, &[count]).await;
    }
    let grouped = "SELECT city FROM m GROUP BY city HAVING max(time) < '9999-12-31' ORDER BY city";
    assert_eq!(query(&test.store, grouped).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn tags_groups_orders_and_limits() {
    let test = filled();
    check(
        &test,
        "SELECT city, count(*), max(count), sum(share) FROM m WHERE time < '2024-01-01T00:00:10' GROUP BY city ORDER BY city",
        30,
        &["a|10|9|22.5", "b|10|9|22.5", "c|10|9|22.5"],
    )
    .await;
    check(&test, "SELECT count(*) FROM m WHERE city = 'b' AND kind IS NULL", 1_800, &["600"]).await;
    check(&test, "SELECT count(*) FROM m WHERE city IN ('a', 'b', 'd', 'e', 'f')", 1_800, &["1200"]).await;
    check(&test, "SELECT count(*) FROM m WHERE city = 'a' OR city = 'b'", 1_800, &["1200"]).await;
    check(&test, "SELECT count(*) FROM m WHERE kind <> 'y'", 1_800, &["600"]).await;
    check(&test, "SELECT count(*) FROM m WHERE city LIKE 'a%' AND count >= 590", 1_800, &["10"]).await;
    check(
        &test,
        "SELECT time, city, count FROM m ORDER BY time DESC LIMIT 2",
        2,
        &["2024-01-01T00:09:59|c|599", "2024-01-01T00:09:59|b|599"],
    )
    .await;
    check(&test, "SELECT time, count FROM m WHERE city = 'b' ORDER BY time LIMIT 1", 2, &["2024-01-01T00:00:00|0"])
        .await;
    check(&test, "SELECT city FROM m ORDER BY share DESC, city LIMIT 2", 1_800, &["a", "b"]).await;
    check(&test, "SELECT city FROM m LIMIT 1", 1, &["a"]).await;
    check(
        &test,
        "SELECT date_bin(INTERVAL '5 minutes', time) AS t, avg(count) FROM m GROUP BY t ORDER BY t",
        1_800,
        &["2024-01-01T00:00:00|149.5", "2024-01-01T00:05:00|449.5"],
    )
    .await;
}

#[tokio::test]
async fn what_is_pushed_down_shows_in_the_plan() {
    let test = filled();
    let plan = query(
        &test.store,
        "EXPLAIN SELECT count FROM m WHERE city = 'b' AND time >= '2024-01-01T00:00:01' ORDER BY time DESC LIMIT 5",
    )
    .await
    .join("\n");
    assert!(
        plan.contains(
            "SeriesScanExec: measurement=m, from=1704067201000000000, city OneOf([\"b\"]), limit=5, newest first"
        ),
        "{plan}"
    );
    let physical = plan.split("physical_plan").nth(1).expect("a physical plan");
    assert!(!physical.contains("Sort") && !physical.contains("Filter"), "{plan}");
}

#[tokio::test]
async fn measurements_are_joined_and_odd_names_quoted() {
    let test = filled();
    write(&test.store, "odd \"name\"", &[(NEW_YEAR, Some("a"), None, Some(42), None)]);
    let found = query(
        &test.store,
        "SELECT m.city, o.count FROM m JOIN \"odd \"\"name\"\"\" o ON m.time = o.time AND m.city = o.city",
    )
    .await;
    assert_eq!(found, ["a|42"]);
}
