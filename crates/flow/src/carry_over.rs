//! How the state of a checkpoint's windows becomes that of a plan's: which window goes on with which, and where in the
//! checkpoint the columns of its keys and aggregates lie. Pure: it moves no state.

use std::ops::Range;

use operators::AggregateSpec;
use sql::{DaggerPlan, HeldIdentity, InputSource, WindowIdentity, carry_over};

use crate::FlowError;
use crate::stored_window::StoredWindow;

/// What a checkpoint says of the query that it was written by.
pub(crate) enum WrittenBy<'a> {
    Windows(&'a [StoredWindow]),
    /// The plan's text, in checkpoints that do not tell their windows one by one.
    Plan(&'a str),
}

pub(crate) struct CarryOver {
    before: Vec<WindowIdentity>,
    /// By window of the plan: the window of the checkpoint that it goes on from.
    found: Vec<usize>,
    layouts: Vec<Layout>,
    /// The checkpoint's parts are just what this plan would write.
    pub is_same: bool,
}

/// Where a window's columns lie in a part of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub keys: Vec<usize>,
    pub calls: Vec<Range<usize>>,
    /// Of the whole part, spans of sessions not counted.
    pub width: usize,
}

impl CarryOver {
    /// `windows` is how many windows the checkpoint has.
    pub(crate) fn new(plan: &DaggerPlan, written_by: WrittenBy, windows: usize) -> Result<Self, FlowError> {
        let mismatch = |what: &str| Err(FlowError::StateMismatch(what.to_string()));
        let after = plan.identities();
        let before = match written_by {
            WrittenBy::Windows(stored) => {
                let read: Result<Vec<WindowIdentity>, _> = stored.iter().map(WindowIdentity::try_from).collect();
                read.map_err(|error| FlowError::StateMismatch(format!("one of its windows is wrong: {error}")))?
            }
            // Without windows there are only positions, whatever the query was.
            WrittenBy::Plan(text) if text == plan.explain || (windows == 0 && after.is_empty()) => after.clone(),
            WrittenBy::Plan(_) => return mismatch("it was written by another query"),
        };
        if before.len() != windows {
            return mismatch("it does not hold as many windows as it says");
        }
        let Ok(found) = carry_over(&before, &after) else { return mismatch("it was written by another query") };
        let mut layouts = Vec::with_capacity(found.len());
        for (window, from) in plan.windows.iter().zip(&found) {
            layouts.push(Layout::between(&before[*from], &window.identity)?);
        }
        let is_same = found.iter().copied().eq(0..before.len())
            && layouts.iter().zip(&plan.windows).all(|(layout, window)| *layout == Layout::of(&window.aggregate));
        Ok(CarryOver { before, found, layouts, is_same })
    }

    /// How many windows the checkpoint has.
    pub(crate) fn windows_before(&self) -> usize {
        self.before.len()
    }

    /// The windows of the plan that go on with a window of the checkpoint.
    pub(crate) fn heirs(&self, before: usize) -> impl Iterator<Item = (usize, &Layout)> {
        let heirs = self.found.iter().zip(&self.layouts).enumerate();
        heirs.filter(move |(_, (from, _))| **from == before).map(|(window, (_, layout))| (window, layout))
    }

    /// The values of the checkpoint's windows as those of the plan's.
    pub(crate) fn by_window(&self, of_checkpoint: &[i64]) -> Vec<i64> {
        self.found.iter().map(|from| of_checkpoint[*from]).collect()
    }

    /// The window of the plan in whose name the records of a window of the checkpoint are held. Of the same windows it is
    /// the last that counts a record.
    pub(crate) fn holder(&self, before: usize, plan: &DaggerPlan) -> Option<usize> {
        plan.windows.iter().rposition(|window| window.identity.groups_like(&self.before[before]))
    }

    /// Whether a window of the checkpoint took records of a table.
    pub(crate) fn reads(&self, before: usize, table: &str) -> bool {
        let is_table = |source: &InputSource| matches!(source, InputSource::Table(name) if name == table);
        self.before[before].inputs.iter().any(|input| is_table(&input.source))
    }
}

impl Layout {
    /// As a plan writes it: keys, then calls, in the plan's order.
    pub(crate) fn of(spec: &AggregateSpec) -> Self {
        let mut width = spec.key_count();
        let calls = spec.state_widths().map(|columns| {
            width += columns;
            width - columns..width
        });
        Layout { keys: (0..spec.key_count()).collect(), calls: calls.collect(), width }
    }

    fn between(before: &WindowIdentity, after: &WindowIdentity) -> Result<Self, FlowError> {
        let mut width = before.keys.len();
        let mut ranges = Vec::with_capacity(before.aggregates.len());
        for aggregate in &before.aggregates {
            ranges.push(width..width + aggregate.types.len());
            width += aggregate.types.len();
        }
        let place = |of: &[HeldIdentity], wanted: &HeldIdentity| {
            of.iter()
                .position(|held| held == wanted)
                .ok_or_else(|| FlowError::StateMismatch(format!("it does not hold `{}`", wanted.text)))
        };
        let keys = after.keys.iter().map(|key| place(&before.keys, key)).collect::<Result<_, _>>()?;
        let calls = after.aggregates.iter().map(|call| Ok(ranges[place(&before.aggregates, call)?].clone()));
        Ok(Layout { keys, calls: calls.collect::<Result<_, FlowError>>()?, width })
    }
}
