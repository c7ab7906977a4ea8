//! One level of a SELECT, executed.

use hashbrown::HashMap;

use super::SeriesRows;
use super::budget::Budget;
use super::functions::{Accumulator, Function, Points, Results, accumulator, top_of_cells};
use super::groups::{Cells, Group, Groups, NONE, project};
use super::input::Wanted;
use super::join::{Joined, join};
use super::level::Level;
use super::plan::{Base, Node, Plan};
use super::sequence::{Sequence, empty, fill};
use super::source::{Flow, read};
use super::{pushed, raw};
use crate::QueryError;
use crate::ast::Select;
use crate::schema::Schema;

/// The rows of a SELECT, series by series in the order of their names and tags.
pub fn execute(
    select: &Select,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
) -> Result<Vec<SeriesRows>, QueryError> {
    let plan = Plan::new(select, level)?;
    if plan.raw {
        return raw::execute(select, &plan, level, schema, budget);
    }
    if plan.calls.is_empty() {
        return Ok(Vec::new());
    }
    match &plan.ranked {
        Some((tags, function)) => ranked(select, &plan, level, schema, budget, tags, function),
        None => windowed(select, &plan, level, schema, budget),
    }
}

/// Results of all bases, by cells.
pub struct Gathered {
    pub groups: Groups,
    pub cells: Cells,
    pub results: Vec<Option<Results>>,
}

/// An accumulator that is made when the type of its values is seen.
struct Running<'a> {
    base: &'a Base,
    accumulator: Option<Box<dyn Accumulator>>,
}

impl Running<'_> {
    fn add(&mut self, points: &Points<'_>, budget: &Budget) -> Result<(), QueryError> {
        if points.values.data_type() == &arrow::datatypes::DataType::Null {
            return Ok(());
        }
        if self.accumulator.is_none() {
            self.accumulator = Some(accumulator(&self.base.function, points.values.data_type())?);
        }
        match &mut self.accumulator {
            Some(accumulator) => accumulator.add(points, budget),
            None => Ok(()),
        }
    }
}

fn gather(
    select: &Select,
    plan: &Plan,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
) -> Result<Gathered, QueryError> {
    if let Some(gathered) = pushed::gather(select, plan, level, schema, budget)? {
        return Ok(gathered);
    }
    let (mut groups, mut cells) = (Groups::default(), Cells::default());
    let mut running: Vec<Running<'_>> = plan.bases.iter().map(|base| Running { base, accumulator: None }).collect();
    let start = plan.bases.iter().map(|base| base.start).min().unwrap_or(level.start);
    let end = plan.bases.iter().map(|base| base.end).max().unwrap_or(level.end);
    let wanted = Wanted { references: &plan.columns, start, end };
    read(select, level, schema, budget, &wanted, &mut |block, allowed, _| {
        let known = (groups.list.len(), cells.list.len());
        let ids = groups.assign(&block, level, allowed);
        let places = cells.assign(level, &ids, &block.times);
        budget.hold((groups.list.len() - known.0) * 128 + (cells.list.len() - known.1) * 48)?;
        for one in &mut running {
            let base = one.base;
            let own: Vec<u32>;
            let in_bounds: &[u32] = if base.start <= start && base.end >= end {
                &places
            } else {
                let inside = |(cell, time): (&u32, &i64)| {
                    if (base.start..=base.end).contains(time) { *cell } else { NONE }
                };
                own = places.iter().zip(&block.times).map(inside).collect();
                &own
            };
            let auxiliary = if base.auxiliary { &block.columns[..plan.auxiliary] } else { &[] };
            let points = Points {
                cells: in_bounds,
                cell_count: cells.list.len(),
                times: &block.times,
                values: &block.columns[base.column],
                auxiliary,
            };
            one.add(&points, budget)?;
        }
        Ok(Flow::Go)
    })?;
    let mut results = Vec::with_capacity(running.len());
    for one in running {
        results.push(match one.accumulator {
            Some(accumulator) => Some(accumulator.finish(cells.list.len(), level.ascending)?),
            None => None,
        });
    }
    Ok(Gathered { groups, cells, results })
}

/// Places of groups in the order of the answer.
fn in_order(groups: &[Group], level: &Level) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let outer = |group: &Group| project(&group.tags, &level.group_by, &level.dimensions);
    let keys: Vec<_> = groups.iter().map(|group| (group.name.clone(), outer(group), group.tags.clone())).collect();
    order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
    if !level.ascending {
        order.reverse();
    }
    order
}

fn windowed(
    select: &Select,
    plan: &Plan,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
) -> Result<Vec<SeriesRows>, QueryError> {
    let gathered = gather(select, plan, level, schema, budget)?;
    let by_group = gathered.cells.by_group(gathered.groups.list.len(), level.ascending);
    let rows_max = if level.limit > 0 { level.offset.saturating_add(level.limit) } else { usize::MAX };
    let mut rows = Vec::new();
    for place in in_order(&gathered.groups.list, level) {
        let mut sequences = Vec::with_capacity(plan.calls.len());
        for node in &plan.calls {
            let sequence = sequence_of(node, plan, &gathered, &by_group[place], level, rows_max, budget)?;
            sequences.push(sequence.slice(level.offset, level.limit));
        }
        let group = &gathered.groups.list[place];
        rows.extend(answer(plan, level, group.clone(), &sequences, budget)?);
    }
    Ok(rows)
}

