//! Removing what is no longer kept: points older than their retention, dropped measurements, series without points.
//!
//! A point expires when both its own time and the time of its last write are older than the retention, so that
//! replaying the past does not vanish at once. Each measurement remembers before when nothing can be due, so that
//! looking costs nothing most of the time.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use crate::catalog::{Measurement, Writer, put_counters};
use crate::chunk::{ChunkHead, decode_series_list, delete_chunk, load_heads, read_chunk};
use crate::compaction::{Change, Seal, WholeChunks, fold, replace};
use crate::counters::Counters;
use crate::dictionary::{self, measurement_ranges, start_tags_key};
use crate::error::{read_error, storage_error};
use crate::merge::{Merge, Opener};
use crate::point::{key_after, key_at};
use crate::store::Inner;
use crate::{ExpireSummary, ScanOrder, SeriesError, TimeRange, space};

/// Keys deleted in one step.
const KEYS_PER_STEP: usize = 10_000;
/// Chunks deleted in one step.
const CHUNKS_PER_STEP: usize = 256;
/// Points judged at once.
const ROWS_AT_ONCE: usize = 64 * 1024;
/// A measurement is looked at this many times within its retention, at most.
const LOOKS_PER_RETENTION: i64 = 128;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

pub(crate) fn expire(inner: &Inner) -> Result<ExpireSummary, SeriesError> {
    let mut summary = ExpireSummary::default();
    for (id, known) in inner.catalog.dropped() {
        // What is read goes when nobody reads it any more.
        if known.is_none_or(|measurement| !measurement.is_read()) {
            summary.dropped += purge(inner, id)?;
        }
    }
    let now = (inner.clock)();
    for measurement in inner.catalog.all() {
        if measurement.counters().next_expiry <= now {
            expire_measurement(inner, &measurement, now, &mut summary)?;
        }
        fold_sealed(inner, &measurement)?;
        delete_retired(inner, &measurement)?;
    }
    Ok(summary)
}

fn expire_measurement(
    inner: &Inner,
    measurement: &Measurement,
    now: i64,
    summary: &mut ExpireSummary,
) -> Result<(), SeriesError> {
    let retention = inner.retention_nanos(&measurement.shape());
    let cutoff = now.saturating_sub(retention);
    let mut removed = 0;
    let old: Vec<u64> = measurement.chunks().iter().filter(|head| is_old(head, cutoff)).map(|head| head.id).collect();
    for id in old {
        // One after the other, so that writers of the measurement do not wait for all of them.
        let mut writer = measurement.lock(&inner.storage)?;
        if writer.dropped {
            return Ok(());
        }
        removed += expire_chunk(inner, measurement, &mut writer, id, cutoff)?;
    }
    summary.expired += removed;
    {
        let mut writer = measurement.lock(&inner.storage)?;
        // A point written from now on is kept for at least this long.
        let kept_for = now.saturating_add(retention);
        let first = measurement.chunks().iter().map(|head| head.first_time.max(nanos(head.first_written))).min();
        let next_expiry = first.map_or(kept_for, |first| first.saturating_add(retention).min(kept_for));
        let soonest = now.saturating_add((retention / LOOKS_PER_RETENTION).max(NANOS_PER_SECOND));
        let mut counters = writer.counters;
        counters.next_expiry = next_expiry.max(soonest);
        store_counters(inner, measurement, &mut writer, counters)?;
    }
    if removed > 0 {
        summary.series += remove_unused_series(inner, measurement)?;
    }
    Ok(())
}

fn nanos(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND)
}

/// Whether any of a chunk's points may be due.
fn is_old(head: &ChunkHead, cutoff: i64) -> bool {
    head.first_time < cutoff && nanos(head.first_written) < cutoff
}

