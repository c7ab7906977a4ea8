//! A SELECT is checked before anything is read: which functions are called how, and what goes together.

mod calls;

use chrono_tz::Tz;

use crate::QueryError;
use crate::ast::{Call, DataType, Expr, Field, Fill, Select, Source, VarRef};
use crate::condition::{TimeBounds, split};
use crate::math;
use crate::reduce::{Known, reduce};
use crate::time::{MAX_TIME, MIN_TIME, parse_time};

/// `GROUP BY time(duration, offset)`; a duration of 0 is none. Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub duration: i64,
    pub offset: i64,
}

impl Interval {
    pub fn is_none(self) -> bool {
        self.duration == 0
    }
}

/// A statement that has been found good.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Its condition is without times.
    pub select: Select,
    /// Nanoseconds, both included.
    pub start: i64,
    pub end: i64,
    pub interval: Interval,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::new(text))
}

/// Checks a statement. `now` in nanoseconds.
pub fn compile(select: &Select, now: i64) -> Result<Compiled, QueryError> {
    let mut select = select.clone();
    let mut compiler = Compiler::new(&mut select, now)?;
    compiler.resolve_bounds(now);
    compiler.compile(&mut select, now)?;
    select.condition = compiler.condition.clone();
    select.time_alias = compiler.time_alias.clone();
    rewrite_distinct(&mut select);
    drop_time_fields(&mut select);
    let interval = compiler.interval;
    let (start, end) = (compiler.bounds.min.unwrap_or(MIN_TIME), compiler.bounds.max.unwrap_or(MAX_TIME));
    Ok(Compiled { select, start, end, interval })
}

/// `DISTINCT field` becomes `distinct(field)`.
fn rewrite_distinct(select: &mut Select) {
    let call = |name: &str| {
        Expr::Call(Call { name: "distinct".into(), args: vec![Expr::Ref(VarRef::new(name, DataType::Unknown))] })
    };
    for field in &mut select.fields {
        if let Expr::Distinct(name) = &field.expr {
            field.expr = call(name);
            select.raw = false;
        }
        field.expr.walk_mut(&mut |expr| {
            if let Expr::Call(outer) = expr {
                for arg in &mut outer.args {
                    if let Expr::Distinct(name) = arg {
                        *arg = call(name);
                    }
                }
            }
        });
    }
}

fn is_time_field(field: &Field) -> bool {
    matches!(&field.expr, Expr::Ref(reference) if reference.name == "time")
}

fn drop_time_fields(select: &mut Select) {
    select.fields.retain(|field| !is_time_field(field));
}

/// What is found out about a statement while it is checked.
struct Compiler {
    condition: Option<Expr>,
    bounds: TimeBounds,
    interval: Interval,
    inherited_interval: bool,
    ascending: bool,
    /// Calls of functions that are not mathematical.
    calls: usize,
    only_selectors: bool,
    has_distinct: bool,
    fill: Fill,
    top_bottom: Option<String>,
    has_auxiliary: bool,
    fields: usize,
    time_alias: String,
    limit: usize,
    has_target: bool,
}

impl Compiler {
    fn new(select: &mut Select, now: i64) -> Result<Self, QueryError> {
        let known = Known { now: Some(now), zone: select.zone, math: false };
        let (condition, bounds) = split(select.condition.as_ref(), known)?;
        if let Some(condition) = &condition {
            validate_condition(condition)?;
        }
        let mut compiler = Self {
            condition,
            bounds,
            interval: Interval::default(),
            inherited_interval: false,
            ascending: select.ascending(),
            calls: 0,
            only_selectors: true,
            has_distinct: false,
            fill: select.fill,
            top_bottom: None,
            has_auxiliary: false,
            fields: 0,
            time_alias: String::new(),
            limit: select.limit,
            has_target: select.target.is_some(),
        };
        compiler.dimensions(select, now)?;
        Ok(compiler)
    }

    fn resolve_bounds(&mut self, now: i64) {
        self.bounds.min.get_or_insert(MIN_TIME);
        self.bounds.max.get_or_insert(if self.interval.is_none() { MAX_TIME } else { now });
    }

    fn compile(&mut self, select: &mut Select, now: i64) -> Result<(), QueryError> {
        for field in &mut select.fields {
            if is_time_field(field) {
                if !field.alias.is_empty() {
                    self.time_alias = field.alias.clone();
                }
                continue;
            }
            field.expr = reduce(&field.expr, Known { math: true, ..Known::default() });
            self.fields += 1;
            calls::FieldCheck { global: self, wildcards_allowed: true }.expr(&field.expr)?;
        }
        self.validate_fields()?;
        for source in &mut select.sources {
            if let Source::Subquery(inner) = source {
                inner.omit_time = true;
                self.subquery(inner, now)?;
            }
        }
        Ok(())
    }

