//! The stateless steps of a branch on one batch: filter, project, unnest; and the columns that a window takes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, filter, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use sql::{BranchPlan, BranchTarget, Step};

/// A batch on its way through a branch.
pub(crate) struct BranchRows {
    pub batch: RecordBatch,
    /// Row of the lane's batch that each row comes from; `None` when they are the same.
    pub origin: Option<Vec<u32>>,
}

/// What a branch makes of a batch before any state is touched.
pub(crate) enum Prepared {
    /// No row is left.
    Nothing,
    Window {
        origin: Option<Vec<u32>>,
        times: Vec<i64>,
        keys: Vec<ArrayRef>,
        arguments: Vec<Vec<ArrayRef>>,
        filters: Vec<Option<BooleanArray>>,
    },
    Rows {
        origin: Option<Vec<u32>>,
        columns: Vec<ArrayRef>,
    },
}

impl Prepared {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Prepared::Nothing => 0,
            Prepared::Window { times, .. } => times.len(),
            Prepared::Rows { columns, .. } => columns.first().map_or(0, |column| column.len()),
        }
    }
}

/// Runs a branch's steps and evaluates what its target needs.
pub(crate) fn prepare(branch: &BranchPlan, batch: &RecordBatch) -> Result<Prepared, DataFusionError> {
    let mut rows = BranchRows { batch: batch.clone(), origin: None };
    for step in &branch.steps {
        rows = match step {
            Step::Filter(predicate) => filter_rows(rows, predicate)?,
            Step::Project { expressions, schema } => {
                let columns = evaluate_all(expressions, &rows.batch)?;
                let batch = RecordBatch::try_new(retyped(schema, &columns), columns)?;
                BranchRows { batch, origin: rows.origin }
            }
            Step::Unnest { column, outer, .. } => unnest(rows, *column, *outer)?,
        };
        if rows.batch.num_rows() == 0 {
            return Ok(Prepared::Nothing);
        }
    }
    match &branch.target {
        BranchTarget::Rows { expressions } => {
            Ok(Prepared::Rows { columns: evaluate_all(expressions, &rows.batch)?, origin: rows.origin })
        }
        BranchTarget::Window { rows: plan, .. } => {
            let times = time_values(&evaluate(&plan.time, &rows.batch)?)?;
            let keys = evaluate_all(&plan.keys, &rows.batch)?;
            let arguments = plan
                .arguments
                .iter()
                .map(|arguments| evaluate_all(arguments, &rows.batch))
                .collect::<Result<_, _>>()?;
            let filters =
                plan.filters.iter().map(|filter| evaluate_filter(filter, &rows.batch)).collect::<Result<_, _>>()?;
            Ok(Prepared::Window { origin: rows.origin, times, keys, arguments, filters })
        }
    }
}

pub(crate) fn evaluate(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
    expression.evaluate(batch)?.into_array(batch.num_rows())
}

pub(crate) fn evaluate_all(
    expressions: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, DataFusionError> {
    expressions.iter().map(|expression| evaluate(expression, batch)).collect()
}

pub(crate) fn evaluate_filter(
    filter: &Option<Arc<dyn PhysicalExpr>>,
    batch: &RecordBatch,
) -> Result<Option<BooleanArray>, DataFusionError> {
    filter.as_ref().map(|filter| Ok(evaluate(filter, batch)?.as_boolean().clone())).transpose()
}

/// Milliseconds of a time column without NULLs.
pub(crate) fn time_values(column: &ArrayRef) -> Result<Vec<i64>, DataFusionError> {
    let times = column.as_primitive_opt::<TimestampMillisecondType>().filter(|times| times.null_count() == 0);
    match times {
        Some(times) => Ok(times.values().to_vec()),
        None => Err(DataFusionError::Execution(format!("a window's time is missing or is {}", column.data_type()))),
    }
}

/// The schema with the types that the columns really have: pruned structs are narrower than planned.
fn retyped(schema: &arrow::datatypes::SchemaRef, columns: &[ArrayRef]) -> arrow::datatypes::SchemaRef {
    let fields =
        schema.fields().iter().zip(columns).map(|(field, column)| {
            field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true)
        });
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

fn filter_rows(rows: BranchRows, predicate: &Arc<dyn PhysicalExpr>) -> Result<BranchRows, DataFusionError> {
    let mask = evaluate(predicate, &rows.batch)?;
    let mask = mask.as_boolean_opt().ok_or_else(|| DataFusionError::Execution("WHERE needs a boolean".into()))?;
    let kept = mask.true_count();
    if kept == rows.batch.num_rows() {
        return Ok(rows);
    }
    let origin = match &rows.origin {
        Some(origin) => {
            let origin = UInt32Array::from(origin.clone());
            filter(&origin, mask)?.as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec()
        }
        None => {
            let mut origin = Vec::with_capacity(kept);
            for row in 0..mask.len() {
                if mask.value(row) && mask.is_valid(row) {
                    origin.push(row as u32);
                }
            }
            origin
        }
    };
    Ok(BranchRows { batch: filter_record_batch(&rows.batch, mask)?, origin: Some(origin) })
}

fn unnest(rows: BranchRows, column: usize, outer: bool) -> Result<BranchRows, DataFusionError> {
    let lists = rows.batch.column(column);
    let lists = match lists.data_type() {
        DataType::List(_) => Arc::clone(lists),
        DataType::LargeList(item) => cast(lists, &DataType::List(Arc::clone(item)))?,
        other => return Err(DataFusionError::Execution(format!("UNNEST needs an array, found {other}"))),
    };
    let lists = lists.as_list::<i32>();
    let (mut parents, mut items) = (Vec::new(), Vec::new());
    for row in 0..lists.len() {
        let (start, end) = match lists.is_valid(row) {
            true => (lists.value_offsets()[row], lists.value_offsets()[row + 1]),
            false => (0, 0),
        };
        if start < end {
            parents.extend(std::iter::repeat_n(row as u32, (end - start) as usize));
            items.extend((start as u32..end as u32).map(Some));
        } else if outer {
            parents.push(row as u32);
            items.push(None);
        }
    }
    let origin =
        parents.iter().map(|parent| rows.origin.as_ref().map_or(*parent, |origin| origin[*parent as usize])).collect();
    let elements = take(lists.values(), &UInt32Array::from(items), None)?;
    let parents = UInt32Array::from(parents);
    let mut columns = Vec::new();
    for (index, parent) in rows.batch.columns().iter().enumerate() {
        columns.push(if index == column { Arc::clone(&elements) } else { take(parent, &parents, None)? });
    }
    let batch = RecordBatch::try_new(retyped(rows.batch.schema_ref(), &columns), columns)?;
    Ok(BranchRows { batch, origin: Some(origin) })
}

/// Rows of a batch by index.
pub(crate) fn pick(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, DataFusionError> {
    Ok(take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?)
}
