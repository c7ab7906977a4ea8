//! Cuts a typed logical plan into lanes, windows and what runs on the windows' results.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use codec::{DecodeOptions, DecodeProgram, Projection};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, JoinType, TableReference, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection as ProjectionNode,
};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use operators::{AggregateCall, AggregateSpec, KeyColumn, TextInterner, WindowKind, WindowSpec};

use crate::columns;
use crate::error::{Places, SqlError};
use crate::fragment::{Fragment, WindowInput};
use crate::graph::{
    BranchPlan, BranchTarget, DaggerPlan, OutputPlan, SourcePlan, Step, WindowColumn, WindowPlan, WindowRowsPlan,
    WindowSource, set_lags,
};
use crate::identity::{HeldIdentity, WindowIdentity, rows_text};
use crate::input_text::{InputText, WindowRowsText};
use crate::lanes::{Chain, LogicalStep, scanned_table};
use crate::limits::OUTPUT_COLUMNS_MAX;
use crate::members;
use crate::metadata;
use crate::planner::{RowtimeField, StreamTable, with_rowtime};
use crate::session::query_session;
use crate::timestamp_parts;
use crate::window_functions::{Bound, session_keys, unaliased, unevaluable, window_of};

/// Cuts a plan.
pub(crate) fn convert(plan: &LogicalPlan, streams: &[StreamTable], places: &Places) -> Result<DaggerPlan, SqlError> {
    if plan.schema().fields().len() > OUTPUT_COLUMNS_MAX {
        let message =
            format!("the result has {} columns, the limit is {OUTPUT_COLUMNS_MAX}", plan.schema().fields().len());
        return Err(SqlError::at(1, 1, message));
    }
    let mut cutter =
        Cutter { streams, places, session: query_session(), windows: Vec::new(), chains: Vec::new(), aggregates: 0 };
    let relation = cutter.relation(plan)?;
    cutter.finish(plan, relation)
}

/// What a part of the plan is.
#[expect(clippy::large_enum_variant, reason = "there are few, made once per plan")]
enum Relation {
    /// Rows of records; a union of chains with the same columns.
    Lanes(Vec<Chain>),
    /// Rows per window.
    Windowed(Windowed),
}

/// A plan over the results of windows.
#[derive(Clone)]
struct Windowed {
    plan: LogicalPlan,
    inputs: Vec<(usize, WindowInput)>,
    /// Per result column: which bound of which window it is, if it is one.
    bounds: Vec<Option<WindowBound>>,
    /// Per result column: the call of a window's bound over these results that it stands for, until a GROUP BY takes it.
    calls: Vec<Option<WindowCall>>,
    row_wise: bool,
}

/// `tumble_end(time, ...)` over results of windows, as a window table function adds it.
#[derive(Debug, Clone)]
struct WindowCall {
    call: Expr,
    /// What the call's time is in the results.
    time: WindowBound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WindowBound {
    column: WindowColumn,
    spec: WindowSpec,
}

impl WindowBound {
    /// Whether rows that agree in this column are of windows with one end, which close together.
    fn fixes_end(self) -> bool {
        match self.column {
            WindowColumn::End | WindowColumn::Time => true,
            WindowColumn::Start => {
                matches!(self.spec.kind(), WindowKind::Tumble { .. } | WindowKind::Hop { .. })
            }
            WindowColumn::Key(_) | WindowColumn::Aggregate(_) => false,
        }
    }

    /// Whether event time of later windows can be taken from it: it is not behind the rows' closing.
    fn is_rowtime(self) -> bool {
        matches!(self.column, WindowColumn::End | WindowColumn::Time)
    }
}

/// A window aggregation before its expressions are physical.
struct LogicalWindow {
    spec: WindowSpec,
    /// Per input chain (or one, for results): time, keys and aggregate calls over its columns.
    rows: Vec<LogicalRows>,
    /// Chains by index, or a plan over earlier windows.
    source: LogicalSource,
    key_texts: Vec<Option<Arc<datafusion::logical_expr::ScalarUDF>>>,
    columns: Vec<WindowColumn>,
    schema: DFSchemaRef,
    /// Without the types of what it holds and without its lag, which are not known yet.
    identity: WindowIdentity,
    /// For the identity of what reads its results.
    rows_text: WindowRowsText,
}

struct LogicalRows {
    time: Expr,
    keys: Vec<Expr>,
    calls: Vec<Expr>,
}

#[expect(clippy::large_enum_variant, reason = "there are few, made once per plan")]
enum LogicalSource {
    Chains(Vec<usize>),
    Results(Windowed),
}

struct Cutter<'a> {
    streams: &'a [StreamTable],
    places: &'a Places<'a>,
    session: SessionState,
    windows: Vec<LogicalWindow>,
    chains: Vec<Chain>,
    /// How many GROUP BYs have been cut, inner ones first, as they stand in the text.
    aggregates: usize,
}

