//! Removing what is no longer kept: points older than their retention, dropped measurements, series without points.
//!
//! A point expires when both its own time and the time of its last write are older than the retention, so that
//! replaying the past does not vanish at once. Each measurement remembers before when nothing can be due, so that
//! looking costs nothing most of the time.

use std::collections::HashSet;

use crate::catalog::{Counters, Measurement, Writer, put_counters};
use crate::dictionary::{self, measurement_ranges, start_tags_key};
use crate::error::{read_error, storage_error};
use crate::point::{PointHead, PointKey, key_after, key_at};
use crate::store::Inner;
use crate::{ExpireSummary, SeriesError, space};

/// Keys looked at while writers of the measurement wait.
const KEYS_PER_STEP: usize = 10_000;
/// A measurement is looked at this many times within its retention, at most.
const LOOKS_PER_RETENTION: i64 = 128;

pub(crate) fn expire(inner: &Inner) -> Result<ExpireSummary, SeriesError> {
    let mut summary = ExpireSummary::default();
    for id in inner.catalog.dropped() {
        summary.dropped += purge(inner, id)?;
    }
    let now = (inner.clock)();
    for measurement in inner.catalog.all() {
        if measurement.counters().next_expiry <= now {
            expire_measurement(inner, &measurement, now, &mut summary)?;
        }
    }
    Ok(summary)
}

fn expire_measurement(
    inner: &Inner,
    measurement: &Measurement,
    now: i64,
    summary: &mut ExpireSummary,
) -> Result<(), SeriesError> {
    let retention = inner.retention_micros(&measurement.shape());
    let cutoff = now.saturating_sub(retention);
    // A point written from now on is kept for at least this long.
    let mut next_expiry = now.saturating_add(retention);
    let mut removed = 0;
    let mut from = key_at(measurement.id, i64::MIN);
    loop {
        let mut writer = measurement.lock(&inner.storage)?;
        if writer.dropped {
            return Ok(());
        }
        let step = expire_step(inner, measurement, &mut writer, &from, cutoff)?;
        removed += step.removed;
        if let Some(written) = step.oldest_write_kept {
            next_expiry = next_expiry.min(written.saturating_add(retention));
        }
        if let Some(resume_at) = step.resume_at {
            from = resume_at;
            continue;
        }
        if let Some(oldest) = step.first_time_kept {
            next_expiry = next_expiry.min(oldest.saturating_add(retention));
        }
        let soonest = now.saturating_add((retention / LOOKS_PER_RETENTION).max(1_000_000));
        let mut counters = writer.counters;
        counters.next_expiry = next_expiry.max(soonest);
        store_counters(inner, measurement, &mut writer, counters)?;
        break;
    }
    summary.expired += removed;
    if removed > 0 {
        summary.series += remove_unused_series(inner, measurement)?;
    }
    Ok(())
}

struct Step {
    removed: u64,
    /// Earliest write time, microseconds, of points that are old but were written lately.
    oldest_write_kept: Option<i64>,
    /// Time of the first point that is not old.
    first_time_kept: Option<i64>,
    /// Where to go on; `None` when all old points have been looked at.
    resume_at: Option<Vec<u8>>,
}

/// Looks at some points from `from` on and removes those that are due. The caller holds the writer, so that no point is
/// written anew between looking at it and removing it.
fn expire_step(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    from: &[u8],
    cutoff: i64,
) -> Result<Step, SeriesError> {
    let mut step = Step { removed: 0, oldest_write_kept: None, first_time_kept: None, resume_at: None };
    let mut due: Vec<Vec<u8>> = Vec::new();
    let end = key_after(measurement.id);
    let points = inner.storage.scan(space::POINTS, from..end.as_slice()).map_err(storage_error)?;
    for (looked_at, guard) in points.enumerate() {
        let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
        let mut fields: &[u8] = &value;
        let (Some(point), Some(head)) = (PointKey::read(&key), PointHead::take(&mut fields)) else {
            return Err(SeriesError::Corrupt { what: "a point", reason: "its key or head cannot be read".into() });
        };
        if point.time >= cutoff {
            step.first_time_kept = Some(point.time);
            break;
        }
        if looked_at >= KEYS_PER_STEP {
            step.resume_at = Some(key.to_vec());
            break;
        }
        let written = i64::try_from(head.write_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        if written < cutoff {
            due.push(key.to_vec());
        } else {
            step.oldest_write_kept = Some(step.oldest_write_kept.map_or(written, |oldest| oldest.min(written)));
        }
    }
    if !due.is_empty() {
        step.removed = due.len() as u64;
        let mut counters = writer.counters;
        counters.points = counters.points.saturating_sub(step.removed);
        let mut batch = inner.storage.begin().map_err(storage_error)?;
        for key in &due {
            batch.delete(space::POINTS, key);
        }
        put_counters(&mut batch, measurement.id, counters);
        commit(batch, measurement, writer, counters)?;
    }
    Ok(step)
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
    let was_empty = is_empty(inner, measurement.id)?;
    {
        let mut writer = measurement.lock(&inner.storage)?;
        if !was_empty && writer.counters.series < inner.limits.series_per_measurement_max / 2 {
            return Ok(0);
        }
        writer.used_series = Some(HashSet::new());
    }
    let unused = unused_series(inner, measurement.id);
    let mut writer = measurement.lock(&inner.storage)?;
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
        removed.push((series, tags_key.clone()));
    }
    counters.series = counters.series.saturating_sub(removed.len() as u64);
    if was_empty && used.is_empty() {
        // What was estimated is known now.
        counters.points = 0;
    }
    put_counters(&mut batch, measurement.id, counters);
    commit(batch, measurement, &mut writer, counters)?;
    for (series, tags_key) in &removed {
        inner.series_cache.forget(measurement.id, *series, &tags_key[1..]);
    }
    Ok(removed.len() as u64)
}

fn is_empty(inner: &Inner, id: u32) -> Result<bool, SeriesError> {
    let range = key_at(id, i64::MIN)..key_after(id);
    Ok(inner.storage.scan(space::POINTS, range).map_err(storage_error)?.next().is_none())
}

fn unused_series(inner: &Inner, id: u32) -> Result<Vec<(u64, Vec<u8>)>, SeriesError> {
    let mut with_points = HashSet::new();
    let range = key_at(id, i64::MIN)..key_after(id);
    for guard in inner.storage.scan(space::POINTS, range).map_err(storage_error)? {
        let key = guard.key().map_err(|error| read_error(&error))?;
        with_points.extend(PointKey::read(&key).map(|key| key.series));
    }
    let mut unused = Vec::new();
    inner.dictionary().for_each(id, |series, tags| {
        if !with_points.contains(&series) {
            unused.push((series, tags.to_vec()));
        }
    })?;
    Ok(unused)
}

/// Removes all that is left of a dropped measurement; returns the number of its points.
fn purge(inner: &Inner, id: u32) -> Result<u64, SeriesError> {
    let points = delete_range(inner, space::POINTS, key_at(id, i64::MIN), &key_after(id))?;
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
