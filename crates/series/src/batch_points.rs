//! The rows of a batch as points: judged one by one, copied column by column. Rows of the same point are merged.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use arrow::array::Array;

use crate::catalog::{Measurement, Writer};
use crate::chunk::{Field, Points, Texts, list_series};
use crate::columns::{FieldCell, FieldColumn, PointColumns, TimeCell};
use crate::counters::Counters;
use crate::dictionary::{Dictionary, start_tags_key};
use crate::known_rows::{KnownRows, TagColumns};
use crate::point::{Cell, put_tag};
use crate::shape::Shape;
use crate::store::Inner;
use crate::{SeriesError, SeriesLimits, SkipReason};

const TIME_OUT_OF_RANGE: &str =
    "the time is before 1677-09-21T00:12:43.145224194Z or after 2262-04-11T23:47:16.854775806Z; give one in between";
/// Tags kept with the points of one batch.
const KEY_TAGS_BYTES_MAX: usize = 1 << 30;

/// The layout's columns in the order of their numbers.
pub(crate) struct Roles<'a> {
    /// Tags that name the series, then tags kept with the point.
    series_tags: Vec<(u32, usize)>,
    key_tags: Vec<(u32, usize)>,
    fields: Vec<(u32, &'a FieldColumn)>,
}

/// Rows accepted so far.
pub(crate) struct BatchPoints<'a> {
    inner: &'a Inner,
    measurement: &'a Measurement,
    columns: &'a PointColumns<'a>,
    roles: &'a Roles<'a>,
    /// Every row has all fields.
    whole: bool,
    /// Rows of the batch, and their keys.
    rows: Vec<u32>,
    times: Vec<i64>,
    series: Vec<u64>,
    key_tags: Texts,
    tags_key: Vec<u8>,
    tags_kept: Vec<u8>,
    /// Series first seen in this batch: dictionary key to number.
    new_series: HashMap<Vec<u8>, u64>,
    /// The tags that name the series, and what is known of an earlier batch that began with the same ones.
    series_tags: TagColumns,
    known: Option<KnownRows>,
    /// Rows whose series was not known from there.
    looked_up: usize,
}

pub(crate) enum RowError {
    Refused(SkipReason, String),
    Failed(SeriesError),
}

impl From<SeriesError> for RowError {
    fn from(error: SeriesError) -> Self {
        Self::Failed(error)
    }
}

fn refused(reason: SkipReason, message: impl Into<String>) -> RowError {
    RowError::Refused(reason, message.into())
}

/// Write times are kept in seconds, never earlier than they were: a point does not expire too soon.
fn seconds_rounded_up(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0).div_ceil(1_000_000_000)
}

pub(crate) fn assign_roles<'a>(
    shape: &mut Shape,
    columns: &'a PointColumns<'_>,
    limits: &SeriesLimits,
) -> Result<Roles<'a>, SeriesError> {
    let mut roles = Roles { series_tags: Vec::new(), key_tags: Vec::new(), fields: Vec::new() };
    for (column, (name, _)) in columns.tags.iter().enumerate() {
        let tag = shape.tag_or_new(name, limits)?;
        let tags = if Shape::is_key_tag(name) { &mut roles.key_tags } else { &mut roles.series_tags };
        if tags.iter().any(|(other, _)| *other == tag) {
            return Err(shape.name_taken(name, "tag of this batch", "tag"));
        }
        tags.push((tag, column));
    }
    for (name, column) in &columns.fields {
        let field = shape.field_or_new(name, column.field_type(), limits)?;
        if roles.fields.iter().any(|(other, _)| *other == field) {
            return Err(shape.name_taken(name, "field of this batch", "field"));
        }
        roles.fields.push((field, column));
    }
    roles.series_tags.sort_unstable_by_key(|(tag, _)| *tag);
    roles.key_tags.sort_unstable_by_key(|(tag, _)| *tag);
    roles.fields.sort_unstable_by_key(|(field, _)| *field);
    Ok(roles)
}

