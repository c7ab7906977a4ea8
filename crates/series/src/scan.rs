//! Scanning: points of a measurement as batches, in order of time, read as they are pulled.
//!
//! Time bounds choose the keys that are read. Conditions on tags are judged once per series and remembered for the scan.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use hashbrown::HashMap;
use storage::{Guard, Iter};

use crate::catalog::Measurement;
use crate::column_builder::{ColumnBuilder, FieldSlots};
use crate::error::{read_error, storage_error};
use crate::point::{PointHead, PointKey, key_after, key_at};
use crate::shape::{Shape, TIME_COLUMN};
use crate::store::Inner;
use crate::tag_condition::{TagCondition, Tags, read_tags, tag_value, unknown_column};
use crate::{ScanOrder, ScanRequest, SeriesError, TimeRange, space};

const BATCH_ROWS_DEFAULT: usize = 8_192;
/// A batch is also full when it holds this many bytes of text.
const BATCH_TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Verdicts on series remembered by one scan.
const SERIES_REMEMBERED_MAX: usize = 100_000;

/// Where an output column comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Time,
    Tag(u32),
    Field(u32),
}

/// The columns of a measurement in their order: `time`, tags, fields.
pub(crate) fn table_schema(shape: &Shape) -> SchemaRef {
    let mut columns = vec![Field::new(TIME_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, None), false)];
    columns.extend(shape.tags.iter().map(|tag| Field::new(tag, DataType::Utf8, true)));
    columns.extend(shape.fields.iter().map(|field| Field::new(&field.name, field.field_type.data_type(), true)));
    Arc::new(Schema::new(columns))
}

fn source_of(shape: &Shape, name: &str) -> Option<Source> {
    if name == TIME_COLUMN {
        return Some(Source::Time);
    }
    shape.tag(name).map(Source::Tag).or_else(|| shape.field(name).map(Source::Field))
}

/// What a scan knows of a series.
#[derive(Clone)]
enum Series {
    /// No point of it is wanted.
    Unwanted,
    /// Its tags, in ascending order of their numbers.
    Wanted(Arc<Tags>),
}

/// Which writes to take, by their sequence numbers: after the first, up to the second.
pub(crate) type SequenceSpan = (u64, u64);

/// Batches of points in order of time; reads as it is pulled, from the state at the time it was made.
pub struct SeriesScan {
    inner: Arc<Inner>,
    measurement: u32,
    schema: SchemaRef,
    sources: Vec<Source>,
    slots: FieldSlots,
    series_conditions: Vec<TagCondition>,
    key_conditions: Vec<TagCondition>,
    order: ScanOrder,
    /// Stretches of time still to be read, in the order of reading.
    ranges: VecDeque<TimeRange>,
    points: Option<Iter>,
    sequences: Option<SequenceSpan>,
    remaining: usize,
    batch_rows: usize,
    series: HashMap<u64, Series>,
    last_series: Option<(u64, Series)>,
    keys_scanned: u64,
}

impl SeriesScan {
    pub(crate) fn new(
        inner: Arc<Inner>,
        measurement: &Measurement,
        request: &ScanRequest,
        changes: Option<(SequenceSpan, Vec<TimeRange>)>,
    ) -> Result<Self, SeriesError> {
        let shape = measurement.shape();
        let (schema, sources) = project(&shape, request.projection.as_deref())?;
        let (mut series_conditions, mut key_conditions) = (Vec::new(), Vec::new());
        for filter in &request.tags {
            let condition = TagCondition::resolve(&shape, filter)?;
            let conditions = if Shape::is_key_tag(&filter.tag) { &mut key_conditions } else { &mut series_conditions };
            conditions.push(condition);
        }
        let (sequences, ranges) = match changes {
            Some((sequences, ranges)) => (Some(sequences), ranges),
            None => (None, vec![TimeRange::ALL]),
        };
        let mut ranges: VecDeque<TimeRange> =
            ranges.into_iter().map(|range| range.and(request.range)).filter(|range| !range.is_empty()).collect();
        if request.order == ScanOrder::Descending {
            ranges.make_contiguous().reverse();
        }
        let mut scan = Self {
            inner,
            measurement: measurement.id,
            slots: FieldSlots::new(&sources),
            schema,
            sources,
            series_conditions,
            key_conditions,
            order: request.order,
            ranges,
            points: None,
            sequences,
            remaining: request.limit.unwrap_or(usize::MAX),
            batch_rows: if request.batch_rows == 0 { BATCH_ROWS_DEFAULT } else { request.batch_rows },
            series: HashMap::new(),
            last_series: None,
            keys_scanned: 0,
        };
        scan.open_next_range()?;
        Ok(scan)
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Keys read so far, also those that a condition then left out.
    pub fn keys_scanned(&self) -> u64 {
        self.keys_scanned
    }

    fn open_next_range(&mut self) -> Result<(), SeriesError> {
        self.points = match self.ranges.pop_front() {
            Some(range) => {
                let first = key_at(self.measurement, range.start.unwrap_or(i64::MIN));
                let end = range.end.map_or_else(|| key_after(self.measurement), |end| key_at(self.measurement, end));
                Some(self.inner.storage.scan(space::POINTS, first..end).map_err(storage_error)?)
            }
            None => None,
        };
        Ok(())
    }

    fn next_point(&mut self) -> Result<Option<Guard>, SeriesError> {
        while let Some(points) = &mut self.points {
            let next = match self.order {
                ScanOrder::Ascending => points.next(),
                ScanOrder::Descending => points.next_back(),
            };
            if let Some(point) = next {
                self.keys_scanned += 1;
                return Ok(Some(point));
            }
            self.open_next_range()?;
        }
        Ok(None)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SeriesError> {
        let rows_max = self.batch_rows.min(self.remaining);
        let mut builders: Vec<ColumnBuilder> = self
            .schema
            .fields()
            .iter()
            .map(|field| ColumnBuilder::new(field.data_type(), rows_max.min(BATCH_ROWS_DEFAULT)))
            .collect();
        let scanned_before = self.keys_scanned;
        let (mut rows, mut text_bytes) = (0, 0);
        while rows < rows_max && text_bytes < BATCH_TEXT_BYTES_MAX {
            let Some(point) = self.next_point()? else { break };
            let (key, value) = point.into_inner().map_err(|error| read_error(&error))?;
            if self.take_point(&key, &value, &mut builders, rows)? {
                rows += 1;
                text_bytes += key.len() + value.len();
            }
        }
        self.inner.keys_scanned.fetch_add(self.keys_scanned - scanned_before, Ordering::Relaxed);
        self.remaining -= rows;
        if rows == 0 {
            return Ok(None);
        }
        let arrays = builders.into_iter().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?))
    }

