//! One partition of one stream on its way into the windows of a dagger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::Schema;
use codec::{DecodeErrorKind, DecodeOptions, DecodeProgram, Decoder, FrameReader, Payloads, Projection, RecordError};
use datafusion::common::DataFusionError;
use delivery::Ledger;
use log::Slab;
use operators::{AggregateSpec, LATE, LaneRows, NO_WINDOW, SessionLane, SlicedLane, Verdict, WindowSpec};
use sql::{BranchTarget, DaggerPlan};

use crate::FlowError;
use crate::engine::{OutputBatch, RowOrigin, StreamSettings};
use crate::event_time::{self, EventTimes, Watermark};
use crate::metadata;
use crate::refused::{OnBadRecord, Refusal, RefusedRecord};
use crate::rows_step::{Prepared, pick, prepare};
use crate::step_counts::LaneSteps;
use crate::topic_formats::{self, Framing};

/// The window state of one lane.
pub(crate) enum WindowLane {
    Sliced(SlicedLane),
    Session(SessionLane),
}

impl WindowLane {
    pub(crate) fn new(spec: WindowSpec, aggregate: &AggregateSpec) -> Result<Self, FlowError> {
        Ok(if spec.is_session() {
            WindowLane::Session(SessionLane::new(spec, aggregate.clone())?)
        } else {
            WindowLane::Sliced(SlicedLane::new(spec, aggregate.clone()))
        })
    }

    pub(crate) fn update(
        &mut self,
        rows: &LaneRows,
        closed_up_to: i64,
        verdict: &mut Verdict,
    ) -> Result<(), FlowError> {
        match self {
            WindowLane::Sliced(lane) => Ok(lane.update(rows, closed_up_to, verdict)?),
            WindowLane::Session(lane) => Ok(lane.update(rows, closed_up_to, verdict)?),
        }
    }
}

/// A row whose expressions fail, and why.
type FailedRow = (u32, String);

/// What became of a record, by the branch that did best with it. Values that are no window's end.
const FILTERED: i64 = i64::MAX - 1;
const DELIVERED: i64 = i64::MAX - 2;
/// Held by a session of window `SESSION_BASE - index`.
const SESSION_BASE: i64 = i64::MAX - 1_000;
const SESSION_LAST: i64 = SESSION_BASE - 1_000_000;

/// One partition of one stream.
pub struct Lane {
    pub(crate) source: usize,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    /// Tells the topic from another of the same name; and the one that the checkpoint was of.
    pub(crate) topic_id: Option<String>,
    pub(crate) restored_topic_id: Option<String>,
    /// Whether it goes on from a checkpoint.
    pub(crate) was_restored: bool,
    plan: Arc<DaggerPlan>,
    settings: Arc<StreamSettings>,
    framing: Framing,
    decoder: Decoder,
    pub(crate) watermark: Watermark,
    pub(crate) next_offset: i64,
    pub(crate) end_offset: i64,
    /// The cells but `held`, which is what `held_until` and `held_sessions` add up to.
    pub(crate) ledger: Ledger,
    /// Records by the end of the first window that took them.
    pub(crate) held_until: BTreeMap<i64, u64>,
    /// Records in open sessions, by window.
    pub(crate) held_sessions: Vec<u64>,
    /// By window of the plan; `None` where this lane has no branch to it.
    pub(crate) windows: Vec<Option<WindowLane>>,
    pub(crate) steps: LaneSteps,
    verdict: Verdict,
    fates: Vec<i64>,
}

/// What a slab brought beside state.
#[derive(Default)]
pub(crate) struct LaneOutput {
    pub rows: Vec<OutputBatch>,
    pub refused: Vec<RefusedRecord>,
}

