//! `FROM t CROSS JOIN UNNEST(t.items) AS u(a, b)` as a sub-query that unnests in its SELECT list.

use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

use crate::map_rows::MAP_ROWS;
use crate::planner::StreamTable;
use crate::window_calls::{call, subquery};

/// What is wrong, and with what.
type Refusal = Box<(String, Expr)>;

/// Rewrites the UNNESTs of a SELECT's FROM. The error is a message and the expression that it is about.
pub(crate) fn inline(select: &mut Select, streams: &[StreamTable]) -> Result<(), Refusal> {
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
            Some((plain_arguments(&arguments.args), alias.clone()))
        }
        // `LATERAL TABLE(f(x))`, which the parser takes for a function of the name TABLE.
        TableFactor::Function { name, args, alias, .. } if name.to_string().eq_ignore_ascii_case("table") => {
            Some((plain_arguments(args), alias.clone()))
        }
        TableFactor::Function { lateral: true, name, args, alias, .. } => {
            Some((vec![call(&name.to_string(), plain_arguments(args))], alias.clone()))
        }
        _ => None,
    }
}

fn plain_arguments(arguments: &[FunctionArg]) -> Vec<Expr> {
    let plain = arguments.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

fn inline_join(select: &mut Select, index: usize, at: usize, streams: &[StreamTable]) -> Result<(), Refusal> {
    let joined: &mut TableWithJoins = &mut select.from[index];
    let join = joined.joins.remove(at);
    let Some((mut arrays, alias)) = unnested(&join.relation) else { return Ok(()) };
    let Some(array) = arrays.pop() else {
        return Err(Box::new(("UNNEST takes an array".into(), Expr::Identifier(Ident::new("unnest")))));
    };
    if !arrays.is_empty() {
        return Err(Box::new(("UNNEST takes one array; join several UNNESTs one after the other".into(), array)));
    }
    let (outer, constraint) = match &join.join_operator {
        JoinOperator::CrossJoin(constraint) | JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (false, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint),
        _ => return Err(Box::new(("UNNEST is joined by CROSS JOIN or LEFT JOIN ... ON TRUE".into(), array))),
    };
    match constraint {
        JoinConstraint::None => {}
        JoinConstraint::On(Expr::Value(value)) if value.value == Value::Boolean(true) => {}
        JoinConstraint::On(condition) => {
            return Err(Box::new(("UNNEST is joined ON TRUE; put the condition into WHERE".into(), condition.clone())));
        }
        _ => return Err(Box::new(("UNNEST is joined ON TRUE".into(), array))),
    }
    if at > 0 {
        return Err(Box::new(("UNNEST must follow the table whose array it unnests".into(), array)));
    }
    let source_name = match &joined.relation {
        TableFactor::Table { name, alias: None, .. } => match name.0.last().and_then(|part| part.as_ident()) {
            Some(name) => name.value.clone(),
            None => name.to_string(),
        },
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. } => alias.name.value.clone(),
        _ => "unnest_input".to_string(),
    };
    let element = alias.as_ref().map_or_else(|| "unnested".to_string(), |alias| alias.name.value.clone());
    let columns: Vec<Ident> = alias
        .as_ref()
        .map(|alias| alias.columns.iter().map(|column| column.name.clone()).collect())
        .unwrap_or_default();
    let refuse = |message: String| Box::new((message, array.clone()));
    let function = if outer { "unnest_outer" } else { "unnest" };
    let element_type = element_fields(&array, streams);
    // A column named like one of the table's goes by its full name.
    let table = match &joined.relation {
        TableFactor::Table { name, .. } => {
            streams.iter().find(|stream| name.to_string().trim_matches(['`', '"']) == stream.table)
        }
        _ => None,
    };
    let taken = |name: &str| table.is_some_and(|stream| stream.schema().field_with_name(name).is_ok());
    let mut full_names = Vec::new();
    let mut column_name = |name: Ident| {
        if !taken(&name.value) {
            return name;
        }
        full_names.push(name.value.clone());
        Ident::with_quote('"', format!("{element}.{}", name.value))
    };
    let (mut query, made) = match &element_type {
        None | Some(Element::Scalar) => {
            if columns.len() > 1 {
                let message =
                    format!("the alias of UNNEST names {} columns, the elements are one value", columns.len());
                return Err(refuse(message));
            }
            let query = subquery("SELECT *, 1 AS element FROM source").map_err(refuse)?;
            let name = columns.into_iter().next().unwrap_or_else(|| Ident::with_quote('"', element.clone()));
            (query, vec![(call(function, vec![array.clone()]), column_name(name))])
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
                Some(Element::Map(_)) => call(MAP_ROWS, vec![array.clone()]),
                _ => array.clone(),
            };
            let row = Ident::with_quote('"', ROW);
            let picked = fields.iter().enumerate().map(|(at, field)| {
                let name = columns.get(at).cloned().unwrap_or_else(|| Ident::with_quote('"', field.name().clone()));
                let field = Expr::Value(Value::SingleQuotedString(field.name().clone()).into());
                (call("get_field", vec![Expr::Identifier(row.clone()), field]), column_name(name))
            });
            let picked: Vec<(Expr, Ident)> = picked.collect();
            let mut query = subquery(&format!(
                "SELECT * EXCLUDE (\"{ROW}\"), {} FROM (SELECT *, 1 AS element FROM source) AS source",
                vec!["1 AS element"; fields.len()].join(", ")
            ))
            .map_err(refuse)?;
            let inner = select_of(&mut query).and_then(|select| match &mut select.from.first_mut()?.relation {
                TableFactor::Derived { subquery, alias, .. } => {
                    *alias = Some(quoted_alias(&source_name));
                    Some(subquery)
                }
                _ => None,
            });
            if let Some(inner) = inner {
                fill(inner, vec![(call(function, vec![list]), row.clone())], None);
            }
            (query, picked)
        }
    };
    let source = std::mem::replace(&mut joined.relation, table_placeholder());
    fill(&mut query, made, Some(source));
    joined.relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(quoted_alias(&source_name)),
        sample: None,
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item
            && let Expr::CompoundIdentifier(parts) = &*expr
            && let [table, column] = parts.as_slice()
            && table.value == element
        {
            *item = SelectItem::ExprWithAlias { alias: column.clone(), expr: expr.clone() };
        }
    }
    let mut qualifier = DropQualifier { name: element, full_names };
    let _ = select.visit(&mut qualifier);
    Ok(())
}

