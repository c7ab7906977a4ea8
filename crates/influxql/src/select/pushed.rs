//! Functions of windows that the store adds up itself, where that gives the answer that its points would.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray, new_null_array,
};
use arrow::compute::{concat, filter};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use series::{FieldType, TimeRange, WindowAggregate, WindowRequest, Windows};

use super::budget::Budget;
use super::execute::Gathered;
use super::filter::push_down;
use super::functions::{Function, Results, WINDOW_START, single_offsets};
use super::groups::{Cells, Groups, NONE};
use super::input::{Block, allowed_groups};
use super::level::Level;
use super::plan::{Base, Plan};
use crate::QueryError;
use crate::ast::{DataType, Select, Source};
use crate::schema::{Found, Schema, field_type};

/// What one measurement is asked for.
struct Asked {
    found: Found,
    request: WindowRequest,
    /// Of each function, its column in the answer and its field's type; `None` if the measurement has no such field.
    columns: Vec<Option<(usize, FieldType)>>,
}

/// The results of a plan's functions; `None` if they have to be made of points.
pub fn gather(
    select: &Select,
    plan: &Plan,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
) -> Result<Option<Gathered>, QueryError> {
    let counted = budget.limits().select_points_max > 0;
    if counted || (level.zone.is_some() && !level.interval.is_none()) {
        return Ok(None);
    }
    let Some(asked) = ask(select, plan, level, schema)? else { return Ok(None) };
    let (mut groups, mut cells) = (Groups::default(), Cells::default());
    let mut parts: Vec<Vec<Part>> = plan.bases.iter().map(|_| Vec::new()).collect();
    for one in &asked {
        let allowed = allowed_groups(&one.found, level, budget)?;
        if one.request.range.is_empty() || one.request.aggregates.is_empty() {
            continue;
        }
        let Some(batch) = one.found.database.aggregate(&one.found.name, &one.request)? else { return Ok(None) };
        let block = block(&one.found, level, &one.request, &batch)?;
        let known = (groups.list.len(), cells.list.len());
        let ids = groups.assign(&block, level, allowed.as_ref());
        cells.assign(level, &ids, &block.times);
        let new_cells = cells.list.len() - known.1;
        budget.hold((groups.list.len() - known.0) * 128 + new_cells * 48 + batch.get_array_memory_size())?;
        let kept: BooleanArray = ids.iter().map(|id| Some(*id != NONE)).collect();
        if kept.true_count() != new_cells {
            // An absent tag and an empty one are the same here.
            return Ok(None);
        }
        for ((column, base), parts) in one.columns.iter().zip(&plan.bases).zip(&mut parts) {
            parts.push(match column {
                Some((column, _)) => Part::Found {
                    values: filter(batch.column(*column), &kept)?,
                    times: match shows_time(base, level) {
                        true => Some(filter(batch.column(*column + 1), &kept)?),
                        false => None,
                    },
                },
                None => Part::Nothing(new_cells),
            });
        }
    }
    let mut results = Vec::with_capacity(parts.len());
    for (parts, base) in parts.into_iter().zip(&plan.bases) {
        results.push(joined(parts, base)?);
    }
    Ok(Some(Gathered { groups, cells, results }))
}

/// The results of one function for the cells of one measurement.
enum Part {
    Found {
        values: ArrayRef,
        times: Option<ArrayRef>,
    },
    /// So many cells without results.
    Nothing(usize),
}

/// Whether a result is told with the time of the point that was chosen.
fn shows_time(base: &Base, level: &Level) -> bool {
    let chooses = matches!(base.function, Function::Min | Function::Max | Function::First | Function::Last);
    chooses && level.interval.is_none()
}

/// What every measurement of the sources is asked for; `None` if one of them cannot be asked.
fn ask(select: &Select, plan: &Plan, level: &Level, schema: &Schema<'_>) -> Result<Option<Vec<Asked>>, QueryError> {
    let mut asked: Vec<Asked> = Vec::new();
    for source in &select.sources {
        let Source::Measurement(measurement) = source else { return Ok(None) };
        for found in schema.measurements(measurement)? {
            // Points of measurements of one name are in the same groups.
            if asked.iter().any(|known| known.found.name == found.name) {
                return Ok(None);
            }
            let Some(one) = ask_one(found, plan, level)? else { return Ok(None) };
            let same_types = |known: &Asked| {
                let mut pairs = known.columns.iter().zip(&one.columns);
                pairs.all(|pair| !matches!(pair, (Some((_, known)), Some((_, own))) if known != own))
            };
            if !asked.iter().all(same_types) {
                return Ok(None);
            }
            asked.push(one);
        }
    }
    Ok(Some(asked))
}

