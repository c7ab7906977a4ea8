//! A dagger's state and its two moves: take slabs, and close what the watermark has passed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use log::Slab;
use operators::{
    LaneRows, SessionLane, SessionOperator, SessionOutput, SlicedLane, SlicedOperator, Verdict, WindowRows,
};
use prost_reflect::MessageDescriptor;
use sql::{DaggerPlan, Fragment, OutputPlan, WindowColumn, WindowPlan, WindowSource};

use crate::FlowError;
use crate::lane::{Lane, LaneOutput, WindowLane, conform};
use crate::refused::{OnBadRecord, RefusedRecord};
use crate::rows_step::{evaluate, evaluate_all, evaluate_filter, pick, time_values};
use crate::step_counts::{StepCounts, Steps, WindowStateSize};
use crate::topic_formats::TopicFormats;

/// How a stream's records are read and judged.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    pub table: String,
    pub message: MessageDescriptor,
    /// Field path of the event time; `None` takes the record's own timestamp.
    pub rowtime_path: Option<Vec<String>>,
    /// How far records may come out of order.
    pub delay_ms: i64,
    /// Event times further than this after the append time are refused; `None` for files.
    pub allowed_skew_ms: Option<i64>,
    pub on_bad_record: OnBadRecord,
    pub keep_late: bool,
    pub formats: TopicFormats,
}

/// Results on their way to the sinks.
#[derive(Debug, Clone)]
pub struct OutputBatch {
    pub batch: RecordBatch,
    /// End of the window; `None` for rows without one and for sessions, whose ends differ by row.
    pub window_end_ms: Option<i64>,
    /// Where rows without a window come from.
    pub origin: Option<RowOrigin>,
}

/// The records that rows come from.
#[derive(Debug, Clone)]
pub struct RowOrigin {
    pub topic: Arc<str>,
    pub partition: u32,
    /// Which of the plan's branches made the rows: of one record, each may make some.
    pub branch: usize,
    /// Offset per row. Rows of one record are beside each other.
    pub offsets: Vec<i64>,
    /// Event time per row.
    pub times_ms: Vec<i64>,
}

impl RowOrigin {
    /// What tells the rows of one record from each other, the same whenever it is read: nothing for the first one, `1`, `2` and
    /// so on for those after it, and `BRANCH.ROW` for those of a further branch.
    pub fn row_names(&self) -> Vec<Option<String>> {
        let mut row = 0;
        let name = |index: usize| {
            let is_same_record = index > 0 && self.offsets[index] == self.offsets[index - 1];
            row = if is_same_record { row + 1 } else { 0 };
            match (self.branch, row) {
                (0, 0) => None,
                (0, row) => Some(row.to_string()),
                (branch, row) => Some(format!("{branch}.{row}")),
            }
        };
        (0..self.offsets.len()).map(name).collect()
    }
}

pub(crate) enum WindowOperator {
    Sliced(SlicedOperator),
    Session(SessionOperator),
}

/// The state of one window of the plan beside its lanes.
pub(crate) struct WindowState {
    pub operator: WindowOperator,
    /// For a window over earlier results: its one lane.
    pub results_lane: Option<WindowLane>,
    /// Session results that wait for the other inputs of their fragment, by end.
    pub pending: BTreeMap<i64, Vec<RecordBatch>>,
}

/// A running dagger without its surroundings.
pub struct Engine {
    pub(crate) plan: Arc<DaggerPlan>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) windows: Vec<WindowState>,
    closed_up_to: Vec<i64>,
    verdict: Verdict,
    /// What runs after the lanes: windows' closing by window, and the result.
    closings: Vec<StepCounts>,
    output: StepCounts,
}

impl Engine {
    /// An engine without lanes.
    pub fn new(plan: Arc<DaggerPlan>) -> Result<Self, FlowError> {
        let mut windows = Vec::new();
        for window in &plan.windows {
            let operator = if window.spec.is_session() {
                WindowOperator::Session(SessionOperator::new(window.spec, window.aggregate.clone()))
            } else {
                WindowOperator::Sliced(SlicedOperator::new(window.spec, window.aggregate.clone()))
            };
            let results_lane = match window.source {
                WindowSource::Branches => None,
                WindowSource::Results { .. } => Some(WindowLane::new(window.spec, &window.aggregate)?),
            };
            windows.push(WindowState { operator, results_lane, pending: BTreeMap::new() });
        }
        let closed_up_to = vec![i64::MIN; windows.len()];
        let (closings, output) = (vec![StepCounts::default(); windows.len()], StepCounts::default());
        Ok(Engine { plan, lanes: Vec::new(), windows, closed_up_to, verdict: Verdict::default(), closings, output })
    }

