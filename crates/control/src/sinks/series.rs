//! Results into a measurement of the built-in time-series store.

mod config;
mod sink;

pub use config::{SeriesConfig, SeriesOrigin};
pub use sink::SeriesSink;
