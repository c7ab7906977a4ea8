//! CEL expressions over the rows of a batch.
//!
//! An expression is compiled once, and its fields are found in the schema. Conditions of scalar fields and constants are
//! evaluated on whole columns; what is not as simple, and every row for which that way has no answer, goes through the
//! interpreter of the crate `cel`, so that both give the same for every row.

mod cells;
mod check;
mod constant;
mod functions;
mod kernel;
mod operands;
mod patterns;
mod presence;
mod test;
mod types;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, IdedExpr, ParseErrors, Value};
use regex::Regex;

use crate::ColumnType;
use crate::limits::{EXPRESSION_BYTES_MAX, LOOP_STEPS_MAX, PARSER_STACK_BYTES};
use crate::path::{FieldPath, Unknown};
use cells::Cells;
use check::Checker;
use types::Type;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

#[derive(Debug)]
pub(crate) struct Expression {
    root: IdedExpr,
    slots: Vec<FieldPath>,
    of: Type,
    plan: kernel::Node,
    patterns: Vec<Regex>,
    /// Loops inside each other, and the items that are written in the expression: what bounds the work for a row.
    loops: usize,
    items: usize,
}

/// For every row true or false, NULL where it failed; and the rows that failed, ascending, with the reasons.
pub(crate) type Condition = (BooleanArray, Vec<(usize, String)>);

