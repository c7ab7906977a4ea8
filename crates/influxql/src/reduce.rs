//! Constant parts of expressions are worked out before a statement runs.

use chrono_tz::Tz;

use crate::ast::{Call, Expr};
use crate::math;
use crate::time::parse_time;
use crate::token::Token;

/// What is known while reducing.
#[derive(Clone, Copy, Default)]
pub struct Known {
    /// What `now()` is, nanoseconds.
    pub now: Option<i64>,
    pub zone: Option<Tz>,
    /// Whether mathematical functions of constants are worked out.
    pub math: bool,
}

/// The expression with its constant parts worked out, without parentheses around it.
pub fn reduce(expr: &Expr, known: Known) -> Expr {
    match reduce_inner(expr, known) {
        Expr::Paren(inner) => *inner,
        other => other,
    }
}

pub fn reduce_inner(expr: &Expr, known: Known) -> Expr {
    match expr {
        Expr::Binary(binary) => {
            reduce_binary(binary.op, reduce_inner(&binary.left, known), reduce_inner(&binary.right, known), known)
        }
        Expr::Call(call) => reduce_call(call, known),
        Expr::Paren(inner) => match reduce_inner(inner, known) {
            reduced @ Expr::Binary(_) => Expr::Paren(Box::new(reduced)),
            other => other,
        },
        other => other.clone(),
    }
}

fn reduce_call(call: &Call, known: Known) -> Expr {
    let args: Vec<Expr> = call.args.iter().map(|arg| reduce_inner(arg, known)).collect();
    if let (Some(now), "now", true) = (known.now, call.name.as_str(), args.is_empty()) {
        return Expr::Time(now.into());
    }
    if known.math && math::is_math(&call.name) && args.iter().all(Expr::is_literal) {
        return math::constant(&call.name, &args);
    }
    Expr::Call(Call { name: call.name.clone(), args })
}

/// Both sides have been reduced.
pub fn reduce_binary(op: Token, left: Expr, right: Expr, known: Known) -> Expr {
    match (op, &left, &right) {
        (Token::And, Expr::Boolean(false), _) | (Token::And, _, Expr::Boolean(false)) => return Expr::Boolean(false),
        (Token::And, Expr::Boolean(true), _) => return right,
        (Token::And, _, Expr::Boolean(true)) => return left,
        (Token::Or, Expr::Boolean(true), _) | (Token::Or, _, Expr::Boolean(true)) => return Expr::Boolean(true),
        (Token::Or, Expr::Boolean(false), _) => return right,
        (Token::Or, _, Expr::Boolean(false)) => return left,
        _ => {}
    }
    constant(op, &left, &right, known.zone).unwrap_or_else(|| Expr::binary(op, left, right))
}

fn compare<T: PartialOrd>(op: Token, left: T, right: T) -> Option<Expr> {
    Some(Expr::Boolean(match op {
        Token::Eq => left == right,
        Token::Neq => left != right,
        Token::Lt => left < right,
        Token::Lte => left <= right,
        Token::Gt => left > right,
        Token::Gte => left >= right,
        _ => return None,
    }))
}

/// What two constants make; `None` where they make nothing.
fn constant(op: Token, left: &Expr, right: &Expr, zone: Option<Tz>) -> Option<Expr> {
    match (left, right) {
        (Expr::Boolean(left), Expr::Boolean(right)) => match op {
            Token::Eq => Some(Expr::Boolean(left == right)),
            Token::Neq | Token::BitXor => Some(Expr::Boolean(left != right)),
            Token::BitAnd => Some(Expr::Boolean(*left && *right)),
            Token::BitOr => Some(Expr::Boolean(*left || *right)),
            _ => None,
        },
        (Expr::Duration(left), right) => duration(op, *left, right, zone),
        (Expr::Integer(left), Expr::Integer(right)) => integers(op, *left, *right),
        (Expr::Integer(left), Expr::Number(right)) => numbers(op, *left as f64, *right),
        (Expr::Integer(left), Expr::Unsigned(right)) => match op {
            Token::Lt | Token::Lte if *left < 0 => Some(Expr::Boolean(true)),
            Token::Gt | Token::Gte if *left < 0 => Some(Expr::Boolean(false)),
            _ => unsigned(op, *left as u64, *right),
        },
        (Expr::Integer(left), Expr::Duration(right)) => match op {
            Token::Add => Some(Expr::Time(i128::from(*left) + i128::from(*right))),
            Token::Sub => Some(Expr::Time(i128::from(*left) - i128::from(*right))),
            _ => None,
        },
        (Expr::Integer(left), Expr::Time(_) | Expr::Text(_)) => duration(op, *left, right, zone),
        (Expr::Unsigned(left), Expr::Unsigned(right)) => unsigned(op, *left, *right),
        (Expr::Unsigned(left), Expr::Number(right)) => numbers(op, *left as f64, *right),
        (Expr::Unsigned(left), Expr::Integer(right)) => match op {
            Token::Lt | Token::Lte if *right < 0 => Some(Expr::Boolean(false)),
            Token::Gt | Token::Gte if *right < 0 => Some(Expr::Boolean(true)),
            _ => unsigned(op, *left, *right as u64),
        },
        (Expr::Number(left), Expr::Number(right)) => numbers(op, *left, *right),
        (Expr::Number(left), Expr::Integer(right)) => numbers(op, *left, *right as f64),
        (Expr::Number(left), Expr::Unsigned(right)) => numbers(op, *left, *right as f64),
        (Expr::Text(left), right) => text(op, left, right, zone),
        (Expr::Time(left), right) => time(op, *left, right, zone),
        _ => None,
    }
}

