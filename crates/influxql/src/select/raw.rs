//! SELECT without functions: points as they are.

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType as ArrowType;
use hashbrown::HashMap;

use super::SeriesRows;
use super::budget::Budget;
use super::functions::same_type;
use super::groups::{Group, Groups, NONE, project};
use super::input::{Block, Wanted};
use super::join::{Joined, join};
use super::level::Level;
use super::plan::Plan;
use super::sequence::Sequence;
use super::source::{Flow, Kind, read};
use crate::QueryError;
use crate::ast::{DataType, Select};
use crate::schema::Schema;

/// Rows that are kept, by groups.
#[derive(Default)]
struct Kept {
    groups: Vec<u32>,
    times: Vec<i64>,
    columns: Vec<Vec<ArrayRef>>,
    /// Rows come as they are answered: out of one query within this one.
    ordered: bool,
}

pub fn execute(
    select: &Select,
    plan: &Plan,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
) -> Result<Vec<SeriesRows>, QueryError> {
    if plan.columns.iter().all(|reference| reference.data_type == DataType::Unknown) {
        return Ok(Vec::new());
    }
    let enough = if level.limit > 0 { level.limit.saturating_add(level.offset) } else { usize::MAX };
    let (mut groups, mut kept) = (Groups::default(), Kept::default());
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let wanted = Wanted { references: &plan.columns, start: level.start, end: level.end };
    // The first points of the one group of the one source are all that is needed.
    let alone = level.group_by.is_empty() && select.sources.len() == 1;
    read(select, level, schema, budget, &wanted, &mut |block, allowed, kind| {
        let ids = groups.assign(&block, level, allowed);
        let rows = wanted_rows(&block, plan, kind);
        let mut taken = Vec::new();
        for row in rows {
            let id = ids[row];
            let count = counts.entry(id).or_default();
            // Groups of a query within another are cut when they are whole.
            if id != NONE && (*count < enough || kind == Kind::Subquery) {
                *count += 1;
                taken.push(row as u64);
            }
        }
        kept.ordered = kind == Kind::Subquery && select.sources.len() == 1;
        kept.add(&block, &ids, taken, budget)?;
        let full = alone && kind == Kind::Measurement && ids.first().is_some_and(|id| counts.get(id) >= Some(&enough));
        Ok(if full { Flow::Stop } else { Flow::Go })
    })?;
    kept.rows(plan, level, &groups)
}

/// Rows that have a field of what is selected; of a query within this one all.
pub fn wanted_rows(block: &Block, plan: &Plan, kind: Kind) -> Vec<usize> {
    let rows = block.times.len();
    if kind == Kind::Subquery {
        return (0..rows).collect();
    }
    let fields: Vec<&ArrayRef> = block
        .columns
        .iter()
        .zip(&plan.columns)
        .filter(|(_, reference)| !matches!(reference.data_type, DataType::Tag | DataType::Unknown))
        .map(|(column, _)| column)
        .collect();
    if fields.iter().any(|column| column.data_type() != &ArrowType::Null && column.null_count() == 0) {
        return (0..rows).collect();
    }
    let nulls: Vec<_> = fields.iter().map(|column| column.logical_nulls()).collect();
    let present = |row: usize| nulls.iter().any(|nulls| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
    (0..rows).filter(|row| present(*row)).collect()
}

impl Kept {
    fn add(&mut self, block: &Block, ids: &[u32], rows: Vec<u64>, budget: &Budget) -> Result<(), QueryError> {
        if rows.is_empty() {
            return Ok(());
        }
        budget.hold(rows.len() * 12)?;
        self.groups.extend(rows.iter().map(|row| ids[*row as usize]));
        self.times.extend(rows.iter().map(|row| block.times[*row as usize]));
        self.columns.resize(block.columns.len(), Vec::new());
        let all = rows.len() == block.times.len();
        let rows = UInt64Array::from(rows);
        for (kept, column) in self.columns.iter_mut().zip(&block.columns) {
            let column = if all { column.clone() } else { take(column, &rows, None)? };
            budget.hold(column.get_array_memory_size())?;
            kept.push(column);
        }
        Ok(())
    }

    /// The rows of each group in order of time, as columns of the fields.
    fn rows(self, plan: &Plan, level: &Level, groups: &Groups) -> Result<Vec<SeriesRows>, QueryError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for chunks in self.columns {
            let chunks = same_type(chunks)?;
            let chunks: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.as_ref()).collect();
            columns.push(concat(&chunks)?);
        }
        let mut by_group: Vec<Vec<u64>> = vec![Vec::new(); groups.list.len()];
        for (row, group) in self.groups.iter().enumerate() {
            by_group[*group as usize].push(row as u64);
        }
        let text = columns.first().and_then(|column| column.as_string_opt::<i32>());
        let mut answer = Vec::new();
        for place in in_order(&groups.list, level) {
            let mut rows = std::mem::take(&mut by_group[place]);
            let time = |row: &u64| self.times[*row as usize];
            // At the same time by the first column, if it is text.
            let second = |row: &u64| text.filter(|text| text.is_valid(*row as usize)).map(|t| t.value(*row as usize));
            rows.sort_by(|a, b| match level.ascending {
                _ if self.ordered => std::cmp::Ordering::Equal,
                true => time(a).cmp(&time(b)).then_with(|| second(a).cmp(&second(b))),
                false => time(b).cmp(&time(a)).then_with(|| second(b).cmp(&second(a))),
            });
            let group = groups.list[place].clone();
            answer.extend(group_rows(plan, level, group, &columns, rows, &self.times)?);
        }
        Ok(answer)
    }
}

fn in_order(groups: &[Group], level: &Level) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let key = |place: &usize| {
        let group = &groups[*place];
        (group.name.clone(), project(&group.tags, &level.group_by, &level.dimensions), group.tags.clone())
    };
    order.sort_by_cached_key(key);
    if !level.ascending {
        order.reverse();
    }
    order
}

fn group_rows(
    plan: &Plan,
    level: &Level,
    group: Group,
    columns: &[ArrayRef],
    rows: Vec<u64>,
    times: &[i64],
) -> Result<Option<SeriesRows>, QueryError> {
    let times: Vec<i64> = rows.iter().map(|row| times[*row as usize]).collect();
    let rows = UInt64Array::from(rows);
    let mut auxiliary = Vec::with_capacity(columns.len());
    for column in columns {
        auxiliary.push(take(column, &rows, None)?);
    }
    let nothing = crate::eval::nothing(times.len());
    let sequence = Sequence { times, values: nothing, auxiliary }.slice(level.offset, level.limit);
    let Joined { times, columns } = join(plan, level, &[sequence])?;
    if times.is_empty() {
        return Ok(None);
    }
    Ok(Some(SeriesRows { name: group.name, tags: group.tags, times, columns }))
}
