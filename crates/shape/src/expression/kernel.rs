//! Conditions on whole columns.
//!
//! Where this way has no answer, because the interpreter would fail or is needed, the answer is NULL, and three-valued
//! logic carries it on as CEL does with errors: `false && x` is false whatever `x` is.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, not, or_kleene};
use arrow::error::ArrowError;
use cel::common::ast::{CallExpr, Expr, operators};
use cel::{IdedExpr, Value};

use super::cells::slot_of;
use super::constant;
use super::test::{Literal, Order, Test, TextTest};
use crate::path::{FieldPath, Unknown};

#[derive(Debug)]
pub(super) enum Node {
    Constant(bool),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Test {
        slot: usize,
        test: Test,
    },
    /// Ask the interpreter.
    Unknown,
}

/// `Err` for constants that fail for every row.
pub(super) fn plan(expression: &IdedExpr, slots: &[FieldPath]) -> Result<Node, Unknown> {
    if let Some(value) = constant::value(expression) {
        return Ok(match value? {
            Value::Bool(holds) => Node::Constant(holds),
            _ => Node::Unknown,
        });
    }
    let Expr::Call(call) = &expression.expr else {
        return Ok(match &expression.expr {
            Expr::Ident(name) => match slot_of(name) {
                Some(slot) => Node::Test { slot, test: Test::IsTrue },
                None => Node::Unknown,
            },
            _ => Node::Unknown,
        });
    };
    Ok(match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_AND, [one, other]) => Node::And(Box::new(plan(one, slots)?), Box::new(plan(other, slots)?)),
        (operators::LOGICAL_OR, [one, other]) => Node::Or(Box::new(plan(one, slots)?), Box::new(plan(other, slots)?)),
        (operators::LOGICAL_NOT, [one]) => Node::Not(Box::new(plan(one, slots)?)),
        _ => match test(call)? {
            Some((slot, test)) if slot < slots.len() => Node::Test { slot, test },
            _ => Node::Unknown,
        },
    })
}

fn test(call: &CallExpr) -> Result<Option<(usize, Test)>, Unknown> {
    let name = call.func_name.as_str();
    let operands: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
    let [one, other] = operands.as_slice() else { return Ok(None) };
    if let Some(order) = Order::of(name) {
        return Ok(match (slot(one), constant::value(other), constant::value(one), slot(other)) {
            (Some(slot), Some(value), _, _) => compare(order, value?).map(|test| (slot, test)),
            (_, _, Some(value), Some(slot)) => compare(order.turned(), value?).map(|test| (slot, test)),
            _ => None,
        });
    }
    let (Some(slot), Some(value)) = (slot(one), constant::value(other)) else { return Ok(None) };
    let test = match (name, value?) {
        (operators::IN, Value::List(items)) => {
            items.iter().cloned().map(Literal::of).collect::<Option<Vec<_>>>().map(Test::one_of)
        }
        ("startsWith", Value::String(text)) => Some(Test::Text(TextTest::Starts(text.to_string()))),
        ("endsWith", Value::String(text)) => Some(Test::Text(TextTest::Ends(text.to_string()))),
        ("contains", Value::String(text)) => Some(Test::Text(TextTest::contains(&text))),
        ("matches", Value::String(text)) => Some(Test::Text(TextTest::Matches(super::patterns::compile(&text)?))),
        _ => None,
    };
    Ok(test.map(|test| (slot, test)))
}

fn slot(expression: &IdedExpr) -> Option<usize> {
    match &expression.expr {
        Expr::Ident(name) => slot_of(name),
        _ => None,
    }
}

fn compare(order: Order, value: Value) -> Option<Test> {
    match (value, order) {
        (Value::Null, Order::Equal) => Some(Test::IsNull),
        (Value::Null, Order::NotEqual) => Some(Test::IsNotNull),
        (value, order) => Some(Test::Compare(order, Literal::of(value)?)),
    }
}

impl Node {
    pub(super) fn evaluate(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanArray, ArrowError> {
        Ok(match self {
            Node::Constant(true) => BooleanArray::new(BooleanBuffer::new_set(rows), None),
            Node::Constant(false) => BooleanArray::new(BooleanBuffer::new_unset(rows), None),
            Node::And(one, other) => and_kleene(&one.evaluate(columns, rows)?, &other.evaluate(columns, rows)?)?,
            Node::Or(one, other) => or_kleene(&one.evaluate(columns, rows)?, &other.evaluate(columns, rows)?)?,
            Node::Not(inner) => not(&inner.evaluate(columns, rows)?)?,
            Node::Test { slot, test } => match columns.get(*slot).and_then(|column| test.evaluate(column)) {
                Some(holds) => holds,
                None => unknown(rows),
            },
            Node::Unknown => unknown(rows),
        })
    }
}

fn unknown(rows: usize) -> BooleanArray {
    BooleanArray::new(BooleanBuffer::new_unset(rows), Some(NullBuffer::new_null(rows)))
}
