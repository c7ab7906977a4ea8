//! Mathematical functions of single values.

use crate::ast::Expr;

pub fn is_math(name: &str) -> bool {
    matches!(
        name,
        "abs"
            | "sin"
            | "cos"
            | "tan"
            | "asin"
            | "acos"
            | "atan"
            | "atan2"
            | "exp"
            | "log"
            | "ln"
            | "log2"
            | "log10"
            | "sqrt"
            | "pow"
            | "floor"
            | "ceil"
            | "round"
    )
}

/// How many arguments a function takes in a field.
pub fn argument_count(name: &str) -> usize {
    if matches!(name, "atan2" | "pow" | "log") { 2 } else { 1 }
}

/// Functions that give integers back as they are.
pub fn keeps_type(name: &str) -> bool {
    matches!(name, "abs" | "floor" | "ceil" | "round")
}

/// A function of one float.
pub fn unary(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        "round" => f64::round,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sqrt" => f64::sqrt,
        _ => return None,
    })
}

/// A function of two floats.
pub fn binary(name: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match name {
        "atan2" => f64::atan2,
        "log" => |value, base| value.ln() / base.ln(),
        "pow" => f64::powf,
        _ => return None,
    })
}

fn float(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Number(value) => Some(*value),
        Expr::Integer(value) => Some(*value as f64),
        Expr::Unsigned(value) => Some(*value as f64),
        _ => None,
    }
}

/// A function of constants.
pub fn constant(name: &str, args: &[Expr]) -> Expr {
    let result = match args {
        [value @ (Expr::Integer(_) | Expr::Unsigned(_))] if keeps_type(name) => return value.clone(),
        [value] => unary(name).zip(float(value)).map(|(function, value)| function(value)),
        [first, second] => match (binary(name), float(first), float(second)) {
            (Some(function), Some(first), Some(second)) => Some(function(first, second)),
            _ => None,
        },
        _ => None,
    };
    result.map_or(Expr::Nil, Expr::Number)
}
