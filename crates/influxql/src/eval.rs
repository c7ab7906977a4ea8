//! Expressions over columns, with InfluxDB's rules for what is missing and for types that do not go together.
//!
//! A column is an Arrow array of `Float64`, `Int64`, `Boolean`, `Utf8`, or `Null` where nothing is known at all.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, NullArray, PrimitiveArray, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{binary as combine, cast};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type};

use crate::QueryError;
use crate::ast::{Binary, Call, Expr, Regex, VarRef};
use crate::math;
use crate::token::Token;

/// How expressions are worked out.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Integers divide to a float, as in fields; else to an integer, as in conditions.
    pub float_division: bool,
    /// Mathematical functions are known.
    pub math: bool,
    /// A boolean that is missing counts as false where it is compared; else such a comparison is false.
    pub missing_is_false: bool,
}

/// Where references find their columns; `None` is nothing at all.
pub type Lookup<'a> = &'a dyn Fn(&VarRef) -> Option<ArrayRef>;

pub fn nothing(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}

/// The values of `expr`, one for each of `rows`.
pub fn evaluate(expr: &Expr, lookup: Lookup<'_>, rows: usize, rules: Rules) -> Result<ArrayRef, QueryError> {
    Ok(match expr {
        Expr::Binary(binary) => evaluate_binary(binary, lookup, rows, rules)?,
        Expr::Paren(inner) => evaluate(inner, lookup, rows, rules)?,
        Expr::Boolean(value) => Arc::new(BooleanArray::from(vec![*value; rows])),
        Expr::Integer(value) => Arc::new(Int64Array::from_value(*value, rows)),
        Expr::Unsigned(value) => Arc::new(Float64Array::from_value(*value as f64, rows)),
        Expr::Number(value) => Arc::new(Float64Array::from_value(*value, rows)),
        Expr::Text(text) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))),
        Expr::Call(call) if rules.math => evaluate_call(call, lookup, rows, rules)?,
        Expr::Ref(reference) => lookup(reference).unwrap_or_else(|| nothing(rows)),
        _ => nothing(rows),
    })
}

fn evaluate_call(call: &Call, lookup: Lookup<'_>, rows: usize, rules: Rules) -> Result<ArrayRef, QueryError> {
    let mut args = Vec::with_capacity(call.args.len());
    for arg in &call.args {
        args.push(evaluate(arg, lookup, rows, rules)?);
    }
    Ok(match args.as_slice() {
        [arg] if math::keeps_type(&call.name) && arg.data_type() == &DataType::Int64 => arg.clone(),
        [arg] => match (math::unary(&call.name), floats(arg)?) {
            (Some(function), Some(values)) => Arc::new(values.unary::<_, Float64Type>(function)),
            _ => nothing(rows),
        },
        [first, second] => match (math::binary(&call.name), floats(first)?, floats(second)?) {
            (Some(function), Some(first), Some(second)) => {
                Arc::new(combine::<_, _, _, Float64Type>(&first, &second, function)?)
            }
            _ => nothing(rows),
        },
        _ => nothing(rows),
    })
}

/// Numbers as floats; `None` for what is no number.
pub fn floats(array: &ArrayRef) -> Result<Option<Float64Array>, QueryError> {
    Ok(match array.data_type() {
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().clone()),
        DataType::Int64 => Some(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone()),
        _ => None,
    })
}

fn evaluate_binary(binary: &Binary, lookup: Lookup<'_>, rows: usize, rules: Rules) -> Result<ArrayRef, QueryError> {
    let left = evaluate(&binary.left, lookup, rows, rules)?;
    if let Expr::Regex(regex) = &binary.right {
        return Ok(match left.data_type() {
            DataType::Utf8 if binary.op.is_regex_operator() => {
                Arc::new(matches(left.as_string(), regex, binary.op == Token::EqRegex))
            }
            _ => nothing(rows),
        });
    }
    let right = evaluate(&binary.right, lookup, rows, rules)?;
    let comparing = matches!(binary.op, Token::Eq | Token::Neq | Token::Lt | Token::Lte | Token::Gt | Token::Gte);
    let result = match (left.data_type(), right.data_type()) {
        (DataType::Boolean, DataType::Boolean | DataType::Null) | (DataType::Null, DataType::Boolean) => {
            booleans(binary.op, &left, &right, rules)
        }
        (DataType::Utf8, DataType::Utf8) => texts(binary.op, left.as_string(), right.as_string()),
        (DataType::Int64, DataType::Int64) => {
            let (left, right) = (left.as_primitive::<Int64Type>(), right.as_primitive::<Int64Type>());
            integers(binary.op, left, right, rules)?
        }
        _ => match (floats(&left)?, floats(&right)?) {
            (Some(left), Some(right)) => numbers(binary.op, &left, &right)?,
            _ => None,
        },
    };
    Ok(match result {
        Some(result) => result,
        None if comparing => Arc::new(BooleanArray::from(vec![false; rows])),
        None => nothing(rows),
    })
}

