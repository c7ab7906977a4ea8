//! Writing a batch: its rows become a chunk of points, in one atomic step.
//!
//! Rows are judged one by one, columns are copied as a whole. Rows of the same point are merged; what is stored of a point
//! is not read: chunks are merged when they are read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};

use crate::catalog::{Counters, Measurement, Writer, put_counters, put_shape};
use crate::chunk::{ChunkHead, Field, Points, Texts, Wanted, decode, encode, list_series, put_chunk, read_chunk};
use crate::columns::{FieldCell, FieldColumn, PointColumns, TimeCell};
use crate::compaction::{block_bytes, compact, cut, delete_unread};
use crate::dictionary::{self, Dictionary, TAGS_KEY_HEAD_BYTES, start_tags_key};
use crate::error::storage_error;
use crate::known_rows::{KnownRows, TagColumns};
use crate::point::{Cell, put_tag};
use crate::shape::Shape;
use crate::store::Inner;
use crate::{PointLayout, SeriesError, SeriesLimits, SkipReason, TimeRange, WriteSummary};

/// Tags kept with the points of one batch.
const KEY_TAGS_BYTES_MAX: usize = 1 << 30;
/// Points that are there already are looked for if they may be this many, in chunks of at most this weight.
const SEARCHED_POINTS_MAX: usize = 256;
const SEARCHED_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The layout's columns in the order of their numbers.
struct Roles<'a> {
    /// Tags that name the series, then tags kept with the point.
    series_tags: Vec<(u32, usize)>,
    key_tags: Vec<(u32, usize)>,
    fields: Vec<(u32, &'a FieldColumn)>,
}

/// Rows accepted so far.
struct Encoder<'a> {
    inner: &'a Inner,
    measurement: &'a Measurement,
    /// Rows of the batch, and their keys.
    rows: Vec<u32>,
    times: Vec<i64>,
    series: Vec<u64>,
    key_tags: Texts,
    tags_key: Vec<u8>,
    tags_kept: Vec<u8>,
    /// Series first seen in this batch: dictionary key to number.
    new_series: HashMap<Vec<u8>, u64>,
    /// The tags that name the series, and what is known of the last batch if it had the same.
    series_tags: TagColumns,
    known: Option<KnownRows>,
    /// Rows whose series was not known from there.
    looked_up: usize,
}

struct Refused(SkipReason, String);

enum RowError {
    Refused(Refused),
    Failed(SeriesError),
}

impl From<SeriesError> for RowError {
    fn from(error: SeriesError) -> Self {
        Self::Failed(error)
    }
}

fn refused(reason: SkipReason, message: impl Into<String>) -> RowError {
    RowError::Refused(Refused(reason, message.into()))
}

pub(crate) fn write(
    inner: &Inner,
    name: &str,
    batch: &RecordBatch,
    layout: &PointLayout,
) -> Result<WriteSummary, SeriesError> {
    let columns = PointColumns::resolve(name, batch, layout)?;
    loop {
        let measurement = inner.catalog.get_or_create(name, &inner.storage, &inner.limits)?;
        let mut writer = measurement.lock(&inner.storage)?;
        // Dropped or renamed between looking it up and locking it: the next look-up makes a new one.
        if measurement.shape().name != name {
            inner.catalog.forget_name(name, &measurement);
        } else if !writer.dropped {
            return write_locked(inner, &measurement, &mut writer, &columns);
        }
    }
}