impl Cutter<'_> {
    fn fail(&self, error: DataFusionError) -> SqlError {
        self.places.of_datafusion(error)
    }

    fn relation(&mut self, plan: &LogicalPlan) -> Result<Relation, SqlError> {
        match plan {
            LogicalPlan::TableScan(_) => {
                let table = scanned_table(plan).unwrap_or_default();
                let stream = self.streams.iter().position(|stream| stream.table == table);
                let stream = stream.ok_or_else(|| self.places.error(&[table], format!("unknown table `{table}`")))?;
                Ok(Relation::Lanes(vec![Chain::scan(stream, plan.schema())]))
            }
            LogicalPlan::SubqueryAlias(alias) => match self.relation(&alias.input)? {
                Relation::Lanes(chains) => {
                    Ok(Relation::Lanes(chains.into_iter().map(|chain| chain.rename(plan.schema())).collect()))
                }
                Relation::Windowed(windowed) => {
                    let calls = windowed.calls.clone();
                    let relation = self.rebuilt(plan, vec![windowed], |bounds| bounds[0].clone())?;
                    Ok(relation.with_calls(calls))
                }
            },
            LogicalPlan::Filter(filter) => match self.relation(&filter.input)? {
                Relation::Lanes(chains) => {
                    let chains =
                        chains.into_iter().map(|chain| chain.filter(&filter.predicate)).collect::<Result<_, _>>();
                    Ok(Relation::Lanes(chains.map_err(|error| self.fail(error))?))
                }
                Relation::Windowed(windowed) => self.rebuilt(plan, vec![windowed], |bounds| bounds[0].clone()),
            },
            LogicalPlan::Projection(projection) => match self.relation(&projection.input)? {
                Relation::Lanes(chains) => {
                    let chains = chains
                        .into_iter()
                        .map(|chain| chain.project(&projection.expr, &projection.schema))
                        .collect::<Result<_, _>>();
                    Ok(Relation::Lanes(chains.map_err(|error| self.fail(error))?))
                }
                Relation::Windowed(windowed) => {
                    let input = Arc::clone(projection.input.schema());
                    let calls = projection.expr.iter().map(|expr| call_of(expr, &input, &windowed)).collect();
                    let bound = |expr: &Expr, bounds: &[Option<WindowBound>]| bound_of(expr, &input, bounds);
                    let relation = self.rebuilt(plan, vec![windowed], |bounds| {
                        projection.expr.iter().map(|expr| bound(expr, &bounds[0])).collect()
                    })?;
                    Ok(relation.with_calls(calls))
                }
            },
            LogicalPlan::Unnest(unnest) => match self.relation(&unnest.input)? {
                Relation::Lanes(chains) => {
                    let chains = chains.into_iter().map(|chain| chain.unnest(unnest)).collect::<Result<_, _>>();
                    Ok(Relation::Lanes(chains.map_err(|error| self.fail(error))?))
                }
                Relation::Windowed(windowed) => self.rebuilt(plan, vec![windowed], |bounds| {
                    unnest.dependency_indices.iter().map(|from| bounds[0].get(*from).copied().flatten()).collect()
                }),
            },
            LogicalPlan::Union(union) => self.union(plan, &union.inputs),
            LogicalPlan::Aggregate(aggregate) => {
                let relation = self.aggregate(plan, aggregate)?;
                self.aggregates += 1;
                Ok(relation)
            }
            LogicalPlan::Join(join) => self.join(plan, join),
            LogicalPlan::Window(window) => {
                let Relation::Windowed(windowed) = self.relation(&window.input)? else {
                    return Err(self
                        .places
                        .error(&["over"], "OVER on a stream's rows is not supported yet")
                        .with_hint(
                            "group by a window first and rank its results: OVER (PARTITION BY window_end ...)",
                        ));
                };
                let input = Arc::clone(window.input.schema());
                for expr in &window.window_expr {
                    let Expr::WindowFunction(call) = unaliased(expr) else { continue };
                    let by_window = call
                        .params
                        .partition_by
                        .iter()
                        .any(|by| bound_of(by, &input, &windowed.bounds).is_some_and(WindowBound::fixes_end));
                    if !by_window {
                        return Err(self.places.error(
                            &["over"],
                            "OVER must be PARTITION BY the window's end, otherwise its result never ends",
                        ));
                    }
                }
                let added = window.window_expr.len();
                self.rebuilt_whole(plan, vec![windowed], |bounds| {
                    let mut bounds = bounds[0].clone();
                    bounds.extend(std::iter::repeat_n(None, added));
                    bounds
                })
            }
            LogicalPlan::Sort(sort) => {
                let relation = self.relation(&sort.input)?;
                if sort.fetch.is_some() {
                    return Err(self.limit());
                }
                // Windows are handed over in the order of their ends, and that is all the order that there is.
                let by_end = match (&relation, sort.expr.as_slice()) {
                    (Relation::Windowed(windowed), [key]) if key.asc => {
                        bound_of(&key.expr, sort.input.schema(), &windowed.bounds)
                            .is_some_and(|bound| bound.is_rowtime() && !bound.spec.is_session())
                    }
                    _ => false,
                };
                if by_end {
                    return Ok(relation);
                }
                Err(self
                    .places
                    .error(&["order"], "results come in the order of their windows' ends, and can have no other order")
                    .with_hint("leave ORDER BY out, or rank: ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY ...)"))
            }
            LogicalPlan::Limit(_) => Err(self.limit()),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Err(self
                .places
                .error(&["values", "select"], "the query reads no stream")
                .with_hint("SELECT ... FROM one of the dagger's tables")),
            LogicalPlan::Subquery(_) => {
                Err(self.places.error(&["in", "exists"], "a sub-query inside an expression is not supported"))
            }
            other => Err(self.places.error(&[], format!("{} is not supported in a dagger", other.display()))),
        }
    }

    fn limit(&self) -> SqlError {
        self.places
            .error(&["limit", "fetch", "offset"], "LIMIT has no meaning in a stream that does not end")
            .with_hint("use ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY ...) and filter on it")
    }

    /// The same node over the rebuilt inputs.
    fn rebuilt(
        &self,
        plan: &LogicalPlan,
        inputs: Vec<Windowed>,
        bounds: impl Fn(Vec<Vec<Option<WindowBound>>>) -> Vec<Option<WindowBound>>,
    ) -> Result<Relation, SqlError> {
        let row_wise = inputs.len() == 1 && inputs[0].row_wise;
        self.rebuild(plan, inputs, bounds, row_wise)
    }

    fn rebuilt_whole(
        &self,
        plan: &LogicalPlan,
        inputs: Vec<Windowed>,
        bounds: impl Fn(Vec<Vec<Option<WindowBound>>>) -> Vec<Option<WindowBound>>,
    ) -> Result<Relation, SqlError> {
        self.rebuild(plan, inputs, bounds, false)
    }

    fn rebuild(
        &self,
        plan: &LogicalPlan,
        inputs: Vec<Windowed>,
        bounds: impl Fn(Vec<Vec<Option<WindowBound>>>) -> Vec<Option<WindowBound>>,
        row_wise: bool,
    ) -> Result<Relation, SqlError> {
        let (mut plans, mut all_bounds, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            plans.push(input.plan);
            all_bounds.push(input.bounds);
            leaves.extend(input.inputs);
        }
        let plan = plan.with_new_exprs(plan.expressions(), plans).map_err(|error| self.fail(error))?;
        let bounds = bounds(all_bounds);
        let calls = vec![None; bounds.len()];
        Ok(Relation::Windowed(Windowed { plan, inputs: leaves, bounds, calls, row_wise }))
    }

    fn union(&mut self, plan: &LogicalPlan, inputs: &[Arc<LogicalPlan>]) -> Result<Relation, SqlError> {
        let (mut lanes, mut windowed) = (Vec::new(), Vec::new());
        for input in inputs {
            match self.relation(input)? {
                Relation::Lanes(chains) => lanes.extend(chains.into_iter().map(|chain| chain.rename(plan.schema()))),
                Relation::Windowed(input) => windowed.push(input),
            }
        }
        match (lanes.is_empty(), windowed.is_empty()) {
            (false, true) => Ok(Relation::Lanes(lanes)),
            (true, false) => {
                let same = |bounds: Vec<Vec<Option<WindowBound>>>| {
                    let mut merged = bounds[0].clone();
                    for other in &bounds[1..] {
                        for (bound, other) in merged.iter_mut().zip(other) {
                            let agree = match (*bound, *other) {
                                (Some(one), Some(other)) => {
                                    one.column == other.column && one.is_rowtime() || one == other
                                }
                                _ => false,
                            };
                            if !agree {
                                *bound = None;
                            }
                        }
                    }
                    merged
                };
                let row_wise = windowed.iter().all(|input| input.row_wise) && windowed.len() == 1;
                self.rebuild(plan, windowed, same, row_wise)
            }
            _ => Err(self
                .places
                .error(&["union"], "UNION ALL of grouped and plain rows is not supported")
                .with_hint("make two daggers that write to the same measurement")),
        }
    }

    fn aggregate(&mut self, plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Relation, SqlError> {
        match self.relation(&aggregate.input)? {
            Relation::Lanes(chains) => {
                let mut rows = Vec::new();
                let mut shape = None;
                for chain in &chains {
                    let groups =
                        aggregate.group_expr.iter().map(|expr| chain.inline(expr)).collect::<Result<Vec<_>, _>>();
                    let calls =
                        aggregate.aggr_expr.iter().map(|expr| chain.inline(expr)).collect::<Result<Vec<_>, _>>();
                    let groups = groups.map_err(|error| self.fail(error))?;
                    let calls = calls.map_err(|error| self.fail(error))?;
                    let grouped = self.grouped(aggregate, &groups, calls, &|time| chain.is_rowtime(time))?;
                    if shape.as_ref().is_some_and(|known| *known != (grouped.spec, grouped.columns.clone())) {
                        return Err(self
                            .places
                            .error(&["union"], "the parts of UNION ALL do not group by the same window"));
                    }
                    shape = Some((grouped.spec, grouped.columns.clone()));
                    rows.push(grouped);
                }
                let first_chain = self.chains.len();
                let indices = (first_chain..first_chain + chains.len()).collect();
                self.chains.extend(chains);
                self.window(aggregate, rows, LogicalSource::Chains(indices))
            }
            Relation::Windowed(windowed) => {
                let input = Arc::clone(aggregate.input.schema());
                let groups = as_calls(&aggregate.group_expr, &input, &windowed.calls);
                let has_new_window = groups.iter().any(has_window);
                if has_new_window {
                    // Results come in the order of their ends; one with an early start could come after its window.
                    let is_time = |time: &Expr| {
                        call_at(time, &input, &windowed.calls)
                            .map(|call| call.time)
                            .or_else(|| bound_of(time, &input, &windowed.bounds))
                            .is_some_and(WindowBound::is_rowtime)
                    };
                    let grouped = self.grouped(aggregate, &groups, aggregate.aggr_expr.clone(), &is_time)?;
                    let values = grouped.rows.keys.iter().chain(&aggregate.aggr_expr);
                    for value in values {
                        if value
                            .column_refs()
                            .iter()
                            .any(|column| call_at(&Expr::Column((*column).clone()), &input, &windowed.calls).is_some())
                        {
                            return Err(self.no_value("the window's bounds"));
                        }
                    }
                    let windowed =
                        Windowed { plan: with_times(windowed.plan).map_err(|error| self.fail(error))?, ..windowed };
                    return self.window(aggregate, vec![grouped], LogicalSource::Results(windowed));
                }
                let bounds: Vec<_> =
                    aggregate.group_expr.iter().map(|expr| bound_of(expr, &input, &windowed.bounds)).collect();
                if !bounds.iter().flatten().any(|bound| bound.fixes_end()) {
                    return Err(self.unbounded_group(aggregate));
                }
                let calls = aggregate.aggr_expr.len();
                self.rebuilt_whole(plan, vec![windowed], |_| {
                    bounds.iter().copied().chain(std::iter::repeat_n(None, calls)).collect()
                })
            }
        }
    }

    fn unbounded_group(&self, aggregate: &Aggregate) -> SqlError {
        let names: Vec<&str> = aggregate.aggr_expr.iter().filter_map(|expr| aggregate_name(expr)).collect();
        let words: Vec<&str> = std::iter::once("distinct").chain(names).collect();
        let message = "without a window in GROUP BY the result changes with every row, and its state never ends";
        self.places
            .error_at_nth("group", self.aggregates, &words, message.into())
            .with_hint("add a window, such as GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), ...")
    }

    /// Splits group expressions into the window and the keys.
    fn grouped(
        &self,
        aggregate: &Aggregate,
        groups: &[Expr],
        calls: Vec<Expr>,
        is_time: &dyn Fn(&Expr) -> bool,
    ) -> Result<Grouped, SqlError> {
        let mut window: Option<(WindowSpec, Expr)> = None;
        let mut session_of: Option<Vec<Expr>> = None;
        let (mut keys, mut columns) = (Vec::new(), Vec::new());
        for group in groups {
            let group = unaliased(group);
            if matches!(group, Expr::GroupingSet(_)) {
                return Err(self
                    .places
                    .error(&["grouping", "rollup", "cube"], "GROUPING SETS, ROLLUP and CUBE are not supported yet"));
            }
            let (bound_expr, is_window_time) = match group {
                Expr::ScalarFunction(call) if call.func.name() == "window_time" => (&call.args[0], true),
                other => (other, false),
            };
            let found = window_of(bound_expr).map_err(|error| SqlError {
                message: self.fail(error).message,
                ..self.places.error(&["tumble", "hop", "session", "cumulate"], "")
            });
            match found? {
                Some((bound, spec, time)) => {
                    if window.as_ref().is_some_and(|(known, known_time)| *known != spec || known_time != time) {
                        return Err(self.places.error(&["group"], "a query groups by one window; these are two"));
                    }
                    if let Some(per) = session_keys(bound_expr) {
                        session_of = Some(per.iter().map(|key| unaliased(key).clone()).collect());
                    }
                    window = Some((spec, time.clone()));
                    columns.push(match (is_window_time, bound) {
                        (true, _) => WindowColumn::Time,
                        (false, Bound::Start) => WindowColumn::Start,
                        (false, Bound::End) => WindowColumn::End,
                    });
                }
                None => {
                    columns.push(WindowColumn::Key(keys.len()));
                    keys.push(group.clone());
                }
            }
        }
        let Some((spec, time)) = window else { return Err(self.unbounded_group(aggregate)) };
        if !is_time(&time) {
            return Err(self
                .places
                .error(
                    &["tumble", "hop", "session", "cumulate"],
                    format!("a window is over the stream's rowtime, not over `{time}`"),
                )
                .with_hint(
                    "write rowtime (which field it is taken from is set in the stream's `timestamp`), or window_time over \
                     the results of another window",
                ));
        }
        if let Some(per) = session_of {
            self.check_session_keys(&per, &keys)?;
        }
        let of_start = |column: &WindowColumn| matches!(column, WindowColumn::End | WindowColumn::Time);
        if matches!(spec.kind(), WindowKind::Cumulate { .. }) && !columns.iter().any(of_start) {
            return Err(self
                .places
                .error_at_nth(
                    "group",
                    self.aggregates,
                    &[],
                    "windows of CUMULATE that start together are different windows".into(),
                )
                .with_hint("GROUP BY window_start, window_end"));
        }
        columns.extend((0..calls.len()).map(WindowColumn::Aggregate));
        let calls = calls.into_iter().map(|call| with_time(call, &time)).collect();
        Ok(Grouped { spec, columns, rows: LogicalRows { time, keys, calls } })
    }

    /// `SESSION(TABLE t PARTITION BY keys, ...)` makes sessions per `per`; what is grouped are rows per `keys`.
    fn check_session_keys(&self, per: &[Expr], keys: &[Expr]) -> Result<(), SqlError> {
        let names = |exprs: &[Expr]| {
            let names = exprs.iter().map(|expr| match expr {
                Expr::Column(column) => column.name.clone(),
                other => other.to_string(),
            });
            names.collect::<Vec<_>>().join(", ")
        };
        let same = per.iter().all(|key| keys.contains(key)) && keys.iter().all(|key| per.contains(key));
        if same {
            return Ok(());
        }
        if per.is_empty() {
            let keys = names(keys);
            return Err(self
                .places
                .error(
                    &["session"],
                    format!("these sessions are of all rows together, and the query groups by {keys} too"),
                )
                .with_hint(format!(
                    "write SESSION(TABLE t PARTITION BY {keys}, DESCRIPTOR(rowtime), gap) for sessions of each {keys}"
                )));
        }
        let grouped = if keys.is_empty() { "the window alone".to_string() } else { names(keys) };
        let per = names(per);
        Err(self
            .places
            .error(&["partition"], format!("the sessions are per {per}, and the query groups by {grouped}"))
            .with_hint(format!("GROUP BY window_start, window_end, {per}; then group those results once more")))
    }

    fn no_value(&self, what: &str) -> SqlError {
        self.places
            .error(
                &["window_start", "window_end", "window_time", what],
                format!("{what} has a value only where the query groups by that window"),
            )
            .with_hint("GROUP BY window_start, window_end first, and use the bounds of the results")
    }

    /// Refuses bounds of windows where no window is: they would fail for each record.
    fn check_values<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<(), SqlError> {
        for expr in exprs {
            if let Some(call) = unevaluable(expr).map_err(|error| self.fail(error))? {
                return Err(self.no_value(&call));
            }
        }
        Ok(())
    }

    fn check_fragment(&self, plan: &LogicalPlan) -> Result<(), SqlError> {
        self.check_values(&plan.expressions())?;
        plan.inputs().into_iter().try_for_each(|input| self.check_fragment(input))
    }

    fn window(
        &mut self,
        aggregate: &Aggregate,
        grouped: Vec<Grouped>,
        source: LogicalSource,
    ) -> Result<Relation, SqlError> {
        let (spec, columns) = (grouped[0].spec, grouped[0].columns.clone());
        let mut rows: Vec<LogicalRows> = grouped.into_iter().map(|grouped| grouped.rows).collect();
        let (identity, rows_text) = self.identity(spec, &columns, &rows, &source).map_err(|error| self.fail(error))?;
        let keys = rows[0].keys.len();
        let mut key_texts = vec![None; keys];
        for (key, text) in key_texts.iter_mut().enumerate() {
            // A text made from a number by an injective function groups by the number.
            let forms: Vec<_> = rows.iter().map(|rows| key_form(&rows.keys[key])).collect();
            if let Some(Some((_, first_text))) = forms.first()
                && forms.iter().all(|form| form.as_ref().is_some_and(|(_, text)| text.name() == first_text.name()))
            {
                *text = Some(Arc::clone(first_text));
                for (rows, form) in rows.iter_mut().zip(forms) {
                    if let Some((expr, _)) = form {
                        rows.keys[key] = expr;
                    }
                }
            }
        }
        let index = self.windows.len();
        let schema = Arc::clone(&aggregate.schema);
        let input = WindowInput::new(leaf_schema(&schema, &columns));
        let bounds = columns
            .iter()
            .map(|column| match column {
                WindowColumn::Start | WindowColumn::End | WindowColumn::Time => {
                    Some(WindowBound { column: *column, spec })
                }
                _ => None,
            })
            .collect();
        let plan = leaf_plan(index, &input, &schema).map_err(|error| self.fail(error))?;
        self.windows.push(LogicalWindow { spec, rows, source, key_texts, columns, schema, identity, rows_text });
        let calls = vec![None; self.windows[index].columns.len()];
        Ok(Relation::Windowed(Windowed { plan, inputs: vec![(index, input)], bounds, calls, row_wise: true }))
    }

    /// What a window is, from what is known of its input and of the calls.
    fn identity(
        &self,
        spec: WindowSpec,
        columns: &[WindowColumn],
        rows: &[LogicalRows],
        source: &LogicalSource,
    ) -> Result<(WindowIdentity, WindowRowsText), DataFusionError> {
        let inputs: Vec<InputText> = match source {
            LogicalSource::Chains(chains) => {
                let chains = chains.iter().map(|chain| &self.chains[*chain]);
                chains.map(|chain| InputText::of_chain(chain, &self.streams[chain.stream].table)).collect()
            }
            LogicalSource::Results(windowed) => {
                let window = |table: &str| {
                    let index: usize = table.strip_prefix(LEAF)?.parse().ok()?;
                    self.windows.get(index).map(|window| &window.rows_text)
                };
                vec![InputText::of_results(&windowed.plan, &window)?]
            }
        };
        let mut parts: Vec<(&InputText, &LogicalRows, _)> =
            inputs.iter().zip(rows).map(|(input, rows)| (input, rows, input.identity(&rows.time))).collect();
        // The parts of a UNION ALL have no order.
        parts.sort_by(|(_, _, one), (_, _, other)| one.cmp(other));
        let held = |count: usize, expr: &dyn Fn(&LogicalRows, usize) -> Expr| -> Vec<HeldIdentity> {
            let text = |at: usize| {
                let mut texts: Vec<String> = parts.iter().map(|(input, rows, _)| input.text(&expr(rows, at))).collect();
                let is_one = texts.iter().all(|text| *text == texts[0]);
                if is_one { texts.swap_remove(0) } else { format!("[{}]", texts.join(" | ")) }
            };
            (0..count).map(|at| HeldIdentity { text: text(at), types: Vec::new() }).collect()
        };
        let identity = WindowIdentity {
            spec,
            lag_ms: 0,
            keys: held(rows[0].keys.len(), &|rows, at| rows.keys[at].clone()),
            aggregates: held(rows[0].calls.len(), &|rows, at| rows.calls[at].clone()),
            inputs: parts.iter().map(|(_, _, identity)| identity.clone()).collect(),
        };
        let columns = columns.iter().map(|column| match column {
            WindowColumn::Start => "window_start".to_string(),
            WindowColumn::End => "window_end".to_string(),
            WindowColumn::Time => "window_time".to_string(),
            WindowColumn::Key(key) => format!("[{}]", identity.keys[*key].text),
            WindowColumn::Aggregate(call) => format!("[{}]", identity.aggregates[*call].text),
        });
        let rows_text = WindowRowsText { rows: rows_text(&identity), columns: columns.collect() };
        Ok((identity, rows_text))
    }

    fn join(&mut self, plan: &LogicalPlan, join: &datafusion::logical_expr::Join) -> Result<Relation, SqlError> {
        let left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let (Relation::Windowed(left), Relation::Windowed(right)) = (left, right) else {
            return Err(self.places.error(&["join"], "a join needs windows on both sides").with_hint(
                "group both sides by the same window and join ON a.window_end = b.window_end AND ...; interval and lookup joins come later",
            ));
        };
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) {
            return Err(self
                .places
                .error(&["join", "in", "exists"], format!("a {} join of windows is not supported", join.join_type)));
        }
        let same_window = join.on.iter().any(|(a, b)| {
            let a = bound_of(a, join.left.schema(), &left.bounds);
            let b = bound_of(b, join.right.schema(), &right.bounds);
            match (a, b) {
                (Some(a), Some(b)) => a.column == b.column && a.fixes_end() && (a.is_rowtime() || a.spec == b.spec),
                _ => false,
            }
        });
        if !same_window {
            return Err(self
                .places
                .error(&["join"], "the join does not say that both sides are of the same window")
                .with_hint("add ON a.window_end = b.window_end, with the window's end selected on both sides"));
        }
        let join_type = join.join_type;
        self.rebuilt_whole(plan, vec![left, right], |bounds| {
            let (mut left, mut right) = (bounds[0].clone(), bounds[1].clone());
            if matches!(join_type, JoinType::Right | JoinType::Full) {
                left.fill(None);
            }
            if matches!(join_type, JoinType::Left | JoinType::Full) {
                right.fill(None);
            }
            left.into_iter().chain(right).collect()
        })
    }

    /// Makes everything physical.
    fn finish(mut self, plan: &LogicalPlan, relation: Relation) -> Result<DaggerPlan, SqlError> {
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

struct Grouped {
    spec: WindowSpec,
    columns: Vec<WindowColumn>,
    rows: LogicalRows,
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

fn physical(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
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

/// `S2Id(lat, lon, 13)` as the call that makes its number, and the function from the number to the text.
fn key_form(key: &Expr) -> Option<(Expr, Arc<datafusion::logical_expr::ScalarUDF>)> {
    let Expr::ScalarFunction(call) = unaliased(key) else { return None };
    let form = functions::key_form(call.func.name())?;
    Some((Expr::ScalarFunction(ScalarFunction::new_udf(form.key, call.args.clone())), form.text))
}

/// `CollectArray(x)` orders by time: the time goes in as a second argument.
fn with_time(call: Expr, time: &Expr) -> Expr {
    match call {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(with_time(*alias.expr, time));
            Expr::Alias(alias)
        }
        Expr::AggregateFunction(mut call) if call.func.name() == "collectarray" && call.params.args.len() == 1 => {
            call.params.args.push(time.clone());
            Expr::AggregateFunction(call)
        }
        other => other,
    }
}

/// Which window bound an expression over columns with known bounds is.
fn bound_of(expr: &Expr, schema: &DFSchema, bounds: &[Option<WindowBound>]) -> Option<WindowBound> {
    match unaliased(expr) {
        Expr::Column(column) => {
            schema.index_of_column(column).ok().and_then(|index| bounds.get(index).copied().flatten())
        }
        // A cast that keeps the milliseconds keeps the bound.
        Expr::Cast(cast) if keeps_millis(cast.field.data_type()) => bound_of(&cast.expr, schema, bounds),
        Expr::ScalarFunction(call) if call.func.name() == "window_time" => {
            let bound = bound_of(call.args.first()?, schema, bounds)?;
            (bound.column == WindowColumn::End).then_some(WindowBound { column: WindowColumn::Time, ..bound })
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            // After an outer join each side alone may be NULL; the sides were joined on equal windows.
            let mut found = call.args.iter().map(|argument| bound_of(argument, schema, bounds));
            let first = found.next()??;
            found
                .all(|other| other.is_some_and(|other| other.column == first.column && other.is_rowtime()))
                .then_some(first)
        }
        _ => None,
    }
}

fn keeps_millis(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(unit, _) if *unit != TimeUnit::Second)
}

impl Relation {
    fn with_calls(self, calls: Vec<Option<WindowCall>>) -> Self {
        match self {
            Relation::Windowed(windowed) => Relation::Windowed(Windowed { calls, ..windowed }),
            lanes => lanes,
        }
    }
}

fn has_window(expr: &Expr) -> bool {
    let expr = match unaliased(expr) {
        Expr::ScalarFunction(call) if call.func.name() == "window_time" && call.args.len() == 1 => &call.args[0],
        other => other,
    };
    matches!(window_of(expr), Ok(Some(_)) | Err(_))
}

/// The window call that a projected expression over results is, or passes on.
fn call_of(expr: &Expr, input: &DFSchema, windowed: &Windowed) -> Option<WindowCall> {
    let expr = unaliased(expr);
    if let Some(known) = call_at(expr, input, &windowed.calls) {
        return Some(known.clone());
    }
    let bound = match expr {
        Expr::ScalarFunction(call) if call.func.name() == "window_time" => call.args.first()?,
        other => other,
    };
    let (_, _, time) = window_of(bound).ok()??;
    let time = bound_of(time, input, &windowed.bounds)?;
    Some(WindowCall { call: expr.clone(), time })
}

fn call_at<'a>(expr: &Expr, schema: &DFSchema, calls: &'a [Option<WindowCall>]) -> Option<&'a WindowCall> {
    let Expr::Column(column) = unaliased(expr) else { return None };
    calls.get(schema.index_of_column(column).ok()?)?.as_ref()
}

