//! The functions that stand for a window's bounds in a plan, and how a window is read back from them.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use operators::{WindowKind, WindowSpec};

/// The type of event time: milliseconds, as Flink's `TIMESTAMP(3)`.
pub(crate) const TIME_TYPE: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// All of them, and `window_time`.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = vec![Arc::new(ScalarUDF::from(WindowTime::new()))];
    for kind in ["tumble", "hop", "session", "cumulate"] {
        for bound in ["start", "end"] {
            functions.push(Arc::new(ScalarUDF::from(WindowBound::new(kind, bound))));
        }
    }
    functions
}

/// `tumble_start(ts, size)`, `hop_end(ts, slide, size)`, ...: only the planner understands it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowBound {
    name: String,
    signature: Signature,
}

impl WindowBound {
    fn new(kind: &str, bound: &str) -> Self {
        // Volatile, so that no rule moves it, folds it or computes it apart.
        let signature = Signature::variadic_any(Volatility::Volatile);
        WindowBound { name: format!("{kind}_{bound}"), signature }
    }
}

impl ScalarUDFImpl for WindowBound {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(DataType::Timestamp(_, _)) => Ok(TIME_TYPE),
            Some(other) => plan_err!("a window needs a time column such as rowtime, found {other}"),
            None => plan_err!("{} has no arguments; the first is a time column such as rowtime", self.name),
        }
    }

    /// A row is in one tumbling window, so its bounds are values of the row; in any other window they are not.
    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (kind, bound) = self.name.split_once('_').unwrap_or_default();
        if kind != "tumble" {
            let (kind, bound) = (kind.to_uppercase(), bound.to_uppercase());
            return exec_err!("{kind}_{bound} has a value only where the query groups by {kind}");
        }
        let length = |at: usize| match arguments.args.get(at) {
            Some(ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(interval)))) => Ok(fixed_ms(interval)?),
            _ => exec_err!("a window's length is a constant such as INTERVAL '1' MINUTE"),
        };
        let size = length(1)?;
        let offset = if arguments.args.len() > 2 { length(2)? } else { 0 };
        if size <= 0 {
            return exec_err!("a window's size must be longer than zero");
        }
        let times = arguments.args[0].to_array(arguments.number_rows)?;
        let times = arrow::compute::cast(&times, &TIME_TYPE)?;
        let times = datafusion::common::cast::as_timestamp_millisecond_array(&times)?;
        let added = if bound == "end" { size } else { 0 };
        let bounds = times.unary::<_, arrow::datatypes::TimestampMillisecondType>(|time| {
            time.wrapping_sub(time.wrapping_sub(offset).rem_euclid(size)).wrapping_add(added)
        });
        Ok(ColumnarValue::Array(Arc::new(bounds)))
    }
}

/// `window_time(window_end)`: one millisecond before the end, the rowtime of a window's result.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowTime {
    signature: Signature,
}

impl WindowTime {
    fn new() -> Self {
        WindowTime { signature: Signature::exact(vec![TIME_TYPE], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WindowTime {
    fn name(&self) -> &str {
        "window_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(TIME_TYPE)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ends = arguments.args[0].to_array(arguments.number_rows)?;
        let ends = datafusion::common::cast::as_timestamp_millisecond_array(&ends)?;
        let times = ends.unary::<_, arrow::datatypes::TimestampMillisecondType>(|end| end - 1);
        Ok(ColumnarValue::Array(Arc::new(times)))
    }
}

/// Which bound of a window an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Start,
    End,
}

/// A window read from a call of one of the functions: the bound, the window, and the time it is about.
pub(crate) fn window_of(expr: &Expr) -> Result<Option<(Bound, WindowSpec, &Expr)>> {
    let expr = unaliased(expr);
    let Expr::ScalarFunction(call) = expr else { return Ok(None) };
    let name = call.func.name();
    let Some((kind, bound)) = name.split_once('_') else { return Ok(None) };
    let bound = match bound {
        "start" => Bound::Start,
        "end" => Bound::End,
        _ => return Ok(None),
    };
    if !["tumble", "hop", "session", "cumulate"].contains(&kind) {
        return Ok(None);
    }
    let millis = |at: usize| match call.args.get(at) {
        Some(expr) => interval_ms(expr).map(Some),
        None => Ok(None),
    };
    let required = |at: usize| -> Result<i64> {
        match millis(at)? {
            Some(millis) => Ok(millis),
            None => plan_err!("{} needs another interval", kind.to_uppercase()),
        }
    };
    let (kind, offset) = match kind {
        "tumble" => (WindowKind::Tumble { size_ms: required(1)? }, millis(2)?),
        "session" if call.args.len() > 2 && session_keys(expr).is_none() => {
            return plan_err!("SESSION has too many arguments; write SESSION(rowtime, INTERVAL '10' MINUTE)");
        }
        "session" => (WindowKind::Session { gap_ms: required(1)? }, None),
        "hop" => (WindowKind::Hop { slide_ms: required(1)?, size_ms: required(2)? }, millis(3)?),
        _ => (WindowKind::Cumulate { step_ms: required(1)?, size_ms: required(2)? }, millis(3)?),
    };
    let Some(time) = call.args.first() else { return plan_err!("a window needs a time column such as rowtime") };
    match WindowSpec::new(kind, offset.unwrap_or(0)) {
        Ok(spec) => Ok(Some((bound, spec, time))),
        Err(error) => plan_err!("{error}"),
    }
}

pub(crate) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// In a session's call: what follows are the keys that the sessions are of. Without it they are of the query's keys.
pub(crate) const SESSIONS_PER: &str = "sessions per";

/// The keys of `SESSION(TABLE t PARTITION BY keys, ...)`; `None` where sessions are of the keys of GROUP BY.
pub(crate) fn session_keys(expr: &Expr) -> Option<&[Expr]> {
    let Expr::ScalarFunction(call) = unaliased(expr) else { return None };
    if call.func.name() == "window_time" {
        return session_keys(call.args.first()?);
    }
    let (marker, keys) = call.args.get(2..)?.split_first()?;
    let marked = matches!(
        unaliased(marker),
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) if text == SESSIONS_PER
    );
    (marked && call.func.name().starts_with("session_")).then_some(keys)
}

/// A call of a window's bound that is no value of a row, as the query would write it; `None` if there is none in `expr`.
pub(crate) fn unevaluable(expr: &Expr) -> Result<Option<String>> {
    let mut found = None;
    expr.apply(|node| {
        if let Some((_, spec, _)) = window_of(node)?
            && !matches!(spec.kind(), WindowKind::Tumble { .. })
            && let Expr::ScalarFunction(call) = unaliased(node)
        {
            found = Some(call.func.name().to_uppercase());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn interval_ms(expr: &Expr) -> Result<i64> {
    if let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = unaliased(expr) {
        return fixed_ms(interval);
    }
    plan_err!("a window's length is a constant such as INTERVAL '1' MINUTE, found {expr}")
}

fn fixed_ms(interval: &IntervalMonthDayNano) -> Result<i64> {
    if interval.months != 0 {
        return plan_err!("a window cannot be measured in months, which differ in length; use days");
    }
    Ok(i64::from(interval.days) * 86_400_000 + interval.nanoseconds / 1_000_000)
}
