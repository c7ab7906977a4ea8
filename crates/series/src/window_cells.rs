//! The cells of a request for aggregates: each is one group of series in one window.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampNanosecondArray};
use hashbrown::HashMap;

use crate::SeriesError;
use crate::chunk::Points;
use crate::tag_table::TagTable;
use crate::wanted_series::{Judged, WantedSeries};
use crate::window_plan::{Added, Plan};
use crate::window_sums::{Cells, WindowSums};

/// Groups times windows times aggregates of one request, as far as there are points.
const CELLS_MAX: usize = 4 << 20;
/// The same with those without points that lie between others.
const SLOTS_MAX: usize = 32 << 20;
/// Texts that are the first or the last ones.
const TEXT_BYTES_MAX: usize = 128 << 20;

/// The group of each series of a chunk in the order of its list, `None` for one that is not wanted; empty if there is one
/// group of all.
pub(crate) type ChunkGroups = Judged;

/// Values of the tags grouped by.
type GroupName = Vec<Option<String>>;

/// Which group each series is in.
pub(crate) struct Groups {
    table: Arc<TagTable>,
    pub series: WantedSeries,
    /// The position of a series of each group.
    first: Vec<u32>,
}

impl Groups {
    pub(crate) fn new(table: Arc<TagTable>, plan: &Plan) -> Self {
        let positions = table.wanted(&plan.conditions);
        let (groups, first) = table.group(&plan.tags, &positions);
        Self { series: WantedSeries::new(&table, &positions, &groups), first, table }
    }

    fn name(&self, group: usize, plan: &Plan) -> GroupName {
        plan.tags.iter().map(|tag| self.table.value(self.first[group], *tag).map(str::to_owned)).collect()
    }
}

/// Cells found so far.
pub(crate) struct Collected<'a> {
    plan: &'a Plan,
    /// Start of a window to the cell of each group in it, plus one.
    windows: HashMap<i64, Vec<u32>>,
    cells: usize,
    slots: usize,
    sums: Vec<WindowSums>,
    /// The cells of the rows in hand.
    row_cells: Vec<Option<u32>>,
}

impl<'a> Collected<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let sums = plan.empty_sums();
        Self { plan, windows: HashMap::new(), cells: 0, slots: 0, sums, row_cells: Vec::new() }
    }

    /// Adds points, which are in the order of time.
    pub(crate) fn add(&mut self, points: &Points, groups: &[Option<u32>]) -> Result<(), SeriesError> {
        let plan = self.plan;
        let fields: Vec<_> = plan
            .sums
            .iter()
            .map(|added| match added {
                Added::Points => None,
                Added::Field(number, ..) => points.field(*number),
            })
            .collect();
        let mut start = 0;
        while start < points.rows() {
            let (window, end) = plan.window(points.times[start]);
            let end = end.map_or(points.rows(), |end| points.times.partition_point(|time| *time < end));
            let rows = start..end;
            let mut window_cells = self.windows.remove(&window).unwrap_or_default();
            let cells = if plan.is_one_group() {
                Cells::One(self.cell(&mut window_cells, 0) as usize)
            } else {
                let mut row_cells = std::mem::take(&mut self.row_cells);
                row_cells.clear();
                for series in &points.series[rows.clone()] {
                    let group = groups.get(*series as usize).copied().flatten();
                    row_cells.push(group.map(|group| self.cell(&mut window_cells, group)));
                }
                self.row_cells = row_cells;
                Cells::Each(&self.row_cells)
            };
            if !window_cells.is_empty() {
                self.windows.insert(window, window_cells);
            }
            check(plan, "the number of groups times windows", self.slots, SLOTS_MAX)?;
            let values = self.cells.saturating_mul(self.sums.len().max(1));
            check(plan, "the number of groups times windows times aggregates", values, CELLS_MAX)?;
            for ((sums, added), field) in self.sums.iter_mut().zip(&plan.sums).zip(&fields) {
                sums.resize(self.cells);
                match (added, field) {
                    (Added::Points, _) => sums.add_points(rows.clone(), &cells),
                    (_, Some(field)) => {
                        sums.add(field, &points.times, rows.clone(), &cells).ok_or_else(SeriesError::other_type)?;
                    }
                    (_, None) => {}
                }
            }
            let texts = self.sums.iter().map(WindowSums::text_bytes).sum();
            check(plan, "the bytes of first and last texts", texts, TEXT_BYTES_MAX)?;
            start = end;
        }
        Ok(())
    }

    #[inline(always)]
    fn cell(&mut self, window_cells: &mut Vec<u32>, group: u32) -> u32 {
        let group = group as usize;
        if window_cells.len() <= group {
            self.slots += group + 1 - window_cells.len();
            window_cells.resize(group + 1, 0);
        }
        if window_cells[group] == 0 {
            self.cells += 1;
            window_cells[group] = self.cells as u32;
        }
        window_cells[group] - 1
    }

    /// The answer: in the order of groups, then of windows.
    pub(crate) fn finish(mut self, groups: Option<&Groups>) -> Result<RecordBatch, SeriesError> {
        self.sums.iter_mut().for_each(|sums| sums.resize(self.cells));
        let mut names: Vec<(GroupName, usize)> = match groups {
            Some(groups) => (0..groups.first.len()).map(|group| (groups.name(group, self.plan), group)).collect(),
            None => vec![(GroupName::new(), 0)],
        };
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, (_, group)) in names.iter().enumerate() {
            places[*group] = place;
        }
        let mut windows: Vec<(i64, Vec<u32>)> = self.windows.into_iter().collect();
        windows.sort_unstable_by_key(|(start, _)| *start);
        let mut rows: Vec<Vec<(i64, usize)>> = vec![Vec::new(); names.len()];
        for (start, cells) in windows {
            for (group, cell) in cells.into_iter().enumerate() {
                if let Some(cell) = cell.checked_sub(1) {
                    rows[places[group]].push((self.plan.told_start(start), cell as usize));
                }
            }
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.schema.fields().len());
        for tag in 0..self.plan.tags.len() {
            let mut builder = StringBuilder::new();
            for ((name, _), rows) in names.iter().zip(&rows) {
                rows.iter().for_each(|_| builder.append_option(name[tag].as_deref()));
            }
            columns.push(Arc::new(builder.finish()));
        }
        let starts = rows.iter().flatten().map(|(start, _)| *start);
        columns.push(Arc::new(TimestampNanosecondArray::from_iter_values(starts)));
        let cells: Vec<usize> = rows.iter().flatten().map(|(_, cell)| *cell).collect();
        let results = self.plan.results.iter().map(|(sums, aggregate)| self.sums[*sums].finish(*aggregate, &cells));
        columns.extend(results);
        Ok(RecordBatch::try_new(self.plan.schema.clone(), columns)?)
    }
}

fn check(plan: &Plan, what: &'static str, found: usize, max: usize) -> Result<(), SeriesError> {
    if found > max {
        return Err(SeriesError::LimitExceeded { measurement: plan.measurement.clone(), what, found, max });
    }
    Ok(())
}
