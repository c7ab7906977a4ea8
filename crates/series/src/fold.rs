//! Which sealed chunks to merge because they may have the same points, as blocks of late points have with those that were
//! sealed before: reading has to compare their points one by one.
//!
//! One fold rewrites no more than is sealed together twice. Where a chunk overlaps more than that, it is merged with the
//! newest of them: late points gather until blocks of them are narrow enough. After a fold that was no progress there is
//! none until more is sealed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::chunk::ChunkHead;

/// What is to be merged, and what was written between two chunks of it and may have the same points as both: of a point that
/// is merged only the latest number is kept, so that what is left out in between would be taken for older than all of it.
pub(crate) fn with_those_between(mut due: Vec<Arc<ChunkHead>>, others: &[Arc<ChunkHead>]) -> Vec<Arc<ChunkHead>> {
    let is_due = |due: &[Arc<ChunkHead>], other: &ChunkHead| due.iter().any(|chunk| chunk.id == other.id);
    while let Some(between) = others.iter().find(|other| !is_due(&due, other) && is_between(&due, other)) {
        due.push(between.clone());
    }
    due
}

fn is_between(due: &[Arc<ChunkHead>], other: &ChunkHead) -> bool {
    let same = || due.iter().filter(|chunk| chunk.overlaps(other));
    same()
        .filter(|older| older.first_sequence < other.last_sequence)
        .any(|older| same().any(|newer| newer.id != older.id && newer.last_sequence > other.first_sequence))
}

/// How many pairs of sealed chunks overlap.
pub(crate) fn overlaps(chunks: &[Arc<ChunkHead>]) -> usize {
    pairs(chunks).values().map(Vec::len).sum::<usize>() / 2
}

/// Sealed chunks to be merged, of at most `bytes_max` in memory; none if no two overlap. Those are preferred that overlap
/// nothing else, and of them the smallest.
pub(crate) fn overlapping(chunks: &[Arc<ChunkHead>], bytes_max: u64) -> Option<Vec<Arc<ChunkHead>>> {
    let pairs = pairs(chunks);
    let weight = |places: &[usize]| places.iter().map(|place| chunks[*place].weight).sum::<u64>();
    let of = |places: Vec<usize>| places.into_iter().map(|place| chunks[place].clone()).collect();
    let whole = groups(&pairs).into_iter().map(|places| (weight(&places), places));
    if let Some((_, places)) = whole.filter(|(weight, _)| *weight <= bytes_max).min() {
        return Some(of(places));
    }
    // The one that overlaps the most of those that it overlaps is the broad one: it is done with then.
    let degree = |place: &usize| pairs.get(place).map_or(0, Vec::len);
    let broad = pairs.iter().filter(|(place, others)| others.iter().all(|other| degree(other) <= degree(place)));
    let together = broad.map(|(place, others)| [others.as_slice(), &[*place]].concat());
    let fitting = together.filter(|places| weight(places) <= bytes_max).max_by_key(Vec::len);
    if fitting.is_some() {
        return fitting.map(of);
    }
    let (newest, others) = pairs.iter().max_by_key(|(place, _)| chunks[**place].id)?;
    let mut others = others.clone();
    others.sort_by_key(|other| std::cmp::Reverse(chunks[*other].id));
    let mut due = vec![*newest];
    for other in others {
        due.push(other);
        if weight(&due) > bytes_max {
            due.pop();
            break;
        }
    }
    (due.len() > 1).then(|| of(due))
}

