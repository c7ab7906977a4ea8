//! Expressions as text that is the same for what computes the same, however it was written and whatever it was called.
//!
//! The text is compared, and shown to people; it is never read back. Aliases, brackets and the order of what may be swapped
//! leave no trace in it, everything else does: texts of different expressions may differ for no reason, which costs a state
//! that could have been kept, but equal texts are equal expressions.

use arrow::array::{Array, AsArray};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Like, NullTreatment, ScalarFunction, Sort};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::timestamp_parts;
use crate::window_functions::unaliased;

/// What a column is, as an operand.
pub(crate) type ColumnText<'a> = &'a dyn Fn(&Column) -> String;

/// An expression.
pub(crate) fn text(expr: &Expr, column: ColumnText) -> String {
    let part = |expr: &Expr| operand(expr, column);
    let expr = unaliased(expr);
    match expr {
        Expr::Column(found) => column(found),
        Expr::Literal(value, _) => literal(value),
        Expr::BinaryExpr(binary) => binary_text(binary, column),
        Expr::Not(inner) => format!("NOT {}", part(inner)),
        Expr::Negative(inner) => format!("-{}", part(inner)),
        Expr::IsNull(inner) => format!("{} IS NULL", part(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", part(inner)),
        Expr::IsTrue(inner) => format!("{} IS TRUE", part(inner)),
        Expr::IsNotTrue(inner) => format!("{} IS NOT TRUE", part(inner)),
        Expr::IsFalse(inner) => format!("{} IS FALSE", part(inner)),
        Expr::IsNotFalse(inner) => format!("{} IS NOT FALSE", part(inner)),
        Expr::IsUnknown(inner) => format!("{} IS UNKNOWN", part(inner)),
        Expr::IsNotUnknown(inner) => format!("{} IS NOT UNKNOWN", part(inner)),
        Expr::Between(between) => {
            let (low, high) = (compared(&between.low, column), compared(&between.high, column));
            format!("{}{} BETWEEN {low} AND {high}", part(&between.expr), not(between.negated))
        }
        Expr::InList(list) => {
            let mut items: Vec<String> = list.list.iter().map(|item| compared(item, column)).collect();
            items.sort();
            format!("{}{} IN ({})", part(&list.expr), not(list.negated), items.join(", "))
        }
        Expr::Like(like) => like_text(like, if like.case_insensitive { "ILIKE" } else { "LIKE" }, column),
        Expr::SimilarTo(like) => like_text(like, "SIMILAR TO", column),
        Expr::Case(case) => {
            let mut out = "CASE".to_string();
            if let Some(of) = &case.expr {
                out.push_str(&format!(" {}", part(of)));
            }
            for (when, then) in &case.when_then_expr {
                out.push_str(&format!(" WHEN {} THEN {}", part(when), part(then)));
            }
            if let Some(otherwise) = &case.else_expr {
                out.push_str(&format!(" ELSE {}", part(otherwise)));
            }
            out + " END"
        }
        Expr::Cast(cast) => format!("CAST({} AS {})", text(&cast.expr, column), cast.field.data_type()),
        Expr::TryCast(cast) => format!("TRY_CAST({} AS {})", text(&cast.expr, column), cast.field.data_type()),
        Expr::ScalarFunction(call) => member(expr, call, column)
            .unwrap_or_else(|| format!("{}({})", call.func.name(), list(call.args.iter(), column))),
        Expr::AggregateFunction(call) => aggregate(call, column),
        // What is rare is told as DataFusion tells it, with what its columns are.
        other => {
            let mut columns: Vec<String> = other
                .column_refs()
                .into_iter()
                .map(|found| format!("{} = {}", found.flat_name(), column(found)))
                .collect();
            columns.sort();
            format!("{other} with {}", columns.join(", "))
        }
    }
}

/// An expression that can stand beside an operator.
pub(crate) fn operand(expr: &Expr, column: ColumnText) -> String {
    let text = text(expr, column);
    match unaliased(expr) {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::ScalarFunction(_)
        | Expr::AggregateFunction(_) => text,
        _ => format!("({text})"),
    }
}

/// The conditions that must all hold, each for itself.
pub(crate) fn conjuncts(predicate: &Expr, column: ColumnText, out: &mut Vec<String>) {
    match unaliased(predicate) {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            conjuncts(left, column, out);
            conjuncts(right, column, out);
        }
        other => out.push(text(other, column)),
    }
}

/// A name as it is written in SQL.
pub(crate) fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_string() } else { format!("`{}`", name.replace('`', "``")) }
}

fn not(negated: bool) -> &'static str {
    if negated { " NOT" } else { "" }
}

fn list<'e>(exprs: impl Iterator<Item = &'e Expr>, column: ColumnText) -> String {
    exprs.map(|expr| text(expr, column)).collect::<Vec<_>>().join(", ")
}

fn binary_text(binary: &BinaryExpr, column: ColumnText) -> String {
    if binary.op.is_logic_operator() {
        let mut parts = Vec::new();
        flatten(&binary.left, binary.op, column, &mut parts);
        flatten(&binary.right, binary.op, column, &mut parts);
        parts.sort();
        parts.dedup();
        return parts.join(&format!(" {} ", binary.op));
    }
    // The other side of a comparison has the type of this one.
    let side = |expr: &Expr| if is_comparison(binary.op) { compared(expr, column) } else { operand(expr, column) };
    let (mut left, mut right, mut op) = (side(&binary.left), side(&binary.right), binary.op);
    if let Some(swapped) = swapped(binary.op) {
        let is_literal = |expr: &Expr| matches!(unaliased(expr), Expr::Literal(..));
        if (is_literal(&binary.left), &left) > (is_literal(&binary.right), &right) {
            (left, right, op) = (right, left, swapped);
        }
    }
    format!("{left} {op} {right}")
}

