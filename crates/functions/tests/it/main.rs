//! All tests of the functions through their public interface.

mod s2_cells;
