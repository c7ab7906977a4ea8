//! The way from text to graph.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use codec::Limits;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use prost_reflect::MessageDescriptor;

use crate::convert;
use crate::dialect;
use crate::error::{Places, SqlError};
use crate::graph::DaggerPlan;
use crate::rewrite;
use crate::session::planning_session;
use crate::window_functions::TIME_TYPE;

/// Where a stream's event time comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowtimeField {
    /// A field of the message: a `google.protobuf.Timestamp`, or milliseconds since the epoch in an integer.
    Path(String),
    /// The record's own timestamp.
    Record,
}

/// One table of a dagger.
#[derive(Debug, Clone)]
pub struct StreamTable {
    pub table: String,
    pub message: MessageDescriptor,
    pub rowtime: RowtimeField,
}

impl StreamTable {
    /// All columns that SQL can name: the message's fields, then `rowtime`.
    pub fn schema(&self) -> SchemaRef {
        with_rowtime(&codec::arrow_schema(&self.message, &Limits::default()))
    }
}

pub(crate) fn with_rowtime(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> =
        schema.fields().iter().filter(|field| field.name() != "rowtime").cloned().collect();
    fields.push(Arc::new(Field::new("rowtime", TIME_TYPE, false)));
    Arc::new(Schema::new(fields))
}

/// Plans a query over streams. Errors say line and column of the text.
pub fn plan(sql: &str, streams: &[StreamTable]) -> Result<DaggerPlan, SqlError> {
    let tokens = dialect::tokenize(sql)?;
    let session = planning_session();
    let mut names: Vec<String> = streams.iter().map(|stream| stream.table.clone()).collect();
    names.extend(
        streams
            .iter()
            .flat_map(|stream| stream.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()),
    );
    names.extend(session.scalar_functions().keys().cloned());
    names.extend(session.aggregate_functions().keys().cloned());
    let places = Places::new(&tokens, names);
    let mut query = dialect::parse(&tokens, &places)?;
    rewrite::rewrite(&mut query, streams)?;
    let schema = session.config_options().catalog.default_catalog.clone();
    let schema = session
        .catalog_list()
        .catalog(&schema)
        .and_then(|catalog| catalog.schema("public"))
        .ok_or_else(|| SqlError::at(1, 1, "the planning catalogue is missing"))?;
    for stream in streams {
        let table = StreamingTable::try_new(stream.schema(), vec![]).map_err(|error| places.from_datafusion(error))?;
        schema.register_table(stream.table.clone(), Arc::new(table)).map_err(|error| places.from_datafusion(error))?;
    }
    let statement = DataFusionStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    let logical = futures::executor::block_on(session.statement_to_plan(statement))
        .map_err(|error| refine_missing_table(places.from_datafusion(error), streams))?;
    let logical: LogicalPlan = session.optimize(&logical).map_err(|error| places.from_datafusion(error))?;
    convert::convert(&logical, streams, &places)
}

fn refine_missing_table(mut error: SqlError, streams: &[StreamTable]) -> SqlError {
    if error.message.contains("table '") && error.message.contains("not found") {
        let tables: Vec<&str> = streams.iter().map(|stream| stream.table.as_str()).collect();
        if error.hint.is_none() {
            error.hint = Some(format!("the tables of this dagger are {}", tables.join(", ")));
        }
    }
    error
}