impl<'a> BatchPoints<'a> {
    /// Takes what is known of an earlier batch with the same rows off the writer.
    pub(crate) fn new(
        inner: &'a Inner,
        measurement: &'a Measurement,
        columns: &'a PointColumns<'a>,
        roles: &'a Roles<'a>,
        writer: &mut Writer,
    ) -> Self {
        let series_tags: TagColumns =
            roles.series_tags.iter().map(|(tag, column)| (*tag, columns.tags[*column].1.clone())).collect();
        Self {
            inner,
            measurement,
            columns,
            roles,
            whole: !roles.fields.is_empty() && roles.fields.iter().all(|(_, column)| column.is_whole()),
            rows: Vec::with_capacity(columns.rows),
            times: Vec::with_capacity(columns.rows),
            series: Vec::with_capacity(columns.rows),
            key_tags: Texts::new(),
            tags_key: Vec::new(),
            tags_kept: Vec::new(),
            new_series: HashMap::new(),
            known: writer.known_rows.take(&series_tags),
            series_tags,
            looked_up: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Series first seen in this batch: dictionary key to number.
    pub(crate) fn take_new_series(&mut self) -> HashMap<Vec<u8>, u64> {
        std::mem::take(&mut self.new_series)
    }

    /// What the next batch may take for known, once this one is written.
    pub(crate) fn take_known_rows(&mut self) -> Option<KnownRows> {
        match self.known.take() {
            // The same rows again: what is known of them stays.
            Some(known) if self.looked_up == 0 => Some(known),
            known => {
                drop(known);
                let tags = std::mem::take(&mut self.series_tags);
                KnownRows::new(tags, &self.rows, &self.series, &self.inner.known_rows_bytes)
            }
        }
    }

    /// Takes all rows at once if there is nothing to judge or look up of any: they are those of an earlier batch, with all
    /// fields.
    pub(crate) fn take_all(&mut self, writer: &mut Writer) -> bool {
        let known = self.known.as_ref().filter(|_| self.whole && self.roles.key_tags.is_empty());
        let series = known.and_then(|known| known.all(&self.series_tags, self.columns.rows));
        let Some((series, times)) = series.and_then(|series| Some((series, self.columns.time.all_nanos()?))) else {
            return false;
        };
        if let Some(used) = &mut writer.used_series {
            used.extend(series);
        }
        self.series = series.to_vec();
        self.rows = (0..self.columns.rows as u32).collect();
        self.times = times;
        true
    }

    pub(crate) fn take_row(&mut self, row: usize, shape: &Shape, writer: &mut Writer) -> Result<(), RowError> {
        let time = match self.columns.time.nanos(row) {
            TimeCell::At(time) => time,
            TimeCell::Missing => return Err(refused(SkipReason::NoTime, "the time is NULL")),
            TimeCell::OutOfRange => {
                return Err(refused(SkipReason::TimeOutOfRange, TIME_OUT_OF_RANGE));
            }
        };
        if !self.whole {
            self.check_fields(row, shape)?;
        }
        let known = self.known.as_ref().and_then(|known| known.series(&self.series_tags, row));
        let series = match known {
            Some(series) if self.roles.key_tags.is_empty() => {
                if let Some(used) = &mut writer.used_series {
                    used.insert(series);
                }
                series
            }
            _ => {
                self.looked_up += 1;
                self.encode_tags(row)?;
                self.series_number(shape, writer)?
            }
        };
        self.rows.push(row as u32);
        self.times.push(time);
        self.series.push(series);
        if !self.roles.key_tags.is_empty() {
            if self.key_tags.bytes.len() + self.tags_kept.len() > KEY_TAGS_BYTES_MAX {
                return Err(RowError::Failed(SeriesError::LimitExceeded {
                    measurement: shape.name.clone(),
                    what: "the bytes of tags kept with the points of one batch",
                    found: self.key_tags.bytes.len() + self.tags_kept.len(),
                    max: KEY_TAGS_BYTES_MAX,
                }));
            }
            self.key_tags.push(&self.tags_kept);
        }
        Ok(())
    }

    fn check_fields(&self, row: usize, shape: &Shape) -> Result<(), RowError> {
        let mut cells = 0;
        for (field, column) in &self.roles.fields {
            match column.cell(row) {
                FieldCell::Null => {}
                FieldCell::OutOfRange => {
                    let name = field_name(shape, *field);
                    return Err(refused(
                        SkipReason::IntegerOutOfRange,
                        format!("field `{name}` is beyond 64 signed bits; cast it to DOUBLE or to STRING in the query"),
                    ));
                }
                FieldCell::Value(Cell::Text(text)) if text.len() > self.inner.limits.field_text_bytes_max => {
                    let (name, max) = (field_name(shape, *field), self.inner.limits.field_text_bytes_max);
                    return Err(refused(
                        SkipReason::TextTooLong,
                        format!("field `{name}` is {} bytes long, the limit is {max}", text.len()),
                    ));
                }
                FieldCell::Value(_) => cells += 1,
            }
        }
        if cells == 0 {
            return Err(refused(SkipReason::NoField, "every field is NULL"));
        }
        Ok(())
    }

    fn encode_tags(&mut self, row: usize) -> Result<(), RowError> {
        start_tags_key(&mut self.tags_key, self.measurement.id);
        self.tags_kept.clear();
        let limits = &self.inner.limits;
        let (roles, columns) = (self.roles, self.columns);
        for (tags, buffer) in [(&roles.series_tags, &mut self.tags_key), (&roles.key_tags, &mut self.tags_kept)] {
            for (tag, column) in tags {
                let (name, array) = &columns.tags[*column];
                if array.is_null(row) {
                    continue;
                }
                let value = array.value(row);
                if value.len() > limits.tag_value_bytes_max {
                    let (found, max) = (value.len(), limits.tag_value_bytes_max);
                    return Err(refused(
                        SkipReason::TagTooLong,
                        format!("tag `{name}` is {found} bytes long, the limit is {max}; make it a field"),
                    ));
                }
                put_tag(buffer, *tag, value);
            }
        }
        let found = self.tags_key.len() + self.tags_kept.len();
        if found > limits.tags_bytes_max {
            let max = limits.tags_bytes_max;
            return Err(refused(
                SkipReason::TagTooLong,
                format!("the tags are {found} bytes long together, the limit is {max}"),
            ));
        }
        Ok(())
    }

    /// The number of the series whose dictionary key is in `tags_key`; a new one if it is not known.
    fn series_number(&mut self, shape: &Shape, writer: &mut Writer) -> Result<u64, RowError> {
        let dictionary = self.inner.dictionary();
        let known = match self.new_series.get(&self.tags_key) {
            Some(series) => Some(*series),
            None => dictionary.number(&self.tags_key)?,
        };
        if let Some(series) = known {
            if let Some(used) = &mut writer.used_series {
                used.insert(series);
            }
            return Ok(series);
        }
        let count = writer.counters.series + self.new_series.len() as u64;
        if count >= self.inner.limits.series_per_measurement_max {
            return Err(refused(SkipReason::TooManySeries, refusal(&dictionary, self.measurement.id, shape, writer)?));
        }
        // Counted up even if the write fails, so that a number never means two series.
        let series = writer.counters.next_series;
        writer.counters.next_series += 1;
        self.new_series.insert(self.tags_key.clone(), series);
        if let Some(used) = &mut writer.used_series {
            used.insert(series);
        }
        Ok(series)
    }

    /// The points in the order of their keys, one for all rows with the same key.
    pub(crate) fn into_points(self, counters: Counters) -> Points {
        let roles = self.roles;
        let tagged = !roles.key_tags.is_empty();
        let key = |place: u32| {
            let place = place as usize;
            (self.times[place], self.series[place], if tagged { self.key_tags.get(place) } else { b"" })
        };
        let mut places: Vec<u32> = (0..self.rows.len() as u32).collect();
        let mut distinct = true;
        if !places.is_sorted_by(|a, b| key(*a) < key(*b)) {
            // Stable: of the rows of one point, the last one wins.
            places.sort_by(|a, b| key(*a).cmp(&key(*b)));
            distinct = places.windows(2).all(|pair| key(pair[0]) != key(pair[1]));
        }
        let groups: Vec<Range<usize>> = if distinct { Vec::new() } else { groups(&places, |a, b| key(a) == key(b)) };
        // One place for each point: the last of its rows.
        let last: Vec<u32> =
            if distinct { places.clone() } else { groups.iter().map(|rows| places[rows.end - 1]).collect() };
        let numbers: Vec<u64> = last.iter().map(|place| self.series[*place as usize]).collect();
        let (series_list, series) = list_series(&numbers);
        let rows_of = |places: &[u32]| places.iter().map(|place| self.rows[*place as usize]).collect::<Vec<u32>>();
        let last_rows = rows_of(&last);
        let ordered_rows = rows_of(&places);
        let fields = roles.fields.iter().filter_map(|(number, column)| {
            let rows = match distinct || column.is_whole() {
                true => Cow::Borrowed(&last_rows),
                // The last row that has the field, else the last one.
                false => Cow::Owned(groups.iter().map(|group| latest(&ordered_rows[group.clone()], column)).collect()),
            };
            let (present, values) = column.gather(&rows);
            if present.as_ref().is_some_and(|present| !present.contains(&true)) {
                return None;
            }
            Some(Field { number: *number, present: present.filter(|present| present.contains(&false)), values })
        });
        Points {
            fields: fields.collect(),
            times: last.iter().map(|place| self.times[*place as usize]).collect(),
            key_tags: tagged.then(|| self.key_tags.select(&last)),
            sequences: vec![counters.sequence; last.len()],
            written: vec![seconds_rounded_up(counters.last_write); last.len()],
            series_list,
            series,
        }
    }
}

/// Stretches of places with the same key.
fn groups(places: &[u32], same: impl Fn(u32, u32) -> bool) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, place) in places.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if same(places[group.start], *place) => group.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

fn latest(rows: &[u32], column: &FieldColumn) -> u32 {
    let found = rows.iter().rev().find(|row| column.has(**row as usize));
    found.or(rows.last()).copied().unwrap_or_default()
}

fn field_name(shape: &Shape, field: u32) -> &str {
    shape.fields.get(field as usize).map_or("?", |field| field.name.as_str())
}

/// Why no new series is taken; looks for the tag to blame once per number of series.
fn refusal(
    dictionary: &Dictionary<'_>,
    measurement: u32,
    shape: &Shape,
    writer: &mut Writer,
) -> Result<String, SeriesError> {
    let count = writer.counters.series;
    if let Some((at, text)) = &writer.refusal
        && *at == count
    {
        return Ok(text.clone());
    }
    let largest = dictionary.describe_largest_tag(measurement, shape)?;
    let text = format!(
        "measurement `{}` has {count} series, as many as it may have; {largest}: make it a field, or use fewer values",
        shape.name
    );
    writer.refusal = Some((count, text.clone()));
    Ok(text)
}
