//! A WHERE clause as a range of times and a condition on the rest.

use crate::QueryError;
use crate::ast::Expr;
use crate::reduce::{Known, reduce, reduce_binary, reduce_inner};
use crate::text::format_time;
use crate::time::{MAX_TIME, MIN_TIME, parse_time};
use crate::token::Token;

/// Nanoseconds, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBounds {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

impl TimeBounds {
    pub fn and(self, other: Self) -> Self {
        let max = match (self.max, other.max) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { min: self.min.max(other.min), max }
    }
}

/// Takes comparisons of `time` out of a condition. Times are bounds of the whole, also where they stand beside OR.
pub fn split(condition: Option<&Expr>, known: Known) -> Result<(Option<Expr>, TimeBounds), QueryError> {
    let Some(condition) = condition else { return Ok((None, TimeBounds::default())) };
    let (rest, bounds) = split_inner(condition, known)?;
    let rest = match rest {
        Some(Expr::Paren(inner)) => Some(*inner),
        other => other,
    };
    Ok((rest.filter(|rest| *rest != Expr::Boolean(true)), bounds))
}

fn split_inner(condition: &Expr, known: Known) -> Result<(Option<Expr>, TimeBounds), QueryError> {
    match condition {
        Expr::Binary(binary) if matches!(binary.op, Token::And | Token::Or) => {
            let (left, left_bounds) = split_inner(&binary.left, known)?;
            let (right, right_bounds) = split_inner(&binary.right, known)?;
            let bounds = left_bounds.and(right_bounds);
            let rest = match (left, right) {
                (Some(left), Some(right)) => {
                    let none = Known::default();
                    Some(reduce_binary(binary.op, reduce_inner(&left, none), reduce_inner(&right, none), none))
                }
                (left, right) => left.or(right),
            };
            Ok((rest, bounds))
        }
        Expr::Binary(binary) => {
            if is_time(&binary.left) {
                return Ok((None, bounds(binary.op, &binary.right, known)?));
            } else if is_time(&binary.right) {
                let op = match binary.op {
                    Token::Gt => Token::Lt,
                    Token::Lt => Token::Gt,
                    Token::Gte => Token::Lte,
                    Token::Lte => Token::Gte,
                    other => other,
                };
                return Ok((None, bounds(op, &binary.left, known)?));
            }
            Ok((Some(reduce_inner(condition, known)), TimeBounds::default()))
        }
        Expr::Paren(inner) => {
            let (rest, bounds) = split_inner(inner, known)?;
            Ok((rest.map(|rest| reduce_inner(&Expr::Paren(Box::new(rest)), Known::default())), bounds))
        }
        Expr::Boolean(_) => Ok((Some(condition.clone()), TimeBounds::default())),
        other => Err(QueryError::new(format!("invalid condition expression: {other}"))),
    }
}

/// Whether a condition speaks of time.
pub fn has_time(condition: Option<&Expr>) -> bool {
    let mut found = false;
    if let Some(condition) = condition {
        condition.walk(&mut |expr| found |= is_time(expr));
    }
    found
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Ref(reference) if reference.name.eq_ignore_ascii_case("time"))
}

fn bounds(op: Token, value: &Expr, known: Known) -> Result<TimeBounds, QueryError> {
    let value = match value {
        Expr::Text(text) if crate::time::is_time_text(text) => {
            Expr::Time(parse_time(text, known.zone).ok_or_else(|| QueryError::new("invalid timestamp string"))?)
        }
        other => reduce(other, known),
    };
    let nanos = match value {
        Expr::Time(nanos) if nanos > MAX_TIME.into() => {
            return Err(QueryError::new(format!("time {} overflows time literal", whole_seconds(nanos))));
        }
        Expr::Time(nanos) if nanos < i128::from(MIN_TIME) + 1 => {
            return Err(QueryError::new(format!("time {} underflows time literal", whole_seconds(nanos))));
        }
        Expr::Time(nanos) => nanos as i64,
        Expr::Duration(nanos) | Expr::Integer(nanos) => nanos,
        Expr::Number(nanos) => nanos as i64,
        other => {
            let text = format!("invalid operation: time and *influxql.{} are not compatible", kind(&other));
            return Err(QueryError::new(text));
        }
    };
    let bounds = |min, max| Ok(TimeBounds { min, max });
    match op {
        Token::Gt => bounds(Some(nanos.saturating_add(1)), None),
        Token::Gte => bounds(Some(nanos), None),
        Token::Lt => bounds(None, Some(nanos.saturating_sub(1))),
        Token::Lte => bounds(None, Some(nanos)),
        Token::Eq => bounds(Some(nanos), Some(nanos)),
        _ => Err(QueryError::new(format!("invalid time comparison operator: {}", op.text()))),
    }
}

fn whole_seconds(nanos: i128) -> String {
    format_time(nanos - nanos.rem_euclid(1_000_000_000))
}

/// The name of an expression's kind as InfluxDB's messages have it.
pub fn kind(expr: &Expr) -> &'static str {
    match expr {
        Expr::Ref(_) => "VarRef",
        Expr::Call(_) => "Call",
        Expr::Distinct(_) => "Distinct",
        Expr::Binary(_) => "BinaryExpr",
        Expr::Paren(_) => "ParenExpr",
        Expr::Wildcard(_) => "Wildcard",
        Expr::Regex(_) => "RegexLiteral",
        Expr::Number(_) => "NumberLiteral",
        Expr::Integer(_) => "IntegerLiteral",
        Expr::Unsigned(_) => "UnsignedLiteral",
        Expr::Boolean(_) => "BooleanLiteral",
        Expr::Text(_) => "StringLiteral",
        Expr::Time(_) => "TimeLiteral",
        Expr::Duration(_) => "DurationLiteral",
        Expr::Nil => "NilLiteral",
    }
}
