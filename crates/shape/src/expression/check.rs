//! Finds the fields and the types in an expression, and puts the fields' slots in their place.
//!
//! The interpreter knows no types before there is a row. Everything that is wrong for every row is found here instead:
//! names that do not exist, and operands that never fit.

use arrow::datatypes::{DataType, Schema};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, operators};

use super::cells::slot_name;
use super::functions;
use super::operands::{Checked, arithmetic, boolean, convert_hint, member, of_literal, wrong};
use super::presence;
use super::types::Type;
use crate::limits::{
    EXPRESSION_DEPTH_MAX, EXPRESSION_FIELDS_MAX, EXPRESSION_JOINS_MAX, LOOP_DEPTH_MAX, LOOP_GROWTH_MAX,
};
use crate::path::{self, FieldPath, Unknown};

pub(super) struct Checker<'a> {
    schema: &'a Schema,
    /// The fields in use, each once.
    pub slots: Vec<FieldPath>,
    /// The variables of the loops that are around, innermost last.
    variables: Vec<(String, Type)>,
    depth: usize,
    loops: usize,
    /// The most loops inside each other.
    pub loops_max: usize,
    /// Items of lists and maps that are written in the expression.
    pub items: usize,
    joins: usize,
    growth: usize,
}

impl<'a> Checker<'a> {
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            slots: Vec::new(),
            variables: Vec::new(),
            depth: 0,
            loops: 0,
            loops_max: 0,
            items: 0,
            joins: 0,
            growth: 1,
        }
    }

    pub fn check(&mut self, expression: &mut IdedExpr) -> Checked<Type> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return wrong(
                format!("brackets and operators are more than {EXPRESSION_DEPTH_MAX} inside each other"),
                "write it in several columns, or shorter",
            );
        }
        let found = self.node(expression);
        self.depth -= 1;
        found
    }

    fn node(&mut self, expression: &mut IdedExpr) -> Checked<Type> {
        if let Some(path) = self.field(&expression.expr)? {
            return self.place(path, expression);
        }
        match &mut expression.expr {
            Expr::Literal(literal) => Ok(of_literal(literal)),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) if select.test => {
                let operand = (*select.operand).clone();
                let field = select.field.clone();
                self.presence(operand, &field, expression)
            }
            Expr::Select(select) => {
                let of = self.check(&mut select.operand)?;
                member(&of, &select.field)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                self.items += list.elements.len();
                let mut item = Type::Nothing;
                for element in &mut list.elements {
                    item = item.joined(self.check(element)?);
                }
                Ok(Type::List(Box::new(item)))
            }
            Expr::Map(map) => {
                self.items += map.entries.len();
                let (mut key, mut value) = (Type::Nothing, Type::Nothing);
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        key = key.joined(self.check(&mut entry.key)?);
                        value = value.joined(self.check(&mut entry.value)?);
                    }
                }
                if !matches!(key, Type::Int | Type::Uint | Type::Bool | Type::String) && !key.is_open() {
                    return wrong(format!("the key of a map is no {key}"), "keys are int, uint, bool or string");
                }
                Ok(Type::Map(Box::new(key), Box::new(value)))
            }
            Expr::Struct(message) => wrong(
                format!("messages such as `{}{{...}}` cannot be made here", message.type_name),
                "compare the fields one by one, or write a map",
            ),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Unspecified => wrong("the expression is empty", "write a condition such as `price > 10.0`"),
        }
    }

    /// The field of the record that a name stands for, when the whole of it is one.
    fn field(&self, expression: &Expr) -> Checked<Option<FieldPath>> {
        match expression {
            Expr::Ident(name) if !name.starts_with('@') && !self.is_variable(name) => {
                let name = name.strip_prefix('.').unwrap_or(name);
                Ok(self.schema.field_with_name(name).ok().map(FieldPath::column))
            }
            Expr::Select(select) if !select.test => match self.field(&select.operand.expr)? {
                Some(path) if matches!(Type::of(&path.data_type), Some(Type::Message(_))) => {
                    path.child(&select.field).map(Some)
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn place(&mut self, path: FieldPath, expression: &mut IdedExpr) -> Checked<Type> {
        let Some(found) = Type::of(&path.data_type) else {
            return wrong(
                format!("CEL has no value of `{}`, which is {}", path.text(), path.data_type),
                "use another field",
            );
        };
        let slot = match self.slots.iter().position(|known| *known == path) {
            Some(slot) => slot,
            None if self.slots.len() == EXPRESSION_FIELDS_MAX => {
                return wrong(format!("more than {EXPRESSION_FIELDS_MAX} fields are used"), "use fewer");
            }
            None => {
                self.slots.push(path);
                self.slots.len() - 1
            }
        };
        expression.expr = Expr::Ident(slot_name(slot));
        Ok(found)
    }

    fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|(known, _)| known == name)
    }

    fn name(&self, name: &str) -> Checked<Type> {
        if let Some((_, found)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(found.clone());
        }
        const TYPES: [&str; 11] =
            ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "timestamp"];
        if TYPES.contains(&name) {
            return Ok(Type::Called);
        }
        let name = name.strip_prefix('.').unwrap_or(name);
        let variables = self.variables.iter().map(|(known, _)| known.as_str()).filter(|known| !known.starts_with('@'));
        Err(path::unknown(name, None, self.schema.fields().iter().map(|field| field.name().as_str()).chain(variables)))
    }

    /// `has(operand.field)`.
    fn presence(&mut self, mut operand: IdedExpr, field: &str, expression: &mut IdedExpr) -> Checked<Type> {
        let path = match self.field(&operand.expr)? {
            Some(path) if matches!(Type::of(&path.data_type), Some(Type::Message(_))) => Some(path.child(field)?),
            _ => None,
        };
        if let Some(path) = path {
            let mut value = IdedExpr { id: expression.id, expr: Expr::Unspecified };
            let found = self.place(path.clone(), &mut value)?;
            let is_enum = matches!(path.data_type, DataType::Dictionary(..));
            expression.expr = presence::of(value, &found, path.nullable || is_enum);
            return Ok(Type::Bool);
        }
        let of = self.check(&mut operand)?;
        member(&of, field)?;
        match of {
            Type::Message(_) => {
                let select =
                    cel::common::ast::SelectExpr { operand: Box::new(operand), field: field.to_owned(), test: false };
                expression.expr = presence::is_not_null(IdedExpr { id: expression.id, expr: Expr::Select(select) });
            }
            _ => {
                if let Expr::Select(select) = &mut expression.expr {
                    *select.operand = operand;
                }
            }
        }
        Ok(Type::Bool)
    }

    fn call(&mut self, call: &mut CallExpr) -> Checked<Type> {
        let on = match &mut call.target {
            Some(target) => Some(self.check(target)?),
            None => None,
        };
        let arguments = call.args.iter_mut().map(|argument| self.check(argument)).collect::<Checked<Vec<_>>>()?;
        if let (None, Some(found)) = (&on, self.operator(&call.func_name, &arguments)?) {
            return Ok(found);
        }
        functions::call(&call.func_name, on.as_ref(), &arguments).map_err(|(detail, hint)| Unknown { detail, hint })
    }

    fn operator(&mut self, name: &str, arguments: &[Type]) -> Checked<Option<Type>> {
        let found = match (name, arguments) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, operands) => {
                operands.iter().try_for_each(boolean)?;
                Type::Bool
            }
            (operators::NOT_STRICTLY_FALSE, _) => Type::Bool,
            (operators::CONDITIONAL, [condition, yes, no]) => {
                boolean(condition)?;
                yes.clone().joined(no.clone())
            }
            (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
                if !one.is_comparable_with(other) {
                    return wrong(format!("{one} and {other} are never equal"), convert_hint(one, other));
                }
                Type::Bool
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [one, other],
            ) => {
                let is_ordered = |found: &Type| {
                    let texts = matches!(found, Type::Bool | Type::String | Type::Bytes);
                    texts || found.is_number() || found.is_open() || matches!(found, Type::Timestamp | Type::Duration)
                };
                if !is_ordered(one) || !is_ordered(other) || !one.is_comparable_with(other) {
                    return wrong(format!("{one} and {other} have no order"), convert_hint(one, other));
                }
                Type::Bool
            }
            (operators::IN, [item, container]) => {
                let items = match container {
                    Type::List(items) | Type::Map(items, _) => items.as_ref(),
                    Type::Message(_) => &Type::String,
                    open if open.is_open() => open,
                    other => {
                        return wrong(format!("nothing is in a {other}"), "`in` takes a list or a map on its right");
                    }
                };
                if !item.is_comparable_with(items) {
                    return wrong(format!("{item} is never in a list of {items}"), convert_hint(item, items));
                }
                Type::Bool
            }
            (operators::NEGATE, [one]) => match one {
                Type::Int | Type::Double | Type::Dynamic | Type::Nothing => one.clone(),
                other => return wrong(format!("there is no negative {other}"), "`-` takes int or double"),
            },
            (operators::INDEX, [container, index]) => self.index(container, index)?,
            (
                operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [one, other],
            ) => {
                let found = arithmetic(name, one, other)?;
                if matches!(found, Type::String | Type::Bytes | Type::Dynamic) {
                    self.joins += 1;
                }
                if self.joins > EXPRESSION_JOINS_MAX {
                    return wrong(format!("texts are joined more than {EXPRESSION_JOINS_MAX} times"), "join fewer");
                }
                found
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    fn index(&self, container: &Type, index: &Type) -> Checked<Type> {
        match container {
            Type::List(item) if matches!(index, Type::Int | Type::Uint) || index.is_open() => Ok(item.as_ref().clone()),
            Type::Map(key, value) if index.is_comparable_with(key) => Ok(value.as_ref().clone()),
            Type::Message(_) if *index == Type::String => Ok(Type::Dynamic),
            open if open.is_open() => Ok(Type::Dynamic),
            other => wrong(format!("{other} has no entry by {index}"), "lists have entries by int, maps by their keys"),
        }
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Checked<Type> {
        let item = match self.check(&mut comprehension.iter_range)? {
            Type::List(item) => *item,
            Type::Map(key, _) => *key,
            Type::Message(_) => Type::String,
            open if open.is_open() => Type::Dynamic,
            other => return wrong(format!("{other} has no items"), "take a list or a map"),
        };
        self.loops += 1;
        self.loops_max = self.loops_max.max(self.loops);
        if self.loops > LOOP_DEPTH_MAX {
            return wrong(format!("loops are more than {LOOP_DEPTH_MAX} inside each other"), "write it with fewer");
        }
        if !matches!(item, Type::Bool | Type::Int | Type::Uint | Type::Double | Type::Timestamp | Type::Duration) {
            self.growth = self.growth.saturating_mul(uses(&comprehension.loop_step, &comprehension.iter_var).max(1));
        }
        if self.growth > LOOP_GROWTH_MAX {
            return wrong("loops over texts and lists make too much of them", "use the variable of a loop fewer times");
        }
        let init = self.check(&mut comprehension.accu_init)?;
        let variables = self.variables.len();
        self.variables.push((comprehension.iter_var.clone(), item));
        self.variables.push((comprehension.accu_var.clone(), init));
        self.check(&mut comprehension.loop_cond)?;
        let step = self.check(&mut comprehension.loop_step)?;
        self.variables.truncate(variables);
        self.variables.push((comprehension.accu_var.clone(), step));
        let result = self.check(&mut comprehension.result);
        self.variables.truncate(variables);
        self.loops -= 1;
        result
    }
}

/// How often what a loop appends has its variable in it.
fn uses(step: &IdedExpr, variable: &str) -> usize {
    match &step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.get(1).map_or(0, |step| uses(step, variable))
        }
        Expr::Call(call) if call.func_name == operators::ADD => {
            call.args.get(1).map_or(0, |appended| occurrences(&appended.expr, variable))
        }
        _ => 0,
    }
}

fn occurrences(expression: &Expr, variable: &str) -> usize {
    let of = |inner: &IdedExpr| occurrences(&inner.expr, variable);
    match expression {
        Expr::Ident(name) => usize::from(name == variable),
        Expr::Select(select) => of(&select.operand),
        Expr::Call(call) => call.target.iter().map(|target| of(target)).chain(call.args.iter().map(of)).sum(),
        Expr::List(list) => list.elements.iter().map(of).sum(),
        Expr::Map(map) => map
            .entries
            .iter()
            .map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => of(&entry.key) + of(&entry.value),
                EntryExpr::StructField(field) => of(&field.value),
            })
            .sum(),
        Expr::Comprehension(inner) => of(&inner.iter_range) + of(&inner.loop_step) + of(&inner.result),
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => 0,
    }
}
