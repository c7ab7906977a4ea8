//! The fields of a SELECT as what is read for them and what is made of it.

use super::functions::Function;
use super::level::Level;
use super::transform::Transform;
use crate::QueryError;
use crate::ast::{Call, DataType, Expr, Field, Fill, Select, VarRef, sort_references};
use crate::math;

/// A function over windows of a column's points, within its own bounds of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    pub function: Function,
    /// Place of the column among those that are read.
    pub column: usize,
    pub start: i64,
    pub end: i64,
    /// Whether what else is selected is wanted of the chosen points.
    pub auxiliary: bool,
}

/// How the sequence of a call comes about.
#[derive(Clone, Debug)]
pub enum Node {
    Base(usize),
    /// The number of results in each window.
    Counted(usize),
    /// Times become starts of windows.
    AtWindows(Box<Node>),
    Filled {
        input: Box<Node>,
        fill: Fill,
        start: i64,
        end: i64,
    },
    Transformed {
        input: Box<Node>,
        transform: Transform,
    },
}

/// Where the value of a symbol in a field comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A call, by its place; `None` if its field is not known at all.
    Call(Option<usize>),
    /// Place among what else is selected.
    Auxiliary(usize),
}

#[derive(Clone, Debug)]
pub struct Symbol {
    pub origin: Origin,
    pub data_type: DataType,
    text: String,
}

/// A SELECT, ready to be executed.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is read: first what is selected beside functions, then their arguments.
    pub columns: Vec<VarRef>,
    /// How many of the columns are selected beside functions.
    pub auxiliary: usize,
    pub bases: Vec<Base>,
    pub calls: Vec<Node>,
    pub symbols: Vec<Symbol>,
    /// Fields whose references are numbers of symbols.
    pub fields: Vec<Expr>,
    pub names: Vec<String>,
    /// The tags of `top(field, tags, n)`, and `n`'s function.
    pub ranked: Option<(Vec<String>, Function)>,
    /// No function is called.
    pub raw: bool,
}

impl Plan {
    pub fn new(select: &Select, level: &Level) -> Result<Self, QueryError> {
        let mut plan = Self { names: select.column_names(), ..Self::default() };
        let mut fields: Vec<Field> = Vec::new();
        for field in &select.fields {
            fields.push(field.clone());
            fields.extend(field.top_bottom_tags().into_iter().map(|tag| Field::new(Expr::Ref(tag))));
        }
        let (mut calls, mut references) = (Vec::<Call>::new(), Vec::<VarRef>::new());
        for field in &fields {
            collect(&field.expr, &mut calls, &mut references);
        }
        sort_references(&mut references);
        plan.raw = calls.is_empty();
        plan.auxiliary = references.len();
        plan.columns = references;
        let selector = matches!(calls.as_slice(), [call] if is_selector(call));
        for call in &calls {
            let data_type = call_type(call)?;
            let origin = if data_type == DataType::Unknown {
                None
            } else {
                let bounds = (level.start, level.end);
                let node = plan.call(call, level, bounds, selector)?;
                plan.calls.push(node);
                Some(plan.calls.len() - 1)
            };
            plan.symbols.push(Symbol { origin: Origin::Call(origin), data_type, text: call_text(call) });
        }
        for place in 0..plan.auxiliary {
            let reference = &plan.columns[place];
            plan.symbols.push(Symbol {
                origin: Origin::Auxiliary(place),
                data_type: reference.data_type,
                text: Expr::Ref(reference.clone()).to_string(),
            });
        }
        plan.fields = fields.iter().map(|field| plan.symbolic(&field.expr)).collect();
        Ok(plan)
    }

