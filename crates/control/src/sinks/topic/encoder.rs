//! Rows to records of one topic: value and key as the topic's encoding has them, headers, and a timestamp.

use super::config::refused;
use crate::dagger_spec::HeaderValue;
use crate::error::{ControlError, nearest};
use crate::records::{PartFormat, RecordFormat};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, TimestampMillisecondType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use codec::{EncodeError, EncodeProgram, Encoded, FrameWriter};
use flow::OutputBatch;
use log::NewRecord;
use sql::DaggerPlan;
use std::io::Write;

const KEY_SEPARATOR: &[u8] = b"|";

/// Which columns go where beside the value.
#[derive(Debug, Clone, Copy)]
pub struct RecordColumns<'a> {
    /// The columns that make the key; none means no key.
    pub key: &'a [String],
    pub headers: &'a [(String, HeaderValue)],
}

#[derive(Debug, Clone)]
pub struct RecordEncoder {
    value: MessageEncoder,
    key: KeyEncoder,
    headers: Vec<(String, HeaderSource)>,
    /// Headers that every record has, such as that of its schema.
    frame_headers: Vec<(String, Bytes)>,
    window_end_column: Option<usize>,
}

/// A message made of some columns, in its frame.
#[derive(Debug, Clone)]
struct MessageEncoder {
    columns: Vec<usize>,
    program: EncodeProgram,
    frames: FrameWriter,
}

#[derive(Debug, Clone)]
enum KeyEncoder {
    None,
    /// The texts of these columns, joined.
    Columns(Vec<usize>),
    Message(MessageEncoder),
}

#[derive(Debug, Clone)]
enum HeaderSource {
    Constant(Bytes),
    Column(usize),
}

/// The records of a batch, in the order of its rows.
#[derive(Debug, Default)]
pub struct EncodedRecords {
    pub records: Vec<NewRecord>,
    /// Rows that have no record.
    pub refused: u64,
    /// What is wrong with one of them.
    pub example: Option<String>,
}

/// The batch as a whole cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeRowsError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the rows have no text: {0}")]
    Text(#[from] ArrowError),
}

