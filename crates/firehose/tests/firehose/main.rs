//! Firehoses from the embedded log to sinks in memory, compared with what a plain computation over the records gives.

mod commands;
mod crashes;
mod letters;
mod limits;
mod records;
mod world;
