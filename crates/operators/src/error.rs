//! What can go wrong inside an operator.

use datafusion::error::DataFusionError;

/// An operator's failure. Data never causes a panic; what remains here is a limit, or an aggregate that refused its input.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// An aggregate function or a kernel failed.
    #[error("aggregation failed: {0}")]
    Aggregate(#[from] DataFusionError),
    /// An Arrow kernel failed.
    #[error("column operation failed: {0}")]
    Arrow(#[from] datafusion::arrow::error::ArrowError),
    /// More distinct texts in a group key than are allowed.
    #[error("a group key has more than {limit} distinct texts; group by fewer values")]
    TooManyTexts { limit: usize },
    /// State that was read back does not fit the query.
    #[error("stored state does not fit the operator: {0}")]
    State(String),
}
