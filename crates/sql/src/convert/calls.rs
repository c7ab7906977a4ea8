//! Window calls in expressions: which one an expression is, passes on, or is a bound of.

use super::{WindowBound, WindowCall, Windowed};
use crate::graph::WindowColumn;
use crate::window_functions::{unaliased, window_of};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection as ProjectionNode};
use std::sync::Arc;

/// `CollectArray(x)` orders by time: the time goes in as a second argument.
pub(super) fn with_time(call: Expr, time: &Expr) -> Expr {
    match call {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(with_time(*alias.expr, time));
            Expr::Alias(alias)
        }
        Expr::AggregateFunction(mut call) if call.func.name() == "collectarray" && call.params.args.len() == 1 => {
            call.params.args.push(time.clone());
            Expr::AggregateFunction(call)
        }
        other => other,
    }
}

/// Which window bound an expression over columns with known bounds is.
pub(super) fn bound_of(expr: &Expr, schema: &DFSchema, bounds: &[Option<WindowBound>]) -> Option<WindowBound> {
    match unaliased(expr) {
        Expr::Column(column) => {
            schema.index_of_column(column).ok().and_then(|index| bounds.get(index).copied().flatten())
        }
        // A cast that keeps the milliseconds keeps the bound.
        Expr::Cast(cast) if keeps_millis(cast.field.data_type()) => bound_of(&cast.expr, schema, bounds),
        Expr::ScalarFunction(call) if call.func.name() == "window_time" => {
            let bound = bound_of(call.args.first()?, schema, bounds)?;
            (bound.column == WindowColumn::End).then_some(WindowBound { column: WindowColumn::Time, ..bound })
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            // After an outer join each side alone may be NULL; the sides were joined on equal windows.
            let mut found = call.args.iter().map(|argument| bound_of(argument, schema, bounds));
            let first = found.next()??;
            found
                .all(|other| other.is_some_and(|other| other.column == first.column && other.is_rowtime()))
                .then_some(first)
        }
        _ => None,
    }
}

fn keeps_millis(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(unit, _) if *unit != TimeUnit::Second)
}

pub(super) fn has_window(expr: &Expr) -> bool {
    let expr = match unaliased(expr) {
        Expr::ScalarFunction(call) if call.func.name() == "window_time" && call.args.len() == 1 => &call.args[0],
        other => other,
    };
    matches!(window_of(expr), Ok(Some(_)) | Err(_))
}

/// The window call that a projected expression over results is, or passes on.
pub(super) fn call_of(expr: &Expr, input: &DFSchema, windowed: &Windowed) -> Option<WindowCall> {
    let expr = unaliased(expr);
    if let Some(known) = call_at(expr, input, &windowed.calls) {
        return Some(known.clone());
    }
    let bound = match expr {
        Expr::ScalarFunction(call) if call.func.name() == "window_time" => call.args.first()?,
        other => other,
    };
    let (_, _, time) = window_of(bound).ok()??;
    let time = bound_of(time, input, &windowed.bounds)?;
    Some(WindowCall { call: expr.clone(), time })
}

pub(super) fn call_at<'a>(expr: &Expr, schema: &DFSchema, calls: &'a [Option<WindowCall>]) -> Option<&'a WindowCall> {
    let Expr::Column(column) = unaliased(expr) else { return None };
    calls.get(schema.index_of_column(column).ok()?)?.as_ref()
}

/// Columns that stand for window calls, as those calls over a column: [`with_times`] puts the time there. Calls over one
/// time are calls over one column.
pub(super) fn as_calls(exprs: &[Expr], schema: &DFSchema, calls: &[Option<WindowCall>]) -> Vec<Expr> {
    let mut columns: Vec<(Expr, Expr)> = Vec::new();
    let as_call = |expr: &Expr| {
        let column = unaliased(expr);
        let Some(found) = call_at(column, schema, calls) else { return expr.clone() };
        let Some(time) = time_of(&found.call) else { return expr.clone() };
        let known = columns.iter().find(|(known, _)| known == time).map(|(_, column)| column.clone());
        let column = known.unwrap_or_else(|| {
            columns.push((time.clone(), column.clone()));
            column.clone()
        });
        over(&found.call, &column)
    };
    exprs.iter().map(as_call).collect()
}

fn time_of(call: &Expr) -> Option<&Expr> {
    match call {
        Expr::ScalarFunction(function) if function.func.name() == "window_time" => time_of(function.args.first()?),
        Expr::ScalarFunction(function) => function.args.first(),
        _ => None,
    }
}

pub(super) fn aggregate_name(expr: &Expr) -> Option<&str> {
    match unaliased(expr) {
        Expr::AggregateFunction(call) => Some(call.func.name()),
        _ => None,
    }
}

/// The same call over another time.
pub(super) fn over(call: &Expr, time: &Expr) -> Expr {
    match call {
        Expr::ScalarFunction(function) => {
            let mut function = function.clone();
            if let Some(first) = function.args.first_mut() {
                *first = if function.func.name() == "window_time" { over(first, time) } else { time.clone() };
            }
            Expr::ScalarFunction(function)
        }
        other => other.clone(),
    }
}

/// The plan with the times of its window calls in place of the calls.
pub(super) fn with_times(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let replaced = plan.transform_up(|node| {
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::no(node)) };
        let mut changed = false;
        let mut exprs = Vec::new();
        for (expr, (qualifier, field)) in projection.expr.iter().zip(projection.schema.iter()) {
            let bound = match unaliased(expr) {
                Expr::ScalarFunction(call) if call.func.name() == "window_time" => &call.args[0],
                other => other,
            };
            exprs.push(match window_of(bound)? {
                Some((_, _, time)) => {
                    changed = true;
                    time.clone().alias_qualified(qualifier.cloned(), field.name().as_str())
                }
                None => expr.clone(),
            });
        }
        if !changed {
            return Ok(Transformed::no(node));
        }
        let input = Arc::clone(&projection.input);
        Ok(Transformed::yes(LogicalPlan::Projection(ProjectionNode::try_new(exprs, input)?)))
    })?;
    Ok(replaced.data)
}