fn write_locked(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    columns: &PointColumns<'_>,
) -> Result<WriteSummary, SeriesError> {
    let stored_shape = measurement.shape();
    let mut shape = (*stored_shape).clone();
    let roles = assign_roles(&mut shape, columns, &inner.limits)?;
    let mut encoder = Encoder {
        inner,
        measurement,
        rows: Vec::with_capacity(columns.rows),
        times: Vec::with_capacity(columns.rows),
        series: Vec::with_capacity(columns.rows),
        key_tags: Texts::new(),
        tags_key: Vec::new(),
        tags_kept: Vec::new(),
        new_series: HashMap::new(),
        series_tags: roles.series_tags.iter().map(|(tag, column)| (*tag, columns.tags[*column].1.clone())).collect(),
        known: None,
        looked_up: 0,
    };
    encoder.known = writer.known_rows.take().filter(|known| known.has_columns(&encoder.series_tags));
    let mut summary =
        WriteSummary { rows: columns.rows as u64, sequence: writer.counters.sequence, ..WriteSummary::default() };
    let whole = !roles.fields.is_empty() && roles.fields.iter().all(|(_, column)| column.is_whole());
    for row in 0..columns.rows {
        let checked = encoder.take_row(row, columns, &roles, &shape, writer, whole);
        match checked {
            Ok(()) => summary.written += 1,
            Err(RowError::Refused(Refused(reason, message))) => summary.skip(row, reason, || message),
            Err(RowError::Failed(error)) => return Err(error),
        }
    }
    if encoder.rows.is_empty() {
        return Ok(summary);
    }
    summary.new_series = encoder.new_series.len() as u64;
    let mut counters = writer.counters;
    counters.sequence += 1;
    counters.last_write = (inner.clock)();
    let new_series = std::mem::take(&mut encoder.new_series);
    let tags = std::mem::take(&mut encoder.series_tags);
    let known_rows = match encoder.known.take() {
        // The same rows again: what is known of them stays.
        Some(known) if encoder.looked_up == 0 => Some(known),
        known => {
            drop(known);
            KnownRows::new(tags, &encoder.rows, &encoder.series, &inner.known_rows_bytes)
        }
    };
    let points = encoder.into_points(&roles, counters);
    let changed_shape = (shape != *stored_shape).then(|| Arc::new(shape));
    commit(inner, measurement, writer, counters, points, &new_series, changed_shape)?;
    writer.known_rows = known_rows;
    summary.sequence = counters.sequence;
    match compact(inner, measurement, writer) {
        // The points are written; merging goes on with the next write that succeeds.
        Err(error) if error.is_retryable() => Ok(summary),
        result => result.map(|()| summary),
    }
}

/// Write times are kept in seconds, never earlier than they were: a point does not expire too soon.
fn seconds_rounded_up(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}

fn assign_roles<'a>(
    shape: &mut Shape,
    columns: &'a PointColumns<'_>,
    limits: &SeriesLimits,
) -> Result<Roles<'a>, SeriesError> {
    let mut roles = Roles { series_tags: Vec::new(), key_tags: Vec::new(), fields: Vec::new() };
    for (column, (name, _)) in columns.tags.iter().enumerate() {
        let tag = shape.tag_or_new(name, limits)?;
        let tags = if Shape::is_key_tag(name) { &mut roles.key_tags } else { &mut roles.series_tags };
        if tags.iter().any(|(other, _)| *other == tag) {
            return Err(shape.name_taken(name, "tag of this batch", "tag"));
        }
        tags.push((tag, column));
    }
    for (name, column) in &columns.fields {
        let field = shape.field_or_new(name, column.field_type(), limits)?;
        if roles.fields.iter().any(|(other, _)| *other == field) {
            return Err(shape.name_taken(name, "field of this batch", "field"));
        }
        roles.fields.push((field, column));
    }
    roles.series_tags.sort_unstable_by_key(|(tag, _)| *tag);
    roles.key_tags.sort_unstable_by_key(|(tag, _)| *tag);
    roles.fields.sort_unstable_by_key(|(field, _)| *field);
    Ok(roles)
}

