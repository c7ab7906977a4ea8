//! From a dagger's spec to what can run: the planned query, the settings of its streams, and what to warn about.
//!
//! Pure: it asks the schema set and the planner, and changes nothing. Everything that can be wrong with a dagger before it
//! runs is found here, so that `apply`, `preview`, `dagger run` and a restart say the same.

use crate::dagger_spec::{DaggerSpec, LatePolicy, OnBadRecord, StreamSpec};
use crate::error::ControlError;
use flow::{StreamSettings, TopicFormats};
use prost_reflect::MessageDescriptor;
use schema::SchemaSet;
use sql::{DaggerPlan, RowtimeField, SqlError, StreamTable};
use std::sync::Arc;
use std::time::Duration;

/// How far an event time may lie after its record's append before it is taken for a mistake. Clocks of phones and
/// servers are off by minutes; a time beyond this would hold every later record for late.
pub const FUTURE_SKEW_MAX: Duration = Duration::from_secs(10 * 60);

/// A dagger that has been checked and can run.
pub struct PlannedDagger {
    pub plan: Arc<DaggerPlan>,
    /// In the order of the spec's streams.
    pub streams: Vec<Arc<StreamSettings>>,
}

/// Whether event times are held against the time at which the log took the record. Files have no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FutureCheck {
    AppendTime,
    None,
}

/// Fills in what follows from the schemas and plans the query.
pub fn plan(spec: &mut DaggerSpec, schemas: &SchemaSet, future: FutureCheck) -> Result<PlannedDagger, ControlError> {
    spec.choose_timestamps(|name| Ok(schemas.message(name)?))?;
    let mut tables = Vec::with_capacity(spec.streams.len());
    let mut streams = Vec::with_capacity(spec.streams.len());
    for stream in &spec.streams {
        let settings = stream_settings(stream, schemas, future)?;
        tables.push(table(stream, settings.message.clone()));
        streams.push(Arc::new(settings));
    }
    let plan = sql::plan(&spec.sql, &tables)?;
    check_streams_are_read(spec, &plan)?;
    Ok(PlannedDagger { plan: Arc::new(plan), streams })
}

/// The stream as the planner sees it.
pub fn table(stream: &StreamSpec, message: MessageDescriptor) -> StreamTable {
    let rowtime = match &stream.timestamp {
        Some(path) => RowtimeField::Path(path.clone()),
        None => RowtimeField::Record,
    };
    StreamTable { table: stream.table.clone(), message, rowtime }
}

fn stream_settings(
    stream: &StreamSpec,
    schemas: &SchemaSet,
    future: FutureCheck,
) -> Result<StreamSettings, ControlError> {
    let Some(schema) = &stream.schema else {
        return Err(ControlError::invalid("dagger_invalid", format!("the stream `{}` has no `schema`", stream.table))
            .with_hint("name the message type of its records: `schema: my.package.Booking`"));
    };
    let message = schemas.message(schema)?;
    if let Some(path) = &stream.timestamp {
        check_timestamp(&message, path, &stream.table)?;
    }
    Ok(StreamSettings {
        table: stream.table.clone(),
        message,
        rowtime_path: stream.timestamp.as_ref().map(|path| path.split('.').map(str::to_owned).collect()),
        delay_ms: millis(stream.watermark.delay),
        allowed_skew_ms: match future {
            FutureCheck::AppendTime => Some(millis(FUTURE_SKEW_MAX)),
            FutureCheck::None => None,
        },
        on_bad_record: match stream.on_bad_record {
            OnBadRecord::DeadLetter => flow::OnBadRecord::DeadLetter,
            OnBadRecord::Skip => flow::OnBadRecord::Skip,
            OnBadRecord::Fail => flow::OnBadRecord::Fail,
        },
        keep_late: stream.late == LatePolicy::Keep,
        formats: TopicFormats::default(),
    })
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The event time is a `google.protobuf.Timestamp`, or a 64-bit integer of milliseconds.
fn check_timestamp(message: &prost_reflect::MessageDescriptor, path: &str, table: &str) -> Result<(), ControlError> {
    use prost_reflect::Kind;
    let refused = |detail: String| {
        ControlError::invalid("timestamp_invalid", format!("the event time of the stream `{table}`: {detail}"))
    };
    let mut current = message.clone();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(field) = current.get_field_by_name(part) else {
            let names: Vec<String> = current.fields().map(|field| field.name().to_owned()).collect();
            let hint = match crate::error::nearest(part, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`? Write `record` for the record's own timestamp"),
                None => {
                    "name a field of the type google.protobuf.Timestamp, or `record` for the record's own timestamp"
                        .to_owned()
                }
            };
            return Err(refused(format!("{} has no field `{part}`", current.full_name())).with_hint(hint));
        };
        if field.is_list() || field.is_map() {
            return Err(refused(format!("`{path}` is repeated, so it is not one time")));
        }
        match (field.kind(), parts.peek().is_some()) {
            (Kind::Message(inner), true) => current = inner,
            (Kind::Message(inner), false) if inner.full_name() == "google.protobuf.Timestamp" => return Ok(()),
            (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, false) => return Ok(()),
            _ => {
                return Err(refused(format!(
                    "`{path}` is neither a google.protobuf.Timestamp nor an int64 of milliseconds"
                ))
                .with_hint("write `record` for the record's own timestamp"));
            }
        }
    }
    Ok(())
}

/// A stream that no part of the query reads is most likely a slip.
fn check_streams_are_read(spec: &DaggerSpec, plan: &DaggerPlan) -> Result<(), ControlError> {
    let unread = (0..spec.streams.len()).find(|index| plan.sources.iter().all(|source| source.stream != *index));
    match unread {
        None => Ok(()),
        Some(index) => Err(ControlError::invalid(
            "dagger_invalid",
            format!("the query does not read the table `{}`", spec.streams[index].table),
        )
        .with_hint("remove the stream, or name its table in the query")),
    }
}

impl From<SqlError> for ControlError {
    fn from(error: SqlError) -> Self {
        let detail = format!("line {}, column {}: {}", error.line, error.column, error.message);
        ControlError::invalid("sql_invalid", detail).maybe_hint(error.hint).at(error.line, error.column)
    }
}
