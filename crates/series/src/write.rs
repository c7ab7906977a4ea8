//! Writing a batch: rows become points, in one atomic step.
//!
//! Rows are encoded into one arena, brought into the order of their keys, and rows of the same point are merged. What is
//! stored of a point is read only where it matters: when the row leaves out a field that the point may have, and the
//! point is not newer than all others.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};

use crate::catalog::{Measurement, Writer, put_counters, put_shape};
use crate::columns::{FieldCell, FieldColumn, PointColumns, TimeCell};
use crate::dictionary::{self, Dictionary, TAGS_KEY_HEAD_BYTES, start_tags_key};
use crate::error::storage_error;
use crate::point::{PointHead, PointKey, put_cell, put_key, put_merged, put_tag};
use crate::shape::Shape;
use crate::store::Inner;
use crate::{PointLayout, SeriesError, SeriesLimits, SkipReason, WriteSummary, space};

/// A point in the arena.
struct Row {
    key: Range<usize>,
    value: Range<usize>,
    /// It has every field of the measurement, so that what was stored before does not matter.
    complete: bool,
}

/// The layout's columns in the order of their numbers.
struct Roles<'a> {
    /// Tags that name the series, then tags kept in the key.
    series_tags: Vec<(u32, usize)>,
    key_tags: Vec<(u32, usize)>,
    fields: Vec<(u32, &'a FieldColumn)>,
}

