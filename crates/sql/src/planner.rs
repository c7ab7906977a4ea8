//! The way from text to graph.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use codec::Limits;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use prost_reflect::MessageDescriptor;

use crate::clauses;
use crate::convert;
use crate::dialect;
use crate::error::{Places, SqlError};
use crate::expansion;
use crate::graph::DaggerPlan;
use crate::metadata::{self, MetadataColumn};
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
    clauses::check_hints(&tokens)?;
    let metadata = metadata::named(&tokens);
    let session = planning_session();
    let mut columns: Vec<String> = streams.iter().map(|stream| stream.table.clone()).collect();
    for stream in streams {
        add_names(stream.schema().fields(), &mut columns);
    }
    columns.extend(MetadataColumn::ALL.iter().map(|column| column.name().to_string()));
    let mut functions: Vec<String> = session.scalar_functions().keys().cloned().collect();
    functions.extend(session.aggregate_functions().keys().cloned());
    let places = Places::new(&tokens, columns, functions);
    let mut query = dialect::parse(&tokens, &places)?;
    expansion::check(&query)?;
    clauses::check(&query, &places, session.aggregate_functions().keys().cloned().collect())?;
    metadata::hide(&mut query, &metadata, streams);
    rewrite::rewrite(&mut query, streams)?;
    clauses::check_rewritten(&query, &places)?;
    let schema = session.config_options().catalog.default_catalog.clone();
    let schema = session
        .catalog_list()
        .catalog(&schema)
        .and_then(|catalog| catalog.schema("public"))
        .ok_or_else(|| SqlError::at(1, 1, "the planning catalogue is missing"))?;
    for stream in streams {
        let columns = metadata::with_metadata(&stream.schema(), &metadata);
        let table = StreamingTable::try_new(columns, vec![]).map_err(|error| places.of_datafusion(error))?;
        schema.register_table(stream.table.clone(), Arc::new(table)).map_err(|error| places.of_datafusion(error))?;
    }
    let statement = DataFusionStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    let logical = futures::executor::block_on(session.statement_to_plan(statement))
        .map_err(|error| refine_missing_table(places.of_datafusion(error), streams))?;
    let logical: LogicalPlan = session.optimize(&logical).map_err(|error| places.of_datafusion(error))?;
    convert::convert(&logical, streams, &places)
}

/// The names of fields and of what is nested in them.
fn add_names(fields: &Fields, names: &mut Vec<String>) {
    for field in fields {
        names.push(field.name().clone());
        match field.data_type() {
            DataType::Struct(nested) => add_names(nested, names),
            DataType::List(item) => {
                if let DataType::Struct(nested) = item.data_type() {
                    add_names(nested, names);
                }
            }
            _ => {}
        }
    }
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
