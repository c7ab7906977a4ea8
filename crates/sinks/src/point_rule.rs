//! Which column of rows is the time of a point, which are its tags, and which its fields: the rule that every sink of
//! points follows.

use arrow::datatypes::{DataType, Field, Schema};

use crate::columns::{known_columns, nearest};
use crate::{LayoutError, PointLayout};

/// Columns whose value is the point's time if nobody says which one is, the first that is there.
pub const TIME_COLUMNS: [&str; 2] = ["window_timestamp", "rowtime"];
const TAG_PREFIX: &str = "tag_";
const LABEL_PREFIX: &str = "label_";

/// What is said about the columns beside their names.
#[derive(Clone, Copy, Debug, Default)]
pub struct PointRule<'a> {
    /// The column with the time.
    pub time: Option<usize>,
    /// Columns that are tags besides those that their name says so of.
    pub tags: &'a [&'a str],
    /// The columns that are fields; without any, all that are nothing else.
    pub fields: &'a [&'a str],
    /// The columns that the rows are grouped by; `None` when a row stands for a record. Equal tags and equal time overwrite,
    /// so every one of them must be a tag.
    pub key_columns: Option<&'a [usize]>,
}

impl PointLayout {
    pub fn of(schema: &Schema, rule: &PointRule<'_>) -> Result<Self, LayoutError> {
        let time = rule.time(schema)?;
        for (what, names) in [("tags", rule.tags), ("fields", rule.fields)] {
            if let Some(missing) = names.iter().find(|name| schema.index_of(name).is_err()) {
                let detail = format!("`{what}` names `{missing}`, which is no column of the result");
                return Err(LayoutError { detail, hint: known_columns(missing, schema) });
            }
        }
        let mut layout = Self { time, tags: Vec::new(), fields: Vec::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            let name = field.name().as_str();
            let is_field = if rule.fields.is_empty() { index != time } else { rule.fields.contains(&name) };
            match rule.tag_name(name) {
                Some(tag) if index != time => layout.tags.push((index, tag.to_owned())),
                None if rule.key_columns.is_some_and(|keys| keys.contains(&index)) && index != time => {
                    return Err(key_is_no_tag(field));
                }
                _ if is_field => layout.fields.push((index, name.to_owned())),
                _ => {}
            }
        }
        if layout.fields.is_empty() {
            return Err(LayoutError {
                detail: "no column is a field: a point has at least one value besides its time and its tags".to_owned(),
                hint: "select a value as well, for example `count(1) AS num_of_bookings`".to_owned(),
            });
        }
        layout.check_names()?;
        Ok(layout)
    }

    /// Refuses columns that are named like the tags that points of records get.
    pub fn check_added(&self, added: &[&str]) -> Result<(), LayoutError> {
        let mut names = self.tags.iter().chain(&self.fields).map(|(_, name)| name.as_str());
        names.find(|name| added.contains(name)).map_or(Ok(()), |name| {
            Err(LayoutError {
                detail: format!("`{name}` is the name of a tag that points of records get by themselves"),
                hint: "leave the column out, or name it differently".to_owned(),
            })
        })
    }

