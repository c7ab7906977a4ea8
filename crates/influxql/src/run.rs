//! Statements answered one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};

use crate::answer::{ResultSeries, StatementChunk};
use crate::ast::{Measurement, Select, Show, Source, Statement};
use crate::parse::statement_text;
use crate::select::{Answer, Budget, Stream, select};
use crate::{Databases, QueryError, QueryOptions, show};

/// Answers statements, each when it is pulled. After one that fails the others are not run.
pub fn run<'a>(statements: Vec<Statement>, options: QueryOptions, databases: &'a dyn Databases) -> Run<'a> {
    Run { statements, options, databases, next: 0, waiting: VecDeque::new(), stream: None, failed: false }
}

/// See [`run`].
pub struct Run<'a> {
    statements: Vec<Statement>,
    options: QueryOptions,
    databases: &'a dyn Databases,
    next: usize,
    waiting: VecDeque<StatementChunk>,
    /// A statement that is answered part after part.
    stream: Option<(usize, Box<Stream>)>,
    failed: bool,
}

impl Iterator for Run<'_> {
    type Item = StatementChunk;

    fn next(&mut self) -> Option<StatementChunk> {
        if self.waiting.is_empty() && self.stream.is_some() {
            self.next_part();
        }
        if self.waiting.is_empty() && !self.failed && self.next < self.statements.len() {
            let statement_id = self.next;
            self.next += 1;
            match self.answer(&self.statements[statement_id]) {
                Ok(Answer::Whole(series)) => {
                    self.keep(&series);
                    self.waiting.extend(chunks(statement_id, series, &self.options));
                }
                Ok(Answer::Parts(stream)) => {
                    self.stream = Some((statement_id, stream));
                    self.next_part();
                    if self.waiting.is_empty() {
                        self.waiting.push_back(StatementChunk { statement_id, ..StatementChunk::default() });
                    }
                }
                Err(error) => self.fail(statement_id, error),
            }
        }
        self.waiting.pop_front()
    }
}