/// Columns that stand for window calls, as those calls over a column: [`with_times`] puts the time there. Calls over one
/// time are calls over one column.
fn as_calls(exprs: &[Expr], schema: &DFSchema, calls: &[Option<WindowCall>]) -> Vec<Expr> {
    let mut columns: Vec<(Expr, Expr)> = Vec::new();
    let as_call = |expr: &Expr| {
        let column = unaliased(expr);
        let Some(found) = call_at(column, schema, calls) else { return expr.clone() };
        let Some(time) = time_of(&found.call) else { return expr.clone() };
        let known = columns.iter().find(|(known, _)| known == time).map(|(_, column)| column.clone());
        let column = known.unwrap_or_else(|| {
            columns.push((time.clone(), column.clone()));
            column.clone()
        });
        over(&found.call, &column)
    };
    exprs.iter().map(as_call).collect()
}

fn time_of(call: &Expr) -> Option<&Expr> {
    match call {
        Expr::ScalarFunction(function) if function.func.name() == "window_time" => time_of(function.args.first()?),
        Expr::ScalarFunction(function) => function.args.first(),
        _ => None,
    }
}

fn aggregate_name(expr: &Expr) -> Option<&str> {
    match unaliased(expr) {
        Expr::AggregateFunction(call) => Some(call.func.name()),
        _ => None,
    }
}

