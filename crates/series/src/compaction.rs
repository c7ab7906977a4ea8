//! Merging chunks into larger ones, so that reading opens few.
//!
//! Chunks that are not sealed are in classes by weight, each class four times the one below. When a class has eight, it
//! and those below it become one chunk, unless that were nearly enough to be sealed; when all of them together are heavy enough they are sealed: cut into blocks, by
//! time where series have many points and by series where they have few. Points from before what is sealed already stay
//! apart, so that a late point does not make a block span weeks. Sealed blocks that overlap are folded, see
//! [`crate::fold`]. A chunk and what it replaces change places in one atomic step; what was replaced is deleted once nobody
//! reads it.

use std::sync::Arc;

use crate::catalog::{Measurement, Writer, put_counters};
use crate::chunk::{
    ChunkHead, Points, ROWS_MAX, Wanted, decode, delete_garbage, encode, put_chunk, read_chunk, retire_chunk,
};
use crate::counters::Counters;
use crate::error::storage_error;
use crate::fold::{overlapping, overlaps, with_those_between};
use crate::merge::{Merge, Open, Opener, Picked};
use crate::points_builder::PointsBuilder;
use crate::store::Inner;
use crate::{ScanOrder, SeriesError, SeriesLimits, TimeRange};

/// Chunks of one class that are merged.
const CHUNKS_OF_CLASS: usize = 8;
/// Chunks are merged into others that are not sealed up to one part in so many of what is sealed together.
const MERGED_BEFORE_SEALING: u64 = 4;
/// Blocks that are sealed together.
const BLOCKS_TOGETHER: usize = 8;
/// Late points stay apart until they are this many blocks.
const LATE_BLOCKS_MIN: usize = 2;
/// Points are cut by time while each series keeps this many in every part.
const ROWS_OF_SERIES_MIN: usize = 64;
/// Points gathered at once.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// Reads whole chunks.
pub(crate) struct WholeChunks<'a> {
    pub inner: &'a Inner,
    pub measurement: u32,
    pub range: TimeRange,
}

impl Opener for WholeChunks<'_> {
    /// Which chunk it is.
    type More = u64;

    fn open(&mut self, head: &ChunkHead) -> Result<Option<Open<u64>>, SeriesError> {
        let wanted = Wanted { range: self.range, fields: None, written: true, series: None };
        let points = read_chunk(&self.inner.storage, self.measurement, head.id, |bytes| decode(bytes, wanted))?;
        Ok(Some(Open { points, wanted: None, more: head.id }))
    }
}

/// Chunks that take the place of others.
pub(crate) struct Change {
    pub retired: Vec<Arc<ChunkHead>>,
    pub made: Vec<(Points, Seal)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    Open,
    Sealed,
}

/// Merges what has become due. The caller holds the writer.
pub(crate) fn compact(inner: &Inner, measurement: &Measurement, writer: &mut Writer) -> Result<(), SeriesError> {
    while let Some((due, seal)) = due(&measurement.chunks(), &inner.limits) {
        let sealed = measurement.chunks().iter().filter(|chunk| chunk.sealed).map(|chunk| chunk.last_time).max();
        merge_chunks(inner, measurement, writer, due, seal, sealed)?;
        if seal == Seal::Sealed {
            // Folding is left to whoever keeps house: a write has not to wait for it.
            writer.fold_in_vain = false;
        }
    }
    Ok(())
}

/// Folds some sealed chunks that overlap, if there are any. The caller holds the writer.
pub(crate) fn fold(inner: &Inner, measurement: &Measurement, writer: &mut Writer) -> Result<(), SeriesError> {
    if writer.fold_in_vain {
        return Ok(());
    }
    let chunks = measurement.chunks();
    let bytes_max = 2 * inner.limits.sealed_together_bytes as u64;
    let Some(due) = overlapping(&chunks, bytes_max) else { return Ok(()) };
    // Chunks that are not sealed were written after all that are, as far as they have the same points.
    let sealed: Vec<Arc<ChunkHead>> = chunks.iter().filter(|chunk| chunk.sealed).cloned().collect();
    let due = with_those_between(due, &sealed);
    if due.iter().map(|chunk| chunk.weight).sum::<u64>() > 2 * bytes_max {
        writer.fold_in_vain = true;
        return Ok(());
    }
    merge_chunks(inner, measurement, writer, due, Seal::Sealed, None)?;
    writer.fold_in_vain = overlaps(&measurement.chunks()) >= overlaps(&chunks);
    Ok(())
}

