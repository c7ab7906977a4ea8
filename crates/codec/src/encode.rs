//! Columns to records: the mirror of the decoder.

mod bind;
mod plan;
mod write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use std::sync::Arc;

use crate::error::{CompileError, EncodeError, EncodeRecordError};
use plan::MessagePlan;

/// The plan to encode rows of one schema as records of one message type.
///
/// A column fills the field of its name, `a.b` the field `b` of the message `a`; `ts.seconds` and `ts.nanos` are the exact
/// parts of a timestamp. NULL leaves a field out, an implicit field that is its default too.
#[derive(Debug, Clone)]
pub struct EncodeProgram {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: MessagePlan,
    columns: SchemaRef,
}

/// The encoded rows.
#[derive(Debug)]
pub struct Encoded {
    /// All records, one after the other.
    pub data: Bytes,
    /// One span (start, length) per row that could be encoded, in the order of the rows.
    pub spans: Vec<(u32, u32)>,
    /// The rows that could not, by index. They have no span.
    pub errors: Vec<EncodeRecordError>,
}

impl EncodeProgram {
    /// Checks that every column has its field and fits it.
    pub fn compile(message: &MessageDescriptor, columns: &Schema) -> Result<Self, CompileError> {
        let plan = plan::message_plan(message, columns)?;
        Ok(Self { inner: Arc::new(Inner { plan, columns: Arc::new(columns.clone()) }) })
    }

    /// Encodes every row of a batch that has the columns of the program.
    pub fn encode(&self, batch: &RecordBatch) -> Result<Encoded, EncodeError> {
        self.encode_behind(&[], batch)
    }

    /// The same with `prefix` before every record, as a part of it.
    pub(crate) fn encode_behind(&self, prefix: &[u8], batch: &RecordBatch) -> Result<Encoded, EncodeError> {
        self.check_columns(batch)?;
        let message = bind::message(&self.inner.plan, batch.columns());
        let mut out = Vec::with_capacity(batch.num_rows() * (64 + prefix.len()));
        let (mut spans, mut errors) = (Vec::with_capacity(batch.num_rows()), Vec::new());
        for row in 0..batch.num_rows() {
            let start = out.len();
            out.extend_from_slice(prefix);
            match write::message(&message, row, &mut out) {
                Ok(()) if u32::try_from(out.len()).is_ok() => spans.push((start as u32, (out.len() - start) as u32)),
                Ok(()) => return Err(EncodeError::TooLarge(u32::MAX as usize)),
                Err(mut fault) => {
                    out.truncate(start);
                    fault.path.reverse();
                    errors.push(EncodeRecordError { index: row as u32, field: fault.path.join("."), kind: fault.kind });
                }
            }
        }
        Ok(Encoded { data: Bytes::from(out), spans, errors })
    }

    fn check_columns(&self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let expected = self.inner.columns.fields();
        let found = batch.schema();
        for index in 0..expected.len().max(found.fields().len()) {
            let describe = |field: Option<&Arc<arrow::datatypes::Field>>| {
                field.map_or("nothing".to_owned(), |field| format!("`{}` {}", field.name(), field.data_type()))
            };
            let (expected, found) = (expected.get(index), found.fields().get(index));
            let same = expected.zip(found).is_some_and(|(e, f)| e.name() == f.name() && e.data_type() == f.data_type());
            if !same {
                return Err(EncodeError::Columns { index, found: describe(found), expected: describe(expected) });
            }
        }
        Ok(())
    }
}