impl RecordEncoder {
    /// Checks that every column has its place and fits it.
    pub fn new(format: &RecordFormat, plan: &DaggerPlan, columns: RecordColumns<'_>) -> Result<Self, ControlError> {
        let schema = plan.schema.as_ref();
        let value =
            format.value.as_ref().ok_or_else(|| ControlError::internal("a sink's topic has no message type"))?;
        let key_columns = indexes(schema, columns.key, "key")?;
        let mut headers = Vec::with_capacity(columns.headers.len());
        for (name, header) in columns.headers {
            let source = match header {
                HeaderValue::Constant(text) => HeaderSource::Constant(Bytes::copy_from_slice(text.as_bytes())),
                HeaderValue::Column(column) => HeaderSource::Column(index(schema, column, "header")?),
            };
            headers.push((name.clone(), source));
        }
        // What is in the key or in a header need not be in the value, too.
        let elsewhere = |index: usize| {
            key_columns.contains(&index)
                || headers.iter().any(|(_, source)| matches!(source, HeaderSource::Column(column) if *column == index))
        };
        let has_field = |name: &str| {
            let first = name.split('.').next().unwrap_or_default();
            value.message.get_field_by_name(first).is_some()
        };
        let in_value = schema.fields().iter().enumerate();
        let in_value = in_value.filter(|(index, field)| has_field(field.name()) || !elsewhere(*index));
        let value = MessageEncoder::new(value, schema, in_value.map(|(index, _)| index).collect())?;
        let key = match (&format.key, key_columns) {
            (_, columns) if columns.is_empty() => KeyEncoder::None,
            (None, columns) => KeyEncoder::Columns(columns),
            (Some(format), columns) => {
                KeyEncoder::Message(MessageEncoder::new(format, schema, columns).map_err(in_key)?)
            }
        };
        let of_key = match &key {
            KeyEncoder::Message(key) => key.frames.header(),
            _ => None,
        };
        let frame_headers = [value.frames.header(), of_key].into_iter().flatten();
        let frame_headers = frame_headers.map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { value, key, headers, frame_headers, window_end_column: plan.window_end_column })
    }

    pub fn encode(&self, rows: &OutputBatch) -> Result<EncodedRecords, EncodeRowsError> {
        let batch = &rows.batch;
        let values = self.value.encode(batch)?;
        let keys = self.key.encode(batch)?;
        let mut faults: Vec<(u32, String)> =
            values.errors.iter().map(|error| (error.index, error.to_string())).collect();
        faults.extend(keys.errors.iter().map(|error| (error.index, format!("the key: {error}"))));
        faults.sort_by_key(|(row, _)| *row);
        faults.dedup_by_key(|(row, _)| *row);
        let headers = HeaderColumns::of(self, batch)?;
        let timestamps = self.timestamps(rows);
        let (mut values, mut keys) = (Parts::of(&values), Parts::of(&keys));
        let mut refused = faults.iter().map(|(row, _)| *row as usize).peekable();
        let mut records = Vec::with_capacity(batch.num_rows() - faults.len());
        for row in 0..batch.num_rows() {
            let (value, key) = (values.next(row), keys.next(row));
            if refused.next_if_eq(&row).is_some() {
                continue;
            }
            let timestamp_ms = timestamps.of(row).filter(|ms| *ms >= 0);
            records.push(NewRecord { partition: None, key, value, headers: headers.row(row)?, timestamp_ms });
        }
        let example = faults.first().map(|(_, fault)| fault.clone());
        Ok(EncodedRecords { records, refused: faults.len() as u64, example })
    }

    /// The event time of a row: its record's, or that of its window, which is a millisecond before the window's end.
    fn timestamps<'a>(&self, rows: &'a OutputBatch) -> Timestamps<'a> {
        if let Some(origin) = &rows.origin {
            return Timestamps::Rows(&origin.times_ms);
        }
        if let Some(end) = rows.window_end_ms {
            return Timestamps::All(end - 1);
        }
        match self.window_end_column {
            Some(column) => Timestamps::Ends(rows.batch.column(column)),
            None => Timestamps::None,
        }
    }
}

enum Timestamps<'a> {
    /// The time of the append.
    None,
    All(i64),
    Rows(&'a [i64]),
    Ends(&'a ArrayRef),
}

impl Timestamps<'_> {
    fn of(&self, row: usize) -> Option<i64> {
        match self {
            Timestamps::None => None,
            Timestamps::All(ms) => Some(*ms),
            Timestamps::Rows(times) => times.get(row).copied(),
            Timestamps::Ends(ends) => {
                let ends = ends.as_primitive_opt::<TimestampMillisecondType>()?;
                ends.is_valid(row).then(|| ends.value(row) - 1)
            }
        }
    }
}

impl MessageEncoder {
    fn new(format: &PartFormat, schema: &Schema, columns: Vec<usize>) -> Result<Self, ControlError> {
        let schema = schema.project(&columns).map_err(|error| ControlError::internal(error.to_string()))?;
        let program = EncodeProgram::compile(&format.message, &schema).map_err(refused)?;
        Ok(Self { columns, program, frames: format.writer()?.clone() })
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Encoded, EncodeRowsError> {
        match self.columns.len() == batch.num_columns() {
            true => Ok(self.frames.encode(&self.program, batch)?),
            false => Ok(self.frames.encode(&self.program, &batch.project(&self.columns)?)?),
        }
    }
}

impl KeyEncoder {
    fn encode(&self, batch: &RecordBatch) -> Result<Encoded, EncodeRowsError> {
        let columns = match self {
            KeyEncoder::None => return Ok(Encoded { data: Bytes::new(), spans: Vec::new(), errors: Vec::new() }),
            KeyEncoder::Message(message) => return message.encode(batch),
            KeyEncoder::Columns(columns) => columns,
        };
        let options = FormatOptions::default();
        let texts = columns.iter().map(|column| Text::of(batch.column(*column), &options));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let (mut data, mut spans) = (Vec::new(), Vec::with_capacity(batch.num_rows()));
        for row in 0..batch.num_rows() {
            let start = data.len();
            for (index, text) in texts.iter().enumerate() {
                data.extend_from_slice(if index == 0 { b"" } else { KEY_SEPARATOR });
                text.append(row, &mut data)?;
            }
            spans.push((start as u32, (data.len() - start) as u32));
        }
        Ok(Encoded { data: Bytes::from(data), spans, errors: Vec::new() })
    }
}

/// The encoded parts of the rows in turn.
struct Parts<'a> {
    encoded: &'a Encoded,
    spans: usize,
    errors: usize,
}

