//! Points in memory, column by column, in the order of their keys: time, series, tags kept with the point.

use std::cmp::Ordering;
use std::ops::Range;

use crate::FieldType;

/// Texts, each by its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts {
    /// One more than there are texts.
    pub ends: Vec<u32>,
    pub bytes: Vec<u8>,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.ends[index] as usize..self.ends[index + 1] as usize]
    }

    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        let mut texts = Self::new();
        rows.iter().for_each(|row| texts.push(self.get(*row as usize)));
        texts
    }

    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }
}

/// The values of a field, one for each row; where there is none, any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Boolean(Vec<bool>),
    Text(Texts),
}

impl Values {
    pub(crate) fn new(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Float64 => Self::Float(Vec::new()),
            FieldType::Int64 => Self::Integer(Vec::new()),
            FieldType::Boolean => Self::Boolean(Vec::new()),
            FieldType::Utf8 => Self::Text(Texts::new()),
        }
    }

    pub(crate) fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float64,
            Self::Integer(_) => FieldType::Int64,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Text(_) => FieldType::Utf8,
        }
    }

    /// Appends rows of other values of the same type; `false` if they are of another.
    fn extend(&mut self, other: &Self, rows: Range<usize>) -> bool {
        match (self, other) {
            (Self::Float(all), Self::Float(more)) => all.extend_from_slice(&more[rows]),
            (Self::Integer(all), Self::Integer(more)) => all.extend_from_slice(&more[rows]),
            (Self::Boolean(all), Self::Boolean(more)) => all.extend_from_slice(&more[rows]),
            (Self::Text(all), Self::Text(more)) => rows.for_each(|row| all.push(more.get(row))),
            _ => return false,
        }
        true
    }

    /// Appends rows that have no value, as the last one that has: equal neighbours are small.
    pub(crate) fn fill(&mut self, count: usize) {
        match self {
            Self::Float(values) => values.resize(values.len() + count, values.last().copied().unwrap_or(0.0)),
            Self::Integer(values) => values.resize(values.len() + count, values.last().copied().unwrap_or(0)),
            Self::Boolean(values) => values.resize(values.len() + count, values.last().copied().unwrap_or(false)),
            Self::Text(texts) => (0..count).for_each(|_| texts.push(b"")),
        }
    }
}

/// One field of all rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub number: u32,
    /// Which rows have it; `None` is all of them.
    pub present: Option<Vec<bool>>,
    pub values: Values,
}

impl Field {
    pub(crate) fn has(&self, row: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present[row])
    }

    pub(crate) fn rows(&self) -> usize {
        match &self.values {
            Values::Float(values) => values.len(),
            Values::Integer(values) => values.len(),
            Values::Boolean(values) => values.len(),
            Values::Text(texts) => texts.len(),
        }
    }

    /// Appends rows of the same field in other points, or as many without it; `None` if it is of another type there.
    pub(crate) fn extend(&mut self, other: Option<&Self>, rows: Range<usize>) -> Option<()> {
        let (before, count) = (self.rows(), rows.len());
        if self.present.is_none() && other.is_none_or(|other| other.present.is_some()) {
            self.present = Some(vec![true; before]);
        }
        if let Some(present) = &mut self.present {
            match other.map(|other| &other.present) {
                Some(Some(more)) => present.extend_from_slice(&more[rows.clone()]),
                Some(None) => present.resize(before + count, true),
                None => present.resize(before + count, false),
            }
        }
        match other {
            Some(other) => self.values.extend(&other.values, rows).then_some(()),
            None => {
                self.values.fill(count);
                Some(())
            }
        }
    }

    /// Rows in the order given.
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        fn of<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        let present: Option<Vec<bool>> = self.present.as_ref().map(|present| of(present, rows));
        let values = match &self.values {
            Values::Float(values) => Values::Float(of(values, rows)),
            Values::Integer(values) => Values::Integer(of(values, rows)),
            Values::Boolean(values) => Values::Boolean(of(values, rows)),
            Values::Text(texts) => Values::Text(texts.select(rows)),
        };
        let present = present.filter(|present| present.iter().any(|has| !has));
        Self { number: self.number, present, values }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points {
    /// Nanoseconds.
    pub times: Vec<i64>,
    /// The series that there are, ascending.
    pub series_list: Vec<u64>,
    /// Where in the list the series of each row is.
    pub series: Vec<u32>,
    /// Encoded tags that are kept with each point; `None` if no point has any.
    pub key_tags: Option<Texts>,
    /// Number of the last write.
    pub sequences: Vec<u64>,
    /// Time of the last write in seconds.
    pub written: Vec<u64>,
    /// In ascending order of their numbers.
    pub fields: Vec<Field>,
}

