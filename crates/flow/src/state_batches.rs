//! Partials as bytes: an Arrow IPC stream of the key columns, then the state columns of each call, then spans of sessions.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use operators::{AggregateSpec, Partial, SessionPartial};

use crate::FlowError;
use crate::carry_over::Layout;

pub(crate) fn encode(spec: &AggregateSpec, partial: &Partial) -> Result<Vec<u8>, FlowError> {
    write(columns(spec, partial)?, partial.rows)
}

/// What a table wrote whose columns lay as `layout` says.
pub(crate) fn decode(spec: &AggregateSpec, layout: &Layout, bytes: &[u8]) -> Result<Partial, FlowError> {
    let batch = read(bytes)?;
    partial_of(spec, layout, batch.columns(), batch.num_rows())
}

pub(crate) fn encode_sessions(spec: &AggregateSpec, sessions: &SessionPartial) -> Result<Vec<u8>, FlowError> {
    let mut columns = columns(spec, &sessions.partial)?;
    columns.extend(sessions.span_columns());
    write(columns, sessions.partial.rows)
}

pub(crate) fn decode_sessions(
    spec: &AggregateSpec,
    layout: &Layout,
    bytes: &[u8],
) -> Result<SessionPartial, FlowError> {
    let batch = read(bytes)?;
    let width = batch.num_columns().saturating_sub(3);
    let partial = partial_of(spec, layout, &batch.columns()[..width], batch.num_rows())?;
    Ok(SessionPartial::from_columns(partial, &batch.columns()[width..])?)
}

fn columns(spec: &AggregateSpec, partial: &Partial) -> Result<Vec<ArrayRef>, FlowError> {
    let mut columns = spec.keys_to_store(&partial.keys)?;
    columns.extend(partial.states.iter().flatten().cloned());
    Ok(columns)
}

fn write(columns: Vec<ArrayRef>, rows: usize) -> Result<Vec<u8>, FlowError> {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn read(bytes: &[u8]) -> Result<RecordBatch, FlowError> {
    let mut reader = StreamReader::try_new(bytes, None)?;
    match reader.next() {
        Some(batch) => Ok(batch?),
        None => Err(FlowError::StateMismatch("a part of the state is empty".into())),
    }
}

fn partial_of(spec: &AggregateSpec, layout: &Layout, columns: &[ArrayRef], rows: usize) -> Result<Partial, FlowError> {
    if columns.len() != layout.width {
        return Err(FlowError::StateMismatch(format!(
            "it has {} state columns, its windows say {}",
            columns.len(),
            layout.width
        )));
    }
    let keys: Vec<ArrayRef> = layout.keys.iter().map(|at| Arc::clone(&columns[*at])).collect();
    let states = layout.calls.iter().map(|call| columns[call.clone()].to_vec()).collect();
    Ok(Partial { rows, keys: spec.keys_from_store(&keys)?, states })
}
