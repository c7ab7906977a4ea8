//! Tumbling, hopping and cumulating windows over slices.
//!
//! Each lane (one partition of one stream) keeps its own tables, so a lane's sums depend on its records' order alone. A table
//! belongs to a *part*: a slice together with the first window that was still open to its records. The operator closes
//! windows over all lanes in order of their ends; partials merge in a fixed order: lane, then slice.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::take;
use datafusion::config::ConfigOptions;

use crate::group_table::{AggregateSpec, GroupTable, KeyColumn, Partial};
use crate::slice_tree::SliceTree;
use crate::{LATE, NO_WINDOW, OperatorError, WindowSpec};

/// Rows of one lane on their way into a window.
pub struct LaneRows<'a> {
    /// Event time of each row, milliseconds.
    pub times: &'a [i64],
    /// Watermark of the row's own partition when the row was read; `None` when no row of the batch can be late.
    pub watermarks: Option<&'a [i64]>,
    /// Key columns as held ([`AggregateSpec::hold_keys`]).
    pub keys: Vec<ArrayRef>,
    /// Argument columns of each call.
    pub arguments: Vec<Vec<ArrayRef>>,
    /// FILTER of each call.
    pub filters: Vec<Option<BooleanArray>>,
}

/// Keys, arguments and filters of some rows, as in [`LaneRows`].
pub(crate) type PickedRows = (Vec<ArrayRef>, Vec<Vec<ArrayRef>>, Vec<Option<BooleanArray>>);

impl LaneRows<'_> {
    /// The rows at `indices`.
    pub(crate) fn pick(&self, indices: &UInt32Array) -> Result<PickedRows, OperatorError> {
        let pick = |column: &ArrayRef| take(column.as_ref(), indices, None);
        let pick_all = |columns: &Vec<ArrayRef>| columns.iter().map(pick).collect::<Result<Vec<_>, _>>();
        let filters = self.filters.iter().map(|filter| match filter {
            Some(filter) => Ok(Some(take(filter, indices, None)?.as_boolean().clone())),
            None => Ok(None),
        });
        Ok((
            pick_all(&self.keys)?,
            self.arguments.iter().map(pick_all).collect::<Result<_, _>>()?,
            filters.collect::<Result<_, OperatorError>>()?,
        ))
    }
}

/// What became of the rows of a batch.
#[derive(Default)]
pub struct Verdict {
    /// Per row: end of the first window that took it, or [`LATE`], or [`NO_WINDOW`].
    pub first_ends: Vec<i64>,
    /// Windows that rows missed although later ones took them.
    pub late_windows: u64,
    /// Rows that are late only because windows had closed while their partition was idle.
    pub late_after_idle: u64,
}

impl Verdict {
    /// Empties the verdict and keeps its memory.
    pub fn clear(&mut self) {
        self.first_ends.clear();
        self.late_windows = 0;
        self.late_after_idle = 0;
    }
}

/// A part: the end of the first window it belongs to, and the start of its slice.
type Part = (i64, i64);

/// The open parts of one lane.
pub struct SlicedLane {
    window: WindowSpec,
    aggregate: AggregateSpec,
    parts: BTreeMap<Part, GroupTable>,
    batch_parts: Vec<Part>,
    row_parts: Vec<u32>,
}

impl SlicedLane {
    /// A lane without rows.
    pub fn new(window: WindowSpec, aggregate: AggregateSpec) -> Self {
        SlicedLane { window, aggregate, parts: BTreeMap::new(), batch_parts: Vec::new(), row_parts: Vec::new() }
    }

    /// Takes rows into their parts. Nothing at or before `closed_up_to` is open any more.
    pub fn update(&mut self, rows: &LaneRows, closed_up_to: i64, verdict: &mut Verdict) -> Result<(), OperatorError> {
        self.assign(rows, closed_up_to, verdict);
        match self.batch_parts.as_slice() {
            [] => Ok(()),
            [only] if verdict.first_ends.iter().all(|end| *end == only.0) => {
                let part = *only;
                self.table(part)?.update(rows.times.len(), &rows.keys, &rows.arguments, &rows.filters)
            }
            _ => self.update_by_part(rows),
        }
    }

