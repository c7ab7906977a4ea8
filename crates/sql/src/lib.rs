//! From the SQL an analyst writes to the graph of operators that runs it.
//!
//! DataFusion parses, plans, type-checks and evaluates expressions; this crate reads the Flink dialect into it, finds the
//! windows, and cuts the plan into what runs per partition, what runs per window, and what runs on results.
//! Architecture invariant: this crate does not know Kafka, files, tokio, or who runs its graph.

mod clauses;
mod columns;
mod convert;
mod depth;
mod dialect;
mod error;
mod expansion;
mod expression_text;
mod fragment;
mod graph;
mod identity;
mod input_text;
mod intervals;
mod lanes;
mod limits;
mod map_rows;
mod members;
mod metadata;
mod planner;
mod rewrite;
mod session;
mod timestamp_parts;
mod unnest;
mod window_calls;
mod window_functions;

pub use depth::check_depth;
pub use error::SqlError;
pub use expansion::check_tables;
pub use fragment::Fragment;
pub use graph::{
    BranchPlan, BranchTarget, DaggerPlan, OutputPlan, SourcePlan, Step, WindowColumn, WindowPlan, WindowRowsPlan,
    WindowSource,
};
pub use identity::{HeldIdentity, InputIdentity, InputSource, WindowIdentity, carry_over};
pub use metadata::MetadataColumn;
pub use planner::{RowtimeField, StreamTable, plan};
pub use session::query_session;
