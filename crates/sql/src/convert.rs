//! Cuts a typed logical plan into lanes, windows and what runs on the windows' results.

mod calls;
mod compile;

use crate::error::{Places, SqlError};
use crate::fragment::WindowInput;
use crate::graph::{DaggerPlan, WindowColumn};
use crate::identity::{HeldIdentity, WindowIdentity, rows_text};
use crate::input_text::{InputText, WindowRowsText};
use crate::lanes::{Chain, scanned_table};
use crate::limits::OUTPUT_COLUMNS_MAX;
use crate::planner::StreamTable;
use crate::session::query_session;
use crate::window_functions::{Bound, session_keys, unaliased, unevaluable, window_of};
use arrow::datatypes::Schema;
use calls::{aggregate_name, as_calls, bound_of, call_at, call_of, has_window, with_time, with_times};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchemaRef, DataFusionError, JoinType};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::ExprSchemable;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};
use operators::{WindowKind, WindowSpec};
use std::sync::Arc;

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
}

struct Grouped {
    spec: WindowSpec,
    columns: Vec<WindowColumn>,
    rows: LogicalRows,
}

/// `S2Id(lat, lon, 13)` as the call that makes its number, and the function from the number to the text.
fn key_form(key: &Expr) -> Option<(Expr, Arc<datafusion::logical_expr::ScalarUDF>)> {
    let Expr::ScalarFunction(call) = unaliased(key) else { return None };
    let form = functions::key_form(call.func.name())?;
    Some((Expr::ScalarFunction(ScalarFunction::new_udf(form.key, call.args.clone())), form.text))
}

impl Relation {
    fn with_calls(self, calls: Vec<Option<WindowCall>>) -> Self {
        match self {
            Relation::Windowed(windowed) => Relation::Windowed(Windowed { calls, ..windowed }),
            lanes => lanes,
        }
    }
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