    /// Whether the lane holds nothing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Groups held in open parts.
    pub fn group_count(&self) -> usize {
        self.parts.values().map(GroupTable::len).sum()
    }

    /// Bytes of memory of the open parts.
    pub fn bytes(&self) -> usize {
        self.parts.values().map(GroupTable::bytes).sum()
    }

    /// Parts with their states; with `dirty_only` those that changed since they were last asked for. Also names all parts.
    pub fn snapshot(&mut self, dirty_only: bool) -> Result<Vec<(i64, i64, Option<Partial>)>, OperatorError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for ((first_end, slice), table) in &mut self.parts {
            let partial = if table.dirty || !dirty_only { Some(table.snapshot()?) } else { None };
            parts.push((*first_end, *slice, partial));
        }
        Ok(parts)
    }

    /// Puts a part back that [`Self::snapshot`] gave.
    pub fn restore(&mut self, first_end: i64, slice: i64, partial: &Partial) -> Result<(), OperatorError> {
        let table = self.table((first_end, slice))?;
        table.merge(partial)?;
        table.dirty = false;
        Ok(())
    }

    fn table(&mut self, part: Part) -> Result<&mut GroupTable, OperatorError> {
        match self.parts.entry(part) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => Ok(entry.insert(GroupTable::new(&self.aggregate)?)),
        }
    }

    /// Fills `batch_parts`, `row_parts` and the verdict.
    fn assign(&mut self, rows: &LaneRows, closed_up_to: i64, verdict: &mut Verdict) {
        self.batch_parts.clear();
        self.row_parts.clear();
        verdict.clear();
        verdict.first_ends.reserve(rows.times.len());
        self.row_parts.reserve(rows.times.len());
        let slice_ms = self.window.slice_ms();
        let (mut slice, mut first_end) = (i64::MAX, None);
        let mut last: Option<(Part, u32)> = None;
        for (row, time) in rows.times.iter().copied().enumerate() {
            if time < slice || time - slice >= slice_ms {
                slice = self.window.slice_start(time);
                first_end = self.window.first_end(slice);
            }
            let Some(natural_end) = first_end else {
                verdict.first_ends.push(NO_WINDOW);
                self.row_parts.push(u32::MAX);
                continue;
            };
            let own = rows.watermarks.map_or(i64::MIN, |watermarks| watermarks[row]);
            let mut end = natural_end;
            if natural_end <= own.max(closed_up_to) {
                match self.window.first_end_after(slice, own.max(closed_up_to)) {
                    Some((later, missed)) => {
                        end = later;
                        verdict.late_windows += missed;
                    }
                    None => {
                        let by_own = natural_end <= own && self.window.first_end_after(slice, own).is_none();
                        verdict.late_after_idle += u64::from(!by_own);
                        verdict.first_ends.push(LATE);
                        self.row_parts.push(u32::MAX);
                        continue;
                    }
                }
            }
            verdict.first_ends.push(end);
            let part = (end, slice);
            let index = match last {
                Some((known, index)) if known == part => index,
                _ => {
                    let index = self.batch_parts.iter().position(|known| *known == part).unwrap_or_else(|| {
                        self.batch_parts.push(part);
                        self.batch_parts.len() - 1
                    }) as u32;
                    last = Some((part, index));
                    index
                }
            };
            self.row_parts.push(index);
        }
    }

    fn update_by_part(&mut self, rows: &LaneRows) -> Result<(), OperatorError> {
        let mut indices: Vec<Vec<u32>> = vec![Vec::new(); self.batch_parts.len()];
        for (row, part) in self.row_parts.iter().enumerate() {
            if *part != u32::MAX {
                indices[*part as usize].push(row as u32);
            }
        }
        for (part, indices) in std::mem::take(&mut self.batch_parts).into_iter().zip(indices) {
            let indices = UInt32Array::from(indices);
            let (keys, arguments, filters) = rows.pick(&indices)?;
            self.table(part)?.update(indices.len(), &keys, &arguments, &filters)?;
        }
        Ok(())
    }
}

