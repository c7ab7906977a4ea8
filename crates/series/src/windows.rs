//! Aggregates by windows of time and by tags, made while chunks are read: column by column, without making rows.
//!
//! Chunks that have no point in common with another are added up as they are; where several may have the same point, they
//! are merged before.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use hashbrown::HashMap;

use crate::catalog::Measurement;
use crate::chunk::{ChunkHead, Points, Wanted, decode, decode_series_list, read_chunk};
use crate::merge::{Merge, Open, Opener};
use crate::points_builder::PointsBuilder;
use crate::shape::{Shape, TIME_COLUMN};
use crate::store::Inner;
use crate::tag_condition::{TagCondition, known_tag, unknown_column};
use crate::tag_table::TagTable;
use crate::window_sums::{Cells, WindowSums, aggregate_type};
use crate::{FieldType, ScanOrder, SeriesError, TagFilter, TimeRange};

/// Groups times windows times aggregates of one request.
const CELLS_MAX: usize = 4 << 20;
/// Points merged at once.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// What becomes of the values of a field in one window. Values of all types can be counted, and have a first and a last
/// one; numbers have the others. Integers have integer sums, which wrap around, minima, maxima and spreads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowAggregate {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    /// The value of the earliest point; of several at the same time the greatest, as in InfluxDB.
    First,
    /// The value of the latest point; of several at the same time the greatest.
    Last,
    /// Maximum less minimum.
    Spread,
}

/// Windows of equal width: one begins at `offset_nanos` after 1970-01-01 UTC, others before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// More than 0.
    pub width_nanos: i64,
    pub offset_nanos: i64,
}

/// Aggregates of a measurement by windows and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowRequest {
    pub range: TimeRange,
    pub tags: Vec<TagFilter>,
    /// `None` is one window over everything, whose start is the range's, or else 1970-01-01.
    pub windows: Option<Windows>,
    /// Points with the same values of these tags are a group; an absent tag is a value of its own.
    pub group_by: Vec<String>,
    /// Field and what becomes of it; a field may be there several times.
    pub aggregates: Vec<(String, WindowAggregate)>,
}

/// A request in the numbers of a measurement.
struct Plan {
    /// Tags that are grouped by.
    tags: Vec<u32>,
    conditions: Vec<TagCondition>,
    /// Fields that are read, ascending.
    fields: Vec<u32>,
    aggregates: Vec<(u32, FieldType, WindowAggregate)>,
    range: TimeRange,
    windows: Option<Windows>,
    schema: SchemaRef,
    measurement: String,
}

impl Plan {
    fn new(shape: &Shape, request: &WindowRequest) -> Result<Self, SeriesError> {
        let series_tag = |name: &String| match known_tag(shape, name) {
            Ok(_) if Shape::is_key_tag(name) => {
                Err(SeriesError::TagOfPoints { measurement: shape.name.clone(), tag: name.clone() })
            }
            result => result,
        };
        for filter in &request.tags {
            series_tag(&filter.tag)?;
        }
        if request.windows.is_some_and(|windows| windows.width_nanos <= 0) {
            return Err(SeriesError::InvalidWindows { measurement: shape.name.clone() });
        }
        let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let mut columns: Vec<Field> =
            request.group_by.iter().map(|tag| Field::new(tag, DataType::Utf8, true)).collect();
        columns.push(Field::new(TIME_COLUMN, time, false));
        let mut aggregates = Vec::with_capacity(request.aggregates.len());
        for (name, aggregate) in &request.aggregates {
            let number = shape.field(name).ok_or_else(|| unknown_column(shape, name))?;
            let field_type = shape.fields[number as usize].field_type;
            let data_type = aggregate_type(field_type, *aggregate).ok_or_else(|| SeriesError::InvalidAggregate {
                measurement: shape.name.clone(),
                field: name.clone(),
                stored: field_type,
                aggregate: aggregate.name(),
            })?;
            columns.push(Field::new(format!("{}({name})", aggregate.name()), data_type, true));
            aggregates.push((number, field_type, *aggregate));
        }
        let mut fields: Vec<u32> = aggregates.iter().map(|(number, _, _)| *number).collect();
        fields.sort_unstable();
        fields.dedup();
        Ok(Self {
            tags: request.group_by.iter().map(series_tag).collect::<Result<_, _>>()?,
            conditions: request
                .tags
                .iter()
                .map(|filter| TagCondition::resolve(shape, filter))
                .collect::<Result<_, _>>()?,
            fields,
            aggregates,
            range: request.range,
            windows: request.windows,
            schema: Arc::new(Schema::new(columns)),
            measurement: shape.name.clone(),
        })
    }

    /// Whether it is the same group for all series.
    fn is_one_group(&self) -> bool {
        self.tags.is_empty() && self.conditions.is_empty()
    }