    /// Appends a point as row number `row`; `false` if it is not wanted.
    fn take_point(
        &mut self,
        key: &[u8],
        value: &[u8],
        builders: &mut [ColumnBuilder],
        row: usize,
    ) -> Result<bool, SeriesError> {
        let key = PointKey::read(key).ok_or_else(|| corrupt("its key is too short"))?;
        let mut fields = value;
        let head = PointHead::take(&mut fields).ok_or_else(|| corrupt("its head cannot be read"))?;
        if self.sequences.is_some_and(|(after, until)| head.sequence <= after || head.sequence > until) {
            return Ok(false);
        }
        let Series::Wanted(series_tags) = self.series(key.series)? else { return Ok(false) };
        let key_tags = read_tags(key.key_tags);
        if !self.key_conditions.iter().all(|condition| condition.holds(&key_tags)) {
            return Ok(false);
        }
        for (source, builder) in self.sources.iter().zip(builders.iter_mut()) {
            match source {
                Source::Time => builder.append_time(key.time),
                Source::Tag(tag) => {
                    builder.append_tag(tag_value(&series_tags, *tag).or_else(|| tag_value(&key_tags, *tag)))
                }
                Source::Field(_) => {}
            }
        }
        self.slots.append_fields(fields, builders, row).ok_or_else(|| corrupt("its fields cannot be read"))?;
        Ok(true)
    }

    /// Judges a series, once as a rule.
    fn series(&mut self, number: u64) -> Result<Series, SeriesError> {
        if let Some((last, series)) = &self.last_series
            && *last == number
        {
            return Ok(series.clone());
        }
        let series = match self.series.get(&number) {
            Some(series) => series.clone(),
            None => {
                let tags = self.inner.dictionary().tags(self.measurement, number)?;
                let series = self.judge(tags.as_deref());
                if self.series.len() >= SERIES_REMEMBERED_MAX {
                    self.series.clear();
                }
                self.series.insert(number, series.clone());
                series
            }
        };
        self.last_series = Some((number, series.clone()));
        Ok(series)
    }

    /// `None`: all points of the series have been removed since the scan began.
    fn judge(&self, tags: Option<&[u8]>) -> Series {
        let Some(tags) = tags else { return Series::Unwanted };
        let tags = read_tags(tags);
        if self.series_conditions.iter().all(|condition| condition.holds(&tags)) {
            Series::Wanted(tags.into())
        } else {
            Series::Unwanted
        }
    }
}

impl Iterator for SeriesScan {
    type Item = Result<RecordBatch, SeriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose();
        if matches!(batch, Some(Err(_))) {
            // Nothing is returned after an error: rows could be missing in between.
            self.points = None;
            self.ranges.clear();
        }
        batch
    }
}

fn corrupt(reason: &str) -> SeriesError {
    SeriesError::Corrupt { what: "a point", reason: reason.to_owned() }
}

fn project(shape: &Shape, names: Option<&[String]>) -> Result<(SchemaRef, Vec<Source>), SeriesError> {
    let schema = table_schema(shape);
    let all: Vec<String>;
    let names = match names {
        Some(names) => names,
        None => {
            all = schema.fields().iter().map(|field| field.name().clone()).collect();
            &all
        }
    };
    let mut sources = Vec::with_capacity(names.len());
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let source = source_of(shape, name).ok_or_else(|| unknown_column(shape, name))?;
        sources.push(source);
        fields.push(schema.field_with_name(name)?.clone());
    }
    Ok((Arc::new(Schema::new(fields)), sources))
}