impl Lane {
    pub(crate) fn new(
        plan: &Arc<DaggerPlan>,
        source: usize,
        settings: &Arc<StreamSettings>,
        topic: &str,
        partition: u32,
        next_offset: i64,
    ) -> Result<Self, FlowError> {
        let paths = plan.sources[source].paths.iter().cloned();
        let program =
            DecodeProgram::compile(&settings.message, &Projection::paths(paths), &DecodeOptions::default())
                .map_err(|source| FlowError::Decode { table: settings.table.clone(), source: Box::new(source) })?;
        let mut windows: Vec<Option<WindowLane>> = plan.windows.iter().map(|_| None).collect();
        for branch in plan.branches.iter().filter(|branch| branch.source == source) {
            if let BranchTarget::Window { window, .. } = branch.target
                && windows[window].is_none()
            {
                let window_plan = &plan.windows[window];
                windows[window] = Some(WindowLane::new(window_plan.spec, &window_plan.aggregate)?);
            }
        }
        Ok(Lane {
            source,
            topic: topic.into(),
            partition,
            topic_id: None,
            restored_topic_id: None,
            was_restored: false,
            framing: settings.formats.framing(topic, &settings.message),
            settings: Arc::clone(settings),
            decoder: program.decoder(),
            watermark: Watermark::new(settings.delay_ms),
            next_offset,
            end_offset: next_offset,
            ledger: Ledger::default(),
            held_until: BTreeMap::new(),
            held_sessions: vec![0; windows.len()],
            steps: LaneSteps::new(plan.branches.len(), windows.len()),
            windows,
            plan: Arc::clone(plan),
            verdict: Verdict::default(),
            fates: Vec::new(),
        })
    }

    /// Goes on elsewhere, whatever was read before.
    pub(crate) fn start_at(&mut self, offset: i64) {
        self.next_offset = offset;
        self.end_offset = offset;
    }

    /// The table that this lane feeds.
    pub fn table(&self) -> &str {
        &self.settings.table
    }

    /// Greatest event time seen less the delay, in milliseconds; `i64::MIN` before the first record.
    pub fn watermark_ms(&self) -> i64 {
        self.watermark.value()
    }

    /// The ledger with what is held now.
    pub fn ledger(&self) -> Ledger {
        let held = self.held_until.values().sum::<u64>() + self.held_sessions.iter().sum::<u64>();
        Ledger { held, ..self.ledger }
    }

    /// Takes a slab. `closed_up_to` gives for each window of the plan what is closed already.
    pub(crate) fn process(&mut self, slab: &Slab, closed_up_to: &[i64]) -> Result<LaneOutput, FlowError> {
        let mut output = LaneOutput::default();
        self.next_offset = slab.next_offset;
        self.end_offset = slab.end_offset;
        if slab.is_empty() {
            return Ok(output);
        }
        for (slab, reader) in self.framing.runs(slab) {
            self.take_records(&slab, reader.as_deref(), closed_up_to, &mut output)?;
        }
        Ok(output)
    }

