//! The functions of a field: their arguments, and what they may be beside.

use super::{Compiler, refuse};
use crate::QueryError;
use crate::ast::{Call, Expr};
use crate::condition::kind;
use crate::math;
use crate::text::format_duration;

type Checked = Result<(), QueryError>;

/// One field of a SELECT while it is checked.
pub(super) struct FieldCheck<'a> {
    pub global: &'a mut Compiler,
    pub wildcards_allowed: bool,
}

impl FieldCheck<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Checked {
        match expr {
            Expr::Ref(_) => {
                self.global.has_auxiliary = true;
                Ok(())
            }
            Expr::Wildcard(_) => {
                self.global.has_auxiliary = true;
                if self.wildcards_allowed { Ok(()) } else { refuse("unable to use wildcard in a binary expression") }
            }
            Expr::Regex(_) => {
                if !self.wildcards_allowed {
                    return refuse("unable to use regex in a binary expression");
                }
                self.global.has_auxiliary = true;
                Ok(())
            }
            Expr::Call(call) if math::is_math(&call.name) => self.math(call),
            Expr::Call(call) => {
                self.global.calls += 1;
                self.call(call)
            }
            Expr::Distinct(_) => {
                self.global.calls += 1;
                self.distinct(1, true, false)
            }
            Expr::Binary(binary) => {
                self.wildcards_allowed = false;
                match (binary.left.is_literal(), binary.right.is_literal()) {
                    (true, true) => refuse("cannot perform a binary expression on two literals"),
                    (true, false) => self.expr(&binary.right),
                    (false, true) => self.expr(&binary.left),
                    (false, false) => {
                        self.expr(&binary.left)?;
                        self.expr(&binary.right)
                    }
                }
            }
            Expr::Paren(inner) => self.expr(inner),
            _ => refuse("field must contain at least one variable"),
        }
    }

    fn call(&mut self, call: &Call) -> Checked {
        match call.name.as_str() {
            "percentile" => self.percentile(&call.args),
            "distinct" => self.distinct_call(call, false),
            "top" | "bottom" => self.top_bottom(call),
            "derivative" | "non_negative_derivative" => {
                self.arguments_between(call, 1, 2)?;
                self.unit(call, &format!("second argument to {} must be a duration, got", call.name), true)?;
                self.transformation(call)
            }
            "elapsed" => {
                self.arguments_between(call, 1, 2)?;
                self.unit(call, "second argument to elapsed must be a duration, got", true)?;
                self.transformation(call)
            }
            "difference" | "non_negative_difference" | "cumulative_sum" => {
                self.arguments(call, 1)?;
                self.transformation(call)
            }
            "moving_average" => {
                self.arguments(call, 2)?;
                match &call.args[1] {
                    Expr::Integer(size) if *size <= 1 => {
                        refuse(format!("moving_average window must be greater than 1, got {size}"))
                    }
                    Expr::Integer(_) => self.transformation(call),
                    other => refuse(format!(
                        "second argument for moving_average must be an integer, got *influxql.{}",
                        kind(other)
                    )),
                }
            }
            "integral" => {
                self.arguments_between(call, 1, 2)?;
                self.unit(call, "second argument must be a duration", false)?;
                self.global.only_selectors = false;
                self.symbol("integral", &call.args[0])
            }
            _ => self.function(call),
        }
    }

    fn arguments(&self, call: &Call, expected: usize) -> Checked {
        if call.args.len() == expected {
            return Ok(());
        }
        refuse(format!("invalid number of arguments for {}, expected {expected}, got {}", call.name, call.args.len()))
    }

    fn arguments_between(&self, call: &Call, min: usize, max: usize) -> Checked {
        if (min..=max).contains(&call.args.len()) {
            return Ok(());
        }
        refuse(format!(
            "invalid number of arguments for {}, expected at least {min} but no more than {max}, got {}",
            call.name,
            call.args.len()
        ))
    }

    fn unit(&self, call: &Call, message: &str, with_kind: bool) -> Checked {
        match call.args.get(1) {
            None => Ok(()),
            Some(Expr::Duration(unit)) if *unit <= 0 => {
                refuse(format!("duration argument must be positive, got {}", format_duration(*unit)))
            }
            Some(Expr::Duration(_)) => Ok(()),
            Some(other) if with_kind => refuse(format!("{message} *influxql.{}", kind(other))),
            Some(_) => refuse(message),
        }
    }

    /// A function over points or over the windows of another function.
    fn transformation(&mut self, call: &Call) -> Checked {
        self.global.only_selectors = false;
        let name = &call.name;
        match &call.args[0] {
            Expr::Call(inner) => {
                if self.global.interval.is_none() {
                    return refuse(format!("{name} aggregate requires a GROUP BY interval"));
                } else if inner.name == "distinct" {
                    return self.distinct_call(inner, true);
                }
                self.expr(&call.args[0])
            }
            other => {
                if !self.global.interval.is_none() && !self.global.inherited_interval {
                    return refuse(format!("aggregate function required inside the call to {name}"));
                }
                self.symbol(name, other)
            }
        }
    }

    fn symbol(&mut self, name: &str, field: &Expr) -> Checked {
        match field {
            Expr::Ref(_) => Ok(()),
            Expr::Wildcard(_) if !self.wildcards_allowed => {
                refuse(format!("unsupported expression with wildcard: {name}()"))
            }
            Expr::Regex(_) if !self.wildcards_allowed => {
                refuse(format!("unsupported expression with regex field: {name}()"))
            }
            Expr::Wildcard(_) | Expr::Regex(_) => {
                self.global.only_selectors = false;
                Ok(())
            }
            _ => refuse(format!("expected field argument in {name}()")),
        }
    }

    fn function(&mut self, call: &Call) -> Checked {
        match call.name.as_str() {
            "max" | "min" | "first" | "last" => {}
            "count" | "sum" | "mean" | "median" | "mode" | "stddev" | "spread" => self.global.only_selectors = false,
            name if NOT_OFFERED.contains(&name) => {
                return refuse(format!("function {name}() of InfluxDB is not offered; see docs/influxql.md"));
            }
            name => return refuse(format!("undefined function {name}()")),
        }
        self.arguments(call, 1)?;
        match (&call.args[0], call.name.as_str()) {
            (Expr::Call(inner), "count") if inner.name == "distinct" => self.distinct_call(inner, true),
            (Expr::Distinct(_), "count") => self.distinct(1, true, true),
            (field, name) => self.symbol(name, field),
        }
    }

    fn percentile(&mut self, args: &[Expr]) -> Checked {
        if args.len() != 2 {
            return refuse(format!("invalid number of arguments for percentile, expected 2, got {}", args.len()));
        } else if !matches!(args[1], Expr::Integer(_) | Expr::Number(_)) {
            return refuse("expected float argument in percentile()");
        }
        self.symbol("percentile", &args[0])
    }

    fn distinct_call(&mut self, call: &Call, nested: bool) -> Checked {
        self.distinct(call.args.len(), matches!(call.args.first(), Some(Expr::Ref(_))), nested)
    }

    fn distinct(&mut self, arguments: usize, of_field: bool, nested: bool) -> Checked {
        if arguments == 0 {
            return refuse("distinct function requires at least one argument");
        } else if arguments != 1 {
            return refuse("distinct function can only have one argument");
        } else if !of_field {
            return refuse("expected field argument in distinct()");
        }
        self.global.has_distinct |= !nested;
        self.global.only_selectors = false;
        Ok(())
    }

    fn top_bottom(&mut self, call: &Call) -> Checked {
        if let Some(name) = &self.global.top_bottom {
            return refuse(format!("selector function {name}() cannot be combined with other functions"));
        }
        let name = &call.name;
        let [field, tags @ .., last] = call.args.as_slice() else {
            let got = call.args.len();
            return refuse(format!("invalid number of arguments for {name}, expected at least 2, got {got}"));
        };
        let limit = match last {
            Expr::Integer(limit) => *limit,
            other => return refuse(format!("expected integer as last argument in {name}(), found {other}")),
        };
        if limit <= 0 {
            return refuse(format!("limit ({limit}) in {name} function must be at least 1"));
        } else if self.global.limit > 0 && limit as u64 > self.global.limit as u64 {
            return refuse(format!(
                "limit ({limit}) in {name} function can not be larger than the LIMIT ({}) in the select statement",
                self.global.limit
            ));
        } else if !matches!(field, Expr::Ref(_)) {
            return refuse(format!("expected first argument to be a field in {name}(), found {field}"));
        }
        for tag in tags {
            if !matches!(tag, Expr::Ref(_)) {
                return refuse(format!("only fields or tags are allowed in {name}(), found {tag}"));
            }
            if !self.global.has_target {
                self.global.fields += 1;
                self.global.has_auxiliary = true;
            }
        }
        self.global.top_bottom = Some(name.clone());
        Ok(())
    }

    fn math(&mut self, call: &Call) -> Checked {
        self.arguments(call, math::argument_count(&call.name))?;
        for arg in call.args.iter().filter(|arg| !arg.is_literal()) {
            self.expr(arg)?;
        }
        Ok(())
    }
}

/// Functions of InfluxDB 1.6 that are left out.
const NOT_OFFERED: [&str; 11] = [
    "sample",
    "holt_winters",
    "holt_winters_with_fit",
    "exponential_moving_average",
    "double_exponential_moving_average",
    "triple_exponential_moving_average",
    "relative_strength_index",
    "triple_exponential_derivative",
    "kaufmans_efficiency_ratio",
    "kaufmans_adaptive_moving_average",
    "chande_momentum_oscillator",
];
