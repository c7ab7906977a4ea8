//! Overlapping windows without merging every slice for every window.
//!
//! Slices are leaves of a binary tree over their running numbers. A window of n slices is covered by about 2 log n aligned
//! blocks, and a block's partial is merged once for all windows that contain it. The tree's shape depends on slice numbers
//! alone, so a restart or another batch size merges in the same order.

use std::collections::HashMap;
use std::sync::Arc;

use crate::OperatorError;
use crate::group_table::{AggregateSpec, GroupTable, Partial};

/// Partials of aligned blocks of two and more slices.
#[derive(Default)]
pub(crate) struct SliceTree {
    /// (level, block number): the block covers the slices `number << level .. (number + 1) << level`.
    blocks: HashMap<(u32, i64), Option<Arc<Partial>>>,
}

impl SliceTree {
    /// Bytes of memory of the merged blocks.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.values().flatten().map(|partial| partial.bytes()).sum()
    }

    /// Partials that together cover the slices `first..end`, in slice order. All of them must be complete.
    pub(crate) fn cover(
        &mut self,
        first: i64,
        end: i64,
        aggregate: &AggregateSpec,
        leaf: &dyn Fn(i64) -> Option<Arc<Partial>>,
    ) -> Result<Vec<Arc<Partial>>, OperatorError> {
        let mut cover = Vec::new();
        let mut at = first;
        while at < end {
            let mut level = if at == 0 { 62 } else { at.trailing_zeros().min(62) };
            while level > 0 && (1_i64 << level) > end - at {
                level -= 1;
            }
            cover.extend(self.block(level, at >> level, aggregate, leaf)?);
            at += 1_i64 << level;
        }
        Ok(cover)
    }

    /// Drops blocks that begin before a slice: no later window contains them whole.
    pub(crate) fn forget_before(&mut self, oldest: i64) {
        self.blocks.retain(|(level, number), _| (*number << *level) >= oldest);
    }

    fn block(
        &mut self,
        level: u32,
        number: i64,
        aggregate: &AggregateSpec,
        leaf: &dyn Fn(i64) -> Option<Arc<Partial>>,
    ) -> Result<Option<Arc<Partial>>, OperatorError> {
        if level == 0 {
            return Ok(leaf(number));
        }
        if let Some(block) = self.blocks.get(&(level, number)) {
            return Ok(block.clone());
        }
        let left = self.block(level - 1, number * 2, aggregate, leaf)?;
        let right = self.block(level - 1, number * 2 + 1, aggregate, leaf)?;
        let block = match (left, right) {
            (Some(left), Some(right)) => {
                let mut table = GroupTable::new(aggregate)?;
                table.merge(&left)?;
                table.merge(&right)?;
                Some(Arc::new(table.into_partial()?))
            }
            (left, right) => left.or(right),
        };
        self.blocks.insert((level, number), block.clone());
        Ok(block)
    }
}
