//! Speed of filters, columns and templates on bookings, on one core.
//!
//! `cargo run --release -p shape --example bench_shape` prints one JSON line, in rows a second (median of 5 runs). What ends in
//! `RowByRow` or `Full` is the same work without the short way. `BENCH_ROWS` sets the number of rows (default 200,000).

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::*;
use serde_json::{Map, Value, json};
use shape::{ColumnSource, ColumnSpec, Filter, Shape, ShapeSpec, Template};

/// The allocator of the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 5_000;
const RUNS: usize = 5;

fn batch() -> RecordBatch {
    let numbers = || (0..BATCH_ROWS as i64).map(|row| row.wrapping_mul(2_654_435_761) % 1_000);
    let status: DictionaryArray<arrow::datatypes::Int32Type> = numbers()
        .map(|number| Some(["CREATED", "COMPLETED", "CANCELLED", "DRIVER_FOUND"][number as usize % 4]))
        .collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "order_id",
            Arc::new(StringViewArray::from_iter_values(numbers().map(|number| format!("order-{number:010}")))),
        ),
        ("customer_id", Arc::new(StringViewArray::from_iter_values(numbers().map(|number| format!("c{number}"))))),
        ("status", Arc::new(status)),
        ("price", Arc::new(Float64Array::from_iter_values(numbers().map(|number| number as f64 / 10.0)))),
        ("city_id", Arc::new(Int32Array::from_iter_values(numbers().map(|number| number as i32)))),
        (
            "event_timestamp",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                numbers().map(|number| 1_767_225_600_000_000 + number * 1_000_000),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Rows a second of something that does one batch.
fn rate(rows: usize, mut one_batch: impl FnMut()) -> Value {
    let batches = rows.div_ceil(BATCH_ROWS).max(1);
    one_batch();
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            (0..batches).for_each(|_| one_batch());
            (batches * BATCH_ROWS) as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    json!(rates[RUNS / 2].round())
}

fn main() {
    let rows: usize = std::env::var("BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000);
    let batch = batch();
    let mut figures = Map::new();
    for (name, text) in [
        ("filterSimple", r#"status == "CANCELLED" && price > 10.0"#),
        ("filterIn", r#"status in ["CANCELLED", "COMPLETED"] && city_id in [1, 2, 3, 4, 5]"#),
        ("filterTime", r#"event_timestamp > timestamp("2026-01-01T00:10:00Z")"#),
        ("filterPattern", r#"order_id.matches("^order-0+1.*$")"#),
        ("filterPartly", r#"status == "CANCELLED" && size(order_id) + city_id > 100"#),
    ] {
        let filter = Filter::compile(text, batch.schema_ref()).unwrap();
        figures.insert(name.into(), rate(rows, || drop(black_box(filter.judge(&batch).unwrap()))));
        let by_row = rate(rows / 20, || drop(black_box(filter.judge_row_by_row(&batch).unwrap())));
        figures.insert(format!("{name}RowByRow"), by_row);
    }
    for (name, text) in [
        ("templateUrl", "/orders/{{ order_id | urlencode }}/{{ city_id }}"),
        (
            "templateJson",
            r#"{"id": {{ order_id | json }}, "status": {{ status | json }}, "price": {{ price }}, "at": {{ event_timestamp | json }}}"#,
        ),
    ] {
        for (name, text) in [(name.to_owned(), text.to_owned()), (format!("{name}Full"), format!("{text}{{# #}}"))] {
            let template = Template::compile(&text, batch.schema_ref()).unwrap();
            let mut out = String::new();
            let figure = rate(rows, || {
                let bound = template.bind(&batch).unwrap();
                for row in 0..BATCH_ROWS {
                    out.clear();
                    bound.render_to(row, &mut out).unwrap();
                    black_box(&out);
                }
            });
            figures.insert(name, figure);
        }
    }
    let column = |name: &str, source| ColumnSpec { name: Some(name.into()), source };
    let expression = |text: &str| ColumnSource::Expression { text: text.into(), declared: None };
    for (name, columns) in [
        (
            "columnsPicked",
            vec![column("a", ColumnSource::Field("order_id".into())), column("b", ColumnSource::Constant(json!(1)))],
        ),
        ("columnsExpression", vec![column("a", expression("price * 1.1"))]),
        ("columnsHash", vec![column("a", ColumnSource::Hash { field: "order_id".into(), key: Some("key".into()) })]),
    ] {
        let spec = ShapeSpec { columns: Some(columns), ..ShapeSpec::default() };
        let shape = Shape::compile(&spec, batch.schema_ref()).unwrap();
        figures.insert(name.into(), rate(rows / 4, || drop(black_box(shape.apply(&batch).unwrap()))));
    }
    let json_schema =
        json!({"required": ["order_id"], "properties": {"status": {"enum": ["CANCELLED"]}, "price": {"minimum": 1}}});
    let spec = ShapeSpec { json_schema: Some(json_schema), ..ShapeSpec::default() };
    let shape = Shape::compile(&spec, batch.schema_ref()).unwrap();
    figures.insert("jsonSchema".into(), rate(rows / 4, || drop(black_box(shape.apply(&batch).unwrap()))));
    println!("{}", Value::Object(figures));
}