/// Chunks that overlap directly or through others.
fn groups(pairs: &BTreeMap<usize, Vec<usize>>) -> Vec<Vec<usize>> {
    let (mut groups, mut grouped) = (Vec::new(), HashSet::new());
    for place in pairs.keys() {
        let (mut group, mut open) = (Vec::new(), vec![*place]);
        while let Some(place) = open.pop() {
            if grouped.insert(place) {
                group.push(place);
                open.extend(pairs.get(&place).into_iter().flatten());
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

/// The sealed chunks that overlap others, each with those that it overlaps.
fn pairs(chunks: &[Arc<ChunkHead>]) -> BTreeMap<usize, Vec<usize>> {
    let mut sealed: Vec<usize> = (0..chunks.len()).filter(|place| chunks[*place].sealed).collect();
    sealed.sort_by_key(|place| chunks[*place].first_time);
    let mut pairs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut open: Vec<usize> = Vec::new();
    for place in sealed {
        open.retain(|other| chunks[*other].last_time >= chunks[place].first_time);
        for other in open.iter().filter(|other| chunks[**other].overlaps(&chunks[place])) {
            pairs.entry(place).or_default().push(*other);
            pairs.entry(*other).or_default().push(place);
        }
        open.push(place);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampNanosecondArray};
    use arrow::datatypes::{Int64Type, TimestampNanosecondType};

    use super::*;
    use crate::{PointLayout, ScanRequest, SeriesLimits, SeriesOptions, SeriesStore};

    fn chunk(id: u64, (first_time, last_time): (i64, i64), sealed: bool) -> Arc<ChunkHead> {
        Arc::new(ChunkHead {
            id,
            rows: 1,
            weight: 10,
            first_time,
            last_time,
            first_series: 0,
            last_series: 9,
            first_sequence: id,
            last_sequence: id,
            first_written: 1,
            last_written: 1,
            sealed,
        })
    }

    fn ids(due: Option<Vec<Arc<ChunkHead>>>) -> Vec<u64> {
        let mut ids: Vec<u64> = due.unwrap_or_default().iter().map(|chunk| chunk.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn the_smallest_that_is_then_done_with_goes_first() {
        let mut chunks: Vec<_> = (0..10).map(|id| chunk(id, (id as i64 * 10, id as i64 * 10 + 9), true)).collect();
        chunks.push(chunk(10, (35, 38), false));
        assert_eq!(ids(overlapping(&chunks, 100)), [0; 0]);
        chunks.push(chunk(11, (15, 38), true));
        assert_eq!(ids(overlapping(&chunks, 40)), [1, 2, 3, 11]);
        chunks.push(chunk(12, (52, 61), true));
        assert_eq!(ids(overlapping(&chunks, 40)), [5, 6, 12]);
        assert_eq!(overlaps(&chunks), 5);
    }

    #[test]
    fn what_was_written_in_between_is_merged_as_well() {
        let chunks: Vec<_> = (0..5).map(|id| chunk(id, (10, 20), true)).collect();
        let merged = |due: &[usize], others: &[Arc<ChunkHead>]| {
            ids(Some(with_those_between(due.iter().map(|place| chunks[*place].clone()).collect(), others)))
        };
        assert_eq!(merged(&[1, 3], &chunks), [1, 2, 3]);
        assert_eq!(merged(&[1, 2], &chunks), [1, 2]);
        assert_eq!(merged(&[0], &chunks), [0]);
        let elsewhere = chunk(2, (30, 40), true);
        assert_eq!(merged(&[1, 3], &[elsewhere]), [1, 3]);
    }

    #[test]
    fn what_overlaps_too_much_is_merged_in_part() {
        let mut chunks: Vec<_> = (0..10).map(|id| chunk(id, (id as i64 * 10, id as i64 * 10 + 9), true)).collect();
        chunks.push(chunk(10, (5, 95), true));
        chunks.push(chunk(11, (5, 95), true));
        assert_eq!(ids(overlapping(&chunks, 25)), [10, 11]);
        chunks.push(chunk(12, (200, 300), true));
        chunks.extend((13..16).map(|id| chunk(id, (200 + id as i64, 200 + id as i64), true)));
        assert_eq!(ids(overlapping(&chunks, 40)), [12, 13, 14, 15]);
    }

    const SECOND: i64 = 1_000_000_000;
    const SERIES: i64 = 50;

    fn write(store: &SeriesStore, times: Range<i64>, value: i64) {
        for time in times {
            let columns: [(&str, ArrayRef); 3] = [
                ("time", Arc::new(TimestampNanosecondArray::from(vec![time * SECOND; SERIES as usize]))),
                ("host", Arc::new(Int64Array::from_iter_values(0..SERIES))),
                ("value", Arc::new(Int64Array::from(vec![value; SERIES as usize]))),
            ];
            let batch = RecordBatch::try_from_iter(columns).expect("a batch");
            let layout = PointLayout { time: 0, tags: vec![(1, "host".into())], fields: vec![(2, "value".into())] };
            store.write("m", &batch, &layout).expect("writes");
        }
    }

    #[test]
    fn late_points_are_folded_into_what_was_sealed() {
        let dir = tempfile::tempdir().expect("a directory");
        let limits = SeriesLimits { sealed_together_bytes: 64 * 1024, ..SeriesLimits::default() };
        let options = SeriesOptions { limits, clock: Arc::new(|| SECOND), ..SeriesOptions::default() };
        let store = SeriesStore::open(dir.path(), options).expect("opens");
        write(&store, 0..200, 1);
        write(&store, 30..60, 2);
        write(&store, 200..260, 3);
        let measurement = store.find("m").expect("is there");
        for _ in 0..50 {
            store.expire().expect("keeps house");
        }
        assert_eq!(overlaps(&measurement.chunks()), 0);
        assert!(measurement.chunks().iter().filter(|chunk| chunk.sealed).count() > 30);
        let rows: u64 = measurement.chunks().iter().map(|chunk| chunk.rows).sum();
        assert!(rows < 260 * SERIES as u64 + 30 * SERIES as u64, "{rows} rows: some are there twice");
        let mut row = 0;
        for batch in store.scan("m", &ScanRequest::default()).expect("scans") {
            let batch = batch.expect("reads");
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
            let values = batch.column(2).as_primitive::<Int64Type>();
            for (time, value) in times.values().iter().zip(values.values()) {
                let second = row / SERIES;
                let expected = if second >= 200 { 3 } else { 1 + i64::from((30..60).contains(&second)) };
                assert_eq!((*time, *value), (second * SECOND, expected));
                row += 1;
            }
        }
        assert_eq!(row, 260 * SERIES);
    }
}
