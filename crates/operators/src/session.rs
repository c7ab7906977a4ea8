//! Session windows: per key, rows no further apart than the gap.
//!
//! A lane keeps sessions of its own partition and hands one over only when its own watermark has passed it, so what a lane
//! hands over depends on its records alone. The operator merges sessions of the same key across lanes, ordered by start and
//! lane, and emits what has ended. Sessions touch when the distance equals the gap, as in Flink's `TimeWindow.intersects`; a
//! record at the very end of a session still joins it, so a session is complete only when the watermark is behind its end.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{Int64Type, UInt64Type};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use crate::group_table::{AggregateSpec, KeyTable, Partial, accumulator_bytes};
use crate::sliced::{LaneRows, Verdict};
use crate::{LATE, OperatorError, WindowSpec};

/// One open session; its aggregates are in `slot`, and in `merged` when records bridged sessions.
#[derive(Debug)]
struct Session {
    start: i64,
    last: i64,
    slot: u32,
    records: u64,
    merged: Vec<u32>,
}

/// Start, last and number of records of a session as columns.
const SPAN_BYTES: usize = 3 * size_of::<i64>();

/// The sessions of one lane.
pub struct SessionLane {
    window: WindowSpec,
    aggregate: AggregateSpec,
    keys: KeyTable,
    /// Open sessions by group, ordered by start.
    open: Vec<Vec<Session>>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    slots: usize,
    groups: Vec<usize>,
    row_slots: Vec<usize>,
    /// Earliest end of an open session when it was last looked; a lower bound.
    earliest_end: i64,
}

/// Sessions as columns: keys, `start`, `last`, number of records, and the states of the aggregates.
#[derive(Clone)]
pub struct SessionPartial {
    pub partial: Partial,
    pub starts: Vec<i64>,
    pub lasts: Vec<i64>,
    pub records: Vec<u64>,
}

impl SessionLane {
    /// A lane without rows.
    pub fn new(window: WindowSpec, aggregate: AggregateSpec) -> Result<Self, OperatorError> {
        Ok(SessionLane {
            keys: aggregate.key_table()?,
            accumulators: aggregate.accumulators()?,
            window,
            aggregate,
            open: Vec::new(),
            slots: 0,
            groups: Vec::new(),
            row_slots: Vec::new(),
            earliest_end: i64::MAX,
        })
    }

    /// Takes rows. A record is late when its time is behind its own partition's watermark; `closed_up_to` is the
    /// operator's watermark, which can be ahead of it only when the partition was idle.
    pub fn update(&mut self, rows: &LaneRows, closed_up_to: i64, verdict: &mut Verdict) -> Result<(), OperatorError> {
        verdict.clear();
        let own = |row: usize| rows.watermarks.map_or(i64::MIN, |watermarks| watermarks[row]);
        let late = rows.times.iter().enumerate().any(|(row, time)| *time < own(row).max(closed_up_to));
        if !late {
            verdict.first_ends.resize(rows.times.len(), 0);
            return self.take_rows(rows.times, &rows.keys, &rows.arguments, &rows.filters);
        }
        let mut kept = Vec::with_capacity(rows.times.len());
        for (row, time) in rows.times.iter().enumerate() {
            if *time >= own(row).max(closed_up_to) {
                verdict.first_ends.push(0);
                kept.push(row as u32);
            } else {
                verdict.late_after_idle += u64::from(*time >= own(row));
                verdict.first_ends.push(LATE);
            }
        }
        let times: Vec<i64> = kept.iter().map(|row| rows.times[*row as usize]).collect();
        let (keys, arguments, filters) = rows.pick(&UInt32Array::from(kept))?;
        self.take_rows(&times, &keys, &arguments, &filters)
    }

    /// Bytes of memory of the open sessions.
    pub fn bytes(&self) -> usize {
        let spans: usize = self.open.iter().map(|sessions| sessions.capacity() * size_of::<Session>()).sum();
        spans
            + self.open.capacity() * size_of::<Vec<Session>>()
            + self.keys.bytes()
            + accumulator_bytes(&self.accumulators)
    }

    /// Number of open sessions.
    pub fn open_count(&self) -> usize {
        self.open.iter().map(Vec::len).sum()
    }

