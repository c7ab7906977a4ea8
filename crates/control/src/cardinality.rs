//! How many values the tags of a measurement will have, told from a sample of its rows.
//!
//! Every set of tag values is a series, and a measurement has a limit of them. A tag such as an order number has a new
//! value in nearly every row, so that the limit is met sooner or later; better said before than after.
//!
//! A sample shows a part of the values only. What is not seen is estimated by how many values were seen once and how many
//! twice (Chao, "Estimating the population size for capture-recapture data with unequal catchability", Biometrics 43,
//! 1987, in its bias-corrected form). The sampling unit is a window, because within one window no set of tags comes
//! twice; for rows that are records it is the row.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// More rows add little to what is known, and cost time.
const ROWS_MAX: u64 = 50_000;
/// Of its limit, this part of a measurement's series is worth a warning.
const WARNED_PART: u64 = 10;
/// So few values are no reason to worry, however new each of them is.
const VALUES_MIN: u64 = 500;

/// What a sample says of a measurement's tags.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagSample {
    pub measurement: String,
    /// Rows that were looked at.
    pub rows: u64,
    pub series: Count,
    /// So many series the measurement may have.
    pub series_max: u64,
    pub tags: Vec<TagCount>,
    /// What is wrong and what to do, if there will be too many.
    pub warning: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagCount {
    pub name: String,
    #[serde(flatten)]
    pub count: Count,
    /// It is the one to blame.
    #[serde(rename = "isTooMany")]
    pub is_too_many: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub seen: u64,
    /// With those that the sample does not show; never less than `seen`.
    pub estimate: u64,
}

/// Which columns of a result are what.
pub(crate) struct TagColumns {
    pub measurement: String,
    /// Column that is the time of a window's row; `None` when every row is a record.
    pub window: Option<String>,
    /// Column and the tag that it is stored as.
    pub tags: Vec<(String, String)>,
    pub series_max: u64,
}

/// Counts while rows go by.
pub(crate) struct TagCounter {
    columns: TagColumns,
    rows: u64,
    units: Seen,
    series: Seen,
    tags: Vec<Seen>,
}

/// In how many units each value was seen.
#[derive(Default)]
struct Seen {
    values: HashMap<u64, (u32, u64)>,
}

impl Seen {
    fn note(&mut self, value: u64, unit: u64) {
        let seen = self.values.entry(value).or_insert((0, !unit));
        if seen.1 != unit {
            *seen = (seen.0.saturating_add(1), unit);
        }
    }

    fn len(&self) -> u64 {
        self.values.len() as u64
    }

    fn count(&self, units: u64) -> Count {
        let seen_in = |times: u32| self.values.values().filter(|(seen, _)| *seen == times).count() as f64;
        let (once, twice, units_seen) = (seen_in(1), seen_in(2), units as f64);
        let unseen = match units {
            // One window says nothing of the next.
            0 | 1 => 0.0,
            _ => (units_seen - 1.0) / units_seen * once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0)),
        };
        Count { seen: self.len(), estimate: self.len().saturating_add(unseen as u64) }
    }
}

impl TagCounter {
    /// `None` when there is no tag to count.
    pub fn new(columns: TagColumns) -> Option<Self> {
        if columns.tags.is_empty() {
            return None;
        }
        let tags = columns.tags.iter().map(|_| Seen::default()).collect();
        Some(Self { columns, rows: 0, units: Seen::default(), series: Seen::default(), tags })
    }

    /// One row, as a line of JSON.
    pub fn note(&mut self, line: &[u8]) {
        if self.rows >= ROWS_MAX {
            return;
        }
        let Ok(row) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
        self.rows += 1;
        let unit = match &self.columns.window {
            Some(window) => hash(row.get(window)),
            None => self.rows,
        };
        self.units.note(unit, 0);
        let mut all = DefaultHasher::new();
        for ((column, _), seen) in self.columns.tags.iter().zip(&mut self.tags) {
            let value = hash(row.get(column));
            value.hash(&mut all);
            seen.note(value, unit);
        }
        self.series.note(all.finish(), unit);
    }

    /// `records` is how many records became the rows.
    pub fn finish(self, records: u64) -> TagSample {
        let units = match self.columns.window {
            Some(_) => self.units.len(),
            None => self.rows,
        };
        let series = self.series.count(units);
        let warned = self.columns.series_max / WARNED_PART;
        // With one window only, a value for every record or two tells of a name, not of a kind.
        let is_unique = |count: Count| units <= 1 && records > 0 && count.seen.saturating_mul(2) >= records;
        let is_too_many = |count: Count| count.seen >= VALUES_MIN && (count.estimate > warned || is_unique(count));
        let mut tags: Vec<TagCount> = self
            .columns
            .tags
            .iter()
            .zip(&self.tags)
            .map(|((_, tag), seen)| {
                let count = seen.count(units);
                TagCount { name: tag.clone(), count, is_too_many: is_too_many(count) }
            })
            .collect();
        if is_too_many(series) && tags.iter().all(|tag| !tag.is_too_many) {
            // Each tag alone would do; the one with the most values is where to begin.
            if let Some(most) = tags.iter_mut().max_by_key(|tag| tag.count.estimate) {
                most.is_too_many = true;
            }
        }
        let mut sample = TagSample {
            measurement: self.columns.measurement,
            rows: self.rows,
            series,
            series_max: self.columns.series_max,
            tags,
            warning: None,
        };
        sample.warning = sample.words();
        sample
    }
}

