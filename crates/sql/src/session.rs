//! DataFusion sessions: one for planning daggers, one for running what a window's results go through.

use std::sync::Arc;

use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::prelude::SessionConfig;

use crate::map_rows;
use crate::timestamp_parts::{self, TimestampPartPlanner};
use crate::window_functions;

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(8_192);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // Flink's names are case-sensitive; function names are matched without regard to case in either setting.
    options.sql_parser.enable_ident_normalization = false;
    options.execution.collect_statistics = false;
    config
}

fn builder() -> SessionStateBuilder {
    let mut builder = SessionStateBuilder::new().with_config(config()).with_default_features();
    // Functions that make rows are functions that make lists, which UNNEST takes apart.
    let rows = functions::table_functions().into_iter().map(|table| table.function);
    let scalars = functions::scalar_functions()
        .into_iter()
        .chain(window_functions::functions())
        .chain(timestamp_parts::functions())
        .chain([map_rows::function()])
        .chain(rows);
    builder.scalar_functions().get_or_insert_default().extend(scalars);
    builder.aggregate_functions().get_or_insert_default().extend(functions::aggregate_functions());
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(TimestampPartPlanner));
    builder
}

/// The session that turns a dagger's text into a typed plan. Its rules neither move predicates nor prune columns: cutting
/// the plan into lanes and windows does that, and must see the windows where the text put them.
pub(crate) fn planning_session() -> SessionState {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
    ];
    builder().with_optimizer_rules(rules).build()
}

/// A session with all functions and DataFusion's own rules, for results of windows and for ad hoc queries.
pub fn query_session() -> SessionState {
    builder().build()
}