    /// Takes records that are framed alike.
    fn take_records(
        &mut self,
        slab: &Slab,
        frames: Option<&FrameReader>,
        closed_up_to: &[i64],
        output: &mut LaneOutput,
    ) -> Result<(), FlowError> {
        let began = Instant::now();
        self.ledger.consumed += slab.len() as u64;
        let payloads = frames.map(|frames| topic_formats::payloads(frames, slab));
        let (data, spans) = match &payloads {
            None => (&slab.data, &slab.records.values),
            Some(payloads) => (&payloads.data, &payloads.spans),
        };
        let decoded = self.decoder.decode(data, spans);
        self.ledger.unknown_enums += decoded.unknown_enum_values;
        let faults = payloads.as_ref().map_or(&[][..], |payloads| &payloads.faults);
        // A record without a value, which deletes its key where a topic is compacted, is no row of any stream.
        let rows = decoded.batch.num_rows();
        self.ledger.filtered += (slab.len() - rows - decoded.errors.len() - faults.len()) as u64;
        for fault in faults {
            self.refuse(slab, fault.index, Refusal::Undecodable, fault.to_string(), fault.offset, None, output)?;
        }
        for error in &decoded.errors {
            self.refuse_undecodable(slab, error, payloads.as_ref(), output)?;
        }
        let (batch, times, mut records) = self.with_event_time(slab, decoded.batch, decoded.rows, output)?;
        self.steps.source.note(slab.len(), times.len(), began.elapsed());
        if times.is_empty() {
            return Ok(());
        }
        let watermarks = self.watermark.advance(&times, closed_up_to.iter().copied().max().unwrap_or(i64::MIN));
        let mut batch = self.with_rowtime(&batch, &times, slab, &records)?;
        let mut times = times;
        let mut watermarks = watermarks;
        let prepared = match self.prepare_all(&batch) {
            Ok(prepared) => prepared,
            Err(_) => {
                // Some record's values make an expression fail: find which, and go on without them.
                let (kept, failed) = self.separate_failing(&batch)?;
                for (row, error) in failed {
                    let record = record_of(&records, row);
                    self.refuse(
                        slab,
                        record,
                        Refusal::ExpressionFailed,
                        error,
                        None,
                        Some(times[row as usize]),
                        output,
                    )?;
                }
                batch = pick(&batch, &kept)?;
                times = kept.iter().map(|row| times[*row as usize]).collect();
                watermarks = watermarks.map(|all| kept.iter().map(|row| all[*row as usize]).collect());
                records = Some(kept.iter().map(|row| record_of(&records, *row)).collect());
                self.prepare_all(&batch)?
            }
        };
        self.fates.clear();
        self.fates.resize(times.len(), FILTERED);
        for (branch, prepared, busy) in prepared {
            self.steps.branches[branch].note(batch.num_rows(), prepared.rows(), busy);
            self.take(branch, prepared, watermarks.as_deref(), closed_up_to, slab, &records, &times, output)?;
        }
        self.count_fates(slab, &records, &times, output)?;
        Ok(())
    }

