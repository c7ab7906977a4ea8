//! Functions that go from point to point of a group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::functions::unsupported;
use super::level::Level;
use super::sequence::Sequence;
use crate::QueryError;

/// Units are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    Derivative { unit: i64, non_negative: bool },
    Difference { non_negative: bool },
    Elapsed { unit: i64 },
    MovingAverage { size: usize },
    CumulativeSum,
    Integral { unit: i64 },
}

impl Transform {
    fn name(self) -> &'static str {
        match self {
            Self::Derivative { .. } => "derivative",
            Self::Difference { .. } => "difference",
            Self::Elapsed { .. } => "elapsed",
            Self::MovingAverage { .. } => "moving average",
            Self::CumulativeSum => "cumulative sum",
            Self::Integral { .. } => "integral",
        }
    }

    /// Whether it takes values of a type.
    pub fn check(self, values: &DataType) -> Result<(), QueryError> {
        match (self, values) {
            (Self::Elapsed { .. }, _) | (_, DataType::Float64 | DataType::Int64 | DataType::Null) => Ok(()),
            _ => Err(unsupported(self.name(), values)),
        }
    }

    pub fn apply(self, input: &Sequence, level: &Level) -> Result<Sequence, QueryError> {
        self.check(input.values.data_type())?;
        let rows: Vec<usize> = input.present().collect();
        let times: Vec<i64> = rows.iter().map(|row| input.times[*row]).collect();
        if let Self::Elapsed { unit } = self {
            return Ok(elapsed(&times, unit));
        }
        if let Some(values) = input.values.as_primitive_opt::<Int64Type>() {
            let values: Vec<i64> = rows.iter().map(|row| values.value(*row)).collect();
            return Ok(match self {
                Self::Difference { non_negative } => integer_difference(&times, &values, non_negative),
                Self::CumulativeSum => {
                    let mut sum = 0_i64;
                    let sums = values.iter().map(|value| {
                        sum = sum.wrapping_add(*value);
                        sum
                    });
                    integers(times, sums.collect())
                }
                Self::MovingAverage { size } => integer_average(&times, &values, size),
                Self::Derivative { unit, non_negative } => {
                    let between = |before: i64, after: i64| after.wrapping_sub(before) as f64;
                    derivative(&times, &values, unit, non_negative, level.ascending, between)
                }
                _ => self.of_floats(&times, &values.iter().map(|value| *value as f64).collect::<Vec<_>>(), level),
            });
        }
        let values = match input.values.as_primitive_opt::<Float64Type>() {
            Some(values) => rows.iter().map(|row| values.value(*row)).collect(),
            None => Vec::new(),
        };
        Ok(self.of_floats(&times, &values, level))
    }

    fn of_floats(self, times: &[i64], values: &[f64], level: &Level) -> Sequence {
        match self {
            Self::Derivative { unit, non_negative } => {
                let between = |before: f64, after: f64| after - before;
                derivative(times, values, unit, non_negative, level.ascending, between)
            }
            Self::Difference { non_negative } => float_difference(times, values, non_negative),
            Self::MovingAverage { size } => float_average(times, values, size),
            Self::CumulativeSum => {
                let mut sum = 0.0;
                let sums = values.iter().map(|value| {
                    sum += value;
                    sum
                });
                floats(times.to_vec(), sums.collect())
            }
            Self::Integral { unit } => integral(times, values, unit, level),
            Self::Elapsed { unit } => elapsed(times, unit),
        }
    }
}

fn sequence(times: Vec<i64>, values: ArrayRef) -> Sequence {
    Sequence { times, values, auxiliary: Vec::new() }
}

fn floats(times: Vec<i64>, values: Vec<f64>) -> Sequence {
    sequence(times, Arc::new(Float64Array::from(values)))
}

fn integers(times: Vec<i64>, values: Vec<i64>) -> Sequence {
    sequence(times, Arc::new(Int64Array::from(values)))
}

/// Places of points and of those before them; of points at the same time the first counts.
fn steps(times: &[i64]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut before = None;
    (0..times.len()).filter_map(move |place| {
        let step = match before {
            Some(before) if times[before] == times[place] => return None,
            before => before.map(|before| (before, place)),
        };
        before = Some(place);
        step
    })
}

fn derivative<T: Copy>(
    times: &[i64],
    values: &[T],
    unit: i64,
    non_negative: bool,
    ascending: bool,
    between: impl Fn(T, T) -> f64,
) -> Sequence {
    let (mut at, mut slopes) = (Vec::new(), Vec::new());
    for (before, place) in steps(times) {
        let difference = between(values[before], values[place]);
        if non_negative && difference < 0.0 {
            continue;
        }
        let elapsed = times[place].wrapping_sub(times[before]);
        let elapsed = if ascending { elapsed } else { -elapsed };
        at.push(times[place]);
        slopes.push(difference / (elapsed as f64 / unit as f64));
    }
    floats(at, slopes)
}

