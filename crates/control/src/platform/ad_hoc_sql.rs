//! SQL asked once over what the daggers have written: read-only, one statement, bounded in time, rows and memory.

use super::Platform;
use super::measurement_tables::MeasurementTables;
use crate::access::Caller;
use crate::error::ControlError;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use futures::StreamExt;
use series::{FarTimes, SeriesAggregates};
use sql::SqlError;
use std::sync::Arc;
use std::time::Duration;

pub const SQL_BYTES_MAX: usize = 256 * 1024;
pub const QUERY_ROWS_MAX: usize = 1_000_000;
pub const QUERY_MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(60);
/// More wait for their turn, so that questions do not starve the daggers.
pub const QUERIES_AT_ONCE_MAX: usize = 4;

pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

impl Platform {
    /// Runs one SELECT over the measurements, each a table of its name with `time`, its tags and its fields,
    /// in the schema of its group.
    pub async fn query(&self, caller: &Caller, sql: &str) -> Result<QueryResult, ControlError> {
        if sql.len() > SQL_BYTES_MAX {
            return Err(ControlError::too_large(
                "sql_too_long",
                format!("the query has {} bytes, the limit is {SQL_BYTES_MAX}", sql.len()),
            ));
        }
        check_statement(sql)?;
        let _turn =
            self.queries.acquire().await.map_err(|_| ControlError::unavailable("stopping", "the server ends"))?;
        let tables = Arc::new(MeasurementTables::of(caller, &self.series));
        let context = self.session(&tables)?;
        match tokio::time::timeout(QUERY_TIME_MAX, run(&context, sql)).await {
            Ok(result) => result.map_err(|error| explain_sql(error, &tables)),
            Err(_) => Err(ControlError::too_large(
                "query_too_slow",
                format!("the query took longer than {} s", QUERY_TIME_MAX.as_secs()),
            )
            .with_hint("ask for a shorter time range: WHERE time > now() - INTERVAL '15 minutes'")),
        }
    }

    /// A context of its own for every query: nothing that one does can be seen by another.
    fn session(&self, tables: &Arc<MeasurementTables>) -> Result<SessionContext, ControlError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(QUERY_MEMORY_BYTES_MAX, 1.0)
            .build_arc()
            .map_err(|error| ControlError::internal(error.to_string()))?;
        let state = {
            let state = sql::query_session();
            let config = state.config().clone().with_information_schema(true);
            let mut rules = state.physical_optimizers().to_vec();
            rules.insert(0, Arc::new(SeriesAggregates));
            SessionStateBuilder::new_from_existing(state)
                .with_config(config)
                .with_runtime_env(runtime)
                .with_analyzer_rule(Arc::new(FarTimes))
                .with_physical_optimizer_rules(rules)
                .build()
        };
        let context = SessionContext::new_with_state(state);
        tables.register(&self.series, &context)?;
        Ok(context)
    }
}

fn explain_sql(error: DataFusionError, tables: &MeasurementTables) -> ControlError {
    let text = first_line(&error.find_root().strip_backtrace());
    let place = span_of(&error);
    let missing_table = text.split_once("table '").and_then(|(_, rest)| rest.split_once("' not found"));
    let error = match missing_table {
        Some((table, _)) => tables.explain_missing(table),
        None if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
            ControlError::too_large("query_too_large", text).with_hint("ask for fewer rows or a shorter time range")
        }
        None => ControlError::invalid("sql_invalid", text),
    };
    match place {
        Some((line, column)) => {
            ControlError { detail: format!("line {line}, column {column}: {}", error.detail), ..error }.at(line, column)
        }
        None => error,
    }
}

async fn run(context: &SessionContext, sql: &str) -> Result<QueryResult, DataFusionError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(sql, options).await?;
    let mut stream = frame.execute_stream().await?;
    let schema = stream.schema();
    let mut batches = Vec::new();
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        if rows > QUERY_ROWS_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!("the result has more than {QUERY_ROWS_MAX} rows")));
        }
        batches.push(batch);
    }
    Ok(QueryResult { schema, batches })
}

/// Exactly one statement, and one that only reads.
fn check_statement(sql: &str) -> Result<(), ControlError> {
    sql::check_depth(sql)?;
    let statements = DFParser::parse_sql(sql).map_err(|error| {
        let text = first_line(&error.strip_backtrace());
        let place = parser_place(&text);
        let message = text.split(" at Line:").next().unwrap_or(&text);
        let message = message.rsplit("ParserError(\"").next().unwrap_or(message);
        let message = message.trim_start_matches("SQL error: ").to_owned();
        match place {
            Some((line, column)) => {
                ControlError::invalid("sql_invalid", format!("line {line}, column {column}: {message}"))
                    .at(line, column)
            }
            None => ControlError::invalid("sql_invalid", message),
        }
    })?;
    match statements.len() {
        0 => Err(ControlError::invalid("sql_invalid", "line 1, column 1: there is no statement").at(1, 1)),
        1 if !only_reads(&statements[0]) => {
            Err(ControlError::invalid("sql_not_read_only", "only SELECT (and SHOW, EXPLAIN, DESCRIBE) is allowed here"))
        }
        1 => Ok(check_tables(&statements[0])?),
        count => {
            Err(ControlError::invalid("sql_invalid", format!("{count} statements, only one can be asked at a time"))
                .with_hint("remove the `;` and what follows it"))
        }
    }
}

fn only_reads(statement: &Statement) -> bool {
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    match statement {
        Statement::Explain(_) => true,
        Statement::Statement(statement) => matches!(
            statement.as_ref(),
            Sql::Query(_)
                | Sql::ShowTables { .. }
                | Sql::ShowColumns { .. }
                | Sql::ExplainTable { .. }
                | Sql::Explain { .. }
        ),
        _ => false,
    }
}

fn check_tables(statement: &Statement) -> Result<(), SqlError> {
    match statement {
        Statement::Explain(explained) => check_tables(&explained.statement),
        Statement::Statement(statement) => sql::check_tables(statement),
        _ => Ok(()),
    }
}

/// The place in the parser's own words: "... at Line: 1, Column: 8".
fn parser_place(text: &str) -> Option<(usize, usize)> {
    let rest = text.rsplit_once(" at Line: ")?.1;
    let (line, rest) = rest.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The place that the planner noted for what it complains about.
fn span_of(error: &DataFusionError) -> Option<(usize, usize)> {
    match error {
        DataFusionError::Diagnostic(diagnostic, _) => diagnostic
            .span
            .map(|span| (span.start.line as usize, span.start.column as usize))
            .filter(|(line, column)| *line > 0 && *column > 0),
        DataFusionError::Context(_, inner) => span_of(inner),
        _ => None,
    }
}

fn first_line(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    text.trim_start_matches("Error during planning: ").trim_start_matches("Schema error: ").to_owned()
}
