//! Points as the bytes of a chunk.
//!
//! Version, number of rows; the keys; sequence numbers and write times; the fields, each with its length so that it can be
//! skipped. Keys are a grid (times x series with a mark for each that is there), or a column each.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::ROWS_MAX;
use super::order::put_ordered;
use super::points::{Field, Points, Texts, Values};
use crate::floats::Floats;
use crate::numbers::{put_numbers, put_times};
use crate::varint::put_varint;

pub(super) const VERSION: u8 = 2;
pub(super) const GRID: u8 = 0;
pub(super) const COLUMNS: u8 = 1;
pub(super) const EACH: u8 = 0;
pub(super) const DICTIONARY: u8 = 1;
pub(super) const FLOAT: u8 = 0;
pub(super) const INTEGER: u8 = 1;
pub(super) const BOOLEAN: u8 = 2;
pub(super) const TEXT: u8 = 3;

/// Cells of a grid for each row that is there, at most.
const GRID_CELLS_PER_ROW_MAX: usize = 4;
/// Below this many rows of each series, values are not tried along their series.
const ROWS_OF_SERIES_MIN: usize = 2;

pub(crate) fn encode(points: &Points) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + points.rows() * 4);
    out.push(VERSION);
    put_varint(&mut out, points.rows() as u64);
    put_varint(&mut out, points.series_list.len() as u64);
    put_numbers(&mut out, &signed(&points.series_list));
    put_keys(&mut out, points);
    put_numbers(&mut out, &signed(&points.sequences));
    put_numbers(&mut out, &signed(&points.written));
    put_varint(&mut out, points.fields.len() as u64);
    let listed = points.series_list.len();
    let along_series = points.rows() >= listed * ROWS_OF_SERIES_MIN && listed > 1;
    let series = along_series.then_some((points.series.as_slice(), listed));
    let mut bytes = Vec::new();
    for field in &points.fields {
        bytes.clear();
        put_field(&mut bytes, field, series);
        put_varint(&mut out, u64::from(field.number));
        put_varint(&mut out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }
    out
}

fn signed(numbers: &[u64]) -> Vec<i64> {
    numbers.iter().map(|number| *number as i64).collect()
}

fn put_keys(out: &mut Vec<u8>, points: &Points) {
    if let Some((times, marks)) = grid(points) {
        out.push(GRID);
        put_varint(out, times.len() as u64);
        put_times(out, &times);
        put_numbers(out, &marks);
        return;
    }
    out.push(COLUMNS);
    put_times(out, &points.times);
    put_numbers(out, &points.series.iter().map(|index| i64::from(*index)).collect::<Vec<_>>());
    out.push(u8::from(points.key_tags.is_some()));
    if let Some(tags) = &points.key_tags {
        put_texts(out, tags);
    }
}

/// Distinct times, and for each of them and each series 1 if there is such a point; `None` if too few are there.
fn grid(points: &Points) -> Option<(Vec<i64>, Vec<i64>)> {
    if points.key_tags.is_some() {
        return None;
    }
    let mut times = points.times.clone();
    times.dedup();
    let width = points.series_list.len();
    let cells = times.len().checked_mul(width)?;
    if cells > points.rows().saturating_mul(GRID_CELLS_PER_ROW_MAX).min(ROWS_MAX) {
        return None;
    }
    if cells == points.rows() {
        return Some((times, vec![1; cells]));
    }
    let mut marks = vec![0; cells];
    let mut line = 0;
    for (time, series) in points.times.iter().zip(&points.series) {
        while times[line] != *time {
            line += 1;
        }
        marks[line * width + *series as usize] = 1;
    }
    Some((times, marks))
}

fn put_field(out: &mut Vec<u8>, field: &Field, series: Option<(&[u32], usize)>) {
    let marks = field.present.as_ref().map(|present| present.iter().map(|has| i64::from(*has)).collect());
    put_numbers(out, &marks.unwrap_or_else(|| vec![1; 1]));
    let present = field.present.as_deref();
    match &field.values {
        Values::Float(values) => {
            out.push(FLOAT);
            let floats = Floats::new(&without_gaps(values, present));
            floats.put_head(out);
            put_ordered(out, floats.integers(), present, series);
        }
        Values::Integer(values) => {
            out.push(INTEGER);
            put_ordered(out, &without_gaps(values, present), present, series);
        }
        Values::Boolean(values) => {
            out.push(BOOLEAN);
            put_numbers(out, &values.iter().map(|value| i64::from(*value)).collect::<Vec<_>>());
        }
        Values::Text(texts) => {
            out.push(TEXT);
            put_texts(out, texts);
        }
    }
}

/// Values with those of rows that have none as the one before: equal neighbours are small.
fn without_gaps<'a, T: Copy>(values: &'a [T], present: Option<&[bool]>) -> Cow<'a, [T]> {
    let Some(present) = present else { return Cow::Borrowed(values) };
    let Some(first) = present.iter().position(|has| *has) else { return Cow::Borrowed(values) };
    let mut last = values[first];
    let filled = values.iter().zip(present).map(|(value, has)| {
        if *has {
            last = *value;
        }
        last
    });
    Cow::Owned(filled.collect())
}

/// Texts with a dictionary if at most half of them are distinct.
fn put_texts(out: &mut Vec<u8>, texts: &Texts) {
    let mut numbers: HashMap<&[u8], i64> = HashMap::new();
    let mut distinct = Texts::new();
    let mut indices = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        let next = distinct.len() as i64;
        let number = *numbers.entry(texts.get(row)).or_insert(next);
        if number == next {
            distinct.push(texts.get(row));
            if distinct.len() > texts.len() / 2 + 1 {
                break;
            }
        }
        indices.push(number);
    }
    if indices.len() < texts.len() {
        out.push(EACH);
        put_each(out, texts);
    } else {
        out.push(DICTIONARY);
        put_varint(out, distinct.len() as u64);
        put_each(out, &distinct);
        put_numbers(out, &indices);
    }
}

fn put_each(out: &mut Vec<u8>, texts: &Texts) {
    let lengths: Vec<i64> = texts.ends.windows(2).map(|ends| i64::from(ends[1] - ends[0])).collect();
    put_numbers(out, &lengths);
    put_varint(out, texts.bytes.len() as u64);
    out.extend_from_slice(&texts.bytes);
}
