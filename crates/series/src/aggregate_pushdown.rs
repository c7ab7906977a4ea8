//! Which aggregates of a query the store makes itself: counts, sums, means, minima and maxima of fields, grouped by tags
//! and by windows of `time` that are equally wide.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use crate::aggregate_exec::{Guard, Output, SeriesAggregateExec};
use crate::shape::{Shape, TIME_COLUMN};
use crate::table::SeriesScanExec;
use crate::window_sums::aggregate_type;
use crate::{FieldType, WindowAggregate, WindowRequest, Windows};

/// Puts aggregates of measurements into the store. To be the first of the rules: it knows plans as they are first made.
#[derive(Debug, Default)]
pub struct SeriesAggregates;

impl PhysicalOptimizerRule for SeriesAggregates {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let push = |plan: Arc<dyn ExecutionPlan>| {
            Ok(match push_down(&plan)? {
                Some(pushed) => Transformed::yes(pushed),
                None => Transformed::no(plan),
            })
        };
        plan.transform_down(push).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "SeriesAggregates"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its aggregates made by the store; `None` if it is not of that kind.
fn push_down(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(last) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let first = match last.mode() {
        AggregateMode::Single => last,
        AggregateMode::Final | AggregateMode::FinalPartitioned => match last.input().downcast_ref::<AggregateExec>() {
            Some(first) if *first.mode() == AggregateMode::Partial => first,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(scan) = first.input().downcast_ref::<SeriesScanExec>() else { return Ok(None) };
    let Some(pushed) = Pushed::of(first, scan) else { return Ok(None) };
    // Made of points, in case that there are too many groups.
    let otherwise = AggregateExec::try_new(
        AggregateMode::Single,
        first.group_expr().clone(),
        first.aggr_expr().to_vec(),
        first.filter_expr().to_vec(),
        first.input().clone(),
        first.input_schema(),
    )?;
    let schema = last.schema();
    let same_types = pushed.types.iter().zip(schema.fields()).all(|(own, field)| own == field.data_type());
    if otherwise.schema() != schema || pushed.types.len() != schema.fields().len() || !same_types {
        return Ok(None);
    }
    let Pushed { request, outputs, guards, .. } = pushed;
    let measurement = (scan.store().clone(), scan.shape().name.clone());
    Ok(Some(Arc::new(SeriesAggregateExec::new(measurement, request, outputs, guards, schema, Arc::new(otherwise)))))
}

/// What the store is asked for.
struct Pushed {
    request: WindowRequest,
    /// Where the columns of the result come from, and their types.
    outputs: Vec<Output>,
    types: Vec<DataType>,
    guards: Vec<Guard>,
}

impl Pushed {
    fn of(aggregate: &AggregateExec, scan: &SeriesScanExec) -> Option<Self> {
        let scanned = scan.request();
        let judges_points = scanned.tags.iter().any(|filter| Shape::is_key_tag(&filter.tag));
        let groups = aggregate.group_expr();
        if scanned.limit.is_some() || judges_points || !(groups.is_single() || groups.is_true_no_grouping()) {
            return None;
        }
        let request = WindowRequest { range: scanned.range, tags: scanned.tags.clone(), ..WindowRequest::default() };
        let mut pushed = Self { request, outputs: Vec::new(), types: Vec::new(), guards: Vec::new() };
        for (expr, _) in groups.expr() {
            pushed.group_by(expr, scan.shape())?;
        }
        // Columns of the store's answer: the tags, the window, the aggregates.
        let tags = pushed.request.group_by.len();
        for output in &mut pushed.outputs {
            if let Output::Window(place) = output {
                *place = tags;
            }
        }
        for (function, filter) in aggregate.aggr_expr().iter().zip(aggregate.filter_expr()) {
            if filter.is_some() {
                return None;
            }
            pushed.aggregate(function, scan.shape())?;
        }
        Some(pushed)
    }

    fn group_by(&mut self, expr: &Arc<dyn PhysicalExpr>, shape: &Shape) -> Option<()> {
        if let Some(name) = column(expr) {
            if shape.tag(name).is_none()
                || Shape::is_key_tag(name)
                || self.request.group_by.iter().any(|tag| tag == name)
            {
                return None;
            }
            self.outputs.push(Output::Column(self.request.group_by.len()));
            self.types.push(DataType::Utf8);
            self.request.group_by.push(name.to_owned());
            return Some(());
        }
        if self.request.windows.is_some() {
            return None;
        }
        self.request.windows = Some(windows(expr)?);
        self.outputs.push(Output::Window(0));
        self.types.push(crate::scan::TIME_TYPE);
        Some(())
    }

    fn aggregate(&mut self, function: &AggregateFunctionExpr, shape: &Shape) -> Option<()> {
        let arguments = function.expressions();
        let [argument] = arguments.as_slice() else { return None };
        if function.is_distinct() || function.ignore_nulls() || !function.order_bys().is_empty() {
            return None;
        }
        let (name, aggregate) = (function.fun().name(), argument_of(argument));
        let (field, aggregate) = match (name, aggregate?) {
            ("count", Argument::Always | Argument::Column(TIME_COLUMN)) => (TIME_COLUMN, WindowAggregate::Count),
            ("count", Argument::Column(field)) => (field, WindowAggregate::Count),
            ("sum", Argument::Column(field)) => (field, WindowAggregate::Sum),
            ("min", Argument::Column(field)) => (field, WindowAggregate::Min),
            ("max", Argument::Column(field)) => (field, WindowAggregate::Max),
            ("avg", Argument::Column(field) | Argument::AsFloat(field)) => (field, WindowAggregate::Mean),
            _ => return None,
        };
        let data_type = match field {
            TIME_COLUMN => DataType::Int64,
            field => {
                let field_type = shape.fields[shape.field(field)? as usize].field_type;
                if aggregate == WindowAggregate::Mean && field_type == FieldType::Int64 {
                    // Sums of floats and of integers are the same as long as all are exact.
                    let parts = [WindowAggregate::Count, WindowAggregate::Min, WindowAggregate::Max];
                    let [count, min, max] = parts.map(|part| self.column(field, part));
                    self.guards.push(Guard::Exact { count, min, max });
                } else if aggregate == WindowAggregate::Max && field_type == FieldType::Float64 {
                    let sum = self.column(field, WindowAggregate::Sum);
                    self.guards.push(Guard::Numbers { sum });
                }
                aggregate_type(field_type, aggregate)?
            }
        };
        let column = self.column(field, aggregate);
        self.outputs.push(Output::Column(column));
        self.types.push(data_type);
        Some(())
    }

    /// The column of an aggregate in the store's answer.
    fn column(&mut self, field: &str, aggregate: WindowAggregate) -> usize {
        let aggregates = &mut self.request.aggregates;
        let known = aggregates.iter().position(|(name, known)| name == field && *known == aggregate);
        let place = known.unwrap_or_else(|| {
            aggregates.push((field.to_owned(), aggregate));
            aggregates.len() - 1
        });
        self.request.group_by.len() + 1 + place
    }
}

/// What a function is of.
enum Argument<'a> {
    /// A constant: every point counts.
    Always,
    Column(&'a str),
    AsFloat(&'a str),
}

fn argument_of(expr: &Arc<dyn PhysicalExpr>) -> Option<Argument<'_>> {
    let any: &dyn Any = expr.as_ref();
    if let Some(literal) = any.downcast_ref::<Literal>() {
        return (!literal.value().is_null()).then_some(Argument::Always);
    }
    if let Some(cast) = any.downcast_ref::<CastExpr>() {
        return column(cast.expr()).filter(|_| cast.cast_type() == &DataType::Float64).map(Argument::AsFloat);
    }
    column(expr).map(Argument::Column)
}

fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    let any: &dyn Any = expr.as_ref();
    any.downcast_ref::<Column>().map(Column::name)
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    let any: &dyn Any = expr.as_ref();
    any.downcast_ref::<Literal>().map(Literal::value)
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The windows of `date_bin(interval, time)`, also with an origin, and of `date_trunc` to units that are always as long.
fn windows(expr: &Arc<dyn PhysicalExpr>) -> Option<Windows> {
    let any: &dyn Any = expr.as_ref();
    let call = any.downcast_ref::<ScalarFunctionExpr>()?;
    match (call.name(), call.args()) {
        ("date_bin", [width, time, origin @ ..]) if column(time) == Some(TIME_COLUMN) => {
            let offset_nanos = match origin {
                [] => 0,
                [origin] => origin_nanos(literal(origin)?)?,
                _ => return None,
            };
            let width_nanos = width_nanos(literal(width)?).filter(|width| *width > 0)?;
            Some(Windows { width_nanos, offset_nanos })
        }
        ("date_trunc", [unit, time]) if column(time) == Some(TIME_COLUMN) => {
            let (width_nanos, offset_nanos) = match literal(unit)?.try_as_str()?? {
                "second" => (SECOND, 0),
                "minute" => (60 * SECOND, 0),
                "hour" => (3_600 * SECOND, 0),
                "day" => (DAY, 0),
                // 1970 began with a Thursday, weeks begin with Monday.
                "week" => (7 * DAY, 4 * DAY),
                _ => return None,
            };
            Some(Windows { width_nanos, offset_nanos })
        }
        _ => None,
    }
}

fn width_nanos(width: &ScalarValue) -> Option<i64> {
    match width {
        ScalarValue::IntervalMonthDayNano(Some(width)) if width.months == 0 => {
            i64::from(width.days).checked_mul(DAY)?.checked_add(width.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(width)) => {
            i64::from(width.days).checked_mul(DAY)?.checked_add(i64::from(width.milliseconds) * 1_000_000)
        }
        _ => None,
    }
}

fn origin_nanos(origin: &ScalarValue) -> Option<i64> {
    match origin {
        ScalarValue::TimestampSecond(Some(value), None) => value.checked_mul(SECOND),
        ScalarValue::TimestampMillisecond(Some(value), None) => value.checked_mul(1_000_000),
        ScalarValue::TimestampMicrosecond(Some(value), None) => value.checked_mul(1_000),
        ScalarValue::TimestampNanosecond(Some(value), None) => Some(*value),
        _ => None,
    }
}
