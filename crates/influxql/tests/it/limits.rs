//! What a statement may cost.

use crate::asking::City;

const OF: &str = "FROM driver_count_demo_influx_3876";

#[test]
fn points_series_and_windows() {
    let mut city = City::new();
    city.options.limits.select_points_max = 10;
    assert_eq!(city.refused(&format!("SELECT fare {OF}")), "max-select-point limit exceeed: (60/10)");
    let mut city = City::new();
    city.options.limits.select_series_max = 1;
    assert_eq!(city.refused(&format!("SELECT fare {OF}")), "max-select-series limit exceeded: (2/1)");
    let mut city = City::new();
    city.options.limits.select_buckets_max = 100;
    assert_eq!(
        city.refused(&format!("SELECT sum(fare) {OF} WHERE time > now() - 5m GROUP BY time(1s)")),
        "max-select-buckets limit exceeded: (300/100)"
    );
}

#[test]
fn memory() {
    let mut city = City::new();
    city.options.limits.memory_bytes_max = 100_000_000;
    // A hundred million windows, and more, of nothing.
    for statement in [
        format!("SELECT sum(fare) {OF} WHERE time > now() - 300s GROUP BY time(1u)"),
        format!("SELECT sum(fare) {OF} WHERE time > 0 GROUP BY time(1ns)"),
    ] {
        let error = city.refused(&statement);
        assert!(error.starts_with("the query would hold more than 100000000 bytes"), "{error}");
    }
    city.options.limits.memory_bytes_max = 1_000;
    let error = city.refused(&format!("SELECT * {OF}"));
    assert!(error.starts_with("the query would hold more than 1000 bytes"), "{error}");
}

#[test]
fn rows_of_an_answer() {
    let mut city = City::new();
    city.options.limits.rows_max = 7;
    let chunks = city.chunks(&format!("SELECT fare {OF}"));
    assert_eq!((chunks[0].series[0].rows(), chunks[0].series[0].partial), (7, true));
}

#[test]
fn depth() {
    let city = City::new();
    let deep = format!("SELECT {}fare{} {OF}", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(city.ask(&deep), r#"{"error":"error parsing query: expressions may be nested 100 deep at most"}"#);
}
