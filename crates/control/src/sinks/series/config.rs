//! Which column of a result is the time, which are tags, and which are fields.

use crate::error::ControlError;
use crate::sinks::point_columns::{ForSink, RecordMarks, RowsOfRecord};
use arrow::datatypes::{DataType, Field, Schema};
use series::PointLayout;
use std::sync::Arc;

const SINK: ForSink<'static> = ForSink { kind: "series", code: "series_sink_refused", tags: &[] };

/// Whether a row of the result stands for a record, whose partition and offset then tell its point from the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesOrigin {
    /// A group of a window.
    Window,
    /// One record: the tags `_partition` and `_offset` are added, `_topic` when there are several, and `_row` for the second
    /// and later rows of one record.
    Record(RowsOfRecord),
}

#[derive(Debug, Clone)]
pub struct SeriesConfig {
    pub measurement: String,
    pub layout: PointLayout,
    pub origin: SeriesOrigin,
}

impl SeriesConfig {
    /// `key_columns` are the columns of the result that the query groups by, besides the window; `None` when it does not
    /// group. Equal tags and equal time overwrite, so every one of them must be a tag.
    pub fn new(
        measurement: &str,
        schema: &Schema,
        key_columns: Option<&[usize]>,
        marks: RecordMarks,
    ) -> Result<Self, ControlError> {
        let columns = SINK.layout(schema, key_columns, &["_partition", "_offset", "_topic", "_row"])?;
        let mut layout = PointLayout { time: columns.time, tags: columns.tags, fields: columns.fields };
        let origin = match key_columns {
            Some(_) => SeriesOrigin::Window,
            None => {
                let columns = schema.fields().len();
                layout.tags.push((columns, "_partition".to_owned()));
                layout.tags.push((columns + 1, "_offset".to_owned()));
                if marks.topics > 1 {
                    layout.tags.push((columns + 2, "_topic".to_owned()));
                }
                if marks.rows == RowsOfRecord::Several {
                    layout.tags.push((columns + 3, "_row".to_owned()));
                }
                SeriesOrigin::Record(marks.rows)
            }
        };
        Ok(Self { measurement: measurement.to_owned(), layout, origin })
    }

    /// The columns of a batch as they are written: those of the result, and for records where they came from.
    pub fn written_schema(&self, schema: &Schema) -> Schema {
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        if let SeriesOrigin::Record(rows) = self.origin {
            fields.push(Arc::new(Field::new("_partition", DataType::UInt32, false)));
            fields.push(Arc::new(Field::new("_offset", DataType::Int64, false)));
            fields.push(Arc::new(Field::new("_topic", DataType::Utf8, false)));
            if rows == RowsOfRecord::Several {
                fields.push(Arc::new(Field::new("_row", DataType::Utf8, true)));
            }
        }
        Schema::new(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::sinks::TIME_COLUMNS;
    use arrow::datatypes::TimeUnit;

    const ONE: RecordMarks = RecordMarks { topics: 1, rows: RowsOfRecord::One };

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
        let config = SeriesConfig::new("m", &schema, Some(&[0, 1]), ONE).unwrap();
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
        let config = SeriesConfig::new("m", &schema, None, ONE).unwrap();
        assert_eq!(config.layout.tags, [(2, "_partition".to_owned()), (3, "_offset".to_owned())]);
        assert_eq!(config.written_schema(&schema).field(3).name(), "_offset");
        let marks = RecordMarks { rows: RowsOfRecord::Several, ..ONE };
        let config = SeriesConfig::new("m", &schema, None, marks).unwrap();
        assert_eq!(config.layout.tags.last(), Some(&(5, "_row".to_owned())));
        assert_eq!(config.written_schema(&schema).field(5).name(), "_row");
    }

    #[test]
    fn what_would_lose_rows_is_refused() {
        for (names, keys, detail) in [
            (&["tag_a", "n"][..], Some(&[0][..]), "no column `window_timestamp`"),
            (&["city", "n", "window_timestamp"], Some(&[0]), "groups by `city`"),
            (&["tag_a", "window_timestamp"], Some(&[0]), "no column is a field"),
            (&["label_n", "n", "window_timestamp"], Some(&[0]), "two columns would be stored as `n`"),
            (&["time", "window_timestamp"], Some(&[]), "stored as `time`"),
            (&["_offset", "rowtime"], None, "`_offset` is the name of a tag"),
        ] {
            let error = SeriesConfig::new("m", &schema(names), keys, ONE).unwrap_err();
            assert!(error.detail.contains(detail), "{names:?}: {error}");
            assert!(error.hint.is_some());
        }
    }
}
