//! Event time of a batch, and the watermark of a lane.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType};

use crate::FlowError;

/// Event times of a batch in milliseconds; `None` where there is none.
pub(crate) enum EventTimes {
    All(Vec<i64>),
    Some(Vec<Option<i64>>),
}

/// Reads the event time along a path such as `["meta", "event_timestamp"]`.
pub(crate) fn read(batch: &RecordBatch, table: &str, path: &[String]) -> Result<EventTimes, FlowError> {
    let wrong = |found: String| FlowError::RowtimeType { table: table.into(), path: path.join("."), found };
    let mut column: Option<ArrayRef> = None;
    let mut nested_nulls = None;
    for part in path {
        let next = match &column {
            None => batch.column_by_name(part).cloned(),
            Some(parent) => {
                if let Some(nulls) = parent.nulls() {
                    nested_nulls = arrow::buffer::NullBuffer::union(nested_nulls.as_ref(), Some(nulls));
                }
                parent.as_struct_opt().and_then(|parent| parent.column_by_name(part)).cloned()
            }
        };
        column = Some(next.ok_or_else(|| wrong("missing".into()))?);
    }
    let column = column.ok_or_else(|| wrong("missing".into()))?;
    let nulls = arrow::buffer::NullBuffer::union(nested_nulls.as_ref(), column.nulls());
    let millis: Vec<i64> = match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().values().iter().map(|us| us.div_euclid(1_000)).collect()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().values().to_vec()
        }
        DataType::Int64 => column.as_primitive::<Int64Type>().values().to_vec(),
        DataType::Int32 => column.as_primitive::<Int32Type>().values().iter().map(|ms| i64::from(*ms)).collect(),
        other => return Err(wrong(other.to_string())),
    };
    Ok(match nulls {
        Some(nulls) if nulls.null_count() > 0 => EventTimes::Some(
            millis.into_iter().enumerate().map(|(row, ms)| nulls.is_valid(row).then_some(ms)).collect(),
        ),
        _ => EventTimes::All(millis),
    })
}

/// The watermark of one partition: the greatest event time seen, less the delay. It only moves forward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watermark {
    pub greatest_ms: i64,
    pub delay_ms: i64,
}

impl Watermark {
    pub(crate) fn new(delay_ms: i64) -> Self {
        Watermark { greatest_ms: i64::MIN, delay_ms }
    }

    pub(crate) fn value(&self) -> i64 {
        if self.greatest_ms == i64::MIN { i64::MIN } else { self.greatest_ms.saturating_sub(self.delay_ms) }
    }

    /// Takes the times of a batch. Returns the watermark at each row, or `None` when no row can be late.
    pub(crate) fn advance(&mut self, times: &[i64], closed_up_to: i64) -> Option<Vec<i64>> {
        let (mut least, mut greatest) = (i64::MAX, self.greatest_ms);
        for time in times {
            least = least.min(*time);
            greatest = greatest.max(*time);
        }
        let before = self.greatest_ms;
        self.greatest_ms = greatest;
        // A window that holds a row ends after the row's time, so a watermark at or before the earliest row closes none.
        if self.value().max(closed_up_to) <= least {
            return None;
        }
        let mut running = Watermark { greatest_ms: before, delay_ms: self.delay_ms };
        Some(
            times
                .iter()
                .map(|time| {
                    running.greatest_ms = running.greatest_ms.max(*time);
                    running.value()
                })
                .collect(),
        )
    }
}
