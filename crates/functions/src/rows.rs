//! Functions that make rows, for `LATERAL TABLE(...)`: `HistogramBucket` and `OutlierMad`.
//! As scalar functions they return a list of rows.

mod outlier;

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;

use crate::scalar::{Call, Definition, Evaluation, Kind, LastCompiled};
use crate::{FunctionDoc, FunctionKind};

/// A definition and the names of its output columns.
pub(crate) static ROW_FUNCTIONS: &[(&Definition, &[&str])] = &[
    (&HISTOGRAM_BUCKET, &["bucket"]),
    (&outlier::OUTLIER_MAD, &["timestamp", "value", "upper", "lower", "is_outlier"]),
];

static HISTOGRAM_BUCKET: Definition = Definition {
    doc: FunctionDoc {
        name: "HistogramBucket",
        kind: FunctionKind::Table,
        signature: "HistogramBucket(value DOUBLE, buckets STRING) -> rows of (bucket STRING)",
        description: "The cumulative buckets of a histogram that a value falls into: '+Inf', and every bound (numbers with commas between) that the value does not exceed, as it is written. NULL gives no row, NaN only '+Inf'.",
        example: "SELECT bucket, COUNT(*) FROM t, LATERAL TABLE(HistogramBucket(latency, '10,100,1000')) AS h(bucket) GROUP BY bucket",
    },
    aliases: &[],
    parameters: &[("value", Kind::Number), ("buckets", Kind::Text)],
    optional: 0,
    returns: |_, _| Ok(DataType::new_list(DataType::Struct(bucket_fields()), true)),
    evaluation: Evaluation::Columns(histogram_bucket),
};

fn bucket_fields() -> Fields {
    Fields::from(vec![Field::new("bucket", DataType::Utf8, true)])
}

fn histogram_bucket(call: &Call) -> Result<ArrayRef> {
    let (values, bounds) = (call.numbers(0)?, call.texts(1)?);
    let mut compiled = LastCompiled::new();
    let mut buckets = StringBuilder::new();
    let (mut lengths, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let (Some(value), Some(bounds)) = (values.get(row), bounds.get(row)) else {
            lengths.push(0);
            valid.push(false);
            continue;
        };
        let bounds = compiled.get(bounds, |text| parse_bounds(call, text))?;
        buckets.append_value("+Inf");
        let mut length = 1;
        for (_, text) in bounds.iter().filter(|(bound, _)| value <= *bound) {
            buckets.append_value(text);
            length += 1;
        }
        lengths.push(length);
        valid.push(true);
    }
    list_of_rows(bucket_fields(), vec![Arc::new(buckets.finish())], lengths, valid)
}

fn parse_bounds(call: &Call, text: &str) -> Result<Vec<(f64, String)>> {
    /// Bounds of one histogram.
    const BUCKETS_MAX: usize = 1000;
    let refuse = |allowed: &str| call.refuse("buckets", format!("'{text}'"), allowed);
    let bounds: Vec<(f64, String)> = text
        .split(',')
        .map(|bound| bound.trim().parse().map(|number| (number, bound.to_owned())))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| refuse("numbers with commas between, such as '10,100,1000'"))?;
    if bounds.len() > BUCKETS_MAX {
        return Err(refuse(&format!("at most {BUCKETS_MAX} bounds")));
    }
    Ok(bounds)
}

/// A column of lists of rows from the rows' columns, one after the other.
fn list_of_rows(fields: Fields, columns: Vec<ArrayRef>, lengths: Vec<usize>, valid: Vec<bool>) -> Result<ArrayRef> {
    let rows = StructArray::try_new(fields, columns, None)?;
    let field = Arc::new(Field::new_list_field(DataType::Struct(rows.fields().clone()), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(rows), Some(NullBuffer::from(valid)))?))
}
