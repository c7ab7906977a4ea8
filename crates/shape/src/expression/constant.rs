//! Parts of an expression that are the same for every row.

use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use cel::{Context, IdedExpr, Value};

use super::ENVIRONMENT;
use crate::path::Unknown;

/// The value of a part without fields and variables; `None` when it has some.
pub(super) fn value(expression: &IdedExpr) -> Option<Result<Value, Unknown>> {
    match &expression.expr {
        Expr::Literal(literal) => return Some(Ok(of_literal(literal))),
        _ if !is_constant(expression) => return None,
        _ => {}
    }
    let context = Context::with_env(ENVIRONMENT.clone());
    Some(Value::resolve(expression, &context).map_err(|error| Unknown {
        detail: format!("a part of it fails for every row: {}", super::cells::reason(&error)),
        hint: "correct the constant".into(),
    }))
}

fn of_literal(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Value::from(value.inner().to_vec()),
        LiteralValue::Double(value) => Value::Float(*value.inner()),
        LiteralValue::Int(value) => Value::Int(*value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::from(value.inner()),
        LiteralValue::UInt(value) => Value::UInt(*value.inner()),
    }
}

fn is_constant(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(is_constant),
        Expr::Map(map) => map.entries.iter().all(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => is_constant(&entry.key) && is_constant(&entry.value),
            EntryExpr::StructField(_) => false,
        }),
        Expr::Call(call) => call.target.iter().all(|target| is_constant(target)) && call.args.iter().all(is_constant),
        // Loops over constants are nothing that somebody writes.
        _ => false,
    }
}
