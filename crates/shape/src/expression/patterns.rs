//! Constant patterns of `matches`, compiled once: the interpreter would compile them for every row.

use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use cel::{Context, IdedExpr};
use regex::Regex;

use crate::path::Unknown;

/// Puts a function of its own in the place of each call with a constant pattern; their patterns, in the order of their
/// names.
pub(super) fn take(expression: &mut IdedExpr, patterns: &mut Vec<Regex>) -> Result<(), Unknown> {
    match &mut expression.expr {
        Expr::Call(call) => {
            let parts = call.target.iter_mut().map(|target| target.as_mut()).chain(&mut call.args);
            for part in parts {
                take(part, patterns)?;
            }
            if call.func_name == "matches"
                && let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|last| &last.expr)
            {
                let compiled = compile(pattern.inner())?;
                call.args.pop();
                call.args.extend(call.target.take().map(|target| *target));
                call.func_name = function_name(patterns.len());
                patterns.push(compiled);
            }
            Ok(())
        }
        Expr::Select(select) => take(&mut select.operand, patterns),
        Expr::List(list) => list.elements.iter_mut().try_for_each(|element| take(element, patterns)),
        Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::MapEntry(entry) => {
                take(&mut entry.key, patterns)?;
                take(&mut entry.value, patterns)
            }
            EntryExpr::StructField(field) => take(&mut field.value, patterns),
        }),
        Expr::Comprehension(inner) => {
            let parts = [&mut inner.iter_range, &mut inner.loop_step, &mut inner.result];
            parts.into_iter().try_for_each(|part| take(part, patterns))
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Ok(()),
    }
}

pub(super) fn compile(pattern: &str) -> Result<Regex, Unknown> {
    Regex::new(pattern).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Unknown {
            detail: format!("`{pattern}` is no pattern: {last}"),
            hint: "patterns have no look-around and no back-references".into(),
        }
    })
}

/// Nobody can write such a name.
fn function_name(index: usize) -> String {
    format!("@matches{index}")
}

pub(super) fn declare(patterns: &[Regex], context: &mut Context<'_, '_>) {
    for (index, pattern) in patterns.iter().enumerate() {
        let pattern = pattern.clone();
        // Refused only for names that CEL has itself.
        let _ = context.add_function(&function_name(index), move |text: Arc<String>| pattern.is_match(&text));
    }
}
