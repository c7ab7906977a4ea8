//! Rows of around now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{Array, AsArray};
use arrow::datatypes::*;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Verdict;
use crate::path::FieldPath;
use crate::{ShapeError, TimeWindow};

#[derive(Debug)]
pub(super) struct Window {
    pub field: FieldPath,
    past: Duration,
    future: Duration,
}

impl Window {
    pub fn compile(window: &TimeWindow, input: &SchemaRef) -> Result<Self, ShapeError> {
        let place = "timeWindow.field";
        let field = FieldPath::resolve(&window.field, input)
            .map_err(|unknown| ShapeError::at(place, unknown.detail, unknown.hint))?;
        if !matches!(field.data_type, DataType::Timestamp(..)) {
            return Err(ShapeError::at(
                place,
                format!("`{}` is {}, and no timestamp", field.text(), field.data_type),
                "take a field of the type google.protobuf.Timestamp, or `_timestamp`",
            ));
        }
        Ok(Self { field, past: window.past, future: window.future })
    }

    pub fn judge(&self, batch: &RecordBatch, now: SystemTime, verdicts: &mut [Verdict]) -> Result<(), ArrowError> {
        let times = self.field.values(batch)?;
        let DataType::Timestamp(unit, _) = times.data_type() else { return Ok(()) };
        let (values, per_second) = match unit {
            TimeUnit::Second => (times.as_primitive::<TimestampSecondType>().values(), 1),
            TimeUnit::Millisecond => (times.as_primitive::<TimestampMillisecondType>().values(), 1_000),
            TimeUnit::Microsecond => (times.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000),
            TimeUnit::Nanosecond => (times.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000),
        };
        let now = match now.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        };
        let (from, to) = (now - nanos(self.past), now + nanos(self.future));
        for (row, (verdict, value)) in verdicts.iter_mut().zip(values.iter()).enumerate() {
            if times.is_null(row) {
                *verdict = Verdict::Failed(format!("it has no time: `{}` is NULL", self.field.text()));
            } else if !(from..=to).contains(&(i128::from(*value) * (1_000_000_000 / per_second))) {
                *verdict = Verdict::Filtered;
            }
        }
        Ok(())
    }
}

/// At most 2^64 seconds, which is far from what an i128 holds.
fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 4)
}
