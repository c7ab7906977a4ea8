//! Row functions and trends, with the numbers of Dagger's tests.

use crate::query::{check, check_errors, run};

fn minutes(list: &[(i64, f64)]) -> (String, String) {
    let times: Vec<String> =
        list.iter().map(|(minute, _)| format!("TO_TIMESTAMP_LTZ({}, 3)", minute * 60_000)).collect();
    let values: Vec<String> = list.iter().map(|(_, value)| format!("{value:?}")).collect();
    (format!("make_array({})", times.join(", ")), format!("make_array({})", values.join(", ")))
}

fn number(expression: &str) -> f64 {
    run(&format!("SELECT {expression}")).unwrap()[0].parse().unwrap()
}

#[test]
fn linear_trend() {
    type Case = (i64, &'static [(i64, f64)], f64);
    let cases: &[Case] = &[
        (5, &[(0, 0.0), (1, 2.0), (2, 1.0), (3, 4.0), (4, 4.0)], 1.0),
        (5, &[(0, 2.0), (2, 1.0), (4, 4.0)], 0.4),
        (5, &[(1, 2.0), (3, 1.0)], -0.1),
        (5, &[(1, 2.0)], -0.2),
        (5, &[(0, 2.0), (1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0)], 0.0),
        (
            20,
            &[(1, 1.0), (3, 1.0), (5, 2.0), (19, 1.0), (7, 2.0), (8, 2.0), (10, 1.0), (11, 1.0)],
            -0.030827067669172932,
        ),
        (
            20,
            &[(1, 1.0), (3, 1.0), (5, 2.0), (7, 2.0), (8, 2.0), (10, 1.0), (11, 1.0), (11, 1.0), (19, 1.0)],
            -0.030827067669172932,
        ),
        // Outside the window: left out.
        (5, &[(-1, 9.0), (1, 2.0), (3, 1.0), (5, 9.0)], -0.1),
    ];
    for (window, points, expected) in cases {
        let (times, values) = minutes(points);
        let found = number(&format!("LinearTrend({times}, {values}, TO_TIMESTAMP_LTZ(0, 3), {window})"));
        assert!((found - expected).abs() < 1e-12, "{points:?} gives {found}");
    }
    let (times, values) = minutes(&[(0, 1.0)]);
    check(&[
        (&format!("LinearTrend({times}, {values}, TO_TIMESTAMP_LTZ(0, 3), 1)"), "NULL"),
        (&format!("LinearTrend(NULL, {values}, TO_TIMESTAMP_LTZ(0, 3), 5)"), "NULL"),
    ]);
    check_errors(&[
        (&format!("LinearTrend({times}, {values}, TO_TIMESTAMP_LTZ(0, 3), 0)"), &["minutes is 0"]),
        (
            &format!("LinearTrend({times}, make_array(1.0, 2.0), TO_TIMESTAMP_LTZ(0, 3), 5)"),
            &["1 times and 2 values long"],
        ),
    ]);
}

#[test]
fn exponential_moving_average() {
    let (times, values) = minutes(&[(0, 1.0), (1, 4.0), (2, 3.0), (5, 7.0)]);
    let found = number(&format!("ExponentialMovingAverage({times}, {values}, TO_TIMESTAMP_LTZ(0, 3), 6, 0.2)"));
    assert!((found - 2.36256).abs() < 1e-9, "{found}");
    check_errors(&[(
        &format!("ExponentialMovingAverage({times}, {values}, TO_TIMESTAMP_LTZ(0, 3), 6, 1.2)"),
        &["alpha is 1.2", "0 to 1"],
    )]);
}

#[test]
fn histogram_buckets() {
    check(&[
        ("HistogramBucket(10.0, '1,2,5,10,20')", "[{bucket: +Inf}, {bucket: 10}, {bucket: 20}]"),
        ("HistogramBucket(30.0, '1,2,5,10,20')", "[{bucket: +Inf}]"),
        ("HistogramBucket(NULL, '1')", "NULL"),
        ("HistogramBucket(CAST('NaN' AS DOUBLE), '1')", "[{bucket: +Inf}]"),
    ]);
    check_errors(&[("HistogramBucket(f, '1,x')", &["buckets is '1,x'", "numbers with commas"])]);
    let columns: Vec<_> =
        functions::table_functions().into_iter().map(|function| (function.name, function.columns)).collect();
    assert_eq!(columns[0], ("HistogramBucket", ["bucket"].as_slice()));
    assert_eq!(columns[1].1.len(), 5);
}

fn outliers(values: &[f64]) -> Vec<String> {
    let points: Vec<(i64, f64)> = values.iter().enumerate().map(|(index, &value)| (index as i64 + 1, value)).collect();
    let (times, values) = minutes(&points);
    let call = format!("OutlierMad({values}, {times}, TO_TIMESTAMP_LTZ(0, 3), 15, 3, 3, 5)");
    run(&format!(
        "SELECT o['value'], o['upper'], o['lower'], o['is_outlier'], o['timestamp'] FROM (SELECT unnest({call}) AS o)"
    ))
    .unwrap()
}

#[test]
fn outliers_by_double_mad() {
    let values = [1.0, 4.0, 4.0, 4.0, 5.0, 5.0, 5.0, 5.0, 7.0, 7.0, 8.0, 10.0, 16.0, 30.0];
    assert_eq!(
        outliers(&values),
        [
            "10.0|11.0|-1.0|true|1970-01-01T00:12:00",
            "16.0|11.0|-1.0|true|1970-01-01T00:13:00",
            "30.0|11.0|-1.0|true|1970-01-01T00:14:00",
        ]
    );
    let values = [1.0, 4.0, 4.0, 4.0, 5.0, 5.0, 5.0, 5.0, 7.0, 7.0, 8.0, 10.0, 11.0, 11.0];
    assert_eq!(outliers(&values)[1], "11.0|11.0|-1.0|false|1970-01-01T00:13:00");
    // A MAD of 0: no outlier, both bounds are the value.
    let values = [1.0, 4.0, 4.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0];
    assert_eq!(outliers(&values)[2], "5.0|5.0|5.0|false|1970-01-01T00:14:00");
    assert_eq!(outliers(&values).len(), 3);
}
