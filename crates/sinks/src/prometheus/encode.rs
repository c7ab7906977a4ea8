//! Rows as the series of a remote write request, a column at a time. A record is all series of its row:
//!
//! ```proto
//! message WriteRequest { repeated TimeSeries timeseries = 1; }
//! message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
//! message Label { string name = 1; string value = 2; }
//! message Sample { double value = 1; int64 timestamp = 2; }  // milliseconds
//! ```

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatchBuilder;
use prost::encoding::encode_varint;

use crate::line_protocol::{check_numbers, texts};
use crate::{Encoded, LayoutError, PointLayout, RowEncoder, RowOrigin};

/// Keys of the fields above: number and wire type.
const SERIES: u64 = 1 << 3 | 2;
const LABELS: u64 = 1 << 3 | 2;
const SAMPLES: u64 = 2 << 3 | 2;
const NAME: u64 = 1 << 3 | 2;
const VALUE: u64 = 2 << 3 | 2;
const SAMPLE_VALUE: u64 = 1 << 3 | 1;
const SAMPLE_TIME: u64 = 2 << 3;

const METRIC_NAME: &str = "__name__";

/// Encodes the rows of one query, each of which is a group of a window.
#[derive(Clone, Debug)]
pub struct SampleEncoder {
    time: usize,
    /// In the order in which a receiver wants labels.
    labels: Vec<Label>,
    /// Column, and the label that is the metric's name.
    fields: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Label {
    MetricName,
    Tag { column: usize, name: String },
}

impl Label {
    fn name(&self) -> &str {
        match self {
            Self::MetricName => METRIC_NAME,
            Self::Tag { name, .. } => name,
        }
    }
}

impl SampleEncoder {
    pub fn new(measurement: &str, layout: PointLayout, schema: &SchemaRef) -> Result<Self, LayoutError> {
        let kinds = layout.kinds(schema)?;
        layout.check_tags(schema)?;
        layout.precision(schema)?;
        check_numbers(&layout, &kinds, schema)?;
        let mut labels = vec![Label::MetricName];
        for (column, name) in layout.tags {
            if !is_label(&name) || name.starts_with("__") {
                return Err(bad_name(
                    "the label",
                    &name,
                    "letters, digits and `_`, and do not begin with a digit or `__`",
                ));
            }
            labels.push(Label::Tag { column, name });
        }
        labels.sort_by(|one, other| one.name().cmp(other.name()));
        let mut fields = Vec::with_capacity(layout.fields.len());
        for (column, field) in layout.fields {
            let metric = format!("{measurement}_{field}");
            if !is_metric(&metric) {
                return Err(bad_name(
                    "the metric",
                    &metric,
                    "letters, digits, `_` and `:`, and do not begin with a digit",
                ));
            }
            let mut label = Vec::new();
            put_label(&mut label, METRIC_NAME, &metric);
            fields.push((column, label));
        }
        Ok(Self { time: layout.time, labels, fields })
    }
}

impl RowEncoder for SampleEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let millis = cast(batch.column(self.time), &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        let times = cast(&millis, &DataType::Int64)?;
        let times = times.as_primitive::<Int64Type>();
        let labels: Vec<Option<StringArray>> =
            self.labels.iter().map(|label| label.texts(batch)).collect::<Result<_, _>>()?;
        let fields: Vec<Float64Array> =
            self.fields.iter().map(|(column, _)| numbers(batch.column(*column))).collect::<Result<_, _>>()?;
        let (mut refused, mut rows) = (BTreeMap::new(), Vec::with_capacity(batch.num_rows()));
        for row in 0..batch.num_rows() {
            let reason = if times.is_null(row) {
                "the time is NULL"
            } else if fields.iter().all(|field| field.is_null(row)) {
                "every field is NULL, so there is nothing to write"
            } else {
                rows.push(row);
                continue;
            };
            refused.insert(row, reason.to_owned());
        }
        rows.sort_by_key(|row| times.value(*row));
        let mut records = EncodedBatchBuilder::with_capacity(rows.len(), rows.len() * self.fields.len() * 96);
        let mut series = Vec::new();
        for row in &rows {
            for ((_, metric), values) in self.fields.iter().zip(&fields).filter(|(_, values)| values.is_valid(*row)) {
                series.clear();
                for (label, texts) in self.labels.iter().zip(&labels) {
                    match texts {
                        None => series.extend_from_slice(metric),
                        // A label without a value is no label.
                        Some(texts) if texts.is_valid(*row) && !texts.value(*row).is_empty() => {
                            put_label(&mut series, label.name(), texts.value(*row));
                        }
                        Some(_) => {}
                    }
                }
                put_sample(&mut series, values.value(*row), times.value(*row));
                let message = records.bytes_mut();
                encode_varint(SERIES, message);
                put_bytes(message, &series);
            }
            records.end_record();
        }
        Ok(Encoded { records: records.finish(), rows, refused: refused.into_iter().collect() })
    }
}