    /// The expression with its calls and references as numbers of symbols.
    fn symbolic(&self, expr: &Expr) -> Expr {
        let symbol = |text: String| {
            let place = self.symbols.iter().position(|symbol| symbol.text == text);
            Expr::reference(place.map_or_else(String::new, |place| place.to_string()))
        };
        match expr {
            Expr::Call(call) if math::is_math(&call.name) => {
                Expr::Call(Call { name: call.name.clone(), args: call.args.iter().map(|a| self.symbolic(a)).collect() })
            }
            Expr::Call(call) => symbol(call_text(call)),
            Expr::Ref(_) => symbol(expr.to_string()),
            Expr::Binary(binary) => Expr::binary(binary.op, self.symbolic(&binary.left), self.symbolic(&binary.right)),
            Expr::Paren(inner) => Expr::Paren(Box::new(self.symbolic(inner))),
            other => other.clone(),
        }
    }

    fn column(&mut self, reference: &VarRef) -> usize {
        match self.columns.iter().position(|known| known == reference) {
            Some(place) => place,
            None => {
                self.columns.push(reference.clone());
                self.columns.len() - 1
            }
        }
    }

    fn base(&mut self, function: Function, field: Option<&Expr>, (start, end): (i64, i64)) -> Result<Node, QueryError> {
        let Some(Expr::Ref(reference)) = field else {
            return Err(QueryError::new("a function of a window takes the name of a field"));
        };
        // A tag is no argument of a function, unless a query within this one gives it as a field.
        let known = !matches!(reference.data_type, DataType::Tag | DataType::Unknown);
        let reference = VarRef::new(&reference.name, if known { reference.data_type } else { DataType::AnyField });
        let column = self.column(&reference);
        let chooses = matches!(
            function,
            Function::Min
                | Function::Max
                | Function::First
                | Function::Last
                | Function::Percentile(_)
                | Function::Top(_)
                | Function::Bottom(_)
        );
        let base = Base { function, column, start, end, auxiliary: chooses && self.auxiliary > 0 };
        let place = self.bases.iter().position(|known| *known == base).unwrap_or_else(|| {
            self.bases.push(base);
            self.bases.len() - 1
        });
        Ok(Node::Base(place))
    }

    fn call(&mut self, call: &Call, level: &Level, bounds: (i64, i64), selector: bool) -> Result<Node, QueryError> {
        let argument = call.args.first();
        let unit = |default: i64| match call.args.get(1) {
            Some(Expr::Duration(unit)) => *unit,
            _ => default,
        };
        let interval = level.interval.duration;
        let slope_unit = unit(if interval > 0 { interval } else { 1_000_000_000 });
        let transform = match call.name.as_str() {
            "derivative" => Transform::Derivative { unit: slope_unit, non_negative: false },
            "non_negative_derivative" => Transform::Derivative { unit: slope_unit, non_negative: true },
            "difference" => Transform::Difference { non_negative: false },
            "non_negative_difference" => Transform::Difference { non_negative: true },
            "elapsed" => Transform::Elapsed { unit: unit(1) },
            "cumulative_sum" => Transform::CumulativeSum,
            "integral" => Transform::Integral { unit: unit(1_000_000_000) },
            "moving_average" => match call.args.get(1) {
                Some(Expr::Integer(size)) => Transform::MovingAverage { size: usize::try_from(*size).unwrap_or(1) },
                _ => return Err(QueryError::new("moving_average needs the size of its window")),
            },
            _ => return self.aggregate(call, level, bounds, selector),
        };
        let steps = !matches!(transform, Transform::CumulativeSum | Transform::Integral { .. });
        let bounds = match (steps && interval > 0, level.ascending) {
            (false, _) => bounds,
            (true, true) => (bounds.0.saturating_sub(interval), bounds.1),
            (true, false) => (bounds.0, bounds.1.saturating_add(interval)),
        };
        let input = match argument {
            Some(Expr::Call(inner)) => self.call(inner, level, bounds, selector)?,
            field => self.base(Function::Points, field, bounds)?,
        };
        Ok(Node::Transformed { input: Box::new(input), transform })
    }

