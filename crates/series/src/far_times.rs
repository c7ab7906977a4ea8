//! Times in conditions that no point can have: before 1677 and after 2262, which nanoseconds cannot tell. `time <
//! '9999-12-31'` means all points, and is no error.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Brings constants that times are compared with in WHERE and HAVING to the least or the greatest nanosecond, which no point
/// has. To be behind the rule that gives both sides of a comparison one type.
#[derive(Debug, Default)]
pub struct FarTimes;

impl AnalyzerRule for FarTimes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let bring = |plan: LogicalPlan| match plan {
            LogicalPlan::Filter(_) => plan.map_expressions(|condition| condition.transform_up(bring_near)),
            other => Ok(Transformed::no(other)),
        };
        plan.transform_up_with_subqueries(bring).data()
    }

    fn name(&self) -> &str {
        "FarTimes"
    }
}

fn bring_near(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let (left, right) = (near(left), near(right));
            let changed = left.transformed || right.transformed;
            Ok(Transformed::new_transformed(Expr::BinaryExpr(BinaryExpr::new(left.data, op, right.data)), changed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let (low, high) = (near(low), near(high));
            let changed = low.transformed || high.transformed;
            Ok(Transformed::new_transformed(Expr::Between(Between::new(expr, negated, low.data, high.data)), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn near(expr: Box<Expr>) -> Transformed<Box<Expr>> {
    match far_time(&expr) {
        Some(time) => Transformed::yes(Box::new(Expr::Literal(time, None))),
        None => Transformed::no(expr),
    }
}

/// The least or the greatest time in the place of one that nanoseconds cannot tell; `None` for all others.
fn far_time(expr: &Expr) -> Option<ScalarValue> {
    let Expr::Cast(Cast { expr, field }) = expr else { return None };
    let DataType::Timestamp(TimeUnit::Nanosecond, zone) = field.data_type() else { return None };
    let value = constant(expr)?;
    if value.is_null() || value.cast_to(field.data_type()).is_ok() {
        return None;
    }
    match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone())).ok()? {
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            Some(ScalarValue::TimestampNanosecond(Some(if micros < 0 { i64::MIN } else { i64::MAX }), zone))
        }
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(Cast { expr, field }) => constant(expr)?.cast_to(field.data_type()).ok(),
        _ => None,
    }
}
