//! Which types expressions have, by the types of what they are made of.

use crate::QueryError;
use crate::ast::{Call, DataType, Expr};
use crate::math;
use crate::token::Token;

/// Why an expression has no type.
pub enum TypeError {
    /// Types that do not go together.
    Types(String),
    Failed(QueryError),
}

impl From<QueryError> for TypeError {
    fn from(error: QueryError) -> Self {
        Self::Failed(error)
    }
}

impl From<TypeError> for QueryError {
    fn from(error: TypeError) -> Self {
        match error {
            TypeError::Types(text) => Self::new(text),
            TypeError::Failed(error) => error,
        }
    }
}

/// The type of a call's result by the types of its arguments.
pub fn call_type(call: &Call, args: &[DataType]) -> Result<DataType, String> {
    let name = call.name.as_str();
    let first = args.first().copied().unwrap_or_default();
    if math::is_math(name) {
        let number = |data_type| {
            matches!(data_type, DataType::Float | DataType::Integer | DataType::Unsigned | DataType::Unknown)
        };
        let wrong = |place: &str, found: DataType| {
            Err(format!("invalid argument type for the {place} argument in {name}(): {}", found.text()))
        };
        let first_good = match name {
            "asin" | "acos" => matches!(first, DataType::Float | DataType::Unknown),
            _ => number(first),
        };
        if !first_good {
            return wrong("first", first);
        } else if matches!(name, "atan2" | "pow") && !number(args.get(1).copied().unwrap_or_default()) {
            return wrong("second", args[1]);
        }
        return Ok(if math::keeps_type(name) { first } else { DataType::Float });
    }
    Ok(match name {
        "mean" | "median" | "integral" | "stddev" | "derivative" | "non_negative_derivative" | "moving_average" => {
            DataType::Float
        }
        "count" | "elapsed" => DataType::Integer,
        _ => first,
    })
}

/// The type of an operation's result by the types of its sides.
pub fn binary_type(
    expr: &Expr,
    op: Token,
    (left_expr, left): (&Expr, DataType),
    (right_expr, right): (&Expr, DataType),
) -> Result<DataType, String> {
    use DataType::{Boolean, Float, Integer, Tag, Text, Unknown, Unsigned};
    let mixed = match (left, right) {
        (Unsigned, Integer) => Some((left_expr.is_literal(), right_expr.is_literal())),
        (Integer, Unsigned) => Some((right_expr.is_literal(), left_expr.is_literal())),
        _ => None,
    };
    if let Some((unsigned_literal, integer_literal)) = mixed {
        let op = op.text();
        if unsigned_literal {
            return Err(format!("type error: {expr}: cannot use {op} with an integer and unsigned literal"));
        } else if !integer_literal {
            return Err(format!(
                "type error: {expr}: cannot use {op} between an integer and unsigned, an explicit cast is required"
            ));
        }
    }
    let bits = matches!(op, Token::BitAnd | Token::BitOr | Token::BitXor);
    let result = match (left, right) {
        (Unknown, other) | (other, Unknown) => return Ok(other),
        _ if matches!(op, Token::Eq | Token::Neq | Token::Lt | Token::Lte | Token::Gt | Token::Gte) => Boolean,
        (Boolean, Boolean) if bits || matches!(op, Token::And | Token::Or) => Boolean,
        (Float, Float | Integer | Unsigned) | (Integer | Unsigned, Float) if !bits => Float,
        (Integer, Integer) => Integer,
        (Unsigned, Unsigned | Integer) | (Integer, Unsigned) => Unsigned,
        (Text | Tag, _) if op.is_regex_operator() => Boolean,
        _ => Unknown,
    };
    if result == Unknown {
        return Err(format!("type error: {expr}: incompatible types: {} and {}", left.text(), right.text()));
    }
    Ok(result)
}
