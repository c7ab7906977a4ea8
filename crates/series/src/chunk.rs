//! Chunks: points of a measurement in the order of their keys, compressed, as one value of the store.
//!
//! A chunk is never changed. What one write brings is a chunk; chunks are merged into larger ones, see
//! [`crate::compaction`]. Several may have the same point: of each field, that of the latest write counts. The head of a
//! chunk says where in time and among the series its points are, so that most chunks are not read.
//!
//! `c` measurement chunk -> head, in the space of heads; measurement chunk -> bytes, in the space of chunks. A chunk that
//! was merged into others has `g` instead of its head until nobody reads it and its bytes are deleted.

mod decode;
mod encode;
mod order;
mod points;
mod rows;

use std::sync::Arc;

use storage::{Batch, Storage};

pub(crate) use decode::{Wanted, decode, decode_listed, decode_series_list, find_series};
pub(crate) use encode::encode;
pub(crate) use points::{Field, Key, Points, Texts, Values, list_series};
pub(crate) use rows::are_few;

use crate::error::{read_error, storage_error};
use crate::varint::{put_varint, take_varint, unzigzag, zigzag};
use crate::{SeriesError, TimeRange, space};

/// Rows of one chunk, and cells of its grid, at most: so much memory is taken on the word of stored bytes.
pub(crate) const ROWS_MAX: usize = 1 << 22;

const HEAD: u8 = b'c';
const GARBAGE: u8 = b'g';

/// What is known of a chunk without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHead {
    pub id: u64,
    pub rows: u64,
    /// Bytes in memory, about.
    pub weight: u64,
    pub first_time: i64,
    pub last_time: i64,
    pub first_series: u64,
    pub last_series: u64,
    /// Numbers of the earliest and the latest write in it.
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// When the earliest and the latest write in it were, in seconds.
    pub first_written: u64,
    pub last_written: u64,
    /// It is merged with others no more as a rule.
    pub sealed: bool,
}

impl ChunkHead {
    /// `None` if there are no points.
    pub(crate) fn of(id: u64, points: &Points, sealed: bool) -> Option<Self> {
        Some(Self {
            id,
            rows: points.rows() as u64,
            weight: points.weight() as u64,
            first_time: *points.times.first()?,
            last_time: *points.times.last()?,
            first_series: *points.series_list.first()?,
            last_series: *points.series_list.last()?,
            first_sequence: *points.sequences.iter().min()?,
            last_sequence: *points.sequences.iter().max()?,
            first_written: *points.written.iter().min()?,
            last_written: *points.written.iter().max()?,
            sealed,
        })
    }

    /// Whether the two may have points in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.first_time <= other.last_time
            && other.first_time <= self.last_time
            && self.first_series <= other.last_series
            && other.first_series <= self.last_series
    }

    pub(crate) fn is_within(&self, range: TimeRange) -> bool {
        range.start.is_none_or(|start| self.last_time >= start) && range.end.is_none_or(|end| self.first_time < end)
    }

    /// Whether one of some series, given in ascending order, may be in it.
    pub(crate) fn may_have(&self, series: &[u64]) -> bool {
        let next = series.partition_point(|number| *number < self.first_series);
        series.get(next).is_some_and(|number| *number <= self.last_series)
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        for number in [
            self.rows,
            self.weight,
            zigzag(self.first_time),
            self.last_time.wrapping_sub(self.first_time) as u64,
            self.first_series,
            self.last_series,
            self.first_sequence,
            self.last_sequence,
            self.first_written,
            self.last_written,
            u64::from(self.sealed),
        ] {
            put_varint(&mut bytes, number);
        }
        bytes
    }

    fn from_bytes(id: u64, mut bytes: &[u8]) -> Option<Self> {
        let mut next = || take_varint(&mut bytes);
        let (rows, weight, first_time) = (next()?, next()?, unzigzag(next()?));
        Some(Self {
            id,
            rows,
            weight,
            first_time,
            last_time: first_time.wrapping_add(next()? as i64),
            first_series: next()?,
            last_series: next()?,
            first_sequence: next()?,
            last_sequence: next()?,
            first_written: next()?,
            last_written: next()?,
            sealed: next()? != 0,
        })
    }
}

/// The chunks of a measurement at one moment.
pub(crate) type Chunks = Arc<Vec<Arc<ChunkHead>>>;

fn head_key(kind: u8, measurement: u32, id: u64) -> [u8; 13] {
    let mut key = [kind; 13];
    key[1..5].copy_from_slice(&measurement.to_be_bytes());
    key[5..].copy_from_slice(&id.to_be_bytes());
    key
}

fn data_key(measurement: u32, id: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&measurement.to_be_bytes());
    key[4..].copy_from_slice(&id.to_be_bytes());
    key
}

pub(crate) fn put_chunk(batch: &mut Batch<'_>, measurement: u32, head: &ChunkHead, bytes: &[u8]) {
    batch.put(space::HEADS, &head_key(HEAD, measurement, head.id), &head.to_bytes());
    batch.put(space::CHUNKS, &data_key(measurement, head.id), bytes);
}