impl Label {
    fn texts(&self, batch: &RecordBatch) -> Result<Option<StringArray>, ArrowError> {
        match self {
            Self::MetricName => Ok(None),
            Self::Tag { column, .. } => texts(batch.column(*column)).map(Some),
        }
    }
}

fn numbers(column: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn put_bytes(message: &mut Vec<u8>, bytes: &[u8]) {
    encode_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}

fn put_label(series: &mut Vec<u8>, name: &str, value: &str) {
    let mut label = Vec::with_capacity(name.len() + value.len() + 8);
    encode_varint(NAME, &mut label);
    put_bytes(&mut label, name.as_bytes());
    encode_varint(VALUE, &mut label);
    put_bytes(&mut label, value.as_bytes());
    encode_varint(LABELS, series);
    put_bytes(series, &label);
}

fn put_sample(series: &mut Vec<u8>, value: f64, time_ms: i64) {
    let mut sample = Vec::with_capacity(20);
    encode_varint(SAMPLE_VALUE, &mut sample);
    sample.extend_from_slice(&value.to_le_bytes());
    encode_varint(SAMPLE_TIME, &mut sample);
    encode_varint(time_ms as u64, &mut sample);
    encode_varint(SAMPLES, series);
    put_bytes(series, &sample);
}

fn is_label(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_part) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn is_metric(name: &str) -> bool {
    is_label(&name.replace(':', "_"))
}

fn bad_name(what: &str, name: &str, rule: &str) -> LayoutError {
    LayoutError {
        detail: format!("{what} would be named `{}`", name.escape_debug()),
        hint: format!("choose another name: names have {rule}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Int64Array, TimestampMillisecondArray};
    use prost::Message;
    use std::sync::Arc;

    #[derive(Clone, PartialEq, Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<LabelPair>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct LabelPair {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Sample {
        #[prost(double, tag = "1")]
        value: f64,
        #[prost(int64, tag = "2")]
        timestamp: i64,
    }

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("b", Arc::new(StringArray::from(vec![Some("two"), None, Some("")])) as ArrayRef, true),
            ("City", Arc::new(StringArray::from(vec!["x", "y", "z"])), true),
            ("n", Arc::new(Int64Array::from(vec![Some(7), Some(-1), None])), true),
            ("ok", Arc::new(BooleanArray::from(vec![Some(true), None, None])), true),
            ("t", Arc::new(TimestampMillisecondArray::from(vec![20, -10, 5])), true),
        ])
        .unwrap()
    }

    fn encoder(measurement: &str) -> Result<SampleEncoder, LayoutError> {
        let name = |column: usize, name: &str| (column, name.to_owned());
        let layout = PointLayout {
            time: 4,
            tags: vec![name(0, "b"), name(1, "City")],
            fields: vec![name(2, "n"), name(3, "ok")],
        };
        SampleEncoder::new(measurement, layout, &batch().schema())
    }

    #[test]
    fn rows_become_series_in_the_order_of_their_times() {
        let encoded = encoder("rides").unwrap().encode(&batch(), None).unwrap();
        assert_eq!((encoded.rows.as_slice(), encoded.refused.len()), (&[1, 0][..], 1));
        let shown = |bytes: &[u8]| {
            let series = WriteRequest::decode(bytes).unwrap().timeseries;
            let show = |series: &TimeSeries| {
                let labels: Vec<String> =
                    series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
                format!("{} {} {}", labels.join(","), series.samples[0].value, series.samples[0].timestamp)
            };
            series.iter().map(show).collect::<Vec<_>>()
        };
        assert_eq!(shown(encoded.records.record(0)), ["City=y,__name__=rides_n -1 -10"]);
        assert_eq!(
            shown(encoded.records.record(1)),
            ["City=x,__name__=rides_n,b=two 7 20", "City=x,__name__=rides_ok,b=two 1 20"]
        );
        // Records behind each other are one request.
        assert_eq!(shown(&encoded.records.bytes()).len(), 3);
    }

    #[test]
    fn names_that_prometheus_does_not_take_are_refused() {
        let error = encoder("rides per city").unwrap_err();
        assert!(error.detail.contains("`rides per city_n`") && error.hint.contains("letters, digits"), "{error}");
        assert!(encoder("2rides").is_err());
        assert!(encoder("rides:sum").is_ok());
    }
}