fn float_difference(times: &[i64], values: &[f64], non_negative: bool) -> Sequence {
    let differences = steps(times).map(|(before, place)| (times[place], values[place] - values[before]));
    let (times, values) = differences.filter(|(_, value)| !non_negative || *value >= 0.0 || value.is_nan()).unzip();
    floats(times, values)
}

fn integer_difference(times: &[i64], values: &[i64], non_negative: bool) -> Sequence {
    let differences = steps(times).map(|(before, place)| (times[place], values[place].wrapping_sub(values[before])));
    let (times, values) = differences.filter(|(_, value)| !non_negative || *value >= 0).unzip();
    integers(times, values)
}

fn elapsed(times: &[i64], unit: i64) -> Sequence {
    let between = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).checked_div(unit).unwrap_or(0)).collect();
    integers(times.iter().skip(1).copied().collect(), between)
}

fn float_average(times: &[i64], values: &[f64], size: usize) -> Sequence {
    let mut sum = 0.0;
    let mut averages = Vec::new();
    for (place, value) in values.iter().enumerate() {
        if place >= size {
            sum -= values[place - size];
        }
        sum += value;
        if place + 1 >= size {
            averages.push(sum / size as f64);
        }
    }
    floats(times.iter().skip(size.saturating_sub(1)).copied().collect(), averages)
}

fn integer_average(times: &[i64], values: &[i64], size: usize) -> Sequence {
    let mut sum = 0_i64;
    let mut averages = Vec::new();
    for (place, value) in values.iter().enumerate() {
        if place >= size {
            sum = sum.wrapping_sub(values[place - size]);
        }
        sum = sum.wrapping_add(*value);
        if place + 1 >= size {
            averages.push(sum as f64 / size as f64);
        }
    }
    floats(times.iter().skip(size.saturating_sub(1)).copied().collect(), averages)
}

/// The area below the line through the points, of each window if there are windows.
fn integral(times: &[i64], values: &[f64], unit: i64, level: &Level) -> Sequence {
    let windows = !level.interval.is_none();
    let (mut at, mut areas) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    let window = |time: i64, start: &mut i64, end: &mut i64| {
        let (first, last) = level.window(time);
        (*start, *end) = if level.ascending { (first, last) } else { (last, first) };
    };
    let mut previous: Option<(i64, f64)> = None;
    let mut sum = 0.0;
    for (time, value) in times.iter().copied().zip(values.iter().copied()) {
        let Some((mut before, mut before_value)) = previous else {
            if windows {
                window(time, &mut start, &mut end);
            }
            previous = Some((time, value));
            continue;
        };
        previous = Some((time, value));
        if before == time {
            continue;
        }
        let passed = if level.ascending { time >= end } else { time <= end };
        if windows && passed {
            if before != end {
                let slope = (value - before_value) / (time - before) as f64;
                let edge = slope * (end - before) as f64 + before_value;
                sum += 0.5 * (edge + before_value) * ((end - before) as f64 / unit as f64);
                (before, before_value) = (end, edge);
            }
            at.push(start);
            areas.push(sum);
            window(time, &mut start, &mut end);
            sum = 0.0;
        }
        sum += 0.5 * (value + before_value) * ((time - before) as f64 / unit as f64);
    }
    if previous.is_some_and(|(time, _)| time != start) {
        at.push(start);
        areas.push(sum);
    }
    floats(at, areas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sequence: &Sequence) -> Vec<f64> {
        sequence.values.as_primitive::<Float64Type>().values().to_vec()
    }

    #[test]
    fn averages_need_full_windows() {
        let averages = float_average(&[1, 2, 3, 4], &[2.0, 4.0, 6.0, 9.0], 2);
        assert_eq!(averages.times, [2, 3, 4]);
        assert_eq!(values(&averages), [3.0, 5.0, 7.5]);
        assert!(float_average(&[1], &[2.0], 2).times.is_empty());
    }

    #[test]
    fn slopes_take_the_first_point_of_a_time() {
        let slopes = derivative(&[0, 0, 10], &[1.0, 9.0, 6.0], 5, false, true, |a: f64, b: f64| b - a);
        assert_eq!((slopes.times.as_slice(), values(&slopes)), ([10].as_slice(), vec![2.5]));
        let slopes = derivative(&[0, 10, 20], &[5_i64, 1, 3], 10, true, true, |a, b| (b - a) as f64);
        assert_eq!((slopes.times.as_slice(), values(&slopes)), ([20].as_slice(), vec![2.0]));
    }
}
