//! Which column of a result is the time of a point, which are its tags, and which its fields: the rule that every sink of
//! points follows.

use crate::dagger_spec::DaggerSpec;
use crate::error::{ControlError, nearest};
use arrow::datatypes::{DataType, Field, Schema};
use sql::{BranchTarget, DaggerPlan, Step};

/// Columns whose value is the point's time, the first that is there.
pub(super) const TIME_COLUMNS: [&str; 2] = ["window_timestamp", "rowtime"];
const TAG_PREFIX: &str = "tag_";
const LABEL_PREFIX: &str = "label_";

/// Columns by their index, tags and fields with the names that they are written under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointColumns {
    pub time: usize,
    pub tags: Vec<(usize, String)>,
    pub fields: Vec<(usize, String)>,
}

/// What tells points of records apart, where a row stands for a record, besides partition and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMarks {
    /// How many topics the dagger reads.
    pub topics: usize,
    pub rows: RowsOfRecord,
}

/// How many rows the query can make of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsOfRecord {
    One,
    Several,
}

impl RecordMarks {
    pub fn of(spec: &DaggerSpec, plan: &DaggerPlan) -> Self {
        let mut branches = plan.branches.iter().filter(|branch| matches!(branch.target, BranchTarget::Rows { .. }));
        let is_several = branches.clone().count() > 1
            || branches.any(|branch| branch.steps.iter().any(|step| matches!(step, Step::Unnest { .. })));
        Self {
            topics: spec.streams.iter().map(|stream| stream.topics.len()).sum(),
            rows: if is_several { RowsOfRecord::Several } else { RowsOfRecord::One },
        }
    }
}

/// The sink that the columns are for, in errors.
#[derive(Debug, Clone, Copy)]
pub struct ForSink<'a> {
    /// `series`
    pub kind: &'a str,
    pub code: &'static str,
    /// Columns that are tags besides those that their name says so of.
    pub tags: &'a [String],
}

impl PointColumns {
    /// `key_columns` are the columns of the result that the query groups by, besides the window; `None` when it does not
    /// group. Equal tags and equal time overwrite, so every one of them must be a tag.
    pub fn new(sink: ForSink<'_>, schema: &Schema, key_columns: Option<&[usize]>) -> Result<Self, ControlError> {
        let time = sink.find_time(schema)?;
        if let Some(missing) = sink.tags.iter().find(|tag| schema.index_of(tag).is_err()) {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let near = nearest(missing, names).map(|near| format!("did you mean `{near}`?"));
            return Err(sink
                .refused(format!("`tags` names `{missing}`, which is no column of the result"))
                .maybe_hint(near));
        }
        let mut columns = PointColumns { time, tags: Vec::new(), fields: Vec::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            if index == time {
                continue;
            }
            match sink.tag_name(field.name()) {
                Some(name) => columns.tags.push((index, name.to_owned())),
                None if key_columns.is_some_and(|keys| keys.contains(&index)) => return Err(sink.key_is_no_tag(field)),
                None => columns.fields.push((index, field.name().clone())),
            }
        }
        if columns.fields.is_empty() {
            return Err(sink
                .refused("no column is a field: a point has at least one value besides its time and its tags")
                .with_hint("select a value as well, for example `count(1) AS num_of_bookings`"));
        }
        columns.check_names(sink)?;
        Ok(columns)
    }

    /// Refuses columns that are named like the tags that points of records get.
    pub fn check_added(&self, sink: ForSink<'_>, added: &[&str]) -> Result<(), ControlError> {
        let mut names = self.tags.iter().chain(&self.fields).map(|(_, name)| name.as_str());
        names.find(|name| added.contains(name)).map_or(Ok(()), |name| {
            Err(sink
                .refused(format!("`{name}` is the name of a tag that points of records get by themselves"))
                .with_hint("leave the column out, or name it differently"))
        })
    }

    /// `label_x` and `x` would be two columns of one name.
    fn check_names(&self, sink: ForSink<'_>) -> Result<(), ControlError> {
        let names: Vec<&str> = self.tags.iter().chain(&self.fields).map(|(_, name)| name.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            if *name == "time" {
                return Err(sink
                    .refused("a column would be stored as `time`, which is the name of the point's time")
                    .with_hint("name it differently"));
            }
            if names[..index].contains(name) {
                return Err(sink
                    .refused(format!("two columns would be stored as `{name}`"))
                    .with_hint("name one of them differently"));
            }
        }
        Ok(())
    }
}

impl ForSink<'_> {
    pub fn refused(&self, detail: impl Into<String>) -> ControlError {
        let detail = format!("the sink `{}` cannot take this query: {}", self.kind, detail.into());
        ControlError::invalid(self.code, detail)
    }

    fn tag_name<'n>(&self, column: &'n str) -> Option<&'n str> {
        if column.len() > TAG_PREFIX.len() && column.starts_with(TAG_PREFIX)
            || self.tags.iter().any(|tag| tag == column)
        {
            return Some(column);
        }
        column.strip_prefix(LABEL_PREFIX).filter(|name| !name.is_empty())
    }

    fn find_time(&self, schema: &Schema) -> Result<usize, ControlError> {
        let found = TIME_COLUMNS.iter().find_map(|name| schema.index_of(name).ok());
        let Some(index) = found else {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let hint = match nearest(TIME_COLUMNS[0], names) {
                Some(near) => format!("name the column `{near}` `window_timestamp`"),
                None => {
                    "select for example `TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp`, or `rowtime`"
                        .to_owned()
                }
            };
            return Err(self
                .refused("the result has no column `window_timestamp` or `rowtime`, which is the point's time")
                .with_hint(hint));
        };
        let field = schema.field(index);
        match field.data_type() {
            DataType::Timestamp(..) => Ok(index),
            other => Err(self
                .refused(format!("the column `{}` is the point's time, but has the type {other}", field.name()))
                .with_hint("select a timestamp under this name")),
        }
    }

    fn key_is_no_tag(&self, field: &Field) -> ControlError {
        let name = field.name();
        self.refused(format!(
            "the query groups by `{name}`, which is no tag, so that its groups would overwrite each other"
        ))
        .with_hint(format!("name the column `tag_{name}` or `label_{name}`"))
    }
}