    /// The start of the window of a time, and the first time after it; `None` is no time.
    fn window(&self, time: i64) -> (i64, Option<i64>) {
        let Some(Windows { width_nanos, offset_nanos }) = self.windows else { return (i64::MIN, None) };
        let (width, offset) = (i128::from(width_nanos), i128::from(offset_nanos));
        let start = (i128::from(time) - offset).div_euclid(width) * width + offset;
        let nanos = |time: i128| i64::try_from(time).ok();
        (nanos(start).unwrap_or(i64::MIN), nanos(start + width))
    }
}

impl WindowAggregate {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Spread => "spread",
        }
    }
}

/// The group of each series of a chunk in the order of its list, `None` for one that is not wanted; empty if there is one
/// group of all.
type ChunkGroups = Vec<Option<u32>>;

/// Values of the tags grouped by.
type GroupName = Vec<Option<String>>;

/// Which group each series is in.
struct Groups {
    table: Arc<TagTable>,
    /// By the series' position.
    wanted: Vec<bool>,
    groups: Vec<u32>,
    /// The position of a series of each group.
    first: Vec<u32>,
}

impl Groups {
    fn new(table: Arc<TagTable>, plan: &Plan) -> Self {
        let (groups, first) = table.group(&plan.tags);
        Self { wanted: table.judge(&plan.conditions), groups, first, table }
    }

    fn of(&self, series: &[u64]) -> ChunkGroups {
        let group = |position: Option<u32>| {
            let position = position? as usize;
            self.wanted[position].then_some(self.groups[position])
        };
        self.table.positions(series).into_iter().map(group).collect()
    }

    fn name(&self, group: usize, plan: &Plan) -> GroupName {
        plan.tags.iter().map(|tag| self.table.value(self.first[group], *tag).map(str::to_owned)).collect()
    }
}

struct Reader<'a> {
    inner: &'a Inner,
    measurement: u32,
    plan: &'a Plan,
    /// `None` if all series are one group.
    groups: Option<Groups>,
}

impl Opener for Reader<'_> {
    type More = ChunkGroups;

    fn open(&mut self, head: &ChunkHead) -> Result<Option<Open<ChunkGroups>>, SeriesError> {
        let wanted = Wanted { range: self.plan.range, fields: Some(&self.plan.fields), written: false };
        let storage = &self.inner.storage;
        let read = |bytes: &[u8]| {
            let groups = match &self.groups {
                Some(groups) => groups.of(&decode_series_list(bytes)?),
                None => Vec::new(),
            };
            // Nothing of a chunk without a wanted series is read.
            if !groups.is_empty() && groups.iter().all(Option::is_none) {
                return Some(None);
            }
            Some(Some((decode(bytes, wanted)?, groups)))
        };
        let Some((points, groups)) = read_chunk(storage, self.measurement, head.id, read)? else { return Ok(None) };
        let wanted = groups.contains(&None).then(|| groups.iter().map(Option::is_some).collect());
        Ok(Some(Open { points, wanted, more: groups }))
    }
}

/// Cells found so far: each is one group in one window.
struct Collected<'a> {
    plan: &'a Plan,
    /// Start of a window to the cell of each group in it, plus one.
    windows: HashMap<i64, Vec<u32>>,
    cells: usize,
    sums: Vec<WindowSums>,
    /// The cells of the rows in hand.
    row_cells: Vec<Option<u32>>,
}

impl<'a> Collected<'a> {
    fn new(plan: &'a Plan) -> Self {
        let sums = plan.aggregates.iter().map(|(_, field_type, aggregate)| WindowSums::new(*field_type, *aggregate));
        Self { plan, windows: HashMap::new(), cells: 0, sums: sums.collect(), row_cells: Vec::new() }
    }

