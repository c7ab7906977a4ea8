//! The SQL functions of Millrace on stock DataFusion: Dagger's scalar, aggregate and table functions,
//! and the Flink names that DataFusion lacks or gives another meaning.
//!
//! What it is not: it plans nothing, reads no files and no network, and knows nothing of streams,
//! windows or sinks. Every function is a pure function of its arguments; every aggregate gives the same
//! bits for any batch size and any split into partials that are merged in the same order.
//!
//! Names are lower case, as DataFusion lower-cases unquoted function names. Not here: `InArea` and the
//! `Dart` functions, which need stored data, and `Features`, `SelectFields`, `Filters`.

pub mod aggregates;
mod flink;
pub mod geo;
mod json;
mod list;
mod reference;
mod rows;
mod scalar;
mod text;
mod time;
mod trend;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub use geo::{s2_cell_id, s2_cell_ids};
pub use reference::{FunctionDoc, FunctionKind, docs};

/// A scalar function that returns a list of structs, used under `LATERAL TABLE(f(...))`: the planner
/// calls it and unnests the list, one output row per element, one output column per struct field.
pub struct TableFunction {
    /// As documented; SQL matches it without regard to case, the function's own name is lower case.
    pub name: &'static str,
    /// Returns `List<Struct<columns>>`; a NULL or empty list gives no rows.
    pub function: Arc<ScalarUDF>,
    /// Names of the output columns, in the order of the struct's fields.
    pub columns: &'static [&'static str],
}

/// An injective text function split in two: group by `key`, and make the text only for the result.
pub struct KeyForm {
    /// Takes the arguments of the original and returns a primitive (UInt64); NULL where the original is NULL.
    pub key: Arc<ScalarUDF>,
    /// Takes the key and returns what the original returns.
    pub text: Arc<ScalarUDF>,
}

/// Every scalar function of this crate, Flink names included. Some replace a DataFusion function of the
/// same name whose meaning differs from Flink's (`from_unixtime`, `date_format`, `to_timestamp`).
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    scalar_definitions().map(scalar::ScalarFunction::udf).collect()
}

fn scalar_definitions() -> impl Iterator<Item = &'static scalar::Definition> {
    [
        geo::CELL_FUNCTIONS,
        geo::MEASURE_FUNCTIONS,
        time::CALENDAR_FUNCTIONS,
        time::CONVERSION_FUNCTIONS,
        list::AGGREGATE_FUNCTIONS,
        list::ELEMENT_FUNCTIONS,
        list::LOOKUP_FUNCTIONS,
        json::JSON_FUNCTIONS,
        text::TEXT_FUNCTIONS,
        trend::TREND_FUNCTIONS,
        flink::FLINK_FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every aggregate of this crate. Some replace a DataFusion aggregate of the same name whose result
/// depends on how rows are batched (`approx_percentile_cont`, `approx_median`, ...).
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    aggregates::functions()
}

/// The functions that make rows, for `LATERAL TABLE(...)`. They are not part of [`scalar_functions`].
pub fn table_functions() -> Vec<TableFunction> {
    rows::ROW_FUNCTIONS
        .iter()
        .map(|&(definition, columns)| TableFunction {
            name: definition.doc.name,
            function: scalar::ScalarFunction::udf(definition),
            columns,
        })
        .collect()
}

/// The key form of a text function (any case), or `None` if it has none.
pub fn key_form(function_name: &str) -> Option<KeyForm> {
    geo::KEY_FORMS.iter().find(|form| form.text_function.eq_ignore_ascii_case(function_name)).map(|form| KeyForm {
        key: scalar::ScalarFunction::udf(form.key),
        text: scalar::ScalarFunction::udf(form.text),
    })
}