impl Encoder<'_> {
    fn take_row(
        &mut self,
        row: usize,
        columns: &PointColumns<'_>,
        roles: &Roles<'_>,
        shape: &Shape,
        writer: &mut Writer,
        whole: bool,
    ) -> Result<(), RowError> {
        let time = match columns.time.micros(row) {
            TimeCell::At(time) => time,
            TimeCell::Missing => return Err(refused(SkipReason::NoTime, "the time is NULL")),
            TimeCell::OutOfRange => {
                return Err(refused(SkipReason::TimeOutOfRange, "the time does not fit 64 bits of microseconds"));
            }
        };
        if !whole {
            self.check_fields(row, roles, shape)?;
        }
        let known = self.known.as_ref().and_then(|known| known.series(&self.series_tags, row));
        let series = match known {
            Some(series) if roles.key_tags.is_empty() => {
                if let Some(used) = &mut writer.used_series {
                    used.insert(series);
                }
                series
            }
            _ => {
                self.looked_up += 1;
                self.encode_tags(row, columns, roles)?;
                self.series_number(shape, writer)?
            }
        };
        self.rows.push(row as u32);
        self.times.push(time);
        self.series.push(series);
        if !roles.key_tags.is_empty() {
            if self.key_tags.bytes.len() + self.tags_kept.len() > KEY_TAGS_BYTES_MAX {
                return Err(RowError::Failed(SeriesError::LimitExceeded {
                    measurement: shape.name.clone(),
                    what: "the bytes of tags kept with the points of one batch",
                    found: self.key_tags.bytes.len() + self.tags_kept.len(),
                    max: KEY_TAGS_BYTES_MAX,
                }));
            }
            self.key_tags.push(&self.tags_kept);
        }
        Ok(())
    }

    fn check_fields(&self, row: usize, roles: &Roles<'_>, shape: &Shape) -> Result<(), RowError> {
        let mut cells = 0;
        for (field, column) in &roles.fields {
            match column.cell(row) {
                FieldCell::Null => {}
                FieldCell::OutOfRange => {
                    let name = field_name(shape, *field);
                    return Err(refused(
                        SkipReason::IntegerOutOfRange,
                        format!("field `{name}` is beyond 64 signed bits; cast it to DOUBLE or to STRING in the query"),
                    ));
                }
                FieldCell::Value(Cell::Text(text)) if text.len() > self.inner.limits.field_text_bytes_max => {
                    let (name, max) = (field_name(shape, *field), self.inner.limits.field_text_bytes_max);
                    return Err(refused(
                        SkipReason::TextTooLong,
                        format!("field `{name}` is {} bytes long, the limit is {max}", text.len()),
                    ));
                }
                FieldCell::Value(_) => cells += 1,
            }
        }
        if cells == 0 {
            return Err(refused(SkipReason::NoField, "every field is NULL"));
        }
        Ok(())
    }

    fn encode_tags(&mut self, row: usize, columns: &PointColumns<'_>, roles: &Roles<'_>) -> Result<(), RowError> {
        start_tags_key(&mut self.tags_key, self.measurement.id);
        self.tags_kept.clear();
        let limits = &self.inner.limits;
        for (tags, buffer) in [(&roles.series_tags, &mut self.tags_key), (&roles.key_tags, &mut self.tags_kept)] {
            for (tag, column) in tags {
                let (name, array) = &columns.tags[*column];
                if array.is_null(row) {
                    continue;
                }
                let value = array.value(row);
                if value.len() > limits.tag_value_bytes_max {
                    let (found, max) = (value.len(), limits.tag_value_bytes_max);
                    return Err(refused(
                        SkipReason::TagTooLong,
                        format!("tag `{name}` is {found} bytes long, the limit is {max}; make it a field"),
                    ));
                }
                put_tag(buffer, *tag, value);
            }
        }
        let found = self.tags_key.len() + self.tags_kept.len();
        if found > limits.tags_bytes_max {
            let max = limits.tags_bytes_max;
            return Err(refused(
                SkipReason::TagTooLong,
                format!("the tags are {found} bytes long together, the limit is {max}"),
            ));
        }
        Ok(())
    }

    /// The number of the series whose dictionary key is in `tags_key`; a new one if it is not known.
    fn series_number(&mut self, shape: &Shape, writer: &mut Writer) -> Result<u64, RowError> {
        let dictionary = self.inner.dictionary();
        let known = match self.new_series.get(&self.tags_key) {
            Some(series) => Some(*series),
            None => dictionary.number(&self.tags_key)?,
        };
        if let Some(series) = known {
            if let Some(used) = &mut writer.used_series {
                used.insert(series);
            }
            return Ok(series);
        }
        let count = writer.counters.series + self.new_series.len() as u64;
        if count >= self.inner.limits.series_per_measurement_max {
            return Err(refused(SkipReason::TooManySeries, refusal(&dictionary, self.measurement.id, shape, writer)?));
        }
        // Counted up even if the write fails, so that a number never means two series.
        let series = writer.counters.next_series;
        writer.counters.next_series += 1;
        self.new_series.insert(self.tags_key.clone(), series);
        if let Some(used) = &mut writer.used_series {
            used.insert(series);
        }
        Ok(series)
    }

    /// The points in the order of their keys, one for all rows with the same key.
    fn into_points(self, roles: &Roles<'_>, counters: Counters) -> Points {
        let tagged = !roles.key_tags.is_empty();
        let key = |place: u32| {
            let place = place as usize;
            (self.times[place], self.series[place], if tagged { self.key_tags.get(place) } else { b"" })
        };
        let mut places: Vec<u32> = (0..self.rows.len() as u32).collect();
        let mut distinct = true;
        if !places.is_sorted_by(|a, b| key(*a) < key(*b)) {
            // Stable: of the rows of one point, the last one wins.
            places.sort_by(|a, b| key(*a).cmp(&key(*b)));
            distinct = places.windows(2).all(|pair| key(pair[0]) != key(pair[1]));
        }
        let groups: Vec<Range<usize>> = if distinct { Vec::new() } else { groups(&places, |a, b| key(a) == key(b)) };
        // One place for each point: the last of its rows.
        let last: Vec<u32> =
            if distinct { places.clone() } else { groups.iter().map(|rows| places[rows.end - 1]).collect() };
        let numbers: Vec<u64> = last.iter().map(|place| self.series[*place as usize]).collect();
        let (series_list, series) = list_series(&numbers);
        let rows_of = |places: &[u32]| places.iter().map(|place| self.rows[*place as usize]).collect::<Vec<u32>>();
        let last_rows = rows_of(&last);
        let ordered_rows = rows_of(&places);
        let fields = roles.fields.iter().filter_map(|(number, column)| {
            let rows = match distinct || column.is_whole() {
                true => Cow::Borrowed(&last_rows),
                // The last row that has the field, else the last one.
                false => Cow::Owned(groups.iter().map(|group| latest(&ordered_rows[group.clone()], column)).collect()),
            };
            let (present, values) = column.gather(&rows);
            if present.as_ref().is_some_and(|present| !present.contains(&true)) {
                return None;
            }
            Some(Field { number: *number, present: present.filter(|present| present.contains(&false)), values })
        });
        Points {
            fields: fields.collect(),
            times: last.iter().map(|place| self.times[*place as usize]).collect(),
            key_tags: tagged.then(|| self.key_tags.select(&last)),
            sequences: vec![counters.sequence; last.len()],
            written: vec![seconds_rounded_up(counters.last_write); last.len()],
            series_list,
            series,
        }
    }
}

