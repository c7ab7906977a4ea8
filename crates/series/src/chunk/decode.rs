//! Reading a chunk: the rows of a stretch of time, and of the fields only those that are wanted.

use std::ops::Range;

use super::ROWS_MAX;
use super::encode::{BOOLEAN, COLUMNS, DICTIONARY, EACH, FLOAT, GRID, INTEGER, TEXT, VERSION};
use super::order::{RowSeries, take_ordered};
use super::points::{Field, Points, Texts, Values};
use crate::TimeRange;
use crate::floats::FloatsHead;
use crate::numbers::{take_numbers, take_times};
use crate::varint::{take_bytes, take_varint};

/// What is read of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub range: TimeRange,
    /// Numbers of fields in ascending order; `None` is all.
    pub fields: Option<&'a [u32]>,
    /// Write times as well.
    pub written: bool,
}

/// Where the rows of a chunk are.
struct Layout {
    rows: usize,
    /// Rows that are wanted.
    wanted: Range<usize>,
    /// Where in the list the series of every row is; `None` if all series have all times.
    series: Option<Vec<u32>>,
    listed: usize,
}

/// `None` if the bytes are no chunk.
pub(crate) fn decode(mut bytes: &[u8], wanted: Wanted<'_>) -> Option<Points> {
    let bytes = &mut bytes;
    let mut points = Points::default();
    let layout = take_keys(bytes, &mut points, wanted.range)?;
    take_numbers(bytes, layout.rows, layout.wanted.clone(), &mut points.sequences, |number| number as u64)?;
    let rows = if wanted.written { layout.wanted.clone() } else { 0..0 };
    take_numbers(bytes, layout.rows, rows, &mut points.written, |number| number as u64)?;
    for _ in 0..take_varint(bytes)? {
        let number = u32::try_from(take_varint(bytes)?).ok()?;
        let mut field = take_bytes(bytes)?;
        if wanted.fields.is_none_or(|fields| fields.binary_search(&number).is_ok()) {
            points.fields.push(take_field(&mut field, number, &layout)?);
        }
    }
    Some(points)
}

/// The series that a chunk has, ascending.
pub(crate) fn decode_series_list(mut bytes: &[u8]) -> Option<Vec<u64>> {
    take_head(&mut bytes).map(|(_, list)| list)
}

fn take_head(bytes: &mut &[u8]) -> Option<(usize, Vec<u64>)> {
    let (version, rest) = bytes.split_first()?;
    *bytes = rest;
    let rows = usize::try_from(take_varint(bytes)?).ok()?;
    let listed = usize::try_from(take_varint(bytes)?).ok()?;
    if *version != VERSION || rows > ROWS_MAX || listed > rows {
        return None;
    }
    let mut list = Vec::new();
    take_numbers(bytes, listed, 0..listed, &mut list, |number| number as u64)?;
    Some((rows, list))
}

fn take_keys(bytes: &mut &[u8], points: &mut Points, range: TimeRange) -> Option<Layout> {
    let (rows, list) = take_head(bytes)?;
    let listed = list.len();
    points.series_list = list;
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        GRID => take_grid(bytes, points, rows, listed, range),
        COLUMNS => {
            let times = take_times(bytes, rows)?;
            let wanted = stretch(&times, range);
            let mut series = Vec::new();
            take_numbers(bytes, rows, 0..rows, &mut series, |index| index as u32)?;
            if series.iter().any(|index| *index as usize >= listed) {
                return None;
            }
            let (tagged, rest) = bytes.split_first()?;
            *bytes = rest;
            if *tagged != 0 {
                points.key_tags = Some(take_texts(bytes, rows, wanted.clone())?);
            }
            points.times = cut(times, &wanted);
            points.series = series[wanted.clone()].to_vec();
            Some(Layout { rows, wanted, series: Some(series), listed })
        }
        _ => None,
    }
}