    /// `label_x` and `x` would be two columns of one name.
    fn check_names(&self) -> Result<(), LayoutError> {
        let names: Vec<&str> = self.tags.iter().chain(&self.fields).map(|(_, name)| name.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            if *name == "time" {
                return Err(LayoutError {
                    detail: "a column would be stored as `time`, which is the name of the point's time".to_owned(),
                    hint: "name it differently".to_owned(),
                });
            }
            if names[..index].contains(name) {
                return Err(LayoutError {
                    detail: format!("two columns would be stored as `{name}`"),
                    hint: "name one of them differently".to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl PointRule<'_> {
    fn tag_name<'n>(&self, column: &'n str) -> Option<&'n str> {
        if column.len() > TAG_PREFIX.len() && column.starts_with(TAG_PREFIX) || self.tags.contains(&column) {
            return Some(column);
        }
        column.strip_prefix(LABEL_PREFIX).filter(|name| !name.is_empty())
    }

    fn time(&self, schema: &Schema) -> Result<usize, LayoutError> {
        let found = self.time.or_else(|| TIME_COLUMNS.iter().find_map(|name| schema.index_of(name).ok()));
        let Some(index) = found else {
            let hint = match nearest(TIME_COLUMNS[0], schema.fields().iter().map(|field| field.name().as_str())) {
                Some(near) => format!("name the column `{near}` `window_timestamp`"),
                None => {
                    "select for example `TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp`, or `rowtime`"
                        .to_owned()
                }
            };
            let detail =
                "the result has no column `window_timestamp` or `rowtime`, which is the point's time".to_owned();
            return Err(LayoutError { detail, hint });
        };
        let field = schema.field(index);
        match field.data_type() {
            DataType::Timestamp(..) => Ok(index),
            other => Err(LayoutError {
                detail: format!("the column `{}` is the point's time, but has the type {other}", field.name()),
                hint: "select a timestamp under this name".to_owned(),
            }),
        }
    }
}

fn key_is_no_tag(field: &Field) -> LayoutError {
    let name = field.name();
    LayoutError {
        detail: format!("the query groups by `{name}`, which is no tag, so that its groups would overwrite each other"),
        hint: format!("name the column `tag_{name}` or `label_{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| {
            let is_time = TIME_COLUMNS.contains(name) || *name == "at";
            let data_type = if is_time { DataType::Timestamp(TimeUnit::Millisecond, None) } else { DataType::Int64 };
            Field::new(*name, data_type, true)
        };
        Schema::new(names.iter().map(field).collect::<Vec<_>>())
    }

    fn pairs(columns: &[(usize, &str)]) -> Vec<(usize, String)> {
        columns.iter().map(|(index, name)| (*index, (*name).to_owned())).collect()
    }

    #[test]
    fn what_is_named_counts_and_the_rest_follows_from_the_names() {
        let schema = schema(&["tag_city", "label_s2id", "n", "fare", "at"]);
        let rule = PointRule { time: Some(4), tags: &["n"], ..PointRule::default() };
        let layout = PointLayout::of(&schema, &rule).unwrap();
        assert_eq!((layout.time, layout.fields), (4, pairs(&[(3, "fare")])));
        assert_eq!(layout.tags, pairs(&[(0, "tag_city"), (1, "s2id"), (2, "n")]));
        let rule = PointRule { time: Some(4), fields: &["n", "at"], ..PointRule::default() };
        assert_eq!(PointLayout::of(&schema, &rule).unwrap().fields, pairs(&[(2, "n"), (4, "at")]));
    }

    #[test]
    fn what_cannot_be_a_point_is_refused() {
        for (names, rule, detail, hint) in [
            (&["n", "at"][..], PointRule::default(), "no column `window_timestamp`", "select"),
            (&["n", "rowtime"], PointRule { tags: &["m"], ..PointRule::default() }, "names `m`", "mean `n`"),
            (&["n", "rowtime"], PointRule { fields: &["zebra"], ..PointRule::default() }, "`fields`", "n, rowtime"),
            (&["n", "rowtime"], PointRule { time: Some(0), ..PointRule::default() }, "has the type Int64", "timestamp"),
            (
                &["n", "rowtime"],
                PointRule { key_columns: Some(&[0]), ..PointRule::default() },
                "groups by `n`",
                "tag_n",
            ),
            (&["tag_n", "rowtime"], PointRule::default(), "no column is a field", "select"),
            (&["label_n", "n", "rowtime"], PointRule::default(), "two columns", "differently"),
            (&["time", "rowtime"], PointRule::default(), "stored as `time`", "differently"),
        ] {
            let error = PointLayout::of(&schema(names), &rule).unwrap_err();
            assert!(error.detail.contains(detail) && error.hint.contains(hint), "{names:?}: {error:?}");
        }
    }
}