    fn take_rows(
        &mut self,
        times: &[i64],
        keys: &[ArrayRef],
        arguments: &[Vec<ArrayRef>],
        filters: &[Option<BooleanArray>],
    ) -> Result<(), OperatorError> {
        if times.is_empty() {
            return Ok(());
        }
        self.keys.intern(keys, times.len(), &mut self.groups)?;
        self.open.resize_with(self.keys.len(), Vec::new);
        let gap = self.window.gap_ms();
        self.row_slots.clear();
        for (time, group) in times.iter().zip(&self.groups) {
            let slot = place(&mut self.open[*group], *time, gap, &mut self.slots);
            self.row_slots.push(slot);
            self.earliest_end = self.earliest_end.min(time.saturating_add(gap));
        }
        for ((accumulator, arguments), filter) in self.accumulators.iter_mut().zip(arguments).zip(filters) {
            accumulator.update_batch(arguments, &self.row_slots, filter.as_ref(), self.slots)?;
        }
        Ok(())
    }

    /// A lower bound of the end of the session that ends first.
    pub fn earliest_end(&self) -> i64 {
        self.earliest_end
    }

    /// Takes out the sessions that end at or before `until`. Costs in proportion to all open sessions.
    pub fn drain_complete(&mut self, until: i64) -> Result<SessionPartial, OperatorError> {
        let gap = self.window.gap_ms();
        let complete = self.split(|session| session.last.saturating_add(gap) <= until)?;
        self.whole(complete)
    }

    /// All open sessions, for a checkpoint; they stay open and go on from the same bits.
    pub fn snapshot(&mut self) -> Result<SessionPartial, OperatorError> {
        let all = self.split(|_| true)?;
        self.restore(&all)?;
        Ok(all)
    }

    /// Adds sessions that were taken out.
    pub fn restore(&mut self, sessions: &SessionPartial) -> Result<(), OperatorError> {
        let rows = sessions.partial.rows;
        if rows == 0 {
            return Ok(());
        }
        self.keys.intern(&sessions.partial.keys, rows, &mut self.groups)?;
        self.open.resize_with(self.keys.len(), Vec::new);
        let first_slot = self.slots;
        for row in 0..rows {
            if sessions.starts[row] == CONTINUES {
                // Its session is the one that the rows before put in last.
                let of_key = &mut self.open[self.groups[row]];
                if let Some(session) = of_key.iter_mut().rfind(|session| session.slot as usize >= first_slot) {
                    session.merged.push((first_slot + row) as u32);
                }
                continue;
            }
            let session = Session {
                start: sessions.starts[row],
                last: sessions.lasts[row],
                slot: (first_slot + row) as u32,
                records: sessions.records[row],
                merged: Vec::new(),
            };
            self.earliest_end = self.earliest_end.min(session.last.saturating_add(self.window.gap_ms()));
            let of_key = &mut self.open[self.groups[row]];
            let at = of_key.partition_point(|known| known.start <= session.start);
            of_key.insert(at, session);
        }
        self.slots += rows;
        self.row_slots.clear();
        self.row_slots.extend(first_slot..self.slots);
        for (accumulator, states) in self.accumulators.iter_mut().zip(&sessions.partial.states) {
            accumulator.merge_batch(states, &self.row_slots, self.slots)?;
        }
        Ok(())
    }

    /// Takes out the sessions that `taken` says; the others stay as they are.
    fn split(&mut self, taken: impl Fn(&Session) -> bool) -> Result<SessionPartial, OperatorError> {
        let keys = self.keys.take()?;
        let states = self
            .accumulators
            .iter_mut()
            .map(|accumulator| accumulator.state(EmitTo::All))
            .collect::<Result<Vec<_>, _>>()?;
        let open = std::mem::take(&mut self.open);
        self.keys = self.aggregate.key_table()?;
        self.accumulators = self.aggregate.accumulators()?;
        self.slots = 0;
        self.earliest_end = i64::MAX;
        let (mut out, mut stay) = (Vec::new(), Vec::new());
        for (group, sessions) in open.into_iter().enumerate() {
            for session in sessions {
                if taken(&session) { out.push((group, session)) } else { stay.push((group, session)) }
            }
        }
        let out = self.gather(&keys, &states, out)?;
        let stay = self.gather(&keys, &states, stay)?;
        self.restore(&stay)?;
        Ok(out)
    }

