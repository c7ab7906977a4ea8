//! Which sealed chunks to merge because they may have the same points, as blocks of late points have with those that were
//! sealed before: reading has to compare their points one by one.
//!
//! One fold rewrites no more than is sealed together twice. Where a chunk overlaps more than that, it is merged with the
//! newest of them: late points gather until blocks of them are narrow enough.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::chunk::ChunkHead;

/// Sealed chunks to be merged, of at most `bytes_max` in memory; none if no two overlap. With `in_part`, and where nothing
/// smaller is left, also some that overlap others still when they are merged.
pub(crate) fn overlapping(chunks: &[Arc<ChunkHead>], bytes_max: u64, in_part: bool) -> Option<Vec<Arc<ChunkHead>>> {
    let pairs = pairs(chunks);
    let weight = |places: &[usize]| places.iter().map(|place| chunks[*place].weight).sum::<u64>();
    let of = |places: Vec<usize>| places.into_iter().map(|place| chunks[place].clone()).collect();
    let whole = groups(&pairs).into_iter().map(|places| (weight(&places), places));
    if let Some((_, places)) = whole.filter(|(weight, _)| *weight <= bytes_max).min() {
        return Some(of(places));
    }
    if !in_part {
        return None;
    }
    let together = pairs.iter().map(|(place, others)| [others.as_slice(), &[*place]].concat());
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
    use super::*;

    fn chunk(id: u64, (first_time, last_time): (i64, i64), sealed: bool) -> Arc<ChunkHead> {
        Arc::new(ChunkHead {
            id,
            rows: 1,
            weight: 10,
            first_time,
            last_time,
            first_series: 0,
            last_series: 9,
            last_sequence: 1,
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
        assert_eq!(ids(overlapping(&chunks, 100, true)), [0; 0]);
        chunks.push(chunk(11, (15, 38), true));
        assert_eq!(ids(overlapping(&chunks, 40, false)), [1, 2, 3, 11]);
        chunks.push(chunk(12, (52, 61), true));
        assert_eq!(ids(overlapping(&chunks, 40, false)), [5, 6, 12]);
    }

    #[test]
    fn what_overlaps_too_much_is_merged_in_part() {
        let mut chunks: Vec<_> = (0..10).map(|id| chunk(id, (id as i64 * 10, id as i64 * 10 + 9), true)).collect();
        chunks.push(chunk(10, (5, 95), true));
        chunks.push(chunk(11, (5, 95), true));
        assert_eq!(ids(overlapping(&chunks, 100, false)), [0; 0]);
        assert_eq!(ids(overlapping(&chunks, 25, true)), [10, 11]);
        chunks.push(chunk(12, (25, 55), true));
        assert_eq!(ids(overlapping(&chunks, 70, true)), [2, 3, 4, 5, 10, 11, 12]);
    }
}
