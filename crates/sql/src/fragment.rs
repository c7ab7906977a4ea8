//! The part of a query that runs on the results of windows, once per window: projection, HAVING, joins of windows,
//! aggregates within a window. DataFusion plans and runs it as a query over small tables.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};

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
        let plan = futures::executor::block_on(session.create_physical_plan(plan))?;
        Ok(Fragment { plan, inputs, context: session.task_ctx(), row_wise })
    }

    /// The windows that it reads, as indices into the plan's windows.
    pub fn windows(&self) -> impl Iterator<Item = usize> + '_ {
        self.inputs.iter().map(|(window, _)| *window)
    }

    /// Runs it on one window's rows; `rows` gives those of a window by its index.
    pub fn run(&self, rows: impl Fn(usize) -> Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
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
