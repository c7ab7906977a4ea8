//! Conditions on points: what of them the scan judges, and the rest over columns.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType as ArrowType;
use series::{TagFilter, TagTest};

use crate::QueryError;
use crate::ast::{Binary, DataType, Expr, VarRef};
use crate::eval::{Lookup, Rules, evaluate, truths};
use crate::schema::Found;
use crate::token::Token;

/// Values of a tag that are looked at one by one to make a condition a list.
const VALUES_MAX: usize = 10_000;

pub const CONDITION_RULES: Rules = Rules { float_division: false, math: true, missing_is_false: false };

/// How comparisons of fields are judged.
#[derive(Clone, Copy, PartialEq)]
pub enum Fields {
    /// By their values.
    Judged,
    /// They hold: only whole series are judged.
    Ignored,
}

/// A reference that is compared as a tag: what is no field is one, if only an absent one.
fn is_tag(reference: &VarRef) -> bool {
    matches!(reference.data_type, DataType::Tag | DataType::Unknown)
}

/// Whether a comparison is of a tag with text, a regular expression or another tag; then an absent tag is empty.
fn tag_comparison(binary: &Binary) -> Option<(&VarRef, &Expr)> {
    if matches!(binary.left, Expr::Binary(_)) || matches!(binary.right, Expr::Binary(_)) {
        return None;
    }
    let (reference, other) = match (&binary.left, &binary.right) {
        (Expr::Ref(reference), other) | (other, Expr::Ref(reference)) => (reference, other),
        _ => return None,
    };
    let tags = is_tag(reference)
        && match other {
            Expr::Text(_) | Expr::Regex(_) => true,
            Expr::Ref(other) => is_tag(other),
            _ => false,
        };
    tags.then_some((reference, other))
}

/// Which rows a condition holds for, by the rules of a measurement's index: a series is judged by its tags first, what
/// is left by the fields of each point.
pub fn holds(condition: &Expr, lookup: Lookup<'_>, rows: usize, fields: Fields) -> Result<BooleanArray, QueryError> {
    let all = |value: bool| BooleanArray::from(vec![value; rows]);
    Ok(match condition {
        Expr::Paren(inner) => holds(inner, lookup, rows, fields)?,
        Expr::Boolean(value) => all(*value),
        Expr::Binary(binary) if matches!(binary.op, Token::And | Token::Or) => {
            let left = holds(&binary.left, lookup, rows, fields)?;
            let right = holds(&binary.right, lookup, rows, fields)?;
            let both = match binary.op {
                Token::And => left.values() & right.values(),
                _ => left.values() | right.values(),
            };
            BooleanArray::new(both, None)
        }
        Expr::Binary(binary) => match tag_comparison(binary) {
            Some((tag, other)) => compare_tag(binary.op, tag, other, lookup, rows),
            None if fields == Fields::Ignored => all(true),
            None => truths(&evaluate(condition, lookup, rows, CONDITION_RULES)?),
        },
        _ => all(false),
    })
}

fn text_column(column: Option<ArrayRef>) -> Option<StringArray> {
    column.filter(|column| column.data_type() == &ArrowType::Utf8).map(|column| column.as_string().clone())
}

fn value_or_empty(column: Option<&StringArray>, row: usize) -> &str {
    match column {
        Some(column) if column.is_valid(row) => column.value(row),
        _ => "",
    }
}

fn compare_tag(op: Token, tag: &VarRef, other: &Expr, lookup: Lookup<'_>, rows: usize) -> BooleanArray {
    let values = text_column(lookup(tag));
    let value = |row| value_or_empty(values.as_ref(), row);
    let each = |judge: &dyn Fn(usize) -> bool| (0..rows).map(|row| Some(judge(row))).collect::<BooleanArray>();
    match (other, op) {
        (Expr::Text(text), Token::Eq) => each(&|row| value(row) == text),
        (Expr::Text(text), Token::Neq) => each(&|row| value(row) != text),
        (Expr::Regex(regex), Token::EqRegex) => each(&|row| regex.matches(value(row))),
        (Expr::Regex(regex), Token::NeqRegex) => each(&|row| !regex.matches(value(row))),
        (Expr::Ref(other), Token::Eq | Token::Neq) => {
            let others = text_column(lookup(other));
            each(&|row| {
                let same = !value(row).is_empty() && value(row) == value_or_empty(others.as_ref(), row);
                same == (op == Token::Eq)
            })
        }
        _ => each(&|_| false),
    }
}

/// Conditions that the scan judges exactly, and the condition that is left.
pub fn push_down(condition: &Expr, found: &Found) -> Result<(Vec<TagFilter>, Option<Expr>), QueryError> {
    let mut parts = Vec::new();
    conjuncts(condition, &mut parts);
    let (mut filters, mut rest) = (Vec::new(), None::<Expr>);
    for part in parts {
        match tag_filter(part, found)? {
            Some(filter) => filters.push(filter),
            None => {
                rest = Some(match rest {
                    Some(rest) => Expr::binary(Token::And, rest, part.clone()),
                    None => part.clone(),
                });
            }
        }
    }
    Ok((filters, rest))
}

fn conjuncts<'a>(condition: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match condition {
        Expr::Paren(inner) => conjuncts(inner, parts),
        Expr::Binary(binary) if binary.op == Token::And => {
            conjuncts(&binary.left, parts);
            conjuncts(&binary.right, parts);
        }
        other => parts.push(other),
    }
}

/// A condition on one tag alone as the list of its values for which it holds.
fn tag_filter(condition: &Expr, found: &Found) -> Result<Option<TagFilter>, QueryError> {
    let references = condition.references();
    let [tag] = references.as_slice() else { return Ok(None) };
    if !is_tag(tag) || !found.shape.tags.contains(&tag.name) || !only_tags(condition) {
        return Ok(None);
    }
    let filter = |test| Ok(Some(TagFilter { tag: tag.name.clone(), test }));
    if let Expr::Binary(binary) = condition
        && let (Some((_, Expr::Text(value))), Token::Eq, false) =
            (tag_comparison(binary), binary.op, matches!(condition, Expr::Paren(_)))
    {
        return filter(if value.is_empty() { TagTest::Absent } else { TagTest::OneOf(vec![value.clone()]) });
    }
    let values = found.database.tag_values(&found.name, &tag.name)?;
    if values.len() > VALUES_MAX {
        return Ok(None);
    }
    let mut texts: Vec<Option<String>> = values.into_iter().map(Some).collect();
    texts.push(None);
    let column = StringArray::from(texts.clone());
    let column: ArrayRef = std::sync::Arc::new(column);
    let holding = holds(condition, &|_| Some(column.clone()), texts.len(), Fields::Judged)?;
    let absent = holding.value(texts.len() - 1);
    let wanted: Vec<String> =
        texts.into_iter().enumerate().filter(|(row, _)| holding.value(*row)).filter_map(|(_, text)| text).collect();
    if absent && wanted.is_empty() {
        return filter(TagTest::Absent);
    } else if absent {
        return Ok(None);
    }
    filter(TagTest::OneOf(wanted))
}

/// Whether a condition is made of comparisons of tags alone.
fn only_tags(condition: &Expr) -> bool {
    match condition {
        Expr::Paren(inner) => only_tags(inner),
        Expr::Binary(binary) if matches!(binary.op, Token::And | Token::Or) => {
            only_tags(&binary.left) && only_tags(&binary.right)
        }
        Expr::Binary(binary) => tag_comparison(binary).is_some(),
        _ => false,
    }
}
