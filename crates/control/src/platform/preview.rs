//! A dagger over the records that are there, as a bounded run: same engine, nothing written.

use super::Platform;
use super::reading::next_there;
use crate::access::Caller;
use crate::cardinality::{TagCounter, TagSample};
use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::DaggerSpec;
use crate::error::ControlError;
use flow::{BoundedOptions, FlowError, RecordFile, StreamSettings, TableInput};
use log::{Slab, TopicLog};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

/// Of each partition the last records are read.
const RECORDS_PER_PARTITION_MAX: i64 = 20_000;
const BYTES_PER_PARTITION_MAX: usize = 16 * 1024 * 1024;
const POLL_BYTES: usize = 1024 * 1024;
const ROWS_SHOWN_MAX: usize = 5_000;
const ROWS_BYTES_MAX: usize = 4 * 1024 * 1024;
const REFUSALS_SHOWN_MAX: usize = 10;
const BATCH_ROWS: usize = 8_192;

pub struct Preview {
    pub plan: String,
    pub warnings: Vec<String>,
    /// The cells, as of the end of the run.
    pub ledger: Value,
    /// How many values the tags have, if the result goes to a measurement with tags.
    pub tags: Option<TagSample>,
    /// JSON lines, the last of the result.
    pub lines: Vec<u8>,
    /// There were more before them.
    pub is_truncated: bool,
}

/// Of each partition.
#[derive(Clone, Copy)]
pub(super) struct ReadAtMost {
    pub records: i64,
    pub bytes: usize,
}

impl Platform {
    pub async fn preview_dagger(&self, caller: &Caller, text: &str) -> Result<Preview, ControlError> {
        let (metadata, mut spec) = DaggerSpec::parse(text)?;
        let planned = self.check_dagger(&metadata, &mut spec).await?;
        self.check_readable(caller, &spec).await?;
        let warnings = self.warnings(&metadata, &spec, &planned).await?;
        let at_most = ReadAtMost { records: RECORDS_PER_PARTITION_MAX, bytes: BYTES_PER_PARTITION_MAX };
        let inputs = self.read_inputs(&spec, &planned, at_most).await?;
        let counter = self.tag_counter(&spec, &planned);
        run_over(&planned, spec.parallelism, inputs, counter, warnings).await
    }

    /// The last records of each partition that the dagger reads.
    pub(super) async fn read_inputs(
        &self,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
        at_most: ReadAtMost,
    ) -> Result<Vec<TableInput>, ControlError> {
        let mut inputs = Vec::with_capacity(spec.streams.len());
        for (stream, settings) in spec.streams.iter().zip(&planned.streams) {
            let mut files: Vec<Box<dyn RecordFile>> = Vec::new();
            for topic in &stream.topics {
                for partition in self.log.topic(topic).await?.partitions {
                    let start = (partition.end_offset - at_most.records).max(partition.start_offset);
                    let offsets = start..partition.end_offset;
                    let slabs = self.read_slabs(topic, partition.partition, offsets, at_most.bytes).await?;
                    files.push(Box::new(ReadSlabs { slabs, topic: topic.as_str().into() }));
                }
            }
            let formats = self.wire_formats(&stream.topics).await?;
            let settings = StreamSettings { formats, ..settings.as_ref().clone() };
            inputs.push(TableInput { settings: Arc::new(settings), files });
        }
        Ok(inputs)
    }

    async fn read_slabs(
        &self,
        topic: &str,
        partition: u32,
        offsets: Range<i64>,
        bytes_max: usize,
    ) -> Result<VecDeque<Slab>, ControlError> {
        let mut slabs = VecDeque::new();
        if offsets.is_empty() {
            return Ok(slabs);
        }
        let mut reader = self.log.open(topic, partition, offsets.start).await?;
        let mut bytes = 0;
        while reader.position() < offsets.end && bytes < bytes_max {
            let slab = next_there(reader.as_mut(), POLL_BYTES).await?;
            if slab.is_empty() {
                break;
            }
            bytes += slab.data.len();
            slabs.push_back(slab);
        }
        Ok(slabs)
    }
}

