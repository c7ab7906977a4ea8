//! Reading a chunk: the rows of a stretch of time, and of the fields only those that are wanted.

use std::ops::Range;

use super::ROWS_MAX;
use super::encode::{BOOLEAN, COLUMNS, DICTIONARY, EACH, FLOAT, GRID, INTEGER, TEXT, VERSION};
use super::order::{RowSeries, take_ordered};
use super::points::{Field, Points, Texts, Values};
use super::rows::Rows;
use crate::TimeRange;
use crate::floats::FloatsHead;
use crate::numbers::{find_numbers, take_numbers, take_numbers_at, take_times};
use crate::varint::{take_bytes, take_varint};

/// What is read of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub range: TimeRange,
    /// Numbers of fields in ascending order; `None` is all.
    pub fields: Option<&'a [u32]>,
    /// Write times as well.
    pub written: bool,
    /// Where in the chunk's list those few series are that are wanted, ascending; no others are in the points then. `None` is
    /// all.
    pub series: Option<&'a [u32]>,
}

/// Where the rows of a chunk are.
struct Layout {
    rows: usize,
    /// Rows that are wanted.
    wanted: Rows,
    /// Where in the list the series of every row is; `None` if all series have all times.
    series: Option<Vec<u32>>,
    listed: usize,
}

/// `None` if the bytes are no chunk.
pub(crate) fn decode(mut bytes: &[u8], wanted: Wanted<'_>) -> Option<Points> {
    let bytes = &mut bytes;
    let mut points = Points::default();
    let layout = take_keys(bytes, &mut points, &wanted)?;
    layout.wanted.take(bytes, layout.rows, &mut points.sequences, |number| number as u64)?;
    let none = Rows::none();
    let rows = if wanted.written { &layout.wanted } else { &none };
    rows.take(bytes, layout.rows, &mut points.written, |number| number as u64)?;
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
    let (_, listed) = take_head(&mut bytes)?;
    let mut list = Vec::new();
    take_numbers(&mut bytes, listed, 0..listed, &mut list, |number| number as u64)?;
    Some(list)
}

/// How many series a chunk lists.
pub(crate) fn decode_listed(mut bytes: &[u8]) -> Option<usize> {
    take_head(&mut bytes).map(|(_, listed)| listed)
}

/// Where in a chunk's list some series are, given in ascending order: of each that it has, its place and which one it is.
pub(crate) fn find_series(mut bytes: &[u8], wanted: impl Iterator<Item = u64>) -> Option<Vec<(u32, usize)>> {
    let (_, listed) = take_head(&mut bytes)?;
    find_numbers(bytes, listed, wanted.map(|number| number as i64))
}

/// Rows, and series that are listed.
fn take_head(bytes: &mut &[u8]) -> Option<(usize, usize)> {
    let (version, rest) = bytes.split_first()?;
    *bytes = rest;
    let rows = usize::try_from(take_varint(bytes)?).ok()?;
    let listed = usize::try_from(take_varint(bytes)?).ok()?;
    (*version == VERSION && rows <= ROWS_MAX && listed <= rows).then_some((rows, listed))
}

fn take_keys(bytes: &mut &[u8], points: &mut Points, wanted: &Wanted<'_>) -> Option<Layout> {
    let (rows, listed) = take_head(bytes)?;
    let picked = wanted.series;
    match picked {
        Some(places) => take_numbers_at(bytes, listed, places, &mut points.series_list, |number| number as u64)?,
        None => take_numbers(bytes, listed, 0..listed, &mut points.series_list, |number| number as u64)?,
    }
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        GRID => take_grid(bytes, points, rows, listed, wanted.range, picked),
        COLUMNS => {
            let times = take_times(bytes, rows)?;
            let stretch = stretch(&times, wanted.range);
            let mut series = Vec::new();
            take_numbers(bytes, rows, 0..rows, &mut series, |index| index as u32)?;
            if series.iter().any(|index| *index as usize >= listed) {
                return None;
            }
            let wanted = rows_of(stretch, &series, listed, picked);
            let (tagged, rest) = bytes.split_first()?;
            *bytes = rest;
            if *tagged != 0 {
                points.key_tags = Some(take_texts(bytes, rows, &wanted)?);
            }
            points.series = series_of_rows(&series, &wanted)?;
            points.times = match &wanted {
                Rows::Stretch(all) if all.len() == times.len() => times,
                _ => of_rows(&times, &wanted)?,
            };
            Some(Layout { rows, wanted, series: Some(series), listed })
        }
        _ => None,
    }
}

/// The rows of a stretch that are wanted.
fn rows_of(stretch: Range<usize>, series: &[u32], listed: usize, picked: Option<&[u32]>) -> Rows {
    let Some(places) = picked else { return Rows::Stretch(stretch) };
    // Of each series in the list: which of those that are picked it is, plus one.
    let mut numbers = vec![0; listed];
    for (number, place) in (1..).zip(places) {
        numbers[*place as usize] = number;
    }
    let of_row = (0u32..).zip(&series[..stretch.end]).map(|(row, series)| (row, numbers[*series as usize]));
    let (rows, series): (Vec<u32>, Vec<u32>) =
        of_row.filter(|(_, number)| *number > 0).map(|(row, number)| (row, number - 1)).unzip();
    let before = rows.partition_point(|row| (*row as usize) < stretch.start);
    Rows::Picked { rows, before, series, places: places.to_vec() }
}

/// Of each row that is wanted, where its series is in the list of the points.
fn series_of_rows(series: &[u32], wanted: &Rows) -> Option<Vec<u32>> {
    match wanted {
        Rows::Stretch(wanted) => series.get(wanted.clone()).map(<[u32]>::to_vec),
        Rows::Picked { series, before, .. } => series.get(*before..).map(<[u32]>::to_vec),
    }
}

