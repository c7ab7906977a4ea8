//! The part of a plan that runs per record: chains of filters, projections and UNNEST over one stream, as expressions over
//! the stream's own columns.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, NullHandling, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, Unnest};

use crate::window_functions::unaliased;

/// A step that cannot be folded into expressions over the stream's columns.
pub(crate) enum LogicalStep {
    Filter(Expr),
    /// Projects and unnests: the expressions, the number of the list column, whether an empty list leaves a row, the
    /// schema after.
    Unnest {
        expressions: Vec<Expr>,
        column: usize,
        outer: bool,
        schema: DFSchemaRef,
    },
}

/// A chain over one stream. `outputs` and `filters` read the columns of `base`.
pub(crate) struct Chain {
    pub stream: usize,
    pub steps: Vec<LogicalStep>,
    /// The stream's own columns.
    pub scanned: DFSchemaRef,
    pub base: DFSchemaRef,
    pub filters: Vec<Expr>,
    pub outputs: Vec<Expr>,
    pub schema: DFSchemaRef,
}

impl Chain {
    pub(crate) fn scan(stream: usize, schema: &DFSchemaRef) -> Self {
        let outputs = columns_of(schema);
        Chain {
            stream,
            steps: Vec::new(),
            scanned: Arc::clone(schema),
            base: Arc::clone(schema),
            filters: Vec::new(),
            outputs,
            schema: Arc::clone(schema),
        }
    }

    /// `expr` over the chain's current columns, as an expression over its base columns.
    pub(crate) fn inline(&self, expr: &Expr) -> Result<Expr> {
        let inlined = expr.clone().transform_up(|node| match &node {
            Expr::Column(column) => {
                let index = self.schema.index_of_column(column)?;
                Ok(Transformed::yes(unaliased(&self.outputs[index]).clone()))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        Ok(inlined.data)
    }

    /// Whether an expression over the base is the stream's rowtime.
    pub(crate) fn is_rowtime(&self, expr: &Expr) -> bool {
        // After an UNNEST the columns are numbered; follow the number back through the steps.
        let mut expr = unaliased(expr).clone();
        for step in self.steps.iter().rev() {
            let LogicalStep::Unnest { expressions, schema, .. } = step else { continue };
            let Expr::Column(column) = &expr else { return false };
            let Ok(index) = schema.index_of_column(column) else { return false };
            expr = unaliased(&expressions[index]).clone();
        }
        matches!(&expr, Expr::Column(column) if column.name == "rowtime")
    }

    pub(crate) fn filter(mut self, predicate: &Expr) -> Result<Self> {
        let predicate = self.inline(predicate)?;
        self.filters.push(predicate);
        Ok(self)
    }

    pub(crate) fn project(mut self, expressions: &[Expr], schema: &DFSchemaRef) -> Result<Self> {
        self.outputs = expressions.iter().map(|expr| self.inline(expr)).collect::<Result<_>>()?;
        self.schema = Arc::clone(schema);
        Ok(self)
    }

    pub(crate) fn rename(mut self, schema: &DFSchemaRef) -> Self {
        self.schema = Arc::clone(schema);
        self
    }

    pub(crate) fn unnest(mut self, unnest: &Unnest) -> Result<Self> {
        if !unnest.struct_type_columns.is_empty() || unnest.list_type_columns.len() != 1 {
            return plan_err!("one list is unnested at a time");
        }
        if unnest.dependency_indices.iter().enumerate().any(|(at, from)| at != *from) {
            return plan_err!("unnesting a list of lists at once is not supported");
        }
        let outer = match unnest.options.null_handling {
            NullHandling::Drop => false,
            NullHandling::PreserveAndExpandEmpty => true,
            NullHandling::Preserve => return plan_err!("UNNEST keeps rows without elements only in a LEFT JOIN"),
        };
        self.steps.extend(std::mem::take(&mut self.filters).into_iter().map(LogicalStep::Filter));
        let column = unnest.list_type_columns[0].0;
        // The step's columns get plain numbered names: nothing above reads them by name.
        let fields = unnest.schema.fields().iter().enumerate().map(|(index, field)| {
            (None, Arc::new(field.as_ref().clone().with_name(format!("u{}_{index}", self.steps.len()))))
        });
        let base = Arc::new(DFSchema::new_with_metadata(fields.collect(), Default::default())?);
        self.steps.push(LogicalStep::Unnest {
            expressions: std::mem::take(&mut self.outputs),
            column,
            outer,
            schema: Arc::clone(&base),
        });
        self.outputs = columns_of(&base);
        self.base = base;
        self.schema = Arc::clone(&unnest.schema);
        Ok(self)
    }
}

fn columns_of(schema: &DFSchemaRef) -> Vec<Expr> {
    schema.iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field.as_ref())))).collect()
}

/// The table that a scan reads.
pub(crate) fn scanned_table(plan: &LogicalPlan) -> Option<&str> {
    match plan {
        LogicalPlan::TableScan(scan) => Some(scan.table_name.table()),
        _ => None,
    }
}
