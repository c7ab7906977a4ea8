//! InfluxDB's line protocol: the bytes of a request become columns, one batch per measurement.
//!
//! Lines are read as InfluxDB 1.6 reads them (`models/points.go`), with its words for what is wrong; a line that is wrong
//! does not disturb the others. `fast` takes the lines that nearly all senders write, `exact` all of them; whatever `fast`
//! takes it reads as `exact` does. Nothing is stored here, and nothing is known of databases or HTTP.

mod columns;
mod escape;
mod exact;
mod fast;
mod line;
mod measurement;
mod number;
mod parse;
mod points;
mod precision;

pub use parse::{ParseLimits, ParseOptions, parse, parse_in_parts};
pub use points::{MalformedLine, MeasurementPoints, Points};
pub use precision::Precision;
