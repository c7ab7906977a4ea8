//! From the cut, still logical, to what the engine runs: physical expressions, decode programs, fragments.

use super::{Cutter, LogicalRows, LogicalSource, LogicalWindow, Relation, Windowed, key_columns, leaf_schema};
use crate::error::SqlError;
use crate::fragment::Fragment;
use crate::graph::{
    BranchPlan, BranchTarget, DaggerPlan, OutputPlan, SourcePlan, Step, WindowColumn, WindowPlan, WindowRowsPlan,
    WindowSource, set_lags,
};
use crate::identity::WindowIdentity;
use crate::lanes::{Chain, LogicalStep};
use crate::planner::{RowtimeField, with_rowtime};
use crate::{columns, members, metadata, timestamp_parts};
use arrow::datatypes::{DataType, Field, Schema};
use codec::{DecodeOptions, DecodeProgram, Projection};
use datafusion::common::{DFSchema, DataFusionError, TableReference, plan_err};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use operators::{AggregateCall, AggregateSpec, KeyColumn, TextInterner};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Cutter<'_> {
    /// Makes everything physical.
    pub(super) fn finish(mut self, plan: &LogicalPlan, relation: Relation) -> Result<DaggerPlan, SqlError> {
        let output = match relation {
            Relation::Lanes(chains) => {
                let first = self.chains.len();
                self.chains.extend(chains);
                Err(first)
            }
            Relation::Windowed(windowed) => Ok(windowed),
        };
        let sources = self.sources(&output)?;
        let chains = std::mem::take(&mut self.chains);
        let mut branches: Vec<BranchPlan> = Vec::new();
        let mut compiled: Vec<CompiledChain> = Vec::new();
        for chain in &chains {
            compiled.push(self.compile_chain(chain, &sources)?);
        }
        let mut windows = Vec::new();
        for (index, window) in std::mem::take(&mut self.windows).into_iter().enumerate() {
            windows.push(self.compile_window(index, window, &chains, &mut compiled, &mut branches)?);
        }
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let (output, key_columns, window_end_column) = match output {
            Err(first) => {
                for (chain, compiled) in chains[first..].iter().zip(&mut compiled[first..]) {
                    self.check_values(&chain.outputs)?;
                    let expressions =
                        physical_all(&chain.outputs, &compiled.schema).map_err(|error| self.fail(error))?;
                    branches.push(BranchPlan {
                        source: compiled.source,
                        steps: std::mem::take(&mut compiled.steps),
                        target: BranchTarget::Rows { expressions },
                    });
                }
                (OutputPlan::Rows, None, None)
            }
            Ok(windowed) => {
                let keys = key_columns(&windowed);
                let end = windowed
                    .bounds
                    .iter()
                    .position(|bound| bound.is_some_and(|bound| bound.column == WindowColumn::End));
                self.check_fragment(&windowed.plan)?;
                let plan = self.session.optimize(&windowed.plan).map_err(|error| self.fail(error))?;
                let fragment = Fragment::compile(&self.session, &plan, windowed.inputs, windowed.row_wise);
                (OutputPlan::Windows(fragment.map_err(|error| self.fail(error))?), Some(keys), end)
            }
        };
        if !set_lags(&mut windows, &output) {
            return Err(self.places.error(&["join"], "a window cannot be joined with sessions of its own results"));
        }
        let explain = plan.display_indent().to_string();
        Ok(DaggerPlan { sources, branches, windows, output, schema, key_columns, window_end_column, explain })
    }

    /// One source per stream in use, with the union of the fields that its chains read.
    fn sources(&self, output: &Result<Windowed, usize>) -> Result<Vec<SourcePlan>, SqlError> {
        let mut paths: Vec<Option<BTreeSet<String>>> = vec![None; self.streams.len()];
        let mut add = |chain: &Chain, exprs: Vec<&Expr>| -> Result<(), DataFusionError> {
            let paths = paths[chain.stream].get_or_insert_default();
            // After an UNNEST expressions read its numbered columns; what those are made of is in the step.
            let direct = chain.steps.iter().all(|step| matches!(step, LogicalStep::Filter(_)));
            if direct {
                for expr in exprs.into_iter().chain(&chain.filters) {
                    columns::add_paths(expr, paths)?;
                }
            }
            let mut before_unnest = true;
            for step in &chain.steps {
                match step {
                    LogicalStep::Filter(expr) if before_unnest => columns::add_paths(expr, paths)?,
                    LogicalStep::Unnest { expressions, .. } if before_unnest => {
                        for expr in expressions {
                            columns::add_paths(expr, paths)?;
                        }
                        before_unnest = false;
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        for window in &self.windows {
            if let LogicalSource::Chains(chains) = &window.source {
                for (chain, rows) in chains.iter().zip(&window.rows) {
                    let exprs = std::iter::once(&rows.time).chain(&rows.keys).chain(&rows.calls).collect();
                    add(&self.chains[*chain], exprs).map_err(|error| self.fail(error))?;
                }
            }
        }
        if let Err(first) = output {
            for chain in &self.chains[*first..] {
                add(chain, chain.outputs.iter().collect()).map_err(|error| self.fail(error))?;
            }
        }
        let mut sources = Vec::new();
        for (stream, paths) in paths.into_iter().enumerate() {
            let Some(mut paths) = paths else { continue };
            if let RowtimeField::Path(path) = &self.streams[stream].rowtime {
                paths.insert(path.clone());
            }
            let metadata = metadata::take_from(&mut paths, &self.streams[stream]);
            let paths = columns::shortest(paths, &self.streams[stream].schema());
            let message = &self.streams[stream].message;
            let program =
                DecodeProgram::compile(message, &Projection::paths(paths.iter().cloned()), &DecodeOptions::default())
                    .map_err(|error| self.places.error(&[], error.to_string()))?;
            let schema = with_rowtime(&metadata::with_metadata(program.schema(), &metadata));
            sources.push(SourcePlan { stream, paths, metadata, schema });
        }
        Ok(sources)
    }

    fn compile_chain(&self, chain: &Chain, sources: &[SourcePlan]) -> Result<CompiledChain, SqlError> {
        let source = sources.iter().position(|source| source.stream == chain.stream).unwrap_or(0);
        let table = TableReference::bare(self.streams[chain.stream].table.clone());
        let schema =
            DFSchema::try_from_qualified_schema(table, &sources[source].schema).map_err(|error| self.fail(error))?;
        let mut schema = Arc::new(schema);
        let mut steps = Vec::new();
        for step in &chain.steps {
            match step {
                LogicalStep::Filter(expr) => {
                    self.check_values([expr])?;
                    steps.push(Step::Filter(physical(expr, &schema).map_err(|error| self.fail(error))?))
                }
                LogicalStep::Unnest { expressions, column, outer, schema: after } => {
                    self.check_values(expressions)?;
                    let expressions = physical_all(expressions, &schema).map_err(|error| self.fail(error))?;
                    let mut fields = Vec::new();
                    for (at, (expr, name)) in expressions.iter().zip(after.fields()).enumerate() {
                        let data_type = expr.data_type(schema.as_arrow()).map_err(|error| self.fail(error))?;
                        fields.push((at, Field::new(name.name(), data_type, true)));
                    }
                    let before =
                        Arc::new(Schema::new(fields.iter().map(|(_, field)| field.clone()).collect::<Vec<_>>()));
                    let unnested: Vec<Field> = fields
                        .into_iter()
                        .map(|(at, field)| match field.data_type() {
                            DataType::List(item) | DataType::LargeList(item) if at == *column => {
                                Field::new(field.name(), item.data_type().clone(), true)
                            }
                            _ => field,
                        })
                        .collect();
                    let after = Arc::new(Schema::new(unnested));
                    steps.push(Step::Project { expressions, schema: before });
                    steps.push(Step::Unnest { column: *column, outer: *outer, schema: Arc::clone(&after) });
                    schema = Arc::new(DFSchema::try_from(after.as_ref().clone()).map_err(|error| self.fail(error))?);
                }
            }
        }
        self.check_values(&chain.filters)?;
        for filter in &chain.filters {
            steps.push(Step::Filter(physical(filter, &schema).map_err(|error| self.fail(error))?));
        }
        Ok(CompiledChain { source, steps, schema })
    }

    fn compile_window(
        &self,
        index: usize,
        window: LogicalWindow,
        chains: &[Chain],
        compiled: &mut [CompiledChain],
        branches: &mut Vec<BranchPlan>,
    ) -> Result<WindowPlan, SqlError> {
        let input_schemas: Vec<Arc<DFSchema>> = match &window.source {
            LogicalSource::Chains(indices) => {
                indices.iter().map(|chain| Arc::clone(&compiled[*chain].schema)).collect()
            }
            LogicalSource::Results(windowed) => vec![Arc::clone(windowed.plan.schema())],
        };
        debug_assert!(input_schemas.len() == window.rows.len() && compiled.len() == chains.len());
        let mut aggregate = None;
        let mut rows_plans = Vec::new();
        for (rows, schema) in window.rows.iter().zip(&input_schemas) {
            self.check_values(rows.keys.iter().chain(&rows.calls))?;
            let compiled = compile_rows(rows, schema).map_err(|error| self.fail(error))?;
            if aggregate.is_none() {
                let mut keys = Vec::new();
                for (key, text) in compiled.plan.keys.iter().zip(&window.key_texts) {
                    let data_type = key.data_type(schema.as_arrow()).map_err(|error| self.fail(error))?;
                    keys.push((key_column(&data_type, text), data_type));
                }
                let spec = AggregateSpec::new(keys, compiled.calls)
                    .map_err(|error| self.places.error(&[], error.to_string()))?;
                aggregate = Some(spec);
            }
            rows_plans.push(compiled.plan);
        }
        let Some(aggregate) = aggregate else { return Err(self.places.error(&[], "a window without input")) };
        let identity = with_types(window.identity, &aggregate);
        let columns = window.columns;
        let source = match window.source {
            LogicalSource::Chains(indices) => {
                for (chain, rows) in indices.into_iter().zip(rows_plans) {
                    branches.push(BranchPlan {
                        source: compiled[chain].source,
                        steps: std::mem::take(&mut compiled[chain].steps),
                        target: BranchTarget::Window { window: index, rows },
                    });
                }
                WindowSource::Branches
            }
            LogicalSource::Results(windowed) => {
                self.check_fragment(&windowed.plan)?;
                let plan = self.session.optimize(&windowed.plan).map_err(|error| self.fail(error))?;
                let fragment = Fragment::compile(&self.session, &plan, windowed.inputs, windowed.row_wise);
                let fragment = fragment.map_err(|error| self.fail(error))?;
                let Some(rows) = rows_plans.pop() else { return Err(self.places.error(&[], "a window without input")) };
                WindowSource::Results { fragment, rows }
            }
        };
        Ok(WindowPlan {
            spec: window.spec,
            lag_ms: 0,
            aggregate,
            source,
            schema: leaf_schema(&window.schema, &columns),
            columns,
            identity,
        })
    }
}

/// An identity with the types of what the state keeps.
fn with_types(mut identity: WindowIdentity, aggregate: &AggregateSpec) -> WindowIdentity {
    for ((held, key), data_type) in identity.keys.iter_mut().zip(aggregate.keys()).zip(aggregate.key_types()) {
        held.types = vec![match key {
            KeyColumn::Plain => data_type.to_string(),
            KeyColumn::Interned(_) => "text".to_string(),
            KeyColumn::Derived(text) => format!("{data_type} of {}", text.name()),
        }];
    }
    for (held, types) in identity.aggregates.iter_mut().zip(aggregate.state_types()) {
        held.types = types.map(ToString::to_string).collect();
    }
    identity
}

struct CompiledChain {
    source: usize,
    steps: Vec<Step>,
    schema: Arc<DFSchema>,
}

struct CompiledRows {
    plan: WindowRowsPlan,
    calls: Vec<AggregateCall>,
}

fn compile_rows(rows: &LogicalRows, schema: &DFSchema) -> Result<CompiledRows, DataFusionError> {
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let (mut calls, mut arguments, mut filters) = (Vec::new(), Vec::new(), Vec::new());
    for call in &rows.calls {
        let call = &members::with_absence(timestamp_parts::exact(call.clone(), schema)?, schema)?;
        let lowered = LoweredAggregateBuilder::new(call, schema, schema.as_arrow(), &props, &context).build()?;
        // Its accumulator takes the rows for ordered, which they are not.
        if lowered.aggregate.fun().name() == "nth_value" && !lowered.order_bys.is_empty() {
            return plan_err!(
                "ORDER BY is not supported in nth_value, which array_agg(...)[n] is too; write ElementAt(array_agg(x ORDER BY y), n)"
            );
        }
        // Constants that it cannot work with are refused now, and not when the first row comes.
        if lowered.aggregate.groups_accumulator_supported() {
            lowered.aggregate.create_groups_accumulator()?;
        } else {
            lowered.aggregate.create_accumulator()?;
        }
        let mut columns = lowered.aggregate.expressions();
        columns.extend(lowered.order_bys.iter().map(|order| Arc::clone(&order.expr)));
        arguments.push(columns);
        filters.push(lowered.filter);
        calls.push(AggregateCall { function: lowered.aggregate });
    }
    let plan = WindowRowsPlan {
        time: physical(&rows.time, schema)?,
        keys: rows.keys.iter().map(|key| physical(key, schema)).collect::<Result<_, _>>()?,
        arguments,
        filters,
    };
    Ok(CompiledRows { plan, calls })
}

pub(super) fn physical(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let expr = timestamp_parts::exact(expr.clone(), schema)?;
    if timestamp_parts::has_inexact_nanos(&expr)? {
        return plan_err!("the nanos of a timestamp are exact only in a field of the record, not inside an array");
    }
    let expr = members::with_absence(expr, schema)?;
    create_physical_expr(&expr, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

fn physical_all(exprs: &[Expr], schema: &DFSchema) -> Result<Vec<Arc<dyn PhysicalExpr>>, DataFusionError> {
    exprs.iter().map(|expr| physical(expr, schema)).collect()
}

fn key_column(data_type: &DataType, text: &Option<Arc<datafusion::logical_expr::ScalarUDF>>) -> KeyColumn {
    match (text, data_type) {
        (Some(text), _) => KeyColumn::Derived(Arc::clone(text)),
        (None, DataType::Dictionary(key, value)) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            KeyColumn::Interned(TextInterner::default())
        }
        _ => KeyColumn::Plain,
    }
}
