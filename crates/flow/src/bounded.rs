//! A dagger over files that end: no server, no log, the same engine.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use delivery::Ledger;
use rows::RowWriter;
use sql::{DaggerPlan, OutputPlan};

use crate::FlowError;
use crate::engine::{Engine, OutputBatch, StreamSettings};
use crate::record_file::RecordFile;
use crate::refused::RefusedRecord;

/// The files of one table; each is a partition.
pub struct TableInput {
    pub settings: Arc<StreamSettings>,
    pub files: Vec<Box<dyn RecordFile>>,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct BoundedOptions {
    pub threads: usize,
    /// Rows of a slab.
    pub batch_rows: usize,
}

/// Runs a plan over files and writes one JSON object per result row. `inputs` are in the order of the plan's streams.
/// Rows are ordered by the end of their window and then by their bytes; rows without windows by (file, record). The same
/// files give the same bytes for any number of threads and any batch size. Returns the ledger and the number of rows.
pub fn run_bounded(
    plan: Arc<DaggerPlan>,
    inputs: Vec<TableInput>,
    options: BoundedOptions,
    output: &mut dyn Write,
    refused: &mut dyn FnMut(&[RefusedRecord]) -> Result<(), FlowError>,
) -> Result<(Ledger, u64), FlowError> {
    let mut engine = Engine::new(Arc::clone(&plan))?;
    let mut files: Vec<Box<dyn RecordFile>> = Vec::new();
    for (stream, input) in inputs.into_iter().enumerate() {
        let source = plan.sources.iter().position(|source| source.stream == stream);
        for (partition, file) in input.files.into_iter().enumerate() {
            // A table that the query does not read is not read either.
            if let Some(source) = source {
                let topic = file.topic().unwrap_or(&input.settings.table);
                engine.add_lane(source, &input.settings, topic, partition as u32, 0)?;
                files.push(file);
            }
        }
    }
    let mut writer = ResultWriter::new(&plan, output);
    let in_turn = matches!(plan.output, OutputPlan::Rows);
    let mut finished = vec![false; files.len()];
    while finished.iter().any(|finished| !finished) {
        let mut slabs = Vec::new();
        for (lane, file) in files.iter_mut().enumerate() {
            if finished[lane] {
                continue;
            }
            let slab = file.next_slab(options.batch_rows.max(1))?;
            finished[lane] = slab.is_empty();
            if !finished[lane] {
                slabs.push((lane, slab));
            }
            if in_turn {
                break;
            }
        }
        let (rows, bad) = engine.take(slabs, options.threads)?;
        refused(&bad)?;
        writer.write(rows)?;
        let open = engine.lanes().iter().zip(&finished).filter(|(_, finished)| !**finished);
        let watermark = open.map(|(lane, _)| lane.watermark_ms()).min().unwrap_or(i64::MAX);
        writer.write(engine.advance(watermark)?)?;
    }
    writer.write(engine.advance(i64::MAX)?)?;
    let rows = writer.finish()?;
    let mut ledger = Ledger::default();
    for lane in engine.lanes() {
        ledger.add(&lane.ledger());
    }
    Ok((ledger, rows))
}

/// Writes rows in their order. Batches come in the order of window ends; lines of one end are sorted before they go out.
struct ResultWriter<'a> {
    output: &'a mut dyn Write,
    writer: RowWriter,
    ends_by_row: Option<usize>,
    end_ms: i64,
    /// Lines of the window end at hand, or of sessions with their ends.
    lines: Vec<(i64, Vec<u8>)>,
    rows: u64,
}

impl<'a> ResultWriter<'a> {
    fn new(plan: &DaggerPlan, output: &'a mut dyn Write) -> Self {
        ResultWriter {
            output,
            writer: RowWriter::new(&plan.schema),
            ends_by_row: plan.window_end_column,
            end_ms: i64::MIN,
            lines: Vec::new(),
            rows: 0,
        }
    }

    fn write(&mut self, batches: Vec<OutputBatch>) -> Result<(), FlowError> {
        for batch in batches {
            self.rows += batch.batch.num_rows() as u64;
            match (batch.window_end_ms, &batch.origin) {
                (_, Some(_)) => self.write_through(&batch.batch)?,
                (Some(end), None) => {
                    if end != self.end_ms {
                        self.flush_before(end)?;
                        self.end_ms = end;
                    }
                    self.collect(&batch.batch, |_| end)?;
                }
                (None, None) => {
                    let ends = self
                        .ends_by_row
                        .map(|column| crate::rows_step::time_values(batch.batch.column(column)))
                        .transpose()?;
                    self.collect(&batch.batch, |row| ends.as_ref().map_or(i64::MIN, |ends| ends[row]))?;
                }
            }
        }
        Ok(())
    }

    fn collect(&mut self, batch: &RecordBatch, end: impl Fn(usize) -> i64) -> Result<(), FlowError> {
        let bound = self
            .writer
            .bind(batch)
            .map_err(|error| FlowError::Input { what: "results".into(), message: error.to_string() })?;
        for row in 0..batch.num_rows() {
            let mut line = Vec::new();
            bound.write_row(row, &mut line);
            self.lines.push((end(row), line));
        }
        Ok(())
    }

    fn write_through(&mut self, batch: &RecordBatch) -> Result<(), FlowError> {
        let bound = self
            .writer
            .bind(batch)
            .map_err(|error| FlowError::Input { what: "results".into(), message: error.to_string() })?;
        let mut lines = Vec::new();
        for row in 0..batch.num_rows() {
            bound.write_row(row, &mut lines);
            lines.push(b'\n');
        }
        Ok(self.output.write_all(&lines)?)
    }

    /// Writes the lines of windows that end before `end_ms`.
    fn flush_before(&mut self, end_ms: i64) -> Result<(), FlowError> {
        self.lines.sort_unstable();
        let count = self.lines.partition_point(|(end, _)| *end < end_ms);
        for (_, line) in self.lines.drain(..count) {
            self.output.write_all(&line)?;
            self.output.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<u64, FlowError> {
        self.flush_before(i64::MAX)?;
        for (_, line) in std::mem::take(&mut self.lines) {
            self.output.write_all(&line)?;
            self.output.write_all(b"\n")?;
        }
        self.output.flush()?;
        Ok(self.rows)
    }
}
