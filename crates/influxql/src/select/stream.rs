//! Points of one measurement and no groups, answered as they are read.

use std::sync::Arc;

use arrow::array::{Array, UInt64Array};
use arrow::compute::take;

use super::budget::Budget;
use super::groups::Group;
use super::input::{Block, Reader, Wanted};
use super::join::{Joined, join};
use super::level::Level;
use super::plan::Plan;
use super::raw::wanted_rows;
use super::sequence::Sequence;
use super::source::Kind;
use super::{SeriesRows, result_series};
use crate::QueryError;
use crate::answer::ResultSeries;
use crate::ast::{DataType, Fill, Select, Source};
use crate::schema::Schema;

/// Bytes of one part, about.
const PART_BYTES_MAX: usize = 16 << 20;

/// Parts of one series, each with as many rows as a chunk has; the last with fewer, and those that would be too large.
pub struct Stream {
    reader: Reader,
    plan: Plan,
    level: Level,
    budget: Budget,
    columns: Arc<[String]>,
    group: Group,
    rows: usize,
    /// Rows still to be passed over, and still to be answered.
    offset: usize,
    left: usize,
    /// A block that has been answered in part, and from which row on it has not.
    block: Option<(Block, Vec<u64>, usize)>,
    next: Option<ResultSeries>,
    begun: bool,
}

impl Stream {
    /// `None` if the statement is not of the kind that can be answered so.
    pub fn open(
        select: &Select,
        level: &Level,
        schema: &Schema<'_>,
        budget: Budget,
        rows: usize,
    ) -> Result<Result<Self, Budget>, QueryError> {
        let [Source::Measurement(measurement)] = select.sources.as_slice() else { return Ok(Err(budget)) };
        let plan = Plan::new(select, level)?;
        let known = plan.columns.iter().any(|reference| reference.data_type != DataType::Unknown);
        if !plan.raw || !known || !level.group_by.is_empty() || level.fill == Fill::Previous || level.slimit > 0 {
            return Ok(Err(budget));
        }
        let measurements = schema.measurements(measurement)?;
        let [found] = measurements.as_slice() else { return Ok(Err(budget)) };
        let wanted = Wanted { references: &plan.columns, start: level.start, end: level.end };
        let reader = Reader::open(found, level, &wanted)?;
        Ok(Ok(Self {
            reader,
            columns: plan.names.clone().into(),
            plan,
            budget,
            group: Group { name: found.name.as_str().into(), tags: Vec::new() },
            rows,
            offset: level.offset,
            left: if level.limit > 0 { level.limit } else { usize::MAX },
            level: Level { offset: 0, limit: 0, ..level.clone() },
            block: None,
            next: None,
            begun: false,
        }))
    }

    /// The next part, and whether another follows.
    pub fn part(&mut self) -> Result<Option<(ResultSeries, bool)>, QueryError> {
        if !self.begun {
            self.begun = true;
            self.next = self.read()?;
        }
        let Some(mut part) = self.next.take() else { return Ok(None) };
        self.next = self.read()?;
        part.partial = self.next.is_some();
        let follows = part.partial;
        Ok(Some((part, follows)))
    }

    /// Up to a chunk's rows, out of one block or several.
    fn read(&mut self) -> Result<Option<ResultSeries>, QueryError> {
        let mut parts: Vec<SeriesRows> = Vec::new();
        let (mut missing, mut bytes) = (self.rows.min(self.left), 0);
        while missing > 0 && bytes < PART_BYTES_MAX {
            let Some((block, rows, from)) = self.take_block()? else { break };
            let passed = self.offset.min(rows.len() - from);
            self.offset -= passed;
            let from = from + passed;
            let until = rows.len().min(from + missing);
            if from < until {
                let taken = &rows[from..until];
                missing -= taken.len();
                self.left -= taken.len();
                let part = self.answer(&block, taken)?;
                bytes += part.times.len() * size_of::<i64>();
                bytes += part.columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
                parts.push(part);
            }
            if until < rows.len() {
                self.block = Some((block, rows, until));
            }
        }
        super::joined_rows(parts).map(|rows| rows.map(|rows| result_series(rows, &self.level, self.columns.clone())))
    }

    fn take_block(&mut self) -> Result<Option<(Block, Vec<u64>, usize)>, QueryError> {
        if let Some(block) = self.block.take() {
            return Ok(Some(block));
        }
        let Some(block) = self.reader.next(&self.budget)? else { return Ok(None) };
        let rows = wanted_rows(&block, &self.plan, Kind::Measurement).into_iter().map(|row| row as u64).collect();
        Ok(Some((block, rows, 0)))
    }

    fn answer(&self, block: &Block, rows: &[u64]) -> Result<SeriesRows, QueryError> {
        let times: Vec<i64> = rows.iter().map(|row| block.times[*row as usize]).collect();
        let rows = UInt64Array::from(rows.to_vec());
        let mut auxiliary = Vec::with_capacity(block.columns.len());
        for column in &block.columns {
            auxiliary.push(take(column, &rows, None)?);
        }
        let values = crate::eval::nothing(times.len());
        let Joined { times, columns } = join(&self.plan, &self.level, &[Sequence { times, values, auxiliary }])?;
        Ok(SeriesRows { name: self.group.name.clone(), tags: Vec::new(), times, columns })
    }
}