fn due(chunks: &[Arc<ChunkHead>], limits: &SeriesLimits) -> Option<(Vec<Arc<ChunkHead>>, Seal)> {
    let open: Vec<&Arc<ChunkHead>> = chunks.iter().filter(|chunk| !chunk.sealed).collect();
    let weight: u64 = open.iter().map(|chunk| chunk.weight).sum();
    if weight >= limits.sealed_together_bytes as u64 {
        return Some((open.into_iter().cloned().collect(), Seal::Sealed));
    }
    if open.len() < CHUNKS_OF_CLASS {
        return None;
    }
    let mut classes = [(0usize, 0u64); 33];
    for chunk in &open {
        let (count, weight) = &mut classes[class(chunk)];
        (*count, *weight) = (*count + 1, *weight + chunk.weight);
    }
    let weight_up_to = |class: usize| classes[..=class].iter().map(|(_, weight)| weight).sum::<u64>();
    // What is nearly enough to be sealed waits for that: it is merged once less.
    let weight_max = limits.sealed_together_bytes as u64 / MERGED_BEFORE_SEALING;
    let is_due = |class: &usize| classes[*class].0 >= CHUNKS_OF_CLASS && weight_up_to(*class) <= weight_max;
    let class_due = (0..classes.len()).rev().find(is_due)?;
    let due = open.iter().filter(|chunk| class(chunk) <= class_due).map(|chunk| (*chunk).clone()).collect();
    let open: Vec<Arc<ChunkHead>> = open.into_iter().cloned().collect();
    Some((with_those_between(due, &open), Seal::Open))
}

/// Each has four times the weight of the one before.
fn class(chunk: &ChunkHead) -> usize {
    (64 - chunk.weight.leading_zeros() as usize) / 2
}

fn merge_chunks(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    due: Vec<Arc<ChunkHead>>,
    seal: Seal,
    sealed_until: Option<i64>,
) -> Result<(), SeriesError> {
    // One at a time: it takes memory for all that is merged.
    let _turn = inner.compacting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let rows_before: u64 = due.iter().map(|chunk| chunk.rows).sum();
    let mut opener = WholeChunks { inner, measurement: measurement.id, range: TimeRange::ALL };
    let mut merge = Merge::new(due.clone(), ScanOrder::Ascending);
    let mut made = Vec::new();
    let mut builder = PointsBuilder::default();
    loop {
        let picked: Picked<u64> = merge.next(&mut opener, ROWS_AT_ONCE)?;
        builder.append(&picked).ok_or_else(|| SeriesError::Corrupt {
            what: "chunks of points",
            reason: "they do not agree on the type of a field".into(),
        })?;
        // One write may have brought more than is meant to be sealed together.
        if picked.rows == 0 || builder.weight() >= 2 * inner.limits.sealed_together_bytes {
            let points = std::mem::take(&mut builder).finish();
            put_apart(points, seal, sealed_until, block_bytes(&inner.limits), &mut made);
        }
        if picked.rows == 0 {
            break;
        }
    }
    let rows_after: u64 = made.iter().map(|(points, _)| points.rows() as u64).sum();
    let mut counters = writer.counters;
    counters.points = counters.points.saturating_sub(rows_before.saturating_sub(rows_after));
    replace(inner, measurement, writer, counters, Change { retired: due, made })
}

