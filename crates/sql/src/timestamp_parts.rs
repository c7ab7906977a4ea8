//! `ts.seconds` and `ts.nanos` of a `google.protobuf.Timestamp`.
//!
//! The column `ts` is a TIMESTAMP(6); its parts are exact to the nanosecond and reach beyond the year 2262, because they
//! are decoded as columns of their own. In a plan they are calls of the functions here over the timestamp's path.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference, not_impl_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const SECONDS: &str = "timestamp_seconds";
const NANOS: &str = "timestamp_nanos";

/// Plans `ts.seconds` and `a.ts.nanos`.
#[derive(Debug)]
pub(crate) struct TimestampPartPlanner;

impl ExprPlanner for TimestampPartPlanner {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut data_type = field.data_type();
        let mut expr = Expr::Column(Column::from((qualifier, field)));
        let Some((last, path)) = nested_names.split_last() else { return not_impl_err!("no path") };
        for name in path {
            let DataType::Struct(fields) = data_type else { return not_impl_err!("no message") };
            let Some((_, field)) = fields.find(name) else { return not_impl_err!("no field") };
            data_type = field.data_type();
            expr = get_field(expr, name);
        }
        let DataType::Timestamp(_, _) = data_type else { return not_impl_err!("no timestamp") };
        match last.as_str() {
            "seconds" => Ok(PlannerResult::Planned(call(SECONDS, expr))),
            "nanos" => Ok(PlannerResult::Planned(call(NANOS, expr))),
            other => {
                let function = Arc::new(ScalarUDF::from(UnknownPart {
                    part: other.to_string(),
                    signature: Signature::any(1, Volatility::Immutable),
                }));
                Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))))
            }
        }
    }
}

/// The functions, for the session.
pub(crate) fn functions() -> [Arc<ScalarUDF>; 2] {
    [SECONDS, NANOS].map(function)
}

fn function(name: &'static str) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(TimestampPart { name, signature }))
}

fn call(name: &'static str, timestamp: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function(name), vec![timestamp]))
}

pub(crate) fn get_field(parent: Expr, name: &str) -> Expr {
    let name = Expr::Literal(ScalarValue::from(name.to_string()), None);
    Expr::ScalarFunction(ScalarFunction::new_udf(datafusion::functions::core::get_field(), vec![parent, name]))
}

/// Of which timestamp an expression is which part.
pub(crate) fn part_of(expr: &Expr) -> Option<(&Expr, &'static str)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match call.func.name() {
        SECONDS => Some((call.args.first()?, "seconds")),
        NANOS => Some((call.args.first()?, "nanos")),
        _ => None,
    }
}

/// Replaces parts by the columns that hold them exactly, where `schema` has those.
pub(crate) fn exact(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let replaced = expr.transform_up(|node| {
        let Some((timestamp, part)) = part_of(&node) else { return Ok(Transformed::no(node)) };
        let exact = match timestamp {
            Expr::Column(column) => {
                Expr::Column(Column::new(column.relation.clone(), format!("{}.{part}", column.name)))
            }
            Expr::ScalarFunction(call) if call.func.name() == "get_field" && call.args.len() == 2 => {
                let Expr::Literal(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)), _) = &call.args[1]
                else {
                    return Ok(Transformed::no(node));
                };
                get_field(call.args[0].clone(), &format!("{name}.{part}"))
            }
            _ => return Ok(Transformed::no(node)),
        };
        Ok(if exact.get_type(schema).is_ok() { Transformed::yes(exact) } else { Transformed::no(node) })
    })?;
    Ok(replaced.data)
}

/// Whether nanoseconds are still asked of a timestamp in microseconds.
pub(crate) fn has_inexact_nanos(expr: &Expr) -> Result<bool> {
    let mut found = false;
    expr.apply(|node| {
        found |= matches!(part_of(node), Some((_, "nanos")));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// A part of a timestamp that is no field of a record, such as `MAX(ts).seconds`: what its microseconds say.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TimestampPart {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for TimestampPart {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match &arguments[0] {
            DataType::Timestamp(_, _) if self.name == SECONDS => Ok(DataType::Int64),
            DataType::Timestamp(_, _) => Ok(DataType::Int32),
            other => plan_err!("{} takes a timestamp, found {other}", self.name),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = arguments.args[0].to_array(arguments.number_rows)?;
        let times = cast(&times, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let micros = times.as_primitive::<TimestampMicrosecondType>();
        let part = match self.name {
            SECONDS => micros.unary::<_, Int64Type>(|micros| micros.div_euclid(1_000_000)),
            _ => micros.unary::<_, Int64Type>(|micros| micros.rem_euclid(1_000_000) * 1_000),
        };
        Ok(ColumnarValue::Array(cast(&part, arguments.return_field.data_type())?))
    }
}

/// `ts.second`: has no type, and says why.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UnknownPart {
    part: String,
    signature: Signature,
}

impl ScalarUDFImpl for UnknownPart {
    fn name(&self) -> &str {
        "timestamp_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("a timestamp has no part `{}`; it has `seconds` and `nanos`", self.part)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.return_type(&[]).map(|_| arguments.args[0].clone())
    }
}