/// Rows encoded so far.
struct Encoder<'a> {
    inner: &'a Inner,
    measurement: &'a Measurement,
    head: PointHead,
    arena: Vec<u8>,
    rows: Vec<Row>,
    tags_key: Vec<u8>,
    key_tags: Vec<u8>,
    /// Series first seen in this batch: dictionary key to number.
    new_series: HashMap<Vec<u8>, u64>,
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
    let now = (inner.clock)();
    let sequence = writer.counters.sequence + 1;
    let mut encoder = Encoder {
        inner,
        measurement,
        head: PointHead { sequence, write_seconds: seconds_rounded_up(now) },
        arena: Vec::with_capacity(columns.rows * 64),
        rows: Vec::with_capacity(columns.rows),
        tags_key: Vec::new(),
        key_tags: Vec::new(),
        new_series: HashMap::new(),
    };
    let mut summary =
        WriteSummary { rows: columns.rows as u64, sequence: writer.counters.sequence, ..WriteSummary::default() };
    for row in 0..columns.rows {
        match encoder.encode_row(row, columns, &roles, &shape, writer) {
            Ok(()) => summary.written += 1,
            Err(RowError::Refused(Refused(reason, message))) => summary.skip(row, reason, || message),
            Err(RowError::Failed(error)) => return Err(error),
        }
    }
    if encoder.rows.is_empty() {
        return Ok(summary);
    }
    summary.new_series = encoder.new_series.len() as u64;
    let changed_shape = (shape != *stored_shape).then(|| Arc::new(shape));
    encoder.commit(writer, now, changed_shape)?;
    summary.sequence = sequence;
    Ok(summary)
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
    fn encode_row(
        &mut self,
        row: usize,
        columns: &PointColumns<'_>,
        roles: &Roles<'_>,
        shape: &Shape,
        writer: &mut Writer,
    ) -> Result<(), RowError> {
        let time = match columns.time.micros(row) {
            TimeCell::At(time) => time,
            TimeCell::Missing => return Err(refused(SkipReason::NoTime, "the time is NULL")),
            TimeCell::OutOfRange => {
                return Err(refused(SkipReason::TimeOutOfRange, "the time does not fit 64 bits of microseconds"));
            }
        };
        let start = self.arena.len();
        let encoded = self.encode_value(row, roles, shape).and_then(|complete| {
            let value = start..self.arena.len();
            self.encode_tags(row, columns, roles)?;
            let series = self.series_number(shape, writer)?;
            Ok((value, series, complete))
        });
        match encoded {
            Ok((value, series, complete)) => {
                let key_start = self.arena.len();
                put_key(&mut self.arena, self.measurement.id, time, series, &self.key_tags);
                self.rows.push(Row { key: key_start..self.arena.len(), value, complete });
                Ok(())
            }
            Err(error) => {
                self.arena.truncate(start);
                Err(error)
            }
        }
    }

    /// Appends the value; tells whether it has every field of the measurement.
    fn encode_value(&mut self, row: usize, roles: &Roles<'_>, shape: &Shape) -> Result<bool, RowError> {
        self.head.put(&mut self.arena);
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
                FieldCell::Value(cell) => {
                    if let crate::point::Cell::Text(text) = cell
                        && text.len() > self.inner.limits.field_text_bytes_max
                    {
                        let (name, max) = (field_name(shape, *field), self.inner.limits.field_text_bytes_max);
                        return Err(refused(
                            SkipReason::TextTooLong,
                            format!("field `{name}` is {} bytes long, the limit is {max}", text.len()),
                        ));
                    }
                    put_cell(&mut self.arena, *field, cell);
                    cells += 1;
                }
            }
        }
        if cells == 0 {
            return Err(refused(SkipReason::NoField, "every field is NULL"));
        }
        Ok(cells == shape.fields.len())
    }

    fn encode_tags(&mut self, row: usize, columns: &PointColumns<'_>, roles: &Roles<'_>) -> Result<(), RowError> {
        start_tags_key(&mut self.tags_key, self.measurement.id);
        self.key_tags.clear();
        let limits = &self.inner.limits;
        for (tags, buffer) in [(&roles.series_tags, &mut self.tags_key), (&roles.key_tags, &mut self.key_tags)] {
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
        let found = self.tags_key.len() + self.key_tags.len();
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

    fn commit(mut self, writer: &mut Writer, now: i64, changed_shape: Option<Arc<Shape>>) -> Result<(), SeriesError> {
        let mut counters = writer.counters;
        let found_before = self.merge_rows(counters.newest_time)?;
        let times =
            || self.rows.iter().filter_map(|row| PointKey::read(&self.arena[row.key.clone()])).map(|key| key.time);
        // Keys are in order, so these are the first and the last time.
        let (Some(first), Some(last)) = (times().next(), times().next_back()) else { return Ok(()) };
        counters.points += (self.rows.len() - found_before) as u64;
        counters.series += self.new_series.len() as u64;
        counters.sequence = self.head.sequence;
        counters.last_write = now;
        counters.newest_time = counters.newest_time.max(last);
        let mut batch = self.inner.storage.begin().map_err(storage_error)?;
        for row in &self.rows {
            batch.put(space::POINTS, &self.arena[row.key.clone()], &self.arena[row.value.clone()]);
        }
        for (tags_key, series) in &self.new_series {
            dictionary::put_series(&mut batch, self.measurement.id, *series, tags_key);
        }
        if let Some(shape) = &changed_shape {
            put_shape(&mut batch, self.measurement.id, shape)?;
        }
        put_counters(&mut batch, self.measurement.id, counters);
        if let Err(error) = batch.commit() {
            writer.stale = true;
            return Err(storage_error(error));
        }
        for (tags_key, series) in &self.new_series {
            self.inner.series_cache.put_number(&tags_key[1..], *series);
            self.inner.series_cache.put_tags(self.measurement.id, *series, Arc::from(&tags_key[TAGS_KEY_HEAD_BYTES..]));
        }
        if let Some(shape) = changed_shape {
            self.measurement.set_shape(shape);
        }
        writer.counters = counters;
        writer.changes.push(counters.sequence, first, last);
        self.measurement.publish(counters);
        Ok(())
    }

    /// Orders the rows by key and makes one of those with the same key and of what is stored already. Returns how many
    /// points were found to be there before.
    fn merge_rows(&mut self, newest_time: i64) -> Result<usize, SeriesError> {
        let arena = &self.arena;
        let in_order = |a: &Row, b: &Row| arena[a.key.clone()] < arena[b.key.clone()];
        if !self.rows.is_sorted_by(in_order) {
            // Stable: of the rows of one point, the last one wins.
            self.rows.sort_by(|a, b| arena[a.key.clone()].cmp(&arena[b.key.clone()]));
        }
        let mut merged: Vec<Row> = Vec::with_capacity(self.rows.len());
        let mut found_before = 0;
        for row in std::mem::take(&mut self.rows) {
            match merged.last_mut() {
                Some(last) if self.arena[last.key.clone()] == self.arena[row.key.clone()] => {
                    last.value =
                        if row.complete { row.value } else { self.merge_values(last.value.clone(), row.value)? };
                    last.complete |= row.complete;
                }
                _ => merged.push(row),
            }
        }
        for row in &mut merged {
            let is_newest = PointKey::read(&self.arena[row.key.clone()]).is_some_and(|key| key.time > newest_time);
            if row.complete || is_newest {
                continue;
            }
            let stored = self.inner.storage.get(space::POINTS, &self.arena[row.key.clone()]).map_err(storage_error)?;
            if let Some(stored) = stored {
                found_before += 1;
                let start = self.arena.len();
                self.arena.extend_from_slice(&stored);
                row.value = self.merge_values(start..self.arena.len(), row.value.clone())?;
            }
        }
        self.rows = merged;
        Ok(found_before)
    }

    fn merge_values(&mut self, older: Range<usize>, newer: Range<usize>) -> Result<Range<usize>, SeriesError> {
        let mut value = Vec::with_capacity(older.len() + newer.len());
        put_merged(&mut value, &self.arena[older], &self.arena[newer])
            .ok_or_else(|| SeriesError::Corrupt { what: "a point", reason: "its fields cannot be read".into() })?;
        let start = self.arena.len();
        self.arena.extend_from_slice(&value);
        Ok(start..self.arena.len())
    }
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
