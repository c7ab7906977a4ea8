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

#[test]
fn operators() {
    let city = City::new();
    let chain = |terms: usize| format!("SELECT fare {OF} WHERE fare = -1{}", " OR fare = 2".repeat(terms));
    let error = city.ask(&chain(100_000));
    assert!(error.contains("a statement may have 1000 operators at most"), "{error}");
    let sums = format!("SELECT fare{} {OF}", " + fare".repeat(100_000));
    assert!(city.ask(&sums).contains("a statement may have 1000 operators at most"));
    // What is allowed is answered with an eighth of the stack that the server's threads have.
    let small = std::thread::Builder::new().stack_size(4 << 20);
    let answered = small.spawn(move || {
        assert!(city.ask(&chain(499)).contains("values"));
        let sums = format!("SELECT fare{} {OF} LIMIT 1", " + fare".repeat(1_000));
        assert!(city.ask(&sums).contains("values"));
        let tags = format!("SHOW SERIES WHERE city = 'jakarta'{}", " OR city = 'x'".repeat(499));
        assert!(city.ask(&tags).contains("jakarta"));
    });
    answered.expect("a thread").join().expect("is answered");
}

#[test]
fn windows_that_a_limit_leaves_out_are_not_made() {
    let mut city = City::new();
    city.options.limits.memory_bytes_max = 1_000_000;
    let windows = format!("SELECT count(fare), max(drivers) {OF} WHERE time > 0 GROUP BY time(1s)");
    let error = city.refused(&windows);
    assert!(error.starts_with("the query would hold more than"), "{error}");
    let limited = city.ask(&format!("{windows} LIMIT 2 OFFSET 1"));
    assert!(limited.contains(r#""values":[[1,0,null],[2,0,null]]"#), "{limited}");
    // Windows with an offset begin with the first point where no time is asked for, as those without one.
    let offset = city.ask(&format!("SELECT sum(drivers) {OF} GROUP BY time(10m, 3m)"));
    assert!(offset.contains(r#""values":[[1772409180,"#), "{offset}");
    let newest = city.ask(&format!("SELECT sum(drivers) {OF} GROUP BY time(1m, 3s) ORDER BY time DESC LIMIT 1"));
    assert!(newest.contains(r#""values":[[1772409843,545]]"#), "{newest}");
}

#[test]
fn answers_of_several_statements_are_held_together() {
    let mut city = City::new();
    city.options.limits.memory_bytes_max = 500_000;
    let one = format!("SELECT fare, drivers {OF}");
    assert!(city.ask(&one).contains("values"));
    let chunks = city.chunks(&vec![one; 1_000].join(";"));
    let refused = chunks.iter().position(|chunk| chunk.error.is_some()).expect("the memory is not enough for all");
    assert!(
        refused > 10
            && chunks[refused..].iter().all(|chunk| chunk.error.as_deref() == Some("not executed")
                || chunk.error.as_ref().is_some_and(|error| error.starts_with("the query would hold more")))
    );
}

#[test]
fn statements_and_regular_expressions_of_a_request() {
    let city = City::new();
    let many = vec![format!("SELECT fare {OF} WHERE city =~ /a/"); 101].join(";");
    assert!(city.ask(&many).contains("a request may have 100 regular expressions at most"));
    let many = vec!["SHOW DATABASES"; 1_001].join(";");
    assert!(city.ask(&many).contains("a request may have 1000 statements at most"));
}