/// Removes the points of a chunk that are due; returns how many. The caller holds the writer. A point that was written to
/// another chunk later is as old as that.
fn expire_chunk(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    id: u64,
    cutoff: i64,
) -> Result<u64, SeriesError> {
    let chunks = measurement.chunks();
    // Merged with others in the meantime: looked at next time.
    let Some(chunk) = chunks.iter().find(|chunk| chunk.id == id) else { return Ok(0) };
    let others = chunks.iter().filter(|other| other.id != id && other.overlaps(chunk) && other.first_time < cutoff);
    let mut read: Vec<Arc<ChunkHead>> = others.cloned().collect();
    let mut counters = writer.counters;
    if read.is_empty() && chunk.last_time < cutoff && nanos(chunk.last_written) < cutoff {
        counters.points = counters.points.saturating_sub(chunk.rows);
        let change = Change { retired: vec![chunk.clone()], made: Vec::new() };
        replace(inner, measurement, writer, counters, change)?;
        return Ok(chunk.rows);
    }
    read.push(chunk.clone());
    let range = TimeRange::new(chunk.first_time, chunk.last_time.saturating_add(1).min(cutoff));
    let mut opener = WholeChunks { inner, measurement: measurement.id, range };
    let mut merge = Merge::new(read, ScanOrder::Ascending);
    // Rows are counted from the chunk's first time, which is its first row.
    let mut due: Vec<usize> = Vec::new();
    let mut removed = 0;
    loop {
        let picked = merge.next(&mut opener, ROWS_AT_ONCE)?;
        for piece in &picked.pieces {
            let source = &picked.sources[piece.source];
            for row in piece.rows(ScanOrder::Ascending) {
                if nanos(source.points.written[row]) >= cutoff {
                    continue;
                }
                if source.more == id {
                    due.push(row);
                    // Counted with the last of the chunks that have the point.
                    removed += u64::from(piece.older.is_empty());
                }
                due.extend(
                    piece.older.iter().filter(|(older, _)| picked.sources[*older].more == id).map(|(_, row)| *row),
                );
            }
        }
        if picked.rows == 0 {
            break;
        }
    }
    if due.is_empty() {
        return Ok(0);
    }
    opener.range = TimeRange::ALL;
    let points = opener.open(chunk)?.map(|open| open.points).unwrap_or_default();
    let mut kept = vec![true; points.rows()];
    due.into_iter().for_each(|row| kept[row] = false);
    let kept: Vec<u32> = (0..points.rows() as u32).filter(|row| kept[*row as usize]).collect();
    counters.points = counters.points.saturating_sub(removed);
    let seal = if chunk.sealed { Seal::Sealed } else { Seal::Open };
    let change = Change { retired: vec![chunk.clone()], made: vec![(points.select(&kept), seal)] };
    replace(inner, measurement, writer, counters, change)?;
    Ok(removed)
}

/// Folds sealed chunks that overlap, some at a time.
fn fold_sealed(inner: &Inner, measurement: &Measurement) -> Result<(), SeriesError> {
    let mut writer = measurement.lock(&inner.storage)?;
    if writer.dropped { Ok(()) } else { fold(inner, measurement, &mut writer) }
}

/// Deletes chunks that were retired and that nobody reads any more.
fn delete_retired(inner: &Inner, measurement: &Measurement) -> Result<(), SeriesError> {
    let mut writer = measurement.lock(&inner.storage)?;
    if writer.garbage.is_empty() || writer.dropped {
        return Ok(());
    }
    let counters = writer.counters;
    let change = Change { retired: Vec::new(), made: Vec::new() };
    replace(inner, measurement, &mut writer, counters, change)
}

fn store_counters(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    counters: Counters,
) -> Result<(), SeriesError> {
    let mut batch = inner.storage.begin().map_err(storage_error)?;
    put_counters(&mut batch, measurement.id, counters);
    commit(batch, measurement, writer, counters)
}

fn commit(
    batch: storage::Batch<'_>,
    measurement: &Measurement,
    writer: &mut Writer,
    counters: Counters,
) -> Result<(), SeriesError> {
    if let Err(error) = batch.commit() {
        writer.stale = true;
        return Err(storage_error(error));
    }
    writer.counters = counters;
    measurement.publish(counters);
    Ok(())
}