fn take_grid(
    bytes: &mut &[u8],
    points: &mut Points,
    rows: usize,
    listed: usize,
    range: TimeRange,
    picked: Option<&[u32]>,
) -> Option<Layout> {
    let count = usize::try_from(take_varint(bytes)?).ok()?;
    if count > rows {
        return None;
    }
    let times = take_times(bytes, count)?;
    let lines = stretch(&times, range);
    let cells = count.checked_mul(listed).filter(|cells| *cells <= ROWS_MAX)?;
    if cells == rows {
        take_numbers(bytes, cells, 0..0, &mut Vec::new(), |mark| mark)?;
        let width = picked.map_or(listed, <[u32]>::len);
        points.times = Vec::with_capacity(lines.len() * width);
        points.series = Vec::with_capacity(lines.len() * width);
        for time in &times[lines.clone()] {
            points.times.resize(points.times.len() + width, *time);
            points.series.extend(0..width as u32);
        }
        let wanted = match picked {
            Some(places) => {
                let starts = (0..lines.end).map(|line| (line * listed) as u32);
                let rows = starts.flat_map(|start| places.iter().map(move |place| start + place)).collect();
                let series = (0..lines.end).flat_map(|_| 0..width as u32).collect();
                Rows::Picked { rows, before: lines.start * width, series, places: places.to_vec() }
            }
            None => Rows::Stretch(lines.start * listed..lines.end * listed),
        };
        return Some(Layout { rows, wanted, series: None, listed });
    }
    let mut marks = Vec::new();
    take_numbers(bytes, cells, 0..cells, &mut marks, |mark| mark != 0)?;
    let (mut stretch, mut series, mut row_times) = (0..0, Vec::with_capacity(rows), Vec::new());
    for (line, marks) in marks.chunks_exact(listed.max(1)).enumerate() {
        let first = series.len();
        series.extend(marks.iter().enumerate().filter(|(_, there)| **there).map(|(index, _)| index as u32));
        if line < lines.start {
            stretch = series.len()..series.len();
        } else if line < lines.end {
            stretch.end = series.len();
            row_times.resize(row_times.len() + series.len() - first, times[line]);
        }
    }
    if series.len() != rows {
        return None;
    }
    let first = stretch.start;
    let wanted = rows_of(stretch, &series, listed, picked);
    points.series = series_of_rows(&series, &wanted)?;
    points.times = match &wanted {
        Rows::Stretch(_) => row_times,
        Rows::Picked { rows, before, .. } => {
            rows[*before..].iter().map(|row| row_times[*row as usize - first]).collect()
        }
    };
    Some(Layout { rows, wanted, series: Some(series), listed })
}

/// The part of ascending times that is within a range.
fn stretch(times: &[i64], range: TimeRange) -> Range<usize> {
    let start = range.start.map_or(0, |start| times.partition_point(|time| *time < start));
    let end = range.end.map_or(times.len(), |end| times.partition_point(|time| *time < end));
    start..end.max(start)
}

/// The values of some rows, of those of all.
fn of_rows<T: Copy>(values: &[T], wanted: &Rows) -> Option<Vec<T>> {
    match wanted {
        Rows::Stretch(wanted) => values.get(wanted.clone()).map(<[T]>::to_vec),
        Rows::Picked { rows, before, .. } => {
            rows.get(*before..)?.iter().map(|row| values.get(*row as usize).copied()).collect()
        }
    }
}

fn take_field(bytes: &mut &[u8], number: u32, layout: &Layout) -> Option<Field> {
    let (rows, wanted) = (layout.rows, &layout.wanted);
    let mut present = Vec::new();
    wanted.take(bytes, rows, &mut present, |mark| mark != 0)?;
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let of = RowSeries { series: layout.series.as_deref(), listed: layout.listed };
    let values = match *kind {
        FLOAT => {
            let head = FloatsHead::take(bytes)?;
            let integers = take_ordered(bytes, rows, wanted, of)?;
            Values::Float(head.floats(integers, |row| wanted.place(row))?)
        }
        INTEGER => Values::Integer(take_ordered(bytes, rows, wanted, of)?),
        BOOLEAN => {
            let mut values = Vec::new();
            wanted.take(bytes, rows, &mut values, |number| number != 0)?;
            Values::Boolean(values)
        }
        TEXT => Values::Text(take_texts(bytes, rows, wanted)?),
        _ => return None,
    };
    let present = (!present.iter().all(|has| *has)).then_some(present);
    Some(Field { number, present, values })
}

fn take_texts(bytes: &mut &[u8], rows: usize, wanted: &Rows) -> Option<Texts> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        EACH => take_each(bytes, rows, wanted),
        DICTIONARY => {
            let count = usize::try_from(take_varint(bytes)?).ok().filter(|count| *count <= rows)?;
            let distinct = take_each(bytes, count, &Rows::Stretch(0..count))?;
            let mut indices = Vec::new();
            wanted.take(bytes, rows, &mut indices, |index| index as usize)?;
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

fn take_each(bytes: &mut &[u8], rows: usize, wanted: &Rows) -> Option<Texts> {
    let mut lengths = Vec::new();
    take_numbers(bytes, rows, 0..rows, &mut lengths, |length| length)?;
    let all = take_bytes(bytes)?;
    let (mut texts, mut end) = (Texts::new(), 0usize);
    for (row, length) in lengths.into_iter().enumerate() {
        let start = end;
        end = start.checked_add(usize::try_from(length).ok()?)?;
        let text = all.get(start..end)?;
        if wanted.place(row).is_some() {
            texts.push(text);
        }
    }
    Some(texts)
}