fn take_grid(bytes: &mut &[u8], points: &mut Points, rows: usize, listed: usize, range: TimeRange) -> Option<Layout> {
    let count = usize::try_from(take_varint(bytes)?).ok()?;
    if count > rows {
        return None;
    }
    let times = take_times(bytes, count)?;
    let lines = stretch(&times, range);
    let cells = count.checked_mul(listed).filter(|cells| *cells <= ROWS_MAX)?;
    if cells == rows {
        take_numbers(bytes, cells, 0..0, &mut Vec::new(), |mark| mark)?;
        let wanted = lines.start * listed..lines.end * listed;
        points.times = Vec::with_capacity(wanted.len());
        points.series = Vec::with_capacity(wanted.len());
        for time in &times[lines] {
            points.times.resize(points.times.len() + listed, *time);
            points.series.extend(0..listed as u32);
        }
        return Some(Layout { rows, wanted, series: None, listed });
    }
    let mut marks = Vec::new();
    take_numbers(bytes, cells, 0..cells, &mut marks, |mark| mark != 0)?;
    let (mut wanted, mut series) = (0..0, Vec::with_capacity(rows));
    for (line, marks) in marks.chunks_exact(listed.max(1)).enumerate() {
        let first = series.len();
        series.extend(marks.iter().enumerate().filter(|(_, there)| **there).map(|(index, _)| index as u32));
        if line < lines.start {
            wanted = series.len()..series.len();
        } else if line < lines.end {
            wanted.end = series.len();
            points.times.resize(points.times.len() + series.len() - first, times[line]);
        }
    }
    if series.len() != rows {
        return None;
    }
    points.series = series[wanted.clone()].to_vec();
    Some(Layout { rows, wanted, series: Some(series), listed })
}

/// The part of ascending times that is within a range.
fn stretch(times: &[i64], range: TimeRange) -> Range<usize> {
    let start = range.start.map_or(0, |start| times.partition_point(|time| *time < start));
    let end = range.end.map_or(times.len(), |end| times.partition_point(|time| *time < end));
    start..end.max(start)
}

fn cut<T: Copy>(values: Vec<T>, wanted: &Range<usize>) -> Vec<T> {
    if wanted.len() == values.len() { values } else { values[wanted.clone()].to_vec() }
}

fn take_field(bytes: &mut &[u8], number: u32, layout: &Layout) -> Option<Field> {
    let (rows, wanted) = (layout.rows, layout.wanted.clone());
    let mut present = Vec::new();
    take_numbers(bytes, rows, wanted.clone(), &mut present, |mark| mark != 0)?;
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let of = RowSeries { series: layout.series.as_deref(), listed: layout.listed };
    let values = match *kind {
        FLOAT => {
            let head = FloatsHead::take(bytes)?;
            let integers = take_ordered(bytes, rows, wanted.clone(), of)?;
            Values::Float(head.floats(integers, &wanted)?)
        }
        INTEGER => Values::Integer(take_ordered(bytes, rows, wanted, of)?),
        BOOLEAN => {
            let mut values = Vec::new();
            take_numbers(bytes, rows, wanted, &mut values, |number| number != 0)?;
            Values::Boolean(values)
        }
        TEXT => Values::Text(take_texts(bytes, rows, wanted)?),
        _ => return None,
    };
    let present = (!present.iter().all(|has| *has)).then_some(present);
    Some(Field { number, present, values })
}

fn take_texts(bytes: &mut &[u8], rows: usize, wanted: Range<usize>) -> Option<Texts> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        EACH => take_each(bytes, rows, wanted),
        DICTIONARY => {
            let count = usize::try_from(take_varint(bytes)?).ok().filter(|count| *count <= rows)?;
            let distinct = take_each(bytes, count, 0..count)?;
            let mut indices = Vec::new();
            take_numbers(bytes, rows, wanted, &mut indices, |index| index as usize)?;
            let mut texts = Texts::new();
            for index in indices {
                if index >= count {
                    return None;
                }
                texts.push(distinct.get(index));
            }
            Some(texts)
        }
        _ => None,
    }
}

fn take_each(bytes: &mut &[u8], rows: usize, wanted: Range<usize>) -> Option<Texts> {
    let mut lengths = Vec::new();
    take_numbers(bytes, rows, 0..rows, &mut lengths, |length| length)?;
    let all = take_bytes(bytes)?;
    let (mut texts, mut end) = (Texts::new(), 0usize);
    for (row, length) in lengths.into_iter().enumerate() {
        let start = end;
        end = start.checked_add(usize::try_from(length).ok()?)?;
        let text = all.get(start..end)?;
        if wanted.contains(&row) {
            texts.push(text);
        }
    }
    Some(texts)
}
