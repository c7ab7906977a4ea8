//! Rows to records: value and key as the topic's encoding has them, headers by templates, and a timestamp.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use codec::{EncodeProgram, FrameWriter, RecordPart, WireFormat};
use delivery::EncodedBatchBuilder;
use prost::Message;
use shape::{BoundTemplate, METADATA_COLUMNS, Template};

use super::record::{WaitingHeader, WaitingRecord};
use crate::columns::{known_columns, only_field};
use crate::templates::{template, templates};
use crate::{
    Encoded, LookupError, MessageFormat, RowEncoder, RowOrigin, Services, SettingError, Settings, SinkInput,
    TopicFormat,
};

const HEADERS_MAX: usize = 100;
const TIMESTAMP_COLUMN: &str = "_timestamp";

pub(super) struct TopicEncoder {
    value: Part,
    key: Part,
    headers: Vec<(String, Template)>,
    /// Headers that every record has, such as that of its schema.
    frame_headers: Vec<WaitingHeader>,
    timestamp: Option<usize>,
}

enum Part {
    None,
    /// Bytes, or a text, as they are.
    Column(usize),
    Template(Template),
    Message(MessagePart),
}

/// Some columns as a message in its frame.
struct MessagePart {
    columns: Vec<usize>,
    program: EncodeProgram,
    frames: FrameWriter,
}

impl TopicEncoder {
    pub fn new(
        settings: &Settings,
        input: &SinkInput<'_>,
        format: TopicFormat,
        services: &dyn Services,
    ) -> Result<Self, SettingError> {
        let schema = input.schema;
        let value = match settings.text("valueColumn") {
            Some(_) if settings.text("schema").is_some() => {
                let detail = "a value that is copied from a column is not encoded, so that `schema` says nothing";
                return Err(SettingError::at("schema", detail, "leave out `schema` or `valueColumn`"));
            }
            Some(column) => Part::Column(bytes_column("valueColumn", column, schema)?),
            None => Part::Message(value_part(settings, schema, format.value, services)?),
        };
        let key = key_part(settings, schema, format.key)?;
        let headers = templates(settings, "headers", schema)?;
        if headers.len() > HEADERS_MAX {
            let detail = format!("{} headers are more than the {HEADERS_MAX} that a record may have", headers.len());
            return Err(SettingError::at("headers", detail, "leave some out"));
        }
        let timestamp = match settings.text("timestampColumn") {
            Some(column) => Some(time_column(column, schema)?),
            None => input.time_column.or_else(|| schema.index_of(TIMESTAMP_COLUMN).ok()),
        };
        let frame_headers = [&value, &key].into_iter().filter_map(Part::frame_header).collect();
        Ok(Self { value, key, headers, frame_headers, timestamp })
    }
}

fn value_part(
    settings: &Settings,
    schema: &SchemaRef,
    of_topic: Option<MessageFormat>,
    services: &dyn Services,
) -> Result<MessagePart, SettingError> {
    let format = match (settings.text("schema"), of_topic) {
        (None, Some(format)) => format,
        (None, None) => {
            let detail = "the topic has no message type, and `schema` names none";
            return Err(SettingError::at("schema", detail, "name a message type, or a `valueColumn` to copy"));
        }
        (Some(name), of_topic) => {
            let not_there = |LookupError { detail, hint }| SettingError::at("schema", detail, hint);
            let message = services.message(name).map_err(not_there)?;
            match of_topic {
                Some(format) if format.message.full_name() == message.full_name() => format,
                Some(format) => {
                    let of_topic = format.message.full_name();
                    let detail = format!("the records of the topic are {of_topic}, not {name}");
                    return Err(SettingError::at("schema", detail, "leave it out, or write to another topic"));
                }
                None => {
                    let frames = FrameWriter::new(&WireFormat::Protobuf, &message, RecordPart::Value);
                    let frames = frames
                        .map_err(|error| SettingError::at("schema", error.to_string(), "name another message type"))?;
                    MessageFormat { message, frames }
                }
            }
        }
    };
    // What is known of the record read, such as its key, need not be in the value.
    let in_value = schema.fields().iter().enumerate().filter(|(_, field)| {
        let name = field.name().as_str();
        !METADATA_COLUMNS.contains(&name) || format.message.get_field_by_name(name).is_some()
    });
    let columns = in_value.map(|(index, _)| index).collect();
    MessagePart::new("schema", format, schema, columns)
}

fn key_part(settings: &Settings, schema: &SchemaRef, of_topic: Option<MessageFormat>) -> Result<Part, SettingError> {
    match (settings.text("key"), settings.list("keyColumns").as_slice(), of_topic) {
        (None, [], _) => Ok(Part::None),
        (Some(_), _, Some(format)) => {
            let detail = format!("the keys of the topic are messages ({}), not texts", format.message.full_name());
            Err(SettingError::at("key", detail, "name the columns that make the message in `keyColumns`"))
        }
        (Some(text), [], None) => Ok(match only_field(text, schema).filter(|column| is_binary(schema, *column)) {
            Some(column) => Part::Column(column),
            None => template(settings, "key", schema)?.map_or(Part::None, Part::Template),
        }),
        (_, names, Some(format)) => {
            let columns = names.iter().map(|name| column("keyColumns", name, schema));
            let columns = columns.collect::<Result<_, _>>()?;
            Ok(Part::Message(MessagePart::new("keyColumns", format, schema, columns)?))
        }
        (_, _, None) => {
            let detail = "the keys of the topic are no messages";
            Err(SettingError::at("keyColumns", detail, "write a template instead: `key: \"{{ order_id }}\"`"))
        }
    }
}

