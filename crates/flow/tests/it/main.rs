//! The engine against a model that is written from the definitions, record by record and window by window.

mod clauses;
mod edits;
mod events;
mod invariance;
mod metadata;
mod model;
mod mutations;
mod orders;
mod queries;
mod restart;
mod scalar_functions;
mod session_tables;
mod sink_faults;
mod timestamps;
mod unnest;
mod windowed;
