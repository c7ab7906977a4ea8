//! Trends of values over time, on a grid of one minute: `LinearTrend` and `ExponentialMovingAverage`.
//!
//! Both take the two arrays that `CollectArray` makes of a window. Where Dagger fails on a point outside the
//! window, such points are left out here; pairs with a NULL are left out too.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use datafusion::common::Result;

use crate::scalar::{Call, Definition, Evaluation, Kind, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static TREND_FUNCTIONS: &[&Definition] = &[&LINEAR_TREND, &EXPONENTIAL_MOVING_AVERAGE];

const MINUTE_MS: i64 = 60_000;
/// Minutes of a window: ten years.
const WINDOW_MINUTES_MAX: i64 = 5_256_000;

static LINEAR_TREND: Definition = Definition {
    doc: FunctionDoc {
        name: "LinearTrend",
        kind: FunctionKind::Scalar,
        signature: "LinearTrend(times ARRAY<TIMESTAMP>, values ARRAY<DOUBLE>, windowStart TIMESTAMP, minutes INT) -> DOUBLE",
        description: "Slope per minute of the least-squares line through the values on a grid of one minute from the window's start. A minute without a value counts as 0, the last of several values of a minute holds. NULL for windows of one minute.",
        example: "LinearTrend(make_array(TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 00:01:00'), make_array(1.0, 3.0), TIMESTAMP '2024-01-01 00:00:00', 2)",
    },
    aliases: &[],
    parameters: &[
        ("times", Kind::Times),
        ("values", Kind::Numbers),
        ("windowStart", Kind::Time),
        ("minutes", Kind::Integer),
    ],
    optional: 0,
    returns: returning::double,
    evaluation: Evaluation::Columns(|call| {
        let (starts, minutes) = (call.times(2)?, call.integers(3)?);
        by_row(call, |row, points| {
            let (Some(start), Some(minutes)) = (starts.get(row), minutes.get(row)) else {
                return Ok(None);
            };
            if !(1..=WINDOW_MINUTES_MAX).contains(&minutes) {
                return Err(call.refuse("minutes", minutes, &format!("1 to {WINDOW_MINUTES_MAX}")));
            }
            Ok(slope(&on_grid(points, start), minutes))
        })
    }),
};

static EXPONENTIAL_MOVING_AVERAGE: Definition = Definition {
    doc: FunctionDoc {
        name: "ExponentialMovingAverage",
        kind: FunctionKind::Scalar,
        signature: "ExponentialMovingAverage(times ARRAY<TIMESTAMP>, values ARRAY<DOUBLE>, windowStart TIMESTAMP, minutes DOUBLE, alpha DOUBLE) -> DOUBLE",
        description: "Exponentially weighted sum of the values on a grid of one minute: a value p minutes before the window's last minute weighs alpha * (1 - alpha)^p, one of the first minute (1 - alpha)^p. The last of several values of a minute holds; alpha is 0 to 1.",
        example: "ExponentialMovingAverage(make_array(TIMESTAMP '2024-01-01 00:00:00'), make_array(1.0), TIMESTAMP '2024-01-01 00:00:00', 2, 0.5)",
    },
    aliases: &[],
    parameters: &[
        ("times", Kind::Times),
        ("values", Kind::Numbers),
        ("windowStart", Kind::Time),
        ("minutes", Kind::Number),
        ("alpha", Kind::Number),
    ],
    optional: 0,
    returns: returning::double,
    evaluation: Evaluation::Columns(|call| {
        let (starts, minutes, alphas) = (call.times(2)?, call.numbers(3)?, call.numbers(4)?);
        by_row(call, |row, points| {
            let (Some(start), Some(minutes), Some(alpha)) = (starts.get(row), minutes.get(row), alphas.get(row)) else {
                return Ok(None);
            };
            if !(minutes >= 1.0 && minutes <= WINDOW_MINUTES_MAX as f64) {
                return Err(call.refuse("minutes", minutes, &format!("1 to {WINDOW_MINUTES_MAX}")));
            }
            if !(0.0..=1.0).contains(&alpha) {
                return Err(call.refuse("alpha", alpha, "0 to 1"));
            }
            Ok(Some(moving_average(&on_grid(points, start), minutes, alpha)))
        })
    }),
};

type Points = Vec<(i64, f64)>;

/// Calls with the (milliseconds, value) pairs of every row; NULL where an array is.
fn by_row(call: &Call, mut apply: impl FnMut(usize, &Points) -> Result<Option<f64>>) -> Result<ArrayRef> {
    let (times, values) = (call.lists(0)?, call.lists(1)?);
    let mut points = Points::new();
    let results: Float64Array = (0..call.rows)
        .map(|row| {
            let (Some(times), Some(values)) = (times.get(row), values.get(row)) else {
                return Ok(None);
            };
            pair(call, &times, &values, &mut points)?;
            apply(row, &points)
        })
        .collect::<Result<_>>()?;
    Ok(Arc::new(results))
}

/// The pairs of two arrays of equal length, without those that have a NULL.
pub(crate) fn pair(call: &Call, times: &ArrayRef, values: &ArrayRef, points: &mut Points) -> Result<()> {
    if times.len() != values.len() {
        let found = format!("{} times and {} values long", times.len(), values.len());
        return Err(call.refuse("the pair of arrays", found, "of equal length"));
    }
    let times = times.as_primitive::<TimestampMillisecondType>();
    let values = values.as_primitive::<Float64Type>();
    points.clear();
    points.extend(times.iter().zip(values.iter()).filter_map(|(time, value)| Some((time?, value?))));
    Ok(())
}

/// Value by minute after the start; the last one of a minute holds.
fn on_grid(points: &Points, start_ms: i64) -> BTreeMap<i64, f64> {
    points
        .iter()
        .filter_map(|&(time, value)| Some((time.checked_sub(start_ms)?.div_euclid(MINUTE_MS), value)))
        .collect()
}

/// Covariance of minute and value over the variance of the minute, in the order of Dagger's sums.
fn slope(grid: &BTreeMap<i64, f64>, minutes: i64) -> Option<f64> {
    if minutes < 2 {
        return None;
    }
    let count = minutes as f64;
    let sum_of_minutes = count * (count - 1.0) / 2.0;
    let sum_of_squares = (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
    let (mut sum_of_values, mut sum_of_products) = (0.0, 0.0);
    for (&minute, &value) in grid.range(0..minutes) {
        sum_of_values += value;
        sum_of_products += minute as f64 * value;
    }
    let covariance = sum_of_products - sum_of_minutes * sum_of_values / count;
    let variance = sum_of_squares - sum_of_minutes * sum_of_minutes / count;
    Some(covariance / variance)
}

fn moving_average(grid: &BTreeMap<i64, f64>, minutes: f64, alpha: f64) -> f64 {
    let mut sum = 0.0;
    // From the last minute back, as Dagger adds them up.
    for (&minute, &value) in grid.range(0..minutes.ceil() as i64).rev() {
        let age = minutes - 1.0 - minute as f64;
        let weight = (1.0 - alpha).powf(age);
        sum += if age == minutes - 1.0 { value * weight } else { value * alpha * weight };
    }
    sum
}
