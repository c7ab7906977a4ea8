//! Flink's syntax as DataFusion's, on the parsed tree: intervals, window calls, window table functions, UNNEST.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Query, Select, Spanned, TableFactor, Value, VisitMut, VisitorMut,
};

use crate::error::SqlError;
use crate::intervals;
use crate::planner::StreamTable;
use crate::{unnest, window_calls};

/// Rewrites a query in place.
pub(crate) fn rewrite(query: &mut Query, streams: &[StreamTable]) -> Result<(), SqlError> {
    let mut rewriter = Rewriter { streams };
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Rewriter<'a> {
    streams: &'a [StreamTable],
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Interval(interval) = expr {
            match intervals::length(interval) {
                Ok(length) => *expr = intervals::canonical(length),
                Err(message) => return refuse(&*expr, message),
            }
        }
        // `items[1].name`: DataFusion takes the name of a field behind brackets as a text.
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            for access in access_chain {
                if let AccessExpr::Dot(name @ Expr::Identifier(_)) = access
                    && let Expr::Identifier(ident) = &*name
                {
                    *name = Expr::Value(Value::SingleQuotedString(ident.value.clone()).with_span(ident.span));
                }
            }
        }
        match window_calls::rowtime_call(expr) {
            Ok(Some(replacement)) => *expr = replacement,
            Ok(None) => {}
            Err(message) => return refuse(&*expr, message),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        match window_calls::table_function(factor) {
            Ok(Some(replacement)) => *factor = replacement,
            Ok(None) => {}
            Err(message) => return refuse(&*factor, message),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        if let Err(refusal) = unnest::inline(select, self.streams) {
            let (message, expr) = *refusal;
            return refuse(&expr, message);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        match window_calls::group_windows(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err((message, expr)) => refuse(&*expr, message),
        }
    }
}

fn refuse(place: &dyn Placed, message: impl Into<String>) -> ControlFlow<Box<SqlError>> {
    let (line, column) = place.place();
    ControlFlow::Break(Box::new(SqlError::at(line.max(1), column.max(1), message)))
}

/// Something with a place in the text.
trait Placed {
    fn place(&self) -> (usize, usize);
}

impl<T: Spanned> Placed for T {
    fn place(&self) -> (usize, usize) {
        let start = self.span().start;
        (start.line as usize, start.column as usize)
    }
}