    /// Adds a partition of the stream at `source` of the plan's sources. Lanes are merged in the order in which they were added.
    pub fn add_lane(
        &mut self,
        source: usize,
        settings: &Arc<StreamSettings>,
        topic: &str,
        partition: u32,
        next_offset: i64,
    ) -> Result<(), FlowError> {
        self.lanes.push(Lane::new(&self.plan, source, settings, topic, partition, next_offset)?);
        Ok(())
    }

    /// Which topic of its name the lane that was added last reads.
    pub(crate) fn name_topic(&mut self, id: Option<String>) {
        if let Some(lane) = self.lanes.last_mut() {
            lane.topic_id = id;
        }
    }

    pub(crate) fn restore_closed(&mut self, closed_up_to: &[i64]) {
        self.closed_up_to = closed_up_to.to_vec();
    }

    /// How much each window holds: open parts, what is sealed, and results that wait.
    pub fn state_sizes(&self) -> Vec<WindowStateSize> {
        let size_of_window = |(index, state): (usize, &WindowState)| {
            let mut size = WindowStateSize {
                bytes: state.pending.values().flatten().map(RecordBatch::get_array_memory_size).sum(),
                groups: 0,
            };
            size.bytes += match &state.operator {
                WindowOperator::Sliced(operator) => operator.bytes(),
                WindowOperator::Session(operator) => operator.bytes(),
            };
            let lanes = self.lanes.iter().filter_map(|lane| lane.windows[index].as_ref());
            for lane in lanes.chain(&state.results_lane) {
                let (bytes, groups) = match lane {
                    WindowLane::Sliced(lane) => (lane.bytes(), lane.group_count()),
                    WindowLane::Session(lane) => (lane.bytes(), lane.open_count()),
                };
                size.bytes += bytes;
                size.groups += groups;
            }
            size
        };
        self.windows.iter().enumerate().map(size_of_window).collect()
    }

    /// What its steps have done; without sinks, which are not its own.
    pub fn steps(&self) -> Steps {
        let mut steps = Steps {
            sources: vec![StepCounts::default(); self.plan.sources.len()],
            branches: vec![StepCounts::default(); self.plan.branches.len()],
            windows: self.closings.clone(),
            output: self.output,
            ..Steps::default()
        };
        for lane in &self.lanes {
            lane.steps.add_to(lane.source, &mut steps);
        }
        steps
    }