impl TagSample {
    fn words(&self) -> Option<String> {
        let names: Vec<String> =
            self.tags.iter().filter(|tag| tag.is_too_many).map(|tag| format!("`{}`", tag.name)).collect();
        if names.is_empty() {
            return None;
        }
        let (has, its) = if names.len() == 1 { ("the tag", "its") } else { ("the tags", "their") };
        let will = match self.series.estimate > self.series_max {
            true => format!("more will come than the {} that it may have", grouped(self.series_max)),
            false => format!("{} or more of at most {}", grouped(self.series.estimate), grouped(self.series_max)),
        };
        Some(format!(
            "{has} {} will have too many values: {} rows of a sample make {} series of the measurement `{}`, by estimate \
             {will}; points of further series are then refused. Name the column without `tag_` or `label_` and leave it out \
             of GROUP BY, or group {its} values",
            names.join(" and "),
            grouped(self.rows),
            grouped(self.series.seen),
            self.measurement,
        ))
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn hash(value: Option<&Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Some(Value::String(text)) => text.hash(&mut hasher),
        Some(other) => other.to_string().hash(&mut hasher),
        None => 0_u8.hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(window: Option<&str>, records: u64, rows: impl Iterator<Item = (u64, String, u64)>) -> TagSample {
        let mut counter = TagCounter::new(TagColumns {
            measurement: "m".to_owned(),
            window: window.map(str::to_owned),
            tags: vec![("tag_id".to_owned(), "tag_id".to_owned()), ("label_kind".to_owned(), "kind".to_owned())],
            series_max: 1_000_000,
        })
        .unwrap();
        for (at, id, kind) in rows {
            counter.note(format!(r#"{{"w":{at},"tag_id":"{id}","label_kind":{kind},"n":1}}"#).as_bytes());
        }
        counter.finish(records)
    }

    #[test]
    fn the_same_cells_in_every_window_are_as_many_as_they_are() {
        let rows = (0..10).flat_map(|window| (0..2_000).map(move |cell| (window, cell.to_string(), cell % 3)));
        let found = sample(Some("w"), 100_000, rows);
        assert_eq!(found.series, Count { seen: 2_000, estimate: 2_000 });
        assert_eq!(found.tags[1].count, Count { seen: 3, estimate: 3 });
        assert_eq!(found.warning, None);
    }

    #[test]
    fn a_new_value_in_every_row_is_warned_of() {
        let found = sample(Some("w"), 20_000, (0..20_000).map(|row| (row / 2_000, format!("order-{row}"), 1)));
        assert!(found.series.estimate > 1_000_000, "{found:?}");
        assert_eq!(found.tags.iter().map(|tag| tag.is_too_many).collect::<Vec<_>>(), [true, false]);
        let warning = found.warning.unwrap();
        assert!(warning.contains("the tag `tag_id` will have too many values: 20,000 rows"), "{warning}");
        assert!(warning.contains("more will come than the 1,000,000 that it may have"), "{warning}");
        // In a row for each record the same shows.
        let found = sample(None, 20_000, (0..20_000).map(|row| (row, format!("order-{row}"), 1)));
        assert!(found.warning.is_some());
    }

    #[test]
    fn one_window_is_judged_by_its_records() {
        let orders = |records| sample(Some("w"), records, (0..1_000).map(|row| (0, format!("order-{row}"), 1)));
        assert!(orders(1_100).warning.is_some());
        // Fifty records for each value: there may well be no others.
        assert_eq!(orders(50_000).warning, None);
    }

    #[test]
    fn numbers_can_be_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn few_values_are_no_reason_to_worry() {
        let found = sample(None, 100, (0..100).map(|row| (row, format!("order-{row}"), 1)));
        assert_eq!((found.series.seen, found.warning), (100, None));
    }

    #[test]
    fn half_of_the_drivers_tell_of_the_other_half() {
        // 1,000 drivers, each seen in a window by chance; a linear congruence stands for it.
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 1_000
        };
        let rows: Vec<_> = (0..1_000).map(|row| (row / 100, next().to_string(), 0)).collect();
        let found = sample(Some("w"), 1_000, rows.into_iter());
        assert!((550..750).contains(&found.series.seen), "{found:?}");
        assert!((850..1_150).contains(&found.series.estimate), "{found:?}");
        assert_eq!(found.warning, None);
    }

    #[test]
    fn several_tags_are_too_many_together() {
        let rows = (0..1_000_u64).map(|row| (row, (row % 40).to_string(), row / 40));
        let found = sample(None, 1_000, rows);
        assert_eq!(found.tags[0].count.seen, 40);
        assert!(found.series.estimate > 100_000);
        assert_eq!(found.tags.iter().filter(|tag| tag.is_too_many).count(), 1);
    }
}
