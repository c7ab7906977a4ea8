//! Points that earlier versions kept one by one, with times in microseconds, become chunks when the store is opened.

use crate::catalog::{Measurement, put_counters};
use crate::chunk::{ChunkHead, Field, Points, Texts, Values, encode, list_series, put_chunk};
use crate::compaction::compact;
use crate::error::{read_error, storage_error};
use crate::point::{Cell, PointHead, PointKey, key_after, key_at, take_cell};
use crate::request::time_in_nanos;
use crate::store::Inner;
use crate::{SeriesError, space};

/// Points that become one chunk.
const POINTS_PER_CHUNK: usize = 64 * 1024;
/// Bytes of points that become one chunk.
const BYTES_PER_CHUNK: usize = 16 * 1024 * 1024;
const NANOS_PER_UNIT: i64 = 1_000;

/// Moves the points of every measurement; goes on where it was interrupted. Returns how many were left out: their times
/// cannot be told in nanoseconds.
pub(crate) fn migrate(inner: &Inner) -> Result<u64, SeriesError> {
    if inner.storage.scan(space::POINTS, key_at(0, i64::MIN)..).map_err(storage_error)?.next().is_none() {
        return Ok(0);
    }
    let mut left_out = 0;
    for measurement in inner.catalog.all() {
        while let Some(more) = move_some(inner, &measurement)? {
            left_out += more;
        }
    }
    Ok(left_out)
}