fn ask_one(found: Found, plan: &Plan, level: &Level) -> Result<Option<Asked>, QueryError> {
    let Some(Base { start, end, .. }) = plan.bases.first() else { return Ok(None) };
    let (mut aggregates, mut columns) = (Vec::new(), Vec::with_capacity(plan.bases.len()));
    let group_by: Vec<String> = level.group_by.iter().filter(|tag| found.shape.tags.contains(tag)).cloned().collect();
    for base in &plan.bases {
        if (base.start, base.end) != (*start, *end) || base.auxiliary {
            return Ok(None);
        }
        let reference = &plan.columns[base.column];
        let Some(field) = found.shape.fields.iter().find(|field| field.name == reference.name) else {
            columns.push(None);
            continue;
        };
        let known = reference.data_type == field_type(field.field_type)
            || matches!(reference.data_type, DataType::Unknown | DataType::AnyField);
        let Some(aggregate) = aggregate(&base.function, field.field_type).filter(|_| known) else { return Ok(None) };
        columns.push(Some((group_by.len() + 1 + aggregates.len(), field.field_type)));
        aggregates.push((field.name.clone(), aggregate));
        if shows_time(base, level) {
            aggregates.push((field.name.clone(), time_of(aggregate)));
        }
    }
    // A text field that has the name of what is grouped by is taken for it.
    if level.group_by.iter().any(|name| found.shape.fields.iter().any(|field| field.name == *name)) {
        return Ok(None);
    }
    let tags = match &level.condition {
        None => Vec::new(),
        Some(condition) => match push_down(condition, &found)? {
            (tags, None) => tags,
            _ => return Ok(None),
        },
    };
    let windows = match level.interval.is_none() {
        true => None,
        false => Some(Windows { width_nanos: level.interval.duration, offset_nanos: level.interval.offset }),
    };
    let range = TimeRange { start: Some(*start), end: end.checked_add(1) };
    let request = WindowRequest { range, tags, windows, group_by, aggregates };
    Ok(Some(Asked { found, request, columns }))
}

/// What the store calls a function; `None` where it has no such, or would answer otherwise.
fn aggregate(function: &Function, of: FieldType) -> Option<WindowAggregate> {
    let number = matches!(of, FieldType::Float64 | FieldType::Int64);
    match function {
        Function::Count => Some(WindowAggregate::Count),
        Function::Last => Some(WindowAggregate::Last),
        // Of booleans at one time the least is the first.
        Function::First if of != FieldType::Boolean => Some(WindowAggregate::First),
        Function::Sum if number => Some(WindowAggregate::Sum),
        Function::Mean if number => Some(WindowAggregate::Mean),
        Function::Min if number => Some(WindowAggregate::Min),
        Function::Max if number => Some(WindowAggregate::Max),
        Function::Spread if number => Some(WindowAggregate::Spread),
        _ => None,
    }
}

fn time_of(aggregate: WindowAggregate) -> WindowAggregate {
    match aggregate {
        WindowAggregate::Min => WindowAggregate::MinTime,
        WindowAggregate::Max => WindowAggregate::MaxTime,
        WindowAggregate::First => WindowAggregate::FirstTime,
        _ => WindowAggregate::LastTime,
    }
}

/// Rows of an answer as points at the starts of their windows.
fn block(found: &Found, level: &Level, request: &WindowRequest, batch: &RecordBatch) -> Result<Block, QueryError> {
    let times = batch.column(request.group_by.len()).as_primitive_opt::<TimestampNanosecondType>();
    let times = times.ok_or_else(|| QueryError::new("aggregates have no starts of their windows"))?;
    let text = |tag: &String| -> Option<StringArray> {
        let place = request.group_by.iter().position(|known| known == tag)?;
        batch.column(place).as_string_opt::<i32>().cloned()
    };
    let tags = level.group_by.iter().map(text).collect();
    Ok(Block { name: found.name.as_str().into(), times: times.values().to_vec(), tags, columns: Vec::new() })
}

/// The results of one function, cell by cell; `None` if no measurement has its field.
fn joined(parts: Vec<Part>, base: &Base) -> Result<Option<Results>, QueryError> {
    let data_type = parts.iter().find_map(|part| match part {
        Part::Found { values, .. } => Some(values.data_type().clone()),
        Part::Nothing(_) => None,
    });
    let Some(data_type) = data_type else { return Ok(None) };
    let (mut values, mut times) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    for part in parts {
        match part {
            Part::Found { values: found, times: at } => {
                times.push(at.unwrap_or_else(|| window_starts(found.len())));
                values.push(found);
            }
            Part::Nothing(cells) => {
                values.push(new_null_array(&data_type, cells));
                times.push(window_starts(cells));
            }
        }
    }
    let (values, times) = (concatenated(&values)?, concatenated(&times)?);
    let present: BooleanArray =
        match values.as_primitive_opt::<Int64Type>().filter(|_| base.function == Function::Count) {
            Some(counts) => counts.iter().map(|count| Some(count.is_some_and(|count| count > 0))).collect(),
            None => (0..values.len()).map(|cell| Some(values.is_valid(cell))).collect(),
        };
    let offsets = single_offsets(present.values().iter());
    let times = filter(&times, &present)?;
    let times = times.as_primitive_opt::<TimestampNanosecondType>().map_or_else(Vec::new, |at| at.values().to_vec());
    Ok(Some(Results { offsets, times, values: filter(&values, &present)?, auxiliary: Vec::new() }))
}

fn window_starts(cells: usize) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_value(WINDOW_START, cells))
}

fn concatenated(arrays: &[ArrayRef]) -> Result<ArrayRef, QueryError> {
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
    Ok(concat(&arrays)?)
}
