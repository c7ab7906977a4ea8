//! What is known of a record beside its value: where it lies in the log, its timestamp, key and headers.
//!
//! They are columns of every table with an underscore before their names. A table has those that the query names, and
//! `SELECT *` shows none of them, so a query that does not ask for them pays nothing. A field of the message with the same
//! name comes first.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select,
    SelectItem, TableFactor, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::planner::StreamTable;
use crate::window_functions::TIME_TYPE;

/// A column that is made from the record's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataColumn {
    /// `_topic`, STRING.
    Topic,
    /// `_partition`, INT.
    Partition,
    /// `_offset`, BIGINT.
    Offset,
    /// `_timestamp`, TIMESTAMP(3): the record's own timestamp.
    Timestamp,
    /// `_key`, BYTES; NULL for a record without a key.
    Key,
    /// `_headers`, MAP<STRING, BYTES>.
    Headers,
}

impl MetadataColumn {
    /// All of them.
    pub const ALL: [MetadataColumn; 6] = [
        MetadataColumn::Topic,
        MetadataColumn::Partition,
        MetadataColumn::Offset,
        MetadataColumn::Timestamp,
        MetadataColumn::Key,
        MetadataColumn::Headers,
    ];

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            MetadataColumn::Topic => "_topic",
            MetadataColumn::Partition => "_partition",
            MetadataColumn::Offset => "_offset",
            MetadataColumn::Timestamp => "_timestamp",
            MetadataColumn::Key => "_key",
            MetadataColumn::Headers => "_headers",
        }
    }

    /// The column in Arrow.
    pub fn field(self) -> Field {
        let data_type = match self {
            MetadataColumn::Topic => DataType::Utf8,
            MetadataColumn::Partition => DataType::Int32,
            MetadataColumn::Offset => DataType::Int64,
            MetadataColumn::Timestamp => TIME_TYPE,
            MetadataColumn::Key => DataType::Binary,
            MetadataColumn::Headers => {
                let entries =
                    vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Binary, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
            }
        };
        Field::new(self.name(), data_type, self == MetadataColumn::Key)
    }
}

/// The metadata columns that a query's text names.
pub(crate) fn named(tokens: &[TokenWithSpan]) -> Vec<MetadataColumn> {
    let is_named = |column: &MetadataColumn| {
        tokens.iter().any(|token| matches!(&token.token, Token::Word(word) if word.value == column.name()))
    };
    MetadataColumn::ALL.into_iter().filter(is_named).collect()
}

/// A stream's columns with metadata columns behind them.
pub(crate) fn with_metadata(schema: &Schema, columns: &[MetadataColumn]) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = schema.fields().to_vec();
    for column in columns {
        if schema.field_with_name(column.name()).is_err() {
            fields.push(Arc::new(column.field()));
        }
    }
    Arc::new(Schema::new(fields))
}

/// Takes the metadata columns of a stream out of the paths to decode.
pub(crate) fn take_from(paths: &mut BTreeSet<String>, stream: &StreamTable) -> Vec<MetadataColumn> {
    let mut taken = Vec::new();
    for column in MetadataColumn::ALL {
        if stream.message.get_field_by_name(column.name()).is_none() {
            let before = paths.len();
            paths.retain(|path| path.split('.').next() != Some(column.name()));
            if paths.len() < before {
                taken.push(column);
            }
        }
    }
    taken
}

/// Leaves metadata columns out of the `*` of SELECTs that read a stream.
pub(crate) fn hide(query: &mut Query, columns: &[MetadataColumn], streams: &[StreamTable]) {
    if !columns.is_empty() {
        let _ = query.visit(&mut Hider { columns, streams });
    }
}

struct Hider<'a> {
    columns: &'a [MetadataColumn],
    streams: &'a [StreamTable],
}

impl Hider<'_> {
    fn stream(&self, factor: &TableFactor) -> Option<&StreamTable> {
        let name = match factor {
            TableFactor::Table { name, args: None, .. } => name.clone(),
            TableFactor::Table { args: Some(arguments), .. } => first_name(&arguments.args)?,
            TableFactor::TableFunction { expr: Expr::Function(function), .. } => match &function.args {
                FunctionArguments::List(list) => first_name(&list.args)?,
                _ => return None,
            },
            _ => return None,
        };
        let name = name.0.last()?.as_ident()?;
        self.streams.iter().find(|stream| stream.table == name.value)
    }
}

fn first_name(arguments: &[FunctionArg]) -> Option<ObjectName> {
    let (FunctionArg::Unnamed(argument)
    | FunctionArg::Named { arg: argument, .. }
    | FunctionArg::ExprNamed { arg: argument, .. }) = arguments.first()?;
    match argument {
        FunctionArgExpr::Expr(Expr::Identifier(name)) => Some(ObjectName::from(vec![name.clone()])),
        _ => None,
    }
}

impl VisitorMut for Hider<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let tables = select
            .from
            .iter()
            .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
        let streams: Vec<&StreamTable> = tables.filter_map(|factor| self.stream(factor)).collect();
        let hidden = self.columns.iter().map(|column| column.name());
        let hidden: Vec<ObjectName> = hidden
            .filter(|name| streams.iter().any(|stream| stream.message.get_field_by_name(name).is_none()))
            .map(|name| ObjectName::from(vec![Ident::new(name)]))
            .collect();
        if hidden.is_empty() {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                let mut names = hidden.clone();
                match options.opt_exclude.take() {
                    Some(ExcludeSelectItem::Single(name)) => names.push(name),
                    Some(ExcludeSelectItem::Multiple(more)) => names.extend(more),
                    None => {}
                }
                options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
            }
        }
        ControlFlow::Continue(())
    }
}
