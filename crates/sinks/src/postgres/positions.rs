//! Which records of a batch the table has already, by what is noted beside it.
//!
//! A call writes records and notes, in the same transaction, the offset behind the last of each partition. What lies below it
//! is there, but for the records that the server has refused in that same call: they become dead letters only afterwards. If
//! the process ends in between they come again, so they are noted, too, and tried again. Records of a partition are given in the
//! order of their offsets, and a call is not made before what was refused in earlier ones is with the dead letters. So what is noted as
//! refused below the first offset of a call is settled, and forgotten.

use std::collections::BTreeMap;
use std::ops::Range;

use delivery::{EncodedBatch, RecordError};

/// What is noted of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Noted {
    /// Every record below it is there or refused.
    pub next_offset: i64,
    /// Ascending.
    pub refused: Vec<i64>,
}

pub(super) type NotedPartitions = BTreeMap<u32, Noted>;

/// The partitions of a batch; `None` if not every record has a position.
pub(super) fn partitions(batch: &EncodedBatch) -> Option<Vec<u32>> {
    let mut partitions = Vec::new();
    for index in 0..batch.len() {
        let partition = batch.position(index)?.partition;
        if partitions.last() != Some(&partition) {
            partitions.push(partition);
        }
    }
    partitions.sort_unstable();
    partitions.dedup();
    Some(partitions)
}

/// The records that the table does not have.
pub(super) fn to_write(batch: &EncodedBatch, noted: &NotedPartitions) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for index in 0..batch.len() {
        let is_there = batch.position(index).is_some_and(|position| {
            noted.get(&position.partition).is_some_and(|noted| {
                position.offset < noted.next_offset && noted.refused.binary_search(&position.offset).is_err()
            })
        });
        if is_there {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            _ => ranges.push(index..index + 1),
        }
    }
    ranges
}

/// What is to be noted after the batch is written, all but those with an error; only what differs from before.
pub(super) fn after(batch: &EncodedBatch, before: &NotedPartitions, errors: &[RecordError]) -> NotedPartitions {
    struct Given {
        first: i64,
        last: i64,
        refused: Vec<i64>,
    }
    let mut given: BTreeMap<u32, Given> = BTreeMap::new();
    let mut refused = errors.iter().map(|error| error.index).peekable();
    for index in 0..batch.len() {
        let Some(position) = batch.position(index) else { continue };
        let Given { first, last, refused: refused_here } = given.entry(position.partition).or_insert(Given {
            first: position.offset,
            last: position.offset,
            refused: Vec::new(),
        });
        *first = (*first).min(position.offset);
        *last = (*last).max(position.offset);
        if refused.next_if_eq(&index).is_some() {
            refused_here.push(position.offset);
        }
    }
    let mut after = NotedPartitions::new();
    for (partition, given) in given {
        let known = before.get(&partition).cloned().unwrap_or_default();
        // Of those that were refused before, the ones within this batch were tried again.
        let mut refused: Vec<i64> = known.refused.iter().copied().filter(|offset| *offset > given.last).collect();
        refused.extend(given.refused);
        refused.sort_unstable();
        refused.dedup();
        let noted = Noted { next_offset: known.next_offset.max(given.last.saturating_add(1)), refused };
        if noted != known {
            after.insert(partition, noted);
        }
    }
    after
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use delivery::{EncodedBatchBuilder, ErrorClass, Position};

    fn batch(positions: &[(u32, i64)]) -> EncodedBatch {
        let mut builder = EncodedBatchBuilder::default();
        positions.iter().for_each(|_| builder.push(b"x"));
        let positions = positions.iter().map(|(partition, offset)| Position { partition: *partition, offset: *offset });
        builder.finish().at(positions.collect())
    }

    fn error(index: usize) -> RecordError {
        RecordError { index, class: ErrorClass::Refused, reason: String::new() }
    }

    fn noted(partitions: &[(u32, i64, &[i64])]) -> NotedPartitions {
        let noted = |(partition, next_offset, refused): &(u32, i64, &[i64])| {
            (*partition, Noted { next_offset: *next_offset, refused: refused.to_vec() })
        };
        partitions.iter().map(noted).collect()
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let batch = batch(&[(0, 4), (1, 7), (0, 5), (0, 6), (1, 8)]);
        assert_eq!(partitions(&batch), Some(vec![0, 1]));
        assert_eq!(to_write(&batch, &NotedPartitions::new()), [0..5]);
        assert_eq!(to_write(&batch, &noted(&[(0, 6, &[]), (1, 8, &[])])), [3..5]);
        // A record that was refused, and may not be with the dead letters.
        assert_eq!(to_write(&batch, &noted(&[(0, 9, &[4]), (1, 9, &[])])), [0..1]);
        assert!(to_write(&batch, &noted(&[(0, 9, &[]), (1, 9, &[])])).is_empty());
    }

    #[test]
    fn the_refused_are_kept_in_mind_until_they_are_settled() {
        let first = batch(&[(0, 0), (0, 1), (0, 5)]);
        let after_first = after(&first, &NotedPartitions::new(), &[error(1)]);
        assert_eq!(after_first, noted(&[(0, 6, &[1])]));
        // The process ended; the same records come once more, and the one is refused once more.
        assert_eq!(to_write(&first, &after_first), [1..2]);
        assert_eq!(after(&first, &after_first, &[error(1)]), NotedPartitions::new());
        // Somebody has mended the table meanwhile.
        assert_eq!(after(&first, &after_first, &[]), noted(&[(0, 6, &[])]));
        // The next call is only made when it is with the dead letters.
        assert_eq!(after(&batch(&[(0, 6)]), &after_first, &[]), noted(&[(0, 7, &[])]));
    }

    #[test]
    fn halves_and_gaps_are_in_order() {
        // A batch is halved after a refusal that names no record; what is alone and refused is noted by nobody.
        let mut known = NotedPartitions::new();
        for half in [batch(&[(0, 0), (0, 1)]), batch(&[(0, 3)]), batch(&[(0, 40), (0, 41)])] {
            assert_eq!(to_write(&half, &known), [0..half.len()]);
            known.extend(after(&half, &known, &[]));
        }
        assert_eq!(known, noted(&[(0, 42, &[])]));
        // What comes behind the time, from a process that should have ended, moves nothing back.
        assert!(to_write(&batch(&[(0, 0), (0, 1)]), &known).is_empty());
        assert_eq!(after(&batch(&[(0, 0), (0, 1)]), &known, &[]), NotedPartitions::new());
    }
}
