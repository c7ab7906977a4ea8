//! Merging chunks: their points in the order of keys, each once, as stretches of rows of the chunks.
//!
//! Chunks are opened when their time comes and closed when they are through. Where no other chunk has points in between,
//! a stretch is as long as it can be, so that columns are copied and not points.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::chunk::{ChunkHead, Key, Points};
use crate::{ScanOrder, SeriesError};

/// A chunk that is being read.
pub(crate) struct Open<T> {
    pub points: Points,
    /// Which of its series are wanted, in the order of its list; `None` is all.
    pub wanted: Option<Vec<bool>>,
    /// What the reader knows of it besides.
    pub more: T,
}

/// Reads chunks for a merge; `None` if there is nothing in one that is wanted.
pub(crate) trait Opener {
    type More;
    fn open(&mut self, head: &ChunkHead) -> Result<Option<Open<Self::More>>, SeriesError>;
}

/// Rows of one chunk: `first` and those that follow it in the order of reading.
pub(crate) struct Piece {
    /// Which of [`Picked::sources`].
    pub source: usize,
    pub first: usize,
    pub length: usize,
    /// The same point as it was written before, the latest first: source and row. The piece is one row then.
    pub older: Vec<(usize, usize)>,
}

/// Points in the order of reading.
pub(crate) struct Picked<T> {
    pub sources: Vec<Arc<Open<T>>>,
    pub pieces: Vec<Piece>,
    pub rows: usize,
    /// Points that the same chunks have and that are not wanted.
    pub passed_over: u64,
}

impl<T> Picked<T> {
    fn new() -> Self {
        Self { sources: Vec::new(), pieces: Vec::new(), rows: 0, passed_over: 0 }
    }

    fn source(&mut self, open: &Arc<Open<T>>) -> usize {
        match self.sources.iter().position(|known| Arc::ptr_eq(known, open)) {
            Some(source) => source,
            None => {
                self.sources.push(open.clone());
                self.sources.len() - 1
            }
        }
    }

    fn push(&mut self, open: &Arc<Open<T>>, first: usize, length: usize) {
        let source = self.source(open);
        self.pieces.push(Piece { source, first, length, older: Vec::new() });
        self.rows += length;
    }
}

struct Cursor<T> {
    open: Arc<Open<T>>,
    /// Rows passed so far, in the order of reading.
    passed: usize,
}

pub(crate) struct Merge<T> {
    order: ScanOrder,
    /// In the order in which they come to be read.
    waiting: VecDeque<Arc<ChunkHead>>,
    cursors: Vec<Cursor<T>>,
}