/// Cuts merged points into what they are kept as. Those up to `sealed_until` are late.
fn put_apart(
    points: Points,
    seal: Seal,
    sealed_until: Option<i64>,
    block_bytes: usize,
    made: &mut Vec<(Points, Seal)>,
) {
    if points.rows() == 0 {
        return;
    }
    if seal == Seal::Open {
        made.extend(cut_by_rows(points, ROWS_MAX).into_iter().map(|part| (part, Seal::Open)));
        return;
    }
    let late_rows = sealed_until.map_or(0, |until| points.times.partition_point(|time| *time <= until));
    if late_rows == 0 || late_rows == points.rows() {
        made.extend(cut(points, block_bytes).into_iter().map(|part| (part, Seal::Sealed)));
        return;
    }
    let rows: Vec<u32> = (0..points.rows() as u32).collect();
    let (late, rest) = (points.select(&rows[..late_rows]), points.select(&rows[late_rows..]));
    if late.weight() < block_bytes * LATE_BLOCKS_MIN {
        made.push((late, Seal::Open));
    } else {
        made.extend(cut(late, block_bytes).into_iter().map(|part| (part, Seal::Sealed)));
    }
    made.extend(cut(rest, block_bytes).into_iter().map(|part| (part, Seal::Sealed)));
}

pub(crate) fn block_bytes(limits: &SeriesLimits) -> usize {
    (limits.sealed_together_bytes / BLOCKS_TOGETHER).max(1)
}

/// Cuts points into blocks.
pub(crate) fn cut(points: Points, block_bytes: usize) -> Vec<Points> {
    let blocks = cut_by_weight(points, block_bytes);
    blocks.into_iter().flat_map(|block| cut_by_rows(block, ROWS_MAX)).collect()
}

/// Points of one time, or of one series, may be more than fit into a chunk.
fn cut_by_rows(points: Points, rows_max: usize) -> Vec<Points> {
    if points.rows() <= rows_max {
        return vec![points];
    }
    let rows: Vec<u32> = (0..points.rows() as u32).collect();
    rows.chunks(rows_max).map(|rows| points.select(rows)).collect()
}

fn cut_by_weight(points: Points, block_bytes: usize) -> Vec<Points> {
    let parts = points.weight().div_ceil(block_bytes).min(points.rows());
    if parts <= 1 {
        return vec![points];
    }
    let by_time = points.rows() / points.series_list.len().max(1) >= parts * ROWS_OF_SERIES_MIN
        || points.series_list.len() < parts;
    let all: Vec<u32> = (0..points.rows() as u32).collect();
    if by_time {
        let (mut made, mut start) = (Vec::with_capacity(parts), 0);
        while start < all.len() {
            // All of a time is in one part, so that no two parts may have the same points.
            let last = (start + all.len().div_ceil(parts)).min(all.len()) - 1;
            let end = points.times.partition_point(|time| *time <= points.times[last]);
            made.push(points.select(&all[start..end]));
            start = end;
        }
        return made;
    }
    let width = points.series_list.len().div_ceil(parts);
    let mut rows_of = vec![Vec::new(); parts];
    for row in all {
        rows_of[points.series[row as usize] as usize / width].push(row);
    }
    rows_of.into_iter().filter(|rows| !rows.is_empty()).map(|rows| points.select(&rows)).collect()
}

/// Puts chunks in the place of others, with the counters that go with it, in one atomic step. The caller holds the writer.
pub(crate) fn replace(
    inner: &Inner,
    measurement: &Measurement,
    writer: &mut Writer,
    counters: Counters,
    change: Change,
) -> Result<(), SeriesError> {
    let mut batch = inner.storage.begin().map_err(storage_error)?;
    let mut chunks: Vec<Arc<ChunkHead>> = measurement.chunks().to_vec();
    let mut next_chunk = writer.next_chunk;
    for (points, seal) in &change.made {
        if let Some(head) = ChunkHead::of(next_chunk, points, *seal == Seal::Sealed) {
            put_chunk(&mut batch, measurement.id, &head, &encode(points));
            chunks.push(Arc::new(head));
            next_chunk += 1;
        }
    }
    for head in &change.retired {
        retire_chunk(&mut batch, measurement.id, head.id);
    }
    chunks.retain(|chunk| !change.retired.iter().any(|retired| retired.id == chunk.id));
    let deleted = delete_unread(&mut batch, measurement.id, writer);
    put_counters(&mut batch, measurement.id, counters);
    if let Err(error) = batch.commit() {
        writer.stale = true;
        return Err(storage_error(error));
    }
    writer.next_chunk = next_chunk;
    writer.garbage.retain(|(id, _)| !deleted.contains(id));
    writer.garbage.extend(change.retired.into_iter().map(|head| (head.id, Some(head))));
    writer.counters = counters;
    measurement.set_chunks(Arc::new(chunks));
    measurement.publish(counters);
    Ok(())
}