/// The result rows of one window.
pub struct WindowRows {
    pub start_ms: i64,
    pub end_ms: i64,
    pub rows: usize,
    /// Key columns as results.
    pub keys: Vec<ArrayRef>,
    /// One column per aggregate call.
    pub results: Vec<ArrayRef>,
}

/// Closes windows over all lanes, in order of their ends.
pub struct SlicedOperator {
    window: WindowSpec,
    aggregate: AggregateSpec,
    /// Every window that ends at or before this has been emitted.
    closed_up_to: i64,
    /// Complete parts by slice, of all lanes, until their last window is closed.
    sealed: BTreeMap<i64, Arc<Partial>>,
    /// Parts of records that came too late for their slice's first windows.
    partly_late: BTreeMap<(i64, i64), Arc<Partial>>,
    tree: SliceTree,
}

impl SlicedOperator {
    /// An operator that has closed nothing yet.
    pub fn new(window: WindowSpec, aggregate: AggregateSpec) -> Self {
        SlicedOperator {
            window,
            aggregate,
            closed_up_to: i64::MIN,
            sealed: BTreeMap::new(),
            partly_late: BTreeMap::new(),
            tree: SliceTree::default(),
        }
    }

    /// A lane for this operator.
    pub fn lane(&self) -> SlicedLane {
        SlicedLane::new(self.window, self.aggregate.clone())
    }

    /// Bytes of memory of what is complete and still needed.
    pub fn bytes(&self) -> usize {
        let parts = self.sealed.values().chain(self.partly_late.values());
        parts.map(|partial| partial.bytes()).sum::<usize>() + self.tree.bytes()
    }

    /// Windows that end at or before this are closed.
    pub fn closed_up_to(&self) -> i64 {
        self.closed_up_to
    }

