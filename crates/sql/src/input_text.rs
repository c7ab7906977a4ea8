//! What reaches a window, as text: the identity of its input, and of the columns that its keys and aggregates read.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::expression_text::{conjuncts, identifier, operand, text};
use crate::identity::{InputIdentity, InputSource};
use crate::lanes::{Chain, LogicalStep};

/// Rows whose columns are known by what they are made of.
pub(crate) struct InputText {
    schema: DFSchemaRef,
    /// Per column of the schema, as operands.
    columns: Vec<String>,
    source: InputSource,
    unnested: Vec<String>,
    filters: Vec<String>,
}

/// A window whose results are read: which rows they are, and what each column is.
pub(crate) struct WindowRowsText {
    pub rows: String,
    pub columns: Vec<String>,
}

impl InputText {
    /// The rows of a stream's chain.
    pub(crate) fn of_chain(chain: &Chain, table: &str) -> Self {
        let mut rows = InputText {
            schema: chain.scanned.clone(),
            columns: chain.scanned.fields().iter().map(|field| identifier(field.name())).collect(),
            source: InputSource::Table(table.to_string()),
            unnested: Vec::new(),
            filters: Vec::new(),
        };
        for step in &chain.steps {
            match step {
                LogicalStep::Filter(predicate) => rows.filter(predicate),
                LogicalStep::Unnest { expressions, column, outer, schema } => {
                    let mut columns: Vec<String> = expressions.iter().map(|expr| rows.operand(expr)).collect();
                    if let Some(list) = columns.get_mut(*column) {
                        rows.unnested.push(if *outer { format!("OUTER {list}") } else { list.clone() });
                        // The same list taken apart twice gives two columns.
                        *list = format!("element_{}({list})", rows.unnested.len());
                    }
                    (rows.schema, rows.columns) = (schema.clone(), columns);
                }
            }
        }
        chain.filters.iter().for_each(|predicate| rows.filter(predicate));
        rows
    }

    /// The rows that a plan makes of the results of windows; `window` gives a window by the name of its scan.
    pub(crate) fn of_results<'w>(
        plan: &LogicalPlan,
        window: &dyn Fn(&str) -> Option<&'w WindowRowsText>,
    ) -> Result<Self> {
        let mut scans = 0;
        plan.apply(|node| {
            scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut walk = Walk { window, names_scans: scans > 1, scans: 0, nodes: 0 };
        Ok(walk.relation(plan))
    }

    fn column(&self, column: &Column) -> String {
        match self.schema.index_of_column(column).ok().and_then(|index| self.columns.get(index)) {
            Some(text) => text.clone(),
            None => format!("?{}", identifier(&column.name)),
        }
    }

    pub(crate) fn text(&self, expr: &Expr) -> String {
        text(expr, &|column| self.column(column))
    }

    pub(crate) fn operand(&self, expr: &Expr) -> String {
        operand(expr, &|column| self.column(column))
    }

    fn filter(&mut self, predicate: &Expr) {
        let mut parts = Vec::new();
        conjuncts(predicate, &|column| self.column(column), &mut parts);
        self.filters.extend(parts);
    }

    /// With what the window takes for the time.
    pub(crate) fn identity(&self, time: &Expr) -> InputIdentity {
        let mut filters = self.filters.clone();
        filters.sort();
        filters.dedup();
        InputIdentity { source: self.source.clone(), unnested: self.unnested.clone(), filters, time: self.text(time) }
    }

    /// The rows with all that was done to them, for what begins anew with them.
    fn from(&self) -> String {
        let mut filters = self.filters.clone();
        filters.sort();
        filters.dedup();
        let (InputSource::Table(from) | InputSource::Windows(from)) = &self.source;
        if filters.is_empty() { from.clone() } else { format!("{from} WHERE {}", filters.join(" AND ")) }
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.columns.join(", "), self.from())
    }

    fn list(&self, exprs: &[Expr]) -> Vec<String> {
        exprs.iter().map(|expr| self.operand(expr)).collect()
    }
}

fn rows(plan: &LogicalPlan, from: String, columns: Vec<String>) -> InputText {
    InputText {
        schema: plan.schema().clone(),
        columns,
        source: InputSource::Windows(from),
        unnested: Vec::new(),
        filters: Vec::new(),
    }
}

/// Numbers make columns of different origins differ.
struct Walk<'a, 'w> {
    window: &'a dyn Fn(&str) -> Option<&'w WindowRowsText>,
    /// Columns of the only window need not say whose they are.
    names_scans: bool,
    scans: usize,
    nodes: usize,
}

impl Walk<'_, '_> {
    fn relation(&mut self, plan: &LogicalPlan) -> InputText {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(plan, scan.table_name.table()),
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.relation(&alias.input);
                InputText { schema: plan.schema().clone(), ..input }
            }
            LogicalPlan::Projection(projection) => {
                let input = self.relation(&projection.input);
                InputText { schema: plan.schema().clone(), columns: input.list(&projection.expr), ..input }
            }
            LogicalPlan::Filter(filter) => {
                let mut input = self.relation(&filter.input);
                input.filter(&filter.predicate);
                input
            }
            LogicalPlan::Join(join) => {
                let (left, right) = (self.relation(&join.left), self.relation(&join.right));
                let on = join.on.iter().map(|(a, b)| format!("{} = {}", left.operand(a), right.operand(b)));
                let mut on: Vec<String> = on.collect();
                on.sort();
                let columns = left.columns.iter().chain(&right.columns).cloned().collect();
                let mut joined = rows(plan, String::new(), columns);
                if let Some(filter) = &join.filter {
                    on.push(joined.operand(filter));
                }
                let (left, right) = (left.from(), right.from());
                let from = format!("({left}) {} JOIN ({right}) ON {}", join.join_type, on.join(" AND "));
                joined.source = InputSource::Windows(from);
                joined
            }
            LogicalPlan::Aggregate(aggregate) => {
                let input = self.relation(&aggregate.input);
                self.nodes += 1;
                let groups = input.list(&aggregate.group_expr);
                let from = format!("({}) GROUP BY {}", input.from(), groups.join(", "));
                let calls = input.list(&aggregate.aggr_expr);
                let calls = calls.into_iter().map(|call| format!("of_group_{}({call})", self.nodes));
                rows(plan, from, groups.into_iter().chain(calls).collect())
            }
            other => self.unusual(other),
        }
    }

    fn scan(&mut self, plan: &LogicalPlan, table: &str) -> InputText {
        let (from, columns) = match (self.window)(table) {
            Some(window) => (window.rows.clone(), window.columns.clone()),
            None => (table.to_string(), plan.schema().field_names()),
        };
        if !self.names_scans {
            return rows(plan, from, columns);
        }
        self.scans += 1;
        let number = self.scans;
        let columns = columns.iter().map(|column| format!("{number}.{column}")).collect();
        rows(plan, format!("{number}: {from}"), columns)
    }

    /// Anything else is told as DataFusion tells it, names included.
    fn unusual(&mut self, plan: &LogicalPlan) -> InputText {
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            let names = input.schema().field_names().join(", ");
            inputs.push(format!("{} AS {names}", self.relation(input).select()));
        }
        self.nodes += 1;
        let columns = (0..plan.schema().fields().len()).map(|index| format!("of_node_{}({index})", self.nodes));
        rows(plan, format!("{} OF ({})", plan.display(), inputs.join("; ")), columns.collect())
    }
}
