//! Adding up the values of a column into cells: one for each group and window.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
use arrow::datatypes::DataType;

use crate::chunk::{Field, Values};
use crate::scan::TIME_TYPE;
use crate::window_plan::Added;
use crate::{FieldType, WindowAggregate};

/// The cells that rows go to.
pub(crate) enum Cells<'a> {
    One(usize),
    /// One for each row; `None` for a row that is not wanted.
    Each(&'a [Option<u32>]),
}

/// One cell of numbers.
#[derive(Clone, Copy)]
struct Number<T> {
    count: u64,
    /// Sum, minimum, maximum, first or last one.
    value: T,
    /// The maximum where both are wanted.
    most: T,
    time: i64,
}

/// One cell of values that are no numbers.
#[derive(Clone, Default)]
struct Other<T> {
    count: u64,
    value: T,
    time: i64,
}

enum Sums {
    Points(Vec<u64>),
    Float(Vec<Number<f64>>),
    Integer(Vec<Number<i64>>),
    Boolean(Vec<Other<bool>>),
    Text(Vec<Other<String>>),
}

/// One aggregate of one field in all cells, or the number of points in them.
pub(crate) struct WindowSums {
    aggregate: WindowAggregate,
    sums: Sums,
    /// Of texts that are kept.
    text_bytes: usize,
}

/// The type of an aggregate of a field; `None` if there is no such aggregate of it.
pub(crate) fn aggregate_type(field_type: FieldType, aggregate: WindowAggregate) -> Option<DataType> {
    use WindowAggregate as A;
    match (aggregate, field_type) {
        (A::Count, _) => Some(DataType::Int64),
        (A::FirstTime | A::LastTime, _) | (A::MinTime | A::MaxTime, FieldType::Float64 | FieldType::Int64) => {
            Some(TIME_TYPE)
        }
        (A::MinTime | A::MaxTime, _) => None,
        (A::Mean, FieldType::Float64 | FieldType::Int64) => Some(DataType::Float64),
        (A::First | A::Last, _) | (_, FieldType::Float64 | FieldType::Int64) => Some(field_type.data_type()),
        _ => None,
    }
}

impl WindowSums {
    pub(crate) fn new(added: Added) -> Self {
        let Added::Field(_, field_type, aggregate) = added else {
            return Self { aggregate: WindowAggregate::Count, sums: Sums::Points(Vec::new()), text_bytes: 0 };
        };
        let sums = match field_type {
            FieldType::Float64 => Sums::Float(Vec::new()),
            FieldType::Int64 => Sums::Integer(Vec::new()),
            FieldType::Boolean => Sums::Boolean(Vec::new()),
            FieldType::Utf8 => Sums::Text(Vec::new()),
        };
        Self { aggregate, sums, text_bytes: 0 }
    }

    /// Makes room for more cells.
    pub(crate) fn resize(&mut self, cells: usize) {
        match &mut self.sums {
            Sums::Points(sums) => sums.resize(cells, 0),
            Sums::Float(sums) => sums.resize(cells, Number { count: 0, value: 0.0, most: 0.0, time: 0 }),
            Sums::Integer(sums) => sums.resize(cells, Number { count: 0, value: 0, most: 0, time: 0 }),
            Sums::Boolean(sums) => sums.resize(cells, Other::default()),
            Sums::Text(sums) => sums.resize(cells, Other::default()),
        }
    }

    /// Counts rows.
    pub(crate) fn add_points(&mut self, rows: Range<usize>, cells: &Cells<'_>) {
        let Sums::Points(sums) = &mut self.sums else { return };
        match cells {
            Cells::One(cell) => sums[*cell] += rows.len() as u64,
            Cells::Each(cells) => cells.iter().flatten().for_each(|cell| sums[*cell as usize] += 1),
        }
    }