    fn aggregate(
        &mut self,
        call: &Call,
        level: &Level,
        bounds: (i64, i64),
        selector: bool,
    ) -> Result<Node, QueryError> {
        let field = call.args.first();
        let count = || match call.args.last() {
            Some(Expr::Integer(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
            _ => 0,
        };
        let function = match call.name.as_str() {
            "distinct" => {
                return Ok(Node::AtWindows(Box::new(self.base(Function::Distinct, field, bounds)?)));
            }
            "top" | "bottom" => return self.ranked(call, count(), bounds),
            "count" => match field {
                Some(Expr::Call(inner)) => {
                    let base = self.base(Function::Distinct, inner.args.first(), bounds)?;
                    let Node::Base(base) = base else { return Ok(base) };
                    return Ok(finish(Node::Counted(base), call, level, bounds, selector));
                }
                _ => Function::Count,
            },
            "sum" => Function::Sum,
            "mean" => Function::Mean,
            "min" => Function::Min,
            "max" => Function::Max,
            "first" => Function::First,
            "last" => Function::Last,
            "spread" => Function::Spread,
            "stddev" => Function::Stddev,
            "median" => Function::Median,
            "mode" => Function::Mode,
            "percentile" => match call.args.get(1) {
                Some(Expr::Number(percentile)) => Function::Percentile(*percentile),
                Some(Expr::Integer(percentile)) => Function::Percentile(*percentile as f64),
                _ => Function::Percentile(0.0),
            },
            name => return Err(QueryError::new(format!("unsupported call: {name}"))),
        };
        let base = self.base(function, field, bounds)?;
        Ok(finish(base, call, level, bounds, selector))
    }

    fn ranked(&mut self, call: &Call, count: usize, bounds: (i64, i64)) -> Result<Node, QueryError> {
        let function = if call.name == "top" { Function::Top(count) } else { Function::Bottom(count) };
        let tags = call.args[1..].iter().filter_map(|arg| match arg {
            Expr::Ref(reference) => Some(reference.name.clone()),
            _ => None,
        });
        let tags: Vec<String> = tags.collect();
        if tags.is_empty() {
            return self.base(function, call.args.first(), bounds);
        }
        self.ranked = Some((tags, function));
        let best = if call.name == "top" { Function::Max } else { Function::Min };
        self.base(best, call.args.first(), bounds)
    }
}

fn finish(node: Node, call: &Call, level: &Level, (start, end): (i64, i64), selector: bool) -> Node {
    if selector && level.interval.is_none() {
        return node;
    }
    let input = Box::new(Node::AtWindows(Box::new(node)));
    if level.interval.is_none() || level.fill == Fill::None {
        return *input;
    }
    let fill = if level.fill == Fill::Null && call.name == "count" { Fill::Integer(0) } else { level.fill };
    Node::Filled { input, fill, start, end }
}

fn call_text(call: &Call) -> String {
    Expr::Call(call.clone()).to_string()
}

fn is_selector(call: &Call) -> bool {
    matches!(call.name.as_str(), "first" | "last" | "min" | "max" | "percentile" | "top" | "bottom")
}

fn collect(expr: &Expr, calls: &mut Vec<Call>, references: &mut Vec<VarRef>) {
    match expr {
        Expr::Call(call) if math::is_math(&call.name) => {
            call.args.iter().for_each(|arg| collect(arg, calls, references));
        }
        Expr::Call(call) if !calls.iter().any(|known| call_text(known) == call_text(call)) => calls.push(call.clone()),
        Expr::Ref(reference) if !references.contains(reference) => references.push(reference.clone()),
        Expr::Binary(binary) => {
            collect(&binary.left, calls, references);
            collect(&binary.right, calls, references);
        }
        Expr::Paren(inner) => collect(inner, calls, references),
        _ => {}
    }
}

/// The type of a call whose references have their types.
fn call_type(call: &Call) -> Result<DataType, QueryError> {
    let mut args = Vec::with_capacity(call.args.len());
    for arg in &call.args {
        args.push(match arg {
            Expr::Ref(reference) => reference.data_type,
            Expr::Call(inner) => call_type(inner)?,
            Expr::Number(_) => DataType::Float,
            Expr::Integer(_) => DataType::Integer,
            _ => DataType::Unknown,
        });
    }
    crate::types::call_type(call, &args).map_err(QueryError::new)
}