    /// End of the earliest window that has rows and is not closed.
    pub fn next_end<'a>(&self, lanes: impl Iterator<Item = &'a SlicedLane>) -> Option<i64> {
        let open = lanes.filter_map(|lane| lane.parts.keys().next().map(|(end, _)| *end)).min();
        let slices =
            self.sealed.keys().next().into_iter().chain(self.partly_late.keys().next().map(|(slice, _)| slice));
        let kept =
            slices.filter_map(|slice| self.window.first_end_after(*slice, self.closed_up_to)).map(|(end, _)| end).min();
        match (open, kept) {
            (Some(open), Some(kept)) => Some(open.min(kept)),
            (open, kept) => open.or(kept),
        }
    }

    /// Emits the window that ends at `end_ms`, which must be what [`Self::next_end`] gave.
    pub fn close<'a>(
        &mut self,
        end_ms: i64,
        lanes: impl Iterator<Item = &'a mut SlicedLane>,
    ) -> Result<Option<WindowRows>, OperatorError> {
        let mut parts: BTreeMap<(i64, i64), GroupTable> = BTreeMap::new();
        for lane in lanes {
            let later = lane.parts.split_off(&(end_ms + 1, i64::MIN));
            for ((first_end, slice), table) in std::mem::replace(&mut lane.parts, later) {
                match parts.entry((slice, first_end)) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(table);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        entry.get_mut().merge(&table.into_partial()?)?
                    }
                }
            }
        }
        let table = if self.window.slices_per_window() == 1
            && self.window.last_end(end_ms - self.window.slice_ms()) == end_ms
        {
            self.merge_single_slice(parts)?
        } else {
            self.seal(parts)?;
            self.merge_window(end_ms)?
        };
        self.closed_up_to = end_ms;
        self.forget_closed();
        let Some(table) = table else { return Ok(None) };
        let (rows, keys, results) = table.evaluate()?;
        let keys = self.aggregate.finish_keys(keys, rows)?;
        Ok(Some(WindowRows { start_ms: self.window.start_of(end_ms), end_ms, rows, keys, results }))
    }

    fn merge_single_slice(&self, parts: BTreeMap<(i64, i64), GroupTable>) -> Result<Option<GroupTable>, OperatorError> {
        let mut parts = parts.into_values();
        let Some(mut table) = parts.next() else { return Ok(None) };
        for part in parts {
            table.merge(&part.into_partial()?)?;
        }
        Ok(Some(table))
    }

    fn seal(&mut self, parts: BTreeMap<(i64, i64), GroupTable>) -> Result<(), OperatorError> {
        for ((slice, first_end), table) in parts {
            let partial = Arc::new(table.into_partial()?);
            if self.window.first_end(slice) == Some(first_end) {
                self.sealed.insert(slice, partial);
            } else {
                self.partly_late.insert((slice, first_end), partial);
            }
        }
        Ok(())
    }

    fn merge_window(&mut self, end_ms: i64) -> Result<Option<GroupTable>, OperatorError> {
        let first = self.window.slice_index(self.window.start_of(end_ms));
        let last = self.window.slice_index(end_ms - 1);
        let (window, sealed, aggregate) = (&self.window, &self.sealed, &self.aggregate);
        let leaf = |index: i64| sealed.get(&window.slice_start_of_index(index)).cloned();
        let nodes = self.tree.cover(first, last + 1, aggregate, &leaf)?;
        let late = self
            .partly_late
            .range((window.slice_start_of_index(first), i64::MIN)..(end_ms, i64::MIN))
            .map(|(_, partial)| partial);
        let mut table: Option<GroupTable> = None;
        for partial in nodes.iter().chain(late) {
            let table = match &mut table {
                Some(table) => table,
                None => table.insert(GroupTable::new(aggregate)?),
            };
            table.merge(partial)?;
        }
        Ok(table)
    }

    fn forget_closed(&mut self) {
        let closed = self.closed_up_to;
        let window = self.window;
        while let Some(slice) = self.sealed.keys().next().copied().filter(|slice| window.last_end(*slice) <= closed) {
            self.sealed.remove(&slice);
        }
        self.partly_late.retain(|(slice, _), _| window.last_end(*slice) > closed);
        let oldest = self.sealed.keys().next().map_or(i64::MAX, |slice| window.slice_index(*slice));
        self.tree.forget_before(oldest);
    }

    /// What a checkpoint keeps beside the lanes' parts: (slice, first end) and the partial. The partials never change.
    pub fn snapshot(&self) -> (i64, Vec<(i64, i64, Arc<Partial>)>) {
        let sealed = self
            .sealed
            .iter()
            .map(|(slice, partial)| (*slice, self.window.first_end(*slice).unwrap_or(i64::MIN), Arc::clone(partial)));
        let late = self.partly_late.iter().map(|((slice, end), partial)| (*slice, *end, Arc::clone(partial)));
        (self.closed_up_to, sealed.chain(late).collect())
    }

    /// Puts back what [`Self::snapshot`] gave.
    pub fn restore(&mut self, closed_up_to: i64, parts: Vec<(i64, i64, Partial)>) {
        self.closed_up_to = closed_up_to;
        for (slice, first_end, partial) in parts {
            if self.window.first_end(slice) == Some(first_end) {
                self.sealed.insert(slice, Arc::new(partial));
            } else {
                self.partly_late.insert((slice, first_end), Arc::new(partial));
            }
        }
    }
}

impl AggregateSpec {
    /// Held keys as result columns.
    pub fn finish_keys(&self, keys: Vec<ArrayRef>, rows: usize) -> Result<Vec<ArrayRef>, OperatorError> {
        let config = Arc::new(ConfigOptions::default());
        keys.into_iter()
            .zip(self.keys())
            .map(|(column, key)| match key {
                KeyColumn::Plain => Ok(column),
                KeyColumn::Interned(interner) => interner.decode(&column),
                KeyColumn::Derived(function) => crate::group_table::apply(function, column, rows, &config),
            })
            .collect()
    }
}