    /// Sessions as columns. What bridged sessions summed apart stays apart, in rows that continue the row before, until the
    /// session is complete: adding it up earlier would make sums of floats depend on when that happened.
    fn gather(
        &self,
        keys: &[ArrayRef],
        states: &[Vec<ArrayRef>],
        sessions: Vec<(usize, Session)>,
    ) -> Result<SessionPartial, OperatorError> {
        let (mut groups, mut slots) = (Vec::new(), Vec::new());
        let (mut starts, mut lasts, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for (group, session) in &sessions {
            for (part, slot) in std::iter::once(&session.slot).chain(&session.merged).enumerate() {
                groups.push(*group as u32);
                slots.push(*slot);
                starts.push(if part == 0 { session.start } else { CONTINUES });
                lasts.push(session.last);
                records.push(if part == 0 { session.records } else { 0 });
            }
        }
        let rows = slots.len();
        let (groups, slots) = (UInt32Array::from(groups), UInt32Array::from(slots));
        let keys = keys.iter().map(|column| take(column.as_ref(), &groups, None)).collect::<Result<Vec<_>, _>>()?;
        let states = states
            .iter()
            .map(|columns| {
                columns.iter().map(|column| take(column.as_ref(), &slots, None)).collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(SessionPartial { partial: Partial { rows, keys, states }, starts, lasts, records })
    }

    /// One row per session: the parts of bridged ones are added up.
    fn whole(&self, sessions: SessionPartial) -> Result<SessionPartial, OperatorError> {
        if !sessions.starts.contains(&CONTINUES) {
            return Ok(sessions);
        }
        let mut firsts: Vec<u32> = Vec::new();
        let mut targets = Vec::with_capacity(sessions.partial.rows);
        for (row, start) in sessions.starts.iter().enumerate() {
            if *start != CONTINUES {
                firsts.push(row as u32);
            }
            targets.push(firsts.len().saturating_sub(1));
        }
        let states = merge_states(&self.aggregate, &sessions.partial.states, &targets, firsts.len())?;
        let rows = firsts.len();
        let at = |values: &[i64]| firsts.iter().map(|row| values[*row as usize]).collect::<Vec<_>>();
        let (starts, lasts) = (at(&sessions.starts), at(&sessions.lasts));
        let records = firsts.iter().map(|row| sessions.records[*row as usize]).collect();
        let firsts = UInt32Array::from(firsts);
        let keys = sessions.partial.keys.iter().map(|column| take(column.as_ref(), &firsts, None));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        Ok(SessionPartial { partial: Partial { rows, keys, states }, starts, lasts, records })
    }
}

/// The start of a row that continues the session of the row before.
const CONTINUES: i64 = i64::MIN;

/// Puts a time into the sessions of its key and returns the accumulator slot.
fn place(sessions: &mut Vec<Session>, time: i64, gap: i64, slots: &mut usize) -> usize {
    // Nearly always the last session is the one.
    let touches =
        |session: &Session| time.saturating_add(gap) >= session.start && time <= session.last.saturating_add(gap);
    let after = sessions.partition_point(|session| session.start <= time.saturating_add(gap));
    let Some(at) = after.checked_sub(1).filter(|at| touches(&sessions[*at])) else {
        let slot = *slots;
        *slots += 1;
        let session = Session { start: time, last: time, slot: slot as u32, records: 1, merged: Vec::new() };
        sessions.insert(after, session);
        return slot;
    };
    sessions[at].start = sessions[at].start.min(time);
    sessions[at].last = sessions[at].last.max(time);
    sessions[at].records += 1;
    if at > 0 && sessions[at - 1].last.saturating_add(gap) >= sessions[at].start {
        let bridged = sessions.remove(at);
        let session = &mut sessions[at - 1];
        session.last = session.last.max(bridged.last);
        session.records += bridged.records;
        session.merged.push(bridged.slot);
        session.merged.extend(bridged.merged);
        return session.slot as usize;
    }
    sessions[at].slot as usize
}

fn merge_states(
    aggregate: &AggregateSpec,
    states: &[Vec<ArrayRef>],
    targets: &[usize],
    groups: usize,
) -> Result<Vec<Vec<ArrayRef>>, OperatorError> {
    let mut accumulators = aggregate.accumulators()?;
    for (accumulator, states) in accumulators.iter_mut().zip(states) {
        accumulator.merge_batch(states, targets, groups)?;
    }
    accumulators.iter_mut().map(|accumulator| Ok(accumulator.state(EmitTo::All)?)).collect()
}

/// Result rows of sessions that have ended.
pub struct SessionOutput {
    pub rows: usize,
    pub keys: Vec<ArrayRef>,
    pub starts: TimestampMillisecondArray,
    pub ends: TimestampMillisecondArray,
    pub results: Vec<ArrayRef>,
    /// Records of each lane that these sessions held.
    pub records_by_lane: Vec<u64>,
}

/// Merges the lanes' sessions and emits what has ended.
pub struct SessionOperator {
    window: WindowSpec,
    aggregate: AggregateSpec,
    closed_up_to: i64,
    /// Complete sessions of single lanes that a session of another lane may still join, with their lane.
    waiting: Vec<(u32, SessionPartial)>,
}

impl SessionOperator {
    /// An operator that has emitted nothing yet.
    pub fn new(window: WindowSpec, aggregate: AggregateSpec) -> Self {
        SessionOperator { window, aggregate, closed_up_to: i64::MIN, waiting: Vec::new() }
    }

    /// Bytes of memory of the sessions that wait for other lanes.
    pub fn bytes(&self) -> usize {
        self.waiting.iter().map(|(_, sessions)| sessions.partial.bytes() + sessions.starts.len() * SPAN_BYTES).sum()
    }

    /// A lane for this operator.
    pub fn lane(&self) -> Result<SessionLane, OperatorError> {
        SessionLane::new(self.window, self.aggregate.clone())
    }

    /// Sessions that end before this are closed, and rows with earlier times come too late.
    pub fn closed_up_to(&self) -> i64 {
        self.closed_up_to
    }

    /// A lower bound of the end of the session that ends first, over the lanes and what waits here.
    pub fn earliest_end<'a>(&self, lanes: impl Iterator<Item = &'a SessionLane>) -> i64 {
        let gap = self.window.gap_ms();
        let waiting =
            self.waiting.iter().flat_map(|(_, sessions)| &sessions.lasts).map(|last| last.saturating_add(gap)).min();
        lanes.map(SessionLane::earliest_end).chain(waiting).min().unwrap_or(i64::MAX)
    }

    /// Emits the sessions that end at or before `until`, which the operator's watermark is behind. Each lane comes with its
    /// own watermark.
    pub fn close<'a>(
        &mut self,
        until: i64,
        lanes: impl Iterator<Item = (i64, &'a mut SessionLane)>,
    ) -> Result<Option<SessionOutput>, OperatorError> {
        let mut lane_count = 0;
        let mut blockers = Vec::new();
        for (own_watermark, lane) in lanes {
            let complete = lane.drain_complete(own_watermark.saturating_sub(1).max(until))?;
            if complete.partial.rows > 0 {
                self.waiting.push((lane_count, complete));
            }
            blockers.push(lane);
            lane_count += 1;
        }
        self.closed_up_to = self.closed_up_to.max(until.saturating_add(1));
        if self.waiting.is_empty() {
            return Ok(None);
        }
        if lane_count == 1 {
            blockers.clear();
        }
        self.emit(until, lane_count, blockers)
    }

    fn emit(
        &mut self,
        until: i64,
        lane_count: u32,
        lanes: Vec<&mut SessionLane>,
    ) -> Result<Option<SessionOutput>, OperatorError> {
        let all = Gathered::new(std::mem::take(&mut self.waiting))?;
        let mut keys = self.aggregate.key_table()?;
        let mut groups = Vec::new();
        keys.intern(&all.keys, all.rows, &mut groups)?;
        let mut open_spans: Vec<Vec<(i64, i64)>> = vec![Vec::new(); keys.len()];
        for lane in lanes {
            let known = lane.snapshot()?;
            let mut of_lane = Vec::new();
            keys.intern(&known.partial.keys, known.partial.rows, &mut of_lane)?;
            open_spans.resize_with(keys.len(), Vec::new);
            for (row, group) in of_lane.iter().enumerate() {
                if known.starts[row] != CONTINUES {
                    open_spans[*group].push((known.starts[row], known.lasts[row]));
                }
            }
        }
        let clusters = self.clusters(&all, &groups);
        let gap = self.window.gap_ms();
        let mut order = Vec::new();
        let mut targets = Vec::new();
        let (mut starts, mut ends, mut first_rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting_rows: Vec<u32> = Vec::new();
        let mut records_by_lane = vec![0; lane_count as usize];
        for cluster in clusters {
            let start = cluster.iter().map(|row| all.starts[*row as usize]).min().unwrap_or(0);
            let end = cluster.iter().map(|row| all.lasts[*row as usize]).max().unwrap_or(0).saturating_add(gap);
            let group = groups[cluster[0] as usize];
            let joined = open_spans[group]
                .iter()
                .any(|(open_start, open_last)| *open_start <= end && open_last.saturating_add(gap) >= start);
            if end > until || joined {
                waiting_rows.extend(cluster);
                continue;
            }
            for row in &cluster {
                order.push(*row);
                targets.push(starts.len());
                records_by_lane[all.lanes[*row as usize] as usize] += all.records[*row as usize];
            }
            first_rows.push(cluster[0]);
            starts.push(start);
            ends.push(end);
        }
        self.keep_waiting(&all, waiting_rows)?;
        if starts.is_empty() {
            return Ok(None);
        }
        let order = UInt32Array::from(order);
        let first_rows = UInt32Array::from(first_rows);
        let mut accumulators = self.aggregate.accumulators()?;
        for (accumulator, columns) in accumulators.iter_mut().zip(&all.states) {
            let columns =
                columns.iter().map(|column| take(column.as_ref(), &order, None)).collect::<Result<Vec<_>, _>>()?;
            accumulator.merge_batch(&columns, &targets, starts.len())?;
        }
        let results = accumulators
            .iter_mut()
            .map(|accumulator| accumulator.evaluate(EmitTo::All))
            .collect::<Result<Vec<_>, _>>()?;
        let keys =
            all.keys.iter().map(|column| take(column.as_ref(), &first_rows, None)).collect::<Result<Vec<_>, _>>()?;
        let rows = starts.len();
        Ok(Some(SessionOutput {
            rows,
            keys: self.aggregate.finish_keys(keys, rows)?,
            starts: starts.into(),
            ends: ends.into(),
            results,
            records_by_lane,
        }))
    }

    /// Rows that belong together: the same key, and touching; each cluster ordered by (start, lane).
    fn clusters(&self, all: &Gathered, groups: &[usize]) -> Vec<Vec<u32>> {
        let mut rows: Vec<u32> = (0..all.rows as u32).collect();
        rows.sort_by_key(|row| {
            let row = *row as usize;
            (groups[row], all.starts[row], all.lanes[row], all.lasts[row])
        });
        let gap = self.window.gap_ms();
        let mut clusters: Vec<Vec<u32>> = Vec::new();
        let mut end = i64::MIN;
        for row in rows {
            let at = row as usize;
            match clusters.last_mut() {
                Some(cluster) if groups[cluster[0] as usize] == groups[at] && all.starts[at] <= end => {
                    end = end.max(all.lasts[at].saturating_add(gap));
                    cluster.push(row);
                }
                _ => {
                    end = all.lasts[at].saturating_add(gap);
                    clusters.push(vec![row]);
                }
            }
        }
        clusters
    }

    fn keep_waiting(&mut self, all: &Gathered, rows: Vec<u32>) -> Result<(), OperatorError> {
        let mut by_lane: std::collections::BTreeMap<u32, Vec<u32>> = std::collections::BTreeMap::new();
        for row in rows {
            by_lane.entry(all.lanes[row as usize]).or_default().push(row);
        }
        for (lane, rows) in by_lane {
            self.waiting.push((lane, all.pick(rows)?));
        }
        Ok(())
    }

    /// What a checkpoint keeps beside the lanes' sessions.
    pub fn snapshot(&self) -> (i64, Vec<(u32, SessionPartial)>) {
        (self.closed_up_to, self.waiting.clone())
    }

    /// Puts back what [`Self::snapshot`] gave.
    pub fn restore(&mut self, closed_up_to: i64, waiting: Vec<(u32, SessionPartial)>) {
        self.closed_up_to = closed_up_to;
        self.waiting = waiting;
    }
}

/// All waiting sessions side by side.
struct Gathered {
    rows: usize,
    keys: Vec<ArrayRef>,
    states: Vec<Vec<ArrayRef>>,
    starts: Vec<i64>,
    lasts: Vec<i64>,
    records: Vec<u64>,
    lanes: Vec<u32>,
}

impl Gathered {
    fn new(waiting: Vec<(u32, SessionPartial)>) -> Result<Self, OperatorError> {
        let joined = |column: &dyn Fn(&SessionPartial) -> &ArrayRef| {
            let columns: Vec<&dyn Array> = waiting.iter().map(|(_, sessions)| column(sessions).as_ref()).collect();
            concat(&columns)
        };
        let first = &waiting[0].1.partial;
        let keys = (0..first.keys.len()).map(|key| joined(&|s| &s.partial.keys[key])).collect::<Result<Vec<_>, _>>()?;
        let states = first
            .states
            .iter()
            .enumerate()
            .map(|(call, columns)| {
                (0..columns.len())
                    .map(|column| joined(&|s| &s.partial.states[call][column]))
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Gathered {
            rows: waiting.iter().map(|(_, sessions)| sessions.partial.rows).sum(),
            keys,
            states,
            starts: waiting.iter().flat_map(|(_, sessions)| sessions.starts.iter().copied()).collect(),
            lasts: waiting.iter().flat_map(|(_, sessions)| sessions.lasts.iter().copied()).collect(),
            records: waiting.iter().flat_map(|(_, sessions)| sessions.records.iter().copied()).collect(),
            lanes: waiting
                .iter()
                .flat_map(|(lane, sessions)| std::iter::repeat_n(*lane, sessions.partial.rows))
                .collect(),
        })
    }

    fn pick(&self, rows: Vec<u32>) -> Result<SessionPartial, OperatorError> {
        let at = |values: &[i64]| rows.iter().map(|row| values[*row as usize]).collect::<Vec<_>>();
        let (starts, lasts) = (at(&self.starts), at(&self.lasts));
        let records = rows.iter().map(|row| self.records[*row as usize]).collect();
        let count = rows.len();
        let rows = UInt32Array::from(rows);
        let keys = self.keys.iter().map(|column| take(column.as_ref(), &rows, None)).collect::<Result<Vec<_>, _>>()?;
        let states = self
            .states
            .iter()
            .map(|columns| {
                columns.iter().map(|column| take(column.as_ref(), &rows, None)).collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(SessionPartial { partial: Partial { rows: count, keys, states }, starts, lasts, records })
    }
}

impl SessionPartial {
    /// Start, last and record count as columns, in this order; for a checkpoint.
    pub fn span_columns(&self) -> [ArrayRef; 3] {
        [
            Arc::new(Int64Array::from(self.starts.clone())),
            Arc::new(Int64Array::from(self.lasts.clone())),
            Arc::new(UInt64Array::from(self.records.clone())),
        ]
    }

    /// The reverse of [`Self::span_columns`].
    pub fn from_columns(partial: Partial, spans: &[ArrayRef]) -> Result<Self, OperatorError> {
        let wrong = || OperatorError::State("a session's start, last or record count is missing".into());
        let int = |index: usize| -> Result<Vec<i64>, OperatorError> {
            let column = spans.get(index).and_then(|c| c.as_primitive_opt::<Int64Type>()).ok_or_else(wrong)?;
            Ok(column.values().to_vec())
        };
        let records = spans.get(2).and_then(|c| c.as_primitive_opt::<UInt64Type>()).ok_or_else(wrong)?;
        Ok(SessionPartial { partial, starts: int(0)?, lasts: int(1)?, records: records.values().to_vec() })
    }
}