fn duration(op: Token, left: i64, right: &Expr, zone: Option<Tz>) -> Option<Expr> {
    match right {
        Expr::Duration(right) => match op {
            Token::Add => Some(Expr::Duration(left.wrapping_add(*right))),
            Token::Sub => Some(Expr::Duration(left.wrapping_sub(*right))),
            _ => compare(op, left, *right),
        },
        Expr::Number(right) => scale(op, left, *right as i64, *right == 0.0),
        Expr::Integer(right) => scale(op, left, *right, *right == 0),
        Expr::Time(right) if op == Token::Add => Some(Expr::Time(*right + i128::from(left))),
        Expr::Text(right) => duration(op, left, &Expr::Time(parse_time(right, zone)?), zone),
        _ => None,
    }
}

fn scale(op: Token, duration: i64, factor: i64, zero: bool) -> Option<Expr> {
    match op {
        Token::Mul => Some(Expr::Duration(duration.wrapping_mul(factor))),
        Token::Div if zero => Some(Expr::Duration(0)),
        Token::Div => duration.checked_div(factor).map(Expr::Duration),
        _ => None,
    }
}

fn integers(op: Token, left: i64, right: i64) -> Option<Expr> {
    Some(match op {
        Token::Add => Expr::Integer(left.wrapping_add(right)),
        Token::Sub => Expr::Integer(left.wrapping_sub(right)),
        Token::Mul => Expr::Integer(left.wrapping_mul(right)),
        Token::Div if right == 0 => Expr::Number(0.0),
        Token::Div => Expr::Number(left as f64 / right as f64),
        Token::Mod if right == 0 => Expr::Integer(0),
        Token::Mod => Expr::Integer(left.wrapping_rem(right)),
        Token::BitAnd => Expr::Integer(left & right),
        Token::BitOr => Expr::Integer(left | right),
        Token::BitXor => Expr::Integer(left ^ right),
        _ => return compare(op, left, right),
    })
}

fn unsigned(op: Token, left: u64, right: u64) -> Option<Expr> {
    Some(match op {
        Token::Add => Expr::Unsigned(left.wrapping_add(right)),
        Token::Sub => Expr::Unsigned(left.wrapping_sub(right)),
        Token::Mul => Expr::Unsigned(left.wrapping_mul(right)),
        Token::Div => Expr::Unsigned(left.checked_div(right).unwrap_or(0)),
        Token::Mod => Expr::Unsigned(left.checked_rem(right).unwrap_or(0)),
        _ => return compare(op, left, right),
    })
}

fn numbers(op: Token, left: f64, right: f64) -> Option<Expr> {
    Some(match op {
        Token::Add => Expr::Number(left + right),
        Token::Sub => Expr::Number(left - right),
        Token::Mul => Expr::Number(left * right),
        Token::Div if right == 0.0 => Expr::Number(0.0),
        Token::Div => Expr::Number(left / right),
        Token::Mod => Expr::Number(left % right),
        _ => return compare(op, left, right),
    })
}

fn text(op: Token, left: &str, right: &Expr, zone: Option<Tz>) -> Option<Expr> {
    let as_time = |right| time(op, parse_time(left, zone)?, right, zone);
    match right {
        Expr::Text(other) => match op {
            Token::Eq | Token::Neq => {
                if let (Some(left), Some(other)) = (parse_time(left, zone), parse_time(other, zone)) {
                    return compare(op, left, other);
                }
                Some(Expr::Boolean((left == other) == (op == Token::Eq)))
            }
            Token::Add => Some(Expr::Text(format!("{left}{other}"))),
            _ => as_time(right),
        },
        Expr::Duration(_) | Expr::Time(_) | Expr::Integer(_) => as_time(right),
        _ => None,
    }
}

fn time(op: Token, left: i128, right: &Expr, zone: Option<Tz>) -> Option<Expr> {
    match right {
        Expr::Duration(right) | Expr::Integer(right) => match op {
            Token::Add => Some(Expr::Time(left + i128::from(*right))),
            Token::Sub => Some(Expr::Time(left - i128::from(*right))),
            _ => None,
        },
        Expr::Time(right) => match op {
            Token::Sub => Some(Expr::Duration(i64::try_from(left - right).unwrap_or(if left > *right {
                i64::MAX
            } else {
                i64::MIN
            }))),
            _ => compare(op, left, *right),
        },
        Expr::Text(right) => time(op, left, &Expr::Time(parse_time(right, zone)?), zone),
        _ => None,
    }
}