/// Missing values count as false.
pub fn truths(array: &ArrayRef) -> BooleanArray {
    match array.as_boolean_opt() {
        Some(values) => match values.nulls() {
            Some(nulls) => BooleanArray::new(values.values() & nulls.inner(), None),
            None => values.clone(),
        },
        None => BooleanArray::from(vec![false; array.len()]),
    }
}

fn booleans(op: Token, left: &ArrayRef, right: &ArrayRef, rules: Rules) -> Option<ArrayRef> {
    let (known_left, known_right) = (left.logical_nulls(), right.logical_nulls());
    let (left, right) = (truths(left), truths(right));
    let (left, right) = (left.values(), right.values());
    let result = match op {
        Token::And | Token::BitAnd => left & right,
        Token::Or | Token::BitOr => left | right,
        Token::BitXor => left ^ right,
        Token::Eq | Token::Neq => {
            let differ = left ^ right;
            let result = if op == Token::Eq { !&differ } else { differ };
            let known = match (known_left, known_right) {
                (Some(left), Some(right)) if rules.missing_is_false => Some(left.inner() | right.inner()),
                (Some(left), Some(right)) => Some(left.inner() & right.inner()),
                (Some(one), None) | (None, Some(one)) if !rules.missing_is_false => Some(one.inner().clone()),
                _ => None,
            };
            match known {
                Some(known) => &result & &known,
                None => result,
            }
        }
        _ => return None,
    };
    Some(Arc::new(BooleanArray::new(result, None)))
}

fn texts(op: Token, left: &StringArray, right: &StringArray) -> Option<ArrayRef> {
    let equal = match op {
        Token::Eq => true,
        Token::Neq => false,
        _ => return None,
    };
    let both = left.iter().zip(right.iter()).map(|pair| match pair {
        (Some(left), Some(right)) => (left == right) == equal,
        _ => false,
    });
    Some(Arc::new(BooleanArray::from_iter(both.map(Some))))
}

fn matches(texts: &StringArray, regex: &Regex, wanted: bool) -> BooleanArray {
    texts.iter().map(|text| text.map(|text| regex.matches(text) == wanted)).collect()
}

/// `false` where either is missing.
fn compared<T: ArrowPrimitiveType>(
    left: &PrimitiveArray<T>,
    right: &PrimitiveArray<T>,
    holds: impl Fn(T::Native, T::Native) -> bool,
) -> Option<ArrayRef> {
    let values: arrow::buffer::BooleanBuffer =
        left.values().iter().zip(right.values()).map(|(left, right)| holds(*left, *right)).collect();
    let known = NullBuffer::union(left.nulls(), right.nulls());
    let values = match known {
        Some(known) => &values & known.inner(),
        None => values,
    };
    Some(Arc::new(BooleanArray::new(values, None)))
}

fn numbers(op: Token, left: &Float64Array, right: &Float64Array) -> Result<Option<ArrayRef>, QueryError> {
    let with = |function: fn(f64, f64) -> f64| -> Result<Option<ArrayRef>, QueryError> {
        Ok(Some(Arc::new(combine::<_, _, _, Float64Type>(left, right, function)?)))
    };
    match op {
        Token::Eq => Ok(compared(left, right, |left, right| left == right)),
        Token::Neq => Ok(compared(left, right, |left, right| left != right)),
        Token::Lt => Ok(compared(left, right, |left, right| left < right)),
        Token::Lte => Ok(compared(left, right, |left, right| left <= right)),
        Token::Gt => Ok(compared(left, right, |left, right| left > right)),
        Token::Gte => Ok(compared(left, right, |left, right| left >= right)),
        Token::Add => with(|left, right| left + right),
        Token::Sub => with(|left, right| left - right),
        Token::Mul => with(|left, right| left * right),
        Token::Div => with(|left, right| if right == 0.0 { 0.0 } else { left / right }),
        Token::Mod => with(|left, right| left % right),
        _ => Ok(None),
    }
}

