//! Which rows of a chunk are read: a stretch of time of all its series, or of a few of them.

use std::ops::Range;

use crate::numbers::{take_numbers, take_numbers_at};

/// Series are picked out of a chunk when they are at most one of so many: else all rows are read faster than some.
const PICKED_SHARE_MAX: usize = 8;

/// Whether so many series of those that a chunk lists are picked out of it.
pub(crate) fn are_few(wanted: usize, listed: usize) -> bool {
    wanted.saturating_mul(PICKED_SHARE_MAX) <= listed
}

#[derive(Clone, Debug)]
pub(super) enum Rows {
    Stretch(Range<usize>),
    Picked {
        /// All rows of the series that are wanted, ascending, up to the last one that is wanted: some values are told as
        /// steps from the one before.
        rows: Vec<u32>,
        /// So many of them are before the first one that is wanted.
        before: usize,
        /// Of each row, which of the series that are wanted it is of.
        series: Vec<u32>,
        /// Where in the chunk's list these series are, ascending.
        places: Vec<u32>,
    },
}

impl Rows {
    pub(super) fn none() -> Self {
        Self::Stretch(0..0)
    }

    /// Appends the numbers of these rows of a column of `rows` to `out`, see [`take_numbers`].
    pub(super) fn take<T>(
        &self,
        bytes: &mut &[u8],
        rows: usize,
        out: &mut Vec<T>,
        convert: impl Fn(i64) -> T,
    ) -> Option<()> {
        match self {
            Self::Stretch(wanted) => take_numbers(bytes, rows, wanted.clone(), out, convert),
            Self::Picked { rows: picked, before, .. } => {
                take_numbers_at(bytes, rows, picked.get(*before..)?, out, convert)
            }
        }
    }

    /// Where a row is among these.
    pub(super) fn place(&self, row: usize) -> Option<usize> {
        match self {
            Self::Stretch(wanted) => wanted.contains(&row).then(|| row - wanted.start),
            Self::Picked { rows, before, .. } => {
                let found = rows.binary_search(&u32::try_from(row).ok()?).ok()?;
                found.checked_sub(*before)
            }
        }
    }
}
