//! Which series and which values of a tag a measurement has: read from the series dictionary, not from points.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use storage::Iter;

use crate::catalog::Measurement;
use crate::dictionary::number_range;
use crate::error::{read_error, storage_error};
use crate::shape::Shape;
use crate::store::Inner;
use crate::tag_condition::{TagCondition, known_tag, read_tags};
use crate::{ScanRequest, SeriesError, SeriesScan, TagFilter, space};

/// Memory for the distinct values of one tag.
const TAG_VALUES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The tag sets of a measurement's series in the order in which they were first written; read as they are pulled. Each is
/// (tag, value) in the order of the tags' names, empty for the series without tags.
pub struct SeriesTags {
    shape: Arc<Shape>,
    conditions: Vec<TagCondition>,
    series: Option<Iter>,
}

impl SeriesTags {
    pub(crate) fn new(inner: &Inner, measurement: &Measurement, filters: &[TagFilter]) -> Result<Self, SeriesError> {
        let shape = measurement.shape();
        let mut conditions = Vec::with_capacity(filters.len());
        for filter in filters {
            let condition = TagCondition::resolve(&shape, filter)?;
            if Shape::is_key_tag(&filter.tag) {
                return Err(SeriesError::TagOfPoints { measurement: shape.name.clone(), tag: filter.tag.clone() });
            }
            conditions.push(condition);
        }
        let series = inner.storage.scan(space::SERIES, number_range(measurement.id)).map_err(storage_error)?;
        Ok(Self { shape, conditions, series: Some(series) })
    }

    fn next_wanted(&mut self) -> Result<Option<Vec<(String, String)>>, SeriesError> {
        let Some(series) = &mut self.series else { return Ok(None) };
        'series: for guard in series {
            let (_, encoded) = guard.into_inner().map_err(|error| read_error(&error))?;
            let tags = read_tags(&encoded);
            if !self.conditions.iter().all(|condition| condition.holds(&tags)) {
                continue;
            }
            let mut named = Vec::with_capacity(tags.len());
            for (tag, value) in tags {
                // A series that is newer than what is known of the measurement's columns is not listed yet.
                let Some(name) = self.shape.tags.get(tag as usize) else { continue 'series };
                named.push((name.clone(), value.into()));
            }
            named.sort_unstable();
            return Ok(Some(named));
        }
        Ok(None)
    }
}

impl Iterator for SeriesTags {
    type Item = Result<Vec<(String, String)>, SeriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_wanted().transpose();
        if matches!(next, Some(Err(_)) | None) {
            self.series = None;
        }
        next
    }
}

/// Distinct values of a tag, sorted. Those of a tag that is kept with each point are read from the points.
pub(crate) fn tag_values(inner: &Arc<Inner>, measurement: &Measurement, tag: &str) -> Result<Vec<String>, SeriesError> {
    let shape = measurement.shape();
    let number = known_tag(&shape, tag)?;
    if !Shape::is_key_tag(tag) {
        return Ok(inner.tag_table(measurement, &measurement.chunks())?.values(number));
    }
    let mut values = DistinctValues { values: BTreeSet::new(), bytes: 0, measurement: &shape.name };
    let request = ScanRequest { projection: Some(vec![tag.to_owned()]), ..ScanRequest::default() };
    for batch in SeriesScan::new(inner.clone(), measurement, &request, None)? {
        let batch = batch?;
        for value in batch.column(0).as_string::<i32>().iter().flatten() {
            values.add(value)?;
        }
    }
    Ok(values.values.into_iter().collect())
}

struct DistinctValues<'a> {
    values: BTreeSet<String>,
    bytes: usize,
    measurement: &'a str,
}

impl DistinctValues<'_> {
    fn add(&mut self, value: &str) -> Result<(), SeriesError> {
        if self.values.contains(value) {
            return Ok(());
        }
        self.bytes += value.len() + size_of::<String>();
        if self.bytes > TAG_VALUES_BYTES_MAX {
            return Err(SeriesError::LimitExceeded {
                measurement: self.measurement.to_owned(),
                what: "the bytes of a tag's distinct values",
                found: self.bytes,
                max: TAG_VALUES_BYTES_MAX,
            });
        }
        self.values.insert(value.to_owned());
        Ok(())
    }
}
