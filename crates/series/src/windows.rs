//! Aggregates by windows of time and by tags, made while chunks are read: column by column, without making rows.
//!
//! Chunks that have no point in common with another are added up as they are; where several may have the same point, they
//! are merged before.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::catalog::Measurement;
use crate::chunk::{ChunkHead, Wanted, decode, read_chunk};
use crate::merge::{Merge, Open, Opener};
use crate::points_builder::PointsBuilder;
use crate::store::Inner;
use crate::window_cells::{ChunkGroups, Collected, Groups};
use crate::window_plan::Plan;
use crate::{ScanOrder, SeriesError, TagFilter, TimeRange};

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
    /// The time of the earliest point with the minimum.
    MinTime,
    /// The time of the earliest point with the maximum.
    MaxTime,
    /// The time of the point that `First` is of.
    FirstTime,
    /// The time of the point that `Last` is of.
    LastTime,
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
    /// Field and what becomes of it; a field may be there several times. `time` can be counted: all points have it.
    pub aggregates: Vec<(String, WindowAggregate)>,
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
        let wanted = Wanted { range: self.plan.range, fields: Some(&self.plan.fields), written: false, series: None };
        read_chunk(&self.inner.storage, self.measurement, head.id, |bytes| match &self.groups {
            Some(groups) => groups.series.read(bytes, wanted),
            None => Some(Some(Open { points: decode(bytes, wanted)?, wanted: None, more: ChunkGroups::new() })),
        })
    }
}

/// Adds up the points that a request wants, see [`crate::SeriesStore::aggregate_while`].
pub(crate) fn aggregate(
    inner: &Inner,
    measurement: &Measurement,
    request: &WindowRequest,
    go_on: &dyn Fn() -> bool,
) -> Result<RecordBatch, SeriesError> {
    let plan = Plan::new(&measurement.shape(), request)?;
    let mut collected = Collected::new(&plan);
    let within = |chunk: &&Arc<ChunkHead>| !plan.range.is_empty() && chunk.is_within(plan.range);
    let mut chunks: Vec<Arc<ChunkHead>> = measurement.chunks().iter().filter(within).cloned().collect();
    let groups = match plan.is_one_group() {
        true => None,
        false => Some(Groups::new(inner.tag_table(measurement, &chunks)?, &plan)),
    };
    if let Some(groups) = &groups {
        chunks.retain(|chunk| groups.series.may_be_in(chunk));
    }
    let mut reader = Reader { inner, measurement: measurement.id, plan: &plan, groups };
    for together in overlapping(chunks) {
        check(go_on)?;
        if let [alone] = together.as_slice() {
            if let Some(open) = reader.open(alone)? {
                collected.add(&open.points, &open.more)?;
            }
            continue;
        }
        let mut merge = Merge::new(together, ScanOrder::Ascending);
        loop {
            check(go_on)?;
            let picked = merge.next(&mut reader, ROWS_AT_ONCE)?;
            if picked.rows == 0 {
                break;
            }
            let mut builder = PointsBuilder::default();
            builder.append(&picked).ok_or_else(SeriesError::other_type)?;
            let points = builder.finish();
            let groups = reader.groups.as_ref().map_or_else(Vec::new, |groups| groups.series.of(&points.series_list));
            collected.add(&points, &groups)?;
        }
    }
    collected.finish(reader.groups.as_ref())
}

fn check(go_on: &dyn Fn() -> bool) -> Result<(), SeriesError> {
    if go_on() { Ok(()) } else { Err(SeriesError::Stopped) }
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