/// Makes a chunk of the first points there are, in one atomic step; returns how many were left out, `None` if there are no
/// points.
fn move_some(inner: &Inner, measurement: &Measurement) -> Result<Option<u64>, SeriesError> {
    let mut writer = measurement.lock(&inner.storage)?;
    let (mut gathered, mut keys, mut bytes) = (Gathered::default(), Vec::new(), 0);
    let range = key_at(measurement.id, i64::MIN)..key_after(measurement.id);
    for guard in inner.storage.scan(space::POINTS, range).map_err(storage_error)? {
        let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
        gathered.push(&key, &value).ok_or_else(|| SeriesError::Corrupt {
            what: "a point",
            reason: "its key or its value cannot be read".into(),
        })?;
        bytes += key.len() + value.len();
        keys.push(key);
        if keys.len() >= POINTS_PER_CHUNK || bytes >= BYTES_PER_CHUNK {
            break;
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let left_out = gathered.left_out;
    let mut counters = writer.counters;
    counters.points = counters.points.saturating_sub(left_out);
    let points = gathered.finish();
    let head = ChunkHead::of(writer.next_chunk, &points, false);
    let mut batch = inner.storage.begin().map_err(storage_error)?;
    if let Some(head) = &head {
        put_chunk(&mut batch, measurement.id, head, &encode(&points));
    }
    for key in &keys {
        batch.delete(space::POINTS, key);
    }
    put_counters(&mut batch, measurement.id, counters);
    batch.commit().map_err(storage_error)?;
    writer.counters = counters;
    measurement.publish(counters);
    if let Some(head) = head {
        writer.next_chunk += 1;
        let mut chunks = measurement.chunks().to_vec();
        chunks.push(head.into());
        measurement.set_chunks(chunks.into());
        compact(inner, measurement, &mut writer)?;
    }
    Ok(Some(left_out))
}

#[derive(Default)]
struct Gathered {
    points: Points,
    series: Vec<u64>,
    key_tags: Texts,
    left_out: u64,
}

impl Gathered {
    fn push(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let key = PointKey::read(key)?;
        let mut cells = value;
        let head = PointHead::take(&mut cells)?;
        let Some(time) = time_in_nanos(key.time, NANOS_PER_UNIT) else {
            self.left_out += 1;
            return Some(());
        };
        let before = self.points.rows();
        if before == 0 {
            self.key_tags = Texts::new();
        }
        self.points.times.push(time);
        self.series.push(key.series);
        self.key_tags.push(key.key_tags);
        self.points.sequences.push(head.sequence);
        self.points.written.push(head.write_seconds);
        while !cells.is_empty() {
            let (number, cell) = take_cell(&mut cells)?;
            let values = match cell {
                Cell::Float(value) => Values::Float(vec![value]),
                Cell::Integer(value) => Values::Integer(vec![value]),
                Cell::Boolean(value) => Values::Boolean(vec![value]),
                Cell::Text(text) => Values::Text(Texts { ends: vec![0, text.len() as u32], bytes: text.into() }),
            };
            let one = Field { number, present: None, values };
            match self.points.fields.binary_search_by_key(&number, |field| field.number) {
                Ok(place) => {
                    let field = &mut self.points.fields[place];
                    field.extend(None, 0..before - field.rows())?;
                    field.extend(Some(&one), 0..1)?;
                }
                Err(place) => {
                    let mut values = Values::new(one.values.field_type());
                    values.fill(before);
                    let mut field = Field { number, present: Some(vec![false; before]), values };
                    field.extend(Some(&one), 0..1)?;
                    self.points.fields.insert(place, field);
                }
            }
        }
        Some(())
    }

    fn finish(mut self) -> Points {
        let rows = self.points.rows();
        for field in &mut self.points.fields {
            field.extend(None, 0..rows - field.rows());
            field.present = field.present.take().filter(|present| present.contains(&false));
        }
        self.points.key_tags = (!self.key_tags.bytes.is_empty()).then_some(self.key_tags);
        (self.points.series_list, self.points.series) = list_series(&self.series);
        self.points
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
    use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType};

    use super::*;
    use crate::point::{put_cell, put_key};
    use crate::{PointLayout, ScanRequest, SeriesOptions, SeriesStore};

    #[test]
    fn points_of_an_earlier_version_are_there_as_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SeriesStore::open(dir.path(), SeriesOptions::default()).expect("opens");
        let columns: [(&str, ArrayRef); 3] = [
            ("time", Arc::new(TimestampMicrosecondArray::from(vec![5]))),
            ("count", Arc::new(Int64Array::from(vec![-1]))),
            ("share", Arc::new(Float64Array::from(vec![0.5]))),
        ];
        let layout = PointLayout { time: 0, tags: vec![], fields: vec![(1, "count".into()), (2, "share".into())] };
        store.write("m", &RecordBatch::try_from_iter(columns).expect("a batch"), &layout).expect("writes");
        let mut batch = store.inner.storage.begin().expect("begins");
        // Series 0 is the one without tags. A point that is there already was written later.
        for time in 0..=100_000 {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            // The last one in the year 33658.
            let time_kept = if time < 100_000 { time } else { 1_000_000_000_000_000_000 };
            put_key(&mut key, 0, time_kept, 0, b"");
            PointHead { sequence: 0, write_seconds: 7 }.put(&mut value);
            put_cell(&mut value, 0, Cell::Integer(time));
            if time % 3 == 0 {
                put_cell(&mut value, 1, Cell::Float(time as f64 / 4.0));
            }
            batch.put(space::POINTS, &key, &value);
        }
        batch.commit().expect("commits");
        drop(store);
        for left_out in [1, 0] {
            let store = SeriesStore::open(dir.path(), SeriesOptions::default()).expect("opens");
            assert_eq!(store.points_left_out(), left_out);
            let mut time = 0;
            for batch in store.scan("m", &ScanRequest::default()).expect("scans") {
                let batch = batch.expect("reads");
                let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
                let counts = batch.column(1).as_primitive::<Int64Type>();
                let shares = batch.column(2).as_primitive::<Float64Type>();
                for row in 0..batch.num_rows() {
                    let expected = if time == 5 { (-1, Some(0.5)) } else { (time, share_of(time)) };
                    let share = shares.is_valid(row).then(|| shares.value(row));
                    assert_eq!((times.value(row), counts.value(row), share), (time * 1_000, expected.0, expected.1));
                    time += 1;
                }
            }
            assert_eq!(time, 100_000);
            let left = store.inner.storage.scan(space::POINTS, key_at(0, i64::MIN)..).expect("scans").next();
            assert!(left.is_none(), "nothing is left as it was");
        }
    }

    fn share_of(time: i64) -> Option<f64> {
        (time % 3 == 0).then_some(time as f64 / 4.0)
    }
}