/// Takes a chunk off those that there are; its bytes stay for whoever reads them still.
pub(crate) fn retire_chunk(batch: &mut Batch<'_>, measurement: u32, id: u64) {
    batch.delete(space::HEADS, &head_key(HEAD, measurement, id));
    batch.put(space::HEADS, &head_key(GARBAGE, measurement, id), b"");
}

/// Deletes what is left of a chunk that was retired.
pub(crate) fn delete_garbage(batch: &mut Batch<'_>, measurement: u32, id: u64) {
    batch.delete(space::HEADS, &head_key(GARBAGE, measurement, id));
    batch.delete(space::CHUNKS, &data_key(measurement, id));
}

/// Deletes a chunk of which nobody reads.
pub(crate) fn delete_chunk(batch: &mut Batch<'_>, measurement: u32, id: u64) {
    batch.delete(space::HEADS, &head_key(HEAD, measurement, id));
    delete_garbage(batch, measurement, id);
}

/// All chunks of a measurement and those that were retired, in the order in which they were made.
pub(crate) fn load_heads(storage: &Storage, measurement: u32) -> Result<(Vec<ChunkHead>, Vec<u64>), SeriesError> {
    let mut heads = Vec::new();
    let range = |kind| head_key(kind, measurement, 0)..=head_key(kind, measurement, u64::MAX);
    for guard in storage.scan(space::HEADS, range(HEAD)).map_err(storage_error)? {
        let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
        let head = chunk_id(&key).and_then(|id| ChunkHead::from_bytes(id, &value));
        heads.push(head.ok_or_else(|| corrupt("its head cannot be read"))?);
    }
    let mut garbage = Vec::new();
    for guard in storage.scan(space::HEADS, range(GARBAGE)).map_err(storage_error)? {
        let key = guard.key().map_err(|error| read_error(&error))?;
        garbage.push(chunk_id(&key).ok_or_else(|| corrupt("its head cannot be read"))?);
    }
    Ok((heads, garbage))
}

fn chunk_id(key: &[u8]) -> Option<u64> {
    key.get(5..)?.try_into().ok().map(u64::from_be_bytes)
}