impl Expression {
    pub fn compile(text: &str, schema: &Schema) -> Result<Self, Unknown> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(Unknown {
                detail: format!("it has {} bytes; the most is {EXPRESSION_BYTES_MAX}", text.len()),
                hint: "shorten it, or derive columns first".into(),
            });
        }
        // cel's parser is recursive, and has panicked on some texts: a stack of its own is large enough for the longest
        // text, and a panic ends with it.
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().name("cel".into()).stack_size(PARSER_STACK_BYTES);
            let read = reader.spawn_scoped(scope, || Self::read(text, schema)).map_err(|error| Unknown {
                detail: format!("no thread could be started: {error}"),
                hint: "try again".into(),
            })?;
            read.join().unwrap_or_else(|_| {
                Err(Unknown {
                    detail: "the parser of CEL gave up on this text".into(),
                    hint: "write it differently; brackets and quotes in pairs".into(),
                })
            })
        })
    }

    fn read(text: &str, schema: &Schema) -> Result<Self, Unknown> {
        let program = ENVIRONMENT.compile(text).map_err(|errors| syntax(&errors))?;
        let mut root = program.expression().clone();
        let mut checker = Checker::new(schema);
        let of = checker.check(&mut root)?;
        let plan = kernel::plan(&root, &checker.slots)?;
        let mut patterns = Vec::new();
        patterns::take(&mut root, &mut patterns)?;
        let (slots, loops, items) = (checker.slots, checker.loops_max, checker.items);
        Ok(Self { root, slots, of, plan, patterns, loops, items })
    }

    /// Refused when it can be seen that the expression is no condition.
    pub fn into_condition(self) -> Result<Self, Unknown> {
        match &self.of {
            Type::Bool | Type::Dynamic | Type::Nothing => Ok(self),
            other => Err(Unknown {
                detail: format!("the expression is a {other}, and not true or false"),
                hint: "compare it with something, such as `price > 10.0`".into(),
            }),
        }
    }

    /// The fields in use.
    pub fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.slots.iter()
    }

    /// What the values are, as far as it can be seen without a row.
    pub fn column_type(&self) -> Option<ColumnType> {
        self.of.column_type()
    }

    pub fn type_name(&self) -> String {
        self.of.to_string()
    }

    pub fn is_known(&self) -> bool {
        !matches!(self.of, Type::Dynamic | Type::Nothing | Type::Null)
    }

    /// The field, when the expression is nothing but one.
    pub fn as_field(&self) -> Option<&FieldPath> {
        match &self.root.expr {
            cel::common::ast::Expr::Ident(name) => self.slots.get(cells::slot_of(name)?),
            _ => None,
        }
    }

    /// The condition for all rows; those that are not wanted may be left unknown, and do not fail.
    pub fn condition(&self, batch: &RecordBatch, is_wanted: impl Fn(usize) -> bool) -> Result<Condition, ArrowError> {
        let columns = self.columns(batch)?;
        let mut holds = self.plan.evaluate(&columns, batch.num_rows())?;
        let mut failed = Vec::new();
        if let Some(answered) = holds.nulls().filter(|answered| answered.null_count() > 0).cloned() {
            let mut values: Vec<Option<bool>> = holds.iter().collect();
            let open = (0..batch.num_rows()).filter(|row| answered.is_null(*row) && is_wanted(*row));
            self.interpret(columns, open, |row, found| {
                let found = found.and_then(|value| match value {
                    Value::Bool(holds) => Ok(holds),
                    other => {
                        Err(format!("the expression gives {} for this row, and not true or false", other.type_of()))
                    }
                });
                match (found, values.get_mut(row)) {
                    (Ok(holds), Some(value)) => *value = Some(holds),
                    (Ok(_), None) => {}
                    (Err(reason), _) => failed.push((row, reason)),
                }
            });
            holds = values.into_iter().collect();
        }
        Ok((holds, failed))
    }

    /// The condition for all rows by the interpreter alone: what [`Self::condition`] has to be equal to.
    pub fn condition_interpreted(&self, batch: &RecordBatch) -> Result<Condition, ArrowError> {
        let mut values = Vec::with_capacity(batch.num_rows());
        let mut failed = Vec::new();
        self.interpret(self.columns(batch)?, 0..batch.num_rows(), |row, found| match found {
            Ok(Value::Bool(holds)) => values.push(Some(holds)),
            Ok(other) => {
                let reason = format!("the expression gives {} for this row, and not true or false", other.type_of());
                failed.push((row, reason));
                values.push(None);
            }
            Err(reason) => {
                failed.push((row, reason));
                values.push(None);
            }
        });
        Ok((values.into_iter().collect(), failed))
    }

    /// The value for each of some rows, one after the other.
    pub fn values(
        &self,
        batch: &RecordBatch,
        rows: impl Iterator<Item = usize>,
        take: impl FnMut(usize, Result<Value, String>),
    ) -> Result<(), ArrowError> {
        self.interpret(self.columns(batch)?, rows, take);
        Ok(())
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        self.slots.iter().map(|path| path.values(batch)).collect()
    }

    fn interpret(
        &self,
        columns: Vec<ArrayRef>,
        rows: impl Iterator<Item = usize>,
        mut take: impl FnMut(usize, Result<Value, String>),
    ) {
        let cells = Cells { columns, row: AtomicUsize::new(0) };
        let mut context = Context::with_env(ENVIRONMENT.clone());
        context.set_variable_resolver(&cells);
        patterns::declare(&self.patterns, &mut context);
        for row in rows {
            cells.row.store(row, Ordering::Relaxed);
            if self.loops > 1 && !self.is_bounded(&cells.columns, row) {
                take(row, Err(format!("the loops of the expression have more than {LOOP_STEPS_MAX} steps")));
                continue;
            }
            // A panic of the interpreter would end the stream of all records: it fails this one instead.
            let found = catch_unwind(AssertUnwindSafe(|| self.evaluate(&context)));
            let found = match found {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(self.reason(&error, &cells.columns, row)),
                Err(_) => Err("the interpreter of CEL gave up on this row".to_owned()),
            };
            take(row, found);
        }
    }

    fn evaluate(&self, context: &Context<'_, '_>) -> Result<Value, ExecutionError> {
        let found = Value::resolve_val(&self.root, context)?;
        match found.downcast_ref::<CelBool>() {
            Some(holds) => Ok(Value::Bool(*holds.inner())),
            None => Value::try_from(found.as_ref()),
        }
    }

    fn reason(&self, error: &ExecutionError, columns: &[ArrayRef], row: usize) -> String {
        if let ExecutionError::UndeclaredReference(name) = error
            && let Some(slot) = cells::slot_of(name)
            && let (Some(column), Some(path)) = (columns.get(slot), self.slots.get(slot))
            && let Err(reason) = cells::value(column, row)
        {
            return format!("`{}`: {reason}", path.text());
        }
        let text = cells::reason(error);
        let nulls = self.slots.iter().zip(columns).filter(|(_, column)| column.is_null(row));
        let nulls: Vec<String> = nulls.map(|(path, _)| format!("`{}`", path.text())).collect();
        match nulls.as_slice() {
            [] => text,
            [one] => format!("{text}; {one} is NULL"),
            several => format!("{text}; {} are NULL", several.join(", ")),
        }
    }

    /// Whether loops inside each other come to an end soon enough.
    fn is_bounded(&self, columns: &[ArrayRef], row: usize) -> bool {
        let items = columns.iter().fold(self.items, |sum, column| sum.saturating_add(items(column, row)));
        let depth = u32::try_from(self.loops).unwrap_or(u32::MAX);
        items.checked_pow(depth).is_some_and(|steps| steps <= LOOP_STEPS_MAX)
    }
}

/// The entries of lists and maps in a value, at all depths.
fn items(array: &ArrayRef, row: usize) -> usize {
    if array.is_null(row) {
        return 0;
    }
    let of_all = |values: ArrayRef| {
        let nested = matches!(values.data_type(), DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
        let inner = if nested { (0..values.len()).map(|at| items(&values, at)).sum() } else { 0 };
        values.len() + inner
    };
    match array.data_type() {
        DataType::List(_) => of_all(array.as_list::<i32>().value(row)),
        DataType::Map(..) => of_all(array.as_map().value(row).column(1).clone()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| items(column, row)).sum(),
        _ => 0,
    }
}

fn syntax(errors: &ParseErrors) -> Unknown {
    let hint = "fields, numbers and texts in quotes with ==, !=, <, <=, >, >=, in, &&, || and !".to_owned();
    let Some(first) = errors.errors.first() else {
        return Unknown { detail: "it is not a CEL expression".into(), hint };
    };
    let place = if first.pos.0 > 0 { format!("line {}, column {}: ", first.pos.0, first.pos.1) } else { String::new() };
    let message: String = first.msg.chars().take(200).collect();
    Unknown { detail: format!("{place}{message}"), hint }
}
