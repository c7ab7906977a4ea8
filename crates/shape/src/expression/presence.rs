//! What `has(a.b)` means for a field of the record.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::types::Type;

/// A field that can be unset is there when it is set. One without presence, as most of proto3, is there when it is not
/// zero or empty, as CEL has it; of enums nobody knows here which name is zero, so that they are there with the message
/// around them. <https://github.com/google/cel-spec/blob/master/doc/langdef.md#field-selection>
pub(super) fn of(value: IdedExpr, of: &Type, has_presence: bool) -> Expr {
    let id = value.id;
    let zero = match of {
        _ if has_presence => None,
        Type::Bool => Some(LiteralValue::Boolean(false.into())),
        Type::Int => Some(LiteralValue::Int(0.into())),
        Type::Uint => Some(LiteralValue::UInt(0.into())),
        Type::Double => Some(LiteralValue::Double(0.0.into())),
        Type::String => Some(LiteralValue::String(String::new().into())),
        Type::Bytes => Some(LiteralValue::Bytes(Vec::new().into())),
        _ => None,
    };
    let is_set = is_not_null(value.clone());
    let also = match (zero, of) {
        (Some(zero), _) => call(operators::NOT_EQUALS, vec![value, literal(id, zero)]),
        (None, Type::List(_) | Type::Map(..)) => {
            let size = IdedExpr { id, expr: call("size", vec![value]) };
            call(operators::GREATER, vec![size, literal(id, LiteralValue::Int(0.into()))])
        }
        (None, _) => return is_set,
    };
    call(operators::LOGICAL_AND, vec![IdedExpr { id, expr: is_set }, IdedExpr { id, expr: also }])
}

pub(super) fn is_not_null(value: IdedExpr) -> Expr {
    let id = value.id;
    call(operators::NOT_EQUALS, vec![value, literal(id, LiteralValue::Null)])
}

fn literal(id: u64, value: LiteralValue) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(value) }
}

fn call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}