/// The same call over another time.
fn over(call: &Expr, time: &Expr) -> Expr {
    match call {
        Expr::ScalarFunction(function) => {
            let mut function = function.clone();
            if let Some(first) = function.args.first_mut() {
                *first = if function.func.name() == "window_time" { over(first, time) } else { time.clone() };
            }
            Expr::ScalarFunction(function)
        }
        other => other.clone(),
    }
}

/// The plan with the times of its window calls in place of the calls.
fn with_times(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let replaced = plan.transform_up(|node| {
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::no(node)) };
        let mut changed = false;
        let mut exprs = Vec::new();
        for (expr, (qualifier, field)) in projection.expr.iter().zip(projection.schema.iter()) {
            let bound = match unaliased(expr) {
                Expr::ScalarFunction(call) if call.func.name() == "window_time" => &call.args[0],
                other => other,
            };
            exprs.push(match window_of(bound)? {
                Some((_, _, time)) => {
                    changed = true;
                    time.clone().alias_qualified(qualifier.cloned(), field.name().as_str())
                }
                None => expr.clone(),
            });
        }
        if !changed {
            return Ok(Transformed::no(node));
        }
        let input = Arc::clone(&projection.input);
        Ok(Transformed::yes(LogicalPlan::Projection(ProjectionNode::try_new(exprs, input)?)))
    })?;
    Ok(replaced.data)
}