/// Reads a chunk and makes something of its bytes.
pub(crate) fn read_chunk<T>(
    storage: &Storage,
    measurement: u32,
    id: u64,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, SeriesError> {
    let bytes = storage.get(space::CHUNKS, &data_key(measurement, id)).map_err(storage_error)?;
    let bytes = bytes.ok_or_else(|| corrupt("it is missing"))?;
    read(&bytes).ok_or_else(|| corrupt("its bytes cannot be read"))
}

fn corrupt(reason: &str) -> SeriesError {
    SeriesError::Corrupt { what: "a chunk of points", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of 20 series; `keep` says which cells of the grid there are.
    fn points(times: i64, keep: impl Fn(i64, u64) -> bool, tagged: bool) -> Points {
        let keys: Vec<(i64, u64)> = (0..times)
            .flat_map(|time| (0..20).map(move |series| (time * 1_000_000, series * 3 + 5)))
            .filter(|(time, series)| keep(*time, *series))
            .collect();
        let (series_list, series) = list_series(&keys.iter().map(|(_, series)| *series).collect::<Vec<_>>());
        let rows = keys.len();
        let mut texts = Texts::new();
        keys.iter().for_each(|(time, series)| texts.push(format!("{}", (time + *series as i64) % 7).as_bytes()));
        let mut long = Texts::new();
        (0..rows).for_each(|row| long.push(format!("text number {row}").as_bytes()));
        // Each series goes its own way: smaller series by series.
        let walks = keys.iter().map(|(time, series)| *series as i64 * 1_000_000 + time / 1_000_000);
        let field = |number, values| Field { number, present: None, values };
        Points {
            times: keys.iter().map(|(time, _)| *time).collect(),
            series_list,
            series,
            key_tags: tagged.then(|| texts.clone()),
            sequences: (0..rows as u64).map(|row| row / 100).collect(),
            written: vec![1_700_000_000; rows],
            fields: vec![
                field(0, Values::Integer(walks.clone().collect())),
                field(1, Values::Float(walks.map(|walk| walk as f64 / 100.0).collect())),
                Field {
                    number: 4,
                    present: Some((0..rows).map(|row| row % 3 > 0).collect()),
                    values: Values::Boolean((0..rows).map(|row| row % 2 == 0).collect()),
                },
                field(7, Values::Text(texts)),
                field(9, Values::Text(long)),
            ],
        }
    }

    fn check(points: &Points) {
        let bytes = encode(points);
        let everything = Wanted { range: TimeRange::ALL, fields: None, written: true, series: None };
        assert_eq!(decode(&bytes, everything).as_ref(), Some(points));
        assert_eq!(decode_series_list(&bytes).as_ref(), Some(&points.series_list));
        let range = TimeRange::new(17_000_000, 41_000_000);
        let rows: Vec<u32> = (0..points.rows() as u32)
            .filter(|row| (17_000_000..41_000_000).contains(&points.times[*row as usize]))
            .collect();
        let expected = points.select(&rows);
        let part = decode(&bytes, Wanted { range, fields: Some(&[1, 7]), written: true, series: None }).expect("whole");
        let keys = |points: &Points| (0..points.rows()).map(|row| format!("{:?}", points.key(row))).collect::<Vec<_>>();
        assert_eq!(keys(&part), keys(&expected));
        assert_eq!(part.sequences, expected.sequences);
        assert_eq!(part.written, expected.written);
        assert_eq!(part.fields.len(), [1, 7].iter().filter(|number| points.field(**number).is_some()).count());
        assert!(part.fields.iter().all(|field| Some(field) == expected.field(field.number)));
        for end in [0, 1, bytes.len() / 3, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..end], everything), None, "cut at {end}");
        }
        check_picked(points, &bytes);
    }

    /// Some series of the chunk, of all times and of a stretch of them.
    fn check_picked(points: &Points, bytes: &[u8]) {
        let listed = points.series_list.len();
        for wanted in [vec![0], vec![listed / 2], vec![0, listed - 1], vec![]] {
            let mut wanted = wanted;
            wanted.dedup();
            let places: Vec<u32> =
                wanted.iter().map(|place| *place as u32).filter(|place| *place < listed as u32).collect();
            let numbers: Vec<u64> = wanted.iter().filter_map(|place| points.series_list.get(*place).copied()).collect();
            for range in [TimeRange::ALL, TimeRange::new(17_000_000, 41_000_000)] {
                let is_wanted = |row: &u32| {
                    let row = *row as usize;
                    places.contains(&points.series[row])
                        && range.start.is_none_or(|start| points.times[row] >= start)
                        && range.end.is_none_or(|end| points.times[row] < end)
                };
                let rows: Vec<u32> = (0..points.rows() as u32).filter(is_wanted).collect();
                let expected = points.select(&rows);
                let request = Wanted { range, fields: None, written: true, series: Some(&places) };
                let found = decode(bytes, request).expect("whole");
                assert_eq!(found.series_list, numbers);
                let asked = [0].into_iter().chain(numbers.iter().copied()).chain([u64::from(u32::MAX)]);
                let in_list: Vec<(u32, usize)> = (1..).zip(&places).map(|(number, place)| (*place, number)).collect();
                assert_eq!(find_series(bytes, asked), Some(in_list));
                let keys = |points: &Points| {
                    (0..points.rows()).map(|row| format!("{:?}", points.key(row))).collect::<Vec<_>>()
                };
                assert_eq!(keys(&found), keys(&expected));
                assert_eq!((&found.sequences, &found.written), (&expected.sequences, &expected.written));
                for field in &expected.fields {
                    let found = found.field(field.number).expect("is there");
                    assert_eq!(found.present, field.present);
                    for row in (0..rows.len()).filter(|row| field.has(*row)) {
                        let of = |field: &Field| format!("{:?}", field.select(&[row as u32]).values);
                        assert_eq!(of(found), of(field), "row {row} of field {}", field.number);
                    }
                }
            }
        }
        let beyond = [listed as u32];
        let request = Wanted { range: TimeRange::ALL, fields: None, written: true, series: Some(&beyond) };
        assert_eq!(decode(bytes, request), None);
    }

    #[test]
    fn points_are_read_as_they_were_put() {
        check(&points(60, |_, _| true, false));
        check(&points(60, |time, series| (time / 1_000_000 + series as i64) % 5 > 0, false));
        check(&points(60, |time, series| (time / 1_000_000 + series as i64) % 17 == 0, false));
        check(&points(60, |_, _| true, true));
        check(&points(18, |time, series| time == 17_000_000 && series == 8, false));
    }

    #[test]
    fn a_grid_that_would_be_too_large_is_none() {
        let (times, series_of_all) = (4_400, 1_000u64);
        let keys: Vec<(i64, u64)> = (0..times)
            .flat_map(|time| (0..series_of_all).map(move |series| (time, series)))
            .filter(|(time, series)| (*time as u64 + series).is_multiple_of(4))
            .collect();
        assert!(times as usize * series_of_all as usize > ROWS_MAX && keys.len() < ROWS_MAX);
        let (series_list, series) = list_series(&keys.iter().map(|(_, series)| *series).collect::<Vec<_>>());
        let points = Points {
            times: keys.iter().map(|(time, _)| *time).collect(),
            series_list,
            series,
            sequences: vec![1; keys.len()],
            written: vec![1; keys.len()],
            ..Points::default()
        };
        let everything = Wanted { range: TimeRange::ALL, fields: None, written: true, series: None };
        assert!(decode(&encode(&points), everything) == Some(points));
    }

    #[test]
    fn heads_are_read_as_they_were_put() {
        let head = ChunkHead::of(7, &points(60, |_, _| true, false), true).expect("has rows");
        assert_eq!(ChunkHead::from_bytes(7, &head.to_bytes()), Some(head));
        let wide = ChunkHead { first_time: i64::MIN, last_time: i64::MAX, last_sequence: u64::MAX, ..head };
        assert_eq!(ChunkHead::from_bytes(7, &wide.to_bytes()), Some(wide));
        assert_eq!(ChunkHead::from_bytes(7, &head.to_bytes()[..4]), None);
    }
}
