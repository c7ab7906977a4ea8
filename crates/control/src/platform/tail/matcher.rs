//! Which records of a slab are wanted, and how they are shown.
//!
//! A condition runs as a dagger of its own would: the same planner, decoder and functions, so it means the same.

use super::{Shows, TailFilter};
use crate::error::ControlError;
use crate::records::{self, PartFormat, RecordFormat, ShownRecord};
use flow::{Engine, OnBadRecord, StreamSettings, TopicFormats};
use log::Slab;
use sql::{RowtimeField, SqlError, StreamTable};
use std::ops::Range;
use std::sync::Arc;

pub const CONDITION_BYTES_MAX: usize = 16 * 1024;
/// What the topic is called in a condition.
const TABLE: &str = "record";

pub(super) struct Matcher {
    format: RecordFormat,
    /// A query whose rows are the records for which the condition holds.
    condition: Option<Engine>,
    /// In lower case.
    text: Option<String>,
    shows: Shows,
}

/// What a slab had.
#[derive(Default)]
pub(super) struct Found {
    pub records: Vec<ShownRecord>,
    pub looked_at: u64,
    /// Records that the condition could not be asked of: they cannot be decoded, or it fails on their values.
    pub undecoded: u64,
    /// Bytes of keys and values of the records that were found.
    pub bytes: usize,
    /// Timestamps of the first and the last record that was looked at.
    pub times_ms: Option<(i64, i64)>,
}

impl Matcher {
    pub fn new(format: RecordFormat, filter: &TailFilter, shows: Shows) -> Result<Self, ControlError> {
        let condition = match (&filter.condition, &format.value) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(ControlError::invalid(
                    "where_needs_schema",
                    "the topic has no schema, so its records have no fields to ask for",
                )
                .with_hint("search for a text instead (`text`), or create the topic with a schema"));
            }
            (Some(condition), Some(value)) => Some(engine_of(condition, value)?),
        };
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        Ok(Self { format, condition, text, shows })
    }

    /// Looks at the records of a slab that lie within `offsets`, off the async threads.
    pub async fn look(mut self, slab: Slab, offsets: Range<i64>) -> Result<(Self, Found), ControlError> {
        if slab.is_empty() {
            return Ok((self, Found::default()));
        }
        tokio::task::spawn_blocking(move || {
            let found = self.look_now(&slab, offsets)?;
            Ok((self, found))
        })
        .await?
    }

    fn look_now(&mut self, slab: &Slab, offsets: Range<i64>) -> Result<Found, ControlError> {
        let first = slab.records.offsets.partition_point(|offset| *offset < offsets.start);
        let end = slab.records.offsets.partition_point(|offset| *offset < offsets.end);
        let mut found = Found { looked_at: (end - first) as u64, ..Found::default() };
        if first == end {
            return Ok(found);
        }
        found.times_ms = Some((slab.timestamp_ms(first), slab.timestamp_ms(end - 1)));
        let wanted: Vec<usize> = match &mut self.condition {
            None => (first..end).collect(),
            Some(engine) => {
                let (holds, undecoded) = where_it_holds(engine, slab)?;
                found.undecoded = undecoded;
                holds.into_iter().filter(|record| (first..end).contains(record)).collect()
            }
        };
        for record in wanted {
            let shown = records::show(slab, record, &self.format, self.shows.raw);
            if self.text.as_ref().is_none_or(|text| shown.json.to_string().to_lowercase().contains(text.as_str())) {
                found.bytes += slab.key(record).map_or(0, <[u8]>::len) + slab.value(record).map_or(0, <[u8]>::len);
                found.records.push(shown);
            }
        }
        Ok(found)
    }
}

/// The records of a slab for which the engine's query has a row, and how many it could not judge.
fn where_it_holds(engine: &mut Engine, slab: &Slab) -> Result<(Vec<usize>, u64), ControlError> {
    let (rows, refused) =
        engine.take(vec![(0, slab.clone())], 1).map_err(|error| ControlError::internal(error.to_string()))?;
    let offsets = rows.iter().filter_map(|rows| rows.origin.as_ref()).flat_map(|origin| &origin.offsets);
    let holds = offsets.filter_map(|offset| slab.records.offsets.binary_search(offset).ok()).collect();
    Ok((holds, refused.len() as u64))
}

fn engine_of(condition: &str, value: &PartFormat) -> Result<Engine, ControlError> {
    if condition.len() > CONDITION_BYTES_MAX {
        return Err(ControlError::too_large(
            "sql_too_long",
            format!("the condition has {} bytes, the limit is {CONDITION_BYTES_MAX}", condition.len()),
        ));
    }
    let message = &value.message;
    let table = StreamTable { table: TABLE.into(), message: message.clone(), rowtime: RowtimeField::Record };
    // On a line of its own, so that a place in the query is a place in the condition.
    let query = format!("SELECT 1 AS found FROM {TABLE} WHERE\n{condition}");
    let plan = sql::plan(&query, std::slice::from_ref(&table)).map_err(in_condition)?;
    if plan.branches.len() != 1 || !plan.windows.is_empty() {
        return Err(ControlError::invalid("sql_invalid", "line 1, column 1: more than a condition")
            .with_hint("write what would stand behind WHERE: status = 'COMPLETED' AND order.total > 10000")
            .at(1, 1));
    }
    let settings = StreamSettings {
        table: TABLE.into(),
        message: message.clone(),
        rowtime_path: None,
        delay_ms: 0,
        allowed_skew_ms: None,
        on_bad_record: OnBadRecord::DeadLetter,
        keep_late: true,
        formats: TopicFormats::new([(TABLE.to_owned(), value.wire.clone())]),
    };
    let internal = |error: flow::FlowError| ControlError::internal(error.to_string());
    let mut engine = Engine::new(Arc::new(plan)).map_err(internal)?;
    engine.add_lane(0, &Arc::new(settings), TABLE, 0, 0).map_err(internal)?;
    Ok(engine)
}

/// The place in the condition that somebody wrote, not in the query around it.
fn in_condition(error: SqlError) -> ControlError {
    SqlError { line: error.line.saturating_sub(1).max(1), ..error }.into()
}
