//! The series of the rows of the last batches, so that a batch with the same tags in the same rows, as windows and
//! collectors send them, needs no look-up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, StringArray};

/// Bytes remembered of one measurement, and of all together.
const MEASUREMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Batches of one measurement: so many collectors, or parts of what one sends, take turns.
const BATCHES_MAX: usize = 32;

/// The tag columns of a batch, each with its tag's number, in ascending order of numbers.
pub(crate) type TagColumns = Vec<(u32, StringArray)>;

/// Stands for a row that was refused.
const NO_SERIES: u64 = u64::MAX;

/// The last batches of one measurement, the latest first.
#[derive(Default)]
pub(crate) struct KnownBatches(VecDeque<KnownRows>);

impl KnownBatches {
    /// Takes out what is known of a batch that began with the same row.
    pub(crate) fn take(&mut self, tags: &[(u32, StringArray)]) -> Option<KnownRows> {
        if tags.iter().any(|(_, column)| column.is_empty()) {
            return None;
        }
        let same = |known: &KnownRows| known.has_columns(tags) && known.series(tags, 0).is_some();
        let found = self.0.iter().position(same)?;
        self.0.remove(found)
    }

    pub(crate) fn put(&mut self, known: KnownRows) {
        self.0.push_front(known);
        self.0.truncate(BATCHES_MAX);
        let mut bytes = 0;
        self.0.retain(|known| {
            bytes += known.share.bytes;
            bytes <= MEASUREMENT_BYTES_MAX
        });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

pub(crate) struct KnownRows {
    tags: TagColumns,
    series: Vec<u64>,
    share: Share,
}

/// Its part of what may be remembered, given back when it is dropped.
struct Share {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl KnownRows {
    /// Remembers which series the accepted rows of a batch were; `None` if that is too much.
    pub(crate) fn new(tags: TagColumns, rows: &[u32], series: &[u64], used: &Arc<AtomicUsize>) -> Option<Self> {
        let columns: usize = tags.iter().map(|(_, column)| column.get_array_memory_size()).sum();
        let length = rows.last().map_or(0, |last| *last as usize + 1);
        let bytes = columns + length * size_of::<u64>();
        if bytes > MEASUREMENT_BYTES_MAX {
            return None;
        }
        let share = Share { used: used.clone(), bytes };
        if used.fetch_add(bytes, Ordering::Relaxed) + bytes > ALL_BYTES_MAX {
            return None;
        }
        let mut of_rows = vec![NO_SERIES; length];
        rows.iter().zip(series).for_each(|(row, series)| of_rows[*row as usize] = *series);
        Some(Self { tags, series: of_rows, share })
    }

    /// Whether a batch has the same tags, so that its rows can be compared.
    pub(crate) fn has_columns(&self, tags: &[(u32, StringArray)]) -> bool {
        self.tags.iter().map(|(tag, _)| tag).eq(tags.iter().map(|(tag, _)| tag))
    }

    /// The series of all rows, if they are the same as those of the batch remembered and none was refused. Compares columns as a
    /// whole.
    pub(crate) fn all(&self, tags: &[(u32, StringArray)], rows: usize) -> Option<&[u64]> {
        let same = self.series.len() == rows
            && self.tags.iter().zip(tags).all(|((_, last), (_, now))| last.len() == rows && is_same_column(last, now))
            && !self.series.contains(&NO_SERIES);
        same.then_some(&self.series)
    }

    /// The series of a row, if the same row of the batch remembered had the same tags.
    #[inline]
    pub(crate) fn series(&self, tags: &[(u32, StringArray)], row: usize) -> Option<u64> {
        let series = self.series.get(row).copied().filter(|series| *series != NO_SERIES)?;
        let same = self.tags.iter().zip(tags).all(|((_, last), (_, now))| {
            last.is_null(row) == now.is_null(row) && (last.is_null(row) || last.value(row) == now.value(row))
        });
        same.then_some(series)
    }
}

/// `false` also where only the bytes behind the values differ.
fn is_same_column(a: &StringArray, b: &StringArray) -> bool {
    a.value_offsets() == b.value_offsets() && a.value_data() == b.value_data() && a.nulls() == b.nulls()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_known_by_all_their_tags() {
        let used = Arc::new(AtomicUsize::new(0));
        let columns = |a: [Option<&str>; 3], b: [Option<&str>; 3]| -> TagColumns {
            vec![(0, StringArray::from(a.to_vec())), (4, StringArray::from(b.to_vec()))]
        };
        let last = columns([Some("x"), None, Some("z")], [Some("1"), Some(""), None]);
        let known = KnownRows::new(last.clone(), &[0, 1], &[7, 8], &used).expect("is small");
        assert!(known.has_columns(&last) && !known.has_columns(&last[..1]));
        let found = |tags: &[(u32, StringArray)]| [0, 1, 2].map(|row| known.series(tags, row));
        assert_eq!(found(&last), [Some(7), Some(8), None], "the third was refused");
        assert_eq!((known.all(&last, 3), known.all(&last, 2)), (None, None));
        let whole = KnownRows::new(last.clone(), &[0, 1, 2], &[7, 8, 9], &used).expect("is small");
        assert_eq!(whole.all(&last, 3), Some([7, 8, 9].as_slice()));
        assert_eq!(whole.all(&columns([Some("x"), None, Some("z")], [Some("1"), None, None]), 3), None);
        let absent = columns([Some("x"), Some(""), Some("z")], [Some("2"), Some(""), None]);
        assert_eq!(found(&absent), [None, None, None], "absent is not empty");
        assert!(used.load(Ordering::Relaxed) > 0);
        drop((known, whole));
        assert_eq!(used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn batches_that_take_turns_are_all_known() {
        let used = Arc::new(AtomicUsize::new(0));
        let batch = |first: usize| -> TagColumns {
            vec![(0, StringArray::from_iter_values((first..first + 3).map(|row| row.to_string())))]
        };
        let mut known = KnownBatches::default();
        let remember = |first: usize| KnownRows::new(batch(first), &[0, 1, 2], &[first as u64, 8, 9], &used);
        (0..BATCHES_MAX + 2).for_each(|first| known.put(remember(first).expect("is small")));
        assert_eq!(known.0.len(), BATCHES_MAX);
        assert!(known.take(&batch(1)).is_none(), "the oldest are forgotten");
        let found = known.take(&batch(7)).expect("is remembered");
        assert_eq!(found.all(&batch(7), 3), Some([7, 8, 9].as_slice()));
        drop(found);
        assert!(known.take(&batch(7)).is_none());
        assert!(known.take(&[]).is_none() && known.take(&[(0, StringArray::from(Vec::<&str>::new()))]).is_none());
        let large = vec![(0, StringArray::from(vec!["x".repeat(MEASUREMENT_BYTES_MAX / 2)]))];
        known.put(KnownRows::new(large, &[0], &[7], &used).expect("is not too large"));
        assert!(known.0.len() > 1);
        let other = vec![(0, StringArray::from(vec!["y".repeat(MEASUREMENT_BYTES_MAX / 2)]))];
        known.put(KnownRows::new(other, &[0], &[7], &used).expect("is not too large"));
        assert_eq!(known.0.len(), 1);
        known.clear();
        assert_eq!(used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_remembered_is_limited() {
        let used = Arc::new(AtomicUsize::new(ALL_BYTES_MAX));
        let tags = vec![(0, StringArray::from(vec!["x"]))];
        assert!(KnownRows::new(tags, &[0], &[7], &used).is_none());
        assert_eq!(used.load(Ordering::Relaxed), ALL_BYTES_MAX);
    }
}