impl<'a> Parts<'a> {
    fn of(encoded: &'a Encoded) -> Self {
        Self { encoded, spans: 0, errors: 0 }
    }

    /// Rows have to be asked for one after the other.
    fn next(&mut self, row: usize) -> Option<Bytes> {
        if self.encoded.errors.get(self.errors).is_some_and(|error| error.index as usize == row) {
            self.errors += 1;
            return None;
        }
        let (start, length) = *self.encoded.spans.get(self.spans)?;
        self.spans += 1;
        Some(self.encoded.data.slice(start as usize..start as usize + length as usize))
    }
}

/// A column as text; bytes are as they are.
enum Text<'a> {
    Bytes(&'a ArrayRef),
    Formatted(ArrayFormatter<'a>),
}

impl<'a> Text<'a> {
    fn of(column: &'a ArrayRef, options: &'a FormatOptions<'a>) -> Result<Self, ArrowError> {
        match column.data_type() {
            DataType::Binary => Ok(Text::Bytes(column)),
            _ => Ok(Text::Formatted(ArrayFormatter::try_new(column.as_ref(), options)?)),
        }
    }

    fn append(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self {
            Text::Bytes(column) if column.is_null(row) => Ok(()),
            Text::Bytes(column) => {
                out.extend_from_slice(column.as_binary::<i32>().value(row));
                Ok(())
            }
            Text::Formatted(column) => Ok(write!(out, "{}", column.value(row))?),
        }
    }
}

/// The headers of a batch's rows; a column that is NULL makes none.
struct HeaderColumns<'a> {
    encoder: &'a RecordEncoder,
    columns: Vec<Option<(&'a ArrayRef, Text<'a>)>>,
}

impl<'a> HeaderColumns<'a> {
    fn of(encoder: &'a RecordEncoder, batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        static OPTIONS: FormatOptions<'static> = FormatOptions::new();
        let columns = encoder.headers.iter().map(|(_, source)| match source {
            HeaderSource::Constant(_) => Ok(None),
            HeaderSource::Column(index) => {
                let column = batch.column(*index);
                Ok(Some((column, Text::of(column, &OPTIONS)?)))
            }
        });
        Ok(Self { encoder, columns: columns.collect::<Result<_, ArrowError>>()? })
    }

    fn row(&self, row: usize) -> Result<Vec<(String, Bytes)>, ArrowError> {
        let mut headers = self.encoder.frame_headers.clone();
        for ((name, source), column) in self.encoder.headers.iter().zip(&self.columns) {
            match (source, column) {
                (HeaderSource::Constant(value), _) => headers.push((name.clone(), value.clone())),
                (HeaderSource::Column(_), Some((column, text))) if column.is_valid(row) => {
                    let mut value = Vec::new();
                    text.append(row, &mut value)?;
                    headers.push((name.clone(), Bytes::from(value)));
                }
                _ => {}
            }
        }
        Ok(headers)
    }
}

fn indexes(schema: &Schema, columns: &[String], what: &str) -> Result<Vec<usize>, ControlError> {
    columns.iter().map(|column| index(schema, column, what)).collect()
}

fn index(schema: &Schema, column: &str, what: &str) -> Result<usize, ControlError> {
    schema.index_of(column).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = match nearest(column, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are: {}", names.join(", ")),
        };
        ControlError::invalid(
            "topic_sink_refused",
            format!("the sink `topic` has the {what} `{column}`, which is no column of the query"),
        )
        .with_hint(hint)
    })
}

fn in_key(error: ControlError) -> ControlError {
    ControlError { detail: format!("{} (in the key, which the topic's `keySchema` describes)", error.detail), ..error }
}

#[cfg(test)]
mod tests;
