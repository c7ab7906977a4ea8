//! Which column of a result is the time, which are tags, and which are fields.

use crate::error::{ControlError, nearest};
use arrow::datatypes::{DataType, Field, Schema};
use series::PointLayout;
use std::sync::Arc;

/// Columns whose value is the point's time, the first that is there.
const TIME_COLUMNS: [&str; 2] = ["window_timestamp", "rowtime"];
const TAG_PREFIX: &str = "tag_";
const LABEL_PREFIX: &str = "label_";

/// Whether a row of the result stands for a record, whose partition and offset then tell its point from the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesOrigin {
    /// A group of a window.
    Window,
    /// One record: the tags `_partition` and `_offset` are added, and `_topic` when there are several.
    Record,
}

#[derive(Debug, Clone)]
pub struct SeriesConfig {
    pub measurement: String,
    pub layout: PointLayout,
    pub origin: SeriesOrigin,
}

impl SeriesConfig {
    /// `key_columns` are the columns of the result that the query groups by, besides the window; `None` when it does not
    /// group. Equal tags and equal time overwrite, so every one of them must be a tag. `topics` is how many topics the
    /// dagger reads.
    pub fn new(
        measurement: &str,
        schema: &Schema,
        key_columns: Option<&[usize]>,
        topics: usize,
    ) -> Result<Self, ControlError> {
        let time = find_time(schema)?;
        let mut layout = PointLayout { time, tags: Vec::new(), fields: Vec::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            if index == time {
                continue;
            }
            match tag_name(field.name()) {
                Some(name) => layout.tags.push((index, name.to_owned())),
                None if key_columns.is_some_and(|keys| keys.contains(&index)) => return Err(key_is_no_tag(field)),
                None => layout.fields.push((index, field.name().clone())),
            }
        }
        if layout.fields.is_empty() {
            return Err(refused("no column is a field: a point has at least one value besides its time and its tags")
                .with_hint("select a value as well, for example `count(1) AS num_of_bookings`"));
        }
        check_names(&layout)?;
        let origin = match key_columns {
            Some(_) => SeriesOrigin::Window,
            None => {
                let columns = schema.fields().len();
                layout.tags.push((columns, "_partition".to_owned()));
                layout.tags.push((columns + 1, "_offset".to_owned()));
                if topics > 1 {
                    layout.tags.push((columns + 2, "_topic".to_owned()));
                }
                SeriesOrigin::Record
            }
        };
        Ok(Self { measurement: measurement.to_owned(), layout, origin })
    }

    /// The columns of a batch as they are written: those of the result, and for records where they came from.
    pub fn written_schema(&self, schema: &Schema) -> Schema {
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        if self.origin == SeriesOrigin::Record {
            fields.push(Arc::new(Field::new("_partition", DataType::UInt32, false)));
            fields.push(Arc::new(Field::new("_offset", DataType::Int64, false)));
            fields.push(Arc::new(Field::new("_topic", DataType::Utf8, false)));
        }
        Schema::new(fields)
    }
}

fn tag_name(column: &str) -> Option<&str> {
    if column.len() > TAG_PREFIX.len() && column.starts_with(TAG_PREFIX) {
        return Some(column);
    }
    column.strip_prefix(LABEL_PREFIX).filter(|name| !name.is_empty())
}

fn find_time(schema: &Schema) -> Result<usize, ControlError> {
    let found = TIME_COLUMNS.iter().find_map(|name| schema.index_of(name).ok());
    let Some(index) = found else {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let hint = match nearest(TIME_COLUMNS[0], names) {
            Some(near) => format!("name the column `{near}` `window_timestamp`"),
            None => "select for example `TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp`, or `rowtime`"
                .to_owned(),
        };
        return Err(refused("the result has no column `window_timestamp` or `rowtime`, which is the point's time")
            .with_hint(hint));
    };
    let field = schema.field(index);
    match field.data_type() {
        DataType::Timestamp(..) => Ok(index),
        other => Err(refused(format!("the column `{}` is the point's time, but has the type {other}", field.name()))
            .with_hint("select a timestamp under this name")),
    }
}

fn key_is_no_tag(field: &Field) -> ControlError {
    let name = field.name();
    refused(format!("the query groups by `{name}`, which is no tag, so that its groups would overwrite each other"))
        .with_hint(format!("name the column `tag_{name}` or `label_{name}`"))
}

/// `label_x` and `x` would be two columns of one name.
fn check_names(layout: &PointLayout) -> Result<(), ControlError> {
    let names: Vec<&str> = layout.tags.iter().chain(&layout.fields).map(|(_, name)| name.as_str()).collect();
    for (index, name) in names.iter().enumerate() {
        if *name == "time" {
            return Err(refused("a column would be stored as `time`, which is the name of the point's time")
                .with_hint("name it differently"));
        }
        if names[..index].contains(name) {
            return Err(
                refused(format!("two columns would be stored as `{name}`")).with_hint("name one of them differently")
            );
        }
    }
    Ok(())
}

fn refused(detail: impl Into<String>) -> ControlError {
    ControlError::invalid("series_sink_refused", format!("the sink `series` cannot take this query: {}", detail.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| {
            let is_time = TIME_COLUMNS.contains(name);
            let data_type = if is_time { DataType::Timestamp(TimeUnit::Millisecond, None) } else { DataType::Int64 };
            Field::new(*name, data_type, true)
        };
        Schema::new(names.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn names_say_what_a_column_is() {
        let schema = schema(&["tag_city", "label_s2id", "n", "window_timestamp"]);
        let config = SeriesConfig::new("m", &schema, Some(&[0, 1]), 1).unwrap();
        assert_eq!(
            config.layout,
            PointLayout {
                time: 3,
                tags: vec![(0, "tag_city".to_owned()), (1, "s2id".to_owned())],
                fields: vec![(2, "n".to_owned())],
            }
        );
        assert_eq!(config.written_schema(&schema).fields().len(), 4);
    }

    #[test]
    fn a_projection_keeps_its_records_apart() {
        let schema = schema(&["rowtime", "n"]);
        let config = SeriesConfig::new("m", &schema, None, 1).unwrap();
        assert_eq!(config.layout.tags, [(2, "_partition".to_owned()), (3, "_offset".to_owned())]);
        assert_eq!(config.written_schema(&schema).field(3).name(), "_offset");
    }

    #[test]
    fn what_would_lose_rows_is_refused() {
        for (names, keys, detail) in [
            (&["tag_a", "n"][..], Some(&[0][..]), "no column `window_timestamp`"),
            (&["city", "n", "window_timestamp"], Some(&[0]), "groups by `city`"),
            (&["tag_a", "window_timestamp"], Some(&[0]), "no column is a field"),
            (&["label_n", "n", "window_timestamp"], Some(&[0]), "two columns would be stored as `n`"),
            (&["time", "window_timestamp"], Some(&[]), "stored as `time`"),
        ] {
            let error = SeriesConfig::new("m", &schema(names), keys, 1).unwrap_err();
            assert!(error.detail.contains(detail), "{names:?}: {error}");
            assert!(error.hint.is_some());
        }
    }
}
