//! What happens to a slab on its way to the sink: frames off, decode, filter and shape, encode. It reads no log and calls no
//! sink, so previews, replays and tests use it as it is.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use codec::{
    CompileError, DecodeErrorKind, DecodeOptions, DecodeProgram, Decoder, FrameReader, Limits, Payloads, Projection,
    RecordError, RecordPart, WireFormat,
};
use delivery::{DeadLetterKind, EncodedBatch, Position};
use log::Slab;
use prost_reflect::MessageDescriptor;
use sinks::{Encoded, RowEncoder, RowOrigin};

use crate::MetadataColumn;

/// Filters, checks and columns of a firehose.
pub trait RowShape: Send + Sync + 'static {
    /// Top-level columns of [`Pipeline::input_schema`] that it reads.
    fn fields_used(&self) -> Vec<String>;

    /// What comes out.
    fn schema(&self) -> SchemaRef;

    /// The batch has the columns in use, perhaps no others. Errors are about whole batches.
    fn apply(&self, batch: &RecordBatch) -> Result<ShapedRows, ArrowError>;
}

/// Each row of a batch is in exactly one of the three: kept, filtered, failed.
#[derive(Debug)]
pub struct ShapedRows {
    pub rows: RecordBatch,
    /// The row of the batch that each row stands for.
    pub input_rows: Vec<usize>,
    pub filtered: Vec<usize>,
    pub failed: Vec<(usize, String)>,
}

/// A record that cannot be written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// In the slab.
    pub record: usize,
    pub kind: DeadLetterKind,
    pub reason: String,
    /// Where in the record's value, if that is known.
    pub byte_offset: Option<u32>,
}

/// The records of a slab as rows.
#[derive(Debug)]
pub struct DecodedRecords {
    pub batch: RecordBatch,
    /// The record of the slab that each row is; `None` when every record is a row, in order.
    pub records: Option<Vec<u32>>,
    /// Records without a value, which are no rows.
    pub tombstones: u64,
    pub failed: Vec<FailedRecord>,
}

impl DecodedRecords {
    /// The slab's record of a row.
    pub fn record_of(&self, row: usize) -> usize {
        self.records.as_ref().map_or(row, |records| records[row] as usize)
    }
}

/// The records of a slab in the form of the sink. Each record of the slab is in exactly one of the three: among `numbers`,
/// `filtered`, or `failed`.
#[derive(Debug)]
pub struct EncodedRecords {
    /// Without positions: see [`Self::at_their_positions`].
    pub records: EncodedBatch,
    /// The slab's record of each encoded one. One record can be encoded as several.
    pub numbers: Vec<u32>,
    /// Tombstones, too.
    pub filtered: u64,
    pub failed: Vec<FailedRecord>,
}

impl EncodedRecords {
    /// For sinks that keep positions with the records. What is replayed by hand goes without.
    pub fn at_their_positions(&self, slab: &Slab) -> EncodedBatch {
        let partition = slab.partition;
        let at = |number: &u32| Position { partition, offset: slab.offset(*number as usize) };
        self.records.clone().at(self.numbers.iter().map(at).collect())
    }
}

/// How records become those of a sink. Clones share it.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

struct Inner {
    program: DecodeProgram,
    frames: Option<FrameReader>,
    metadata: Vec<MetadataColumn>,
    /// Of what is decoded: fields, then metadata.
    schema: SchemaRef,
    shape: Option<Arc<dyn RowShape>>,
    encoder: Arc<dyn RowEncoder>,
}

impl Pipeline {
    /// What a shape can read: every field of the message, and the columns of the records' places.
    pub fn input_schema(message: &MessageDescriptor) -> SchemaRef {
        let fields = codec::arrow_schema(message, &Limits::default());
        let all = fields.fields().iter().cloned().chain(MetadataColumn::ALL.map(MetadataColumn::field));
        Arc::new(Schema::new(all.collect::<Vec<FieldRef>>()))
    }