/// Stretches of places with the same key.
fn groups(places: &[u32], same: impl Fn(u32, u32) -> bool) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, place) in places.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if same(places[group.start], *place) => group.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

fn latest(rows: &[u32], column: &FieldColumn) -> u32 {
    let found = rows.iter().rev().find(|row| column.has(**row as usize));
    found.or(rows.last()).copied().unwrap_or_default()
}

fn commit(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    mut counters: Counters,
    points: Points,
    new_series: &HashMap<Vec<u8>, u64>,
    changed_shape: Option<Arc<Shape>>,
) -> Result<(), SeriesError> {
    let (Some(first), Some(last)) = (points.times.first().copied(), points.times.last().copied()) else {
        return Ok(());
    };
    counters.points += points.rows() as u64 - found_before(inner, measurement, &points, counters.newest_time)?;
    counters.series += new_series.len() as u64;
    counters.next_series = writer.counters.next_series;
    counters.newest_time = counters.newest_time.max(last);
    let mut chunks: Vec<Arc<ChunkHead>> = measurement.chunks().to_vec();
    let mut next_chunk = writer.next_chunk;
    let mut batch = inner.storage.begin().map_err(storage_error)?;
    for part in cut(points, block_bytes(&inner.limits)) {
        if let Some(head) = ChunkHead::of(next_chunk, &part, false) {
            put_chunk(&mut batch, measurement.id, &head, &encode(&part));
            chunks.push(Arc::new(head));
            next_chunk += 1;
        }
    }
    for (tags_key, series) in new_series {
        dictionary::put_series(&mut batch, measurement.id, *series, tags_key);
    }
    if let Some(shape) = &changed_shape {
        put_shape(&mut batch, measurement.id, shape)?;
    }
    let deleted = delete_unread(&mut batch, measurement.id, writer);
    put_counters(&mut batch, measurement.id, counters);
    if let Err(error) = batch.commit() {
        writer.stale = true;
        return Err(storage_error(error));
    }
    for (tags_key, series) in new_series {
        inner.series_cache.put_number(&tags_key[1..], *series);
        inner.series_cache.put_tags(measurement.id, *series, Arc::from(&tags_key[TAGS_KEY_HEAD_BYTES..]));
    }
    if let Some(shape) = changed_shape {
        measurement.set_shape(shape);
    }
    writer.next_chunk = next_chunk;
    writer.garbage.retain(|(id, _)| !deleted.contains(id));
    writer.counters = counters;
    writer.changes.push(counters.sequence, first, last);
    measurement.set_chunks(Arc::new(chunks));
    measurement.publish(counters);
    Ok(())
}