/// Result columns that are keys beside the window.
fn key_columns(windowed: &Windowed) -> Vec<usize> {
    let mut keys = Vec::new();
    if let LogicalPlan::Projection(projection) = &windowed.plan {
        for (index, expr) in projection.expr.iter().enumerate() {
            if is_key(expr, &projection.input) {
                keys.push(index);
            }
        }
    }
    keys
}

/// Whether an expression is a column that comes from a group key.
fn is_key(expr: &Expr, input: &LogicalPlan) -> bool {
    let Expr::Column(column) = unaliased(expr) else { return false };
    let Ok(index) = input.schema().index_of_column(column) else { return false };
    match input {
        LogicalPlan::Projection(projection) => match &projection.expr[index] {
            Expr::Alias(alias) if matches!(&*alias.expr, Expr::Column(Column { relation: Some(table), .. }) if table.table().starts_with(LEAF)) =>
            {
                let Expr::Column(column) = &*alias.expr else { return false };
                column.name.starts_with('k')
            }
            expr => is_key(expr, &projection.input),
        },
        LogicalPlan::Filter(filter) => is_key(expr, &filter.input),
        LogicalPlan::SubqueryAlias(alias) => {
            let (qualifier, field) = alias.input.schema().qualified_field(index);
            is_key(&Expr::Column(Column::from((qualifier, field.as_ref()))), &alias.input)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            let (side, index) = if index < left { (&join.left, index) } else { (&join.right, index - left) };
            let (qualifier, field) = side.schema().qualified_field(index);
            is_key(&Expr::Column(Column::from((qualifier, field.as_ref()))), side)
        }
        LogicalPlan::Aggregate(aggregate) => {
            index < aggregate.group_expr.len() && is_key(&aggregate.group_expr[index], &aggregate.input)
        }
        _ => false,
    }
}

