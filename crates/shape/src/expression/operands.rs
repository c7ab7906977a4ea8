//! Which types go together, and what to do when they do not.

use cel::common::ast::{LiteralValue, operators};

use super::types::Type;
use crate::path::{self, Unknown};

pub(super) type Checked<T> = Result<T, Unknown>;

pub(super) fn wrong<T>(detail: impl Into<String>, hint: impl Into<String>) -> Checked<T> {
    Err(Unknown { detail: detail.into(), hint: hint.into() })
}

pub(super) fn of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::String,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

pub(super) fn boolean(found: &Type) -> Checked<()> {
    match found {
        Type::Bool => Ok(()),
        open if open.is_open() => Ok(()),
        other => wrong(format!("{other} is not true or false"), "compare it with something"),
    }
}

/// The type of `of.field`, when `of` is no field of the record itself.
pub(super) fn member(of: &Type, field: &str) -> Checked<Type> {
    match of {
        Type::Message(fields) => match fields.iter().find(|known| known.name() == field) {
            Some(known) => match Type::of(known.data_type()) {
                Some(found) => Ok(found),
                None => wrong(format!("CEL has no value of `{field}`"), "use another field"),
            },
            None => Err(path::unknown(field, None, fields.iter().map(|known| known.name().as_str()))),
        },
        Type::Map(key, value) if matches!(**key, Type::String | Type::Dynamic | Type::Nothing) => {
            Ok(value.as_ref().clone())
        }
        open if open.is_open() => Ok(Type::Dynamic),
        Type::Duration if matches!(field, "seconds" | "nanos") => {
            wrong(format!("a duration has no field `{field}`"), "write `.getSeconds()` or `.getMilliseconds()`")
        }
        other => {
            wrong(format!("{other} has no field `{field}`"), "only messages and maps with texts as keys have fields")
        }
    }
}

pub(super) fn arithmetic(operator: &str, one: &Type, other: &Type) -> Checked<Type> {
    use Type::*;
    let is_add = operator == operators::ADD;
    Ok(match (one, other) {
        (one, other) if one.is_open() || other.is_open() => Dynamic,
        (Double, Double) if operator == operators::MODULO => {
            return wrong("double has no remainder", "write `int(x) % int(y)`");
        }
        (one, other) if one == other && one.is_number() => one.clone(),
        (String, String) if is_add => String,
        (Bytes, Bytes) if is_add => Bytes,
        (List(_), List(_)) if is_add => one.clone().joined(other.clone()),
        (Timestamp, Duration) if is_add || operator == operators::SUBSTRACT => Timestamp,
        (Duration, Timestamp) if is_add => Timestamp,
        (Duration, Duration) if is_add || operator == operators::SUBSTRACT => Duration,
        (Timestamp, Timestamp) if operator == operators::SUBSTRACT => Duration,
        (one, other) => {
            let sign = operator.trim_matches('_');
            return wrong(format!("there is no {one} {sign} {other}"), convert_hint(one, other));
        }
    })
}

pub(super) fn convert_hint(one: &Type, other: &Type) -> String {
    match (one, other) {
        (Type::Double, Type::Int | Type::Uint) | (Type::Int | Type::Uint, Type::Double) => {
            "write numbers with a point, `1.0`, or convert with `double(x)`".to_owned()
        }
        (Type::Uint, Type::Int) | (Type::Int, Type::Uint) => {
            "write unsigned numbers as `1u`, or convert with `int(x)` or `uint(x)`".to_owned()
        }
        (Type::Timestamp, Type::String) | (Type::String, Type::Timestamp) => {
            "write a time as `timestamp(\"2026-01-01T00:00:00Z\")`".to_owned()
        }
        (Type::Duration, Type::String) | (Type::String, Type::Duration) => {
            "write a duration as `duration(\"90s\")`".to_owned()
        }
        (Type::String, Type::Int | Type::Uint | Type::Double)
        | (Type::Int | Type::Uint | Type::Double, Type::String) => {
            "numbers are written without quotes and texts with them; convert with `string(x)` or `int(x)`".to_owned()
        }
        _ => "both sides have to be of the same type".to_owned(),
    }
}