fn answer(
    plan: &Plan,
    level: &Level,
    group: Group,
    sequences: &[Sequence],
    budget: &Budget,
) -> Result<Option<SeriesRows>, QueryError> {
    let Joined { times, columns } = join(plan, level, sequences)?;
    if times.is_empty() {
        return Ok(None);
    }
    budget.hold(times.len() * 8 + columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>())?;
    Ok(Some(SeriesRows { name: group.name, tags: group.tags, times, columns }))
}

/// `rows_max` is as far as it is needed.
fn sequence_of(
    node: &Node,
    plan: &Plan,
    gathered: &Gathered,
    cells: &[u32],
    level: &Level,
    rows_max: usize,
    budget: &Budget,
) -> Result<Sequence, QueryError> {
    // Of what it is made of, all rows are needed.
    let input = |node: &Node| sequence_of(node, plan, gathered, cells, level, usize::MAX, budget);
    let none = || Ok(empty(&arrow::datatypes::DataType::Null, plan.auxiliary));
    match node {
        Node::Base(base) => match &gathered.results[*base] {
            Some(results) => Sequence::of_cells(results, cells, |cell| gathered.cells.list[cell as usize].1),
            None => none(),
        },
        Node::Counted(base) => match &gathered.results[*base] {
            Some(results) => Ok(counted(results, cells, gathered)),
            None => none(),
        },
        Node::AtWindows(node) => Ok(input(node)?.at_windows(level)),
        Node::Filled { input: node, fill: how, start, end } => {
            let level = Level { start: *start, end: *end, ..level.clone() };
            fill(input(node)?, &level, *how, rows_max, budget)
        }
        Node::Transformed { input: node, transform } => transform.apply(&input(node)?, level),
    }
}

fn counted(results: &Results, cells: &[u32], gathered: &Gathered) -> Sequence {
    let count = |cell: u32| i64::from(results.offsets[cell as usize + 1] - results.offsets[cell as usize]);
    let present: Vec<u32> = cells.iter().copied().filter(|cell| count(*cell) > 0).collect();
    Sequence {
        times: present.iter().map(|cell| gathered.cells.list[*cell as usize].1).collect(),
        values: std::sync::Arc::new(arrow::array::Int64Array::from_iter_values(present.iter().map(|c| count(*c)))),
        auxiliary: Vec::new(),
    }
}

/// `top(field, tags, n)`: the best point of each combination of the tags, and of those the best `n`.
fn ranked(
    select: &Select,
    plan: &Plan,
    level: &Level,
    schema: &Schema<'_>,
    budget: &Budget,
    tags: &[String],
    function: &Function,
) -> Result<Vec<SeriesRows>, QueryError> {
    let mut fine = level.clone();
    fine.group_by.extend(tags.iter().cloned());
    fine.group_by.sort();
    fine.group_by.dedup();
    let gathered = gather(select, plan, &fine, schema, budget)?;
    let Some(Some(results)) = gathered.results.first() else { return Ok(Vec::new()) };
    let mut groups = Groups::default();
    let mut windows: HashMap<u32, Vec<(i64, Vec<u32>)>> = HashMap::new();
    let by_group = gathered.cells.by_group(gathered.groups.list.len(), level.ascending);
    for place in in_order(&gathered.groups.list, &fine) {
        let group = &gathered.groups.list[place];
        let tags = project(&group.tags, &fine.group_by, &level.group_by);
        let id = groups.get_or_insert(Group { name: group.name.clone(), tags });
        let known = windows.entry(id).or_default();
        for cell in &by_group[place] {
            let start = gathered.cells.list[*cell as usize].1;
            match known.iter_mut().find(|(window, _)| *window == start) {
                Some((_, cells)) => cells.push(*cell),
                None => known.push((start, vec![*cell])),
            }
        }
    }
    let mut rows = Vec::new();
    for place in in_order(&groups.list, level) {
        let mut known = windows.remove(&(place as u32)).unwrap_or_default();
        known.sort_by_key(|(start, _)| *start);
        if !level.ascending {
            known.reverse();
        }
        let chosen: Vec<u64> = known.iter().flat_map(|(_, cells)| top_of_cells(function, results, cells)).collect();
        let times = chosen.iter().map(|row| results.times[*row as usize]).collect();
        let sequence = Sequence::of_rows(results, chosen, times)?.slice(level.offset, level.limit);
        rows.extend(answer(plan, level, groups.list[place].clone(), &[sequence], budget)?);
    }
    Ok(rows)
}