fn integers(op: Token, left: &Int64Array, right: &Int64Array, rules: Rules) -> Result<Option<ArrayRef>, QueryError> {
    let with = |function: fn(i64, i64) -> i64| -> Result<Option<ArrayRef>, QueryError> {
        Ok(Some(Arc::new(combine::<_, _, _, Int64Type>(left, right, function)?)))
    };
    match op {
        Token::Eq => Ok(compared(left, right, |left, right| left == right)),
        Token::Neq => Ok(compared(left, right, |left, right| left != right)),
        Token::Lt => Ok(compared(left, right, |left, right| left < right)),
        Token::Lte => Ok(compared(left, right, |left, right| left <= right)),
        Token::Gt => Ok(compared(left, right, |left, right| left > right)),
        Token::Gte => Ok(compared(left, right, |left, right| left >= right)),
        Token::Add => with(i64::wrapping_add),
        Token::Sub => with(i64::wrapping_sub),
        Token::Mul => with(i64::wrapping_mul),
        Token::Div if rules.float_division => {
            let divide = |left: i64, right: i64| if right == 0 { 0.0 } else { left as f64 / right as f64 };
            Ok(Some(Arc::new(combine::<_, _, _, Float64Type>(left, right, divide)?)))
        }
        Token::Div => with(|left, right| if right == 0 { 0 } else { left.wrapping_div(right) }),
        Token::Mod => with(|left, right| if right == 0 { 0 } else { left.wrapping_rem(right) }),
        Token::BitAnd => with(|left, right| left & right),
        Token::BitOr => with(|left, right| left | right),
        Token::BitXor => with(|left, right| left ^ right),
        _ => Ok(None),
    }
}

/// A column in another type, as far as it can be: numbers to numbers; anything else stays as it is.
pub fn cast_column(array: &ArrayRef, wanted: crate::ast::DataType) -> Result<ArrayRef, QueryError> {
    use crate::ast::DataType as Wanted;
    Ok(match (array.data_type(), wanted) {
        (DataType::Int64, Wanted::Float) => cast(array, &DataType::Float64)?,
        (DataType::Float64, Wanted::Integer) => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Int64Type>(|value| value as i64))
        }
        _ => array.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Rules = Rules { float_division: true, math: true, missing_is_false: true };

    fn check(text: &str, rules: Rules, expected: &str) {
        let statement = crate::parse(&format!("SELECT x FROM m WHERE {text}"), &Default::default()).unwrap().remove(0);
        let crate::Statement::Select(select) = statement else { panic!("{text}") };
        let lookup = |reference: &VarRef| -> Option<ArrayRef> {
            match reference.name.as_str() {
                "i" => Some(Arc::new(Int64Array::from(vec![Some(7), None]))),
                "f" => Some(Arc::new(Float64Array::from(vec![Some(0.5), Some(2.0)]))),
                "b" => Some(Arc::new(BooleanArray::from(vec![Some(true), None]))),
                "s" => Some(Arc::new(StringArray::from(vec![Some("a"), None]))),
                _ => None,
            }
        };
        let found = evaluate(&select.condition.unwrap(), &lookup, 2, rules).unwrap();
        let texts: Vec<String> = match found.data_type() {
            DataType::Boolean => found.as_boolean().iter().map(|value| format!("{value:?}")).collect(),
            DataType::Int64 => found.as_primitive::<Int64Type>().iter().map(|value| format!("{value:?}")).collect(),
            DataType::Float64 => found.as_primitive::<Float64Type>().iter().map(|value| format!("{value:?}")).collect(),
            _ => vec!["nothing".into(); 2],
        };
        assert_eq!(texts.join(" "), expected, "{text}");
    }

    #[test]
    fn missing_values_and_types_that_differ() {
        check("i / 2", FIELDS, "Some(3.5) None");
        check("i / 2", Rules { float_division: false, ..FIELDS }, "Some(3) None");
        check("i / 0", FIELDS, "Some(0.0) None");
        check("i % 4", FIELDS, "Some(3) None");
        check("i > 3", FIELDS, "Some(true) Some(false)");
        check("i != 3", FIELDS, "Some(true) Some(false)");
        check("i + f", FIELDS, "Some(7.5) None");
        check("s = 'a'", FIELDS, "Some(true) Some(false)");
        check("s != 'b'", FIELDS, "Some(true) Some(false)");
        check("s =~ /^a/", FIELDS, "Some(true) None");
        check("s = 3", FIELDS, "Some(false) Some(false)");
        check("s + 3", FIELDS, "nothing nothing");
        check("b = false", FIELDS, "Some(false) Some(true)");
        check("b = false", Rules { missing_is_false: false, ..FIELDS }, "Some(false) Some(false)");
        check("b != true", Rules { missing_is_false: false, ..FIELDS }, "Some(false) Some(false)");
        check("abs(-f)", FIELDS, "Some(0.5) Some(2.0)");
        check("floor(i)", FIELDS, "Some(7) None");
        check("nowhere = 1", FIELDS, "Some(false) Some(false)");
    }
}
