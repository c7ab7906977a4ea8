//! Where a dagger's results go. Every sink has the same two files: `config` (checks the query's columns before anything is
//! deployed) and `sink` (writes).

pub mod log;
pub mod series;
pub mod topic;
