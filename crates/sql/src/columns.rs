//! Which fields of a message the expressions of a query read.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::Expr;

use crate::timestamp_parts;

/// Adds the dotted paths that `expr` reads to `paths`. `rowtime` is made, not decoded.
pub(crate) fn add_paths(expr: &Expr, paths: &mut BTreeSet<String>) -> Result<()> {
    expr.apply(|node| {
        if let Some(path) = path_of(node) {
            if path != "rowtime" {
                paths.insert(path);
            }
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// `a`, or `get_field(get_field(a, 'b'), 'c')` as `a.b.c`.
fn path_of(expr: &Expr) -> Option<String> {
    if let Some((timestamp, part)) = timestamp_parts::part_of(expr) {
        return Some(format!("{}.{part}", path_of(timestamp)?));
    }
    match expr {
        Expr::Column(Column { name, .. }) => Some(name.clone()),
        Expr::ScalarFunction(call) if call.func.name() == "get_field" => {
            let mut path = path_of(call.args.first()?)?;
            for argument in &call.args[1..] {
                let Expr::Literal(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)), _) = argument
                else {
                    return None;
                };
                path.push('.');
                path.push_str(name);
            }
            Some(path)
        }
        _ => None,
    }
}

/// Drops paths that are covered by a shorter one. The exact parts of a timestamp are not covered by the timestamp.
pub(crate) fn shortest(paths: BTreeSet<String>, schema: &Schema) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for path in paths {
        let covered = !is_timestamp_part(&path, schema)
            && kept.iter().any(|known| path.strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with('.')));
        if !covered {
            kept.push(path);
        }
    }
    kept
}

fn is_timestamp_part(path: &str, schema: &Schema) -> bool {
    let Some((path, _)) = path.rsplit_once('.') else { return false };
    let mut parts = path.split('.');
    let Some(field) = parts.next().and_then(|name| schema.field_with_name(name).ok()) else { return false };
    let mut data_type = field.data_type();
    for part in parts {
        let DataType::Struct(fields) = data_type else { return false };
        let Some((_, field)) = fields.find(part) else { return false };
        data_type = field.data_type();
    }
    matches!(data_type, DataType::Timestamp(_, _))
}
