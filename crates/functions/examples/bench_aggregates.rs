//! What a row costs the grouped accumulators of this crate, beside DataFusion's nearest:
//! `cargo run --release -p functions --example bench_aggregates`. One JSON object a line.
//!
//! 2,000 groups, batches of 8,192 rows; `limit` is DataFusion's exact `count(DISTINCT)` (for texts its
//! approximate one, as it has no exact one by group) and its t-digest percentile.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{Field, FieldRef, Int32Type, Schema};
use datafusion::functions_aggregate::{approx_distinct, approx_percentile_cont, count};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::scalar::ScalarValue;

const BATCH_ROWS: usize = 8192;
const BATCHES: usize = 64;
const GROUPS: usize = 2000;
const DRIVERS: u64 = 20_000;

fn main() {
    // A fixed linear congruential generator (Knuth's MMIX constants).
    let mut state = 1u64;
    let mut random = |limit: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % limit
    };
    let drivers: Vec<Vec<u64>> = (0..BATCHES).map(|_| (0..BATCH_ROWS).map(|_| random(DRIVERS)).collect()).collect();
    let groups: Vec<Vec<usize>> =
        (0..BATCHES).map(|_| (0..BATCH_ROWS).map(|_| random(GROUPS as u64) as usize).collect()).collect();

    let columns =
        |make: &dyn Fn(&[u64]) -> ArrayRef| -> Vec<ArrayRef> { drivers.iter().map(|batch| make(batch)).collect() };
    let integers = columns(&|batch| Arc::new(Int64Array::from_iter_values(batch.iter().map(|&driver| driver as i64))));
    let texts = columns(&|batch| {
        Arc::new(StringArray::from_iter_values(batch.iter().map(|driver| format!("driver-{driver:08}"))))
    });
    let dictionaries = columns(&|batch| {
        let texts: Vec<String> = batch.iter().map(|driver| format!("driver-{:08}", driver % 500)).collect();
        Arc::new(texts.iter().map(|text| Some(text.as_str())).collect::<DictionaryArray<Int32Type>>())
    });
    let floats =
        columns(&|batch| Arc::new(Float64Array::from_iter_values(batch.iter().map(|&driver| 1.0 + driver as f64))));

    let distinct = ours("distinctcount");
    report("distinct_count_int", (&distinct, &integers, None), (&count::count_udaf(), true), &groups);
    report(
        "distinct_count_text",
        (&distinct, &texts, None),
        (&approx_distinct::approx_distinct_udaf(), false),
        &groups,
    );
    report(
        "distinct_count_dictionary",
        (&distinct, &dictionaries, None),
        (&approx_distinct::approx_distinct_udaf(), false),
        &groups,
    );
    let percentile = ours("approx_percentile_cont");
    report(
        "approx_percentile",
        (&percentile, &floats, Some(0.95)),
        (&approx_percentile_cont::approx_percentile_cont_udaf(), false),
        &groups,
    );
}

fn ours(name: &str) -> Arc<AggregateUDF> {
    functions::aggregate_functions()
        .into_iter()
        .find(|function| function.name() == name)
        .expect("a function of this crate")
}

fn report(
    name: &str,
    (ours, values, fraction): (&Arc<AggregateUDF>, &[ArrayRef], Option<f64>),
    (limit, is_distinct): (&Arc<AggregateUDF>, bool),
    groups: &[Vec<usize>],
) {
    let ours = nanoseconds(ours, values, fraction, false, groups);
    let limit = nanoseconds(limit, values, fraction, is_distinct, groups);
    let shown = limit.map_or("null".to_owned(), |limit| format!("{limit:.1}"));
    let (ours, ratio) = match (ours, limit) {
        (Some(ours), Some(limit)) => (ours, format!("{:.2}", limit / ours)),
        (Some(ours), None) => (ours, "null".to_owned()),
        (None, _) => return,
    };
    println!("{{\"name\":\"{name}\",\"ours\":{ours:.1},\"limit\":{shown},\"unit\":\"ns/row\",\"ratio\":{ratio}}}");
}

/// Nanoseconds a row, the best of five rounds; `None` where the function has no grouped accumulator.
fn nanoseconds(
    function: &AggregateUDF,
    values: &[ArrayRef],
    fraction: Option<f64>,
    is_distinct: bool,
    groups: &[Vec<usize>],
) -> Option<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut accumulator = accumulator(function, &values[0], fraction, is_distinct)?;
        let start = Instant::now();
        for (values, groups) in values.iter().zip(groups) {
            let mut arguments = vec![Arc::clone(values)];
            if let Some(fraction) = fraction {
                arguments.push(Arc::new(Float64Array::from(vec![fraction; values.len()])));
            }
            accumulator.update_batch(&arguments, groups, None, GROUPS).ok()?;
        }
        black_box(accumulator.evaluate(EmitTo::All).ok()?);
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / (BATCHES * BATCH_ROWS) as f64);
    }
    Some(best)
}

fn accumulator(
    function: &AggregateUDF,
    values: &ArrayRef,
    fraction: Option<f64>,
    is_distinct: bool,
) -> Option<Box<dyn GroupsAccumulator>> {
    let mut fields: Vec<FieldRef> = vec![Arc::new(Field::new("c0", values.data_type().clone(), true))];
    let mut exprs: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("c0", 0))];
    if let Some(fraction) = fraction {
        let literal = ScalarValue::from(fraction);
        fields.push(Arc::new(Field::new("c1", literal.data_type(), true)));
        exprs.push(Arc::new(Literal::new(literal)));
    }
    let schema = Schema::new(fields.clone());
    let args = AccumulatorArgs {
        return_field: function.return_field(&fields).ok()?,
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: "bench",
        is_distinct,
        exprs: &exprs,
        expr_fields: &fields,
    };
    function.groups_accumulator_supported(args.clone()).then(|| function.create_groups_accumulator(args).ok())?
}