    fn subquery(&self, select: &mut Select, now: i64) -> Result<(), QueryError> {
        let mut inner = Self::new(select, now)?;
        inner.resolve_bounds(now);
        let known = Known { now: Some(now), zone: select.zone, math: true };
        select.condition = select.condition.as_ref().map(|condition| reduce(condition, known));
        if select.order.is_some_and(|ascending| ascending != self.ascending) {
            return refuse("subqueries must be ordered in the same direction as the query itself");
        }
        inner.ascending = self.ascending;
        inner.bounds = inner.bounds.and(self.bounds);
        if !inner.interval.is_none() && inner.fill == Fill::Null {
            inner.fill = Fill::None;
        }
        if !self.interval.is_none() && inner.interval.is_none() {
            inner.interval = self.interval;
            inner.inherited_interval = true;
        }
        inner.compile(select, now)?;
        rewrite_distinct(select);
        drop_time_fields(select);
        Ok(())
    }

    fn dimensions(&mut self, select: &mut Select, now: i64) -> Result<(), QueryError> {
        for dimension in &mut select.dimensions {
            let mut expr = reduce(dimension, Known::default());
            match &mut expr {
                Expr::Ref(reference) if reference.name.eq_ignore_ascii_case("time") => {
                    return refuse("time() is a function and expects at least one argument");
                }
                Expr::Call(call) => self.time_dimension(call, select.zone, now)?,
                Expr::Ref(_) | Expr::Wildcard(_) | Expr::Regex(_) => {}
                _ => return refuse("only time and tag dimensions allowed"),
            }
            *dimension = expr;
        }
        Ok(())
    }

    fn time_dimension(&mut self, call: &mut Call, zone: Option<Tz>, now: i64) -> Result<(), QueryError> {
        if call.name != "time" {
            return refuse("only time() calls allowed in dimensions");
        } else if call.args.is_empty() || call.args.len() > 2 {
            return refuse("time dimension expected 1 or 2 arguments");
        }
        let Expr::Duration(duration) = call.args[0] else {
            return refuse("time dimension must have duration argument");
        };
        if self.interval.duration != 0 {
            return refuse("multiple time dimensions not allowed");
        } else if duration < 0 {
            // InfluxDB takes it for no interval at all.
            return Ok(());
        }
        self.interval.duration = duration;
        let Some(offset) = call.args.get(1) else { return Ok(()) };
        let since_window = |nanos: i128| match i128::from(duration) {
            0 => 0,
            // Windows are counted from the year 1 there.
            duration => (nanos + 62_135_596_800_000_000_000).rem_euclid(duration) as i64,
        };
        self.interval.offset = match offset {
            Expr::Duration(offset) => offset.checked_rem(duration).unwrap_or(0),
            Expr::Time(time) => since_window(*time),
            Expr::Call(now_call) if now_call.name != "now" => {
                return refuse("time dimension offset function must be now()");
            }
            Expr::Call(now_call) if !now_call.args.is_empty() => {
                return refuse("time dimension offset now() function requires no arguments");
            }
            Expr::Call(_) => since_window(now.into()),
            Expr::Text(text) if crate::time::is_time_text(text) => match parse_time(text, zone) {
                Some(time) => since_window(time),
                None => return refuse("invalid timestamp string"),
            },
            _ => return refuse("time dimension offset must be duration or now()"),
        };
        if matches!(offset, Expr::Text(_)) {
            // InfluxDB finds it good here, and cannot use it later.
            return refuse(format!("invalid time dimension offset: {offset}"));
        }
        call.args[1] = Expr::Duration(self.interval.offset);
        Ok(())
    }

    fn validate_fields(&self) -> Result<(), QueryError> {
        if self.fields == 0 {
            return refuse("at least 1 non-time field must be queried");
        }
        if let Some(name) = self.top_bottom.as_deref().filter(|_| self.calls > 1) {
            return refuse(format!("selector function {name}() cannot be combined with other functions"));
        } else if self.calls == 0 {
            match self.fill {
                Fill::None => return refuse("fill(none) must be used with a function"),
                Fill::Linear => return refuse("fill(linear) must be used with a function"),
                _ => {}
            }
            if !self.interval.is_none() && !self.inherited_interval {
                return refuse("GROUP BY requires at least one aggregate function");
            }
        }
        if self.has_distinct && (self.calls != 1 || self.has_auxiliary) {
            return refuse("aggregate function distinct() cannot be combined with other functions or fields");
        }
        if self.has_auxiliary {
            if !self.only_selectors {
                return refuse("mixing aggregate and non-aggregate queries is not supported");
            } else if self.calls > 1 {
                return refuse("mixing multiple selector functions with tags or fields is not supported");
            }
        }
        Ok(())
    }
}

fn validate_condition(condition: &Expr) -> Result<(), QueryError> {
    match condition {
        Expr::Binary(binary) => {
            validate_condition(&binary.left)?;
            validate_condition(&binary.right)
        }
        Expr::Call(call) => {
            if !math::is_math(&call.name) {
                return refuse(format!("invalid function call in condition: {condition}"));
            }
            let expected = if matches!(call.name.as_str(), "atan2" | "pow") { 2 } else { 1 };
            if call.args.len() != expected {
                return refuse(format!(
                    "invalid number of arguments for {}, expected {expected}, got {}",
                    call.name,
                    call.args.len()
                ));
            }
            call.args.iter().try_for_each(validate_condition)
        }
        _ => Ok(()),
    }
}
