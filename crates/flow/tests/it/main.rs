//! The engine against a model that is written from the definitions, record by record and window by window.

mod events;
mod invariance;
mod model;
mod queries;
mod restart;
