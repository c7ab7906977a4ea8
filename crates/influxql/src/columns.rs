//! The names of a SELECT's columns.

use std::collections::BTreeMap;

use crate::ast::{Expr, Field, Select, VarRef};

impl Select {
    /// The expression of a field, or the tag of `top()`, that has this name.
    pub fn field_by_name(&self, name: &str) -> Option<Expr> {
        for field in &self.fields {
            if field.name() == name {
                return Some(field.expr.clone());
            }
            let tags = field.top_bottom_tags();
            if let Some(tag) = tags.iter().find(|tag| tag.name == name) {
                return Some(Expr::Ref((*tag).clone()));
            }
        }
        None
    }

    /// The names of the columns, `time` first unless it is left out; names that are there twice get numbers.
    pub fn column_names(&self) -> Vec<String> {
        let mut columns: Vec<Field> = Vec::new();
        for field in &self.fields {
            columns.push(field.clone());
            if self.target.is_none() {
                columns.extend(field.top_bottom_tags().into_iter().map(|tag| Field::new(Expr::Ref(tag))));
            }
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for column in columns.iter().filter(|column| !column.alias.is_empty()) {
            counts.insert(column.alias.clone(), 1);
        }
        let mut names = Vec::with_capacity(columns.len() + 1);
        if !self.omit_time {
            names.push(if self.time_alias.is_empty() { "time".to_owned() } else { self.time_alias.clone() });
        }
        for column in &columns {
            if !column.alias.is_empty() {
                names.push(column.alias.clone());
                continue;
            }
            let base = column.name();
            let mut name = base.clone();
            if let Some(mut count) = counts.get(&base).copied() {
                loop {
                    name = format!("{base}_{count}");
                    if !counts.contains_key(&name) {
                        counts.insert(base.clone(), count + 1);
                        break;
                    }
                    count += 1;
                }
            }
            *counts.entry(name.clone()).or_default() += 1;
            names.push(name);
        }
        names
    }
}

impl Field {
    /// The tags between the field and the count of `top(field, tags, count)`.
    pub fn top_bottom_tags(&self) -> Vec<VarRef> {
        match &self.expr {
            Expr::Call(call) if matches!(call.name.as_str(), "top" | "bottom") => call
                .args
                .iter()
                .skip(1)
                .filter_map(|arg| match arg {
                    Expr::Ref(reference) => Some(reference.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}
