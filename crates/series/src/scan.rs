//! Scanning: points of a measurement as batches, in order of time, read as they are pulled.
//!
//! Time bounds choose the chunks and the rows that are read. Conditions on tags are judged by the table of tags: a chunk
//! without a wanted series is not read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::catalog::Measurement;
use crate::chunk::{ChunkHead, Chunks, Wanted, decode, read_chunk};
use crate::column_builder::ColumnBuilder;
use crate::merge::{Merge, Open, Opener, Picked, Piece};
use crate::shape::{Shape, TIME_COLUMN};
use crate::store::Inner;
use crate::tag_condition::{TagCondition, read_tags, tag_value, unknown_column};
use crate::tag_table::TagTable;
use crate::wanted_series::{Judged, WantedSeries};
use crate::{ScanOrder, ScanRequest, SeriesError, TimeRange};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

const BATCH_ROWS_DEFAULT: usize = 8_192;
/// Rows taken at once where there is text, which may be long.
const ROWS_WITH_TEXT_AT_ONCE: usize = 256;
/// A batch is also full when it holds this many bytes of text.
const BATCH_TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where an output column comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Time,
    Tag(u32),
    Field(u32),
}

/// The type of the times of points.
pub(crate) const TIME_TYPE: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// The columns of a measurement in their order: `time`, tags, fields.
pub(crate) fn table_schema(shape: &Shape) -> SchemaRef {
    let mut columns = vec![Field::new(TIME_COLUMN, TIME_TYPE, false)];
    columns.extend(shape.tags.iter().map(|tag| Field::new(tag, DataType::Utf8, true)));
    columns.extend(shape.fields.iter().map(|field| Field::new(&field.name, field.field_type.data_type(), true)));
    Arc::new(Schema::new(columns))
}

fn source_of(shape: &Shape, name: &str) -> Option<Source> {
    if name == TIME_COLUMN {
        return Some(Source::Time);
    }
    shape.tag(name).map(Source::Tag).or_else(|| shape.field(name).map(Source::Field))
}

/// Where in the table of tags the series of a chunk are, in the order of its list; `None` for a series that is not wanted.
/// Empty if tags are not needed.
type ChunkTags = Judged;

/// Which writes to take, by their sequence numbers: after the first, up to the second.
pub(crate) type SequenceSpan = (u64, u64);

/// Reads the chunks of a scan.
struct ScanOpener {
    inner: Arc<Inner>,
    measurement: u32,
    range: TimeRange,
    /// Numbers of the fields that are wanted, ascending.
    fields: Vec<u32>,
    /// Where tags are judged or returned.
    tags: Option<JudgedTags>,
}

/// The tags of all series, and which of them are wanted, each with its position.
struct JudgedTags {
    table: Arc<TagTable>,
    wanted: WantedSeries,
}

impl Opener for ScanOpener {
    type More = ChunkTags;

    fn open(&mut self, head: &ChunkHead) -> Result<Option<Open<ChunkTags>>, SeriesError> {
        let wanted = Wanted { range: self.range, fields: Some(&self.fields), written: false, series: None };
        read_chunk(&self.inner.storage, self.measurement, head.id, |bytes| match &self.tags {
            Some(tags) => tags.wanted.read(bytes, wanted),
            None => Some(Some(Open { points: decode(bytes, wanted)?, wanted: None, more: ChunkTags::new() })),
        })
    }
}

/// Batches of points in order of time; reads as it is pulled, from the state at the time it was made.
pub struct SeriesScan {
    opener: ScanOpener,
    schema: SchemaRef,
    sources: Vec<Source>,
    key_conditions: Vec<TagCondition>,
    order: ScanOrder,
    chunks: Chunks,
    /// Stretches of time still to be read, in the order of reading.
    ranges: VecDeque<TimeRange>,
    merge: Option<Merge<ChunkTags>>,
    sequences: Option<SequenceSpan>,
    remaining: usize,
    batch_rows: usize,
    keys_scanned: u64,
}

