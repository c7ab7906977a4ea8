//! Which series a reader wants, each with a value that is the reader's own: its position in the table of tags, or its group.

use std::sync::Arc;

use crate::chunk::{ChunkHead, Wanted, are_few, decode, decode_listed, decode_series_list, find_series};
use crate::merge::Open;
use crate::tag_table::TagTable;

/// What a reader makes of a chunk's list of series; `None` for one that it does not want.
pub(crate) type Judged = Vec<Option<u32>>;

pub(crate) enum WantedSeries {
    /// Few of all, by their numbers, which are ascending.
    Few { numbers: Vec<u64>, values: Vec<u32> },
    Many {
        table: Arc<TagTable>,
        /// By position.
        values: Judged,
        /// Ascending; `None` if all are wanted.
        numbers: Option<Vec<u64>>,
    },
}

impl WantedSeries {
    /// Series by their positions, which are ascending, and the value of each.
    pub(crate) fn new(table: &Arc<TagTable>, positions: &[u32], values: &[u32]) -> Self {
        let numbers = || positions.iter().map(|position| table.number(*position)).collect();
        if are_few(positions.len(), table.len()) {
            return Self::Few { numbers: numbers(), values: values.to_vec() };
        }
        let mut of_all = vec![None; table.len()];
        positions.iter().zip(values).for_each(|(position, value)| of_all[*position as usize] = Some(*value));
        let numbers = (positions.len() < table.len()).then(numbers);
        Self::Many { table: table.clone(), values: of_all, numbers }
    }

    pub(crate) fn may_be_in(&self, chunk: &ChunkHead) -> bool {
        match self {
            Self::Few { numbers, .. } | Self::Many { numbers: Some(numbers), .. } => chunk.may_have(numbers),
            Self::Many { numbers: None, .. } => true,
        }
    }

    /// The values of series, which are in ascending order. Series that were removed meanwhile have none.
    pub(crate) fn of(&self, series: &[u64]) -> Judged {
        match self {
            Self::Few { numbers, values } => {
                series.iter().map(|number| Some(values[numbers.binary_search(number).ok()?])).collect()
            }
            Self::Many { table, values, .. } => {
                table.positions(series).into_iter().map(|position| values[position? as usize]).collect()
            }
        }
    }

    /// Reads what is wanted of a chunk; `None` inside if there is nothing of that. Few series are picked out of it.
    pub(crate) fn read(&self, bytes: &[u8], wanted: Wanted<'_>) -> Option<Option<Open<Judged>>> {
        if let Self::Few { numbers, values } = self
            && are_few(numbers.len(), decode_listed(bytes)?)
        {
            let found = find_series(bytes, numbers.iter().copied())?;
            if found.is_empty() {
                return Some(None);
            }
            let places: Vec<u32> = found.iter().map(|(place, _)| *place).collect();
            let points = decode(bytes, Wanted { series: Some(&places), ..wanted })?;
            let more = found.into_iter().map(|(_, number)| Some(values[number])).collect();
            return Some(Some(Open { points, wanted: None, more }));
        }
        let judged = self.of(&decode_series_list(bytes)?);
        let count = judged.iter().flatten().count();
        if count == 0 {
            return Some(None);
        }
        if !are_few(count, judged.len()) {
            let marks = (count < judged.len()).then(|| judged.iter().map(Option::is_some).collect());
            return Some(Some(Open { points: decode(bytes, wanted)?, wanted: marks, more: judged }));
        }
        let places: Vec<u32> =
            (0u32..).zip(&judged).filter(|(_, value)| value.is_some()).map(|(place, _)| place).collect();
        let points = decode(bytes, Wanted { series: Some(&places), ..wanted })?;
        Some(Some(Open { points, wanted: None, more: judged.into_iter().filter(Option::is_some).collect() }))
    }
}