impl Part {
    fn frame_header(&self) -> Option<WaitingHeader> {
        let Self::Message(part) = self else { return None };
        part.frames.header().map(|(name, value)| WaitingHeader { name: name.to_owned(), value })
    }

    fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundPart<'a>, ArrowError> {
        Ok(match self {
            Self::None => BoundPart::None,
            Self::Column(column) => BoundPart::Bytes(bytes(batch.column(*column))?),
            Self::Template(template) => BoundPart::Template(template.bind(batch)?),
            Self::Message(part) => BoundPart::Messages(part.encode(batch)?),
        })
    }
}

impl MessagePart {
    fn new(key: &str, format: MessageFormat, schema: &Schema, columns: Vec<usize>) -> Result<Self, SettingError> {
        let error = |detail: String| SettingError::at(key, detail, "choose columns that the message type has");
        let projected = schema.project(&columns).map_err(|why| error(why.to_string()))?;
        let program = EncodeProgram::compile(&format.message, &projected).map_err(|why| error(why.to_string()))?;
        Ok(Self { columns, program, frames: format.frames })
    }

    /// The message of each row, or why it has none.
    fn encode(&self, batch: &RecordBatch) -> Result<Vec<Result<Bytes, String>>, ArrowError> {
        let projected = batch.project(&self.columns)?;
        let encoded = self.frames.encode(&self.program, &projected);
        let encoded = encoded.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let mut spans = encoded.spans.iter();
        let mut errors = encoded.errors.iter().peekable();
        let message = |row: usize| match errors.next_if(|error| error.index as usize == row) {
            Some(error) => Err(error.to_string()),
            None => match spans.next() {
                Some((start, length)) => {
                    let start = *start as usize;
                    Ok(encoded.data.slice(start..start + *length as usize))
                }
                None => Err("it has no encoded form".to_owned()),
            },
        };
        Ok((0..batch.num_rows()).map(message).collect())
    }
}

enum BoundPart<'a> {
    None,
    Bytes(BinaryArray),
    Template(BoundTemplate<'a>),
    Messages(Vec<Result<Bytes, String>>),
}

impl BoundPart<'_> {
    fn of(&self, row: usize) -> Result<Option<Bytes>, String> {
        match self {
            Self::None => Ok(None),
            Self::Bytes(column) => Ok(column.is_valid(row).then(|| Bytes::copy_from_slice(column.value(row)))),
            Self::Template(template) => template.render(row).map(|text| Some(Bytes::from(text))),
            Self::Messages(messages) => messages[row].clone().map(Some),
        }
    }
}

impl RowEncoder for TopicEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let (values, keys) = (self.value.bind(batch)?, self.key.bind(batch)?);
        let headers = self.headers.iter().map(|(name, template)| Ok((name, template.bind(batch)?)));
        let headers = headers.collect::<Result<Vec<_>, ArrowError>>()?;
        let times = self.timestamp.map(|column| millis(batch.column(column))).transpose()?;
        let mut records = EncodedBatchBuilder::with_capacity(batch.num_rows(), batch.get_array_memory_size());
        let (mut rows, mut refused) = (Vec::with_capacity(batch.num_rows()), Vec::new());
        for row in 0..batch.num_rows() {
            let record = || -> Result<WaitingRecord, String> {
                let mut record = WaitingRecord {
                    key: keys.of(row).map_err(|reason| format!("the key: {reason}"))?,
                    value: values.of(row)?,
                    headers: self.frame_headers.clone(),
                    timestamp_ms: times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row)),
                };
                record.timestamp_ms = record.timestamp_ms.filter(|ms| *ms >= 0);
                for (name, template) in &headers {
                    let value = template.render(row).map_err(|reason| format!("the header `{name}`: {reason}"))?;
                    record.headers.push(WaitingHeader { name: (*name).clone(), value: Bytes::from(value) });
                }
                Ok(record)
            };
            match record() {
                Ok(record) => {
                    record.encode_raw(records.bytes_mut());
                    records.end_record();
                    rows.push(row);
                }
                Err(reason) => refused.push((row, reason)),
            }
        }
        Ok(Encoded { records: records.finish(), rows, refused })
    }
}

/// Texts and bytes as bytes.
fn bytes(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    let plain = if is_text(column.data_type()) { cast(column, &DataType::Utf8)? } else { column.clone() };
    Ok(cast(&plain, &DataType::Binary)?.as_binary::<i32>().clone())
}

fn millis(column: &ArrayRef) -> Result<Int64Array, ArrowError> {
    let millis = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
    Ok(cast(&millis, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(schema: &Schema, column: usize) -> bool {
    matches!(schema.field(column).data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn column(key: &str, name: &str, schema: &Schema) -> Result<usize, SettingError> {
    schema.index_of(name).map_err(|_| {
        SettingError::at(key, format!("`{key}` names `{name}`, which is no column"), known_columns(name, schema))
    })
}

fn bytes_column(key: &str, name: &str, schema: &Schema) -> Result<usize, SettingError> {
    let column = column(key, name, schema)?;
    let data_type = schema.field(column).data_type();
    match is_text(data_type) || is_binary(schema, column) {
        true => Ok(column),
        false => {
            let detail = format!("`{key}` names `{name}`, which has the type {data_type}");
            Err(SettingError::at(key, detail, "name a column of bytes or text"))
        }
    }
}

fn time_column(name: &str, schema: &Schema) -> Result<usize, SettingError> {
    let column = column("timestampColumn", name, schema)?;
    match schema.field(column).data_type() {
        DataType::Timestamp(..) => Ok(column),
        other => {
            let detail = format!("`timestampColumn` names `{name}`, which has the type {other}");
            Err(SettingError::at("timestampColumn", detail, "name a column of timestamps"))
        }
    }
}