impl Run<'_> {
    /// An answer in one piece is kept beside those of the other statements, so these may hold less.
    fn keep(&mut self, series: &[ResultSeries]) {
        let max = &mut self.options.limits.memory_bytes_max;
        if *max > 0 && self.options.chunk_rows.is_none() {
            let bytes =
                |one: &ResultSeries| one.values.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
            *max = max.saturating_sub(series.iter().map(bytes).sum()).max(1);
        }
    }

    fn next_part(&mut self) {
        let Some((statement_id, stream)) = &mut self.stream else { return };
        let statement_id = *statement_id;
        match stream.part() {
            Ok(Some((series, partial))) => {
                if !partial {
                    self.stream = None;
                }
                let chunk = StatementChunk { statement_id, series: vec![series], partial, ..StatementChunk::default() };
                self.waiting.push_back(chunk);
            }
            Ok(None) => self.stream = None,
            Err(error) => {
                self.stream = None;
                self.fail(statement_id, error);
            }
        }
    }

    /// As InfluxDB has it: what is not the last statement is told as not executed, also the one that failed.
    fn fail(&mut self, statement_id: usize, error: QueryError) {
        self.failed = true;
        let failed =
            |statement_id, error: String| StatementChunk { statement_id, error: Some(error), ..Default::default() };
        let last = self.statements.len() - 1;
        if statement_id == last || self.options.chunk_rows.is_some() {
            self.waiting.push_back(failed(statement_id, error.0));
        }
        for statement_id in statement_id..last {
            self.waiting.push_back(failed(statement_id, "not executed".into()));
        }
    }

    fn answer(&self, statement: &Statement) -> Result<Answer, QueryError> {
        match statement {
            Statement::Select(select) => self.select(select),
            other => self.answer_whole(other).map(Answer::Whole),
        }
    }

    fn answer_whole(&self, statement: &Statement) -> Result<Vec<ResultSeries>, QueryError> {
        let (databases, options) = (self.databases, &self.options);
        let budget = &Budget::new(&options.limits);
        match statement {
            Statement::Select(_) => Ok(Vec::new()),
            Statement::Explain { .. } => Err(not_offered("EXPLAIN")),
            Statement::ShowDatabases => {
                let names = databases.names()?;
                Ok(vec![text_series("databases", &["name"], vec![names])])
            }
            Statement::ShowMeasurements(show) => show::measurements(&self.with_database(show), databases),
            Statement::ShowSeries(show) => show::series(&self.with_database(show), databases, budget),
            Statement::ShowTagKeys(show) => {
                show::tag_keys(&self.with_database(show), databases, options.now_nanos, budget)
            }
            Statement::ShowTagValues(show, keys) => {
                show::tag_values(&self.with_database(show), keys, databases, options.now_nanos, budget)
            }
            Statement::ShowFieldKeys(show) => show::field_keys(&self.with_database(show), databases),
            Statement::ShowRetentionPolicies { database } => {
                show::retention_policies(&self.database_or_default(database), databases)
            }
            Statement::ShowCardinality { counted, exact, show } => {
                show::cardinality(counted, *exact, &self.with_database(show), databases, budget)
            }
            Statement::CreateDatabase { name, kept_for, .. } => {
                self.check_may_write(statement)?;
                if *kept_for != 0 {
                    return Err(not_offered("a DURATION of a database"));
                }
                databases.create(name)?;
                Ok(Vec::new())
            }
            Statement::DropDatabase { name } => {
                self.check_may_write(statement)?;
                databases.drop_database(name)?;
                Ok(Vec::new())
            }
            Statement::DropMeasurement { name } => {
                self.check_may_write(statement)?;
                let database = self.options.database.clone().unwrap_or_default();
                let found = databases.open(&database)?;
                found.ok_or_else(|| database_not_found(&database))?.drop_measurement(name)?;
                Ok(Vec::new())
            }
            Statement::Other { what, changes, .. } => {
                if *changes {
                    self.check_may_write(statement)?;
                }
                Err(not_offered(what))
            }
        }
    }

    fn check_may_write(&self, statement: &Statement) -> Result<(), QueryError> {
        if self.options.may_write {
            return Ok(());
        }
        Err(QueryError::new(format!(
            "'{}' changes something; use a POST request instead of a GET request",
            statement_text(statement)
        )))
    }

    fn database_or_default(&self, database: &str) -> String {
        if database.is_empty() { self.options.database.clone().unwrap_or_default() } else { database.to_owned() }
    }

    fn with_database(&self, show: &Show) -> Show {
        Show { database: self.database_or_default(&show.database), ..show.clone() }
    }

    fn select(&self, statement: &Select) -> Result<Answer, QueryError> {
        let mut statement = statement.clone();
        for source in &statement.sources {
            if let Source::Measurement(Measurement { name, .. }) = source {
                check_system_name(name)?;
            }
        }
        self.normalize(&mut statement)?;
        if statement.target.is_some() {
            return Err(not_offered("SELECT INTO"));
        }
        select(&statement, self.databases, &self.options)
    }

    /// Sources that name no database or policy are in the one asked with.
    fn normalize(&self, statement: &mut Select) -> Result<(), QueryError> {
        for source in &mut statement.sources {
            match source {
                Source::Subquery(inner) => self.normalize(inner)?,
                Source::Measurement(measurement) => {
                    if measurement.name.is_empty() && measurement.regex.is_none() {
                        return Err(QueryError::new("invalid measurement"));
                    }
                    measurement.database = self.database_or_default(&measurement.database);
                    if measurement.database.is_empty() {
                        return Err(QueryError::new("database name required"));
                    }
                    if self.databases.open(&measurement.database)?.is_none() {
                        return Err(database_not_found(&measurement.database));
                    }
                    if measurement.retention_policy.is_empty() {
                        measurement.retention_policy = self.options.retention_policy.clone().unwrap_or_default();
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_system_name(name: &str) -> Result<(), QueryError> {
    let instead = match name {
        "_fieldKeys" => "SHOW FIELD KEYS",
        "_series" => "SHOW SERIES",
        "_tagKeys" => "SHOW TAG KEYS",
        "_tags" => "SHOW TAG VALUES",
        "_measurements" => "SHOW MEASUREMENTS",
        _ => return Ok(()),
    };
    Err(QueryError::new(format!("unable to use system source '{name}': use {instead} instead")))
}

pub(crate) fn database_not_found(name: &str) -> QueryError {
    QueryError::new(format!("database not found: {name}"))
}

fn not_offered(what: &str) -> QueryError {
    QueryError::new(format!("{what} is not offered by Millrace; see docs/influxql.md"))
}

/// A series of columns of text.
pub(crate) fn text_series(name: &str, columns: &[&str], values: Vec<Vec<String>>) -> ResultSeries {
    ResultSeries {
        name: name.to_owned(),
        tags: Vec::new(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        values: values.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect(),
        partial: false,
    }
}

/// The chunks of an answer: one, or as many as its rows make.
fn chunks(statement_id: usize, series: Vec<ResultSeries>, options: &QueryOptions) -> Vec<StatementChunk> {
    let Some(size) = options.chunk_rows.filter(|size| *size > 0) else {
        let series = limited(series, options.limits.rows_max);
        return vec![StatementChunk { statement_id, series, ..StatementChunk::default() }];
    };
    let mut parts = Vec::new();
    for one in series {
        let rows = one.rows();
        let mut from = 0;
        loop {
            let count = size.min(rows - from);
            let mut part = slice(&one, from, count);
            from += count;
            part.partial = from < rows;
            parts.push(part);
            if from >= rows {
                break;
            }
        }
    }
    if parts.is_empty() {
        return vec![StatementChunk { statement_id, ..StatementChunk::default() }];
    }
    let last = parts.len() - 1;
    let chunk = |(place, part): (usize, ResultSeries)| StatementChunk {
        statement_id,
        series: vec![part],
        partial: place < last,
        ..StatementChunk::default()
    };
    parts.into_iter().enumerate().map(chunk).collect()
}

fn slice(series: &ResultSeries, from: usize, count: usize) -> ResultSeries {
    let values = series.values.iter().map(|column| column.slice(from, count)).collect();
    ResultSeries { values, ..series.clone() }
}

/// The first rows, if there are more than an answer may have.
fn limited(series: Vec<ResultSeries>, rows_max: usize) -> Vec<ResultSeries> {
    if rows_max == 0 {
        return series;
    }
    let mut left = rows_max;
    let mut kept = Vec::new();
    for one in series {
        let rows = one.rows();
        if rows > left {
            kept.push(ResultSeries { partial: true, ..slice(&one, 0, left) });
            break;
        }
        left -= rows;
        kept.push(one);
        if left == 0 {
            break;
        }
    }
    kept
}