/// Deletes retired chunks that nobody reads any more; returns which.
pub(crate) fn delete_unread(batch: &mut storage::Batch<'_>, measurement: u32, writer: &Writer) -> Vec<u64> {
    let unread =
        writer.garbage.iter().filter(|(_, head)| head.as_ref().is_none_or(|head| Arc::strong_count(head) == 1));
    let unread: Vec<u64> = unread.map(|(id, _)| *id).collect();
    unread.iter().for_each(|id| delete_garbage(batch, measurement, *id));
    unread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::list_series;

    fn points(series: u64, times: i64) -> Points {
        let keys: Vec<(i64, u64)> = (0..times).flat_map(|time| (0..series).map(move |series| (time, series))).collect();
        let numbers: Vec<u64> = keys.iter().map(|(_, series)| *series).collect();
        let (series_list, series) = list_series(&numbers);
        Points {
            times: keys.iter().map(|(time, _)| *time).collect(),
            series_list,
            series,
            sequences: vec![1; keys.len()],
            written: vec![1; keys.len()],
            ..Points::default()
        }
    }

    fn heads(parts: &[Points]) -> Vec<ChunkHead> {
        parts.iter().map(|part| ChunkHead::of(0, part, true).expect("has rows")).collect()
    }

    #[test]
    fn many_series_are_cut_by_series_and_few_by_time() {
        let many = heads(&cut(points(40_000, 10), 1 << 20));
        assert!(many.len() > 1 && many.iter().all(|head| head.first_time == 0 && head.last_time == 9));
        let few = heads(&cut(points(10, 40_000), 1 << 20));
        assert!(few.len() > 1 && few.iter().all(|head| head.first_series == 0 && head.last_series == 9));
        for heads in [&many, &few] {
            assert_eq!(heads.iter().map(|head| head.rows).sum::<u64>(), 400_000);
            for (index, head) in heads.iter().enumerate() {
                assert!(heads[index + 1..].iter().all(|other| !head.overlaps(other)));
            }
        }
        assert_eq!(cut(points(3, 3), 1 << 20).len(), 1);
        let whole = points(3, 5);
        let parts = cut_by_rows(whole.clone(), 4);
        assert_eq!(parts.iter().map(Points::rows).collect::<Vec<_>>(), [4, 4, 4, 3]);
        let keys = |points: &Points| (0..points.rows()).map(|row| format!("{:?}", points.key(row))).collect::<Vec<_>>();
        assert_eq!(parts.iter().flat_map(keys).collect::<Vec<_>>(), keys(&whole));
    }

    #[test]
    fn what_is_nearly_enough_to_be_sealed_is_not_merged_before() {
        let limits = SeriesLimits { sealed_together_bytes: 32_000, ..SeriesLimits::default() };
        let chunks = |weights: &[u64]| -> Vec<Arc<ChunkHead>> {
            let head = |weight: &u64| ChunkHead { weight: *weight, ..heads(&[points(1, 1)])[0] };
            weights.iter().map(|weight| Arc::new(ChunkHead { sealed: false, ..head(weight) })).collect()
        };
        let found = |weights: &[u64]| due(&chunks(weights), &limits).map(|(due, seal)| (due.len(), seal));
        assert_eq!(found(&[100; 7]), None);
        assert_eq!(found(&[100; 8]), Some((8, Seal::Open)));
        assert_eq!(found(&[2_000; 15]), None);
        let small_ones_too = [[2_000; 8], [10; 8]].concat();
        assert_eq!(found(&small_ones_too), Some((8, Seal::Open)));
        assert_eq!(found(&[2_000; 16]), Some((16, Seal::Sealed)));
    }

    #[test]
    fn late_points_stay_apart() {
        let mut made = Vec::new();
        put_apart(points(10, 100), Seal::Sealed, Some(4), 1 << 20, &mut made);
        let found: Vec<(usize, Seal)> = made.iter().map(|(points, seal)| (points.rows(), *seal)).collect();
        assert_eq!(found, [(50, Seal::Open), (950, Seal::Sealed)]);
    }
}