/// Runs a plan over records that were read. `warnings` are those that are known before.
pub(super) async fn run_over(
    planned: &PlannedDagger,
    threads: usize,
    inputs: Vec<TableInput>,
    tags: Option<TagCounter>,
    mut warnings: Vec<String>,
) -> Result<Preview, ControlError> {
    let plan = Arc::clone(&planned.plan);
    tokio::task::spawn_blocking(move || {
        let mut out = LastRows { tags, ..LastRows::default() };
        let warnings_max = warnings.len() + REFUSALS_SHOWN_MAX;
        let mut note_refused = |refused: &[flow::RefusedRecord]| {
            let room = warnings_max.saturating_sub(warnings.len());
            warnings.extend(refused.iter().take(room).map(|record| {
                format!("{}, partition {}, offset {}: {}", record.topic, record.partition, record.offset, record.error)
            }));
            Ok(())
        };
        let options = BoundedOptions { threads, batch_rows: BATCH_ROWS };
        let explain = plan.explain.clone();
        let (ledger, _) = flow::run_bounded(plan, inputs, options, &mut out, &mut note_refused)
            .map_err(|error| ControlError::invalid("preview_failed", error.to_string()))?;
        let tags = out.tags.take().map(|counter| counter.finish(ledger.delivered));
        warnings.extend(tags.as_ref().and_then(|tags| tags.warning.clone()));
        Ok(Preview {
            plan: explain,
            warnings,
            ledger: serde_json::to_value(ledger).unwrap_or_default(),
            tags,
            is_truncated: out.is_truncated,
            lines: out.into_lines(),
        })
    })
    .await?
}

/// Slabs as they were read; their size is what the log made it.
struct ReadSlabs {
    slabs: VecDeque<Slab>,
    topic: Arc<str>,
}

impl RecordFile for ReadSlabs {
    fn next_slab(&mut self, _rows_max: usize) -> Result<Slab, FlowError> {
        Ok(self.slabs.pop_front().unwrap_or_else(|| Slab::empty(Arc::clone(&self.topic), 0, 0, 0)))
    }

    fn topic(&self) -> Option<&str> {
        Some(&self.topic)
    }
}

/// Keeps the last rows, which are those of the newest windows.
#[derive(Default)]
struct LastRows {
    rows: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A row whose end has not come yet.
    begun: Vec<u8>,
    is_truncated: bool,
    /// Sees every row, also those that are not kept.
    tags: Option<TagCounter>,
}

impl LastRows {
    fn into_lines(self) -> Vec<u8> {
        self.rows.into_iter().flatten().collect()
    }

    fn keep(&mut self, row: Vec<u8>) {
        if let Some(tags) = &mut self.tags {
            tags.note(&row);
        }
        self.bytes += row.len();
        self.rows.push_back(row);
        while self.rows.len() > ROWS_SHOWN_MAX || self.bytes > ROWS_BYTES_MAX {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.bytes -= oldest.len();
            self.is_truncated = true;
        }
    }
}

impl Write for LastRows {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let row = std::mem::take(&mut self.begun);
                self.keep(row);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_are_kept_whole() {
        let mut out = LastRows::default();
        let rows: Vec<String> = (0..ROWS_SHOWN_MAX + 7).map(|row| format!("{{\"n\":{row}}}\n")).collect();
        for piece in rows.concat().as_bytes().chunks(1_009) {
            out.write_all(piece).unwrap();
        }
        assert!(out.is_truncated);
        assert_eq!(String::from_utf8(out.into_lines()).unwrap(), rows[7..].concat());
        let mut few = LastRows::default();
        few.write_all(b"1\n2\n").unwrap();
        assert!(!few.is_truncated);
        few.write_all(&vec![b'x'; ROWS_BYTES_MAX]).unwrap();
        few.write_all(b"\n3\n").unwrap();
        assert_eq!((few.is_truncated, few.into_lines()), (true, b"3\n".to_vec()));
    }
}
