//! The plan's leaf where the store makes the aggregates of a query.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{SeriesError, SeriesStore, WindowAggregate, WindowRequest};

/// Integers up to this are floats exactly.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// Where a column of the result comes from: a column of the store's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    Column(usize),
    /// The start of the window.
    Window(usize),
}

/// Columns of the store's answer that tell whether an aggregate is the same as one of DataFusion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guard {
    /// The sums of a mean of integers are exact.
    Exact { count: usize, min: usize, max: usize },
    /// There is nothing that is not a number, which is the greatest there.
    Numbers { sum: usize },
}

#[derive(Clone)]
pub(crate) struct SeriesAggregateExec {
    store: SeriesStore,
    measurement: String,
    request: WindowRequest,
    outputs: Vec<Output>,
    guards: Vec<Guard>,
    schema: SchemaRef,
    /// The same made of points.
    otherwise: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl SeriesAggregateExec {
    pub(crate) fn new(
        (store, measurement): (SeriesStore, String),
        request: WindowRequest,
        outputs: Vec<Output>,
        guards: Vec<Guard>,
        schema: SchemaRef,
        otherwise: Arc<dyn ExecutionPlan>,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { store, measurement, request, outputs, guards, schema, otherwise, properties }
    }

    /// `None` if the answer has to be made of points.
    fn aggregate(&self, stopped: &AtomicBool) -> Result<Option<RecordBatch>> {
        let go_on = || !stopped.load(Ordering::Relaxed);
        let found = match self.store.aggregate_while(&self.measurement, &self.request, &go_on) {
            Ok(found) => found,
            Err(SeriesError::LimitExceeded { .. }) => return Ok(None),
            Err(error) => return Err(DataFusionError::External(Box::new(error))),
        };
        if !self.guards.iter().all(|guard| guard.holds(&found)) {
            return Ok(None);
        }
        if found.num_rows() == 0 && self.request.group_by.is_empty() && self.request.windows.is_none() {
            return self.of_nothing().map(Some);
        }
        let columns = self.outputs.iter().map(|output| match output {
            Output::Column(place) | Output::Window(place) => found.column(*place).clone(),
        });
        self.batch(columns.collect(), found.num_rows()).map(Some)
    }

    /// Without groups there is an answer without points, too.
    fn of_nothing(&self) -> Result<RecordBatch> {
        let counts = |place: usize| {
            let aggregate = place.checked_sub(1).and_then(|place| self.request.aggregates.get(place));
            aggregate.is_some_and(|(_, aggregate)| *aggregate == WindowAggregate::Count)
        };
        let columns = self.outputs.iter().zip(self.schema.fields()).map(|(output, field)| match output {
            Output::Column(place) if counts(*place) => Arc::new(Int64Array::from(vec![0])) as ArrayRef,
            _ => new_null_array(field.data_type(), 1),
        });
        self.batch(columns.collect(), 1)
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// Ends reading when nobody waits for the answer any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Guard {
    fn holds(&self, found: &RecordBatch) -> bool {
        let (count, min, max) = match self {
            Self::Exact { count, min, max } => (*count, *min, *max),
            Self::Numbers { sum } => {
                let sums = found.column(*sum).as_primitive_opt::<Float64Type>();
                return sums.is_some_and(|sums| sums.iter().flatten().all(|sum| !sum.is_nan()));
            }
        };
        let column = |place: usize| found.column(place).as_primitive_opt::<Int64Type>();
        let (Some(counts), Some(min), Some(max)) = (column(count), column(min), column(max)) else { return false };
        let exact = |row: usize| {
            let greatest = min.value(row).unsigned_abs().max(max.value(row).unsigned_abs());
            min.is_null(row) || greatest as f64 * counts.value(row) as f64 <= EXACT_MAX
        };
        (0..found.num_rows()).all(exact)
    }
}

impl fmt::Debug for SeriesAggregateExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SeriesAggregateExec")
            .field("measurement", &self.measurement)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SeriesAggregateExec {
    fn fmt_as(&self, _format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WindowRequest { range, tags, windows, group_by, aggregates } = &self.request;
        write!(formatter, "SeriesAggregateExec: measurement={}", self.measurement)?;
        if let Some(start) = range.start {
            write!(formatter, ", from={start}")?;
        }
        if let Some(end) = range.end {
            write!(formatter, ", until={end}")?;
        }
        for condition in tags {
            write!(formatter, ", {} {:?}", condition.tag, condition.test)?;
        }
        if let Some(windows) = windows {
            write!(formatter, ", windows of {} ns", windows.width_nanos)?;
        }
        if !group_by.is_empty() {
            write!(formatter, ", by {}", group_by.join(", "))?;
        }
        let made: Vec<String> =
            aggregates.iter().map(|(field, aggregate)| format!("{}({field})", aggregate.name())).collect();
        write!(formatter, ", {}", made.join(", "))
    }
}

impl ExecutionPlan for SeriesAggregateExec {
    fn name(&self) -> &'static str {
        "SeriesAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("aggregates of a measurement have no children") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("aggregates of a measurement have one partition, not {partition}");
        }
        let (plan, rows_max) = (self.clone(), context.session_config().batch_size());
        let answer = async move {
            let (otherwise, stop) = (plan.otherwise.clone(), StopOnDrop::default());
            let stopped = stop.0.clone();
            // Reading waits for the disk, so it has a thread of its own.
            let made = SpawnedTask::spawn_blocking(move || plan.aggregate(&stopped)).join_unwind();
            match made.await.map_err(|error| DataFusionError::External(Box::new(error)))?? {
                Some(batch) => {
                    let slices: Vec<Result<RecordBatch>> = (0..batch.num_rows())
                        .step_by(rows_max.max(1))
                        .map(|from| Ok(batch.slice(from, rows_max.min(batch.num_rows() - from))))
                        .collect();
                    Ok(stream::iter(slices).boxed())
                }
                None => otherwise.execute(0, context).map(|points| points.boxed()),
            }
        };
        let answer = stream::once(answer).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), answer)))
    }
}