fn flatten(expr: &Expr, op: Operator, column: ColumnText, parts: &mut Vec<String>) {
    match unaliased(expr) {
        Expr::BinaryExpr(binary) if binary.op == op => {
            flatten(&binary.left, op, column, parts);
            flatten(&binary.right, op, column, parts);
        }
        other => parts.push(operand(other, column)),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// The operator that gives the same with its sides swapped.
fn swapped(op: Operator) -> Option<Operator> {
    match op {
        Operator::Plus | Operator::Multiply | Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor => {
            Some(op)
        }
        other => other.swap(),
    }
}

/// One side of a comparison: the type of a number is that of the other side.
fn compared(expr: &Expr, column: ColumnText) -> String {
    use ScalarValue::{Float32, Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64};
    match unaliased(expr) {
        Expr::Literal(Float32(Some(value)), _) => format!("{value:?}"),
        Expr::Literal(
            value @ (Int8(Some(_)) | Int16(Some(_)) | Int32(Some(_)) | UInt8(Some(_)) | UInt16(Some(_))
            | UInt32(Some(_)) | UInt64(Some(_))),
            _,
        ) => value.to_string(),
        other => operand(other, column),
    }
}

fn like_text(like: &Like, word: &str, column: ColumnText) -> String {
    let escape = like.escape_char.map(|escape| format!(" ESCAPE {}", quoted(&escape.to_string()))).unwrap_or_default();
    let (expr, pattern) = (operand(&like.expr, column), operand(&like.pattern, column));
    format!("{expr}{} {word} {pattern}{escape}", not(like.negated))
}

/// `a.b.c`, `ts.seconds`.
fn member(expr: &Expr, call: &ScalarFunction, column: ColumnText) -> Option<String> {
    if let Some((timestamp, part)) = timestamp_parts::part_of(expr) {
        return Some(format!("{}.{part}", operand(timestamp, column)));
    }
    if call.func.name() != "get_field" {
        return None;
    }
    let (base, names) = call.args.split_first()?;
    let mut out = operand(base, column);
    for name in names {
        let (Expr::Literal(ScalarValue::Utf8(Some(name)), _) | Expr::Literal(ScalarValue::Utf8View(Some(name)), _)) =
            name
        else {
            return None;
        };
        out.push('.');
        out.push_str(&identifier(name));
    }
    Some(out)
}

fn aggregate(call: &AggregateFunction, column: ColumnText) -> String {
    let params = &call.params;
    let distinct = if params.distinct { "DISTINCT " } else { "" };
    let mut out = format!("{}({distinct}{}", call.func.name(), list(params.args.iter(), column));
    if !params.order_by.is_empty() {
        let order: Vec<String> = params.order_by.iter().map(|by| sort(by, column)).collect();
        out.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    out.push(')');
    if let Some(filter) = &params.filter {
        let mut parts = Vec::new();
        conjuncts(filter, column, &mut parts);
        parts.sort();
        out.push_str(&format!(" FILTER (WHERE {})", parts.join(" AND ")));
    }
    match params.null_treatment {
        Some(NullTreatment::IgnoreNulls) => out + " IGNORE NULLS",
        Some(NullTreatment::RespectNulls) => out + " RESPECT NULLS",
        None => out,
    }
}

fn sort(by: &Sort, column: ColumnText) -> String {
    let direction = if by.asc { "" } else { " DESC" };
    let nulls = if by.nulls_first { " NULLS FIRST" } else { " NULLS LAST" };
    format!("{}{direction}{nulls}", operand(&by.expr, column))
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A constant with its type, where it is not the one that such a constant has by itself.
fn literal(value: &ScalarValue) -> String {
    use ScalarValue::{
        Boolean, Dictionary, FixedSizeList, Float64, Int64, LargeList, LargeUtf8, List, Map, Null, Struct, Utf8,
        Utf8View,
    };
    match value {
        Null => "NULL".into(),
        Utf8(Some(text)) | LargeUtf8(Some(text)) | Utf8View(Some(text)) => quoted(text),
        Boolean(Some(value)) => if *value { "TRUE" } else { "FALSE" }.into(),
        Int64(Some(value)) => value.to_string(),
        Float64(Some(value)) => format!("{value:?}"),
        value if value.is_null() => format!("NULL::{}", value.data_type()),
        Dictionary(_, inner) => literal(inner),
        List(array) => format!("ARRAY{}", elements(array.value(0).as_ref())),
        LargeList(array) => format!("ARRAY{}", elements(array.value(0).as_ref())),
        FixedSizeList(array) => format!("ARRAY{}", elements(array.value(0).as_ref())),
        Map(array) => format!("MAP{}", elements(&array.value(0))),
        Struct(array) => struct_text(array.as_ref()),
        other => format!("{other:?}"),
    }
}

fn elements(array: &dyn Array) -> String {
    let items = (0..array.len()).map(|at| match array.as_struct_opt() {
        Some(rows) if rows.is_valid(at) => struct_text(&rows.slice(at, 1)),
        _ => ScalarValue::try_from_array(array, at).map_or_else(|error| error.to_string(), |item| literal(&item)),
    });
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn struct_text(row: &arrow::array::StructArray) -> String {
    let fields = row.column_names().into_iter().zip(row.columns()).map(|(name, column)| {
        let value =
            ScalarValue::try_from_array(column, 0).map_or_else(|error| error.to_string(), |item| literal(&item));
        format!("{}: {value}", identifier(name))
    });
    format!("ROW({})", fields.collect::<Vec<_>>().join(", "))
}
