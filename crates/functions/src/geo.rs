//! Places: S2, geohash and H3 cells, distances and areas.
//!
//! One rule for coordinates: NULL, NaN, infinite, or outside -90 to 90 and -180 to 180 degrees gives NULL.
//! A level, length or resolution outside its range is an error.
//!
//! Cells come in two forms: the text that people read, and a UInt64 key with the same meaning that is
//! cheap to group by (see [`crate::KeyForm`]). The key carries the level, so keys of several levels mix.

mod cell_functions;
mod geohash_cells;
mod measures;
mod s2_cells;

pub(crate) use cell_functions::{CELL_FUNCTIONS, KEY_FORMS};
pub(crate) use measures::MEASURE_FUNCTIONS;
pub use s2_cells::{LEVEL_MAX, NO_CELL, s2_cell_id, s2_cell_ids};
