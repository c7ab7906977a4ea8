//! `FROM t CROSS JOIN UNNEST(t.items) AS u(a, b)` as a sub-query that unnests in its SELECT list.

use arrow::datatypes::{DataType, Fields, Schema};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, JoinOperator, Select, TableAlias, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

use crate::planner::StreamTable;
use crate::window_calls::subquery;

/// Rewrites the UNNESTs of a SELECT's FROM. The error is a message and the expression that it is about.
pub(crate) fn inline(select: &mut Select, streams: &[StreamTable]) -> Result<(), (String, Expr)> {
    for index in 0..select.from.len() {
        while let Some(at) = select.from[index].joins.iter().position(|join| is_unnest(&join.relation)) {
            inline_join(select, index, at, streams)?;
        }
    }
    // `FROM t, UNNEST(t.items) AS u` is the same join.
    while let Some(at) = select.from.iter().skip(1).position(|table| is_unnest(&table.relation)) {
        let table = select.from.remove(at + 1);
        let join = datafusion::sql::sqlparser::ast::Join {
            relation: table.relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(datafusion::sql::sqlparser::ast::JoinConstraint::None),
        };
        select.from[at].joins.push(join);
        let last = select.from[at].joins.len() - 1;
        inline_join(select, at, last, streams)?;
    }
    Ok(())
}

fn is_unnest(factor: &TableFactor) -> bool {
    unnested(factor).is_some()
}

/// The arrays and the alias of an UNNEST, which some dialects parse as a table with arguments.
fn unnested(factor: &TableFactor) -> Option<(Vec<Expr>, Option<TableAlias>)> {
    match factor {
        TableFactor::UNNEST { alias, array_exprs, .. } => Some((array_exprs.clone(), alias.clone())),
        TableFactor::Table { name, args: Some(arguments), alias, .. }
            if name.to_string().eq_ignore_ascii_case("unnest") =>
        {
            let arrays = arguments.args.iter().filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            });
            Some((arrays.collect(), alias.clone()))
        }
        _ => None,
    }
}

fn inline_join(select: &mut Select, index: usize, at: usize, streams: &[StreamTable]) -> Result<(), (String, Expr)> {
    let joined: &mut TableWithJoins = &mut select.from[index];
    let join = joined.joins.remove(at);
    let Some((mut arrays, alias)) = unnested(&join.relation) else { return Ok(()) };
    let Some(array) = arrays.pop() else { return Ok(()) };
    if !arrays.is_empty() {
        return Err(("UNNEST takes one array; join several UNNESTs one after the other".into(), array));
    }
    let preserve = match &join.join_operator {
        JoinOperator::CrossJoin(_) | JoinOperator::Join(_) | JoinOperator::Inner(_) => false,
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => true,
        other => return Err((format!("UNNEST cannot be joined by {other:?}; use CROSS JOIN or LEFT JOIN"), array)),
    };
    if preserve {
        return Err((
            "LEFT JOIN UNNEST is not supported; CROSS JOIN UNNEST leaves out rows with an empty array".into(),
            array,
        ));
    }
    if at > 0 {
        return Err(("UNNEST must follow the table whose array it unnests".into(), array));
    }
    let (source, source_name) = match &joined.relation {
        TableFactor::Table { name, alias, .. } => {
            let visible = alias.as_ref().map_or_else(|| name.to_string(), |alias| alias.name.to_string());
            (joined.relation.to_string(), visible)
        }
        TableFactor::Derived { alias: Some(alias), .. } => (joined.relation.to_string(), alias.name.to_string()),
        other => (other.to_string(), "unnest_input".to_string()),
    };
    let element = alias.as_ref().map_or_else(|| "unnested".to_string(), |alias| alias.name.value.clone());
    let columns: Vec<String> = alias
        .as_ref()
        .map(|alias| alias.columns.iter().map(|column| column.name.value.clone()).collect())
        .unwrap_or_default();
    let element_type = element_fields(&array, streams);
    let refuse = |message: String| (message, array.clone());
    let sql = match &element_type {
        None | Some(Element::Scalar) => {
            let name = columns.first().unwrap_or(&element);
            format!("SELECT *, unnest({array}) AS \"{name}\" FROM {source}")
        }
        Some(Element::Row(fields) | Element::Map(fields)) => {
            if !columns.is_empty() && columns.len() != fields.len() {
                let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                return Err(refuse(format!(
                    "the alias of UNNEST names {} columns, the elements have {}: {}",
                    columns.len(),
                    fields.len(),
                    known.join(", ")
                )));
            }
            let list = match &element_type {
                Some(Element::Map(_)) => format!("map_entries({array})"),
                _ => array.to_string(),
            };
            let picked: Vec<String> = fields
                .iter()
                .enumerate()
                .map(|(at, field)| {
                    let name = columns.get(at).map_or(field.name().as_str(), String::as_str);
                    format!("get_field(\"{element}\", '{}') AS \"{name}\"", field.name())
                })
                .collect();
            format!(
                "SELECT *, {} FROM (SELECT *, unnest({list}) AS \"{element}\" FROM {source}) AS {source_name}",
                picked.join(", ")
            )
        }
    };
    let query = subquery(&sql).map_err(refuse)?;
    joined.relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(TableAlias {
            explicit: true,
            name: Ident::new(source_name.trim_matches(['`', '"'])),
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    };
    let mut qualifier = DropQualifier { name: element };
    let _ = select.visit(&mut qualifier);
    Ok(())
}

/// `u.a` means the column `a` once the elements' fields are columns.
struct DropQualifier {
    name: String,
}

impl VisitorMut for DropQualifier {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() > 1
            && parts[0].value == self.name
        {
            parts.remove(0);
            if parts.len() == 1 {
                *expr = Expr::Identifier(parts.remove(0));
            }
        }
        ControlFlow::Continue(())
    }
}

enum Element {
    Scalar,
    Row(Fields),
    Map(Fields),
}

/// The element type of a path such as `items` or `t.order.items`, if the path is found in one of the streams.
fn element_fields(array: &Expr, streams: &[StreamTable]) -> Option<Element> {
    let parts: Vec<&str> = match array {
        Expr::Identifier(name) => vec![name.value.as_str()],
        Expr::CompoundIdentifier(names) => names.iter().map(|name| name.value.as_str()).collect(),
        _ => return None,
    };
    let data_type = streams.iter().find_map(|stream| {
        let schema = stream.schema();
        walk(&schema, &parts).or_else(|| walk(&schema, parts.get(1..)?))
    })?;
    Some(match data_type {
        DataType::List(item) | DataType::LargeList(item) => match item.data_type() {
            DataType::Struct(fields) => Element::Row(fields.clone()),
            _ => Element::Scalar,
        },
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let named =
                    ["key", "value"].iter().zip(fields).map(|(name, field)| field.as_ref().clone().with_name(*name));
                Element::Map(named.collect())
            }
            _ => Element::Scalar,
        },
        _ => Element::Scalar,
    })
}

fn walk(schema: &Schema, parts: &[&str]) -> Option<DataType> {
    let (first, rest) = parts.split_first()?;
    let mut data_type = schema.field_with_name(first).ok()?.data_type().clone();
    for part in rest {
        let DataType::Struct(fields) = &data_type else { return None };
        data_type = fields.find(part)?.1.data_type().clone();
    }
    Some(data_type)
}
