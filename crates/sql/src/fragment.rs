//! The part of a query that runs on the results of windows, once per window: projection, HAVING, joins of windows,
//! aggregates within a window. DataFusion plans and runs it as a query over small tables.

use std::sync::{Arc, Mutex};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, collect};

use crate::members;

/// The rows of one window of one input; the plan's leaves read it.
#[derive(Debug, Clone)]
pub(crate) struct WindowInput {
    schema: SchemaRef,
    rows: Arc<Mutex<Vec<RecordBatch>>>,
}

impl WindowInput {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        WindowInput { schema, rows: Arc::default() }
    }

    /// A table that reads it.
    pub(crate) fn table(&self) -> Result<StreamingTable> {
        StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(self.clone())])
    }

    fn set(&self, rows: Vec<RecordBatch>) {
        *self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = rows;
    }
}

impl PartitionStream for WindowInput {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        match MemoryStream::try_new(rows, Arc::clone(&self.schema), None) {
            Ok(stream) => Box::pin(stream),
            Err(error) => {
                let failed = futures::stream::once(std::future::ready(Err(error)));
                Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(
                    Arc::clone(&self.schema),
                    failed,
                ))
            }
        }
    }
}

/// A compiled fragment. A run belongs to one owner at a time.
pub struct Fragment {
    plan: Arc<dyn ExecutionPlan>,
    inputs: Vec<(usize, WindowInput)>,
    context: Arc<TaskContext>,
    /// The plan without DataFusion's streams, where it is no more than filters and projections of one input.
    direct: Option<Direct>,
    /// Whether each result row depends on one input row alone.
    pub row_wise: bool,
}

impl Fragment {
    pub(crate) fn compile(
        session: &SessionState,
        plan: &LogicalPlan,
        inputs: Vec<(usize, WindowInput)>,
        row_wise: bool,
    ) -> Result<Self> {
        let plan = members::plan_with_absence(plan.clone())?;
        let plan = futures::executor::block_on(session.create_physical_plan(&plan))?;
        let direct = if inputs.len() == 1 { Direct::of(plan.as_ref(), &inputs[0].1.schema) } else { None };
        Ok(Fragment { plan, inputs, context: session.task_ctx(), direct, row_wise })
    }

    /// The windows that it reads, as indices into the plan's windows.
    pub fn windows(&self) -> impl Iterator<Item = usize> + '_ {
        self.inputs.iter().map(|(window, _)| *window)
    }

    /// Runs it on one window's rows; `rows` gives those of a window by its index.
    pub fn run(&self, rows: impl Fn(usize) -> Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        if let (Some(direct), [(window, _)]) = (&self.direct, self.inputs.as_slice()) {
            return rows(*window).iter().map(|batch| direct.run(batch)).collect();
        }
        for (window, input) in &self.inputs {
            input.set(rows(*window));
        }
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let results = futures::executor::block_on(collect(plan, Arc::clone(&self.context)));
        for (_, input) in &self.inputs {
            input.set(Vec::new());
        }
        results
    }
}

/// Filters and projections of one input's rows. Windows are many and small, and starting a plan's streams for each costs more
/// than evaluating its expressions.
struct Direct {
    /// Columns of the input that the first step reads.
    columns: Vec<usize>,
    steps: Vec<DirectStep>,
}

enum DirectStep {
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

impl Direct {
    fn of(plan: &dyn ExecutionPlan, input: &SchemaRef) -> Option<Self> {
        let only_child = || match plan.children().as_slice() {
            [child] => Self::of(child.as_ref(), input),
            _ => None,
        };
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let mut direct = only_child()?;
            let expressions = projection.expr().iter().map(|projected| Arc::clone(&projected.expr)).collect();
            direct.steps.push(DirectStep::Project(expressions, projection.schema()));
            return Some(direct);
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let mut direct = only_child()?;
            if filter.projection().is_some() || filter.fetch().is_some() {
                return None;
            }
            direct.steps.push(DirectStep::Filter(Arc::clone(filter.predicate())));
            return Some(direct);
        }
        if plan.is::<CooperativeExec>() {
            return only_child();
        }
        let leaf = plan.downcast_ref::<StreamingTableExec>()?;
        if leaf.limit().is_some() {
            return None;
        }
        let columns = match leaf.projection() {
            Some(columns) => columns.to_vec(),
            None => (0..input.fields().len()).collect(),
        };
        Some(Direct { columns, steps: Vec::new() })
    }

    fn run(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut batch = batch.project(&self.columns)?;
        for step in &self.steps {
            batch = match step {
                DirectStep::Filter(predicate) => {
                    let mask = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
                    filter_record_batch(&batch, as_boolean_array(&mask)?)?
                }
                DirectStep::Project(expressions, schema) => {
                    let rows = batch.num_rows();
                    let columns = expressions
                        .iter()
                        .map(|expression| expression.evaluate(&batch)?.into_array(rows))
                        .collect::<Result<_>>()?;
                    let options = RecordBatchOptions::new().with_row_count(Some(rows));
                    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?
                }
            };
        }
        Ok(batch)
    }
}
