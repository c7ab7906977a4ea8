//! All tests of the functions through their public interface.

mod aggregates;
mod geo;
mod json;
mod lists;
mod merging;
mod query;
mod reference;
mod rows;
mod s2_cells;
mod texts;
mod times;
