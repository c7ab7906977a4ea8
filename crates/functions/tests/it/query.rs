//! Runs SQL text with the functions registered and shows the result as text: the one place that touches
//! DataFusion's session.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{SessionConfig, SessionContext};

/// The table `t`: four rows, the last one all NULL, and every type of text and number.
fn table() -> RecordBatch {
    let words = [Some("alpha"), Some("beta"), Some("alpha"), None];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), None]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(1), Some(2), Some(3), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(-2.0), Some(f64::NAN), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(1.5), Some(-2.0), Some(0.0), None]))),
        ("s", Arc::new(StringArray::from(words.to_vec()))),
        ("large", Arc::new(LargeStringArray::from(words.to_vec()))),
        ("view", Arc::new(StringViewArray::from(words.to_vec()))),
        ("dict", Arc::new(dictionary)),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"hi"), Some(b"\xff!"), Some(b""), None]))),
        ("lat", Arc::new(Float64Array::from(vec![Some(-6.17), Some(f64::NAN), Some(91.0), None]))),
        ("lon", Arc::new(Float64Array::from(vec![Some(106.82), Some(1.0), Some(1.0), Some(1.0)]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(1_726_376_400_123), Some(0), Some(-1), None]))),
        ("us", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_726_376_400_123_000), Some(0), Some(0), None]))),
        (
            "json",
            Arc::new(StringArray::from(vec![Some(r#"{"a":{"b":[1,2]},"c":"x"}"#), Some("[1]"), Some("{}"), None])),
        ),
        ("path", Arc::new(StringArray::from(vec![Some("$.a.b"), Some("$[0]"), Some("$.a"), Some("$")]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

pub fn session() -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for function in functions::scalar_functions() {
        context.register_udf(function.as_ref().clone());
    }
    for function in functions::table_functions() {
        context.register_udf(function.function.as_ref().clone());
    }
    for function in functions::aggregate_functions() {
        context.register_udaf(function.as_ref().clone());
    }
    context.register_batch("t", table()).unwrap();
    context
}

/// The rows of a result, columns with `|` between, NULL as `NULL`; or the error's text.
pub fn run(sql: &str) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let frame = session().sql(sql).await.map_err(|error| error.to_string())?;
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        let options = FormatOptions::new().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<ArrayFormatter> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(cells.join("|"));
            }
        }
        Ok(rows)
    })
}

/// Checks expressions of literals.
pub fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let result = run(&format!("SELECT {expression}"));
        assert_eq!(result, Ok(vec![(*expected).to_owned()]), "{expression}");
    }
}

/// Checks an expression over the four rows of `t`.
pub fn check_rows(cases: &[(&str, [&str; 4])]) {
    for (expression, expected) in cases {
        let result = run(&format!("SELECT {expression} FROM t"));
        assert_eq!(result, Ok(expected.map(str::to_owned).to_vec()), "{expression}");
    }
}

/// Checks that a query fails with a message that holds all the parts.
pub fn check_errors(cases: &[(&str, &[&str])]) {
    for (expression, parts) in cases {
        let error = run(&format!("SELECT {expression} FROM t")).expect_err(expression);
        for part in *parts {
            assert!(error.contains(part), "{expression}: '{part}' is not in: {error}");
        }
    }
}