impl SeriesScan {
    pub(crate) fn new(
        inner: Arc<Inner>,
        measurement: &Measurement,
        request: &ScanRequest,
        changes: Option<(SequenceSpan, Vec<TimeRange>)>,
    ) -> Result<Self, SeriesError> {
        let shape = measurement.shape();
        let (schema, sources) = project(&shape, request.projection.as_deref())?;
        let (mut conditions, mut key_conditions) = (Vec::new(), Vec::new());
        for filter in &request.tags {
            let condition = TagCondition::resolve(&shape, filter)?;
            let conditions = if Shape::is_key_tag(&filter.tag) { &mut key_conditions } else { &mut conditions };
            conditions.push(condition);
        }
        let (sequences, ranges) = match changes {
            Some((sequences, ranges)) => (Some(sequences), ranges),
            None => (None, vec![TimeRange::ALL]),
        };
        let mut ranges: VecDeque<TimeRange> =
            ranges.into_iter().map(|range| range.and(request.range)).filter(|range| !range.is_empty()).collect();
        if request.order == ScanOrder::Descending {
            ranges.make_contiguous().reverse();
        }
        let mut fields: Vec<u32> = sources
            .iter()
            .filter_map(|source| match source {
                Source::Field(field) => Some(*field),
                _ => None,
            })
            .collect();
        fields.sort_unstable();
        fields.dedup();
        let chunks = measurement.chunks();
        let of_series = |source: &Source| matches!(source, Source::Tag(tag) if !is_key_tag(&shape, *tag));
        let tags = match !conditions.is_empty() || sources.iter().any(of_series) {
            true => {
                let table = inner.tag_table(measurement, &chunks)?;
                let positions = table.wanted(&conditions);
                Some(JudgedTags { wanted: WantedSeries::new(&table, &positions, &positions), table })
            }
            false => None,
        };
        let opener = ScanOpener { inner, measurement: measurement.id, range: TimeRange::ALL, fields, tags };
        Ok(Self {
            opener,
            schema,
            sources,
            key_conditions,
            order: request.order,
            chunks,
            ranges,
            merge: None,
            sequences,
            remaining: request.limit.unwrap_or(usize::MAX),
            batch_rows: if request.batch_rows == 0 { BATCH_ROWS_DEFAULT } else { request.batch_rows },
            keys_scanned: 0,
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Keys read so far, also those that a condition then left out.
    pub fn keys_scanned(&self) -> u64 {
        self.keys_scanned
    }

    /// The chunks with points in a range. Of a scan of changes, those with changes and those that have the same points.
    fn chunks_within(&self, range: TimeRange) -> Vec<Arc<ChunkHead>> {
        let tags = self.opener.tags.as_ref();
        let is_wanted =
            |chunk: &&Arc<ChunkHead>| chunk.is_within(range) && tags.is_none_or(|tags| tags.wanted.may_be_in(chunk));
        let within: Vec<Arc<ChunkHead>> = self.chunks.iter().filter(is_wanted).cloned().collect();
        let Some((after, _)) = self.sequences else { return within };
        let (changed, rest): (Vec<_>, Vec<_>) = within.into_iter().partition(|chunk| chunk.last_sequence > after);
        let same = rest.into_iter().filter(|chunk| changed.iter().any(|other| chunk.overlaps(other)));
        let same: Vec<Arc<ChunkHead>> = same.collect();
        changed.into_iter().chain(same).collect()
    }

    /// The next points, at most `rows_max`; none at the end.
    fn next_points(&mut self, rows_max: usize) -> Result<Option<Picked<ChunkTags>>, SeriesError> {
        loop {
            if self.merge.is_none() {
                let Some(range) = self.ranges.pop_front() else { return Ok(None) };
                self.opener.range = range;
                self.merge = Some(Merge::new(self.chunks_within(range), self.order));
            }
            let Some(merge) = &mut self.merge else { return Ok(None) };
            let picked = merge.next(&mut self.opener, rows_max)?;
            let scanned = picked.rows as u64 + picked.passed_over;
            self.keys_scanned += scanned;
            self.opener.inner.keys_scanned.fetch_add(scanned, Ordering::Relaxed);
            if picked.rows > 0 {
                return Ok(Some(picked));
            }
            self.merge = None;
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SeriesError> {
        let rows_max = self.batch_rows.min(self.remaining);
        let mut builders: Vec<ColumnBuilder> = self
            .schema
            .fields()
            .iter()
            .map(|field| ColumnBuilder::new(field.data_type(), rows_max.min(BATCH_ROWS_DEFAULT)))
            .collect();
        let text = self.schema.fields().iter().any(|field| field.data_type() == &DataType::Utf8);
        let at_once_max = if text { ROWS_WITH_TEXT_AT_ONCE } else { BATCH_ROWS_DEFAULT };
        let (mut rows, mut text_bytes, mut at_once) = (0, 0, rows_max.min(at_once_max));
        while rows < rows_max && text_bytes < BATCH_TEXT_BYTES_MAX {
            let Some(mut picked) = self.next_points(at_once)? else { break };
            self.leave_out(&mut picked);
            if picked.rows == 0 {
                // So that leaving many out does not take a step for each.
                at_once = (at_once * 2).min(at_once_max);
                continue;
            }
            text_bytes = self.append(&picked, &mut builders)?;
            rows += picked.rows;
            at_once = at_once_max.min(rows_max - rows);
        }
        self.remaining -= rows;
        if rows == 0 {
            return Ok(None);
        }
        let arrays = builders.into_iter().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?))
    }

    /// Leaves out points that were not written in the span asked for, or whose own tags are not wanted.
    fn leave_out(&self, picked: &mut Picked<ChunkTags>) {
        if self.sequences.is_none() && self.key_conditions.is_empty() {
            return;
        }
        let pieces = std::mem::take(&mut picked.pieces);
        picked.rows = 0;
        for mut piece in pieces {
            let points = &picked.sources[piece.source].points;
            let wanted = |row: usize| {
                let sequence = points.sequences[row];
                self.sequences.is_none_or(|(after, until)| sequence > after && sequence <= until)
                    && (self.key_conditions.is_empty() || {
                        let tags = read_tags(points.key_tags_of(row));
                        self.key_conditions.iter().all(|condition| condition.holds(&tags))
                    })
            };
            for row in piece.rows(self.order) {
                if wanted(row) {
                    let older = std::mem::take(&mut piece.older);
                    picked.pieces.push(Piece { source: piece.source, first: row, length: 1, older });
                    picked.rows += 1;
                }
            }
        }
    }

    /// Appends the columns of points; returns the bytes of text in the batch.
    fn append(&self, picked: &Picked<ChunkTags>, builders: &mut [ColumnBuilder]) -> Result<usize, SeriesError> {
        let mut text_bytes = 0;
        for (source, builder) in self.sources.iter().zip(builders) {
            match source {
                Source::Time => builder.append_times(picked, self.order),
                Source::Tag(tag) => {
                    let table = self.opener.tags.as_ref().map(|tags| &tags.table);
                    for piece in &picked.pieces {
                        let open = &picked.sources[piece.source];
                        for row in piece.rows(self.order) {
                            let position = open.more.get(open.points.series[row] as usize).copied().flatten();
                            let value = table.zip(position).and_then(|(table, position)| table.value(position, *tag));
                            if value.is_some() || open.points.key_tags.is_none() {
                                builder.append_tag(value);
                            } else {
                                let tags = read_tags(open.points.key_tags_of(row));
                                builder.append_tag(tag_value(&tags, *tag));
                            }
                        }
                    }
                    text_bytes += builder.text_bytes();
                }
                Source::Field(field) => {
                    builder.append_field(picked, *field, self.order).ok_or_else(|| SeriesError::Corrupt {
                        what: "a chunk of points",
                        reason: "a field is of another type than the measurement's".into(),
                    })?;
                    text_bytes += builder.text_bytes();
                }
            }
        }
        Ok(text_bytes)
    }
}

impl Iterator for SeriesScan {
    type Item = Result<RecordBatch, SeriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose();
        if matches!(batch, Some(Err(_))) {
            // Nothing is returned after an error: rows could be missing in between.
            self.merge = None;
            self.ranges.clear();
        }
        batch
    }
}

fn is_key_tag(shape: &Shape, tag: u32) -> bool {
    shape.tags.get(tag as usize).is_some_and(|name| Shape::is_key_tag(name))
}

fn project(shape: &Shape, names: Option<&[String]>) -> Result<(SchemaRef, Vec<Source>), SeriesError> {
    let schema = table_schema(shape);
    let all: Vec<String>;
    let names = match names {
        Some(names) => names,
        None => {
            all = schema.fields().iter().map(|field| field.name().clone()).collect();
            &all
        }
    };
    let mut sources = Vec::with_capacity(names.len());
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let source = source_of(shape, name).ok_or_else(|| unknown_column(shape, name))?;
        sources.push(source);
        fields.push(schema.field_with_name(name)?.clone());
    }
    Ok((Arc::new(Schema::new(fields)), sources))
}