/// Takes series that have no point any more off the dictionary, once they are many enough to matter.
fn remove_unused_series(inner: &Inner, measurement: &Measurement) -> Result<u64, SeriesError> {
    let was_empty = measurement.chunks().is_empty();
    {
        let mut writer = measurement.lock(&inner.storage)?;
        if !was_empty && writer.counters.series < inner.limits.series_per_measurement_max / 2 {
            return Ok(0);
        }
        writer.used_series = Some(HashSet::new());
    }
    let unused = unused_series(inner, measurement);
    let mut writer = measurement.lock(&inner.storage)?;
    // Those that are removed must not be taken for known.
    writer.known_rows.clear();
    // Series written to in the meantime stay.
    let used = writer.used_series.take().unwrap_or_default();
    let mut tags_key = Vec::new();
    let mut counters = writer.counters;
    let mut batch = inner.storage.begin().map_err(storage_error)?;
    let mut removed = Vec::new();
    for (series, tags) in unused? {
        if used.contains(&series) {
            continue;
        }
        start_tags_key(&mut tags_key, measurement.id);
        tags_key.extend_from_slice(&tags);
        dictionary::delete_series(&mut batch, measurement.id, series, &tags_key);
        removed.push(tags_key.clone());
    }
    counters.series = counters.series.saturating_sub(removed.len() as u64);
    if was_empty && used.is_empty() {
        // What was estimated is known now.
        counters.points = 0;
    }
    put_counters(&mut batch, measurement.id, counters);
    commit(batch, measurement, &mut writer, counters)?;
    *measurement.tag_table.lock().unwrap_or_else(PoisonError::into_inner) = None;
    for tags_key in &removed {
        inner.series_cache.forget(&tags_key[1..]);
    }
    Ok(removed.len() as u64)
}

fn unused_series(inner: &Inner, measurement: &Measurement) -> Result<Vec<(u64, Vec<u8>)>, SeriesError> {
    let mut with_points = HashSet::new();
    for chunk in measurement.chunks().iter() {
        with_points.extend(read_chunk(&inner.storage, measurement.id, chunk.id, decode_series_list)?);
    }
    let mut unused = Vec::new();
    inner.dictionary().for_each(measurement.id, |series, tags| {
        if !with_points.contains(&series) {
            unused.push((series, tags.to_vec()));
        }
    })?;
    Ok(unused)
}

/// Removes all that is left of a dropped measurement; returns the number of its points.
fn purge(inner: &Inner, id: u32) -> Result<u64, SeriesError> {
    let (heads, garbage) = load_heads(&inner.storage, id)?;
    let mut points = heads.iter().map(|head| head.rows).sum();
    let chunks: Vec<u64> = heads.into_iter().map(|head| head.id).chain(garbage).collect();
    for chunks in chunks.chunks(CHUNKS_PER_STEP) {
        let mut batch = inner.storage.begin().map_err(storage_error)?;
        chunks.iter().for_each(|chunk| delete_chunk(&mut batch, id, *chunk));
        batch.commit().map_err(storage_error)?;
    }
    // Of a measurement that was dropped by an earlier version.
    points += delete_range(inner, space::POINTS, key_at(id, i64::MIN), &key_after(id))?;
    for (start, end) in measurement_ranges(id) {
        delete_range(inner, space::SERIES, start, &end)?;
    }
    inner.catalog.purged(id, &inner.storage)?;
    Ok(points)
}

fn delete_range(inner: &Inner, space: usize, mut start: Vec<u8>, end: &[u8]) -> Result<u64, SeriesError> {
    let mut deleted = 0;
    loop {
        let mut keys = Vec::new();
        for guard in inner.storage.scan(space, start.as_slice()..end).map_err(storage_error)?.take(KEYS_PER_STEP) {
            keys.push(guard.key().map_err(|error| read_error(&error))?);
        }
        // Goes on behind what was deleted: looking over deleted keys again would take longer each time.
        let Some(last) = keys.last() else { return Ok(deleted) };
        start = last.to_vec();
        let mut batch = inner.storage.begin().map_err(storage_error)?;
        for key in &keys {
            batch.delete(space, key);
        }
        batch.commit().map_err(storage_error)?;
        deleted += keys.len() as u64;
    }
}