    /// Decodes only what is used. Without a shape, the rows are all fields of the message.
    pub fn compile(
        message: &MessageDescriptor,
        format: &WireFormat,
        shape: Option<Arc<dyn RowShape>>,
        encoder: Arc<dyn RowEncoder>,
    ) -> Result<Self, CompileError> {
        let used = shape.as_ref().map(|shape| shape.fields_used());
        let metadata: Vec<MetadataColumn> =
            used.iter().flatten().filter_map(|name| MetadataColumn::named(name)).collect();
        let projection = match &used {
            None => Projection::all(),
            Some(used) => Projection::paths(used.iter().filter(|name| MetadataColumn::named(name).is_none())),
        };
        let program = DecodeProgram::compile(message, &projection, &DecodeOptions::default())?;
        let fields = program.schema().fields().iter().cloned();
        let fields: Vec<FieldRef> = fields.chain(metadata.iter().map(|column| column.field())).collect();
        let schema = Arc::new(Schema::new(fields));
        let frames = FrameReader::new(format, message, RecordPart::Value);
        Ok(Self { inner: Arc::new(Inner { program, frames, metadata, schema, shape, encoder }) })
    }

    /// What works through slabs, one after the other.
    pub fn worker(&self) -> PipelineWorker {
        PipelineWorker { decoder: self.inner.program.decoder(), inner: Arc::clone(&self.inner), names: Vec::new() }
    }
}

pub struct PipelineWorker {
    inner: Arc<Inner>,
    decoder: Decoder,
    /// A row is a record, so rows need no names of their own: as many `None` as the longest batch had rows.
    names: Vec<Option<String>>,
}

impl PipelineWorker {
    /// All steps. Errors are about the whole slab: a step does not fit the next one.
    pub fn run(&mut self, slab: &Slab) -> Result<EncodedRecords, ArrowError> {
        let mut decoded = self.decode(slab);
        let mut failed = std::mem::take(&mut decoded.failed);
        let mut filtered = decoded.tombstones;
        let (rows, numbers) = match self.shape(&decoded)? {
            None => {
                let numbers = (0..decoded.batch.num_rows()).map(|row| decoded.record_of(row) as u32).collect();
                (decoded.batch, numbers)
            }
            Some(shaped) => {
                filtered += shaped.filtered.len() as u64;
                failed.extend(shaped.failed.into_iter().map(|(row, reason)| FailedRecord {
                    record: decoded.record_of(row),
                    kind: DeadLetterKind::ExpressionFailed,
                    reason,
                    byte_offset: None,
                }));
                let numbers: Vec<u32> = shaped.input_rows.iter().map(|row| decoded.record_of(*row) as u32).collect();
                (shaped.rows, numbers)
            }
        };
        let mut encoded = self.encode(&rows, &numbers, slab)?;
        encoded.filtered += filtered;
        failed.append(&mut encoded.failed);
        Ok(EncodedRecords { failed, ..encoded })
    }

    pub fn decode(&mut self, slab: &Slab) -> DecodedRecords {
        let payloads = self.inner.frames.as_ref().map(|frames| payloads(frames, slab));
        let (data, spans) = match &payloads {
            None => (&slab.data, &slab.records.values),
            Some(payloads) => (&payloads.data, &payloads.spans),
        };
        let decoded = self.decoder.decode(data, spans);
        let faults = payloads.as_ref().map_or(&[][..], |payloads| &payloads.faults);
        let mut failed: Vec<FailedRecord> = Vec::with_capacity(faults.len() + decoded.errors.len());
        failed.extend(faults.iter().map(|fault| FailedRecord {
            record: fault.index as usize,
            kind: DeadLetterKind::Undecodable,
            reason: fault.to_string(),
            byte_offset: fault.offset,
        }));
        failed.extend(decoded.errors.iter().map(|error| undecodable(slab, error, payloads.as_ref())));
        let tombstones = (slab.len() - decoded.batch.num_rows() - failed.len()) as u64;
        let batch = self.with_metadata(decoded.batch, slab, decoded.rows.as_deref());
        DecodedRecords { batch, records: decoded.rows, tombstones, failed }
    }

    /// `None` when there is nothing to filter or to shape.
    pub fn shape(&self, decoded: &DecodedRecords) -> Result<Option<ShapedRows>, ArrowError> {
        self.inner.shape.as_ref().map(|shape| shape.apply(&decoded.batch)).transpose()
    }

