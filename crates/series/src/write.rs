//! Writing a batch: its rows become a chunk of points, in one atomic step.
//!
//! What is stored of a point is not read: chunks are merged when they are read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::batch_points::{BatchPoints, RowError, assign_roles};
use crate::catalog::{Measurement, Writer, put_counters, put_shape};
use crate::chunk::{ChunkHead, Points, Wanted, decode, encode, put_chunk, read_chunk};
use crate::columns::PointColumns;
use crate::compaction::{block_bytes, compact, cut, delete_unread};
use crate::counters::Counters;
use crate::dictionary;
use crate::error::storage_error;
use crate::shape::Shape;
use crate::store::Inner;
use crate::{PointLayout, SeriesError, TimeRange, WriteSummary};

/// Points that are there already are looked for if they may be this many, in chunks of at most this weight.
const SEARCHED_POINTS_MAX: usize = 256;
const SEARCHED_BYTES_MAX: u64 = 2 * 1024 * 1024;

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
    let mut rows = BatchPoints::new(inner, measurement, columns, &roles, writer);
    let mut summary =
        WriteSummary { rows: columns.rows as u64, sequence: writer.counters.sequence, ..WriteSummary::default() };
    let judged = if rows.take_all(writer) { 0 } else { columns.rows };
    summary.written = (columns.rows - judged) as u64;
    for row in 0..judged {
        match rows.take_row(row, &shape, writer) {
            Ok(()) => summary.written += 1,
            Err(RowError::Refused(reason, message)) => summary.skip(row, reason, || message),
            Err(RowError::Failed(error)) => return Err(error),
        }
    }
    if rows.is_empty() {
        return Ok(summary);
    }
    let mut counters = writer.counters;
    counters.sequence += 1;
    counters.last_write = (inner.clock)();
    let new_series = rows.take_new_series();
    summary.new_series = new_series.len() as u64;
    let known_rows = rows.take_known_rows();
    let points = rows.into_points(counters);
    let changed_shape = (shape != *stored_shape).then(|| Arc::new(shape));
    commit(inner, measurement, writer, counters, points, &new_series, changed_shape)?;
    if let Some(known) = known_rows {
        writer.known_rows.put(known);
    }
    summary.sequence = counters.sequence;
    match compact(inner, measurement, writer) {
        // The points are written; merging goes on with the next write that succeeds.
        Err(error) if error.is_retryable() => Ok(summary),
        result => result.map(|()| summary),
    }
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
        let wanted = Wanted { range: TimeRange::ALL, fields: Some(&[]), written: false, series: None };
        let stored = read_chunk(&inner.storage, measurement.id, chunk.id, |bytes| decode(bytes, wanted))?;
        for (row, found) in found.iter_mut().enumerate() {
            *found |= stored.find(points.key(row)).is_some();
        }
    }
    Ok(found.into_iter().filter(|found| *found).count() as u64)
}