    /// Adds points, which are in the order of time.
    fn add(&mut self, points: &Points, groups: &[Option<u32>]) -> Result<(), SeriesError> {
        let fields: Vec<_> = self.plan.aggregates.iter().map(|(number, _, _)| points.field(*number)).collect();
        let mut start = 0;
        while start < points.rows() {
            let (window, end) = self.plan.window(points.times[start]);
            let end = end.map_or(points.rows(), |end| points.times.partition_point(|time| *time < end));
            let rows = start..end;
            let mut window_cells = self.windows.remove(&window).unwrap_or_default();
            let cells = if self.plan.is_one_group() {
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
            self.windows.insert(window, window_cells);
            if self.cells.saturating_mul(self.sums.len().max(1)) > CELLS_MAX {
                return Err(SeriesError::LimitExceeded {
                    measurement: self.plan.measurement.clone(),
                    what: "the number of groups times windows times aggregates",
                    found: self.cells * self.sums.len().max(1),
                    max: CELLS_MAX,
                });
            }
            for (sums, field) in self.sums.iter_mut().zip(&fields) {
                sums.resize(self.cells);
                if let Some(field) = field {
                    sums.add(field, &points.times, rows.clone(), &cells).ok_or_else(corrupt)?;
                }
            }
            start = end;
        }
        Ok(())
    }

    #[inline(always)]
    fn cell(&mut self, window_cells: &mut Vec<u32>, group: u32) -> u32 {
        let group = group as usize;
        if window_cells.len() <= group {
            window_cells.resize(group + 1, 0);
        }
        if window_cells[group] == 0 {
            self.cells += 1;
            window_cells[group] = self.cells as u32;
        }
        window_cells[group] - 1
    }

    fn finish(mut self, groups: Option<&Groups>) -> Result<RecordBatch, SeriesError> {
        self.sums.iter_mut().for_each(|sums| sums.resize(self.cells));
        let mut names: Vec<(GroupName, usize)> = match groups {
            Some(groups) => (0..groups.first.len()).map(|group| (groups.name(group, self.plan), group)).collect(),
            None => vec![(GroupName::new(), 0)],
        };
        names.sort_unstable();
        let mut windows: Vec<(i64, Vec<u32>)> = self.windows.into_iter().collect();
        windows.sort_unstable_by_key(|(start, _)| *start);
        let mut rows: Vec<(&GroupName, i64, usize)> = Vec::with_capacity(self.cells);
        for (name, group) in &names {
            for (start, cells) in &windows {
                if let Some(cell) = cells.get(*group).and_then(|cell| cell.checked_sub(1)) {
                    rows.push((name, *start, cell as usize));
                }
            }
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.schema.fields().len());
        for tag in 0..self.plan.tags.len() {
            let mut builder = StringBuilder::new();
            rows.iter().for_each(|(name, _, _)| builder.append_option(name[tag].as_deref()));
            columns.push(Arc::new(builder.finish()));
        }
        let begins = |start: i64| if self.plan.windows.is_some() { start } else { self.plan.range.start.unwrap_or(0) };
        let starts = rows.iter().map(|(_, start, _)| begins(*start));
        columns.push(Arc::new(TimestampNanosecondArray::from_iter_values(starts)));
        let cells: Vec<usize> = rows.iter().map(|(_, _, cell)| *cell).collect();
        columns.extend(self.sums.iter().map(|sums| sums.finish(&cells)));
        Ok(RecordBatch::try_new(self.plan.schema.clone(), columns)?)
    }
}

/// Adds up the points that a request wants, see [`crate::SeriesStore::aggregate`].
pub(crate) fn aggregate(
    inner: &Inner,
    measurement: &Measurement,
    request: &WindowRequest,
) -> Result<RecordBatch, SeriesError> {
    let plan = Plan::new(&measurement.shape(), request)?;
    let mut collected = Collected::new(&plan);
    let within = |chunk: &&Arc<ChunkHead>| !plan.range.is_empty() && chunk.is_within(plan.range);
    let chunks: Vec<Arc<ChunkHead>> = measurement.chunks().iter().filter(within).cloned().collect();
    let groups = match plan.is_one_group() {
        true => None,
        false => Some(Groups::new(inner.tag_table(measurement, &chunks)?, &plan)),
    };
    let mut reader = Reader { inner, measurement: measurement.id, plan: &plan, groups };
    for together in overlapping(chunks) {
        if let [alone] = together.as_slice() {
            if let Some(open) = reader.open(alone)? {
                collected.add(&open.points, &open.more)?;
            }
            continue;
        }
        let mut merge = Merge::new(together, ScanOrder::Ascending);
        loop {
            let picked = merge.next(&mut reader, ROWS_AT_ONCE)?;
            if picked.rows == 0 {
                break;
            }
            let mut builder = PointsBuilder::default();
            builder.append(&picked).ok_or_else(corrupt)?;
            let points = builder.finish();
            let groups = reader.groups.as_ref().map_or_else(Vec::new, |groups| groups.of(&points.series_list));
            collected.add(&points, &groups)?;
        }
    }
    collected.finish(reader.groups.as_ref())
}

/// Chunks in sets: those that may have the same points, also by way of others, are in one.
fn overlapping(mut chunks: Vec<Arc<ChunkHead>>) -> Vec<Vec<Arc<ChunkHead>>> {
    chunks.sort_unstable_by_key(|chunk| chunk.first_time);
    let mut done: Vec<Vec<Arc<ChunkHead>>> = Vec::new();
    // Sets that a later chunk may still be one of.
    let mut open: Vec<Vec<Arc<ChunkHead>>> = Vec::new();
    for chunk in chunks {
        let mut together = vec![chunk.clone()];
        for set in std::mem::take(&mut open) {
            if set.iter().any(|other| other.overlaps(&chunk)) {
                together.extend(set);
            } else if set.iter().all(|other| other.last_time < chunk.first_time) {
                done.push(set);
            } else {
                open.push(set);
            }
        }
        open.push(together);
    }
    done.extend(open);
    done
}

fn corrupt() -> SeriesError {
    SeriesError::Corrupt {
        what: "a chunk of points",
        reason: "a field is of another type than the measurement's".into(),
    }
}