    /// `numbers` says which record of the slab each row is.
    pub fn encode(&mut self, rows: &RecordBatch, numbers: &[u32], slab: &Slab) -> Result<EncodedRecords, ArrowError> {
        let offsets: Vec<i64> = numbers.iter().map(|number| slab.offset(*number as usize)).collect();
        if self.names.len() < numbers.len() {
            self.names.resize(numbers.len(), None);
        }
        let origin = RowOrigin {
            topic: &slab.topic,
            partition: slab.partition,
            offsets: &offsets,
            row_names: &self.names[..numbers.len()],
        };
        let Encoded { records, rows: encoded_rows, refused } = self.inner.encoder.encode(rows, Some(origin))?;
        let number_of = |row: usize| {
            let message = || ArrowError::InvalidArgumentError(format!("row {row} of {} was encoded", numbers.len()));
            numbers.get(row).copied().ok_or_else(message)
        };
        if encoded_rows.len() != records.len() {
            let message = format!("{} records have {} rows", records.len(), encoded_rows.len());
            return Err(ArrowError::InvalidArgumentError(message));
        }
        let is_plain = encoded_rows.len() == numbers.len() && encoded_rows.iter().copied().eq(0..numbers.len());
        let without = match is_plain {
            true => 0,
            false => numbers.len().saturating_sub(distinct(&encoded_rows) + refused.len()),
        };
        let encoded_numbers = match is_plain {
            true => numbers.to_vec(),
            false => encoded_rows.into_iter().map(number_of).collect::<Result<_, _>>()?,
        };
        let failed = refused.into_iter().map(|(row, reason)| {
            let record = number_of(row)? as usize;
            Ok(FailedRecord { record, kind: DeadLetterKind::Undeliverable, reason, byte_offset: None })
        });
        let failed = failed.collect::<Result<_, ArrowError>>()?;
        Ok(EncodedRecords { records, numbers: encoded_numbers, filtered: without as u64, failed })
    }

    fn with_metadata(&self, batch: RecordBatch, slab: &Slab, records: Option<&[u32]>) -> RecordBatch {
        if self.inner.metadata.is_empty() {
            return batch;
        }
        let rows = batch.num_rows();
        let number = |row: usize| records.map_or(row, |records| records[row] as usize);
        let added = self.inner.metadata.iter().map(|column| column.array(slab, (0..rows).map(number)));
        let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain(added).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // The decoder's enum columns may have other dictionaries from batch to batch, never other types.
        RecordBatch::try_new_with_options(Arc::clone(&self.inner.schema), columns, &options).unwrap_or(batch)
    }
}

fn payloads(frames: &FrameReader, slab: &Slab) -> Payloads {
    match frames.header() {
        Some(name) => frames.read(&slab.data, &slab.records.values, |record| slab.header(record, name)),
        None => frames.read(&slab.data, &slab.records.values, |_| None),
    }
}

fn undecodable(slab: &Slab, error: &RecordError, payloads: Option<&Payloads>) -> FailedRecord {
    let (record, mut error) = (error.index as usize, error.error.clone());
    let kind = match error.kind {
        DecodeErrorKind::Utf8 | DecodeErrorKind::TimestampRange => DeadLetterKind::ValueError,
        _ => DeadLetterKind::Undecodable,
    };
    let byte_offset = match payloads {
        None => Some(error.offset),
        Some(payloads) => payloads.offset_in_record(record, slab.records.values[record], error.offset),
    };
    error.offset = byte_offset.unwrap_or(error.offset);
    let mut reason = match byte_offset {
        Some(_) => error.to_string(),
        None => error.without_place(),
    };
    if payloads.is_none() && slab.value(record).is_some_and(codec::looks_framed) {
        reason.push_str(": it looks like Confluent's frame. Set the topic's encoding to `confluent` if it is one");
    }
    FailedRecord { record, kind, reason, byte_offset }
}

fn distinct(rows: &[usize]) -> usize {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows.dedup();
    rows.len()
}

/// One record as it would be read from a topic, for what is sent or replayed by hand.
pub fn slab_of_record(
    topic: &str,
    (partition, offset): (u32, i64),
    timestamp_ms: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(String, Vec<u8>)],
) -> Slab {
    let mut data = Vec::new();
    let mut put = |bytes: Option<&[u8]>| match bytes {
        None => (0, log::NULL_SPAN),
        Some(bytes) => {
            let start = data.len() as u32;
            data.extend_from_slice(bytes);
            (start, bytes.len() as u32)
        }
    };
    let mut encoded = Vec::new();
    log::encode_headers(&mut encoded, headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
    let records = log::RecordIndex {
        offsets: vec![offset],
        timestamps_ms: vec![timestamp_ms],
        append_times_ms: vec![timestamp_ms],
        keys: vec![put(key)],
        values: vec![put(value)],
        headers: vec![put(Some(&encoded))],
    };
    let (next_offset, end_offset) = (offset.saturating_add(1), offset.saturating_add(1));
    Slab { topic: topic.into(), partition, data: Bytes::from(data), records, next_offset, end_offset }
}
