//! Group windows and window table functions.
//!
//! `GROUP BY TUMBLE(ts, size)` becomes `GROUP BY tumble_start(ts, size), tumble_end(ts, size)`, so that `TUMBLE_END(ts, size)`
//! in the SELECT list is a group key like any other. `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), size))` becomes a sub-query that
//! adds `window_start`, `window_end` and `window_time` made by the same functions, so both spellings plan alike.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, TableAlias, TableFactor, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use crate::dialect::PARTITION_KEYS;
use crate::window_functions::SESSIONS_PER;

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
    let arguments = argument_exprs(function)?;
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
    let (mut function, alias) = match factor {
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
    let keys = partition_keys(&mut function)?;
    if kind != "session" && !keys.is_empty() {
        return Err(format!(
            "PARTITION BY is for SESSION; a {} does not depend on keys: leave it out",
            kind.to_uppercase()
        ));
    }
    let mut arguments = argument_exprs(&function)?;
    let lengths = match kind.as_str() {
        "tumble" => 1..=2,
        "session" => 1..=1,
        _ => 2..=3,
    };
    if arguments.len() < 2 || !lengths.contains(&(arguments.len() - 2)) {
        return Err(format!("{} has {} arguments here; write {shape}", kind.to_uppercase(), arguments.len()));
    }
    let lengths = arguments.split_off(2);
    let Some(Expr::Function(descriptor)) = arguments.pop() else {
        return Err(format!("DESCRIPTOR(column) is missing; write {shape}"));
    };
    if !descriptor.name.to_string().eq_ignore_ascii_case("descriptor") {
        return Err(format!("DESCRIPTOR(column) is missing; write {shape}"));
    }
    let mut columns = argument_exprs(&descriptor)?;
    let (Some(time), true) = (columns.pop(), columns.is_empty()) else {
        return Err(format!("DESCRIPTOR takes one column; write {shape}"));
    };
    let source = match arguments.pop() {
        Some(Expr::Subquery(subquery)) => {
            TableFactor::Derived { lateral: false, subquery, alias: Some(table_alias("window_input")), sample: None }
        }
        Some(Expr::Identifier(name)) => plain_table(vec![name]),
        Some(Expr::CompoundIdentifier(names)) => plain_table(names),
        Some(other) => return Err(format!("`{other}` is not a table; write {shape}")),
        None => return Err(format!("the table is missing; write {shape}")),
    };
    let mut bound = vec![time];
    bound.extend(lengths);
    if kind == "session" {
        bound.push(Expr::Value(Value::SingleQuotedString(SESSIONS_PER.into()).into()));
        bound.extend(keys);
    }
    let (start, end) = (call(&format!("{kind}_start"), bound.clone()), call(&format!("{kind}_end"), bound));
    let time = call("window_time", vec![end.clone()]);
    let mut query = subquery("SELECT *, 1 AS window_start, 1 AS window_end, 1 AS window_time FROM source")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        for (item, made) in select.projection.iter_mut().skip(1).zip([start, end, time]) {
            if let SelectItem::ExprWithAlias { expr, .. } = item {
                *expr = made;
            }
        }
        if let Some(table) = select.from.first_mut() {
            table.relation = source;
        }
    }
    Ok(Some(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }))
}

fn plain_table(names: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(names),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

pub(crate) fn table_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

/// Takes the keys of `TABLE t PARTITION BY ...` out of a call.
fn partition_keys(function: &mut Function) -> Result<Vec<Expr>, String> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(Vec::new()) };
    let is_keys = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call))) => call.name.to_string() == PARTITION_KEYS,
        _ => false,
    };
    let Some(at) = list.args.iter().position(is_keys) else { return Ok(Vec::new()) };
    match list.args.remove(at) {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call))) => argument_exprs(&call),
        _ => Ok(Vec::new()),
    }
}

/// Parses text that this crate made. Its nodes have no places, so that none is taken for one in the query's text.
pub(crate) fn subquery(sql: &str) -> Result<Query, String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().map_err(|error| error.to_string())?;
    let statement = Parser::new(&GenericDialect {})
        .with_tokens(tokens)
        .parse_statement()
        .map_err(|error| format!("cannot rewrite as a sub-query: {error}"))?;
    match statement {
        Statement::Query(query) if matches!(*query.body, SetExpr::Select(_)) => Ok(*query),
        _ => Err(format!("cannot rewrite as a sub-query: {sql}")),
    }
}

/// Positional arguments; those with names (`SIZE => ...`) are put into Flink's order.
pub(crate) fn argument_exprs(function: &Function) -> Result<Vec<Expr>, String> {
    let order: &[&str] = match function.name.to_string().to_lowercase().as_str() {
        "tumble" => &["data", "timecol", "size", "offset"],
        "hop" => &["data", "timecol", "slide", "size", "offset"],
        "cumulate" => &["data", "timecol", "step", "size", "offset"],
        "session" => &["data", "timecol", "gap"],
        _ => &[],
    };
    let FunctionArguments::List(list) = &function.args else { return Ok(Vec::new()) };
    let (mut found, mut names) = (Vec::new(), 0);
    for argument in &list.args {
        let (name, argument) = match argument {
            FunctionArg::Named { name, arg, .. } => (Some(name.value.to_lowercase()), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (Some(name.to_string().to_lowercase()), arg),
            FunctionArg::Unnamed(arg) => (None, arg),
        };
        let FunctionArgExpr::Expr(expr) = argument else {
            return Err(format!("{} does not take `{argument}`", function.name));
        };
        let rank = match name {
            None => found.len(),
            Some(name) => {
                names += 1;
                order.iter().position(|known| *known == name).ok_or_else(|| {
                    let known = order.join(", ").to_uppercase();
                    format!("{} has no argument {}; it has {known}", function.name, name.to_uppercase())
                })?
            }
        };
        if found.iter().any(|(known, _)| *known == rank) {
            return Err(format!("an argument of {} is given twice", function.name));
        }
        found.push((rank, expr.clone()));
    }
    if names > 0 && names < found.len() {
        return Err(format!("give all arguments of {} with their names, or none", function.name));
    }
    found.sort_by_key(|(rank, _)| *rank);
    if let Some(missing) = found.iter().enumerate().position(|(at, (rank, _))| at != *rank) {
        return Err(format!("{} lacks the argument {}", function.name, order[missing].to_uppercase()));
    }
    Ok(found.into_iter().map(|(_, expr)| expr).collect())
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