/// The column that holds an element until its fields are columns.
const ROW: &str = "millrace_element";

fn quoted_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: Vec::new(), at: None }
}

fn table_placeholder() -> TableFactor {
    TableFactor::NestedJoin {
        table_with_joins: Box::new(TableWithJoins {
            relation: TableFactor::TableFunction { expr: Expr::Value(Value::Null.into()), alias: None },
            joins: Vec::new(),
        }),
        alias: None,
    }
}

fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// Puts the expressions behind the `*` of a made query, and the table into its innermost FROM.
fn fill(query: &mut Query, made: Vec<(Expr, Ident)>, source: Option<TableFactor>) {
    let Some(select) = select_of(query) else { return };
    for (item, (made, name)) in select.projection.iter_mut().skip(1).zip(made) {
        if let SelectItem::ExprWithAlias { expr, alias } = item {
            (*expr, *alias) = (made, name);
        }
    }
    let (Some(source), Some(table)) = (source, select.from.first_mut()) else { return };
    match &mut table.relation {
        TableFactor::Derived { subquery, .. } => fill(subquery, Vec::new(), Some(source)),
        relation => *relation = source,
    }
}

/// `u.a` means the column `a` once the elements' fields are columns, or `"u.a"` if the table has an `a` too.
struct DropQualifier {
    name: String,
    full_names: Vec<String>,
}

impl VisitorMut for DropQualifier {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() > 1
            && parts[0].value == self.name
        {
            parts.remove(0);
            if self.full_names.contains(&parts[0].value) {
                parts[0].value = format!("{}.{}", self.name, parts[0].value);
                parts[0].quote_style = Some('"');
            }
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
        Expr::Function(call) => {
            let name = call.name.to_string();
            let known =
                functions::table_functions().into_iter().find(|known| known.name.eq_ignore_ascii_case(&name))?;
            let field = |name: &&str| Field::new(*name, DataType::Null, true);
            return Some(Element::Row(known.columns.iter().map(field).collect()));
        }
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