/// How many of the points are in small chunks already. Others are found when chunks are merged.
fn found_before(
    inner: &Inner,
    measurement: &Measurement,
    points: &Points,
    newest_time: i64,
) -> Result<u64, SeriesError> {
    let known = points.times.partition_point(|time| *time <= newest_time);
    let searched = (1..=SEARCHED_POINTS_MAX).contains(&known);
    let Some(head) = ChunkHead::of(0, points, false).filter(|_| searched) else { return Ok(0) };
    let mut found = vec![false; known];
    for chunk in measurement.chunks().iter() {
        if chunk.sealed || chunk.weight > SEARCHED_BYTES_MAX || !chunk.overlaps(&head) {
            continue;
        }
        let wanted = Wanted { range: TimeRange::ALL, fields: Some(&[]), written: false };
        let stored = read_chunk(&inner.storage, measurement.id, chunk.id, |bytes| decode(bytes, wanted))?;
        for (row, found) in found.iter_mut().enumerate() {
            *found |= stored.find(points.key(row)).is_some();
        }
    }
    Ok(found.into_iter().filter(|found| *found).count() as u64)
}

fn field_name(shape: &Shape, field: u32) -> &str {
    shape.fields.get(field as usize).map_or("?", |field| field.name.as_str())
}

/// Why no new series is taken; looks for the tag to blame once per number of series.
fn refusal(
    dictionary: &Dictionary<'_>,
    measurement: u32,
    shape: &Shape,
    writer: &mut Writer,
) -> Result<String, SeriesError> {
    let count = writer.counters.series;
    if let Some((at, text)) = &writer.refusal
        && *at == count
    {
        return Ok(text.clone());
    }
    let largest = dictionary.describe_largest_tag(measurement, shape)?;
    let text = format!(
        "measurement `{}` has {count} series, as many as it may have; {largest}: make it a field, or use fewer values",
        shape.name
    );
    writer.refusal = Some((count, text.clone()));
    Ok(text)
}
