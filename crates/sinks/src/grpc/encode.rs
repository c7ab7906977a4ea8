//! Rows to calls: the message from the columns, metadata by templates.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use codec::EncodeProgram;
use delivery::EncodedBatchBuilder;
use prost::Message;
use prost_reflect::MessageDescriptor;
use shape::{METADATA_COLUMNS, Template};

use super::config::metadata_key;
use super::request::{WaitingCall, WaitingMetadata};
use crate::templates::templates;
use crate::{Encoded, RowEncoder, RowOrigin, SettingError, Settings};

const METADATA_MAX: usize = 64;

pub(super) struct CallEncoder {
    columns: Vec<usize>,
    program: EncodeProgram,
    metadata: Vec<(String, Template)>,
}

impl CallEncoder {
    pub fn new(settings: &Settings, schema: &SchemaRef, message: &MessageDescriptor) -> Result<Self, SettingError> {
        let entries = templates(settings, "metadata", schema)?;
        if entries.len() > METADATA_MAX {
            let detail = format!("{} entries are more than the {METADATA_MAX} that a call may have", entries.len());
            return Err(SettingError::at("metadata", detail, "leave some out"));
        }
        let named =
            |(name, template): (String, Template)| Ok((metadata_key("metadata", &name)?.as_str().to_owned(), template));
        let metadata = entries.into_iter().map(named).collect::<Result<Vec<_>, SettingError>>()?;
        // What is known of the record read, such as its key, need not be in the message.
        let in_message = schema.fields().iter().enumerate().filter(|(_, field)| {
            let name = field.name().as_str();
            !METADATA_COLUMNS.contains(&name) || message.get_field_by_name(name).is_some()
        });
        let columns: Vec<usize> = in_message.map(|(index, _)| index).collect();
        let error = |detail: String| {
            let fields: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
            let hint = format!("choose columns that {} has: {}", message.full_name(), fields.join(", "));
            SettingError { key: None, detail, hint }
        };
        let projected = schema.project(&columns).map_err(|why| error(why.to_string()))?;
        let program = EncodeProgram::compile(message, &projected).map_err(|why| error(why.to_string()))?;
        Ok(Self { columns, program, metadata })
    }
}

impl RowEncoder for CallEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let projected = batch.project(&self.columns)?;
        let encoded = self.program.encode(&projected);
        let encoded = encoded.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let metadata = self.metadata.iter().map(|(name, template)| Ok((name, template.bind(batch)?)));
        let metadata = metadata.collect::<Result<Vec<_>, ArrowError>>()?;
        let mut records =
            EncodedBatchBuilder::with_capacity(batch.num_rows(), encoded.data.len() + batch.num_rows() * 8);
        let (mut rows, mut refused) = (Vec::with_capacity(batch.num_rows()), Vec::new());
        let (mut spans, mut errors) = (encoded.spans.iter(), encoded.errors.iter().peekable());
        for row in 0..batch.num_rows() {
            if let Some(error) = errors.next_if(|error| error.index as usize == row) {
                refused.push((row, error.to_string()));
                continue;
            }
            let Some((start, length)) = spans.next() else { break };
            let start = *start as usize;
            let mut call =
                WaitingCall { message: encoded.data.slice(start..start + *length as usize), metadata: Vec::new() };
            let values = metadata.iter().try_for_each(|(name, template)| -> Result<(), String> {
                let value = template.render(row).map_err(|reason| format!("the metadata `{name}`: {reason}"))?;
                if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                    return Err(format!("the metadata `{name}` has characters that no metadata takes"));
                }
                call.metadata.push(WaitingMetadata { name: (*name).clone(), value });
                Ok(())
            });
            match values {
                Ok(()) => {
                    call.encode_raw(records.bytes_mut());
                    records.end_record();
                    rows.push(row);
                }
                Err(reason) => refused.push((row, reason)),
            }
        }
        Ok(Encoded { records: records.finish(), rows, refused })
    }
}
