//! A request for aggregates in the numbers of a measurement.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::scan::TIME_TYPE;
use crate::shape::{Shape, TIME_COLUMN};
use crate::tag_condition::{TagCondition, known_tag, unknown_column};
use crate::window_sums::{WindowSums, aggregate_type};
use crate::{FieldType, SeriesError, TimeRange, WindowAggregate, WindowRequest, Windows};

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The points themselves.
    Points,
    Field(u32, FieldType, WindowAggregate),
}

pub(crate) struct Plan {
    /// Tags that are grouped by.
    pub tags: Vec<u32>,
    pub conditions: Vec<TagCondition>,
    /// Fields that are read, ascending.
    pub fields: Vec<u32>,
    pub sums: Vec<Added>,
    /// Of each aggregate asked for, the sums that it is made of.
    pub results: Vec<(usize, WindowAggregate)>,
    pub range: TimeRange,
    pub windows: Option<Windows>,
    pub schema: SchemaRef,
    pub measurement: String,
}

impl Plan {
    pub(crate) fn new(shape: &Shape, request: &WindowRequest) -> Result<Self, SeriesError> {
        let series_tag = |name: &String| match known_tag(shape, name) {
            Ok(_) if Shape::is_key_tag(name) => {
                Err(SeriesError::TagOfPoints { measurement: shape.name.clone(), tag: name.clone() })
            }
            result => result,
        };
        for filter in &request.tags {
            series_tag(&filter.tag)?;
        }
        if request.windows.is_some_and(|windows| windows.width_nanos <= 0) {
            return Err(SeriesError::InvalidWindows { measurement: shape.name.clone() });
        }
        let mut columns: Vec<Field> =
            request.group_by.iter().map(|tag| Field::new(tag, DataType::Utf8, true)).collect();
        columns.push(Field::new(TIME_COLUMN, TIME_TYPE, false));
        let (mut sums, mut results) = (Vec::new(), Vec::with_capacity(request.aggregates.len()));
        for (name, aggregate) in &request.aggregates {
            let (added, data_type) = added(shape, name, *aggregate)?;
            columns.push(Field::new(format!("{}({name})", aggregate.name()), data_type, true));
            let place = sums.iter().position(|known| *known == added).unwrap_or_else(|| {
                sums.push(added);
                sums.len() - 1
            });
            results.push((place, *aggregate));
        }
        let mut fields: Vec<u32> = sums
            .iter()
            .filter_map(|added| match added {
                Added::Points => None,
                Added::Field(number, ..) => Some(*number),
            })
            .collect();
        fields.sort_unstable();
        fields.dedup();
        Ok(Self {
            tags: request.group_by.iter().map(series_tag).collect::<Result<_, _>>()?,
            conditions: request
                .tags
                .iter()
                .map(|filter| TagCondition::resolve(shape, filter))
                .collect::<Result<_, _>>()?,
            fields,
            sums,
            results,
            range: request.range,
            windows: request.windows,
            schema: Arc::new(Schema::new(columns)),
            measurement: shape.name.clone(),
        })
    }

    /// Whether it is the same group for all series.
    pub(crate) fn is_one_group(&self) -> bool {
        self.tags.is_empty() && self.conditions.is_empty()
    }

    /// The start of the window of a time, and the first time after it; `None` is no time.
    pub(crate) fn window(&self, time: i64) -> (i64, Option<i64>) {
        let Some(Windows { width_nanos, offset_nanos }) = self.windows else { return (i64::MIN, None) };
        let (width, offset) = (i128::from(width_nanos), i128::from(offset_nanos));
        let start = (i128::from(time) - offset).div_euclid(width) * width + offset;
        let nanos = |time: i128| i64::try_from(time).ok();
        (nanos(start).unwrap_or(i64::MIN), nanos(start + width))
    }

    /// The start of a window as it is told.
    pub(crate) fn told_start(&self, start: i64) -> i64 {
        if self.windows.is_some() { start } else { self.range.start.unwrap_or(0) }
    }

    /// Sums without any values.
    pub(crate) fn empty_sums(&self) -> Vec<WindowSums> {
        self.sums.iter().map(|added| WindowSums::new(*added)).collect()
    }
}

/// What is added up for an aggregate, and its type.
fn added(shape: &Shape, name: &str, aggregate: WindowAggregate) -> Result<(Added, DataType), SeriesError> {
    if name == TIME_COLUMN && aggregate == WindowAggregate::Count {
        return Ok((Added::Points, DataType::Int64));
    }
    let number = shape.field(name).ok_or_else(|| unknown_column(shape, name))?;
    let field_type = shape.fields[number as usize].field_type;
    let data_type = aggregate_type(field_type, aggregate).ok_or_else(|| SeriesError::InvalidAggregate {
        measurement: shape.name.clone(),
        field: name.to_owned(),
        stored: field_type,
        aggregate: aggregate.name(),
    })?;
    Ok((Added::Field(number, field_type, aggregate.added()), data_type))
}

impl WindowAggregate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Spread => "spread",
            Self::MinTime => "time of min",
            Self::MaxTime => "time of max",
            Self::FirstTime => "time of first",
            Self::LastTime => "time of last",
        }
    }

    /// The aggregate whose sums this one is made of.
    fn added(self) -> Self {
        match self {
            Self::Mean => Self::Sum,
            Self::FirstTime => Self::First,
            Self::LastTime => Self::Last,
            other => other,
        }
    }
}