    /// The lanes.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Takes one round's slabs, lanes in parallel on at most `threads` threads. Results without windows come in lane order.
    pub fn take(
        &mut self,
        slabs: Vec<(usize, Slab)>,
        threads: usize,
    ) -> Result<(Vec<OutputBatch>, Vec<RefusedRecord>), FlowError> {
        let closed = &self.closed_up_to;
        let mut by_lane: Vec<Option<Slab>> = self.lanes.iter().map(|_| None).collect();
        for (lane, slab) in slabs {
            by_lane[lane] = Some(slab);
        }
        let mut work: Vec<(&mut Lane, Slab)> =
            self.lanes.iter_mut().zip(by_lane).filter_map(|(lane, slab)| slab.map(|slab| (lane, slab))).collect();
        let outputs: Vec<Result<LaneOutput, FlowError>> = if threads <= 1 || work.len() <= 1 {
            work.iter_mut().map(|(lane, slab)| lane.process(slab, closed)).collect()
        } else {
            let share = work.len().div_ceil(threads.min(work.len()));
            std::thread::scope(|scope| {
                let workers: Vec<_> = work
                    .chunks_mut(share)
                    .map(|chunk| {
                        scope.spawn(|| {
                            chunk.iter_mut().map(|(lane, slab)| lane.process(slab, closed)).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                workers
                    .into_iter()
                    .flat_map(|worker| worker.join().unwrap_or_else(|_| vec![Err(FlowError::Worker)]))
                    .collect()
            })
        };
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        for output in outputs {
            let output = output?;
            rows.extend(output.rows);
            refused.extend(output.refused);
        }
        Ok((rows, refused))
    }

    /// The earliest watermark that closes a window with rows; with sessions a lower bound.
    pub fn next_close(&self) -> i64 {
        (0..self.windows.len()).filter_map(|index| self.next_close_of(index)).min().unwrap_or(i64::MAX)
    }

    /// Closes every window that `watermark` has passed, in the order of ends.
    pub fn advance(&mut self, watermark: i64) -> Result<Vec<OutputBatch>, FlowError> {
        let mut outputs = Vec::new();
        if self.next_close() > watermark {
            return Ok(outputs);
        }
        // Sessions of records close all at once: each has its own end. What reads them does so end by end.
        for index in 0..self.windows.len() {
            if self.windows[index].results_lane.is_none() {
                self.close_sessions(index, watermark, &mut outputs)?;
            }
        }
        while let Some(due) = self.next_due().filter(|due| *due <= watermark) {
            self.close_at(due, &mut outputs)?;
        }
        let slowest = self.plan.windows.iter().map(|window| window.lag_ms).max().unwrap_or(0);
        for lane in &mut self.lanes {
            lane.deliver_until(watermark.saturating_sub(slowest));
        }
        Ok(outputs)
    }

    /// The earliest watermark at which there is something to do beside the sessions of records.
    fn next_due(&self) -> Option<i64> {
        let due = self.windows.iter().zip(&self.plan.windows).enumerate().filter_map(|(index, (window, plan))| {
            let of_records = matches!(window.operator, WindowOperator::Session(_)) && window.results_lane.is_none();
            let open = if of_records { None } else { self.next_close_of(index) };
            let pending = window.pending.keys().next().map(|end| end.saturating_add(plan.lag_ms));
            open.into_iter().chain(pending).min()
        });
        due.min()
    }

    fn next_close_of(&self, index: usize) -> Option<i64> {
        let window = &self.windows[index];
        let end = match &window.operator {
            WindowOperator::Sliced(_) => self.next_sliced_end(index)?,
            WindowOperator::Session(operator) => operator.earliest_end(session_lanes(&self.lanes, window, index)),
        };
        Some(end).filter(|end| *end != i64::MAX).map(|end| end.saturating_add(self.plan.windows[index].lag_ms))
    }

    fn next_sliced_end(&self, index: usize) -> Option<i64> {
        let WindowOperator::Sliced(operator) = &self.windows[index].operator else { return None };
        operator.next_end(sliced_lanes(&self.lanes, &self.windows[index], index))
    }

    /// Closes all windows that are due at `watermark`, earlier ones of the plan first, and runs what reads them.
    fn close_at(&mut self, watermark: i64, outputs: &mut Vec<OutputBatch>) -> Result<(), FlowError> {
        let plan = Arc::clone(&self.plan);
        let mut results: Vec<Vec<RecordBatch>> = vec![Vec::new(); self.windows.len()];
        for index in 0..self.windows.len() {
            if let WindowSource::Results { fragment, rows } = &plan.windows[index].source
                && fragment.windows().any(|window| !results[window].is_empty())
            {
                let batches = fragment.run(|window| results[window].clone())?;
                self.feed_results(index, rows, &batches)?;
            }
            if self.windows[index].results_lane.is_some() {
                self.close_sessions(index, watermark, outputs)?;
            }
            let end_ms = watermark - plan.windows[index].lag_ms;
            if let Some(pending) = self.windows[index].pending.remove(&end_ms) {
                results[index] = pending;
            }
            if self.next_sliced_end(index) == Some(end_ms) {
                let state = &mut self.windows[index];
                let WindowOperator::Sliced(operator) = &mut state.operator else { continue };
                let own = state.results_lane.iter_mut();
                let lanes =
                    self.lanes.iter_mut().filter_map(|lane| lane.windows[index].as_mut()).chain(own).filter_map(
                        |lane| match lane {
                            WindowLane::Sliced(lane) => Some(lane),
                            WindowLane::Session(_) => None,
                        },
                    );
                let began = Instant::now();
                let closed = operator.close(end_ms, lanes)?;
                self.closings[index].note(0, closed.as_ref().map_or(0, |rows| rows.rows), began.elapsed());
                if let Some(rows) = closed {
                    results[index].push(window_batch(&plan.windows[index], rows)?);
                }
                self.closed_up_to[index] = operator.closed_up_to();
            }
        }
        if let OutputPlan::Windows(fragment) = &plan.output
            && fragment.windows().any(|window| !results[window].is_empty())
        {
            // What is read together closes together.
            let end_ms = fragment.windows().next().map(|window| watermark - plan.windows[window].lag_ms);
            self.emit(fragment, end_ms, |window| results[window].clone(), outputs)?;
        }
        Ok(())
    }

    fn emit(
        &mut self,
        fragment: &Fragment,
        window_end_ms: Option<i64>,
        rows: impl Fn(usize) -> Vec<RecordBatch>,
        outputs: &mut Vec<OutputBatch>,
    ) -> Result<(), FlowError> {
        let began = Instant::now();
        let rows_in: usize = fragment.windows().flat_map(&rows).map(|batch| batch.num_rows()).sum();
        let (batches, before) = (fragment.run(rows)?, outputs.len());
        for batch in batches {
            if batch.num_rows() > 0 {
                let columns = conform(&self.plan.schema, batch.columns().to_vec())?;
                let batch = RecordBatch::try_new(nullable(&self.plan.schema), columns)?;
                outputs.push(OutputBatch { batch, window_end_ms, origin: None });
            }
        }
        let rows_out = outputs[before..].iter().map(|rows| rows.batch.num_rows()).sum();
        self.output.note(rows_in, rows_out, began.elapsed());
        Ok(())
    }

    /// Puts the rows of earlier windows into a window over results.
    fn feed_results(
        &mut self,
        index: usize,
        plan: &sql::WindowRowsPlan,
        batches: &[RecordBatch],
    ) -> Result<(), FlowError> {
        let aggregate = &self.plan.windows[index].aggregate;
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            let times = time_values(&evaluate(&plan.time, batch)?)?;
            let keys = aggregate.hold_keys(evaluate_all(&plan.keys, batch)?)?;
            let arguments =
                plan.arguments.iter().map(|arguments| evaluate_all(arguments, batch)).collect::<Result<_, _>>()?;
            let filters = plan.filters.iter().map(|filter| evaluate_filter(filter, batch)).collect::<Result<_, _>>()?;
            let rows = LaneRows { times: &times, watermarks: None, keys, arguments, filters };
            if let Some(lane) = &mut self.windows[index].results_lane {
                let began = Instant::now();
                lane.update(&rows, i64::MIN, &mut self.verdict)?;
                self.closings[index].note(times.len(), 0, began.elapsed());
            }
        }
        Ok(())
    }

    /// Closes the sessions of a window that `watermark` has passed.
    fn close_sessions(
        &mut self,
        index: usize,
        watermark: i64,
        outputs: &mut Vec<OutputBatch>,
    ) -> Result<(), FlowError> {
        let state = &mut self.windows[index];
        let WindowOperator::Session(operator) = &state.operator else { return Ok(()) };
        let until = watermark.saturating_sub(self.plan.windows[index].lag_ms);
        if operator.earliest_end(session_lanes(&self.lanes, state, index)) > until {
            return Ok(());
        }
        let mut owners = Vec::new();
        let of_records = self.lanes.iter_mut().enumerate().filter_map(|(number, lane)| {
            let own = lane.watermark.value();
            match &mut lane.windows[index] {
                Some(WindowLane::Session(session)) => {
                    owners.push(number);
                    Some((own, session))
                }
                _ => None,
            }
        });
        let mut lanes: Vec<_> = of_records.collect();
        let WindowState { operator, results_lane, .. } = state;
        if let Some(WindowLane::Session(of_results)) = results_lane {
            lanes.push((i64::MIN, of_results));
        }
        let WindowOperator::Session(operator) = operator else { return Ok(()) };
        let began = Instant::now();
        let closed = operator.close(until, lanes.into_iter())?;
        self.closings[index].note(0, closed.as_ref().map_or(0, |closed| closed.rows), began.elapsed());
        self.closed_up_to[index] = operator.closed_up_to();
        let Some(closed) = closed else { return Ok(()) };
        for (owner, records) in owners.iter().zip(&closed.records_by_lane) {
            self.lanes[*owner].deliver_sessions(index, *records);
        }
        self.hand_over_sessions(index, closed, outputs)
    }

    fn hand_over_sessions(
        &mut self,
        index: usize,
        closed: SessionOutput,
        outputs: &mut Vec<OutputBatch>,
    ) -> Result<(), FlowError> {
        let plan = Arc::clone(&self.plan);
        let batch = session_batch(&plan.windows[index], &closed)?;
        if let OutputPlan::Windows(fragment) = &plan.output
            && fragment.row_wise
            && fragment.windows().eq([index])
        {
            return self.emit(fragment, None, |_| vec![batch.clone()], outputs);
        }
        // What joins or aggregates per window sees the sessions of one end at a time.
        let mut by_end: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, end) in closed.ends.values().iter().enumerate() {
            by_end.entry(*end).or_default().push(row as u32);
        }
        for (end, rows) in by_end {
            self.windows[index].pending.entry(end).or_default().push(pick(&batch, &rows)?);
        }
        Ok(())
    }
}

fn sliced_lanes<'a>(lanes: &'a [Lane], state: &'a WindowState, index: usize) -> impl Iterator<Item = &'a SlicedLane> {
    lanes.iter().filter_map(move |lane| lane.windows[index].as_ref()).chain(&state.results_lane).filter_map(|lane| {
        match lane {
            WindowLane::Sliced(lane) => Some(lane),
            WindowLane::Session(_) => None,
        }
    })
}

fn session_lanes<'a>(lanes: &'a [Lane], state: &'a WindowState, index: usize) -> impl Iterator<Item = &'a SessionLane> {
    lanes.iter().filter_map(move |lane| lane.windows[index].as_ref()).chain(&state.results_lane).filter_map(|lane| {
        match lane {
            WindowLane::Session(lane) => Some(lane),
            WindowLane::Sliced(_) => None,
        }
    })
}

fn nullable(schema: &arrow::datatypes::SchemaRef) -> arrow::datatypes::SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

/// A window's rows in the columns that the plan says.
fn window_batch(plan: &WindowPlan, rows: WindowRows) -> Result<RecordBatch, FlowError> {
    let bound = |ms: i64| Arc::new(TimestampMillisecondArray::from_value(ms, rows.rows)) as ArrayRef;
    let columns = plan.columns.iter().map(|column| match column {
        WindowColumn::Start => bound(rows.start_ms),
        WindowColumn::End => bound(rows.end_ms),
        WindowColumn::Time => bound(rows.end_ms - 1),
        WindowColumn::Key(key) => Arc::clone(&rows.keys[*key]),
        WindowColumn::Aggregate(call) => Arc::clone(&rows.results[*call]),
    });
    Ok(RecordBatch::try_new(Arc::clone(&plan.schema), conform(&plan.schema, columns.collect())?)?)
}

fn session_batch(plan: &WindowPlan, sessions: &SessionOutput) -> Result<RecordBatch, FlowError> {
    let columns = plan.columns.iter().map(|column| match column {
        WindowColumn::Start => Arc::new(sessions.starts.clone()) as ArrayRef,
        WindowColumn::End => Arc::new(sessions.ends.clone()),
        WindowColumn::Time => Arc::new(sessions.ends.unary::<_, TimestampMillisecondType>(|end| end - 1)),
        WindowColumn::Key(key) => Arc::clone(&sessions.keys[*key]),
        WindowColumn::Aggregate(call) => Arc::clone(&sessions.results[*call]),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    debug_assert!(columns.iter().all(|column| column.len() == sessions.rows));
    debug_assert!(columns.first().is_none_or(|column| column.as_any_dictionary_opt().is_none() || !column.is_empty()));
    Ok(RecordBatch::try_new(Arc::clone(&plan.schema), conform(&plan.schema, columns)?)?)
}