    fn branches(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.plan.branches.len()).filter(|branch| self.plan.branches[*branch].source == self.source)
    }

    /// What each branch makes of a batch, and how long that took.
    fn prepare_all(&self, batch: &RecordBatch) -> Result<Vec<(usize, Prepared, Duration)>, DataFusionError> {
        let prepared = self.branches().map(|branch| {
            let began = Instant::now();
            let prepared = prepare(&self.plan.branches[branch], batch)?;
            Ok((branch, prepared, began.elapsed()))
        });
        prepared.collect()
    }

    /// Splits a batch whose evaluation fails into rows that evaluate and rows that do not, by halving.
    fn separate_failing(&self, batch: &RecordBatch) -> Result<(Vec<u32>, Vec<FailedRow>), FlowError> {
        let (mut kept, mut failed) = (Vec::new(), Vec::new());
        let mut spans = vec![(0, batch.num_rows())];
        while let Some((start, len)) = spans.pop() {
            match self.prepare_all(&batch.slice(start, len)) {
                Ok(_) => kept.extend(start as u32..(start + len) as u32),
                Err(error) if len == 1 => failed.push((start as u32, error.strip_backtrace())),
                Err(_) => {
                    let half = len / 2;
                    spans.push((start + half, len - half));
                    spans.push((start, half));
                }
            }
        }
        kept.sort_unstable();
        Ok((kept, failed))
    }

    /// Drops records without a usable event time. Returns the batch, its times, and the slab's record of each row.
    #[expect(clippy::type_complexity, reason = "three things that belong together for the length of one call")]
    fn with_event_time(
        &mut self,
        slab: &Slab,
        batch: RecordBatch,
        rows: Option<Vec<u32>>,
        output: &mut LaneOutput,
    ) -> Result<(RecordBatch, Vec<i64>, Option<Vec<u32>>), FlowError> {
        let times = match &self.settings.rowtime_path {
            Some(path) => event_time::read(&batch, &self.settings.table, path)?,
            None => EventTimes::All(
                (0..batch.num_rows() as u32)
                    .map(|row| slab.records.timestamps_ms[record_of(&rows, row) as usize])
                    .collect(),
            ),
        };
        let skew = self.settings.allowed_skew_ms;
        let latest = |record: u32| {
            skew.map_or(i64::MAX, |skew| slab.records.append_times_ms[record as usize].saturating_add(skew))
        };
        if let EventTimes::All(times) = &times {
            let usable = match skew {
                None => true,
                Some(_) => times.iter().enumerate().all(|(row, time)| *time <= latest(record_of(&rows, row as u32))),
            };
            if usable {
                return Ok((batch, times.clone(), rows));
            }
        }
        let times: Vec<Option<i64>> = match times {
            EventTimes::All(times) => times.into_iter().map(Some).collect(),
            EventTimes::Some(times) => times,
        };
        let (mut kept, mut kept_times, mut kept_records) = (Vec::new(), Vec::new(), Vec::new());
        for (row, time) in times.into_iter().enumerate() {
            let record = record_of(&rows, row as u32);
            match time {
                None => {
                    let message = format!("no event time: `{}` is absent", self.rowtime_name());
                    self.refuse(slab, record, Refusal::NoEventTime, message, None, None, output)?;
                }
                Some(time) if time > latest(record) => {
                    let ahead = time.saturating_sub(slab.records.append_times_ms[record as usize]);
                    let message = format!(
                        "event time is {} ms after the record was appended; allowed are {} ms",
                        ahead,
                        skew.unwrap_or_default()
                    );
                    self.refuse(slab, record, Refusal::FutureEventTime, message, None, Some(time), output)?;
                }
                Some(time) => {
                    kept.push(row as u32);
                    kept_times.push(time);
                    kept_records.push(record);
                }
            }
        }
        Ok((pick(&batch, &kept)?, kept_times, Some(kept_records)))
    }

    fn rowtime_name(&self) -> String {
        self.settings.rowtime_path.as_ref().map_or_else(|| "timestamp".into(), |path| path.join("."))
    }

    /// The columns that expressions read, in the plan's order, with `rowtime` last.
    fn with_rowtime(
        &self,
        batch: &RecordBatch,
        times: &[i64],
        slab: &Slab,
        records: &Option<Vec<u32>>,
    ) -> Result<RecordBatch, FlowError> {
        let source = &self.plan.sources[self.source];
        let (mut fields, mut columns): (Vec<_>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for field in source.schema.fields() {
            if let Some(column) = source.metadata.iter().find(|column| column.name() == field.name()) {
                let numbers = (0..times.len() as u32).map(|row| record_of(records, row) as usize);
                fields.push(Arc::clone(field));
                columns.push(metadata::column(*column, slab, numbers));
            } else if field.name() == "rowtime" {
                fields.push(Arc::clone(field));
                columns.push(Arc::new(TimestampMillisecondArray::from(times.to_vec())));
            } else if let Some((index, decoded)) = batch.schema_ref().column_with_name(field.name()) {
                fields.push(Arc::new(decoded.clone()));
                columns.push(Arc::clone(batch.column(index)));
            }
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    /// Hands a branch's rows to its window or to the result, and notes what became of their records.
    #[expect(clippy::too_many_arguments, reason = "the round's context, read only")]
    fn take(
        &mut self,
        branch: usize,
        prepared: Prepared,
        watermarks: Option<&[i64]>,
        closed_up_to: &[i64],
        slab: &Slab,
        records: &Option<Vec<u32>>,
        times: &[i64],
        output: &mut LaneOutput,
    ) -> Result<(), FlowError> {
        match prepared {
            Prepared::Nothing => Ok(()),
            Prepared::Rows { origin, columns } => {
                let rows = columns.first().map_or(0, |column| column.len());
                let (mut offsets, mut times_ms) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
                for row in 0..rows {
                    let lane_row = origin.as_ref().map_or(row as u32, |origin| origin[row]);
                    self.fates[lane_row as usize] = DELIVERED;
                    offsets.push(slab.offset(record_of(records, lane_row) as usize));
                    times_ms.push(times[lane_row as usize]);
                }
                let batch = RecordBatch::try_new(Arc::clone(&self.plan.schema), conform(&self.plan.schema, columns)?)?;
                let (topic, partition) = (Arc::clone(&self.topic), self.partition);
                let origin = RowOrigin { topic, partition, branch, offsets, times_ms };
                output.rows.push(OutputBatch { batch, window_end_ms: None, origin: Some(origin) });
                Ok(())
            }
            Prepared::Window { origin, times, keys, arguments, filters } => {
                let BranchTarget::Window { window, .. } = self.plan.branches[branch].target else { return Ok(()) };
                let own: Option<Vec<i64>> = match (watermarks, &origin) {
                    (Some(all), Some(origin)) => Some(origin.iter().map(|row| all[*row as usize]).collect()),
                    (Some(all), None) => Some(all.to_vec()),
                    (None, _) => None,
                };
                let keys = self.plan.windows[window].aggregate.hold_keys(keys)?;
                let rows = LaneRows { times: &times, watermarks: own.as_deref(), keys, arguments, filters };
                let Some(lane) = &mut self.windows[window] else { return Ok(()) };
                let began = Instant::now();
                lane.update(&rows, closed_up_to[window], &mut self.verdict)?;
                self.steps.windows[window].note(times.len(), 0, began.elapsed());
                let is_session = self.plan.windows[window].spec.is_session();
                for (row, end) in self.verdict.first_ends.iter().enumerate() {
                    let lane_row = origin.as_ref().map_or(row, |origin| origin[row] as usize);
                    let fate = &mut self.fates[lane_row];
                    let found = match *end {
                        NO_WINDOW => FILTERED,
                        LATE => LATE,
                        _ if is_session => SESSION_BASE - window as i64,
                        end => end,
                    };
                    *fate = better(*fate, found);
                }
                self.ledger.late_windows += self.verdict.late_windows;
                self.ledger.late_after_idle += self.verdict.late_after_idle;
                Ok(())
            }
        }
    }

    /// Puts each record of the batch into its cell.
    fn count_fates(
        &mut self,
        slab: &Slab,
        records: &Option<Vec<u32>>,
        times: &[i64],
        output: &mut LaneOutput,
    ) -> Result<(), FlowError> {
        let (mut run_end, mut run_length) = (FILTERED, 0_u64);
        let fates = std::mem::take(&mut self.fates);
        for (row, fate) in fates.iter().copied().enumerate() {
            if fate == LATE && self.settings.keep_late {
                let record = record_of(records, row as u32);
                let message = format!(
                    "late: behind the watermark of every window that it belongs to ({} ms)",
                    self.watermark.value()
                );
                output.refused.push(self.refused(slab, record, Refusal::Late, message, None, Some(times[row])));
            }
            if fate != run_end {
                self.count(run_end, run_length);
                (run_end, run_length) = (fate, 0);
            }
            run_length += 1;
        }
        self.count(run_end, run_length);
        self.fates = fates;
        // A record that one branch found late after idleness may have been taken by another.
        self.ledger.late_after_idle = self.ledger.late_after_idle.min(self.ledger.late);
        Ok(())
    }

    fn count(&mut self, fate: i64, records: u64) {
        match fate {
            _ if records == 0 => {}
            FILTERED => self.ledger.filtered += records,
            DELIVERED => self.ledger.delivered += records,
            LATE => self.ledger.late += records,
            session if (SESSION_LAST..=SESSION_BASE).contains(&session) => {
                self.held_sessions[(SESSION_BASE - session) as usize] += records;
            }
            end => *self.held_until.entry(end).or_default() += records,
        }
    }

    /// Windows up to `end_ms` have been handed over.
    pub(crate) fn deliver_until(&mut self, end_ms: i64) {
        while let Some(entry) = self.held_until.first_entry().filter(|entry| *entry.key() <= end_ms) {
            self.ledger.delivered += entry.remove();
        }
    }

    /// Records of closed sessions have been handed over. A record that a sliced window also took was counted there.
    pub(crate) fn deliver_sessions(&mut self, window: usize, records: u64) {
        let delivered = records.min(self.held_sessions[window]);
        self.held_sessions[window] -= delivered;
        self.ledger.delivered += delivered;
    }

    fn refuse_undecodable(
        &mut self,
        slab: &Slab,
        error: &RecordError,
        payloads: Option<&Payloads>,
        output: &mut LaneOutput,
    ) -> Result<(), FlowError> {
        let (record, mut error) = (error.index, error.error.clone());
        let refusal = match error.kind {
            DecodeErrorKind::Utf8 | DecodeErrorKind::TimestampRange => Refusal::ValueError,
            _ => Refusal::Undecodable,
        };
        let span = slab.records.values[record as usize];
        let offset = match payloads {
            None => Some(error.offset),
            Some(payloads) => payloads.offset_in_record(record as usize, span, error.offset),
        };
        error.offset = offset.unwrap_or(error.offset);
        let mut message = match offset {
            Some(_) => error.to_string(),
            None => error.without_place(),
        };
        if payloads.is_none() && slab.value(record as usize).is_some_and(codec::looks_framed) {
            message.push_str(": it looks like Confluent's frame. Set the topic's encoding to `confluent` if it is one");
        }
        self.refuse(slab, record, refusal, message, offset, None, output)
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of a refused record")]
    fn refuse(
        &mut self,
        slab: &Slab,
        record: u32,
        refusal: Refusal,
        error: String,
        byte_offset: Option<u32>,
        event_time_ms: Option<i64>,
        output: &mut LaneOutput,
    ) -> Result<(), FlowError> {
        match self.settings.on_bad_record {
            OnBadRecord::Fail => {
                return Err(FlowError::BadRecord {
                    topic: self.topic.to_string(),
                    partition: self.partition,
                    offset: slab.offset(record as usize),
                    message: error,
                });
            }
            OnBadRecord::Skip => {}
            OnBadRecord::DeadLetter => {
                output.refused.push(self.refused(slab, record, refusal, error, byte_offset, event_time_ms));
            }
        }
        self.ledger.dead_lettered += 1;
        Ok(())
    }

    fn refused(
        &self,
        slab: &Slab,
        record: u32,
        refusal: Refusal,
        error: String,
        byte_offset: Option<u32>,
        event_time_ms: Option<i64>,
    ) -> RefusedRecord {
        let at = record as usize;
        RefusedRecord {
            stream: self.settings.table.clone(),
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: slab.offset(at),
            refusal,
            error,
            byte_offset,
            timestamp_ms: slab.timestamp_ms(at),
            event_time_ms,
            key: slab.key_bytes(at),
            value: slab.value_bytes(at),
            headers: slab
                .headers(at)
                .map(|(name, value)| (name.to_string(), bytes::Bytes::copy_from_slice(value)))
                .collect(),
        }
    }
}

/// The slab's record of a row.
fn record_of(records: &Option<Vec<u32>>, row: u32) -> u32 {
    records.as_ref().map_or(row, |records| records[row as usize])
}

/// Of two fates the one that counts: taken by a window (the earlier one), delivered, held by a session, late, filtered.
fn better(a: i64, b: i64) -> i64 {
    let rank = |fate: i64| match fate {
        FILTERED => 4,
        LATE => 3,
        fate if (SESSION_LAST..=SESSION_BASE).contains(&fate) => 2,
        DELIVERED => 1,
        _ => 0,
    };
    match rank(a).cmp(&rank(b)) {
        std::cmp::Ordering::Less => a,
        std::cmp::Ordering::Greater => b,
        std::cmp::Ordering::Equal => a.min(b),
    }
}

/// Columns in the types of a schema.
pub(crate) fn conform(schema: &Schema, columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>, FlowError> {
    columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column)
            } else {
                Ok(arrow::compute::cast(&column, field.data_type())?)
            }
        })
        .collect()
}
