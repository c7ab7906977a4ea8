//! The operator graph of a dagger: what runs per partition, per window, and on results.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use operators::{AggregateSpec, WindowSpec};

use crate::fragment::Fragment;
use crate::identity::WindowIdentity;
use crate::metadata::MetadataColumn;

/// A planned query, ready to run. It holds no state and can be shared.
pub struct DaggerPlan {
    /// The streams that are read, with the fields in use.
    pub sources: Vec<SourcePlan>,
    /// Chains from a source to a window or to the result.
    pub branches: Vec<BranchPlan>,
    /// Window aggregations, inputs before the windows that read their results.
    pub windows: Vec<WindowPlan>,
    /// What the result is made of.
    pub output: OutputPlan,
    /// Columns of the result.
    pub schema: SchemaRef,
    /// Result columns that are group keys beside the window; `None` when the query does not group.
    pub key_columns: Option<Vec<usize>>,
    /// Result column that is the window's end, if the query selects it.
    pub window_end_column: Option<usize>,
    /// The plan as text, for people.
    pub explain: String,
}

/// One stream of the dagger with the columns that the query uses.
pub struct SourcePlan {
    /// Index among the streams that were handed to [`crate::plan`].
    pub stream: usize,
    /// Dotted field paths to decode.
    pub paths: Vec<String>,
    /// What the query uses of the records' places in the log.
    pub metadata: Vec<MetadataColumn>,
    /// The decoded columns, then the metadata, then `rowtime` as the last one.
    pub schema: SchemaRef,
}

/// One step of a branch. Expressions read the columns of the step before.
pub enum Step {
    Filter(Arc<dyn PhysicalExpr>),
    Project {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    /// Replaces the list column by its elements, one row per element; the other columns repeat. For an empty list there is
    /// no row, or, if `outer`, one with NULL.
    Unnest {
        column: usize,
        outer: bool,
        schema: SchemaRef,
    },
}

/// A chain of steps from a source.
pub struct BranchPlan {
    /// Index into [`DaggerPlan::sources`].
    pub source: usize,
    pub steps: Vec<Step>,
    pub target: BranchTarget,
}

/// Where a branch's rows go.
pub enum BranchTarget {
    /// Into a window: index into [`DaggerPlan::windows`].
    Window { window: usize, rows: WindowRowsPlan },
    /// They are results.
    Rows { expressions: Vec<Arc<dyn PhysicalExpr>> },
}

/// How rows become the time, keys and arguments of a window.
#[derive(Clone)]
pub struct WindowRowsPlan {
    pub time: Arc<dyn PhysicalExpr>,
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
}

/// Where a window's rows come from.
pub enum WindowSource {
    /// From branches that name this window.
    Branches,
    /// From the results of earlier windows.
    Results { fragment: Fragment, rows: WindowRowsPlan },
}

/// A column of a window's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowColumn {
    Start,
    End,
    /// One millisecond before the end.
    Time,
    /// The key with this number.
    Key(usize),
    /// The aggregate with this number.
    Aggregate(usize),
}

/// One window aggregation.
pub struct WindowPlan {
    pub spec: WindowSpec,
    /// How far the watermark has to be past an end, in milliseconds, until the window may close.
    pub lag_ms: i64,
    pub aggregate: AggregateSpec,
    pub source: WindowSource,
    /// The result's columns.
    pub columns: Vec<WindowColumn>,
    pub schema: SchemaRef,
    /// What its state belongs to.
    pub identity: WindowIdentity,
}

impl DaggerPlan {
    /// What the state of each window belongs to.
    pub fn identities(&self) -> Vec<WindowIdentity> {
        self.windows.iter().map(|window| window.identity.clone()).collect()
    }
}

/// What the dagger's result is made of.
pub enum OutputPlan {
    /// Rows of branches, one by one.
    Rows,
    /// Results of windows, after what the query does with them.
    Windows(Fragment),
}

/// Sets how long after its end each window closes, so that what is read together closes together and no row comes after its
/// window. A session still takes a row at its very end, so it closes a millisecond later than what it reads. Says whether
/// there is such an order: a window that is read beside sessions of its own results has none.
pub(crate) fn set_lags(windows: &mut [WindowPlan], output: &OutputPlan) -> bool {
    let mut lags: Vec<i64> = windows.iter().map(|window| i64::from(window.spec.is_session())).collect();
    // Each round raises a lag that is still too short; more rounds than windows chase each other in a circle.
    for _ in 0..=windows.len() {
        let before = lags.clone();
        for (index, window) in windows.iter().enumerate() {
            if let WindowSource::Results { fragment, .. } = &window.source {
                let input = together(&mut lags, fragment);
                lags[index] = lags[index].max(input + i64::from(window.spec.is_session()));
            }
        }
        if let OutputPlan::Windows(fragment) = output {
            together(&mut lags, fragment);
        }
        if lags == before {
            for (window, lag_ms) in windows.iter_mut().zip(lags) {
                window.lag_ms = lag_ms;
                window.identity.lag_ms = lag_ms;
            }
            return true;
        }
    }
    false
}

/// Raises the lags of what a fragment reads to the longest of them.
fn together(lags: &mut [i64], fragment: &Fragment) -> i64 {
    let longest = fragment.windows().map(|window| lags[window]).max().unwrap_or(0);
    for window in fragment.windows() {
        lags[window] = longest;
    }
    longest
}