/// What tells a point from the others of its measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<'a> {
    pub time: i64,
    pub series: u64,
    pub tags: &'a [u8],
}

impl Points {
    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn key_tags_of(&self, row: usize) -> &[u8] {
        self.key_tags.as_ref().map_or(&[], |tags| tags.get(row))
    }

    pub(crate) fn key(&self, row: usize) -> Key<'_> {
        Key { time: self.times[row], series: self.series_list[self.series[row] as usize], tags: self.key_tags_of(row) }
    }

    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok().map(|index| &self.fields[index])
    }

    /// The row of a key, if there is one.
    pub(crate) fn find(&self, key: Key<'_>) -> Option<usize> {
        let (mut low, mut high) = (0, self.rows());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(&key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Some of the rows, which are in ascending order.
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        fn of<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        let numbers: Vec<u64> = rows.iter().map(|row| self.series_list[self.series[*row as usize] as usize]).collect();
        let (series_list, series) = list_series(&numbers);
        let fields = self.fields.iter().map(|field| field.select(rows));
        Self {
            times: of(&self.times, rows),
            series_list,
            series,
            key_tags: self.key_tags.as_ref().map(|tags| tags.select(rows)),
            sequences: of(&self.sequences, rows),
            written: of(&self.written, rows),
            fields: fields.filter(|field| (0..rows.len()).any(|row| field.has(row))).collect(),
        }
    }

    /// Bytes that these points take in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let fixed = self.rows() * (8 + 4 + 8 + 8);
        let texts = |texts: &Texts| texts.bytes.len() + texts.ends.len() * 4;
        let fields = self.fields.iter().map(|field| match &field.values {
            Values::Text(values) => texts(values),
            Values::Boolean(values) => values.len(),
            Values::Float(_) | Values::Integer(_) => self.rows() * 8,
        });
        fixed + fields.sum::<usize>() + self.key_tags.as_ref().map_or(0, texts)
    }
}

/// The distinct series of some rows in ascending order, and where in it that of each row is.
pub(crate) fn list_series(numbers: &[u64]) -> (Vec<u64>, Vec<u32>) {
    let (Some(first), Some(last)) = (numbers.iter().min().copied(), numbers.iter().max().copied()) else {
        return (Vec::new(), Vec::new());
    };
    let span = last - first;
    // Numbers lie close together as a rule: a table over all of them is faster than sorting and searching.
    if span <= numbers.len().saturating_mul(4) as u64 {
        let mut table = vec![0u32; span as usize + 1];
        numbers.iter().for_each(|number| table[(number - first) as usize] = 1);
        let mut list = Vec::new();
        for (number, place) in (first..=last).zip(&mut table) {
            if *place > 0 {
                *place = list.len() as u32;
                list.push(number);
            }
        }
        let index = numbers.iter().map(|number| table[(number - first) as usize]).collect();
        return (list, index);
    }
    let mut list = numbers.to_vec();
    list.sort_unstable();
    list.dedup();
    let index = numbers.iter().map(|number| list.binary_search(number).unwrap_or_default() as u32).collect();
    (list, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_listed_whether_they_lie_close_together_or_not() {
        for numbers in [vec![7, 3, 3, 9], vec![1 << 40, 3, 1 << 40, u64::MAX], vec![1, 2, 3], vec![]] {
            let (list, index) = list_series(&numbers);
            assert!(list.is_sorted());
            let found: Vec<u64> = index.iter().map(|index| list[*index as usize]).collect();
            assert_eq!(found, numbers);
        }
    }
}
