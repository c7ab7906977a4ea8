//! Group windows and window table functions.
//!
//! `GROUP BY TUMBLE(ts, size)` becomes `GROUP BY tumble_start(ts, size), tumble_end(ts, size)`, so that `TUMBLE_END(ts, size)`
//! in the SELECT list is a group key like any other. `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), size))` becomes a sub-query that
//! adds `window_start`, `window_end` and `window_time` made by the same functions, so both spellings plan alike.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SetExpr, Statement, TableFactor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

const KINDS: [&str; 4] = ["tumble", "hop", "session", "cumulate"];

/// `TUMBLE_ROWTIME(ts, size)` as `window_time(tumble_end(ts, size))`.
pub(crate) fn rowtime_call(expr: &Expr) -> Result<Option<Expr>, String> {
    let Expr::Function(function) = expr else { return Ok(None) };
    let name = function.name.to_string().to_lowercase();
    let Some((kind, part)) = name.split_once('_') else { return Ok(None) };
    if !KINDS.contains(&kind) {
        return Ok(None);
    }
    match part {
        "rowtime" => {
            let end = renamed(function, &format!("{kind}_end"));
            Ok(Some(call("window_time", vec![Expr::Function(end)])))
        }
        "proctime" => {
            Err(format!("{} has no meaning here: windows are by event time; use {kind}_ROWTIME", function.name))
        }
        _ => Ok(None),
    }
}

/// Replaces window calls in GROUP BY. The error is a message and the expression that it is about.
pub(crate) fn group_windows(select: &mut Select) -> Result<(), (String, Box<Expr>)> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return Ok(()) };
    let mut window_at = None;
    for (index, group) in groups.iter().enumerate() {
        if let Expr::Function(function) = group
            && KINDS.contains(&function.name.to_string().to_lowercase().as_str())
        {
            if window_at.is_some() {
                return Err(("a query groups by one window; this is a second one".into(), Box::new(group.clone())));
            }
            check_arguments(function).map_err(|message| (message, Box::new(group.clone())))?;
            window_at = Some(index);
        }
    }
    if let Some(index) = window_at
        && let Expr::Function(function) = groups[index].clone()
    {
        let kind = function.name.to_string().to_lowercase();
        let pair = ["start", "end"].map(|part| Expr::Function(renamed(&function, &format!("{kind}_{part}"))));
        groups.splice(index..=index, pair);
    }
    Ok(())
}

fn check_arguments(function: &Function) -> Result<(), String> {
    let kind = function.name.to_string().to_uppercase();
    let arguments = argument_exprs(function);
    let (allowed, shape): (&[usize], &str) = match kind.as_str() {
        "TUMBLE" => (&[2, 3], "TUMBLE(rowtime, INTERVAL '1' MINUTE)"),
        "SESSION" => (&[2], "SESSION(rowtime, INTERVAL '10' MINUTE)"),
        "HOP" => (&[3, 4], "HOP(rowtime, slide, size), such as HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '1' HOUR)"),
        _ => (&[3, 4], "CUMULATE(rowtime, step, size)"),
    };
    if allowed.contains(&arguments.len()) {
        Ok(())
    } else {
        Err(format!("{kind} has {} arguments here; write {shape}", arguments.len()))
    }
}

/// A window table function in FROM, as a sub-query.
pub(crate) fn table_function(factor: &TableFactor) -> Result<Option<TableFactor>, String> {
    let (function, alias) = match factor {
        TableFactor::TableFunction { expr: Expr::Function(function), alias } => (function.clone(), alias.clone()),
        TableFactor::Table { name, args: Some(arguments), alias, .. } => {
            let function = with_arguments(name.clone(), arguments.args.clone());
            (function, alias.clone())
        }
        _ => return Ok(None),
    };
    let kind = function.name.to_string().to_lowercase();
    if !KINDS.contains(&kind.as_str()) {
        return Ok(None);
    }
    let shape = match kind.as_str() {
        "tumble" => "TABLE(TUMBLE(TABLE t, DESCRIPTOR(rowtime), size))",
        "hop" => "TABLE(HOP(TABLE t, DESCRIPTOR(rowtime), slide, size))",
        "session" => "TABLE(SESSION(TABLE t PARTITION BY key, DESCRIPTOR(rowtime), gap))",
        _ => "TABLE(CUMULATE(TABLE t, DESCRIPTOR(rowtime), step, size))",
    };
    let arguments = argument_exprs(&function);
    let lengths = if matches!(kind.as_str(), "tumble" | "session") { 1..=2 } else { 2..=3 };
    if arguments.len() < 2 || !lengths.contains(&(arguments.len() - 2)) {
        return Err(format!("{} has {} arguments here; write {shape}", kind.to_uppercase(), arguments.len()));
    }
    let source = match &arguments[0] {
        Expr::Subquery(query) => format!("({query}) AS window_input"),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => arguments[0].to_string(),
        other => return Err(format!("`{other}` is not a table; write {shape}")),
    };
    let Expr::Function(descriptor) = &arguments[1] else {
        return Err(format!("DESCRIPTOR(column) is missing; write {shape}"));
    };
    let columns = argument_exprs(descriptor);
    let [time] = columns.as_slice() else { return Err(format!("DESCRIPTOR takes one column; write {shape}")) };
    let rest: Vec<String> = arguments[2..].iter().map(Expr::to_string).collect();
    let rest = rest.join(", ");
    let sql = format!(
        "SELECT *, {kind}_start({time}, {rest}) AS window_start, {kind}_end({time}, {rest}) AS window_end, \
         window_time({kind}_end({time}, {rest})) AS window_time FROM {source}"
    );
    Ok(Some(TableFactor::Derived { lateral: false, subquery: Box::new(subquery(&sql)?), alias, sample: None }))
}

/// Parses text that this crate made.
pub(crate) fn subquery(sql: &str) -> Result<Query, String> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).map_err(|error| error.to_string())?;
    match statements.pop() {
        Some(Statement::Query(query)) if matches!(*query.body, SetExpr::Select(_)) => Ok(*query),
        _ => Err(format!("cannot rewrite as a sub-query: {sql}")),
    }
}

/// Positional arguments; names of named ones (`SIZE => ...`) are put into Flink's order.
pub(crate) fn argument_exprs(function: &Function) -> Vec<Expr> {
    const ORDER: [&str; 8] = ["data", "timecol", "slide", "step", "gap", "size", "offset", ""];
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let mut named: Vec<(usize, Expr)> = Vec::new();
    for argument in &list.args {
        let (name, argument) = match argument {
            FunctionArg::Named { name, arg, .. } => (name.value.to_lowercase(), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (name.to_string().to_lowercase(), arg),
            FunctionArg::Unnamed(arg) => (String::new(), arg),
        };
        let FunctionArgExpr::Expr(expr) = argument else { continue };
        let rank = ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
        named.push((rank, expr.clone()));
    }
    named.sort_by_key(|(rank, _)| *rank);
    named.into_iter().map(|(_, expr)| expr).collect()
}

fn renamed(function: &Function, name: &str) -> Function {
    let mut function = function.clone();
    function.name = ObjectName::from(vec![Ident::new(name)]);
    function
}

fn with_arguments(name: ObjectName, arguments: Vec<FunctionArg>) -> Function {
    let mut function = empty_call(name);
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = arguments;
    }
    function
}

pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Expr::Function(with_arguments(ObjectName::from(vec![Ident::new(name)]), arguments))
}

fn empty_call(name: ObjectName) -> Function {
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(datafusion::sql::sqlparser::ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