const LEAF: &str = "window_result_";

/// Names of a window's result columns inside a fragment: keys begin with `k`, all others with `v`.
fn leaf_schema(schema: &DFSchemaRef, columns: &[WindowColumn]) -> Arc<Schema> {
    let named = schema.fields().iter().zip(columns).enumerate().map(|(at, (field, column))| {
        let name = if matches!(column, WindowColumn::Key(_)) { format!("k{at}") } else { format!("v{at}") };
        field.as_ref().clone().with_name(name).with_nullable(true)
    });
    Arc::new(Schema::new(named.collect::<Vec<_>>()))
}

/// A scan of a window's results whose columns have the names that the rest of the plan knows.
fn leaf_plan(index: usize, input: &WindowInput, schema: &DFSchemaRef) -> Result<LogicalPlan, DataFusionError> {
    let name = format!("{LEAF}{index}");
    let names: Vec<String> = input.table()?.schema().fields().iter().map(|field| field.name().clone()).collect();
    let source = provider_as_source(Arc::new(input.table()?));
    let scan = LogicalPlanBuilder::scan(name.as_str(), source, None)?;
    let expressions: Vec<Expr> = schema
        .iter()
        .enumerate()
        .map(|(at, (qualifier, field))| {
            let column = Expr::Column(Column::new(Some(name.as_str()), names[at].clone()));
            column.alias_qualified(qualifier.cloned(), field.name().as_str())
        })
        .collect();
    for (expr, field) in expressions.iter().zip(schema.fields()) {
        debug_assert_eq!(&expr.get_type(scan.schema())?, field.data_type());
    }
    scan.project(expressions)?.build()
}
