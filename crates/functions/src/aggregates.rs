//! Aggregates whose result does not depend on how rows were batched or split into partials.
//!
//! Sets and sketches do not depend on any order. `CollectArray` keeps the order in which rows come and in
//! which partials are merged; given a time it sorts by that, stably.
//!
//! Every aggregate is a grouped accumulator over all groups at once. Its state has a limit; what exceeds
//! it is an error that says what to do, never a wrong result.

mod approx_distinct_count;
mod approx_percentile;
mod collect_array;
mod distinct_count;
mod distinct_tables;
mod grouped;
mod log_bins;
mod percentile;

use std::sync::Arc;

use datafusion::logical_expr::AggregateUDF;

use crate::FunctionDoc;
pub use collect_array::COLLECTED_ELEMENTS_MAX;
pub use distinct_count::{DISTINCT_STATE_BYTES_MAX, DISTINCT_VALUES_MAX};
pub use percentile::PERCENTILE_VALUES_MAX;

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let mut functions = vec![
        Arc::new(AggregateUDF::new_from_impl(distinct_count::DistinctCount::new())),
        Arc::new(AggregateUDF::new_from_impl(approx_distinct_count::ApproxDistinctCount::new())),
        Arc::new(AggregateUDF::new_from_impl(percentile::PercentileAggregator::new())),
        Arc::new(AggregateUDF::new_from_impl(collect_array::CollectArray::new())),
    ];
    functions.extend(
        approx_percentile::Form::ALL
            .iter()
            .map(|&form| Arc::new(AggregateUDF::new_from_impl(approx_percentile::ApproxPercentile::new(form)))),
    );
    functions
}

pub(crate) fn docs() -> Vec<FunctionDoc> {
    let mut docs = vec![distinct_count::DOC, approx_distinct_count::DOC, percentile::DOC, collect_array::DOC];
    docs.extend(approx_percentile::Form::ALL.iter().map(|form| form.doc()));
    docs
}