    /// Adds rows of a field; `None` if it is of another type.
    pub(crate) fn add(&mut self, field: &Field, times: &[i64], rows: Range<usize>, cells: &Cells<'_>) -> Option<()> {
        let present = field.present.as_deref();
        let text_bytes = &mut self.text_bytes;
        match (&mut self.sums, &field.values) {
            (Sums::Float(sums), Values::Float(values)) => {
                let wanted = Wanted { times, present, rows, cells };
                add_numbers(self.aggregate, sums, values, &wanted, |a, b| a + b);
            }
            (Sums::Integer(sums), Values::Integer(values)) => {
                let wanted = Wanted { times, present, rows, cells };
                add_numbers(self.aggregate, sums, values, &wanted, i64::wrapping_add);
            }
            (Sums::Boolean(sums), Values::Boolean(values)) => {
                let wanted = Wanted { times, present, rows, cells };
                wanted.each(|row, cell| {
                    sums[cell].add(self.aggregate, times[row], |kept| values[row] & !kept, || values[row]);
                });
            }
            (Sums::Text(sums), Values::Text(texts)) => {
                let wanted = Wanted { times, present, rows, cells };
                wanted.each(|row, cell| {
                    let text = texts.get(row);
                    let keep = || String::from_utf8_lossy(text).into_owned();
                    let before = sums[cell].value.len();
                    sums[cell].add(self.aggregate, times[row], |kept| text > kept.as_bytes(), keep);
                    *text_bytes = *text_bytes - before + sums[cell].value.len();
                });
            }
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    fn count(&self, cell: usize) -> u64 {
        match &self.sums {
            Sums::Points(sums) => sums[cell],
            Sums::Float(sums) => sums[cell].count,
            Sums::Integer(sums) => sums[cell].count,
            Sums::Boolean(sums) => sums[cell].count,
            Sums::Text(sums) => sums[cell].count,
        }
    }

    fn time(&self, cell: usize) -> i64 {
        match &self.sums {
            Sums::Points(_) => 0,
            Sums::Float(sums) => sums[cell].time,
            Sums::Integer(sums) => sums[cell].time,
            Sums::Boolean(sums) => sums[cell].time,
            Sums::Text(sums) => sums[cell].time,
        }
    }

    /// The column of an aggregate that is made of these sums, of some cells in the order given.
    pub(crate) fn finish(&self, aggregate: WindowAggregate, cells: &[usize]) -> ArrayRef {
        use WindowAggregate as A;
        let found = cells.iter().map(|cell| Some(*cell).filter(|cell| self.count(*cell) > 0));
        match (aggregate, &self.sums) {
            (A::Count, _) | (_, Sums::Points(_)) => {
                Arc::new(Int64Array::from_iter_values(cells.iter().map(|cell| self.count(*cell) as i64)))
            }
            (A::MinTime | A::MaxTime | A::FirstTime | A::LastTime, _) => {
                let times = found.map(|cell| cell.map(|cell| self.time(cell)));
                Arc::new(times.collect::<TimestampNanosecondArray>())
            }
            (_, Sums::Float(sums)) => {
                let value = |number: Number<f64>| match aggregate {
                    A::Mean => number.value / number.count as f64,
                    A::Spread => number.most - number.value,
                    _ => number.value,
                };
                Arc::new(found.map(|cell| cell.map(|cell| value(sums[cell]))).collect::<Float64Array>())
            }
            (A::Mean, Sums::Integer(sums)) => {
                let mean = |number: Number<i64>| number.value as f64 / number.count as f64;
                Arc::new(found.map(|cell| cell.map(|cell| mean(sums[cell]))).collect::<Float64Array>())
            }
            (_, Sums::Integer(sums)) => {
                let value = |number: Number<i64>| match aggregate {
                    A::Spread => number.most.wrapping_sub(number.value),
                    _ => number.value,
                };
                Arc::new(found.map(|cell| cell.map(|cell| value(sums[cell]))).collect::<Int64Array>())
            }
            (_, Sums::Boolean(sums)) => {
                Arc::new(found.map(|cell| cell.map(|cell| sums[cell].value)).collect::<BooleanArray>())
            }
            (_, Sums::Text(sums)) => {
                Arc::new(found.map(|cell| cell.map(|cell| sums[cell].value.as_str())).collect::<StringArray>())
            }
        }
    }
}

/// Rows that are added, and where to.
struct Wanted<'a> {
    times: &'a [i64],
    present: Option<&'a [bool]>,
    rows: Range<usize>,
    cells: &'a Cells<'a>,
}

impl Wanted<'_> {
    #[inline(always)]
    fn each(&self, mut add: impl FnMut(usize, usize)) {
        let has = |row: usize| self.present.is_none_or(|present| present[row]);
        match self.cells {
            Cells::One(cell) => self.rows.clone().filter(|row| has(*row)).for_each(|row| add(row, *cell)),
            Cells::Each(cells) => {
                for (row, cell) in self.rows.clone().zip(*cells) {
                    if let Some(cell) = cell
                        && has(row)
                    {
                        add(row, *cell as usize);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn add_each<T: Copy>(&self, sums: &mut [Number<T>], values: &[T], add: impl Fn(&mut Number<T>, T, i64)) {
        if let (Cells::One(cell), None) = (self.cells, self.present) {
            // In registers.
            let mut number = sums[*cell];
            for (value, time) in values[self.rows.clone()].iter().zip(&self.times[self.rows.clone()]) {
                add(&mut number, *value, *time);
            }
            sums[*cell] = number;
            return;
        }
        self.each(|row, cell| add(&mut sums[cell], values[row], self.times[row]));
    }
}

/// What is not a number is neither a minimum nor a maximum, unless there is nothing else.
fn is_nan<T: PartialOrd>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}

fn add_numbers<T: Copy + PartialOrd>(
    aggregate: WindowAggregate,
    sums: &mut [Number<T>],
    values: &[T],
    wanted: &Wanted<'_>,
    plus: impl Fn(T, T) -> T,
) {
    use WindowAggregate as A;
    match aggregate {
        A::Count => wanted.add_each(sums, values, |number, _, _| number.count += 1),
        A::Sum | A::Mean => wanted.add_each(sums, values, |number, value, _| {
            number.value = plus(number.value, value);
            number.count += 1;
        }),
        A::Min => wanted.add_each(sums, values, |number, value, _| {
            if number.count == 0 || value < number.value || is_nan(number.value) {
                number.value = value;
            }
            number.count += 1;
        }),
        A::Max => wanted.add_each(sums, values, |number, value, _| {
            if number.count == 0 || value > number.value || is_nan(number.value) {
                number.value = value;
            }
            number.count += 1;
        }),
        A::MinTime => wanted.add_each(sums, values, |number, value, time| {
            let better = value < number.value || is_nan(number.value);
            if number.count == 0 || better || (value == number.value && time < number.time) {
                (number.value, number.time) = (value, time);
            }
            number.count += 1;
        }),
        A::MaxTime => wanted.add_each(sums, values, |number, value, time| {
            let better = value > number.value || is_nan(number.value);
            if number.count == 0 || better || (value == number.value && time < number.time) {
                (number.value, number.time) = (value, time);
            }
            number.count += 1;
        }),
        A::Spread => wanted.add_each(sums, values, |number, value, _| {
            if number.count == 0 || value < number.value || is_nan(number.value) {
                number.value = value;
            }
            if number.count == 0 || value > number.most || is_nan(number.most) {
                number.most = value;
            }
            number.count += 1;
        }),
        A::First | A::FirstTime => wanted.add_each(sums, values, |number, value, time| {
            if number.count == 0 || time < number.time || (time == number.time && value > number.value) {
                (number.value, number.time) = (value, time);
            }
            number.count += 1;
        }),
        A::Last | A::LastTime => wanted.add_each(sums, values, |number, value, time| {
            if number.count == 0 || time > number.time || (time == number.time && value > number.value) {
                (number.value, number.time) = (value, time);
            }
            number.count += 1;
        }),
    }
}

impl<T> Other<T> {
    /// Takes a value; `greater` says whether it is greater than the one that is kept.
    fn add(&mut self, aggregate: WindowAggregate, time: i64, greater: impl Fn(&T) -> bool, keep: impl FnOnce() -> T) {
        let earlier_or_later = match aggregate {
            WindowAggregate::First => time < self.time,
            WindowAggregate::Last => time > self.time,
            _ => {
                self.count += 1;
                return;
            }
        };
        if self.count == 0 || earlier_or_later || (time == self.time && greater(&self.value)) {
            (self.value, self.time) = (keep(), time);
        }
        self.count += 1;
    }
}
