//! `OutlierMad`: outliers by the double median absolute deviation (one for the lower, one for the upper half).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::Result;

use super::list_of_rows;
use crate::scalar::{Call, Definition, Evaluation, Kind};
use crate::trend::pair;
use crate::{FunctionDoc, FunctionKind};

pub(super) static OUTLIER_MAD: Definition = Definition {
    doc: FunctionDoc {
        name: "OutlierMad",
        kind: FunctionKind::Table,
        signature: "OutlierMad(values ARRAY<DOUBLE>, times ARRAY<TIMESTAMP>, windowStart TIMESTAMP, windowMinutes INT, observationMinutes INT, tolerance INT, outlierPercent INT) -> rows of (timestamp TIMESTAMP(3), value DOUBLE, upper DOUBLE, lower DOUBLE, is_outlier BOOLEAN)",
        description: "The points of the last observationMinutes of the window in order of time, with the bounds median +- tolerance * MAD, where MAD is the median absolute deviation of the lower half for points up to the median, of the upper half above it. is_outlier is the same for all rows: whether at least outlierPercent of these points are farther from the median than tolerance * MAD. Where a MAD is 0 there are no outliers and both bounds are the value itself. NULL pairs are left out; a NULL argument gives no rows.",
        example: "SELECT o.* FROM w, LATERAL TABLE(OutlierMad(vals, times, window_start, 60, 5, 3, 20)) AS o(`timestamp`, `value`, upper, lower, is_outlier)",
    },
    aliases: &[],
    parameters: &[
        ("values", Kind::Numbers),
        ("times", Kind::Times),
        ("windowStart", Kind::Time),
        ("windowMinutes", Kind::Integer),
        ("observationMinutes", Kind::Integer),
        ("tolerance", Kind::Integer),
        ("outlierPercent", Kind::Integer),
    ],
    optional: 0,
    returns: |_, _| Ok(DataType::new_list(DataType::Struct(fields()), true)),
    evaluation: Evaluation::Columns(outlier_mad),
};

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("value", DataType::Float64, true),
        Field::new("upper", DataType::Float64, true),
        Field::new("lower", DataType::Float64, true),
        Field::new("is_outlier", DataType::Boolean, true),
    ])
}

#[derive(Default)]
struct Columns {
    time: Vec<i64>,
    value: Vec<f64>,
    upper: Vec<f64>,
    lower: Vec<f64>,
    is_outlier: Vec<bool>,
}

fn outlier_mad(call: &Call) -> Result<ArrayRef> {
    const MINUTE_MS: i64 = 60_000;
    let (values, times, starts) = (call.lists(0)?, call.lists(1)?, call.times(2)?);
    let integers = [call.integers(3)?, call.integers(4)?, call.integers(5)?, call.integers(6)?];
    let mut points = Vec::new();
    let mut columns = Columns::default();
    let (mut lengths, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let numbers = integers.each_ref().map(|column| column.get(row));
        let before = columns.time.len();
        if let (
            Some(values),
            Some(times),
            Some(start),
            [Some(window), Some(observation), Some(tolerance), Some(percent)],
        ) = (values.get(row), times.get(row), starts.get(row), numbers)
        {
            pair(call, &times, &values, &mut points)?;
            points.sort_by_key(|&(time, _)| time);
            let observed_ms = window.saturating_sub(observation).saturating_mul(MINUTE_MS);
            let observed_from = start.saturating_add(observed_ms);
            push_rows(&points, observed_from, tolerance as f64, percent as f64, &mut columns);
        }
        lengths.push(columns.time.len() - before);
        valid.push(true);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from(columns.time)),
        Arc::new(Float64Array::from(columns.value)),
        Arc::new(Float64Array::from(columns.upper)),
        Arc::new(Float64Array::from(columns.lower)),
        Arc::new(BooleanArray::from(columns.is_outlier)),
    ];
    list_of_rows(fields(), columns, lengths, valid)
}

fn push_rows(points: &[(i64, f64)], observed_from: i64, tolerance: f64, percent: f64, columns: &mut Columns) {
    let mut sorted: Vec<f64> = points.iter().map(|&(_, value)| value).collect();
    sorted.sort_by(f64::total_cmp);
    let deviations = double_mad(&sorted);
    let (mut observed, mut outliers) = (0u32, 0u32);
    let first = columns.time.len();
    for &(time, value) in points.iter().filter(|(time, _)| *time >= observed_from) {
        observed += 1;
        columns.time.push(time);
        columns.value.push(value);
        let (upper, lower) = match deviations {
            Some((median, below, above)) => {
                let mad = if value <= median { below } else { above };
                outliers += u32::from((value - median).abs() / mad > tolerance);
                (median + tolerance * mad, median - tolerance * mad)
            }
            None => (value, value),
        };
        columns.upper.push(upper);
        columns.lower.push(lower);
    }
    let share = f64::from(outliers) * 100.0 / f64::from(observed);
    let is_outlier = observed > 0 && share >= percent;
    columns.is_outlier.resize(first + observed as usize, is_outlier);
}

/// Median, and the median absolute deviations of the values up to it and from it on; `None` where one is 0.
fn double_mad(sorted: &[f64]) -> Option<(f64, f64, f64)> {
    let median_value = median(sorted)?;
    let below: Vec<f64> = sorted.iter().copied().filter(|value| *value <= median_value).collect();
    let above: Vec<f64> = sorted.iter().copied().filter(|value| *value >= median_value).collect();
    let (below, above) = (mad(&below)?, mad(&above)?);
    (below != 0.0 && above != 0.0).then_some((median_value, below, above))
}

/// Median distance from the median.
fn mad(sorted: &[f64]) -> Option<f64> {
    let centre = median(sorted)?;
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - centre).abs()).collect();
    distances.sort_by(f64::total_cmp);
    median(&distances)
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}
