//! Records to columns: the public decoder. `read` goes over the wire bytes, `fast` is its hot loop, `rare` what is not in it.

mod fast;
mod rare;
mod read;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;

use crate::columns::Columns;
use crate::error::{CompileError, DecodeError, RecordError};
use crate::limits::{Limits, NULL_SPAN};
use crate::program::Program;
use crate::projection::Projection;
use crate::wire::Fault;
use crate::{finish, shape};
use read::Run;
pub(crate) use read::view;

/// How records are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    pub limits: Limits,
    /// Every message, the record itself and those nested in it, gets a nullable binary column
    /// [`UNKNOWN_COLUMN`](crate::UNKNOWN_COLUMN) with the fields that its type does not have, as they were on the wire.
    pub keep_unknown: bool,
    /// A field with a declared default (proto2) is that default where it is absent; otherwise it is NULL there.
    pub declared_defaults: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), keep_unknown: false, declared_defaults: true }
    }
}

/// The plan to decode records of one message type into the columns of one projection. A clone shares it.
#[derive(Debug, Clone)]
pub struct DecodeProgram {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: Program,
    limits: Limits,
}

impl DecodeProgram {
    pub fn compile(
        message: &MessageDescriptor,
        projection: &Projection,
        options: &DecodeOptions,
    ) -> Result<Self, CompileError> {
        let shape = shape::shape(message, projection, &options.limits, options.declared_defaults)?;
        let program = Program::compile(&shape, options.keep_unknown, options.declared_defaults)?;
        Ok(Self { inner: Arc::new(Inner { program, limits: options.limits }) })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.program.schema
    }

    pub fn decoder(&self) -> Decoder {
        let program = &self.inner.program;
        Decoder {
            columns: Columns::new(program),
            extras: (0..program.enums.len()).map(|_| EnumExtras::default()).collect(),
            inner: Arc::clone(&self.inner),
        }
    }
}

/// Decodes slab after slab with one program.
#[derive(Debug)]
pub struct Decoder {
    inner: Arc<Inner>,
    columns: Columns,
    /// By enum table.
    extras: Vec<EnumExtras>,
}

/// The numbers of an enum that this batch met and its type does not name.
#[derive(Debug, Default)]
pub(crate) struct EnumExtras {
    keys: HashMap<i32, i32>,
    pub numbers: Vec<i32>,
}

/// The outcome of one slab.
#[derive(Debug)]
pub struct Decoded {
    /// One row per good record.
    pub batch: RecordBatch,
    /// The index of the span of each row; `None` when every span is a row, in order.
    pub rows: Option<Vec<u32>>,
    /// The broken records, by index.
    pub errors: Vec<RecordError>,
    /// How many enum values of good records had a number that the type does not name.
    pub unknown_enum_values: u64,
}

impl Decoder {
    /// Decodes the records at `spans` (start, length) of `data`. Text and bytes columns point into `data`.
    pub fn decode(&mut self, data: &Bytes, spans: &[(u32, u32)]) -> Decoded {
        let Inner { program, limits } = &*self.inner;
        self.columns.begin(program, spans.len());
        let mut run = Run::new(program, &mut self.columns, &mut self.extras, data, limits.elements_max);
        let mut errors = Vec::new();
        let mut rows: Option<Vec<u32>> = None;
        let mut unknown_enum_values = 0;
        let mut row = 0;
        for (index, &(start, len)) in spans.iter().enumerate() {
            let index = index as u32;
            let good = if len == NULL_SPAN {
                false
            } else {
                match run.record(row, start as usize, len, limits) {
                    Ok(()) => true,
                    Err(fault) => {
                        run.take_back(row);
                        errors.push(RecordError { index, error: record_error(*fault, start as usize) });
                        false
                    }
                }
            };
            if good {
                unknown_enum_values += run.unknown_enum_values;
                if let Some(rows) = &mut rows {
                    rows.push(index);
                }
                row += 1;
            } else if rows.is_none() {
                rows = Some((0..index).collect());
            }
        }
        self.columns.domains[0].rows = row;
        let batch = finish::batch(program, &mut self.columns, &mut self.extras, data, row);
        self.columns.end();
        Decoded { batch, rows, errors, unknown_enum_values }
    }
}

#[cold]
fn record_error(fault: Fault, record_start: usize) -> DecodeError {
    let Fault { kind, at, mut path } = fault;
    path.reverse();
    DecodeError {
        kind,
        offset: at.saturating_sub(record_start) as u32,
        field: (!path.is_empty()).then(|| path.join(".")),
    }
}

impl EnumExtras {
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.numbers.clear();
    }
}
