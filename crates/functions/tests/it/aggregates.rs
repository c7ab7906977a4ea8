//! Aggregates through SQL. Percentiles are those of Dagger's tests and of Apache Commons Math's definition.

use crate::query::{check_errors, run};

fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(run(&format!("SELECT {expression} FROM t")), Ok(vec![(*expected).to_owned()]), "{expression}");
    }
}

#[test]
fn counts_of_distinct_values() {
    check(&[
        ("DistinctCount(s)", "2"),
        ("DistinctCount(dict)", "2"),
        ("DistinctCount(view)", "2"),
        ("DistinctCount(large)", "2"),
        ("DistinctCount(n)", "3"),
        ("DistinctCount(n > 1)", "2"),
        ("DistinctCount(f)", "3"),
        ("DistinctCount(bytes)", "3"),
        ("DistinctCount(ms)", "3"),
        ("DistinctCount(make_array(s, 'x'))", "3"),
        ("DistinctCount(CAST(n AS DECIMAL(30, 3)))", "3"),
        ("DistinctCount(NULL)", "0"),
        ("DistinctCount(CASE WHEN n = 1 THEN 0.0 WHEN n = 2 THEN -0.0 END)", "1"),
        ("DistinctCount(s) FILTER (WHERE n > 1)", "2"),
        ("DistinctCount(s) FILTER (WHERE n > 9)", "0"),
        ("arrow_typeof(DistinctCount(s))", "Int64"),
        ("ApproxDistinctCount(s)", "2"),
        ("ApproxDistinctCount(dict)", "2"),
        ("ApproxDistinctCount(view)", "2"),
        ("ApproxDistinctCount(f)", "3"),
        ("ApproxDistinctCount(n > 1)", "2"),
        ("ApproxDistinctCount(n) FILTER (WHERE n > 9)", "0"),
        ("arrow_typeof(ApproxDistinctCount(s))", "Int64"),
    ]);
}

#[test]
fn exact_percentiles() {
    let of = |values: &str, percent: &str| {
        format!("SELECT PercentileAggregator({percent}, v) FROM (VALUES {values}) AS x(v)")
    };
    for (values, percent, expected) in [
        ("(10), (30), (40), (20), (70), (90), (100), (80), (50), (60)", "90", "99.0"),
        ("(1), (2), (3), (4), (5), (6), (7)", "90", "7.0"),
        ("(1), (2), (3)", "90", "3.0"),
        ("(1), (2), (3), (4)", "50", "2.5"),
        ("(1), (2), (3), (4)", "1", "1.0"),
        ("(5)", "37.5", "5.0"),
        ("(1), (2), (NULL), (CAST('NaN' AS DOUBLE))", "50", "1.5"),
    ] {
        assert_eq!(run(&of(values, percent)), Ok(vec![expected.to_owned()]), "{percent} of {values}");
    }
    check(&[("PercentileAggregator(50, f) FILTER (WHERE n > 9)", "NULL"), ("PercentileAggregator(50.0, u)", "2.0")]);
    check_errors(&[
        ("PercentileAggregator(0, n)", &["percent is 0", "over 0 and at most 100"]),
        ("PercentileAggregator(101, n)", &["percent is 101"]),
        ("PercentileAggregator(n, n)", &["percent must be a literal number"]),
        ("PercentileAggregator(50, s)", &["PercentileAggregator takes"]),
    ]);
}

#[test]
fn approximate_percentiles_err_by_one_percent() {
    let source =
        "(SELECT value * value * CASE WHEN value % 2 = 0 THEN 1 ELSE -1 END AS v FROM generate_series(1, 9999))";
    let mut values: Vec<f64> =
        (1..=9999i64).map(|value| (value * value * if value % 2 == 0 { 1 } else { -1 }) as f64).collect();
    values.sort_by(f64::total_cmp);
    for percent in [0.01, 1.0, 25.0, 49.0, 50.0, 75.0, 95.0, 99.9, 100.0] {
        let exact = values[(percent / 100.0 * 9998.0) as usize];
        let fraction = percent / 100.0;
        for call in [
            format!("ApproxPercentile({percent}, v)"),
            format!("approx_percentile_cont(v, {fraction})"),
            format!("approx_percentile_cont({fraction}) WITHIN GROUP (ORDER BY v)"),
            format!("approx_percentile_cont({fraction}, 50) WITHIN GROUP (ORDER BY v)"),
            format!("approx_percentile_cont_with_weight(v, 1, {fraction})"),
        ] {
            let found: f64 = run(&format!("SELECT {call} FROM {source}")).unwrap()[0].parse().unwrap();
            assert!((found - exact).abs() <= 0.010001 * exact.abs(), "{call} is {found}, exactly {exact}");
        }
    }
    let near = |sql: &str, expected: f64| {
        let found: f64 = run(sql).unwrap()[0].parse().unwrap();
        assert!((found - expected).abs() <= 0.010001 * expected.abs(), "{sql} is {found}");
    };
    near("SELECT approx_median(n) FROM t", 2.0);
    near("SELECT approx_percentile_cont(0.75) WITHIN GROUP (ORDER BY value DESC) FROM generate_series(1, 1000)", 250.0);
    near("SELECT approx_percentile_cont_with_weight(n, n * n, 0.5) FROM t", 3.0);
    near("SELECT ApproxPercentile(100, 1.7e308 * n) FROM t WHERE n = 1", 1.7e308);
    near("SELECT ApproxPercentile(50, 1e-200 * n) FROM t WHERE n = 1", 1e-200);
    check(&[
        ("ApproxPercentile(50, n * 0)", "0.0"),
        ("ApproxPercentile(50, n) FILTER (WHERE n > 9)", "NULL"),
        ("ApproxPercentile(100, n / 0.0)", "inf"),
    ]);
    check_errors(&[
        ("ApproxPercentile(0, n)", &["percent is 0"]),
        ("approx_percentile_cont(n, 1.5)", &["fraction is 1.5", "0 to 1"]),
        ("ApproxPercentile(50, s)", &["argument 2 must be a number"]),
        ("approx_percentile_cont_with_weight(n, -1, 0.5)", &["weight is -1"]),
    ]);
}

#[test]
fn collected_arrays() {
    check(&[
        ("CollectArray(n)", "[1, 2, 3, NULL]"),
        ("CollectArray(dict)", "[alpha, beta, alpha, NULL]"),
        ("CollectArray(n, ms)", "[NULL, 3, 2, 1]"),
        ("CollectArray(n, -n)", "[NULL, 3, 2, 1]"),
        ("CollectArray(n) FILTER (WHERE n > 9)", "[]"),
        ("CollectArray(named_struct('n', n)) FILTER (WHERE n = 2)", "[{n: 2}]"),
    ]);
    assert_eq!(
        run(
            "SELECT s, CollectArray(n, -n), DistinctCount(n), ApproxDistinctCount(n), PercentileAggregator(100, n) FROM t GROUP BY s ORDER BY s"
        ),
        Ok(["alpha|[3, 1]|2|2|3.0", "beta|[2]|1|1|2.0", "NULL|[NULL]|0|0|NULL"].map(str::to_owned).to_vec())
    );
    let too_many = run("SELECT CollectArray(value) FROM generate_series(1, 100001)").unwrap_err();
    assert!(too_many.contains("more than 100000 values in one group"), "{too_many}");
    check_errors(&[("CollectArray(n, s)", &["CollectArray takes"])]);
}