impl<T> Merge<T> {
    pub(crate) fn new(mut chunks: Vec<Arc<ChunkHead>>, order: ScanOrder) -> Self {
        match order {
            ScanOrder::Ascending => chunks.sort_by_key(|chunk| chunk.first_time),
            ScanOrder::Descending => chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.last_time)),
        }
        Self { order, waiting: chunks.into(), cursors: Vec::new() }
    }

    /// The next points, at most `rows_max`; fewer only at the end.
    pub(crate) fn next(
        &mut self,
        opener: &mut impl Opener<More = T>,
        rows_max: usize,
    ) -> Result<Picked<T>, SeriesError> {
        let mut picked = Picked::new();
        while picked.rows < rows_max {
            self.settle(&mut picked);
            // What is opened is settled as well before it is judged what comes next.
            while self.open_due(opener)? {
                self.settle(&mut picked);
            }
            if self.cursors.is_empty() {
                break;
            }
            self.pick(&mut picked, rows_max);
        }
        Ok(picked)
    }

    fn row(&self, cursor: &Cursor<T>) -> usize {
        row_of(self.order, cursor.open.points.rows(), cursor.passed)
    }

    fn compare(&self, a: &Key<'_>, b: &Key<'_>) -> Ordering {
        match self.order {
            ScanOrder::Ascending => a.cmp(b),
            ScanOrder::Descending => b.cmp(a),
        }
    }

    /// Passes rows that are not wanted, and closes what is through.
    fn settle(&mut self, picked: &mut Picked<T>) {
        let order = self.order;
        self.cursors.retain_mut(|cursor| {
            let points = &cursor.open.points;
            if let Some(wanted) = &cursor.open.wanted {
                let before = cursor.passed;
                while cursor.passed < points.rows()
                    && !wanted[points.series[row_of(order, points.rows(), cursor.passed)] as usize]
                {
                    cursor.passed += 1;
                }
                picked.passed_over += (cursor.passed - before) as u64;
            }
            cursor.passed < points.rows()
        });
    }

    /// Opens the chunks that may have points before or at the next one of those that are open; tells whether there were any.
    fn open_due(&mut self, opener: &mut impl Opener<More = T>) -> Result<bool, SeriesError> {
        let waiting_before = self.waiting.len();
        while let Some(next) = self.waiting.front() {
            let times = self.cursors.iter().map(|cursor| cursor.open.points.times[self.row(cursor)]);
            let due = match self.order {
                ScanOrder::Ascending => times.min().is_none_or(|time| next.first_time <= time),
                ScanOrder::Descending => times.max().is_none_or(|time| next.last_time >= time),
            };
            if !due {
                break;
            }
            let Some(head) = self.waiting.pop_front() else { break };
            if let Some(open) = opener.open(&head)?
                && open.points.rows() > 0
            {
                self.cursors.push(Cursor { open: Arc::new(open), passed: 0 });
            }
        }
        Ok(self.waiting.len() < waiting_before)
    }

    /// Takes the next point, or the next ones if they are all of one chunk.
    fn pick(&mut self, picked: &mut Picked<T>, rows_max: usize) {
        let key = |index: usize| self.cursors[index].open.points.key(self.row(&self.cursors[index]));
        let (mut first, mut bound, mut same) = (0, None, Vec::new());
        for other in 1..self.cursors.len() {
            match self.compare(&key(other), &key(first)) {
                Ordering::Less => {
                    same.clear();
                    bound = Some(first);
                    first = other;
                }
                Ordering::Equal => same.push(other),
                Ordering::Greater => {
                    if bound.is_none_or(|bound| self.compare(&key(other), &key(bound)).is_lt()) {
                        bound = Some(other);
                    }
                }
            }
        }
        if !same.is_empty() {
            same.push(first);
            self.pick_latest(picked, same);
            return;
        }
        let length = self.length_before(first, bound, rows_max - picked.rows);
        let row = self.row(&self.cursors[first]);
        picked.push(&self.cursors[first].open, row, length);
        self.cursors[first].passed += length;
    }

    /// How many rows of a cursor come before all others, at most `rows_max`; at least one.
    fn length_before(&self, first: usize, bound: Option<usize>, rows_max: usize) -> usize {
        let cursor = &self.cursors[first];
        let points = &cursor.open.points;
        let bound = bound.map(|bound| self.cursors[bound].open.points.key(self.row(&self.cursors[bound])));
        let waiting = self.waiting.front().map(|next| match self.order {
            ScanOrder::Ascending => next.first_time,
            ScanOrder::Descending => next.last_time,
        });
        let left = (points.rows() - cursor.passed).min(rows_max);
        if bound.is_none() && waiting.is_none() && cursor.open.wanted.is_none() {
            return left;
        }
        let mut length = 1;
        while length < left {
            let row = row_of(self.order, points.rows(), cursor.passed + length);
            let time = points.times[row];
            let too_late = waiting.is_some_and(|waiting| match self.order {
                ScanOrder::Ascending => time >= waiting,
                ScanOrder::Descending => time <= waiting,
            });
            if too_late
                || cursor.open.wanted.as_ref().is_some_and(|wanted| !wanted[points.series[row] as usize])
                || bound.as_ref().is_some_and(|bound| self.compare(&points.key(row), bound).is_ge())
            {
                break;
            }
            length += 1;
        }
        length
    }

    /// Takes one point that several cursors have.
    fn pick_latest(&mut self, picked: &mut Picked<T>, mut same: Vec<usize>) {
        let sequence = |index: &usize| self.cursors[*index].open.points.sequences[self.row(&self.cursors[*index])];
        same.sort_by_key(|index| std::cmp::Reverse(sequence(index)));
        let rows: Vec<(usize, usize)> = same
            .iter()
            .map(|index| (picked.source(&self.cursors[*index].open), self.row(&self.cursors[*index])))
            .collect();
        for index in same {
            self.cursors[index].passed += 1;
        }
        if let Some(((source, first), older)) = rows.split_first() {
            picked.pieces.push(Piece { source: *source, first: *first, length: 1, older: older.to_vec() });
            picked.rows += 1;
        }
    }
}

fn row_of(order: ScanOrder, rows: usize, passed: usize) -> usize {
    match order {
        ScanOrder::Ascending => passed,
        ScanOrder::Descending => rows - 1 - passed,
    }
}

impl Piece {
    /// Its rows in the order of reading.
    pub(crate) fn rows(&self, order: ScanOrder) -> impl Iterator<Item = usize> + use<> {
        let (first, length) = (self.first, self.length);
        (0..length).map(move |index| match order {
            ScanOrder::Ascending => first + index,
            ScanOrder::Descending => first - index,
        })
    }
}
