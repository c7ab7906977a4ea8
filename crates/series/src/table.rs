//! A measurement as a table of DataFusion: time ranges, conditions on tags, projection, limit and order by time are
//! pushed down into the scan.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::catalog::Measurement;
use crate::pushdown::{Pushed, push_down};
use crate::scan::table_schema;
use crate::shape::{Shape, TIME_COLUMN};
use crate::{ScanOrder, ScanRequest, SeriesStore};

/// Batches read ahead of whoever pulls them.
const BATCHES_AHEAD: usize = 2;

pub(crate) struct SeriesTable {
    store: SeriesStore,
    shape: Arc<Shape>,
    schema: SchemaRef,
}

impl SeriesTable {
    pub(crate) fn new(store: SeriesStore, measurement: &Measurement) -> Self {
        let shape = measurement.shape();
        Self { store, schema: table_schema(&shape), shape }
    }
}

impl fmt::Debug for SeriesTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SeriesTable").field("measurement", &self.shape.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match push_down(filter, &self.shape) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut request = ScanRequest { limit, ..ScanRequest::default() };
        for filter in filters {
            match push_down(filter, &self.shape) {
                Some(Pushed::Time(range)) => request.range = request.range.and(range),
                Some(Pushed::Tag(condition)) => request.tags.push(condition),
                None => return internal_err!("the filter {filter} was not accepted by this table"),
            }
        }
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        request.projection = Some(schema.fields().iter().map(|field| field.name().clone()).collect());
        Ok(Arc::new(SeriesScanExec::new(self.store.clone(), self.shape.clone(), schema, request)))
    }
}

/// The plan's leaf: one partition, ordered by time.
pub(crate) struct SeriesScanExec {
    store: SeriesStore,
    shape: Arc<Shape>,
    schema: SchemaRef,
    request: ScanRequest,
    properties: Arc<PlanProperties>,
}

impl SeriesScanExec {
    fn new(store: SeriesStore, shape: Arc<Shape>, schema: SchemaRef, request: ScanRequest) -> Self {
        let ordering = schema.index_of(TIME_COLUMN).ok().and_then(|time| {
            let options = SortOptions { descending: request.order == ScanOrder::Descending, nulls_first: false };
            LexOrdering::new([PhysicalSortExpr::new(Arc::new(Column::new(TIME_COLUMN, time)), options)])
        });
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema.clone(), ordering),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { store, shape, schema, request, properties }
    }

    fn with_request(&self, request: ScanRequest) -> Self {
        Self::new(self.store.clone(), self.shape.clone(), self.schema.clone(), request)
    }

    pub(crate) fn store(&self) -> &SeriesStore {
        &self.store
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn request(&self) -> &ScanRequest {
        &self.request
    }
}

impl fmt::Debug for SeriesScanExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SeriesScanExec")
            .field("measurement", &self.shape.name)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SeriesScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SeriesScanExec: measurement={}", self.shape.name)?;
        if let Some(start) = self.request.range.start {
            write!(formatter, ", from={start}")?;
        }
        if let Some(end) = self.request.range.end {
            write!(formatter, ", until={end}")?;
        }
        for condition in &self.request.tags {
            write!(formatter, ", {} {:?}", condition.tag, condition.test)?;
        }
        if let Some(limit) = self.request.limit {
            write!(formatter, ", limit={limit}")?;
        }
        if self.request.order == ScanOrder::Descending {
            write!(formatter, ", newest first")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SeriesScanExec {
    fn name(&self) -> &'static str {
        "SeriesScanExec"
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
        if children.is_empty() { Ok(self) } else { internal_err!("a scan of a measurement has no children") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(self.with_request(ScanRequest { limit, ..self.request.clone() })))
    }

    fn fetch(&self) -> Option<usize> {
        self.request.limit
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let [by] = order else { return Ok(SortOrderPushdownResult::Unsupported) };
        let expr: &dyn Any = by.expr.as_ref();
        if expr.downcast_ref::<Column>().is_none_or(|column| column.name() != TIME_COLUMN)
            || self.request.limit.is_some()
        {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let order = if by.options.descending { ScanOrder::Descending } else { ScanOrder::Ascending };
        let inner = Arc::new(self.with_request(ScanRequest { order, ..self.request.clone() }));
        Ok(SortOrderPushdownResult::Exact { inner })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a scan of a measurement has one partition, not {partition}");
        }
        let mut request = self.request.clone();
        request.batch_rows = context.session_config().batch_size();
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), BATCHES_AHEAD);
        let sender = builder.tx();
        let (store, measurement) = (self.store.clone(), self.shape.name.clone());
        // Reading waits for the disk, so it has a thread of its own; the channel keeps it from running ahead.
        builder.spawn_blocking(move || {
            let scan =
                store.scan(&measurement, &request).map_err(|error| DataFusionError::External(Box::new(error)))?;
            for batch in scan {
                let batch = batch.map_err(|error| DataFusionError::External(Box::new(error)));
                if sender.blocking_send(batch).is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(builder.build())
    }
}
