//! Which column of a query's result is the time of a point, which are its tags, and which its fields.

use crate::dagger_spec::DaggerSpec;
use crate::error::ControlError;
use ::sinks::{LayoutError, PointLayout, PointRule};
use arrow::datatypes::Schema;
use sql::{BranchTarget, DaggerPlan, Step};

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

impl ForSink<'_> {
    /// `key_columns` are the columns of the result that the query groups by, besides the window; `None` when it does not
    /// group. Points of records get the tags `added`, which no column may be named like.
    pub fn layout(
        &self,
        schema: &Schema,
        key_columns: Option<&[usize]>,
        added: &[&str],
    ) -> Result<PointLayout, ControlError> {
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let rule = PointRule { tags: &tags, key_columns, ..PointRule::default() };
        let layout = PointLayout::of(schema, &rule).map_err(|error| self.cannot(error))?;
        if key_columns.is_none() {
            layout.check_added(added).map_err(|error| self.cannot(error))?;
        }
        Ok(layout)
    }

    pub fn refused(&self, detail: impl Into<String>) -> ControlError {
        let detail = format!("the sink `{}` cannot take this query: {}", self.kind, detail.into());
        ControlError::invalid(self.code, detail)
    }

    fn cannot(&self, error: LayoutError) -> ControlError {
        self.refused(error.detail).with_hint(error.hint)
    }
}
